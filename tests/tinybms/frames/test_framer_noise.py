from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tinybms_bridge.tinybms.frames import (
    CommandCode,
    CrcMismatch,
    Event,
    Framer,
    Garbage,
    ReadBlock,
    ReadModbus,
    RegistersReply,
    Reply,
    Request,
    SimpleRequest,
)

RELAXED = settings(deadline=None)
CUTS = st.lists(st.integers(0, 2000), max_size=12)

ASCII_LINE = b"BPV:49.05\tMINCV:3.766\tMAXCV:3.776\tBPC:-3.03\tSOC:80\tEXT1:----\tOS:151\r\n"
LIVE = ReadModbus(0, 56)
SAMPLE = RegistersReply(CommandCode.READ_MODBUS, tuple(range(56)))
EDGES = [LIVE, ReadBlock(0, 255), SimpleRequest(CommandCode.CELLS), SimpleRequest(CommandCode.EVENTS_ALL)]


def _joined(reply: Reply) -> bytes:
    return b"".join(reply.encode())


def _garbage(events: list[Event]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, Garbage))


def _replies(events: list[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, Garbage | CrcMismatch)]


@RELAXED
@given(data=st.data(), before=st.text(max_size=60), after=st.binary(max_size=60))
def test_text_before_and_noise_after(
    exchanges: SearchStrategy[tuple[Request, Reply]], data: st.DataObject, before: str, after: bytes
) -> None:
    """Broadcast text before a reply and anything after it leave the reply whole."""
    request, reply = data.draw(exchanges)
    text = before.encode("ascii", "replace")
    framer = Framer()
    framer.expect(request)
    events = framer.feed(text + _joined(reply) + after)

    assert _replies(events) == [reply]
    assert _garbage(events) == text + after


def test_broadcast_line_around_a_reply() -> None:
    """The vendor's text line before and after a reply is reported as garbage and nothing else."""
    framer = Framer()
    framer.expect(LIVE)

    assert framer.feed(ASCII_LINE + _joined(SAMPLE) + ASCII_LINE) == [Garbage(ASCII_LINE), SAMPLE, Garbage(ASCII_LINE)]


@pytest.mark.parametrize("noise", ["AA", "AA AA AA", "AA 03", "AA 03 71", "AA 00 07", "00 FF"])
def test_start_bytes_in_noise(noise: str) -> None:
    """Noise that looks like the beginning of a frame does not hide the reply behind it."""
    framer = Framer()
    framer.expect(LIVE)

    assert framer.feed(bytes.fromhex(noise) + _joined(SAMPLE)) == [Garbage(bytes.fromhex(noise)), SAMPLE]


def test_start_bytes_in_data() -> None:
    """A reply full of 0xAA, and of what looks like replies, is still one reply."""
    reply = RegistersReply(CommandCode.READ_MODBUS, (0xAA03, 0x70AA, *(0xAAAA,) * 54))
    framer = Framer()
    framer.expect(LIVE)

    assert framer.feed(_joined(reply)) == [reply]


def test_good_reply_inside_a_damaged_one() -> None:
    """After a CRC error only one byte is dropped, so a reply that begins inside the damaged frame is found."""
    good = _joined(SAMPLE)
    truncated = good[:40]
    framer = Framer()
    framer.expect(LIVE)
    events = framer.feed(truncated + good + bytes(40))

    assert [type(event) for event in events] == [CrcMismatch, Garbage, RegistersReply, Garbage]
    assert _replies(events) == [SAMPLE]
    assert _garbage(events) == truncated + bytes(40)


@RELAXED
@given(data=st.data(), position=st.integers(min_value=0))
def test_a_flipped_bit_never_gives_a_wrong_reply(
    exchanges: SearchStrategy[tuple[Request, Reply]], data: st.DataObject, position: int
) -> None:
    """One wrong bit anywhere: the reply is not delivered, and nothing else is delivered in its place."""
    request, reply = data.draw(exchanges)
    stream = bytearray(_joined(reply))
    index, bit = divmod(position % (8 * len(stream)), 8)
    stream[index] ^= 1 << bit
    framer = Framer()
    framer.expect(request)

    assert _replies(framer.feed(bytes(stream))) == []


@RELAXED
@given(data=st.data(), kept=st.integers(min_value=0))
def test_truncated_reply_gives_nothing(
    exchanges: SearchStrategy[tuple[Request, Reply]], data: st.DataObject, kept: int
) -> None:
    """A reply that stops early delivers nothing, and the framer says that bytes are missing."""
    request, reply = data.draw(exchanges)
    stream = _joined(reply)
    framer = Framer()
    framer.expect(request)

    assert _replies(framer.feed(stream[: kept % len(stream)])) == []
    assert framer.missing > 0


@RELAXED
@given(data=st.data(), lost=st.integers(min_value=0))
def test_lost_byte_then_retry(exchanges: SearchStrategy[tuple[Request, Reply]], data: st.DataObject, lost: int) -> None:
    """After a reply with a lost byte the same request, asked again, gets its reply."""
    request, reply = data.draw(exchanges)
    stream = _joined(reply)
    index = lost % len(stream)
    framer = Framer()
    framer.expect(request)
    framer.feed(stream[:index] + stream[index + 1 :])
    framer.expect(request)

    assert framer.feed(stream) == [reply]


@RELAXED
@given(data=st.data(), noise=st.binary(max_size=2000), positions=CUTS)
def test_random_bytes_stay_within_the_bound(
    requests: SearchStrategy[Request],
    cut: Callable[[bytes, list[int]], list[bytes]],
    data: st.DataObject,
    noise: bytes,
    positions: list[int],
) -> None:
    """Noise never raises, every byte of it is reported or kept, and little is kept."""
    framer = Framer()
    framer.expect(data.draw(requests))
    events: list[Event] = []
    for piece in cut(noise, positions):
        events += framer.feed(piece)
        assert len(framer._buffer) < 270

    delivered = sum(len(_joined(event)) for event in events if not isinstance(event, Garbage | CrcMismatch))
    assert len(_garbage(events)) + delivered + len(framer._buffer) == len(noise)


@pytest.mark.parametrize("request_", EDGES)
@pytest.mark.parametrize("byte", [0xAA, 0x00, 0x07, 0xFF])
def test_endless_repetition_stays_within_the_bound(request_: Request, byte: int) -> None:
    """A line stuck at one value, or an endless run of start bytes, keeps the buffer small."""
    framer = Framer()
    framer.expect(request_)
    events = framer.feed(bytes((byte,)) * 100_000)

    assert len(framer._buffer) <= 1
    assert len(_garbage(events)) + len(framer._buffer) == 100_000


def test_endless_headers_stay_within_the_bound() -> None:
    """Headers that promise a long reply again and again are given up one by one."""
    framer = Framer()
    framer.expect(LIVE)
    stream = bytes.fromhex("AA 03 70") * 5000
    events = framer.feed(stream)

    assert len(framer._buffer) < 117
    assert len(_garbage(events)) + len(framer._buffer) == len(stream)
    assert sum(isinstance(event, CrcMismatch) for event in events) == (len(stream) - 117) // 3 + 1


def test_shortest_buffer_is_enough_for_its_reply() -> None:
    """A buffer of exactly the length of the reply still receives it after a burst of noise."""
    framer = Framer(max_buffer=117)
    framer.expect(LIVE)

    assert _replies(framer.feed(b"\xaa\x03" * 500 + _joined(SAMPLE))) == [SAMPLE]
