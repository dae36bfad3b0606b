"""Serial ports with the BMS that was found there, and those whose BMS is known already."""

from dataclasses import dataclass

from tinybms_bridge.battery.snapshot import Identity, Ratings
from tinybms_bridge.hal.devices import SerialDevice
from tinybms_bridge.tinybms.ratings import ratings_problems
from tinybms_bridge.words import Message

__all__ = ["Candidate", "FoundUnit", "KnownPort", "unit_of"]

_MOST_PACK_V = 100.0
"""No 16 cells have as much."""


@dataclass(frozen=True, slots=True)
class FoundUnit:
    """A BMS, with what tells it from others."""

    identity: Identity
    series_cells: int | None = None
    capacity_ah: float | None = None
    voltage_v: float | None = None
    """Null where it is not known at present."""


@dataclass(frozen=True, slots=True)
class Candidate(SerialDevice):
    """A serial port with what answers there."""

    device: str = ""
    """What the kernel calls it at present; empty where that is not known."""
    pack: str = ""
    """Pack of this bridge that is configured there; empty for none."""
    held_by: str = ""
    """Program that uses it; empty for none that is seen, and for this bridge as the BMS of a pack."""
    asked: bool = False
    """Whether it was opened to find out."""
    unit: FoundUnit | None = None
    message: Message | None = None
    """Why no BMS answers there, or was not asked; null where one does."""

    def why(self) -> Message | None:
        """Return why no BMS answers there; None where one does."""
        return self.message


@dataclass(frozen=True, slots=True)
class KnownPort:
    """A port that is configured here."""

    device: str
    """As it is configured, ``auto`` included."""
    pack: str = ""
    """Name of the pack; empty for another use of it."""
    free: bool = False
    """Whether it may be asked: its pack is out of service."""
    unit: FoundUnit | None = None
    """What is known without asking."""
    message: Message | None = None
    """Why that BMS does not answer; None where it does."""


def unit_of(identity: Identity, ratings: Ratings | None, voltage_v: float | None) -> FoundUnit:
    """Return a BMS with what of its settings and voltage can be true."""
    sound = ratings if ratings is not None and not ratings_problems(ratings) else None
    return FoundUnit(
        identity,
        None if sound is None else sound.series_cells,
        None if sound is None else sound.capacity_ah,
        voltage_v if voltage_v is not None and 0.0 <= voltage_v <= _MOST_PACK_V else None,
    )
