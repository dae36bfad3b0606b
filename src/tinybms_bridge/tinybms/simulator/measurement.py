"""What the BMS knows at one moment: the input of all its decisions."""

from dataclasses import dataclass
from enum import Enum

from tinybms_bridge.tinybms.simulator.events import EventId

__all__ = ["CurrentSensor", "Measurement"]


class CurrentSensor(Enum):
    """State of the external current sensor."""

    FINE = "fine"
    """In use, or neither there nor in use."""
    LOST = "lost"
    """In use, but pulled."""
    NOT_READY = "not ready"
    """Plugged in, but not in use before the next restart."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Readings at one moment."""

    cells_v: tuple[float, ...]
    """As read, of the configured cells, the lowest first."""
    current_a: float
    """As read: 0 within the activity threshold; positive = into the pack."""
    board_c: float
    external_c: tuple[float, ...] = ()
    """Of the sensors that are connected."""
    charger: bool = False
    """A charger shows its voltage, or its input is on."""
    load: bool = False
    """A load is there."""
    ignition: bool = True
    sensor: CurrentSensor = CurrentSensor.FINE
    stuck: EventId | None = None
    """The switch through which current flows although it is open."""
    soc_percent: float = 50.0
    """By the BMS's own count."""
    offered_a: float = 0.0
    """Current that the charger would give if it were let."""

    @property
    def highest_v(self) -> float:
        """Highest cell."""
        return max(self.cells_v)

    @property
    def lowest_v(self) -> float:
        """Lowest cell."""
        return min(self.cells_v)

    @property
    def imbalance_v(self) -> float:
        """Highest less lowest cell."""
        return max(self.cells_v) - min(self.cells_v)

    @property
    def coldest_c(self) -> float:
        """Of the external sensors, else of the board."""
        return min(self.external_c) if self.external_c else self.board_c
