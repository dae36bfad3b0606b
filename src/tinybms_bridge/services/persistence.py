"""Keeps the state that outlives the process: loads it at the start, saves it from time to time and at the end."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Mapping

from tinybms_bridge.battery.saved_state import STATE_VERSION, SavedState
from tinybms_bridge.hal.blocking import RunBlocking, in_thread
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.hal.documents import check_version, load, parse_json
from tinybms_bridge.hal.storage import Storage

__all__ = ["STATE_FILE", "StateKeeper", "load_state"]

log = logging.getLogger(__name__)

STATE_FILE = "state.json"
"""Name of the file in the state directory."""

_LOOK_S = 2.0
"""How soon a change that matters is seen."""

_LEAST_S = 30.0
"""Two writes are further apart: a latch that flutters must not wear out an SD card."""


def load_state(storage: Storage) -> SavedState:
    """Return the saved state; a file that cannot be used is kept aside, and the one before it counts. Blocks."""
    return load(storage, "the state", _parse).value or SavedState()


def _parse(data: bytes) -> SavedState:
    document = parse_json(data)
    if isinstance(document, Mapping):
        check_version(document.get("version"), STATE_VERSION)
    return SavedState.from_document(document)


class StateKeeper:
    """Saves the state every ``interval_s`` when it changed, sooner when it matters, and when it is stopped."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        current: Callable[[], SavedState],
        interval_s: float,
        run_blocking: RunBlocking = in_thread,
    ) -> None:
        self.interval_s = interval_s
        """May be replaced at any time."""
        self._storage = storage
        self._clock = clock
        self._current = current
        self._run_blocking = run_blocking
        self._saved: SavedState | None = None
        self._loaded = current()
        self._overdue = False
        self._writing = threading.Lock()

    async def run(self) -> None:
        """Save until cancelled, and once more then. Raises OSError when saving fails; run again, it saves at once."""
        try:
            while True:
                if not self._overdue:
                    await self._until_due()
                self._overdue = True
                await self._run_blocking(self.save)
                self._overdue = False
        except asyncio.CancelledError:
            await self._run_blocking(self.save_quietly)  # a disk that is slow to fail must not hold up the sender
            raise

    async def _until_due(self) -> None:
        """Wait for the end of the interval or, after a while, for a change that matters."""
        begun_s, interval_s = self._clock.monotonic(), self.interval_s
        waited_s, least_s = 0.0, 0.0 if self._saved is None else _LEAST_S
        while waited_s < interval_s and not (waited_s >= least_s and self._urgent()):
            await self._clock.sleep(min(_LOOK_S, interval_s - waited_s))
            waited_s = self._clock.monotonic() - begun_s

    def _urgent(self) -> bool:
        return self._current().urgent_after(self._saved or self._loaded)

    def save(self) -> None:
        """Write the present state if it differs from the last one written. Blocks."""
        with self._writing:  # a write that was under way when the part was stopped goes on in its thread
            state = self._current()
            if state != self._saved:
                self._storage.write(json.dumps(state.to_document(), indent=1).encode())
                self._saved = state

    def save_quietly(self) -> None:
        """Save at the end of the process, where nobody can act on a failure any more. Blocks."""
        try:
            self.save()
        except OSError as error:
            log.error("the state could not be saved in %s: %s", self._storage.name, error)  # noqa: TRY400
