"""The configuration of a running core: it follows its file, and what clients put in force, without a restart.

The file is read and checked by a process of its own (``core.configuration``), so that the core needs none of the
libraries that judge a file. What the services have checked and saved they hand over as values.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tinybms_bridge.config.changes import changed_paths
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.last_good import LastGood, digest_of
from tinybms_bridge.config.overrides import Overrides
from tinybms_bridge.config.values import from_values, values_of
from tinybms_bridge.core.bridge import Bridge
from tinybms_bridge.core.configuration import Checked
from tinybms_bridge.core.settings import frame_settings
from tinybms_bridge.errors import ConfigError, ConfigProblem
from tinybms_bridge.hal.clock import Clock, until_tick_s
from tinybms_bridge.link.events import ChangeSource, ConfigChanged
from tinybms_bridge.link.state import ConfigurationState

__all__ = ["Follower"]

log = logging.getLogger(__name__)

Check = Callable[[], Awaitable[Checked]]
"""Reads and checks the file. Raises ConfigError when that cannot be done at all."""
Signature = tuple[int, int, int, int]

_LOOK_S = 1.0


class Follower:
    """Keeps the configuration of a bridge what its file says.

    A file that cannot be used is told once it has been bad for two looks: an editor may be in the middle of writing.

    Args:
        bridge: What is configured.
        path: The file; None for a configuration that no file holds.
        check: Reads and checks the file as it is now; see ``check_file``.
        overrides: What the command line says in place of the file.
        seen: Digest of the file that is in force.
        fell_back: Whether that is an earlier file, since the present one cannot be used.
        on_applied: Called with each configuration that is in force now, for what is no part of the bridge.

    """

    def __init__(
        self,
        bridge: Bridge,
        path: Path | None,
        check: Check,
        *,
        overrides: Overrides,
        seen: str = "",
        fell_back: bool = False,
        problems: tuple[ConfigProblem, ...] = (),
        on_applied: Callable[[Configuration], None] = lambda _config: None,
    ) -> None:
        self._bridge = bridge
        self._path = path
        self._check = check
        self._overrides = overrides
        self._seen = seen
        self._fell_back = fell_back
        self._problems = problems
        self._told = tuple(str(each) for each in problems)  # the start has said it already
        self._number = 0
        self._told_state: ConfigurationState | None = None
        self._told_of: tuple[object, ...] = ()
        self._on_applied = on_applied
        self._due = asyncio.Event()
        self._asked = False
        self._changing = asyncio.Lock()
        self._clock: Clock = bridge.machine.clock

    @property
    def usable(self) -> bool:
        """Whether what is in force is what the file says."""
        return not self._problems and not self._fell_back

    def state(self) -> ConfigurationState:
        """Return what is in force, and how its file is."""
        config, state = self._bridge.config, self._told_state
        if state is None or self._told_of != (config, self._number, self._problems, self._fell_back):
            self._told_of = config, self._number, self._problems, self._fell_back
            state = self._told_state = ConfigurationState(
                values=values_of(config),
                file="" if self._path is None else str(self._path),
                number=self._number,
                usable=self.usable,
                problems=self._problems,
                overrides=self._overrides,
            )
        return state

    def hurry(self) -> None:
        """Look at the file now, whether or not it seems to have changed."""
        self._asked = True
        self._due.set()

    async def run(self) -> None:
        """Follow the file until cancelled."""
        if self._path is None:
            await asyncio.Event().wait()
            return
        run_blocking = self._bridge.machine.run_blocking
        seen: Signature | None = await run_blocking(_signature, self._path)
        again = await run_blocking(_digest, self._path) != self._seen  # what changed while nobody looked
        while True:
            asked, self._asked = self._asked, False
            signature = await run_blocking(_signature, self._path)
            changed = signature != seen
            if changed or again or asked:
                seen, again = signature, changed
                await self._follow_file(sure=asked or not changed)
            await self._wait()

    async def reload(self) -> tuple[str, ...]:
        """Read the file again and return the paths that changed. Raises ConfigError for one that cannot be used."""
        if self._path is None:
            return ()
        changed = await self._follow_file(sure=True)
        if self._problems:
            raise ConfigError(list(self._problems), source=str(self._path))
        return changed

    async def configure(self, values: Mapping[str, object], digest: str, source: ChangeSource) -> tuple[str, ...]:
        """Put checked values in force and return the paths that changed. Raises ConfigError; then nothing has."""
        config = from_values(dict(values))
        async with self._changing:
            self._judge(config)
            changed = await self._apply(config, source)
            if digest:
                self._seen, self._fell_back = digest, False
                self._say_problems((), sure=True)
            return changed

    def judge(self, values: Mapping[str, object]) -> None:
        """Raise ConfigError for values that do not fit this battery, or cannot be put into frames."""
        self._judge(from_values(dict(values)))

    def _judge(self, config: Configuration) -> None:
        frame_settings(config)
        self._bridge.refuse_conflicts(config)

    async def _follow_file(self, *, sure: bool) -> tuple[str, ...]:
        """Put in force what the file says; a bad one changes nothing."""
        path = self._path
        if path is None:
            return ()
        async with self._changing:
            try:
                checked = await self._check()
                if checked.answer.digest is None or (checked.answer.digest == self._seen and self.usable):
                    return ()  # a file that has vanished changes nothing
                self._judge(checked.configuration)
            except ConfigError as error:
                self._say_problems(tuple(error.problems), sure=sure)
                return ()
            self._seen, self._fell_back = checked.answer.digest, False
            self._say_problems((), sure=True)
            with suppress(OSError):  # the copy is for a start with a file that cannot be used
                await self._bridge.machine.run_blocking(_keep_copy, path, checked.answer.digest)
            return await self._apply(checked.configuration, ChangeSource.FILE)

    async def _apply(self, config: Configuration, source: ChangeSource) -> tuple[str, ...]:
        bridge = self._bridge
        paths = tuple(changed_paths(bridge.config, config))
        if not paths:
            return ()
        try:
            await bridge.machine.run_blocking(bridge.machine.use, config)
        except OSError as error:
            log.error("advanced.state_directory: %s; the old one stays in use", error)  # noqa: TRY400 -- one clear line
        bridge.apply(config)
        self._number += 1
        self._on_applied(config)
        bridge.bus.publish(ConfigChanged(paths, source), "settings")
        return paths

    def _say_problems(self, problems: tuple[ConfigProblem, ...], *, sure: bool) -> None:
        self._problems = problems
        texts = tuple(str(each) for each in problems)
        if texts == self._told or not (sure or not texts):
            return
        self._told = texts
        if not texts:
            log.info("the configuration file can be used again")
            return
        for problem in texts:
            log.error("configuration not used: %s", problem)
        log.warning("the configuration in force stays")

    async def _wait(self) -> None:
        timer = self._clock.call_later(until_tick_s(self._clock, _LOOK_S), self._due.set)
        try:
            await self._due.wait()
        finally:
            timer.cancel()
        self._due.clear()


def _digest(path: Path) -> str:
    """Return what names the content of a file; empty when it cannot be read."""
    try:
        return digest_of(path.read_bytes())
    except OSError:
        return ""


def _keep_copy(path: Path, digest: str) -> None:
    LastGood(path).keep(digest)


def _signature(path: Path) -> Signature | None:
    """Return what changes with every edit of a file, or None when it cannot be seen."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
