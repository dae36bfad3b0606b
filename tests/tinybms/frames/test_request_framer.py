from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tinybms_bridge.tinybms.frames import (
    BadRequest,
    CommandCode,
    ReadList,
    ReadModbus,
    Request,
    RequestFramer,
    SimpleRequest,
    WriteBlock,
    WriteList,
    WriteModbus,
)
from tinybms_bridge.tinybms.frames.wire import seal

RELAXED = settings(deadline=None)
CUTS = st.lists(st.integers(0, 2000), max_size=12)
Cut = Callable[[bytes, list[int]], list[bytes]]

STATUS = SimpleRequest(CommandCode.STATUS)


def _sealed(text: str) -> bytes:
    return seal(bytes.fromhex(text))


@pytest.fixture
def framer() -> RequestFramer:
    """A framer that has received nothing."""
    return RequestFramer()


@RELAXED
@given(data=st.data(), positions=CUTS)
def test_any_requests_cut_anywhere(
    requests: SearchStrategy[Request], cut: Cut, data: st.DataObject, positions: list[int]
) -> None:
    """Several requests in a row come out as they went in, however the stream is cut."""
    sent = data.draw(st.lists(requests, min_size=1, max_size=4))
    framer = RequestFramer()
    stream = b"".join(request.encode() for request in sent)

    assert [event for piece in cut(stream, positions) for event in framer.feed(piece)] == sent


@RELAXED
@given(data=st.data(), positions=CUTS)
def test_cut_stream_gives_the_same_events(
    requests: SearchStrategy[Request], cut: Cut, data: st.DataObject, positions: list[int]
) -> None:
    """Noise and damaged requests give the same events at once and in pieces."""
    request = data.draw(requests).encode()
    damaged = request[:-1] + bytes((request[-1] ^ 0xFF,))
    stream = data.draw(st.binary(max_size=20)) + damaged + data.draw(st.binary(max_size=20)) + request
    framer = RequestFramer()

    assert [event for piece in cut(stream, positions) for event in framer.feed(piece)] == RequestFramer().feed(stream)


@RELAXED
@given(data=st.data(), position=st.integers(min_value=0))
def test_a_flipped_bit_is_never_obeyed(requests: SearchStrategy[Request], data: st.DataObject, position: int) -> None:
    """One wrong bit anywhere: the device may refuse, but does not see a request."""
    stream = bytearray(data.draw(requests).encode())
    index, bit = divmod(position % (8 * len(stream)), 8)
    stream[index] ^= 1 << bit

    assert all(isinstance(event, BadRequest) for event in RequestFramer().feed(bytes(stream)))


@RELAXED
@given(data=st.data(), noise=st.binary(max_size=100))
def test_request_after_noise_is_found(requests: SearchStrategy[Request], data: st.DataObject, noise: bytes) -> None:
    """A good request is not lost to noise before it, once the longest possible frame has passed."""
    request = data.draw(requests)
    events = RequestFramer().feed(noise + request.encode() + bytes(270))

    assert request in events


@RELAXED
@given(noise=st.binary(max_size=2000), positions=CUTS)
def test_random_bytes_stay_within_the_bound(cut: Cut, noise: bytes, positions: list[int]) -> None:
    """Noise never raises, and never leaves more than one frame in the buffer."""
    framer = RequestFramer()
    for piece in cut(noise, positions):
        framer.feed(piece)
        assert len(framer._buffer) < 270


@pytest.mark.parametrize("byte", [0xAA, 0x00, 0x0D, 0xFF])
def test_endless_repetition_stays_within_the_bound(framer: RequestFramer, byte: int) -> None:
    """A line stuck at one value keeps the buffer empty but for a start byte."""
    assert framer.feed(bytes((byte,)) * 100_000) == []
    assert len(framer._buffer) <= 1


@pytest.mark.parametrize(
    ("frame", "command"),
    [("AA 14 7E AF", 0x14), ("AA 15 BF 6F", 0x15), ("AA 09 02 28 00 60 45", 0x09), ("AA 09 02 57 01 3F 8C", 0x09)],
)
def test_wrong_crc_in_public_code(framer: RequestFramer, frame: str, command: int) -> None:
    """Four constants published with a wrong CRC are refused with error 1, as the vendor says."""
    assert framer.feed(bytes.fromhex(frame)) == [BadRequest(command, 1, bytes.fromhex(frame))]


