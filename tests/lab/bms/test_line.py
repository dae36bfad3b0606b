"""The device's end of a line: what is on the wire at which moment."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.frames import (
    START,
    Action,
    CommandCode,
    Framer,
    ReadBlock,
    ReadModbus,
    RegistersReply,
    ShortValue,
    SimpleRequest,
)
from tinybms_lab.bms import (
    BmsOptions,
    DumpDevice,
    FaultInjector,
    FaultPlan,
    Line,
    PacketId,
    Quirks,
    SimulatedBms,
    SwitchStates,
    parse_profile,
    real_dump,
)
from tinybms_lab.bms.line import BAUDRATE, TextBroadcaster, Wire, ascii_line, ca_v3_line, soc_bar_bytes
from tinybms_lab.testing.fake_clock import FakeClock

_CHUNKS = st.sampled_from([None, 1, 3, 64])
_MESSAGES = st.lists(st.tuples(st.floats(min_value=0.0, max_value=0.05), st.binary(max_size=200)), max_size=6)


def _play(wire: Wire) -> list[tuple[float, bytes]]:
    """Deliver everything, each time when the wire says that it is worth it."""
    pieces: list[tuple[float, bytes]] = []
    while (now_s := wire.next_s) is not None:
        pieces += [(now_s, piece) for piece in wire.due(now_s)]
    return pieces


@given(_MESSAGES, _CHUNKS)
def test_every_byte_arrives_once_and_in_order(messages: list[tuple[float, bytes]], chunk: int | None) -> None:
    """However messages overlap and however they are cut."""
    wire = Wire(115200, chunk)
    for start_s, data in messages:
        wire.send(start_s, data)

    assert b"".join(piece for _, piece in _play(wire)) == b"".join(data for _, data in messages)
    assert wire.next_s is None


@given(_MESSAGES, _CHUNKS, st.sampled_from([9600, 115200, 1_000_000]))
def test_no_byte_is_early(messages: list[tuple[float, bytes]], chunk: int | None, baudrate: int) -> None:
    """Ten bits each, one message after the other."""
    wire = Wire(baudrate, chunk)
    free_s = 0.0
    due_s: list[float] = []
    for start_s, data in messages:
        wire.send(start_s, data)
        if data:
            begin_s = max(free_s, start_s)
            due_s += [begin_s + (i + 1) * 10 / baudrate for i in range(len(data))]
            free_s = begin_s + len(data) * 10 / baudrate

    delivered = 0
    for now_s, piece in _play(wire):
        delivered += len(piece)
        assert now_s >= due_s[delivered - 1] - 1e-9
    assert delivered == len(due_s)


def test_a_long_reply_comes_in_pieces_of_about_a_millisecond() -> None:
    """Not all at the end: a client sees it grow."""
    wire = Wire(115200)
    wire.send(0.0, bytes(117))
    pieces = _play(wire)

    assert [len(piece) for _, piece in pieces] == [11] * 10 + [7]
    assert pieces[-1][0] == pytest.approx(117 * 10 / 115200)


def test_a_late_timer_delivers_what_is_complete() -> None:
    """Nothing is lost or delayed twice when the loop was busy."""
    wire = Wire(115200)
    wire.send(0.0, bytes(100))

    assert [len(piece) for piece in wire.due(0.005)] == [57]
    assert [len(piece) for piece in wire.due(1.0)] == [43]


def test_an_adapter_collects_64_bytes() -> None:
    """As a CP2102 does: 64 and 55 of a 119-byte reply."""
    wire = Wire(115200, 64)
    wire.send(0.0, bytes(119))

    assert [(round(now_s * 1000, 1), len(piece)) for now_s, piece in _play(wire)] == [(5.6, 64), (10.3, 55)]


def test_single_bytes_are_delivered_singly() -> None:
    """The hardest case for a client's receiver."""
    wire = Wire(115200, 1)
    wire.send(0.0, b"abcdef")

    assert [piece for _, piece in _play(wire)] == [b"a", b"b", b"c", b"d", b"e", b"f"]


def test_a_message_waits_until_the_line_is_free() -> None:
    """Two replies do not mix."""
    wire = Wire(115200)
    wire.send(0.0, b"x" * 100)
    wire.send(0.001, b"y")

    now_s, piece = _play(wire)[-1]

    assert piece == b"y"
    assert now_s == pytest.approx(101 * 10 / 115200)


def test_receiving_takes_time_too() -> None:
    """A request of 8 bytes has arrived after 0.69 ms, a second one behind it later."""
    wire = Wire(115200)

    assert wire.received(1.0, 8) == pytest.approx(1.0 + 80 / 115200)
    assert wire.received(1.0, 8) == pytest.approx(1.0 + 160 / 115200)
    assert wire.received(2.0, 1) == pytest.approx(2.0 + 10 / 115200)


