"""What happens in one step of time, collected for the battery and for each pack, as numbers of a row and of a day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tinybms_bridge.battery.energy import EnergyCounter
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import Limits
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.battery.state import MAIN_PACK
from tinybms_bridge.services.history.columns import Numbers
from tinybms_bridge.services.history.days import (
    DIRECTIONS,
    EXTREMES,
    SOC_BANDS,
    TEMPERATURE_BANDS,
    direction_of,
    soc_band_of,
    temperature_band_of,
)
from tinybms_bridge.services.history.fields import (
    BMS_COUNT,
    CHARGE_STATES,
    COUNTERS,
    FRESHNESS,
    LIMITS,
    LINE,
    MEASURED,
    PACK,
    TEMPERATURE,
    Group,
    bms_count_values,
    cell_number,
    limit_values,
    pack_values,
    temperature_values,
)

__all__ = ["PackStep", "RecordedStep", "Row", "StepBuilder", "Values"]


Values = tuple[int | None, ...]
"""The numbers of a row in the order of ``fields.COLUMNS``, or of ``fields.PACK_COLUMNS``."""


@dataclass(frozen=True, slots=True)
class PackStep:
    """What was seen of one pack in a step."""

    values: Values
    day: Numbers
    """What it adds to its day, in the order of ``days.DAY_COLUMNS``."""


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """What was seen of the battery in a step."""

    values: Values
    day: Numbers
    """What it adds to its day, in the order of ``days.DAY_COLUMNS``."""
    pack: str | None = None
    """The pack that was the battery alone; empty: there were several; None: nothing was measured."""
    packs: Mapping[str, PackStep] = field(default_factory=dict)
    """Each pack, where there were several."""


@dataclass(frozen=True, slots=True)
class Row:
    """A step with its time."""

    start_s: int
    """Seconds since 1970, a multiple of the finest step."""
    step: RecordedStep

    @property
    def values(self) -> Values:
        """The numbers of the battery."""
        return self.step.values


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


_MEASURED_COLUMNS = [column.name for group in MEASURED for column in group.columns]
_EXTREMES = [_MEASURED_COLUMNS.index(name) for name in EXTREMES]


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell at its lowest or highest."""

    voltage: int
    """In the unit of the columns."""
    number: int
    pack: str


_HEARD_S = 3
"""A pack beside others that gives no sample for so long is not fresh any more, however the battery is."""


class _Measured:
    """What is measured of the battery or of one pack."""

    def __init__(self) -> None:
        self.sums, self.temperatures = _Sums(PACK), _Sums(TEMPERATURE)
        self._energy = EnergyCounter()
        self._cycles = 0.0
        self._counted_ah = 0.0
        self._told: tuple[int, ...] = (0,) * 5
        self._last: Snapshot | None = None
        self._unheard_s = 0
        self.clear()

    def clear(self) -> None:
        """Forget the step; the energy so far belongs to no step."""
        self.sums.clear()
        self.temperatures.clear()
        self.fresh_s = 0
        self._directions = [0] * len(DIRECTIONS)
        self._soc_bands = [0] * len(SOC_BANDS)
        self._temperature_bands = [0] * len(TEMPERATURE_BANDS)
        self._lowest: _Cell | None = None
        self._highest: _Cell | None = None
        self._told = self._counted()

    @property
    def is_heard(self) -> bool:
        """Whether it has given samples in the last seconds, as ``add_second`` counts them."""
        return self._unheard_s <= _HEARD_S

    def add(self, snapshot: Snapshot) -> None:
        """Take an accepted snapshot."""
        self._unheard_s = 0
        self.sums.add(pack_values(snapshot))
        self.temperatures.add(temperature_values(snapshot))
        self._energy.add(snapshot)
        self._count_cycles(snapshot)
        self._last = snapshot

    def add_cells(self, snapshot: Snapshot, pack: str) -> None:
        """Take the cells of a snapshot of a pack."""
        cells = snapshot.cells
        lowest, highest = cell_number(cells.min_v), cell_number(cells.max_v)
        if self._lowest is None or lowest < self._lowest.voltage:
            self._lowest = _Cell(lowest, cells.min_number, pack)
        if self._highest is None or highest > self._highest.voltage:
            self._highest = _Cell(highest, cells.max_number, pack)

    def add_second(self) -> None:
        """Take a second with fresh data."""
        self._unheard_s += 1
        self.fresh_s += 1
        if self._last is not None:
            self._directions[direction_of(self._last)] += 1
            self._soc_bands[soc_band_of(self._last)] += 1
            band = temperature_band_of(self._last)
            if band is not None:
                self._temperature_bands[band] += 1

    @property
    def is_empty(self) -> bool:
        """Whether nothing was taken in this step."""
        return not self.fresh_s and not self.sums.count

    def counted(self) -> tuple[int, ...]:
        """Return mWh in and out, mAh in and out, and billionths of cycles of this step.

        All are whole numbers; a fraction waits for the next step and is not lost.
        """
        return tuple(now - told for now, told in zip(self._counted(), self._told, strict=True))

    def step(self) -> PackStep:
        """Return the step of a pack and begin the next."""
        charged_mwh, discharged_mwh, *_ = self.counted()
        values: Values = (
            self.sums.count,
            self.temperatures.count,
            *self.sums.numbers(),
            *self.temperatures.numbers(),
            charged_mwh,
            discharged_mwh,
            self.fresh_s,
        )
        step = PackStep(values, self.day(None, None, None, None))
        self.clear()
        return step

    def day(self, hold_s: int | None, silent_s: int | None, alarms: int | None, warnings: int | None) -> Numbers:
        """Return what the step adds to its day."""
        charged_mwh, discharged_mwh, *charges = self.counted()
        measured = [*self.sums.numbers(), *self.temperatures.numbers()]
        return (
            charged_mwh,
            discharged_mwh,
            self.fresh_s,
            hold_s,
            silent_s,
            *charges,
            *self._directions,
            *self._soc_bands,
            *self._temperature_bands,
            alarms,
            warnings,
            *(measured[place] for place in _EXTREMES),
            None if self._lowest is None else self._lowest.voltage,
            None if self._highest is None else self._highest.voltage,
            *((None, None) if self._lowest is None else (self._lowest.number, self._lowest.pack)),
            *((None, None) if self._highest is None else (self._highest.number, self._highest.pack)),
        )

    def _count_cycles(self, snapshot: Snapshot) -> None:
        totals = self._energy.totals
        flowed_ah = totals.charged_ah + totals.discharged_ah
        if snapshot.ratings is not None and snapshot.ratings.capacity_ah > 0.0:
            self._cycles += (flowed_ah - self._counted_ah) / 2.0 / snapshot.ratings.capacity_ah
        self._counted_ah = flowed_ah

    def _counted(self) -> tuple[int, ...]:
        totals = self._energy.totals
        return (
            int(totals.charged_wh * 1000.0),
            int(totals.discharged_wh * 1000.0),
            int(totals.charged_ah * 1000.0),
            int(totals.discharged_ah * 1000.0),
            int(self._cycles * 1e9),
        )


