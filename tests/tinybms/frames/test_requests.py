from collections.abc import Callable

import pytest

from tinybms_bridge.tinybms.frames import (
    Action,
    ActionRequest,
    Command,
    ReadBlock,
    ReadList,
    ReadModbus,
    ReadSettings,
    Request,
    SettingsTable,
    SimpleRequest,
    WriteBlock,
    WriteList,
    WriteModbus,
)


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
        (SimpleRequest(Command.STATUS), "AA 18 7F 1A"),
        (ReadSettings(SettingsTable.DEFAULT), "AA 1D 03 00 64 CB 9F"),
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
        (SimpleRequest(Command.SOC), 0x1A),
        (ReadSettings(SettingsTable.CURRENT), 0x1D),
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
        lambda: ReadSettings(SettingsTable.CURRENT, 100),
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
        (lambda: ReadSettings(SettingsTable.CURRENT, 101), "101 settings, allowed are 1 to 100"),
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


@pytest.mark.parametrize("command", [Command.ACTION, Command.READ_MODBUS, Command.SETTINGS])
def test_simple_request_needs_a_simple_command(command: Command) -> None:
    """A command with parameters cannot be sent without them."""
    with pytest.raises(ValueError, match=f"command 0x{command:02X} needs parameters"):
        SimpleRequest(command)


def test_unknown_options() -> None:
    """Options that the vendor does not document are refused, whatever type they have."""
    with pytest.raises(ValueError, match="3 is not a valid Action"):
        ActionRequest(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="5 is not a valid SettingsTable"):
        ReadSettings(5)  # type: ignore[arg-type]


def test_requests_are_values() -> None:
    """Equal requests are equal and usable as keys, so that statistics can count by request."""
    seen: set[Request] = {ReadModbus(0, 56), ReadBlock(0, 56), ReadModbus(0, 56)}

    assert seen == {ReadModbus(0, 56), ReadBlock(0, 56)}
