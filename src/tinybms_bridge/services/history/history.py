"""The history as a part of the bridge: records while it runs, and answers at any time."""

import threading
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tinybms_bridge.hal.blocking import RunBlocking, in_thread
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.services.history.fields import FIELDS
from tinybms_bridge.services.history.levels import LEVELS, HistoryError, HistorySettings
from tinybms_bridge.services.history.recorder import Recorder
from tinybms_bridge.services.history.writer import Batch, Writer
from tinybms_bridge.services.ports import DayEnergy, HistoryField, HistoryLevel, HistoryState

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

    async def run(self, bus: Bus, clock: Clock, run_blocking: RunBlocking = in_thread) -> None:
        """Record what is on the bus until cancelled, then write what waits, for a few seconds at most."""
        writer = self._writer = Writer(self._write, self._close)
        recorder = self._recorder = Recorder(bus, clock, writer.offer, lambda: self.settings.enabled)
        try:
            await recorder.run()
        finally:
            writer.stop()
            await run_blocking(writer.join, _END_S)

    def move_to(self, folder: Path) -> None:
        """Take the history to another folder. Raises OSError and stays where it is. Blocks."""
        self._database.move_to(folder)

    def view(
        self, from_s: int, to_s: int, names: Sequence[str], *, points: int, step_s: int | None = None
    ) -> "DatabaseView":
        """Return what answers a request; see ``grid_of``, ``DatabaseView``. Blocks. Raises HistoryError, KeyError."""
        from tinybms_bridge.services.history.reader import DatabaseView

        reader = self._reader
        return DatabaseView(reader, reader.plan(from_s, to_s, points=points, step_s=step_s), names)

    def days(self, first: date, last: date) -> Sequence[DayEnergy]:
        """See ``HistoryReader.days``."""
        return self._reader.days(first, last)

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

    def _write(self, batch: Batch) -> None:
        self._database.write(batch)

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    @property
    def _reader(self) -> "HistoryReader":
        from tinybms_bridge.services.history.reader import HistoryReader

        return HistoryReader(self._database.path)
