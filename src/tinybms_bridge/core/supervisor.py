"""The supervisor: starts the parts, restarts services that fail, and ends the process when the path itself fails.

A service that raises is restarted after a capped, jittered delay; the same failure is logged once until the service
has run well again. A critical part that raises, or that ends on its own, ends everything with PathFailure.
"""

import asyncio
import logging
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tinybms_bridge.errors import BridgeError, described
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.link.events import PartState
from tinybms_bridge.link.state import PartStatus
from tinybms_bridge.words import Message, message

__all__ = ["Part", "PathFailure", "RestartSettings", "Supervisor"]

log = logging.getLogger(__name__)


class PathFailure(BridgeError):  # noqa: N818 -- names what failed: the path from UART to CAN
    """A part of the path from UART to CAN failed; the process has to start again."""

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(part, reason)
        self.part = part
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.part} failed: {self.reason}"


@dataclass(frozen=True, slots=True)
class RestartSettings:
    """Delays before a service is started again."""

    first_s: float = 0.5
    factor: float = 2.0
    max_s: float = 30.0
    jitter: float = 0.2
    """Each delay varies by this share, so that parts do not restart in step."""
    healthy_after_s: float = 60.0
    """A service that ran this long starts again at ``first_s``."""


@dataclass(slots=True)
class Part:
    """One supervised part."""

    name: str
    run: Callable[[], Awaitable[None]]
    critical: bool = False
    state: PartState = PartState.STARTING
    failure: Message | None = None
    """The last failure."""
    restarts: int = 0
    """Starts beyond the first, those that were asked for included."""
    task: asyncio.Task[None] | None = None
    """What runs it; None before the start."""
    restart_wanted: bool = False
    """Whether ``Supervisor.restart`` stopped it, so that it starts again at once."""

    @property
    def error(self) -> str:
        """The last failure in English; empty before the first."""
        return "" if self.failure is None else self.failure.text


_KEBAB_CASE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

_OLD_NAMES = {
    "configuration file": "config-watch",
    "event list": "event-list",
    "garbage collection": "garbage-collection",
    "log counts": "log-counts",
    "manual stops": "inhibits",
    "state of charge": "soc-writer",
    "status line": "status-line",
    "web settings": "web-settings",
    "web watch": "web-watch",
}
"""Names that the parts had in 0.1, to be given up with 0.3."""


class Supervisor:
    """Runs parts side by side until cancelled or until a critical one fails."""

    def __init__(
        self,
        clock: Clock,
        on_change: Callable[[Part], None] = lambda _part: None,
        settings: RestartSettings | None = None,
    ) -> None:
        self.parts: dict[str, Part] = {}
        """Every part by name."""
        self._clock = clock
        self._on_change = on_change
        self._settings = settings or RestartSettings()

    def add(self, name: str, run: Callable[[], Awaitable[None]], *, critical: bool = False) -> None:
        """Register a part before ``run``; ``run()`` of the part is called once for each start."""
        if name in self.parts:
            raise ValueError(f"part {name!r} is registered twice")
        if not _KEBAB_CASE.fullmatch(name):
            raise ValueError(f"part {name!r} is to be named in small letters, with - between words")
        self.parts[name] = Part(name, run, critical)

    def statuses(self) -> list[PartStatus]:
        """Return how the parts are."""
        return [
            PartStatus(each.name, each.state, each.error, each.restarts, each.critical, each.failure)
            for each in self.parts.values()
        ]

    def restart(self, name: str) -> None:
        """Stop one part in order and start it again at once; nothing else notices. Raises KeyError.

        Names of version 0.1 are understood as well.
        A part that waits after a failure starts now; one that has not been started or has ended is left alone.
        """
        part = self.parts[_OLD_NAMES.get(name, name)]
        if part.task is None or part.task.done() or part.state is PartState.STARTING:
            return
        if not part.restart_wanted:
            part.restart_wanted = True
            part.task.cancel()

    async def run(self) -> None:
        """Run all parts. Raises PathFailure when a critical part fails; the others are cancelled first."""
        try:
            async with asyncio.TaskGroup() as group:
                for part in self.parts.values():
                    watch = self._run_critical if part.critical else self._run_service
                    part.restart_wanted = False
                    part.task = group.create_task(self._again_when_wanted(part, watch), name=part.name)
        except* PathFailure as failures:
            raise failures.exceptions[0] from None

    @staticmethod
    async def _again_when_wanted(part: Part, watch: Callable[[Part], Awaitable[None]]) -> None:
        """Watch a part, again each time that ``restart`` stopped it. A stop of the supervisor wins."""
        while True:
            try:
                return await watch(part)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not part.restart_wanted or task is None or task.uncancel() > 0:
                    raise
                part.restart_wanted = False
                part.restarts += 1

    async def _run_critical(self, part: Part) -> None:
        self._set(part, PartState.RUNNING)
        try:
            await _run_once(part)
        except asyncio.CancelledError:
            self._set(part, PartState.STOPPED)
            raise
        except Exception as error:
            self._set(part, PartState.FAILED, described(error))
            log.debug("%s failed", part.name, exc_info=True)
            raise PathFailure(part.name, described(error).text) from error
        ended = message("part.ended")
        self._set(part, PartState.FAILED, ended)
        raise PathFailure(part.name, ended.text)

    async def _run_service(self, part: Part) -> None:
        try:
            await self._run_and_restart(part)
        finally:
            self._set(part, PartState.STOPPED)

    async def _run_and_restart(self, part: Part) -> None:
        settings = self._settings
        delay_s = settings.first_s
        while True:
            started_s = self._clock.monotonic()
            self._set(part, PartState.RUNNING)
            try:
                await _run_once(part)
            except Exception as error:
                if self._clock.monotonic() - started_s >= settings.healthy_after_s:
                    delay_s, part.failure = settings.first_s, None
                self._log_once(part, error)
                self._set(part, PartState.FAILED, described(error))
                if _is_to_end(part):
                    raise asyncio.CancelledError from error
            else:
                return
            jitter = settings.jitter
            await self._clock.sleep(delay_s * random.uniform(1 - jitter, 1 + jitter))  # noqa: S311 -- no secret
            delay_s = min(settings.max_s, delay_s * settings.factor)
            part.restarts += 1

    @staticmethod
    def _log_once(part: Part, error: Exception) -> None:
        text = described(error).text
        if text == part.error:
            log.debug("%s failed again: %s", part.name, text)
        else:
            log.warning("%s failed: %s; it is started again", part.name, text)
            if not isinstance(error, BridgeError):
                log.debug("%s failed", part.name, exc_info=error)

    def _set(self, part: Part, state: PartState, failure: Message | None = None) -> None:
        part.state = state
        if failure is not None:
            part.failure = failure
        self._on_change(part)


def _is_to_end(part: Part) -> bool:
    """Tell whether a part that failed was being stopped for good: its failure must not swallow the stop."""
    return part.task is not None and part.task.cancelling() > int(part.restart_wanted)


async def _run_once(part: Part) -> None:
    """Run a part to its end. A cancellation that leaks from inside the part is a failure, not a stop."""
    if part.restart_wanted and part.task is not None:  # the part failed while it was stopped for a restart
        part.restart_wanted = False
        part.task.uncancel()
    try:
        await part.run()
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise BridgeError("cancelled from inside") from error
