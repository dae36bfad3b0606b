"""What a display of a simulated GX shows, and the frames of the battery that it goes by."""

import math
from dataclasses import dataclass, field
from enum import StrEnum

from tinybms_bridge.victron.can.codec import DecodedFrame
from tinybms_lab.gx.dvcc import BatteryLimits

__all__ = ["GxMode", "GxView", "Received"]


class GxMode(StrEnum):
    """What the system does with the battery."""

    WAITING = "WAITING"
    """No battery recognised yet: 0x35A or 0x351 was never seen."""
    BMS_LOST = "BMS_LOST"
    """0x351 is missing: no charge, no discharge."""
    IDLE = "IDLE"
    CHARGING = "CHARGING"
    """As much as sun and CCL allow."""
    VOLTAGE_LIMITED = "VOLTAGE_LIMITED"
    """The chargers' target is reached; the current tapers, and sun is left."""
    DISCHARGING = "DISCHARGING"
    FEEDING_IN = "FEEDING_IN"
    """Surplus is sold."""
    DARK = "DARK"
    """An island whose inverter DCL = 0 has switched off."""


@dataclass(frozen=True, slots=True)
class GxView:
    """What a display of the GX shows now."""

    mode: GxMode = GxMode.WAITING
    battery_name: str = ""
    cvl_v: float | None = None
    ccl_a: float | None = None
    dcl_a: float | None = None
    battery_voltage_v: float | None = None
    battery_current_a: float | None = None
    temperature_c: float | None = None
    soc_percent: float | None = None
    alarms: tuple[str, ...] = ()
    """Names of the active alarms, then of the active warnings, as in ``victron_bms.dbc``."""
    current_a: float = 0.0
    """What the system makes flow; positive charges."""
    solar_available_w: float = 0.0
    solar_w: float = 0.0
    """What is taken of it."""
    load_w: float = 0.0
    served_w: float = 0.0
    """Of the loads, by battery, sun or grid; less than them in an island that is dark."""
    grid_w: float = 0.0
    """Taken from the grid to serve the loads."""
    sold_w: float = 0.0
    """Fed into the grid."""


@dataclass(slots=True)
class Received:
    """The last frame of each kind that the battery has sent."""

    limits_at_s: float = -math.inf
    frames: dict[int, DecodedFrame] = field(default_factory=dict)

    def number(self, arbitration_id: int, name: str) -> float | None:
        """Return a value of the last frame with this identifier, or None."""
        frame = self.frames.get(arbitration_id)
        return frame.number(name) if frame else None

    def text(self, arbitration_id: int) -> str:
        """Return the text of the last frame with this identifier; empty without one."""
        frame = self.frames.get(arbitration_id)
        return str(frame.values["text"]) if frame else ""

    @property
    def recognised(self) -> bool:
        """Whether a battery was seen: 0x35A makes it one, 0x351 brings its limits."""
        return 0x351 in self.frames and 0x35A in self.frames

    @property
    def limits(self) -> BatteryLimits:
        """The limits of the last 0x351."""
        names = ("charge_voltage_limit", "charge_current_limit", "discharge_current_limit")
        return BatteryLimits(*(self.number(0x351, name) or 0.0 for name in names))

    @property
    def battery_name(self) -> str:
        """Name as a GX chooses it: 0x370 with 0x371, else 0x35E, else a general one."""
        name = self.text(0x370) + self.text(0x371) if 0x370 in self.frames and 0x371 in self.frames else ""
        return name or self.text(0x35E) or ("CAN-bus BMS battery" if self.frames else "")

    @property
    def active_alarms(self) -> tuple[str, ...]:
        """Names of the alarms, then of the warnings."""
        frame = self.frames.get(0x35A)
        return tuple(name for name, value in frame.values.items() if value == "active") if frame else ()