class StepBuilder:
    """Collects one step after the other; what is not seen in a step stays unknown in its row."""

    def __init__(self) -> None:
        self._battery = _Measured()
        self._packs: dict[str, _Measured] = {}
        self._limits, self._bms, self._line = (_Sums(group) for group in (LIMITS, BMS_COUNT, LINE))
        self._groups = (self._battery.sums, self._battery.temperatures, self._limits, self._bms, self._line)
        self._freshness = Freshness.STARTING
        self._worst = self._freshness
        self._pack: str | None = None
        self._charge_state: int | None = None
        self._begin()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was taken in this step."""
        return self._battery.is_empty and not any(sums.count for sums in self._groups)

    def clear(self) -> None:
        """Forget the step; freshness goes on, and the energy so far belongs to no step."""
        self._battery.clear()
        self._packs.clear()
        self._begin()

    def add_sample(self, snapshot: Snapshot, pack: str = MAIN_PACK) -> None:
        """Take an accepted sample of the battery, of its only pack or, without a name, of several.

        In HOLD and SILENT none is believed, so none is kept.
        """
        if self._freshness in (Freshness.HOLD, Freshness.SILENT):
            return
        self._battery.add(snapshot)
        if pack:
            self._battery.add_cells(snapshot, pack)
        self._bms.add(bms_count_values(snapshot))
        self._pack = pack if self._pack in (None, pack) else ""

    def add_pack_sample(self, snapshot: Snapshot, pack: str) -> None:
        """Take an accepted sample of one of several packs."""
        if self._freshness in (Freshness.HOLD, Freshness.SILENT):
            return
        measured = self._packs.setdefault(pack, _Measured())
        measured.add(snapshot)
        measured.add_cells(snapshot, pack)
        self._battery.add_cells(snapshot, pack)

    def add_risen(self, alarms: int, warnings: int) -> None:
        """Take how many alarms and notices rose to these levels."""
        self._alarms += alarms
        self._warnings += warnings

    def note_freshness(self, freshness: Freshness) -> None:
        """Take a change of freshness."""
        self._freshness = freshness
        self._worst = max(self._worst, freshness, key=FRESHNESS.index)

    def add_second(self, limits: Limits | None, latencies_ms: Sequence[float] = ()) -> None:
        """Take the limits in force and the last latency of each line; call it once a second."""
        if self._freshness is Freshness.FRESH:
            self._battery.add_second()
            for pack in self._packs.values():
                if pack.is_heard:
                    pack.add_second()
        self._hold_s += self._freshness is Freshness.HOLD
        self._silent_s += self._freshness is Freshness.SILENT
        for latency_ms in latencies_ms:
            self._line.add([round(latency_ms * 10.0)])
        if limits is not None and limits.may_send:
            self._limits.add(limit_values(limits))
            self._charge_state = CHARGE_STATES.index(limits.state)

    def finish(self, counters: Sequence[int] = (0,) * len(COUNTERS)) -> RecordedStep:
        """Return the step, with what was counted in it, and begin the next."""
        battery = self._battery
        charged_mwh, discharged_mwh, *_ = battery.counted()
        values: Values = (
            *(sums.count for sums in self._groups),
            *(number for sums in self._groups for number in sums.numbers()),
            charged_mwh,
            discharged_mwh,
            battery.fresh_s,
            self._charge_state,
            FRESHNESS.index(self._worst),
            *counters,
        )
        day = battery.day(self._hold_s, self._silent_s, self._alarms, self._warnings)
        packs = {name: pack.step() for name, pack in self._packs.items() if not pack.is_empty}
        step = RecordedStep(values, day, self._pack, packs)
        battery.clear()
        self._packs = {name: pack for name, pack in self._packs.items() if name in packs}
        self._begin()
        return step

    def _begin(self) -> None:
        for sums in (self._limits, self._bms, self._line):
            sums.clear()
        self._hold_s = self._silent_s = 0
        self._alarms = self._warnings = 0
        self._pack = self._charge_state = None
        self._worst = self._freshness
