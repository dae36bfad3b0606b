from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.hal.clock import FakeClock
from tinybms_bridge.tinybms.frames import START, Action
from tinybms_bridge.tinybms.simulator import BmsOptions, DumpDevice, SimulatedBms, Switches, parse_profile, real_dump
from tinybms_bridge.tinybms.simulator.broadcast import Broadcaster, ascii_line, ca_v3_line, soc_bar_bytes

PassTime = Callable[[float], None]
INTERVALS_S = {1: 0.1, 2: 0.2, 3: 0.5, 4: 1.0, 5: 2.0, 6: 5.0, 7: 10.0}
BOTH = Switches(load=True, charger=True)
ANY_WORDS = st.lists(st.integers(0, 0xFFFF), min_size=56, max_size=56)


@pytest.fixture
def awake(clock: FakeClock) -> SimulatedBms:
    """A pack under load that does not fall asleep."""
    return SimulatedBms.build(
        clock, profile=parse_profile("discharge"), options=BmsOptions(external_sensors=1, asleep_allowed=False)
    )


def words(device: SimulatedBms | DumpDevice, address: int, count: int) -> tuple[int, ...]:
    """Return registers."""
    found = device.read(address, count)
    assert found is not None
    return found


def heard(broadcaster: Broadcaster, pass_time: PassTime, seconds: float) -> list[tuple[float, bytes]]:
    """Return what is sent in a time, each with its moment."""
    texts = []
    for tick in range(round(seconds * 10)):
        pass_time(0.1)
        text = broadcaster.poll()
        if text:
            texts.append((round((tick + 1) * 0.1, 1), text))
    return texts


def test_nothing_is_sent_unasked_by_default(awake: SimulatedBms, clock: FakeClock, pass_time: PassTime) -> None:
    """Register 342 is 0."""
    assert heard(Broadcaster(awake, clock), pass_time, 30.0) == []


@pytest.mark.parametrize(("code", "interval_s"), INTERVALS_S.items())
def test_text_comes_at_the_configured_time(
    awake: SimulatedBms, clock: FakeClock, pass_time: PassTime, code: int, interval_s: float
) -> None:
    """0.1 s to 10 s."""
    awake.write([(342, code), (343, 1)])
    times_s = [time_s for time_s, _ in heard(Broadcaster(awake, clock), pass_time, 40.0)]

    assert len(times_s) == round(40.0 / interval_s)
    assert times_s[0] == interval_s


def test_switching_it_off_ends_it(awake: SimulatedBms, clock: FakeClock, pass_time: PassTime) -> None:
    """And switching it on begins with a whole interval."""
    broadcaster = Broadcaster(awake, clock)
    awake.write([(342, 4)])
    first = heard(broadcaster, pass_time, 3.0)
    awake.write([(342, 0)])
    none = heard(broadcaster, pass_time, 5.0)
    awake.write([(342, 4)])
    again = heard(broadcaster, pass_time, 1.5)

    assert (len(first), none) == (3, [])
    assert [time_s for time_s, _ in again] == [1.0]


def test_a_gap_is_not_made_up_for(awake: SimulatedBms, clock: FakeClock, pass_time: PassTime) -> None:
    """A simulation that was suspended does not pour out what it missed."""
    broadcaster = Broadcaster(awake, clock)
    awake.write([(342, 1)])
    pass_time(3600.0)

    assert sum(bool(broadcaster.poll()) for _ in range(20)) <= 2


def test_a_silent_device_says_nothing(clock: FakeClock, pass_time: PassTime) -> None:
    """Restarting, then asleep."""
    device = SimulatedBms.build(clock)
    broadcaster = Broadcaster(device, clock)
    device.write([(342, 1), (343, 1)])
    device.act(Action.RESET)
    restarting = heard(broadcaster, pass_time, 1.3)
    awake = heard(broadcaster, pass_time, 8.0)
    asleep = heard(broadcaster, pass_time, 10.0)

    assert restarting == []
    assert len(awake) > 60
    assert len(asleep) < 30
    assert device.asleep


