import pytest

from tinybms_bridge.tinybms.frames import START, Action, Command, SettingsTable
from tinybms_bridge.tinybms.frames.commands import ACK, ACKNOWLEDGED_COMMANDS, NACK, SIMPLE_COMMANDS

DOCUMENTED = {0x02, 0x03, 0x07, 0x09, 0x0B, 0x0D, 0x10, 0x11, 0x12, *range(0x14, 0x21)}


def test_every_documented_command_is_known() -> None:
    """The 22 codes of the vendor's table, no more and no less."""
    assert {int(command) for command in Command} == DOCUMENTED
    assert len(Command) == 22


def test_start_byte_is_the_modbus_address() -> None:
    """Frames begin with 0xAA, slave address 170."""
    assert START == 170


@pytest.mark.parametrize("code", [ACK, NACK, START])
def test_no_command_looks_like_an_envelope(code: int) -> None:
    """The second byte tells ACK, NACK and commands apart, so their codes never meet."""
    assert code not in {int(command) for command in Command}


def test_commands_without_parameters() -> None:
    """All fast reads, events, versions and trip are sent as four bytes; the settings table is not."""
    assert {int(command) for command in SIMPLE_COMMANDS} == {0x11, 0x12, *range(0x14, 0x1D), 0x1E, 0x1F, 0x20}


def test_acknowledged_commands() -> None:
    """Only 0x02, 0x0B and 0x0D are answered by ACK."""
    assert {int(command) for command in ACKNOWLEDGED_COMMANDS} == {0x02, 0x0B, 0x0D}


def test_options() -> None:
    """The option codes of 0x02 and 0x1D are the vendor's; a mistake here would restart instead of clear."""
    assert {action.name: action.value for action in Action} == {"CLEAR_EVENTS": 1, "CLEAR_STATISTICS": 2, "RESET": 5}
    assert [table.name for table in sorted(SettingsTable)] == ["MINIMUM", "MAXIMUM", "DEFAULT", "CURRENT"]


def test_maximum_and_minimum_cell_are_not_swapped() -> None:
    """0x16 is the highest and 0x17 the lowest cell, the reverse of registers 40 and 41."""
    assert (int(Command.MAX_CELL), int(Command.MIN_CELL)) == (0x16, 0x17)