def test_a_slow_line_is_slow() -> None:
    """At 9600 baud a byte takes more than a millisecond."""
    wire = Wire(9600)
    wire.send(0.0, b"ab")

    assert wire.character_s == pytest.approx(0.00104, rel=0.01)
    assert [piece for _, piece in _play(wire)] == [b"a", b"b"]


def test_clearing_drops_what_is_under_way() -> None:
    """The device was unplugged."""
    wire = Wire(115200)
    wire.send(0.0, bytes(50))
    wire.due(0.001)
    wire.clear()

    assert wire.next_s is None
    assert wire.due(9.0) == []
    wire.send(0.5, b"z")
    assert wire.next_s == pytest.approx(0.5 + 10 / 115200)


@pytest.mark.parametrize(("baudrate", "chunk"), [(0, None), (-1, None), (115200, 0), (115200, -64)])
def test_impossible_lines_are_refused(baudrate: int, chunk: int | None) -> None:
    """Both numbers are told."""
    with pytest.raises(ValueError, match=f"got {baudrate} and {chunk}"):
        Wire(baudrate, chunk)


PassTime = Callable[[float], None]
INTERVALS_S = {1: 0.1, 2: 0.2, 3: 0.5, 4: 1.0, 5: 2.0, 6: 5.0, 7: 10.0}
BOTH = SwitchStates(load=True, charger=True)
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


def heard(broadcaster: TextBroadcaster, pass_time: PassTime, seconds: float) -> list[tuple[float, bytes]]:
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
    assert heard(TextBroadcaster(awake, clock), pass_time, 30.0) == []


@pytest.mark.parametrize(("code", "interval_s"), INTERVALS_S.items())
def test_text_comes_at_the_configured_time(
    awake: SimulatedBms, clock: FakeClock, pass_time: PassTime, code: int, interval_s: float
) -> None:
    """0.1 s to 10 s."""
    awake.write([(342, code), (343, 1)])
    times_s = [time_s for time_s, _ in heard(TextBroadcaster(awake, clock), pass_time, 40.0)]

    assert len(times_s) == round(40.0 / interval_s)
    assert times_s[0] == interval_s


def test_switching_it_off_ends_it(awake: SimulatedBms, clock: FakeClock, pass_time: PassTime) -> None:
    """And switching it on begins with a whole interval."""
    broadcaster = TextBroadcaster(awake, clock)
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
    broadcaster = TextBroadcaster(awake, clock)
    awake.write([(342, 1)])
    pass_time(3600.0)

    assert sum(bool(broadcaster.poll()) for _ in range(20)) <= 2


def test_a_silent_device_says_nothing(clock: FakeClock, pass_time: PassTime) -> None:
    """Restarting, then asleep."""
    device = SimulatedBms.build(clock)
    broadcaster = TextBroadcaster(device, clock)
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
    (text,) = [text for _, text in heard(TextBroadcaster(awake, clock), pass_time, 1.5)]

    assert test(text)


def test_a_replayed_unit_broadcasts_too(clock: FakeClock, pass_time: PassTime) -> None:
    """55.78 V, no sensors."""
    device = DumpDevice(real_dump(), clock)
    device.write([(342, 4), (343, 1)])
    (text,) = [text for _, text in heard(TextBroadcaster(device, clock), pass_time, 1.5)]

    assert text.startswith(b"BPV:55.78\t")
    assert b"ET1:----\tET2:----" in text


CHARACTER_S = 10 / BAUDRATE
STATUS = SimpleRequest(CommandCode.STATUS).encode()
IDLE = ShortValue(CommandCode.STATUS, 0x97).encode()[0]
LIVE = ReadModbus(0, 56)


@pytest.fixture
def unit(clock: FakeClock) -> DumpDevice:
    """The capture of the real unit."""
    return DumpDevice(real_dump(), clock)


@pytest.fixture
def line(clock: FakeClock, unit: DumpDevice) -> Line:
    """A good line to it."""
    return Line(unit, clock)


def after(line: Line, pass_time: PassTime, seconds: float) -> bytes:
    """Return what arrives within a time."""
    pass_time(seconds)
    return b"".join(line.due())


def test_a_reply_takes_the_time_of_both_directions(line: Line, pass_time: PassTime) -> None:
    """8 and 117 bytes, and a millisecond between them."""
    line.receive(LIVE.encode())
    needed_s = (8 + 117) * CHARACTER_S + 0.001

    early = after(line, pass_time, needed_s - CHARACTER_S / 2)
    rest = after(line, pass_time, CHARACTER_S)

    assert (len(early), len(rest)) == (116, 1)
    assert line.next_s is None


def test_replies_come_one_after_the_other(line: Line, pass_time: PassTime) -> None:
    """Never mixed."""
    line.receive(STATUS + LIVE.encode())
    data = after(line, pass_time, 0.1)

    assert data[:6] == IDLE
    assert data[6:9] == b"\xaa\x03\x70"


