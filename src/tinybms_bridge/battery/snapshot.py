"""One sample of one pack: what the BMS measured at one moment, in units, immutable, grouped by topic."""

import math
from dataclasses import asdict, dataclass, field
from enum import Enum, StrEnum

from tinybms_bridge.battery.quick import quick

__all__ = [
    "REV_D_FIRMWARE",
    "BmsStatus",
    "Cells",
    "Identity",
    "PackValues",
    "Ratings",
    "Snapshot",
    "Switches",
    "Temperatures",
    "firmware_text",
]

_FIRMWARE = "2.3"
"""What every published firmware of the s516 begins with; register 501 holds another number
(tinybms-protocol.md, 2.3)."""
REV_D_FIRMWARE = 251
"""Internal number of firmware 2.3.251: the first with what protocol Rev D has and Rev B has not, which is the state of
health (register 45, reserved before) and some settings."""


class BmsStatus(Enum):
    """Online status of the BMS, register 50 (tinybms-protocol.md, 2). Unknown values are UNKNOWN, never a guess."""

    CHARGING = 0x91
    FULLY_CHARGED = 0x92
    DISCHARGING = 0x93
    REGENERATION = 0x96
    IDLE = 0x97
    FAULT = 0x9B
    UNKNOWN = 0

    @classmethod
    def from_raw(cls, raw: int) -> "BmsStatus":
        """Return the status for a raw register value; UNKNOWN for any value the vendor does not document."""
        try:
            return cls(raw)
        except ValueError:
            return cls.UNKNOWN


@quick
@dataclass(frozen=True, slots=True)
class Cells:
    """Cell voltages of the configured series cells, cell 1 (lowest potential) first."""

    voltages_v: tuple[float, ...]
    """Volts, resolution 0.1 mV, one entry per configured cell (register 307)."""
    balancing: tuple[bool, ...] = ()
    """True where the cell is being bled now (register 52), same order; empty when unknown."""
    wanted: tuple[bool, ...] = ()
    """True where the BMS wants to bleed the cell (register 51), same order; empty when unknown."""
    min_v: float = field(default=math.nan, init=False, repr=False, compare=False)
    """Lowest cell voltage; not a number without cells. Found once, since every stage of the engine asks for it."""
    max_v: float = field(default=math.nan, init=False, repr=False, compare=False)
    """Highest cell voltage; not a number without cells."""

    def __post_init__(self) -> None:
        """Find the extremes."""
        if self.voltages_v:
            object.__setattr__(self, "min_v", min(self.voltages_v))
            object.__setattr__(self, "max_v", max(self.voltages_v))

    @property
    def count(self) -> int:
        """Number of configured series cells."""
        return len(self.voltages_v)

    @property
    def delta_mv(self) -> float:
        """Difference between highest and lowest cell."""
        return (self.max_v - self.min_v) * 1000.0

    @property
    def min_number(self) -> int:
        """Number (from 1) of the lowest cell."""
        return self.voltages_v.index(self.min_v) + 1

    @property
    def max_number(self) -> int:
        """Number (from 1) of the highest cell."""
        return self.voltages_v.index(self.max_v) + 1


@quick
@dataclass(frozen=True, slots=True)
class Temperatures:
    """Degrees Celsius; None where no sensor is connected."""

    internal_c: float | None = None
    external_1_c: float | None = None
    external_2_c: float | None = None
    pack_c: tuple[float, ...] = field(default=(), init=False, repr=False, compare=False)
    """The sensors that stand for the cells: external ones when connected, else the board's own."""

    def __post_init__(self) -> None:
        """Find the sensors that stand for the cells; once, since many stages of the engine ask for them."""
        first_c, second_c = self.external_1_c, self.external_2_c
        if first_c is not None:
            object.__setattr__(self, "pack_c", (first_c,) if second_c is None else (first_c, second_c))
        elif second_c is not None:
            object.__setattr__(self, "pack_c", (second_c,))
        elif self.internal_c is not None:
            object.__setattr__(self, "pack_c", (self.internal_c,))

    @property
    def coldest_c(self) -> float | None:
        """Lowest of ``pack_c``, or None."""
        return min(self.pack_c) if self.pack_c else None

    @property
    def hottest_c(self) -> float | None:
        """Highest of ``pack_c``, or None."""
        return max(self.pack_c) if self.pack_c else None


@quick
@dataclass(frozen=True, slots=True)
class PackValues:
    """Pack-level measurements."""

    voltage_v: float
    """Sum of the configured cells (register 36)."""
    current_a: float
    """Positive = into the battery (register 38)."""
    soc_percent: float
    """State of charge, 0..100: the BMS's count (register 46), or the bridge's where it has been put in its place."""
    soh_percent: float | None = None
    """State of health, or None on firmware that has none (see ``REV_D_FIRMWARE``)."""
    status: BmsStatus = BmsStatus.UNKNOWN
    status_raw: int = 0
    """Register 50 as received."""
    lifetime_s: int = 0
    """Lifetime counter of the BMS (register 32)."""
    time_left_s: int | None = None
    """BMS estimate to empty while discharging; None when idle, where the BMS reports a meaningless number."""
    soc_known: bool = True
    """False where the BMS gives no SOC that can be: then ``soc_percent`` is the last good one, counted on."""
    bms_soc_percent: float | None = None
    """The BMS's own count where ``soc_percent`` is the bridge's; None where it is the BMS's."""

    @property
    def counted_by_bms_percent(self) -> float:
        """State of charge by the BMS's own count (register 46)."""
        return self.soc_percent if self.bms_soc_percent is None else self.bms_soc_percent

    @property
    def power_w(self) -> float:
        """Positive = into the battery."""
        return self.voltage_v * self.current_a


