"""Collects what happens in one step of time, and hands it on as rows in batches.

A step is dated when it ends, by the clock of the machine. A machine without a clock of its own starts in the past and
is set minutes later from the network: what is recorded in that time waits and is dated when the clock is right.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tinybms_bridge.battery.energy import EnergyCounter
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import Limits
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.hal.clock import EARLIEST_WALL, Clock, until_tick_s
from tinybms_bridge.link.bus import Bus, Subscription
from tinybms_bridge.link.events import FreshnessChanged, LimitsDecided, SnapshotAccepted
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
from tinybms_bridge.services.history.levels import STEP_S

__all__ = ["Recorder", "Row", "StepBuilder", "Values"]


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


log = logging.getLogger(__name__)

_BATCH_S = 60
_SETTLED_S = 300.0
"""Seconds since the start of the machine after which its clock is as right as it will be."""
_JUMP_S = 2.0
"""A greater difference between wall and monotonic time is a clock that was set."""
_EARLIEST_S = EARLIEST_WALL.timestamp()
"""A clock that shows an earlier time is wrong."""
_UNDATED = 360
"""Steps that wait for a right clock at most: an hour."""


@dataclass(frozen=True, slots=True)
class _Undated:
    middle_s: float
    """Monotonic time."""
    values: Values


class Recorder:
    """Records what is on a bus.

    Args:
        bus: Where the battery is seen.
        clock: The clock of the machine.
        hand_over: Takes each batch; must return at once.
        enabled: Asked once a second.

    """

    def __init__(
        self, bus: Bus, clock: Clock, hand_over: Callable[[Sequence[Row]], None], enabled: Callable[[], bool]
    ) -> None:
        self.undated_lost = 0
        """Steps lost because the clock was wrong for too long."""
        self._bus = bus
        self._clock = clock
        self._hand_over = hand_over
        self._enabled = enabled
        self._events: Subscription | None = None
        self._builder = StepBuilder()
        self._undated: deque[_Undated] = deque()
        self._rows: list[Row] = []
        self._recording = enabled()
        self._begun_s = clock.monotonic()
        self._offset_s = self._measured_offset_s()
        self._number = (self._begun_s + self._offset_s) // STEP_S
        self._batch = (self._begun_s + self._offset_s) // _BATCH_S
        self._clock_was_set = False
        self._told = False

    @property
    def waits_for_clock(self) -> bool:
        """Whether steps cannot be dated yet."""
        return bool(self._undated)

    async def run(self) -> None:
        """Record until cancelled, then hand over what there is."""
        known = self._bus.latest(FreshnessChanged)
        if known is not None:
            self._builder.note_freshness(known.event.new)
            self._builder.clear()
        with self._bus.subscribe(FreshnessChanged, name="history") as events:
            self._events = events
            self._want()
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._tick())
                    async for envelope in events:
                        self._take(envelope.event)
            finally:
                self.flush()

    def flush(self) -> None:
        """End the step and the batch."""
        self._end_step()
        self._date(self._is_plausible())
        self._hand_over_rows()

    def _take(self, event: object) -> None:
        self._turn()
        if isinstance(event, FreshnessChanged):
            self._builder.note_freshness(event.new)
        elif isinstance(event, SnapshotAccepted) and self._recording:
            self._builder.add_sample(event.snapshot)

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(until_tick_s(self._clock, 1.0))
            self.second()

    def second(self) -> None:
        """Look at limits and clock; called once a second."""
        self._switch(self._enabled())
        self._turn()
        if self._recording:
            limits = self._bus.latest(LimitsDecided)
            self._builder.add_second(None if limits is None else limits.event.limits)

    def _switch(self, wanted: bool) -> None:
        if wanted != self._recording:
            self.flush()
            self._recording = wanted
            self._want()

    def _want(self) -> None:
        """Hear of samples only while they are recorded."""
        if self._events is not None:
            self._events.want(FreshnessChanged, *([SnapshotAccepted] if self._recording else []))

    def _turn(self) -> None:
        """Begin a new step, and a new batch, when it is time."""
        offset_s = self._measured_offset_s()
        if abs(offset_s - self._offset_s) > _JUMP_S:
            log.info("the clock of the machine was set by %+.0f s", offset_s - self._offset_s)
            self._clock_was_set = True
            self._end_step()
        self._offset_s = offset_s
        now_s = self._clock.monotonic() + offset_s
        if now_s // STEP_S != self._number:
            self._end_step()
            self._date(self._is_settled())
        if now_s // _BATCH_S != self._batch:
            self._batch = now_s // _BATCH_S
            self._hand_over_rows()

    def _end_step(self) -> None:
        empty, values = self._builder.is_empty, self._builder.finish()
        now_s = self._clock.monotonic()
        end_s = min(now_s, (self._number + 1) * STEP_S - self._offset_s)  # what comes later begins a new step
        if self._recording and (now_s > self._begun_s or not empty):
            self._undated.append(_Undated((self._begun_s + end_s) / 2.0, values))
        self._begun_s = now_s
        self._number = (now_s + self._offset_s) // STEP_S

    def _date(self, possible: bool) -> None:
        """Date the steps that wait, if the clock can be believed."""
        if possible:
            offset_s = self._offset_s
            self._rows += [
                Row(int((each.middle_s + offset_s) // STEP_S) * STEP_S, each.values) for each in self._undated
            ]
            self._undated.clear()
        while len(self._undated) > _UNDATED:
            self._undated.popleft()
            self.undated_lost += 1

    def _is_settled(self) -> bool:
        return self._is_plausible() and (self._clock_was_set or self._clock.monotonic() >= _SETTLED_S)

    def _is_plausible(self) -> bool:
        shown_s = self._clock.monotonic() + self._offset_s
        if shown_s >= _EARLIEST_S:
            return True
        if not self._told:
            self._told = True
            log.warning(
                "the clock of the machine shows %s: the history waits in memory until it is set",
                datetime.fromtimestamp(max(0.0, shown_s), UTC).date(),
            )
        return False

    def _hand_over_rows(self) -> None:
        if self._rows:
            rows, self._rows = self._rows, []
            self._hand_over(rows)

    def _measured_offset_s(self) -> float:
        return self._clock.wall().timestamp() - self._clock.monotonic()
