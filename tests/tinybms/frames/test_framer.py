from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tinybms_bridge.tinybms.frames import (
    Ack,
    Action,
    ActionRequest,
    CellValues,
    CommandCode,
    CrcMismatch,
    Event,
    EventEntry,
    EventsReply,
    FloatValue,
    Framer,
    Garbage,
    Nack,
    ReadBlock,
    ReadList,
    ReadModbus,
    ReadSettingValues,
    RegisterPairs,
    RegistersReply,
    Reply,
    Request,
    SettingsTable,
    SettingsValues,
    ShortValue,
    SimpleRequest,
    WriteDone,
    WriteList,
    WriteModbus,
)

RELAXED = settings(deadline=None)
CUTS = st.lists(st.integers(0, 2000), max_size=12)

STATUS = SimpleRequest(CommandCode.STATUS)
IDLE = ShortValue(CommandCode.STATUS, 0x97)


def _joined(reply: Reply) -> bytes:
    return b"".join(reply.encode())


@pytest.fixture
def framer() -> Framer:
    """A framer that waits for nothing."""
    return Framer()


@RELAXED
@given(data=st.data(), positions=CUTS)
def test_any_reply_cut_anywhere(
    exchanges: SearchStrategy[tuple[Request, Reply]],
    cut: Callable[[bytes, list[int]], list[bytes]],
    data: st.DataObject,
    positions: list[int],
) -> None:
    """Every kind of reply is delivered once, whole, with the last piece, however the stream is cut."""
    request, reply = data.draw(exchanges)
    framer = Framer()
    framer.expect(request)
    events = [framer.feed(piece) for piece in cut(_joined(reply), positions)]

    assert [event for batch in events for event in batch] == [reply]


@RELAXED
@given(data=st.data(), positions=CUTS)
def test_cut_stream_gives_the_same_events(
    exchanges: SearchStrategy[tuple[Request, Reply]],
    cut: Callable[[bytes, list[int]], list[bytes]],
    merged: Callable[[list[Event]], list[Event]],
    data: st.DataObject,
    positions: list[int],
) -> None:
    """Noise, a damaged copy and the reply give the same events at once and in pieces."""
    request, reply = data.draw(exchanges)
    good = _joined(reply)
    damaged = good[:-1] + bytes((good[-1] ^ 0xFF,))
    stream = data.draw(st.binary(max_size=20)) + damaged + data.draw(st.binary(max_size=20)) + good
    at_once, in_pieces = Framer(), Framer()
    at_once.expect(request)
    in_pieces.expect(request)

    expected = at_once.feed(stream)
    events = [event for piece in cut(stream, positions) for event in in_pieces.feed(piece)]

    assert merged(events) == merged(expected)


@RELAXED
@given(data=st.data())
def test_missing_counts_down_to_the_reply(
    exchanges: SearchStrategy[tuple[Request, Reply]], data: st.DataObject
) -> None:
    """Feeding exactly the missing bytes again and again ends at the reply and never goes past it."""
    request, reply = data.draw(exchanges)
    stream = _joined(reply)
    framer = Framer()
    framer.expect(request)
    events: list[Event] = []
    while stream and framer.missing:
        piece, stream = stream[: framer.missing], stream[framer.missing :]
        events += framer.feed(piece)

    assert (events, stream, framer.missing) == ([reply], b"", 0)


@RELAXED
@given(data=st.data(), code=st.integers(0, 255))
def test_refusal_of_any_request(requests: SearchStrategy[Request], data: st.DataObject, code: int) -> None:
    """Every request can be answered by a NACK with any code."""
    request = data.draw(requests)
    framer = Framer()
    framer.expect(request)

    assert framer.feed(_joined(Nack(request.command, code))) == [Nack(request.command, code)]


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (ReadModbus(0, 127), RegistersReply(CommandCode.READ_MODBUS, (0xAAAA,) * 127)),
        (ReadBlock(0, 255), RegistersReply(CommandCode.READ_BLOCK, (0xAAAA,) * 255)),
        (ReadList((0xAAAA,) * 31), RegisterPairs(((0xAAAA, 0xAAAA),) * 31)),
        (ReadSettingValues(SettingsTable.CURRENT, 100), SettingsValues(SettingsTable.CURRENT, (0xAAAA,) * 100)),
        (SimpleRequest(CommandCode.EVENTS_ALL), EventsReply(False, 0, (EventEntry(0xAAAAAA, 0xAA),) * 49)),
        (SimpleRequest(CommandCode.EVENTS_NEWEST), EventsReply(True, 0, ())),
        (SimpleRequest(CommandCode.CELLS), CellValues((0xAAAA,) * 16)),
        (SimpleRequest(CommandCode.CELLS), CellValues(())),
    ],
)
def test_longest_and_shortest_replies(framer: Framer, request_: Request, reply: Reply) -> None:
    """The extremes of each variable reply are accepted, filled with start bytes and fed byte by byte."""
    framer.expect(request_)

    assert [event for byte in _joined(reply) for event in framer.feed(bytes((byte,)))] == [reply]


