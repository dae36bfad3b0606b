import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tinybms_bridge.tinybms.frames import FrameError, Request, WriteBlock, decode_request
from tinybms_bridge.tinybms.frames.crc import seal

RELAXED = settings(deadline=None)


def _sealed(text: str) -> bytes:
    return seal(bytes.fromhex(text))


@RELAXED
@given(data=st.data())
def test_decode_inverts_encode(requests: SearchStrategy[Request], data: st.DataObject) -> None:
    """Every request comes back from its bytes unchanged."""
    request = data.draw(requests)

    assert decode_request(request.encode()) == request


@RELAXED
@given(st.binary(max_size=80))
def test_decode_accepts_only_what_it_would_encode(body: bytes) -> None:
    """Random bytes either raise or are exactly the frame of the request they decode to."""
    frame = seal(b"\xaa" + body)
    try:
        request = decode_request(frame)
    except FrameError:
        return

    assert request.encode() == frame


def test_block_write_length_tells_its_convention() -> None:
    """The length byte of 0x0B says by itself whether it counts the address."""
    plain, counted = WriteBlock(315, (1, 2)), WriteBlock(315, (1, 2), count_address_bytes=True)

    assert decode_request(plain.encode()) == plain
    assert decode_request(counted.encode()) == counted


@pytest.mark.parametrize("text", ["AA 14 7E AF", "AA 15 BF 6F", "AA 09 02 28 00 60 45", "AA 09 02 57 01 3F 8C"])
def test_wrong_crc_in_public_code(text: str) -> None:
    """Four constants published with a wrong CRC are refused, and the error carries both CRCs."""
    frame = bytes.fromhex(text)

    with pytest.raises(FrameError, match="wrong CRC") as caught:
        decode_request(frame)

    assert caught.value.frame == frame
    assert caught.value.received_crc == int.from_bytes(frame[-2:], "little")
    assert caught.value.expected_crc != caught.value.received_crc


@pytest.mark.parametrize("frame", [b"", b"\xaa", b"\xaa\x14\x7f", b"\x55\x14\x7f\x1f"])
def test_not_a_request(frame: bytes) -> None:
    """Too few bytes, or another first byte, are no request at all."""
    with pytest.raises(FrameError, match="not a request"):
        decode_request(frame)


@pytest.mark.parametrize("command", [0x00, 0x01, 0x04, 0x06, 0x08, 0x13, 0x21, 0xFF])
def test_unknown_command(command: int) -> None:
    """Codes between the documented ones are named in the error."""
    with pytest.raises(FrameError, match=f"unknown command 0x{command:02X}"):
        decode_request(seal(bytes((0xAA, command))))


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (_sealed("AA 02 03"), "3 is not a valid Action"),
        (_sealed("AA 03 00 00 00 80"), "128 registers"),
        (_sealed("AA 03 00 00 01 01"), "257 registers"),
        (_sealed("AA 07 00 00 00"), "0 registers"),
        (_sealed("AA 09 00"), "0 addresses"),
        (_sealed("AA 0D 00"), "0 pairs"),
        (_sealed("AA 10 01 2C 00 00 00"), "0 registers"),
        (_sealed("AA 1D 05 00 64"), "5 is not a valid SettingsTable"),
        (_sealed("AA 1D 04 00 65"), "101 settings"),
        (_sealed("AA 02"), "bad request"),
        (_sealed("AA 03 00 00"), "bad request"),
        (_sealed("AA 0B 02 2C"), "bad request"),
        (_sealed("AA 09 03 01 00 02"), "bad request"),
        (_sealed("AA 0D 06 2C 01 01 00 2D 01"), "bad request"),
    ],
)
def test_bad_field(frame: bytes, reason: str) -> None:
    """A field outside its range or a missing byte is refused with the reason."""
    with pytest.raises(FrameError, match=reason):
        decode_request(frame)


@pytest.mark.parametrize(
    "frame",
    [
        _sealed("AA 14 00"),
        _sealed("AA 03 00 00 00 10 00"),
        _sealed("AA 09 04 01 00"),
        _sealed("AA 0B 06 2C 01 01 00"),
        _sealed("AA 0D 08 2C 01 01 00"),
        _sealed("AA 10 01 2C 00 02 02 00 01"),
        _sealed("AA 10 01 2C 00 01 04 00 01"),
        _sealed("AA 1D 04 01 64"),
    ],
)
def test_contradicting_length(frame: bytes) -> None:
    """A length byte, a count or a constant that disagrees with the rest is refused although the CRC is right."""
    with pytest.raises(FrameError, match="contradict each other"):
        decode_request(frame)
