"""Notices that the configuration file has been edited."""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.hal.blocking import RunBlocking, in_thread
from tinybms_bridge.hal.clock import Clock

__all__ = ["ConfigWatch"]

log = logging.getLogger(__name__)

Signature = tuple[int, int, int, int]


class ConfigWatch:
    """Looks at the file each ``interval_s`` and has the store follow it.

    A file that cannot be used is told once it has been bad for two looks: an editor may be in the middle of writing.

    Args:
        path: The file.
        store: The configuration.
        clock: Source of time.
        reload: Has the store read the file; it may block.
        interval_s: Seconds between two looks.
        run_blocking: Runs what reads files.

    """

    def __init__(
        self,
        path: Path,
        store: ConfigStore,
        clock: Clock,
        reload: Callable[[], object],
        *,
        interval_s: float = 1.0,
        run_blocking: RunBlocking = in_thread,
    ) -> None:
        self.interval_s = interval_s
        self._path = path
        self._store = store
        self._clock = clock
        self._reload = reload
        self._run_blocking = run_blocking
        self._hurry = asyncio.Event()
        self._told = "" if store.error is None else str(store.error)  # the start has said it already
        self._doubted = ""

    def hurry(self) -> None:
        """Read the file now, whether or not it seems to have changed."""
        self._hurry.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        seen: Signature | None = None
        again = True
        while True:
            asked = self._hurry.is_set()
            self._hurry.clear()
            signature = await self._run_blocking(_signature, self._path)
            changed = signature != seen
            if changed or again or asked:
                seen, again = signature, changed
                await self._run_blocking(self._reload)
                self._tell(sure=asked or not changed)
            await self._wait()

    async def _wait(self) -> None:
        sleep = asyncio.ensure_future(self._clock.sleep(self.interval_s))
        hurry = asyncio.ensure_future(self._hurry.wait())
        try:
            await asyncio.wait((sleep, hurry), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            hurry.cancel()

    def _tell(self, *, sure: bool) -> None:
        error = self._store.error
        text = "" if error is None else str(error)
        if text == self._told or not (sure or not text):
            return
        self._told = text
        if error is None:
            log.info("the configuration file can be used again")
            return
        for problem in error.problems:
            log.error("configuration not used: %s", problem)
        log.warning("the configuration in force stays")


def _signature(path: Path) -> Signature | None:
    """Return what changes with every edit of a file, or None when it cannot be seen."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
