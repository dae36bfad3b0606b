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
    can_settings,
    client_settings,
    frame_settings,
    notice_settings,
    pipeline_settings,
    poll_settings,
    transmitter_settings,
)
from tinybms_bridge.core.traffic import UartTraffic, log_can_frame
from tinybms_bridge.errors import ConfigError
from tinybms_bridge.link.events import ConfigChanged
from tinybms_bridge.services.logs import LogBook, LogSettings
from tinybms_bridge.tinybms.adaptive import AdaptiveInterval

__all__ = ["LogParts", "Reconfigurer", "log_settings"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogParts:
    """What writes the log."""

    book: LogBook
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
        changes: asyncio.Queue[tuple[ConfigChange, str]] = asyncio.Queue()

        def listen(change: ConfigChange) -> None:
            item = (change, getattr(self._source, "name", "api"))
            loop.call_soon_threadsafe(changes.put_nowait, item)

        end = store.subscribe(listen)
        try:
            await self.apply(store.configuration, "file")  # what changed while nobody listened
            while True:
                change, source = await changes.get()
                await self.apply(change.new, source)
        finally:
            end()

    @contextmanager
    def source(self, name: str) -> Iterator[None]:
        """Name who makes the changes of this thread; without it they are those of the API."""
        self._source.name = name
        try:
            yield
        finally:
            del self._source.name

    async def apply(self, wanted: Configuration, source: str) -> tuple[str, ...]:
        """Put a configuration in force and return the paths that changed; on an error all stays as it was.

        A state directory that cannot be written is told, and everything else takes effect.
        """
        bridge, old = self._bridge, self._bridge.config
        try:
            new = self._adjust(wanted)
            frames = frame_settings(new)
        except ConfigError as error:
            log.error("the changed configuration is not used: %s", error)  # noqa: TRY400 -- one clear line
            return ()
        paths = tuple(changed_paths(old, new))
        if not paths:
            return ()
        moved = await self._tell_machine(new)
        bridge.config = new
        bridge.frame_settings = frames
        self._apply_parts(new)
        self._apply_cadence(old, new)
        self._apply_logging(new, moved=moved)
        bridge.check_configuration()
        self._reopen(old, new)
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

    def _apply_parts(self, new: Configuration) -> None:
        """Replace the settings of the parts, which take effect with their next step."""
        bridge = self._bridge
        bridge.client.settings = client_settings(new)
        bridge.poller.settings = poll_settings(new)
        bridge.pipeline.settings = pipeline_settings(new)
        bridge.notices.settings = notice_settings(new)
        bridge.gx.timeout_s = new.victron.keepalive_timeout_ms / 1000.0
        if bridge.transmitter is not None:
            bridge.transmitter.settings = transmitter_settings(new)
            bridge.transmitter.kick()

    def _apply_cadence(self, old: Configuration, new: Configuration) -> None:
        """Change what is in the middle of a wait."""
        bridge = self._bridge
        if new.tinybms.poll_interval_ms != old.tinybms.poll_interval_ms:
            bridge.poller.interval = AdaptiveInterval(poll_settings(new).adaptive)
        if new.advanced.energy_save_interval_s != old.advanced.energy_save_interval_s:
            bridge.keeper.interval_s = new.advanced.energy_save_interval_s
            bridge.supervisor.restart("state")
        watchdog = (new.advanced.enable_watchdog, new.advanced.watchdog_timeout_s)
        if watchdog != (bridge.guard.enabled, bridge.guard.timeout_s):
            bridge.guard.configure(enabled=watchdog[0], timeout_s=watchdog[1])

    def _apply_logging(self, config: Configuration, *, moved: bool = True) -> None:
        logs, bridge = self._logs, self._bridge
        wanted = log_settings(config, console=logs.console, keep=logs.keep)
        if not moved:
            wanted = replace(wanted, folder=logs.book.settings.folder)
        if wanted != logs.book.settings:
            logs.book.settings = wanted
        logs.events.log_charge_states = config.logging.log_cvl_changes
        bridge.client.on_traffic = self._uart_traffic if config.logging.log_uart_traffic else None
        bridge.on_can_traffic = log_can_frame if config.logging.log_can_traffic else None

    def _reopen(self, old: Configuration, new: Configuration) -> None:
        """Open a port anew where its own settings changed."""
        bridge = self._bridge
        if old.hardware.uart.device != new.hardware.uart.device:
            bridge.poller.ratings = None  # another BMS may be at the other end: nothing before its own bounds
            bridge.supervisor.restart("uart")
        if can_settings(old) != can_settings(new):
            bridge.supervisor.restart("can")
