import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.frames import CommandCode, Framer, ReadModbus, RegistersReply, Reply
from tinybms_lab.bms.faults import FAULT_NAMES, FaultInjector, FaultPlan, Mangled, parse_faults

REQUEST = ReadModbus(0, 16)
REPLY = RegistersReply(CommandCode.READ_MODBUS, tuple(range(16))).encode()[0]
SEEDS = st.integers(min_value=0, max_value=2**32 - 1)
DATA = st.binary(min_size=1, max_size=120)


def injector(seed: int = 1, **chances: float) -> FaultInjector:
    """Return an injector with these probabilities."""
    plan: dict[str, float] = chances
    return FaultInjector(parse_faults(f"{name}={value}" for name, value in plan.items()), random.Random(seed))


def understood(data: bytes) -> list[Reply]:
    """Return the replies that a host finds in received bytes."""
    framer = Framer()
    framer.expect(REQUEST)
    return [event for event in framer.feed(data) if isinstance(event, RegistersReply)]


@given(DATA)
def test_without_a_plan_nothing_happens(data: bytes) -> None:
    """Not even by chance."""
    faults = FaultInjector()

    assert faults.reply(data) == Mangled(data)
    assert faults.request(data) == data
    assert not any(faults.counts.values())


@given(SEEDS, DATA)
def test_one_bit_is_flipped(seed: int, data: bytes) -> None:
    """Exactly one, anywhere."""
    mangled = injector(seed, bit_flip=1).reply(data).data
    different = [a ^ b for a, b in zip(data, mangled, strict=True) if a != b]

    assert len(different) == 1
    assert different[0].bit_count() == 1


@given(SEEDS, DATA)
def test_one_byte_is_lost(seed: int, data: bytes) -> None:
    """The others stay in order."""
    mangled = injector(seed, lost_byte=1).reply(data).data

    assert any(mangled == data[:i] + data[i + 1 :] for i in range(len(data)))


@given(SEEDS)
def test_a_reply_comes_late(seed: int) -> None:
    """By no more than was said."""
    faults = FaultInjector(FaultPlan(late_reply=1.0, late_s=0.25), random.Random(seed))
    mangled = faults.reply(REPLY)

    assert mangled.data == REPLY
    assert 0.0 <= mangled.delay_s <= 0.25


def test_a_reply_comes_twice() -> None:
    """Without a gap."""
    assert injector(doubled_reply=1).reply(REPLY) == Mangled(REPLY + REPLY)


@given(SEEDS, st.integers(min_value=1, max_value=40))
def test_noise_comes_before_a_reply(seed: int, most: int) -> None:
    """A few bytes, perhaps start bytes; the reply after them is whole."""
    faults = FaultInjector(FaultPlan(noise=1.0, noise_bytes=most), random.Random(seed))
    data = faults.reply(REPLY).data

    assert data.endswith(REPLY)
    assert 1 <= len(data) - len(REPLY) <= most


@given(SEEDS)
def test_a_device_restarts_in_the_middle_of_a_reply(seed: int) -> None:
    """At least the last byte is missing."""
    mangled = injector(seed, reboot=1).reply(REPLY)

    assert mangled.reboot
    assert REPLY.startswith(mangled.data)
    assert len(mangled.data) < len(REPLY)


def test_silence_is_silence() -> None:
    """Whatever else was to happen."""
    assert injector(silence=1, reboot=1, noise=1, doubled_reply=1).reply(REPLY) == Mangled(b"")


@given(SEEDS, DATA)
def test_requests_suffer_too(seed: int, data: bytes) -> None:
    """A bit, and a byte."""
    flipped = injector(seed, request_flip=1).request(data)
    shortened = injector(seed, request_loss=1).request(data)

    assert sum((a ^ b).bit_count() for a, b in zip(data, flipped, strict=True)) == 1
    assert len(shortened) == len(data) - 1
    assert injector(seed, request_flip=1, request_loss=1).reply(data) == Mangled(data)


@pytest.mark.parametrize("name", ["bit_flip", "lost_byte", "reboot", "silence"])
@given(seed=SEEDS)
def test_a_damaged_reply_is_not_understood(name: str, seed: int) -> None:
    """The CRC and the length see to that."""
    assert understood(injector(seed, **{name: 1}).reply(REPLY).data) == []


@given(SEEDS)
def test_a_reply_after_noise_is_understood(seed: int) -> None:
    """The receiver finds the start."""
    assert understood(injector(seed, noise=1).reply(REPLY).data) == [
        RegistersReply(CommandCode.READ_MODBUS, tuple(range(16)))
    ]


@pytest.mark.parametrize("name", FAULT_NAMES)
def test_the_probability_is_kept_and_counted(name: str) -> None:
    """A fifth of a thousand, within what chance allows."""
    faults = injector(3, **{name: 0.2})
    for _ in range(1000):
        faults.request(REPLY)
        faults.reply(REPLY)

    assert 150 <= faults.counts[name] <= 250
    assert sum(faults.counts.values()) == faults.counts[name]


def test_the_same_seed_gives_the_same_faults() -> None:
    """A failure can be repeated."""
    chances = dict.fromkeys(FAULT_NAMES, 0.5)
    first, second, other = injector(7, **chances), injector(7, **chances), injector(8, **chances)

    mangled = [[faults.reply(REPLY) for _ in range(20)] for faults in (first, second, other)]

    assert mangled[0] == mangled[1] != mangled[2]


def test_the_plan_can_be_changed_while_the_line_is_in_use() -> None:
    """Bad weather comes and goes."""
    faults = injector(silence=1)
    seen = [faults.reply(REPLY).data]
    faults.plan = FaultPlan()
    seen.append(faults.reply(REPLY).data)

    assert seen == [b"", REPLY]


def test_a_plan_is_read_from_text() -> None:
    """As on the command line; names may have hyphens, later items win."""
    plan = parse_faults(["bit_flip=0.25", "lost-byte = 0.5", "bit_flip=0.01"])

    assert (plan.bit_flip, plan.lost_byte, plan.noise) == (0.01, 0.5, 0.0)
    assert parse_faults([]) == FaultPlan()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("fire=1", "'fire=1' is not a fault: use name=probability with bit_flip, lost_byte"),
        ("late_s=1", "is not a fault"),
        ("bit_flip", "the probability of bit_flip is a number of 0 to 1"),
        ("bit_flip=often", "the probability of bit_flip is a number of 0 to 1"),
        ("bit_flip=1.01", "the probability of bit_flip is a number of 0 to 1"),
        ("bit_flip=nan", "the probability of bit_flip is a number of 0 to 1"),
    ],
)
def test_a_mistake_names_what_is_allowed(item: str, message: str) -> None:
    """In one line."""
    with pytest.raises(ValueError, match=message):
        parse_faults([item])


@pytest.mark.parametrize("values", [{"late_s": -1.0}, {"late_s": 61.0}, {"noise_bytes": 0}, {"noise_bytes": 256}])
def test_times_and_numbers_have_their_range(values: dict[str, float]) -> None:
    """A minute of lateness is enough for anybody."""
    with pytest.raises(ValueError, match="late_s is 0 to 60 and noise_bytes 1 to 255"):
        FaultPlan(**values)  # type: ignore[arg-type]