def test_ca_v3_is_thirteen_numbers(awake: SimulatedBms, pass_time: PassTime) -> None:
    """Separated by tabs; charge used, volts, amperes drawn."""
    pass_time(1.0)
    line = ca_v3_line(words(awake, 0, 56), 100.0)
    numbers = [float(field) for field in line.decode("ascii").split("\t")]

    assert line.endswith(b"\r\n")
    assert len(numbers) == 13
    assert numbers[0] == pytest.approx(40.0, abs=0.1)
    assert numbers[1] == pytest.approx(52.7, abs=0.2)
    assert numbers[2] == 30.0


def test_ascii_is_keys_and_values(awake: SimulatedBms, pass_time: PassTime) -> None:
    """The only place where the switches can be seen; an absent sensor is four dashes."""
    pass_time(1.0)
    line = ascii_line(words(awake, 0, 56), words(awake, 300, 44), awake.switches)
    fields = dict(field.split(":") for field in line.decode("ascii").removesuffix("\r\n").split("\t"))

    assert line.endswith(b"\r\n")
    assert float(fields["BPV"]) == pytest.approx(52.7, abs=0.2)
    assert 3.2 < float(fields["MINCV"]) < 3.4
    assert fields["OS"] == "147"
    assert (fields["ET1"], fields["ET2"]) == ("25.0", "----")
    assert (fields["LST"], fields["LSS"], fields["CST"], fields["CSS"]) == ("0", "1", "7", "0")
    assert "SS" not in fields


def test_single_port_mode_has_one_switch(awake: SimulatedBms) -> None:
    """ST and SS in place of the four."""
    settings = list(words(awake, 300, 44))
    settings[40], settings[41] = 1, 5
    line = ascii_line(words(awake, 0, 56), settings, BOTH).decode("ascii")

    assert "\tST:5\tSS:1\r\n" in line
    assert "LST" not in line


def test_a_cold_sensor_is_a_negative_number(awake: SimulatedBms) -> None:
    """-12.5 degrees."""
    live = list(words(awake, 0, 56))
    live[42] = 0x10000 - 125

    assert "ET1:-12.5" in ascii_line(live, words(awake, 300, 44), BOTH).decode("ascii")


@given(ANY_WORDS)
def test_no_text_holds_a_start_byte(live: list[int]) -> None:
    """So that a receiver never takes it for a frame; what SOC BAR really sends nobody knows."""
    live[36:40] = [0, 0x4250, 0, 0xC120]

    assert START not in ca_v3_line(live, 100.0)
    assert START not in ascii_line(live, [0] * 44, BOTH)
    assert START not in soc_bar_bytes(live)


@pytest.mark.parametrize(("soc", "lit"), [(0, 0), (4, 0), (5, 1), (50, 5), (96, 10), (100, 10)])
def test_the_bar_shows_the_charge(soc: int, lit: int) -> None:
    """Ten lamps."""
    live = [0] * 56
    live[46], live[47] = (soc * 1_000_000) & 0xFFFF, soc * 1_000_000 >> 16

    assert soc_bar_bytes(live)[1] == lit


@pytest.mark.parametrize(
    ("protocol", "test"),
    [(0, lambda text: b"\t" in text), (1, lambda text: b"BPV:" in text), (2, lambda text: len(text) == 4)],
)
def test_register_343_chooses_the_format(
    awake: SimulatedBms, clock: FakeClock, pass_time: PassTime, protocol: int, test: Callable[[bytes], bool]
) -> None:
    """CA V3, ASCII, SOC BAR."""
    awake.write([(342, 4), (343, protocol)])
    (text,) = [text for _, text in heard(Broadcaster(awake, clock), pass_time, 1.5)]

    assert test(text)


def test_a_replayed_unit_broadcasts_too(clock: FakeClock, pass_time: PassTime) -> None:
    """55.78 V, no sensors."""
    device = DumpDevice(real_dump(), clock)
    device.write([(342, 4), (343, 1)])
    (text,) = [text for _, text in heard(Broadcaster(device, clock), pass_time, 1.5)]

    assert text.startswith(b"BPV:55.78\t")
    assert b"ET1:----\tET2:----" in text