def test_text_fills_the_silence_between_replies(clock: FakeClock, pass_time: PassTime) -> None:
    """It waits while a command is answered, then goes on; the reply stays whole."""
    device = SimulatedBms.build(clock)
    device.write([(342, 1), (343, 1)])
    line = Line(device, clock)
    pass_time(0.1)
    line.receive(ReadModbus(0, 127).encode())
    line.tick()
    data = after(line, pass_time, 0.2)
    framer = Framer()
    framer.expect(ReadModbus(0, 127))
    events = framer.feed(data)

    assert isinstance(events[0], RegistersReply)
    assert data[259:].startswith(b"BPV:")
    assert data.endswith(b"\r\n")


def test_a_request_waits_for_the_text_under_way(clock: FakeClock, pass_time: PassTime) -> None:
    """A line of text that has begun is finished first."""
    device = SimulatedBms.build(clock)
    device.write([(342, 1), (343, 1)])
    line = Line(device, clock)
    pass_time(0.1)
    line.tick()
    begun = after(line, pass_time, 0.002)
    line.receive(STATUS)
    rest = after(line, pass_time, 0.05)

    assert begun.startswith(b"BPV:")
    assert rest.endswith(b"\r\n" + IDLE)


def test_a_late_reply_holds_up_the_next(clock: FakeClock, unit: DumpDevice, pass_time: PassTime) -> None:
    """A device answers in order."""
    line = Line(unit, clock, faults=FaultInjector(FaultPlan(late_reply=1.0, late_s=0.5)))
    line.receive(LIVE.encode())
    line.faults.plan = FaultPlan()
    line.receive(STATUS)
    early = after(line, pass_time, 0.02)
    data = early + after(line, pass_time, 1.0)

    assert early == b""
    assert (data[:3], data[117:]) == (b"\xaa\x03\x70", IDLE)


def test_a_restart_in_the_middle_of_a_reply(clock: FakeClock, unit: DumpDevice, pass_time: PassTime) -> None:
    """A piece of it comes, and nothing for one and a half seconds."""
    line = Line(unit, clock, faults=FaultInjector(FaultPlan(reboot=1.0)))
    line.receive(LIVE.encode())
    piece = after(line, pass_time, 0.1)
    line.faults.plan = FaultPlan()
    line.receive(STATUS)
    silence = after(line, pass_time, 1.5)
    line.receive(STATUS)

    assert len(piece) < 117
    assert silence == b""
    assert after(line, pass_time, 0.1) == IDLE


def test_a_corrupted_request_is_refused(clock: FakeClock, unit: DumpDevice, pass_time: PassTime) -> None:
    """By a bit in its last byte; the device says that the CRC is wrong."""
    line = Line(unit, clock)
    line.receive(STATUS[:-1] + bytes((STATUS[-1] ^ 1,)))

    assert after(line, pass_time, 0.1)[:4] == bytes((0xAA, 0x00, CommandCode.STATUS, 0x01))


def test_habits_and_latency_reach_the_line(clock: FakeClock, unit: DumpDevice, pass_time: PassTime) -> None:
    """As options."""
    line = Line(unit, clock, latency_s=0.02, quirks=Quirks(packet_id=PacketId.TOTAL))
    line.receive(ReadBlock(0, 70).encode())
    early = after(line, pass_time, 0.02)
    data = after(line, pass_time, 0.1)

    assert early == b""
    assert (data[2], data[68 + 2]) == (0x83, 0x83)


def test_an_adapter_collects_bytes(clock: FakeClock, unit: DumpDevice, pass_time: PassTime) -> None:
    """64 at a time."""
    line = Line(unit, clock, chunk=64)
    line.receive(LIVE.encode())
    pass_time(0.1)

    assert [len(piece) for piece in line.due()] == [64, 53]


def test_what_is_under_way_can_be_dropped(line: Line, pass_time: PassTime) -> None:
    """When the port closes."""
    line.receive(LIVE.encode())
    line.clear()

    assert line.next_s is None
    assert after(line, pass_time, 0.1) == b""


def test_half_a_request_at_another_speed_is_forgotten(line: Line, pass_time: PassTime) -> None:
    """It does not mix with what follows."""
    line.receive(LIVE.encode()[:5])
    line.mistuned()
    line.receive(STATUS)

    assert after(line, pass_time, 0.1) == IDLE


@pytest.mark.parametrize(("baudrate", "chunk"), [(0, None), (115200, 0)])
def test_impossible_options_are_refused(clock: FakeClock, unit: DumpDevice, baudrate: int, chunk: int | None) -> None:
    """Before anything is sent."""
    with pytest.raises(ValueError, match="must be above 0"):
        Line(unit, clock, baudrate=baudrate, chunk=chunk)
