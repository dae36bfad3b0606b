"""The BMS's lifetime statistics, registers 100 to 117, and its identity (tinybms-protocol.md, 2).

The statistics are extremes and counts since they were last cleared; none of them is a limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.errors import DeviceRefused
from tinybms_bridge.tinybms.eventlog import Requester
from tinybms_bridge.tinybms.frames import (
    CommandCode,
    ExtendedVersion,
    ReadModbus,
    RegistersReply,
    SimpleRequest,
    Version,
    to_u32,
)
from tinybms_bridge.tinybms.live import IDENTITY_ADDRESS, IDENTITY_COUNT, decode_identity

__all__ = [
    "STATISTICS_ADDRESS",
    "STATISTICS_COUNT",
    "DeviceStatistics",
    "ResetCause",
    "WakeCause",
    "decode_statistics",
    "read_identity",
    "read_statistics",
]

STATISTICS_ADDRESS = 100
STATISTICS_COUNT = 18


class ResetCause(Enum):
    """Why the BMS last restarted: low byte of register 114."""

    UNKNOWN = 0
    LOW_POWER = 1
    WINDOW_WATCHDOG = 2
    INDEPENDENT_WATCHDOG = 3
    SOFTWARE = 4
    POWER_ON = 5
    PIN = 6
    OPTION_BYTES = 7

    @classmethod
    def from_raw(cls, raw: int) -> "ResetCause":
        """Return the cause for a raw value; UNKNOWN for one that the vendor does not document."""
        return cls(raw) if raw in cls._value2member_map_ else cls.UNKNOWN

    @property
    def is_watchdog(self) -> bool:
        """Whether the BMS's program had hung."""
        return self in (ResetCause.WINDOW_WATCHDOG, ResetCause.INDEPENDENT_WATCHDOG)


class WakeCause(Enum):
    """What last woke the BMS: high byte of register 114."""

    CHARGER_CONNECTED = 0
    IGNITION = 1
    DISCHARGING = 2
    UART = 3
    UNKNOWN = -1

    @classmethod
    def from_raw(cls, raw: int) -> "WakeCause":
        """Return the cause for a raw value; UNKNOWN for one that the vendor does not document."""
        return cls(raw) if raw in cls._value2member_map_ else cls.UNKNOWN


@dataclass(frozen=True, slots=True)
class DeviceStatistics:
    """What the BMS has counted since its statistics were cleared."""

    total_distance_km: float
    """Register 100; needs a speed sensor."""
    max_discharge_current_a: float
    """Register 102: the largest ever seen, never a limit."""
    max_charge_current_a: float
    """Register 103: the largest ever seen, never a limit."""
    max_cell_difference_mv: float
    """Register 104: the largest ever seen, not the present one."""
    under_voltage_count: int
    over_voltage_count: int
    discharge_over_current_count: int
    charge_over_current_count: int
    over_heat_count: int
    charging_count: int
    """Register 111: charges begun."""
    full_charge_count: int
    """Register 112: charges completed."""
    min_temperature_c: int
    """Register 113: the lowest ever seen."""
    max_temperature_c: int
    """Register 113: the highest ever seen."""
    reset_cause: ResetCause
    wake_cause: WakeCause
    cleared_at_s: int
    """Register 116: when they were cleared, on the lifetime counter; 0 if never."""


def decode_statistics(words_from_100: Sequence[int]) -> DeviceStatistics:
    """Return the statistics held by registers 100 to 117. Raises ValueError if there are not 18 words."""
    words = words_from_100
    if len(words) != STATISTICS_COUNT:
        raise ValueError(f"{len(words)} registers of statistics, expected {STATISTICS_COUNT}")
    return DeviceStatistics(
        total_distance_km=to_u32(words[0], words[1]) / 100,
        max_discharge_current_a=words[2] / 10,
        max_charge_current_a=words[3] / 10,
        max_cell_difference_mv=words[4] / 10,
        under_voltage_count=words[5],
        over_voltage_count=words[6],
        discharge_over_current_count=words[7],
        charge_over_current_count=words[8],
        over_heat_count=words[9],
        charging_count=words[11],
        full_charge_count=words[12],
        min_temperature_c=_signed_byte(words[13] & 0xFF),
        max_temperature_c=_signed_byte(words[13] >> 8),
        reset_cause=ResetCause.from_raw(words[14] & 0xFF),
        wake_cause=WakeCause.from_raw(words[14] >> 8),
        cleared_at_s=to_u32(words[16], words[17]),
    )


def _signed_byte(byte: int) -> int:
    return byte - 0x100 if byte & 0x80 else byte


async def read_statistics(link: Requester, *, attempts: int | None = None) -> DeviceStatistics:
    """Read the statistics. Raises DeviceRefused or LinkError."""
    reply = await link.request(ReadModbus(STATISTICS_ADDRESS, STATISTICS_COUNT), attempts=attempts)
    assert isinstance(reply, RegistersReply)
    return decode_statistics(reply.values)


async def read_identity(link: Requester, *, attempts: int | None = None) -> Identity:
    """Read who the BMS is: registers 500 to 509, or 0x1F, or 0x1E where it refuses; empty if it refuses them all.

    Raises LinkError.
    """
    for request in (
        ReadModbus(IDENTITY_ADDRESS, IDENTITY_COUNT),
        SimpleRequest(CommandCode.VERSION_EXTENDED),
        SimpleRequest(CommandCode.VERSION),
    ):
        try:
            reply = await link.request(request, attempts=attempts)
        except DeviceRefused:
            continue
        if isinstance(reply, RegistersReply):
            return decode_identity(reply.values)
        assert isinstance(reply, ExtendedVersion | Version)
        return _identity_of(reply)
    return Identity()


def _identity_of(version: ExtendedVersion | Version) -> Identity:
    """Return the identity without what only the registers tell: profile and serial number."""
    return Identity(
        hardware_version=f"{version.hardware}.{version.hardware_changes}",
        firmware_public=version.public_firmware,
        firmware_internal=version.internal_firmware,
        bootloader_version=version.bootloader if isinstance(version, ExtendedVersion) else 0,
    )
