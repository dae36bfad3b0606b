from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tinybms_bridge.tinybms.frames import (
    Action,
    ActionRequest,
    CommandCode,
    FrameError,
    ReadBlock,
    ReadList,
    ReadModbus,
    ReadSettingValues,
    Request,
    SettingsTable,
    SimpleRequest,
    WriteBlock,
    WriteList,
    WriteModbus,
    decode_request,
)
from tinybms_bridge.tinybms.frames.wire import seal


@pytest.mark.parametrize(
    ("request_", "frame"),
    [
        (ActionRequest(Action.RESET), "AA 02 05 90 83"),
        (ReadModbus(5, 5), "AA 03 00 05 00 05 8C 13"),
        (ReadBlock(0, 57), "AA 07 39 00 00 ED 61"),
        (ReadList((34, 35)), "AA 09 04 22 00 23 00 F3 1B"),
        (WriteBlock(315, (4200, 2900)), "AA 0B 04 3B 01 68 10 54 0B D3 CD"),
        (WriteList(((315, 4200), (316, 2900))), "AA 0D 08 3B 01 68 10 3C 01 54 0B 6A DF"),
        (WriteModbus(315, (4200, 2500)), "AA 10 01 3B 00 02 04 10 68 09 C4 19 61"),
        (SimpleRequest(CommandCode.STATUS), "AA 18 7F 1A"),
        (ReadSettingValues(SettingsTable.DEFAULT), "AA 1D 03 00 64 CB 9F"),
    ],
)
def test_bytes(request_: Request, frame: str) -> None:
    """Each kind of request has the bytes of the golden vectors."""
    assert request_.encode() == bytes.fromhex(frame)


def test_block_write_with_counted_address() -> None:
    """The other reading of the vendor's length byte of 0x0B adds two to it and changes nothing else."""
    plain, counted = WriteBlock(315, (4200,)).encode(), WriteBlock(315, (4200,), count_address_bytes=True).encode()

    assert (plain[2], counted[2]) == (2, 4)
    assert plain[3:7] == counted[3:7]


@pytest.mark.parametrize(
    ("request_", "command"),
    [
        (ActionRequest(Action.RESET), 0x02),
        (ReadModbus(0, 1), 0x03),
        (ReadBlock(0, 1), 0x07),
        (ReadList((0,)), 0x09),
        (WriteBlock(300, (0,)), 0x0B),
        (WriteList(((300, 0),)), 0x0D),
        (WriteModbus(300, (0,)), 0x10),
        (SimpleRequest(CommandCode.SOC), 0x1A),
        (ReadSettingValues(SettingsTable.CURRENT), 0x1D),
    ],
)
def test_command(request_: Request, command: int) -> None:
    """Every request knows its command, and it is the second byte of the frame."""
    assert request_.command == command
    assert request_.encode()[1] == command


@pytest.mark.parametrize(
    "build",
    [
        lambda: ReadModbus(0, 127),
        lambda: ReadBlock(0, 255),
        lambda: ReadList(tuple(range(31))),
        lambda: WriteBlock(300, (1,) * 31),
        lambda: WriteBlock(300, (1,) * 30, count_address_bytes=True),
        lambda: WriteList(((300, 1),) * 15),
        lambda: WriteModbus(300, (1,) * 100),
        lambda: ReadSettingValues(SettingsTable.CURRENT, 100),
        lambda: ReadModbus(0xFFFF, 1),
        lambda: ReadModbus(0xFF81, 127),
    ],
)
def test_largest_requests_are_accepted(build: Callable[[], Request]) -> None:
    """The limits of the protocol themselves are allowed."""
    assert build().encode()[0] == 0xAA


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ReadModbus(0, 128), "128 registers, allowed are 1 to 127"),
        (lambda: ReadModbus(0, 0), "0 registers, allowed are 1 to 127"),
        (lambda: ReadBlock(0, 256), "256 registers, allowed are 1 to 255"),
        (lambda: ReadBlock(0, -1), "-1 registers, allowed are 1 to 255"),
        (lambda: ReadList(()), "0 addresses, allowed are 1 to 31"),
        (lambda: ReadList(tuple(range(32))), "32 addresses, allowed are 1 to 31"),
        (lambda: WriteBlock(300, (1,) * 32), "32 registers, allowed are 1 to 31"),
        (lambda: WriteBlock(300, (1,) * 31, True), "31 registers, allowed are 1 to 30"),
        (lambda: WriteList(((300, 1),) * 16), "16 pairs, allowed are 1 to 15"),
        (lambda: WriteModbus(300, (1,) * 101), "101 registers, allowed are 1 to 100"),
        (lambda: WriteModbus(300, ()), "0 registers, allowed are 1 to 100"),
        (lambda: ReadSettingValues(SettingsTable.CURRENT, 101), "101 settings, allowed are 1 to 100"),
    ],
)
def test_count_out_of_range(build: Callable[[], Request], message: str) -> None:
    """A count beyond the protocol's limit is refused, naming it and the limit."""
    with pytest.raises(ValueError, match="allowed are") as caught:
        build()

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ReadModbus(-1, 1), "address -1 is outside 0..65535"),
        (lambda: ReadBlock(0x10000, 1), "address 65536 is outside 0..65535"),
        (lambda: ReadModbus(0xFFFF, 2), "last address 65536 is outside 0..65535"),
        (lambda: ReadList((1, 70000)), "address 70000 is outside 0..65535"),
        (lambda: WriteList(((70000, 1),)), "address 70000 is outside 0..65535"),
        (lambda: WriteList(((300, -5),)), "value -5 is outside 0..65535"),
        (lambda: WriteBlock(300, (65536,)), "value 65536 is outside 0..65535"),
        (lambda: WriteModbus(300, (1, -1)), "value -1 is outside 0..65535"),
    ],
)
def test_word_out_of_range(build: Callable[[], Request], message: str) -> None:
    """An address or value that is not a 16-bit word is refused before anything is sent."""
    with pytest.raises(ValueError, match="is outside") as caught:
        build()

    assert str(caught.value) == message


@pytest.mark.parametrize("command", [CommandCode.ACTION, CommandCode.READ_MODBUS, CommandCode.SETTINGS])
def test_simple_request_needs_a_simple_command(command: CommandCode) -> None:
    """A command with parameters cannot be sent without them."""
    with pytest.raises(ValueError, match=f"command 0x{command:02X} needs parameters"):
        SimpleRequest(command)


def test_unknown_options() -> None:
    """Options that the vendor does not document are refused, whatever type they have."""
    with pytest.raises(ValueError, match="3 is not a valid Action"):
        ActionRequest(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="5 is not a valid SettingsTable"):
        ReadSettingValues(5)  # type: ignore[arg-type]


def test_requests_are_values() -> None:
    """Equal requests are equal and usable as keys, so that statistics can count by request."""
    seen: set[Request] = {ReadModbus(0, 56), ReadBlock(0, 56), ReadModbus(0, 56)}

    assert seen == {ReadModbus(0, 56), ReadBlock(0, 56)}


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
