"""The services as a child of the core, for who starts one program and not two: started, watched and ended with it."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.hal.processes import OWN_GROUP

__all__ = ["PATH_FIRST_S", "ServicesChild", "path_first"]

log = logging.getLogger(__name__)

PATH_FIRST_S = 5.0
"""Longest wait for the first frame: where there is no BMS or no CAN people need the pages most."""
_LOOK_S = 0.1
_END_S = 8.0
"""Longest time that the services may take to write what waits; then they are killed."""


async def path_first(ready: Callable[[], bool], clock: Clock) -> None:
    """Wait for the first frame, but not long: on a small board the services take seconds of the processor."""
    end_s = clock.monotonic() + PATH_FIRST_S
    while not ready() and clock.monotonic() < end_s:
        await clock.sleep(_LOOK_S)


class ServicesChild:
    """One process; ``run`` starts it and ends with it, so that the supervisor starts it again after a pause.

    Args:
        socket_path: Where the core listens.
        clock: Source of time.
        ready: Tells whether the first frame went out; see ``path_first``.
        quiet: Whether something else has the terminal.

    """

    def __init__(self, socket_path: Path, clock: Clock, *, ready: Callable[[], bool], quiet: bool) -> None:
        self._socket_path = socket_path
        self._clock = clock
        self._ready = ready
        self._quiet = quiet

    async def run(self) -> None:
        """Run the services until cancelled, which ends them in order. Raises BridgeError when they end on their own."""
        await path_first(self._ready, self._clock)
        words = [sys.executable, "-m", "tinybms_bridge", "run-services", "--socket", str(self._socket_path)]
        words += ["--parent", str(os.getpid())]
        if self._quiet:
            words.append("--quiet")
        try:
            process = await asyncio.create_subprocess_exec(
                *words, stdin=asyncio.subprocess.DEVNULL, process_group=OWN_GROUP
            )
        except OSError as error:
            raise BridgeError(f"the services cannot be started: {error.strerror or error}") from error
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            await _end(process)
            raise
        raise BridgeError(f"the services process ended: {_words(status)}")


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process: as a signal does, and after a while at once."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_END_S):
            await process.wait()
    except TimeoutError:
        log.warning("the services process did not end within %.0f s and is killed", _END_S)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _words(status: int) -> str:
    """Say how a process ended."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
