"""Collects what happens in one step of time and makes the row of it. Pure: no clock, no file."""

from collections.abc import Sequence
from dataclasses import dataclass

from tinybms_bridge.battery.energy import EnergyCounter
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import Limits
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.services.history.fields import (
    CHARGE_STATES,
    FRESHNESS,
    GROUPS,
    Group,
    bms_count_values,
    limit_values,
    pack_values,
    temperature_values,
)

__all__ = ["Row", "StepBuilder", "Values"]

Values = tuple[int | None, ...]
"""The numbers of a row in the order of ``fields.COLUMNS``."""


@dataclass(frozen=True, slots=True)
class Row:
    """One step with its time."""

    start_s: int
    """Seconds since 1970, a multiple of the finest step."""
    values: Values


class _Sums:
    """Count, sum, least and greatest value of the quantities of a group."""

    def __init__(self, group: Group) -> None:
        self._size = len(group.quantities)
        self.clear()

    def clear(self) -> None:
        self.count = 0
        self._sums: list[int] = [0] * self._size
        self._least: list[int] = []
        self._greatest: list[int] = []

    def add(self, values: Sequence[int] | None) -> None:
        if values is None:
            return
        self._least = list(map(min, self._least, values)) if self.count else list(values)
        self._greatest = list(map(max, self._greatest, values)) if self.count else list(values)
        self._sums = [total + value for total, value in zip(self._sums, values, strict=True)]
        self.count += 1

    def numbers(self) -> list[int | None]:
        """Return sum, least and greatest value of each quantity; None of one that was not seen."""
        if not self.count:
            return [None] * (3 * self._size)
        columns = zip(self._sums, self._least, self._greatest, strict=True)
        return [number for column in columns for number in column]


class StepBuilder:
    """Collects one step after the other; what is not seen in a step stays unknown in its row."""

    def __init__(self) -> None:
        self._pack, self._temperature, self._limits, self._bms = self._groups = tuple(_Sums(group) for group in GROUPS)
        self._energy = EnergyCounter()
        self._told_mwh = (0, 0)
        self._freshness = Freshness.STARTING
        self.clear()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was taken in this step."""
        return not self._fresh_s and not any(sums.count for sums in self._groups)

    def clear(self) -> None:
        """Forget the step; freshness goes on, and the energy so far belongs to no step."""
        for sums in self._groups:
            sums.clear()
        self._told_mwh = self._counted_mwh()
        self._fresh_s = 0
        self._worst = self._freshness
        self._charge_state: int | None = None

    def add_sample(self, snapshot: Snapshot) -> None:
        """Take an accepted sample; in HOLD and SILENT none is believed, so none is kept."""
        if self._freshness in (Freshness.HOLD, Freshness.SILENT):
            return
        self._pack.add(pack_values(snapshot))
        self._temperature.add(temperature_values(snapshot))
        self._bms.add(bms_count_values(snapshot))
        self._energy.add(snapshot)

    def note_freshness(self, freshness: Freshness) -> None:
        """Take a change of freshness."""
        self._freshness = freshness
        self._worst = max(self._worst, freshness, key=FRESHNESS.index)

    def add_second(self, limits: Limits | None) -> None:
        """Take the limits in force; call it once a second, as often as they are sent."""
        self._fresh_s += self._freshness is Freshness.FRESH
        if limits is not None and limits.may_send:
            self._limits.add(limit_values(limits))
            self._charge_state = CHARGE_STATES.index(limits.state)

    def finish(self) -> Values:
        """Return the numbers of the step and begin the next."""
        charged_mwh, discharged_mwh = self._counted_mwh()
        values: Values = (
            *(sums.count for sums in self._groups),
            *(number for sums in self._groups for number in sums.numbers()),
            charged_mwh - self._told_mwh[0],
            discharged_mwh - self._told_mwh[1],
            self._fresh_s,
            self._charge_state,
            FRESHNESS.index(self._worst),
        )
        self.clear()
        return values

    def _counted_mwh(self) -> tuple[int, int]:
        """Return whole milliwatt-hours so far; a fraction waits for the next step and is not lost."""
        totals = self._energy.totals
        return int(totals.charged_wh * 1000.0), int(totals.discharged_wh * 1000.0)
