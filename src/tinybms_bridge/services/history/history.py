"""The history as a part of the bridge: records while it runs, and answers at any time."""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tinybms_bridge.hal.blocking import RunBlocking, in_thread
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.services.history.counters import Lines
from tinybms_bridge.services.history.fields import FIELDS, PACK_FIELDS
from tinybms_bridge.services.history.levels import LEVELS, HistoryError, HistorySettings, local_day
from tinybms_bridge.services.history.recorder import Recorder
from tinybms_bridge.services.history.writer import Batch, Writer
from tinybms_bridge.services.ports import (
    DayRecord,
    EnergyOfToday,
    HistoryField,
    HistoryLevel,
    HistoryState,
    MonthRecord,
)

if TYPE_CHECKING:
    from tinybms_bridge.services.history.database import Database
    from tinybms_bridge.services.history.reader import DatabaseView, HistoryReader

__all__ = ["History"]

_END_S = 3.0


class History:
    """Keeps the history in a folder; None keeps it only while ``run`` runs.

    ``run`` belongs on the event loop and never blocks it; the methods that read block and may be called in any thread.
    """

    def __init__(self, folder: Path | None = None, settings: HistorySettings | None = None) -> None:
        self._folder = folder
        self._settings = settings or HistorySettings()
        self._opened: Database | None = None
        self._making = threading.Lock()  # readers and the writer come from several threads
        self._writer: Writer | None = None
        self._recorder: Recorder | None = None
        self._clock: Clock | None = None

    @property
    def settings(self) -> HistorySettings:
        """May be replaced at any time."""
        return self._settings

    @settings.setter
    def settings(self, settings: HistorySettings) -> None:
        self._settings = settings
        if self._opened is not None:
            self._opened.settings = settings

    @property
    def fields(self) -> Sequence[HistoryField]:
        """Everything that can be asked for."""
        return tuple(each.shown for each in FIELDS.values())

    @property
    def pack_fields(self) -> Sequence[HistoryField]:
        """Everything that can be asked for of one pack."""
        return tuple(each.shown for each in PACK_FIELDS.values())

    async def run(
        self, bus: Bus, clock: Clock, lines: Lines | None = None, run_blocking: RunBlocking = in_thread
    ) -> None:
        """Record what is on the bus and on the lines until cancelled, then write what waits, for a few seconds."""
        self._clock = clock
        writer = self._writer = Writer(self._write, self._close, begin=self._begin)
        recorder = self._recorder = Recorder(bus, clock, writer.offer, lambda: self.settings.enabled, lines)
        try:
            await recorder.run()
        finally:
            writer.stop()
            await run_blocking(writer.join, _END_S)

    def move_to(self, folder: Path) -> None:
        """Take the history to another folder. Raises OSError and stays where it is. Blocks."""
        self._database.move_to(folder)

    def view(
        self,
        from_s: int,
        to_s: int,
        names: Sequence[str],
        *,
        points: int,
        step_s: int | None = None,
        pack: str | None = None,
    ) -> "DatabaseView":
        """Return what answers a request; see ``grid_of``, ``DatabaseView``. Blocks. Raises HistoryError, KeyError."""
        from tinybms_bridge.services.history.reader import DatabaseView

        reader = self._reader
        grid = reader.plan(from_s, to_s, points=points, step_s=step_s, pack=pack)
        return DatabaseView(reader, grid, names, pack)

    def packs(self) -> Sequence[str]:
        """See ``HistoryReader.packs``."""
        return self._reader.packs()

    def days(self, first: date, last: date, pack: str | None = None) -> Iterator[DayRecord]:
        """See ``HistoryReader.days``."""
        return self._reader.days(first, last, pack)

    def months(self, first: date, last: date, pack: str | None = None) -> Sequence[MonthRecord]:
        """See ``HistoryReader.months``."""
        return self._reader.months(first, last, pack)

    def today(self) -> EnergyOfToday | None:
        """Return the energy since midnight, from memory; None while nothing is recorded. Returns at once."""
        recorder, clock = self._recorder, self._clock
        if recorder is None or clock is None or not self.settings.enabled:
            return None
        day = local_day(clock.wall().timestamp())
        before = (0, 0, 0) if self._opened is None else self._opened.before.get(day.isoformat(), (0, 0, 0))
        charged_mwh, discharged_mwh, fresh_s = (
            old + new for old, new in zip(before, recorder.counted(day), strict=True)
        )
        return EnergyOfToday(charged_mwh / 1e3, discharged_mwh / 1e3, fresh_s)

    def state(self) -> HistoryState:
        """Return how the history is; never raises."""
        writer, recorder, settings = self._writer, self._recorder, self.settings
        kept_days, size, error = dict(zip(LEVELS, settings.days, strict=True)), 0, ""
        levels = tuple(HistoryLevel(level.step_s, days) for level, days in kept_days.items())
        try:
            size, levels = self._reader.stored(kept_days)
        except HistoryError as failure:
            error = str(failure)
        return HistoryState(
            enabled=settings.enabled,
            path=str(self._database.path or ""),
            bytes=size,
            levels=levels,
            written_batches=writer.written if writer else 0,
            lost_batches=writer.lost if writer else 0,
            waiting_batches=writer.waiting if writer else 0,
            waits_for_clock=recorder.waits_for_clock if recorder else False,
            lost_undated_steps=recorder.undated_lost if recorder else 0,
            error=(writer.error if writer else "") or error,
        )

    @property
    def _database(self) -> "Database":
        """Made when it is first needed: SQLite takes memory that a bridge without a history does without."""
        from tinybms_bridge.services.history import database

        with self._making:
            if self._opened is None:
                self._opened = database.Database(self._folder, self._settings)
            return self._opened

    def _begin(self) -> None:
        """Bring the file forward and look at this day in it; what fails is told by ``_write``. Blocks."""
        if self._clock is not None:
            with contextlib.suppress(HistoryError):
                self._database.begin(local_day(self._clock.wall().timestamp()).isoformat())

    def _write(self, batch: Batch) -> None:
        self._database.write(batch)

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    @property
    def _reader(self) -> "HistoryReader":
        from tinybms_bridge.services.history.reader import HistoryReader

        return HistoryReader(self._database.path)
