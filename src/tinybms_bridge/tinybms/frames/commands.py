"""Command codes and options of the TinyBMS UART protocol (protocol Rev D, section 1)."""

from enum import IntEnum

__all__ = [
    "ACK",
    "ACKNOWLEDGED_COMMANDS",
    "NACK",
    "SIMPLE_COMMANDS",
    "START",
    "Action",
    "Command",
    "SettingsTable",
]

START = 0xAA
"""First byte of every frame in both directions; also the Modbus slave address."""

ACK = 0x01
"""Second byte of a reply that says "done"."""

NACK = 0x00
"""Second byte of a reply that refuses a request."""


class Command(IntEnum):
    """Second byte of a request."""

    ACTION = 0x02
    READ_MODBUS = 0x03
    READ_BLOCK = 0x07
    READ_LIST = 0x09
    WRITE_BLOCK = 0x0B
    WRITE_LIST = 0x0D
    WRITE_MODBUS = 0x10
    EVENTS_NEWEST = 0x11
    EVENTS_ALL = 0x12
    PACK_VOLTAGE = 0x14
    PACK_CURRENT = 0x15
    MAX_CELL = 0x16
    MIN_CELL = 0x17
    STATUS = 0x18
    LIFETIME = 0x19
    SOC = 0x1A
    TEMPERATURES = 0x1B
    CELLS = 0x1C
    SETTINGS = 0x1D
    VERSION = 0x1E
    VERSION_EXTENDED = 0x1F
    TRIP = 0x20


class Action(IntEnum):
    """Option of command 0x02."""

    CLEAR_EVENTS = 1
    CLEAR_STATISTICS = 2
    RESET = 5
    """Opens the load and charger switches before the restart: cuts the power of the load."""


class SettingsTable(IntEnum):
    """Option of command 0x1D: which values of the settings to read."""

    MINIMUM = 1
    """Smallest value that the BMS accepts now; moves with other settings."""
    MAXIMUM = 2
    """Largest value that the BMS accepts now; moves with other settings."""
    DEFAULT = 3
    CURRENT = 4


ACKNOWLEDGED_COMMANDS = frozenset({Command.ACTION, Command.WRITE_BLOCK, Command.WRITE_LIST})
"""Commands that the BMS answers with ACK."""

SIMPLE_COMMANDS = frozenset(
    {
        Command.EVENTS_NEWEST,
        Command.EVENTS_ALL,
        Command.PACK_VOLTAGE,
        Command.PACK_CURRENT,
        Command.MAX_CELL,
        Command.MIN_CELL,
        Command.STATUS,
        Command.LIFETIME,
        Command.SOC,
        Command.TEMPERATURES,
        Command.CELLS,
        Command.VERSION,
        Command.VERSION_EXTENDED,
        Command.TRIP,
    }
)
"""Commands whose request carries nothing but the command code."""
