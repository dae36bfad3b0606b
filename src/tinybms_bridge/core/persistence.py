"""Keeps the state that outlives the process: loads it at the start, saves it from time to time and at the end."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.saved_units import STATE_VERSION, SavedUnits
from tinybms_bridge.hal.blocking import RunBlocking, in_thread
from tinybms_bridge.hal.clock import Clock, until_tick_s
from tinybms_bridge.hal.documents import check_version, load, not_saved, parse_json
from tinybms_bridge.hal.storage import Storage

__all__ = ["STATE_FILE", "StateKeeper", "load_state", "peek_state"]

log = logging.getLogger(__name__)

STATE_FILE = "state.json"
"""Name of the file in the state directory."""

_LOOK_S = 2.0
"""How soon a change that matters is seen."""

_LEAST_S = 30.0
"""Two writes are further apart: a latch that flutters must not wear out an SD card."""


def load_state(storage: Storage, tell: Callable[[str], None] = log.warning) -> SavedUnits:
    """Return what was saved; a file that cannot be used is kept aside, and the one before it counts. Blocks.

    Afterwards the file is there twice: should the newest one be lost, no counter goes back.
    """
    found = load(storage, "the state", _parse, tell)
    if found.value is None:
        return SavedUnits()
    with suppress(OSError):  # then the next save makes up for it
        _keep_twice(storage)
    return found.value


def peek_state(storage: Storage) -> SavedUnits:
    """Return what was saved, or nothing where it cannot be read; the file stays as it is. Blocks."""
    try:
        data = storage.read()
        return SavedUnits() if data is None else _parse(data)
    except (OSError, ValueError):
        return SavedUnits()


def _keep_twice(storage: Storage) -> None:
    newest, before = storage.read(), storage.read_previous()
    if newest is None and before is not None:
        storage.write(before)
    elif newest is not None and newest != before:
        storage.write(newest)


def _parse(data: bytes) -> SavedUnits:
    document = parse_json(data)
    if isinstance(document, Mapping):
        check_version(document.get("version"), STATE_VERSION)
    return SavedUnits.from_document(document)


class StateKeeper:
    """Saves the state every ``interval_s`` when it changed, sooner when it matters, and when it is stopped.

    Args:
        storage: Where it is kept.
        clock: Source of time.
        current: Returns the state; called on the event loop.
        interval_s: Longest time between two saves.
        run_blocking: Runs what blocks.

    """

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        current: Callable[[], SavedUnits],
        interval_s: float,
        run_blocking: RunBlocking = in_thread,
    ) -> None:
        self.interval_s = interval_s
        """May be replaced at any time."""
        self._storage = storage
        self._clock = clock
        self._current = current
        self._run_blocking = run_blocking
        self._saved: SavedUnits | None = None
        loaded = current()
        self._on_disk = loaded, loaded
        """The newest document and the one before it: either may be what a restart finds."""
        self._kept: tuple[object, dict[str, EnergyTotals]] = None, {}
        self._overdue = False
        self._asked = self._written = 0
        self._writing = threading.Lock()

    def apply(self, interval_s: float) -> bool:
        """Put another interval in force; return whether ``run`` has to begin again for that."""
        changed, self.interval_s = interval_s != self.interval_s, interval_s
        return changed

    async def run(self) -> None:
        """Save until cancelled, and once more then. Raises BridgeError when it cannot; run again, it saves at once."""
        try:
            while True:
                if not self._overdue:
                    await self._until_due()
                self._overdue = True
                await self._run_blocking(self._save, *self._next())
                self._overdue = False
        except asyncio.CancelledError:
            await self._run_blocking(
                self._save_quietly, *self._next()
            )  # a disk that is slow to fail must not hold up the sender
            raise
        except OSError as error:
            raise not_saved(self._storage, error) from error

    def told_energy(self, unit: str | None, present: EnergyTotals) -> EnergyTotals:
        """Return the counters of a unit as far as they are on the disk, twice.

        This is what may be told to a GX, which adds up the differences: whatever ends the process, and even if the
        newest file is lost, no restart reads less. It lags by two saves at most, and stands still while nothing can be
        saved.
        """
        return self._told(f"unit {unit}", lambda document: document.energy_of(unit), present)

    def told_energy_of_pack(self, pack: str, present: EnergyTotals) -> EnergyTotals:
        """Return the same of one of several packs; of the battery for an empty name."""
        return self._told(f"pack {pack}", lambda document: document.energy_of_pack(pack), present)

    def _told(self, what: str, of: Callable[[SavedUnits], EnergyTotals], present: EnergyTotals) -> EnergyTotals:
        on_disk = self._on_disk
        known, kept = self._kept
        if known is not on_disk:
            kept = {}
            self._kept = on_disk, kept
        found = kept.get(what)
        if found is None:
            found = kept[what] = _least(*(of(document) for document in on_disk))
        return _least(found, present)

    async def _until_due(self) -> None:
        """Wait for the end of the interval or, after a while, for a change that matters."""
        begun_s, interval_s = self._clock.monotonic(), self.interval_s
        waited_s, least_s = 0.0, 0.0 if self._saved is None else _LEAST_S
        while waited_s < interval_s and not (waited_s >= least_s and self._urgent()):
            await self._clock.sleep(min(until_tick_s(self._clock, _LOOK_S), interval_s - waited_s))
            waited_s = self._clock.monotonic() - begun_s

    def _urgent(self) -> bool:
        return self._current().urgent_after(self._on_disk[0])

    def save(self) -> None:
        """Write the present state if it differs from the last one written. Blocks. Raises OSError."""
        self._save(*self._next())

    def _next(self) -> tuple[int, SavedUnits]:
        """Return the present state with a number that grows, so that an old one never replaces a newer one."""
        self._asked += 1
        return self._asked, self._current()

    def _save(self, number: int, present: SavedUnits) -> None:
        """Write a state if it is newer than the last one written and differs from it. Blocks."""
        with self._writing:  # a write that was under way when the part was stopped goes on in its thread
            if number > self._written and present != self._saved:
                self._storage.write(json.dumps(present.to_document(), indent=1).encode())
                self._on_disk = present, self._on_disk[0]
                self._saved, self._written = present, number

    def _save_quietly(self, number: int, present: SavedUnits) -> None:
        """Save at the end of the process, where nobody can act on a failure any more. Blocks."""
        try:
            self._save(number, present)
        except OSError as error:
            log.error("the state could not be saved in %s: %s", self._storage.name, error)  # noqa: TRY400


def _least(first: EnergyTotals, second: EnergyTotals) -> EnergyTotals:
    """Return the lower of each counter; the first one itself where it is lower in all."""
    least = EnergyTotals(
        charged_wh=min(first.charged_wh, second.charged_wh),
        discharged_wh=min(first.discharged_wh, second.discharged_wh),
        charged_ah=min(first.charged_ah, second.charged_ah),
        discharged_ah=min(first.discharged_ah, second.discharged_ah),
    )
    return first if least == first else least
