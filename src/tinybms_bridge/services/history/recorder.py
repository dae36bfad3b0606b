"""Collects what happens in one step of time, and hands it on as rows in batches.

A step is dated when it ends, by the clock of the machine. A machine without a clock of its own starts in the past and
is set minutes later from the network: what is recorded in that time waits and is dated when the clock is right.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from tinybms_bridge.battery.alarms import AlarmLevel
from tinybms_bridge.hal.clock import EARLIEST_WALL, Clock, until_tick_s
from tinybms_bridge.link.bus import Bus, Subscription
from tinybms_bridge.link.events import (
    AlarmsChanged,
    Event,
    FreshnessChanged,
    LimitsDecided,
    NoticesChanged,
    PackSnapshotAccepted,
    SnapshotAccepted,
)
from tinybms_bridge.services.history.counters import LineCounters, Lines
from tinybms_bridge.services.history.days import DAY_COLUMNS
from tinybms_bridge.services.history.levels import STEP_S, local_day
from tinybms_bridge.services.history.steps import RecordedStep, Row, StepBuilder

__all__ = ["Energy", "Recorder"]

Energy = tuple[int, int, int]
"""Charged and discharged mWh, and seconds with fresh data."""


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
_TICK_S = 1.0
_DAYS = 7
"""Of which the energy is remembered, the latest that were recorded."""

_ALWAYS: tuple[type[Event], ...] = (FreshnessChanged,)
_WHILE_RECORDING: tuple[type[Event], ...] = (SnapshotAccepted, PackSnapshotAccepted, AlarmsChanged, NoticesChanged)


@dataclass(frozen=True, slots=True)
class _Undated:
    middle_s: float
    """Monotonic time."""
    step: RecordedStep


_ENERGY = [[column.name for column in DAY_COLUMNS].index(name) for name in ("charged_mwh", "discharged_mwh", "fresh_s")]


def _energy_of(step: RecordedStep) -> Energy:
    charged_mwh, discharged_mwh, fresh_s = (step.day[place] for place in _ENERGY)
    return int(charged_mwh or 0), int(discharged_mwh or 0), int(fresh_s or 0)


def _risen(old: Mapping[Any, AlarmLevel], new: Mapping[Any, AlarmLevel]) -> tuple[int, int]:
    """Return how many rose to alarm and to warning; what is there when the core is first heard has risen before."""
    if not old:
        return 0, 0
    risen = [level for name, level in new.items() if level > old.get(name, AlarmLevel.OK)]
    return risen.count(AlarmLevel.ALARM), risen.count(AlarmLevel.WARNING)


class Recorder:
    """Records what is on a bus.

    Args:
        bus: Where the battery is seen.
        clock: The clock of the machine.
        hand_over: Takes each batch; must return at once.
        enabled: Asked once a second.
        lines: The lines of the core, whose counters are recorded.

    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        hand_over: Callable[[Sequence[Row]], None],
        enabled: Callable[[], bool],
        lines: Lines | None = None,
    ) -> None:
        self.undated_lost = 0
        """Steps lost because the clock was wrong for too long."""
        self._bus = bus
        self._clock = clock
        self._hand_over = hand_over
        self._enabled = enabled
        self._events: Subscription | None = None
        self._builder = StepBuilder()
        self._counters = LineCounters(bus, lines)
        self._by_day: dict[date, Energy] = {}
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

    def counted(self, day: date) -> Energy:
        """Return what was recorded of a local day since the start, as far as it has a date."""
        return self._by_day.get(day, (0, 0, 0))

    async def run(self) -> None:
        """Record until cancelled, then hand over what there is."""
        known = self._bus.latest(FreshnessChanged)
        if known is not None:
            self._builder.note_freshness(known.event.new)
            self._builder.clear()
        with self._bus.subscribe(*_ALWAYS, name="history") as events:
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
        elif not self._recording:
            return
        elif isinstance(event, SnapshotAccepted):
            self._builder.add_sample(event.snapshot, event.pack)
        elif isinstance(event, PackSnapshotAccepted):
            self._builder.add_pack_sample(event.snapshot, event.pack)
        elif isinstance(event, AlarmsChanged | NoticesChanged):
            self._builder.add_risen(*_risen(event.old.levels, event.new.levels))

    async def _tick(self) -> None:
        """Look once a second, on time: looks are counted as seconds."""
        while True:
            await self._clock.sleep(until_tick_s(self._clock, _TICK_S))
            self.second()

    def second(self) -> None:
        """Look at limits and clock; called once a second."""
        self._switch(self._enabled())
        self._turn()
        if self._recording:
            limits = self._bus.latest(LimitsDecided)
            self._builder.add_second(None if limits is None else limits.event.limits, self._counters.latencies_ms())

    def _switch(self, wanted: bool) -> None:
        if wanted != self._recording:
            self.flush()
            self._recording = wanted
            self._want()

    def _want(self) -> None:
        """Hear of samples only while they are recorded."""
        if self._events is not None:
            self._events.want(*_ALWAYS, *(_WHILE_RECORDING if self._recording else ()))

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
        empty, step = self._builder.is_empty, self._builder.finish(self._counters.look())
        now_s = self._clock.monotonic()
        end_s = min(now_s, (self._number + 1) * STEP_S - self._offset_s)  # what comes later begins a new step
        if self._recording and (now_s > self._begun_s or not empty):
            self._undated.append(_Undated((self._begun_s + end_s) / 2.0, step))
        self._begun_s = now_s
        self._number = (now_s + self._offset_s) // STEP_S

    def _date(self, possible: bool) -> None:
        """Date the steps that wait, if the clock can be believed."""
        if possible:
            offset_s = self._offset_s
            rows = [Row(int((each.middle_s + offset_s) // STEP_S) * STEP_S, each.step) for each in self._undated]
            self._undated.clear()
            self._rows += rows
            self._count(rows)
        while len(self._undated) > _UNDATED:
            self._undated.popleft()
            self.undated_lost += 1

    def _count(self, rows: Sequence[Row]) -> None:
        for row in rows:
            day = local_day(row.start_s)
            before = self._by_day.pop(day, (0, 0, 0))
            charged, discharged, fresh_s = (old + new for old, new in zip(before, _energy_of(row.step), strict=True))
            self._by_day[day] = charged, discharged, fresh_s
        while len(self._by_day) > _DAYS:
            del self._by_day[next(iter(self._by_day))]

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