_COARSE_A = 0.5
"""Between the thresholds of the two boards."""


class Switches(StrEnum):
    """What switches load and charger (registers 331, 333 and 340): some faults cut more than the load with it."""

    UNKNOWN = "unknown"
    """Not read, or values that the vendor does not list."""
    TWO_FETS = "two_fets"
    """Dual port, and the board's own transistors switch both."""
    APART = "apart"
    """Dual port, with at least one external switch."""
    SINGLE = "single"
    """Single port: one switch for both directions."""


@dataclass(frozen=True, slots=True)
class Ratings:
    """The BMS's own settings that bound every limit (registers 300 to 320)."""

    series_cells: int
    """Register 307."""
    fully_charged_cell_v: float
    """Register 300: charge target per cell."""
    fully_discharged_cell_v: float
    """Register 301: load cut-off warning level per cell."""
    over_voltage_cell_v: float
    """Register 315: over-voltage cutoff per cell."""
    under_voltage_cell_v: float
    """Register 316: under-voltage cutoff per cell."""
    charge_over_current_a: float
    """Register 318."""
    discharge_over_current_a: float
    """Register 317."""
    discharge_peak_current_a: float | None
    """Register 305; None on firmware that answers it as reserved."""
    over_heat_c: float
    """Register 319."""
    low_temperature_charge_c: float
    """Register 320."""
    capacity_ah: float
    """Register 306."""
    allowed_disbalance_mv: float = 15.0
    """Register 308."""
    charge_finished_current_a: float = 1.0
    """Register 304."""
    switches: Switches = Switches.UNKNOWN
    early_balancing_cell_v: float | None = None
    """Register 303: the BMS bleeds no cell below; None when not read."""
    charge_restart: bool | None = None
    """Register 329, bit 2: after a full charge the BMS charges again below ``charge_restart_percent``, and not only
    once the battery is empty; None when not read."""
    charge_restart_percent: float | None = None
    """Register 321."""
    least_current_a: float = 0.8
    """A smaller current is read as 0 and not counted (register 501, bit 8): 0.8 A, and 0.08 A on a low-power board."""

    @property
    def misses_small_loads(self) -> bool:
        """Whether what a house draws at night is lost on the current sensor: a Hall sensor's threshold is 0.8 A."""
        return self.least_current_a >= _COARSE_A


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the BMS is (registers 500 to 509)."""

    hardware_version: str = ""
    """For example ``2.1``."""
    firmware_public: int = 0
    firmware_internal: int = 0
    """For example 242, of firmware 2.3.242."""
    bootloader_version: int = 0
    profile_version: int = 0
    serial_number: str = ""
    """24 hex digits; byte order over the registers is not documented by the vendor."""

    @property
    def firmware(self) -> str:
        """The firmware version as the vendor writes it, for example ``2.3.254``; empty when it is not known."""
        return f"{_FIRMWARE}.{self.firmware_internal}" if self.firmware_internal else ""

    @property
    def reports_soh(self) -> bool:
        """Whether the firmware has a state of health."""
        return self.firmware_internal >= REV_D_FIRMWARE

    def as_dict(self) -> dict[str, object]:
        """Return it for other programs, with the firmware version as people know it."""
        return asdict(self) | {"firmware": self.firmware}

    def __str__(self) -> str:
        return (
            f"TinyBMS hardware {self.hardware_version or 'unknown'}, firmware {firmware_text(self.firmware_internal)}, "
            f"serial number {self.serial_number or 'unknown'}"
        )


def firmware_text(internal: int) -> str:
    """Return a firmware version by its last part, to be put behind the word firmware."""
    return f"{_FIRMWARE}.{internal}" if internal else "of unknown version"


@quick
@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent sample: everything from one read of registers 0 to 55, with the settings known at that time."""

    sequence: int
    """Counts accepted reads from 1; never repeats within one run."""
    taken_at_s: float
    """Monotonic time at which the reply was complete."""
    pack: PackValues
    cells: Cells
    temperatures: Temperatures = Temperatures()
    ratings: Ratings | None = None
    """The BMS's own settings, or None until they have been read."""
    open_events: tuple[int, ...] = ()
    """Ids of the BMS's faults and warnings that have not ended (tinybms-protocol.md, 3); empty when unknown."""
    cause_unread: bool = False
    """Whether a fault began after the events were last read, so that ``open_events`` may not hold its cause."""
    image: bytes = field(default=b"", compare=False, repr=False)
    """Registers 0 to 55 as they were read; empty when the sample was made otherwise."""