def test_nothing_is_expected_at_first(framer: Framer) -> None:
    """Without a request everything is garbage and nothing is kept."""
    assert framer.feed(_joined(IDLE)) == [Garbage(_joined(IDLE))]
    assert framer.missing == 0


def test_expectation_is_fulfilled_by_one_reply(framer: Framer) -> None:
    """A doubled reply is delivered once; its copy is garbage."""
    framer.expect(STATUS)

    assert framer.feed(_joined(IDLE) * 2) == [IDLE, Garbage(_joined(IDLE))]
    assert framer.feed(_joined(IDLE)) == [Garbage(_joined(IDLE))]


def test_empty_input(framer: Framer) -> None:
    """Nothing in, nothing out."""
    framer.expect(STATUS)

    assert framer.feed(b"") == []


def test_expect_forgets_partial_reply(framer: Framer) -> None:
    """The rest of a late reply cannot complete the reply to the next request."""
    framer.expect(STATUS)
    framer.feed(_joined(IDLE)[:4])
    framer.expect(STATUS)

    assert framer.feed(_joined(IDLE)[4:]) == [Garbage(_joined(IDLE)[4:])]
    assert framer.feed(_joined(IDLE)) == [IDLE]


def test_expect_forgets_joined_packets(framer: Framer) -> None:
    """The first packet of an old reply is not joined with the second packet of the next one."""
    old = RegistersReply(CommandCode.READ_BLOCK, (1,) * 57).encode()
    new = RegistersReply(CommandCode.READ_BLOCK, (2,) * 57)
    framer.expect(ReadBlock(0, 57))
    framer.feed(old[0])
    framer.expect(ReadBlock(0, 57))

    assert framer.feed(b"".join(new.encode())) == [new]


def test_reset_drops_expectation_and_bytes(framer: Framer) -> None:
    """After a reset the rest of a reply is garbage."""
    framer.expect(STATUS)
    framer.feed(_joined(IDLE)[:3])
    framer.reset()

    assert framer.missing == 0
    assert framer.feed(_joined(IDLE)[3:]) == [Garbage(_joined(IDLE)[3:])]


@pytest.mark.parametrize(
    ("request_", "late"),
    [
        (STATUS, FloatValue(CommandCode.PACK_VOLTAGE, 55.78)),
        (ReadModbus(0, 5), RegistersReply(CommandCode.READ_MODBUS, (1, 2, 3, 4))),
        (ReadModbus(0, 5), RegistersReply(CommandCode.READ_MODBUS, (1, 2, 3, 4, 5, 6))),
        (ReadModbus(0, 5), RegistersReply(CommandCode.READ_BLOCK, (1, 2, 3, 4, 5))),
        (ReadBlock(0, 5), RegistersReply(CommandCode.READ_BLOCK, (1, 2, 3, 4))),
        (ReadBlock(0, 57), RegistersReply(CommandCode.READ_BLOCK, (1, 2, 3))),
        (ReadList((34, 35)), RegisterPairs(((34, 1), (36, 2)))),
        (ReadList((34, 35)), RegisterPairs(((35, 1), (34, 2)))),
        (ReadList((34, 35)), RegisterPairs(((34, 1),))),
        (WriteModbus(315, (1, 2)), WriteDone(316, 2)),
        (WriteModbus(315, (1, 2)), WriteDone(315, 1)),
        (ActionRequest(Action.CLEAR_EVENTS), Ack(CommandCode.WRITE_LIST)),
        (ReadModbus(0, 5), Ack(CommandCode.ACTION)),
        (STATUS, Nack(CommandCode.SOC, 0)),
        (ReadSettingValues(SettingsTable.CURRENT, 44), SettingsValues(SettingsTable.CURRENT, (0,) * 43)),
        (SimpleRequest(CommandCode.EVENTS_NEWEST), EventsReply(False, 0, ())),
        (SimpleRequest(CommandCode.EVENTS_ALL), EventsReply(False, 0, (EventEntry(1, 1),) * 50)),
    ],
)
def test_reply_to_another_request_is_garbage(framer: Framer, request_: Request, late: Reply) -> None:
    """A valid frame of another command, length, address or acknowledgement never answers a request."""
    framer.expect(request_)

    assert framer.feed(_joined(late)) == [Garbage(_joined(late))]


