"""What a run leaves behind: one row of numbers for each step."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from tinybms_bridge.battery.limits import ChargeState
from tinybms_lab.bench.protections import Opening, ProtectionTrip
from tinybms_lab.bench.scenario import Scenario

__all__ = ["STATES", "Column", "Run", "Trace"]

STATES = tuple(ChargeState)
"""Charge states by the number that a trace holds; -1 while nothing is sent."""


class Column(IntEnum):
    """Columns of a trace. Rows describe the end of a step; limits are those in force on the bus during it."""

    TIME_S = 0
    """Seconds since midnight of the first day."""
    STEP_S = 1
    SUN_W = 2
    """Offered by the panels."""
    SOLAR_W = 3
    """Taken from them."""
    LOAD_W = 4
    SERVED_W = 5
    """Served from the bus."""
    CURRENT_A = 6
    PACK_V = 7
    HIGHEST_V = 8
    """True voltage of the highest cell."""
    LOWEST_V = 9
    SOC_PERCENT = 10
    """True state of charge."""
    COUNTED_PERCENT = 11
    """State of charge as the BMS counts it."""
    COLDEST_C = 12
    HOTTEST_C = 13
    CVL_V = 14
    """NaN while nothing is sent; CCL and DCL likewise."""
    CCL_A = 15
    DCL_A = 16
    STATE = 17
    """Index in ``STATES``."""
    DECIDED_S = 18
    """When the limits were decided; NaN while nothing is sent."""
    CCL_DEMAND_A = 19
    """What the readings, by themselves, demand CCL to be at most; infinite while they demand nothing."""
    DCL_DEMAND_A = 20
    FAULTY = 21
    """1 while something of the scenario is wrong: silence, or a restart."""
    ANODE_V = 22
    """Lowest potential of a negative electrode against lithium, which plates below 0; NaN where cells know none."""
    SHOWN_PERCENT = 23
    """State of charge that the controller shows; NaN while it shows none."""
    SPREAD_AH = 24
    """Charge that the cell which is furthest from full needs more than the one that is nearest."""
    FULL = 25
    """1 while the BMS calls the battery fully charged (status 0x92)."""
    BALANCING = 26
    """1 while the battery is held at a high voltage for the sake of unequal cells."""


class Trace:
    """Rows in the order of time.

    Args:
        columns: what a row has, numbered from 0.

    """

    def __init__(self, columns: type[IntEnum] = Column) -> None:
        self._data = array("d")
        self._width = len(columns)

    def __len__(self) -> int:
        return len(self._data) // self._width

    def add(self, row: Sequence[float]) -> None:
        """Append a row with a value for each column.

        Raises:
            ValueError: a row of another width.

        """
        if len(row) != self._width:
            raise ValueError(f"a row has {self._width} values, got {len(row)}")
        self._data.extend(row)

    def column(self, column: IntEnum) -> "array[float]":
        """Return one column as a copy."""
        return self._data[column :: self._width]


@dataclass(frozen=True, slots=True)
class Run:
    """A scenario played with one controller."""

    scenario: Scenario
    controller: str
    trace: Trace
    trips: tuple[ProtectionTrip, ...]
    openings: tuple[Opening, ...] = ()
    """Of the charger switch, without a protection."""
