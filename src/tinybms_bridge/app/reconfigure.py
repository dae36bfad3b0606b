"""Puts a changed configuration in force while the bridge runs.

Settings are replaced in their parts. A port whose device, speed or adapter changes is closed and opened again by its
own part; the other bus goes on meanwhile.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tinybms_bridge.config.changes import ConfigChange, changed_paths
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.paths import state_directory
from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.core.bridge import Bridge
from tinybms_bridge.core.event_log import EventLog
from tinybms_bridge.core.settings import (
    frame_settings,
)
from tinybms_bridge.core.traffic import UartTraffic, log_can_frame
from tinybms_bridge.errors import ConfigError
from tinybms_bridge.link.events import ChangeSource, ConfigChanged
from tinybms_bridge.services.logs import LogSettings, LogStore

__all__ = ["LogParts", "Reconfigurer", "log_settings"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogParts:
    """What writes the log."""

    store: LogStore
    events: EventLog
    console: bool = True
    """False while something else has the terminal."""
    keep: bool = True
    """Whether a file is kept in the state directory."""


def log_settings(config: Configuration, *, console: bool = True, keep: bool = True) -> LogSettings:
    """Return what is written where; ``console`` and ``keep`` may forbid the terminal and the file."""
    logging_ = config.logging
    return LogSettings(
        level=logging_.log_level,
        console=console and logging_.output_serial,
        memory=logging_.output_web,
        syslog_server=logging_.syslog_server if logging_.output_syslog else "",
        folder=Path(state_directory(config.advanced.state_directory)) if keep else None,
    )


class Reconfigurer:
    """Applies every change of a store to a running bridge.

    Args:
        bridge: What is changed.
        logs: The parts of the log.
        adjust: Lays the command line's choices over a configuration. Raises ConfigError.

    """

    def __init__(
        self, bridge: Bridge, logs: LogParts, adjust: Callable[[Configuration], Configuration] = lambda config: config
    ) -> None:
        self._bridge = bridge
        self._logs = logs
        self._adjust = adjust
        self._source = threading.local()
        self._uart_traffic = UartTraffic()
        self._apply_logging(bridge.config)

    async def run(self, store: ConfigStore) -> None:
        """Apply each change of ``store``, one after the other, until cancelled."""
        loop = asyncio.get_running_loop()
        changes: asyncio.Queue[tuple[ConfigChange, ChangeSource]] = asyncio.Queue()

        def listen(change: ConfigChange) -> None:
            item = (change, getattr(self._source, "name", ChangeSource.API))
            loop.call_soon_threadsafe(changes.put_nowait, item)

        end = store.subscribe(listen)
        try:
            await self.apply(store.configuration, ChangeSource.FILE)  # what changed while nobody listened
            while True:
                change, source = await changes.get()
                await self.apply(change.new, source)
        finally:
            end()

    @contextmanager
    def source(self, name: ChangeSource) -> Iterator[None]:
        """Name who makes the changes of this thread; without it they are those of the API."""
        self._source.name = name
        try:
            yield
        finally:
            del self._source.name

    async def apply(self, wanted: Configuration, source: ChangeSource) -> tuple[str, ...]:
        """Put a configuration in force and return the paths that changed; on an error all stays as it was.

        A state directory that cannot be written is told, and everything else takes effect.
        """
        bridge, old = self._bridge, self._bridge.config
        try:
            new = self._adjust(wanted)
            frame_settings(new)
        except ConfigError as error:
            log.error("the changed configuration is not used: %s", error)  # noqa: TRY400 -- one clear line
            return ()
        paths = tuple(changed_paths(old, new))
        if not paths:
            return ()
        moved = await self._tell_machine(new)
        bridge.apply(new)
        self._apply_logging(new, moved=moved)
        bridge.bus.publish(ConfigChanged(paths, source), "settings")
        return paths

    async def _tell_machine(self, new: Configuration) -> bool:
        """Have the machine follow; False when the state directory cannot be used."""
        try:
            await self._bridge.machine.run_blocking(self._bridge.machine.use, new)
        except OSError as error:
            log.error("advanced.state_directory: %s; the old one stays in use", error)  # noqa: TRY400 -- one clear line
            return False
        return True

    def _apply_logging(self, config: Configuration, *, moved: bool = True) -> None:
        logs, bridge = self._logs, self._bridge
        wanted = log_settings(config, console=logs.console, keep=logs.keep)
        if not moved:
            wanted = replace(wanted, folder=logs.store.settings.folder)
        if wanted != logs.store.settings:
            logs.store.settings = wanted
        logs.events.log_charge_states = config.logging.log_cvl_changes
        bridge.pack.client.on_traffic = self._uart_traffic if config.logging.log_uart_traffic else None
        bridge.can.on_traffic = log_can_frame if config.logging.log_can_traffic else None
