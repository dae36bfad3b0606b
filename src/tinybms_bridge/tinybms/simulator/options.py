"""What kind of BMS is simulated, and its habits where the documents leave a choice."""

import math
from dataclasses import dataclass

from tinybms_bridge.tinybms.simulator.firmware import FIRMWARE_254, HIGH_POWER, Board, Firmware
from tinybms_bridge.tinybms.simulator.memory import OffMap
from tinybms_bridge.tinybms.simulator.settings import OutOfRange

__all__ = ["BmsOptions"]

_SERIAL = bytes.fromhex("53494D554C41544544000001")


@dataclass(frozen=True, slots=True)
class BmsOptions:
    """What kind of BMS is simulated, and its habits where the documents leave a choice.

    Raises:
        ValueError: a value out of its range.

    """

    firmware: Firmware = FIRMWARE_254
    board: Board = HIGH_POWER
    external_sensors: int = 2
    """Connected temperature sensors, 0 to 2."""
    asleep_allowed: bool = True
    """Whether it sleeps after 10 s without traffic and activity."""
    off_map: OffMap = OffMap.NACK
    speed: float = 1.0
    """Seconds of pack time in one second; the BMS's own times (lifetime, sleep, refresh) stay real."""
    lifetime_s: int = 2_592_000
    """Lifetime counter at the start."""
    serial: bytes = _SERIAL
    """The 12 bytes of the serial number."""
    external_current_sensor: bool = False
    """Whether the external current sensor is plugged in at the start."""
    warning_is_fault: bool = False
    """Register 50 says "fault" during a warning (discharged, too cold to charge) too."""
    out_of_range: OutOfRange = OutOfRange.NACK
    """What happens to a setting outside its range."""
    keeps_partial_writes: bool = False
    """A refused write leaves the values before the bad one written."""
    write_busy_s: float = 0.0
    """Time without answers after a settings write; real units were given 0.5 to 1 s."""
    adapter_on_5v: bool = False
    """The client is powered by the 5 V output of the BMS, which is off in sleep: nothing it sends arrives then."""
    first_event_slot: int = 0
    """Where the event ring stands at the start."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.speed) and self.speed > 0):
            raise ValueError(f"speed must be above 0, got {self.speed}")
        if not 0 <= self.external_sensors <= 2:
            raise ValueError(f"0 to 2 external sensors, got {self.external_sensors}")
        if len(self.serial) != 12:
            raise ValueError(f"a serial number has 12 bytes, got {len(self.serial)}")
        if not (math.isfinite(self.write_busy_s) and self.write_busy_s >= 0):
            raise ValueError(f"the time after a write must be 0 s or more, got {self.write_busy_s}")