def test_late_reply_before_the_right_one(framer: Framer) -> None:
    """A late reply is skipped and the right one, in the same burst, is found."""
    late = _joined(FloatValue(CommandCode.PACK_CURRENT, -3.0))
    framer.expect(STATUS)

    assert framer.feed(late + _joined(IDLE)) == [Garbage(late), IDLE]


def test_settings_table_comes_from_the_request(framer: Framer) -> None:
    """The wire does not say whether values are minima or maxima; the request does."""
    values = SettingsValues(SettingsTable.CURRENT, (1200, 1000))
    framer.expect(ReadSettingValues(SettingsTable.MAXIMUM, 2))

    assert framer.feed(_joined(values)) == [SettingsValues(SettingsTable.MAXIMUM, (1200, 1000))]


def test_packet_ids_are_ignored(framer: Framer) -> None:
    """Packets are joined in order of arrival, whichever way the ids count."""
    reply = RegistersReply(CommandCode.READ_BLOCK, tuple(range(100)))
    framer.expect(ReadBlock(0, 100))

    assert framer.feed(b"".join(reply.encode(count_down=False))) == [reply]


def test_noise_between_packets(framer: Framer) -> None:
    """Text between two packets is skipped without losing the first packet."""
    reply = RegistersReply(CommandCode.READ_BLOCK, tuple(range(57)))
    first, second = reply.encode()
    framer.expect(ReadBlock(0, 57))

    assert framer.feed(first + b"BPV:49.05\r\n" + second) == [Garbage(b"BPV:49.05\r\n"), reply]


def test_refusal_after_the_first_packet(framer: Framer) -> None:
    """A NACK ends the wait for a second packet."""
    first, _ = RegistersReply(CommandCode.READ_BLOCK, (0,) * 57).encode()
    framer.expect(ReadBlock(0, 57))

    assert framer.feed(first) == []
    assert framer.feed(_joined(Nack(CommandCode.READ_BLOCK, 0))) == [Nack(CommandCode.READ_BLOCK, 0)]


@RELAXED
@given(data=st.data())
def test_no_answer_is_shorter_than_said(exchanges: SearchStrategy[tuple[Request, Reply]], data: st.DataObject) -> None:
    """Whoever reads nothing before so many bytes can be there waits for no byte in vain."""
    request, reply = data.draw(exchanges)
    framer = Framer()
    assert framer.answer_bytes == 0
    framer.expect(request)
    said = framer.answer_bytes

    assert 5 <= said <= len(_joined(reply)) or isinstance(reply, Nack)
    assert ReadModbus(0, 56) != request or said == 117


@pytest.mark.parametrize(
    ("request_", "received", "missing"),
    [
        (ReadModbus(0, 56), "", 6),
        (ReadModbus(0, 56), "AA", 5),
        (ReadModbus(0, 56), "AA 03", 115),
        (ReadModbus(0, 56), "AA 00", 4),
        (WriteList(((300, 1),)), "", 5),
        (WriteList(((300, 1),)), "AA 01", 3),
        (ReadBlock(0, 57), "AA 07", 122),
        (SimpleRequest(CommandCode.CELLS), "AA 1C", 3),
        (SimpleRequest(CommandCode.CELLS), "AA 1C 1C", 30),
    ],
)
def test_missing(framer: Framer, request_: Request, received: str, missing: int) -> None:
    """The least number of bytes that can complete a reply is known at every stage."""
    framer.expect(request_)
    framer.feed(bytes.fromhex(received))

    assert framer.missing == missing


def test_crc_mismatch_shows_both_numbers(framer: Framer) -> None:
    """A damaged reply is shown with its CRCs, then counted as garbage byte by byte."""
    good = _joined(IDLE)
    bad = good[:-1] + bytes((good[-1] ^ 0x01,))
    framer.expect(STATUS)
    mismatch, garbage = framer.feed(bad)

    assert isinstance(mismatch, CrcMismatch)
    assert mismatch.frame == bad
    assert mismatch.expected == int.from_bytes(good[-2:], "little")
    assert mismatch.received == int.from_bytes(bad[-2:], "little")
    assert garbage == Garbage(bad)


def test_buffer_too_small_for_the_reply() -> None:
    """A request whose reply could not be kept is refused at once, naming both numbers."""
    with pytest.raises(ValueError, match="the reply may have 259 bytes, the buffer holds 128"):
        Framer(max_buffer=128).expect(ReadModbus(0, 127))


def test_refused_expectation_changes_nothing() -> None:
    """A request that does not fit the buffer leaves the one before in force."""
    framer = Framer(max_buffer=16)
    framer.expect(STATUS)
    with pytest.raises(ValueError, match="the buffer holds 16"):
        framer.expect(ReadModbus(0, 127))

    assert framer.feed(_joined(IDLE)) == [IDLE]