@pytest.mark.parametrize("command", [0x01, 0x04, 0x05, 0x06, 0x08, 0x13, 0x21, 0x7F])
@pytest.mark.parametrize("data", ["", "00", "00 24", "00 24 00", "00 24 00 02"])
def test_unknown_command(framer: RequestFramer, command: int, data: str) -> None:
    """A code that nobody documents, such as Modbus function 4, is refused with error 0 if its CRC is right."""
    frame = seal(bytes((0xAA, command)) + bytes.fromhex(data))

    assert framer.feed(frame) == [BadRequest(command, 0, frame)]


def test_unknown_command_with_wrong_crc_is_noise(framer: RequestFramer) -> None:
    """Without a CRC to prove that it was meant as a frame, an unknown code is skipped in silence."""
    assert framer.feed(bytes.fromhex("AA 04 00 24 00 02 00 00") + STATUS.encode()) == [STATUS]


@pytest.mark.parametrize("noise", ["AA AA", "AA 00", "AA 80", "AA FF", "55", "00 00"])
def test_bytes_that_cannot_start_a_frame(framer: RequestFramer, noise: str) -> None:
    """Codes above 127 and 0 are no commands: the request behind them is found at once."""
    assert framer.feed(bytes.fromhex(noise) + STATUS.encode()) == [STATUS]


@pytest.mark.parametrize(
    "frame",
    [
        _sealed("AA 02 03"),
        _sealed("AA 03 00 00 00 80"),
        _sealed("AA 07 00 00 00"),
        _sealed("AA 09 00"),
        _sealed("AA 09 03 01 00 02"),
        _sealed("AA 0D 02 2C 01"),
        _sealed("AA 0B 00 2C 01"),
        _sealed("AA 0B 03 2C 01 01 02 03"),
        _sealed("AA 10 01 2C 00 02 02 00 01"),
        _sealed("AA 1D 05 00 64"),
    ],
)
def test_bad_shape(framer: RequestFramer, frame: bytes) -> None:
    """A right CRC around a wrong option, count or length is a command error."""
    assert framer.feed(frame) == [BadRequest(frame[1], 0, frame)]


def test_both_conventions_of_block_writes(framer: RequestFramer) -> None:
    """Block writes are found whether or not their length byte counts the address."""
    plain, counted = WriteBlock(315, (4200, 2900)), WriteBlock(315, (4200, 2900), count_address_bytes=True)

    assert framer.feed(plain.encode() + counted.encode() + plain.encode()) == [plain, counted, plain]


@pytest.mark.parametrize(
    "request_",
    [
        ReadModbus(0xAAAA, 1),
        ReadList((0xAAAA,) * 31),
        WriteList(((0xAAAA, 0xAA14),) * 15),
        WriteModbus(0x12AA, (0xAA18, 0x7F1A) * 50),
    ],
)
def test_start_bytes_in_data(framer: RequestFramer, request_: Request) -> None:
    """0xAA inside a request, even a whole request inside its data, does not cut it."""
    assert framer.feed(request_.encode()) == [request_]


def test_request_inside_a_damaged_one(framer: RequestFramer) -> None:
    """After a CRC error one byte is dropped, so the next request is found although it completed the bad frame."""
    truncated = WriteModbus(300, (1, 2, 3)).encode()[:-4]
    events = framer.feed(truncated + STATUS.encode())

    assert events == [BadRequest(0x10, 1, truncated + STATUS.encode()), STATUS]


def test_reset_drops_a_partial_frame(framer: RequestFramer) -> None:
    """After a silence a device forgets half a request."""
    framer.feed(ReadModbus(0, 56).encode()[:5])
    framer.reset()

    assert framer.feed(STATUS.encode()) == [STATUS]


def test_partial_frame_is_kept(framer: RequestFramer) -> None:
    """A request may arrive byte by byte."""
    *early, last = [framer.feed(bytes((byte,))) for byte in ReadModbus(0, 56).encode()]

    assert all(events == [] for events in early)
    assert last == [ReadModbus(0, 56)]
