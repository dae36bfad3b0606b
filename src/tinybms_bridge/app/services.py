"""The services process: web pages, history and log, beside the core and without a hand on its ports.

It follows the core over the link and goes on while the core is away; whatever fails here costs the battery nothing.
"""

import asyncio
import json
import logging
import os
import shlex
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tinybms_bridge import __version__
from tinybms_bridge.app.background import Background
from tinybms_bridge.app.child import path_first
from tinybms_bridge.app.extras import Extra
from tinybms_bridge.app.remote import CoreChanges, NumberedFeed, RemoteCore
from tinybms_bridge.app.restart import StartAgain, own_command
from tinybms_bridge.app.state_files import StateFiles
from tinybms_bridge.config.changes import ConfigChange, changed_paths
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.last_good import LastGood
from tinybms_bridge.config.models.base import Secret
from tinybms_bridge.config.overrides import override
from tinybms_bridge.config.paths import log_directory, state_directory
from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.config.values import from_values
from tinybms_bridge.core.supervisor import Part, Supervisor
from tinybms_bridge.errors import ConfigError, LinkError
from tinybms_bridge.hal.blocking import RunBlocking, in_thread
from tinybms_bridge.hal.clock import Clock, SystemClock, until_tick_s
from tinybms_bridge.hal.log_output import LogOutput, open_console
from tinybms_bridge.hal.logs import LineHandler, LogLine, logging_through
from tinybms_bridge.hal.storage import FileStorage, MemoryStorage
from tinybms_bridge.hal.watchdog import Watchdog, find_watchdog
from tinybms_bridge.link import commands
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.client import LinkClient
from tinybms_bridge.link.events import ChangeSource, ConfigChanged, PartStateChanged
from tinybms_bridge.link.mirror import Mirror
from tinybms_bridge.link.state import EVENTS, ConfigurationState, CoreState, EnergyToday, LogWritten, ServicesState
from tinybms_bridge.services.history import History, HistorySettings
from tinybms_bridge.services.logs import LogSettings, LogStore
from tinybms_bridge.services.mdns.options import MdnsOptions
from tinybms_bridge.services.mqtt import MEMORY_FILE, SPOOL_FOLDER, MqttOptions, MqttPublisher, make_mqtt
from tinybms_bridge.services.notify.options import NOTIFY_FILE, NotifyOptions, notify_options
from tinybms_bridge.services.ports import MetricsSource, Pages
from tinybms_bridge.services.standing import ServiceStanding

if TYPE_CHECKING:
    from tinybms_bridge.services.mdns.service import MdnsService
    from tinybms_bridge.services.metrics import MetricsService
    from tinybms_bridge.services.notify.record import TellRecord
    from tinybms_bridge.services.notify.service import NotifyService
    from tinybms_bridge.services.web.options import WebOptions
    from tinybms_bridge.services.web.service import WebService, WebState

__all__ = [
    "Services",
    "ServicesOptions",
    "history_settings",
    "metrics_token",
    "open_store",
    "run_services",
    "today",
    "users_command",
]

log = logging.getLogger(__name__)

_REPORT_S = 2.0
_TODAY_S = 30.0
_PARENT_LOOK_S = 1.0
_ALIVE_S = 10.0
"""Pause between two signs of life for the service manager, which waits for six of them (``app/units.py``)."""
_MOST_LINES = 1_000_000
"""More than the log keeps."""


@dataclass(frozen=True, slots=True)
class ServicesOptions:
    """How the services are started."""

    paths: tuple[Path, ...]
    """Where the core may listen."""
    parent: int = 0
    """Number of the core whose child they are, with which they end; 0: they go on without the core."""
    quiet: bool = False
    """Whether something else has the terminal."""


async def run_services(options: ServicesOptions, clock: Clock | None = None) -> None:
    """Run the services until cancelled, or until the core whose child they are has gone.

    Raises StartAgain when a core with another configuration file has taken the place of the one they began with.
    """
    clock = clock or SystemClock()
    mirror = Mirror(CoreState, EVENTS, clock.monotonic)
    link = LinkClient(options.paths, mirror, clock, who="services", program_version=__version__)
    try:
        async with asyncio.TaskGroup() as group:
            connection = group.create_task(link.run(), name="link")
            if options.parent:
                group.create_task(_end_with_parent(options.parent, clock, asyncio.current_task()))
            else:
                group.create_task(_tell_manager(find_watchdog(), mirror, clock))
            await _first_state(mirror)
            if not options.parent:  # a core starts its child after the first frame
                await path_first(lambda: mirror.state.battery.may_send, clock)
            store = await in_thread(open_store, mirror.state.configuration)
            services = Services(link, mirror, clock, store, quiet=options.quiet)
            try:
                await services.run()
            finally:
                connection.cancel()
    except* StartAgain as ended:
        raise ended.exceptions[0] from None


async def _first_state(mirror: Mirror[CoreState]) -> None:
    """Wait until the core has told what it is."""
    told = asyncio.Event()
    end = mirror.on_change(lambda _branches: told.set(), "core")
    try:
        while not mirror.state.core.version:
            told.clear()
            await told.wait()
    finally:
        end()


async def _tell_manager(watchdog: Watchdog, mirror: Mirror[CoreState], clock: Clock) -> None:
    """Tell the service manager that the process is up and its event loop runs, with or without a core."""

    def tell(connected: bool) -> None:
        watchdog.status("follows the core" if connected else "waits for the core")

    end = mirror.on_connection(tell)
    try:
        watchdog.ready()
        tell(mirror.connected)
        while True:
            watchdog.feed()
            await clock.sleep(until_tick_s(clock, _ALIVE_S))
    finally:
        end()


async def _end_with_parent(parent: int, clock: Clock, task: "asyncio.Task[None] | None") -> None:
    """End when the process that started this one has gone, as it does when it is killed."""
    while os.getppid() == parent:
        await clock.sleep(until_tick_s(clock, _PARENT_LOOK_S))
    log.warning("the core has gone, and the services end with it")
    if task is not None:
        task.cancel()


def open_store(told: ConfigurationState) -> ConfigStore:
    """Return the configuration that a core has in force, with its file. Blocks."""
    if told.file:
        store = ConfigStore(FileStorage(Path(told.file)), last_good=LastGood(Path(told.file)))
    else:
        store = ConfigStore(MemoryStorage(json.dumps(told.values).encode()))
    store.adjust = partial(override, overrides=told.overrides)
    store.load()
    return store


class Services:
    """Everything beside the core, joined.

    Args:
        link: The connection to the core.
        mirror: Its state, which has been there once.
        clock: Source of time.
        store: The configuration of the core; see ``open_store``.
        quiet: Whether something else has the terminal.
        run_blocking: Runs what blocks.

    """

    def __init__(
        self,
        link: LinkClient[CoreState],
        mirror: Mirror[CoreState],
        clock: Clock,
        store: ConfigStore,
        *,
        quiet: bool,
        run_blocking: RunBlocking = in_thread,
    ) -> None:
        self.config = from_values(mirror.state.configuration.values)
        """The configuration in force."""
        self.bus = Bus(clock.monotonic, clock.wall)
        self.supervisor = Supervisor(clock, self._on_part)
        self.run_blocking = run_blocking
        self._link = link
        self._mirror = mirror
        self._clock = clock
        self._quiet = quiet
        self._told = mirror.state.configuration
        self._run_id = mirror.run_id
        self._task: asyncio.Task[object] | None = None
        self._starts_again = False
        self._moving = asyncio.Lock()
        self._kept: set[tuple[datetime, str]] = set()
        self._background = Background()
        folder = mirror.state.core.state_directory
        self.files = StateFiles(Path(folder) if folder else Path(state_directory("")))
        self._keep = bool(folder)
        self.history = History(self.files.folder if self._keep else None, history_settings(self.config))
        self.files.also.append(self.history.move_to)
        self.logs = LogStore(self._log_settings())
        self._lines = LineHandler(self._take_line)
        self._console: LogOutput | None = None
        self._show_lines()
        self._following = threading.local()
        self.store = store
        self.core = RemoteCore(link, mirror, clock, store, self.bus, self.supervisor, self.logs, self.history)
        self.web = WebPart(self)
        self._told_record: TellRecord | None = None
        self.extras: list[Extra[Any]] = [
            self._mqtt(),
            self._mdns(),
            Extra("metrics", self.supervisor, clock, run_blocking, metrics_token, self._make_metrics),
            Extra("notifications", self.supervisor, clock, run_blocking, notify_options, self._make_notify),
        ]
        CoreChanges(mirror, self.bus)
        supervisor = self.supervisor
        supervisor.add("history", partial(self.history.run, self.bus, clock, self.core, run_blocking))
        supervisor.add("services-log-counts", partial(self._lines.run, clock))
        supervisor.add("web", self.web.run)
        supervisor.add("web-watch", self.web.watch)
        supervisor.add("web-settings", self.web.follow)
        supervisor.add("report", self._report)
        for extra in self.extras:
            self.core.extras[extra.name] = extra
            extra.begin(self.config)

    @property
    def folder(self) -> Path:
        """The state directory in use."""
        return self.files.folder

    async def run(self) -> None:
        """Run until cancelled. Raises StartAgain; see ``run_services``."""
        self._task = asyncio.current_task()
        await self.run_blocking(self.logs.load)
        self._kept = {(line.at, line.source) for line in self.logs.read(_MOST_LINES).lines}
        self.store.judges.append(self.core.judge)
        self.store.guards.append(self.web.check)
        ending = ExitStack()
        ending.callback(self.store.subscribe(self._saved))
        ending.enter_context(logging_through(self._lines))
        lines = NumberedFeed(self._link, self._mirror, "the log of the core", commands.ReadLog, self._take_lines)
        ending.callback(lines.close)
        ending.callback(self._mirror.on_event(lambda event: lines.offer(cast("LogWritten", event)), LogWritten))
        ending.callback(self._mirror.on_change(self._configured, "configuration", "core"))
        ending.callback(self.web.close)
        try:
            with ending:
                self._configured(frozenset())  # what has changed since the store was opened
                await self.supervisor.run()
        except asyncio.CancelledError:
            if self._starts_again and self._task is not None and self._task.uncancel() == 0:
                raise StartAgain from None
            raise
        finally:
            self._lines.close()
            if self._console is not None:
                self._console.stop()
                await self.run_blocking(self._console.join, 1.0)
            await self.run_blocking(self.logs.close)

    def _mqtt(self) -> Extra[MqttOptions]:
        memory = self.files.stored(MEMORY_FILE, 0o600) if self._keep else MemoryStorage()

        def wanted(config: Configuration) -> MqttOptions:
            return MqttOptions.from_config(config, self.folder / SPOOL_FOLDER if self._keep else None)

        def make(options: MqttOptions, standing: ServiceStanding) -> MqttPublisher:
            return make_mqtt(self.core, options, standing, memory, self.run_blocking)

        return Extra("mqtt", self.supervisor, self._clock, self.run_blocking, wanted, make)

    def _mdns(self) -> Extra[MdnsOptions]:
        def make(options: MdnsOptions, standing: ServiceStanding) -> "MdnsService":
            from tinybms_bridge.services.mdns.service import MdnsService

            return MdnsService(options, standing, self._clock, self.run_blocking, lambda: self.web.pages)

        wanted = MdnsOptions.from_config
        return Extra("mdns", self.supervisor, self._clock, self.run_blocking, wanted, make)

    def web_options(self, config: Configuration) -> "WebOptions":
        """Return what a configuration says of the web server."""
        from tinybms_bridge.services.web.options import WebOptions

        return WebOptions.from_config(config.web_server, self.folder)

    def make_web(self) -> "WebService":
        """Return the web server."""
        from tinybms_bridge.services.web.accounts import USERS_FILE
        from tinybms_bridge.services.web.service import WebService, to_standard_error
        from tinybms_bridge.services.web.tls import CERTIFICATE_FILE, KEY_FILE

        for name, mode in ((CERTIFICATE_FILE, 0o644), (KEY_FILE, 0o600)):
            self.files.stored(name, mode)  # browsers that trust our own certificate go on trusting it
        return WebService(
            self.core,
            self.web_options(self.config),
            self.files.stored(USERS_FILE, 0o600),
            self._clock,
            announce=_to_nobody if self._quiet else to_standard_error,
            users_command=lambda: users_command(self.folder),
        )

    def _make_metrics(self, token: Secret, standing: ServiceStanding) -> "MetricsService":
        from tinybms_bridge.services.metrics import MetricsService

        def offer(source: MetricsSource | None) -> None:
            self.core.metrics = source

        return MetricsService(self.core, token, standing, offer, self.run_blocking)

    def _make_notify(self, options: NotifyOptions, standing: ServiceStanding) -> "NotifyService":
        """Return what tells of alarms; what it has told stays known when it is made anew. Blocks."""
        from tinybms_bridge.services.notify.record import TellRecord
        from tinybms_bridge.services.notify.service import NotifyService

        record = self._told_record
        if record is None:
            storage = self.files.stored(NOTIFY_FILE, 0o600) if self._keep else MemoryStorage()
            self._told_record = record = TellRecord(storage)
            record.load()
        return NotifyService(self.core.moment, options, standing, record, self._clock, self.run_blocking)

    # the configuration

    def _saved(self, change: ConfigChange) -> None:
        """Have the core put in force what was saved; called in the thread that changed the store."""
        if getattr(self._following, "file", False):
            return
        self.core.configured(change.new, self.store.digest)

    def _follow_file(self) -> None:
        """Read the file that the core has in force already. Blocks."""
        self._following.file = True
        try:
            self.store.reload_if_changed()
        finally:
            self._following.file = False

    def _configured(self, _branches: frozenset[str]) -> None:
        """Take up what is in force in the core now."""
        told, before = self._mirror.state.configuration, self._told
        if told.file != before.file and told.values:
            self._begin_anew(told.file)
            return
        folder = self._mirror.state.core.state_directory
        if folder and Path(folder) != self.folder:
            self._background.begin(self._move(Path(folder)))
        if told == before and self._mirror.run_id == self._run_id:
            return
        self._told, self._run_id = told, self._mirror.run_id
        self.store.adjust = partial(override, overrides=told.overrides)
        # A file that the core does not use has an error to be shown.
        self._background.begin(self.run_blocking(self._follow_file))
        try:
            new = from_values(told.values)
        except ConfigError as error:
            log.warning("the configuration of the core cannot be read: %s", error)
            return
        paths, self.config = tuple(changed_paths(self.config, new)), new
        if paths:
            self.history.settings = history_settings(new)
            self.logs.settings = self._log_settings()
            self._show_lines()
            for extra in self.extras:
                extra.take_up(new)
            self.bus.publish(ConfigChanged(paths, ChangeSource.API), "services")

    def _begin_anew(self, file: str) -> None:
        """End for a new start with another file: settings must not be saved in the wrong one, nor files moved along."""
        if self._task is not None and not self._starts_again:
            self._starts_again = True
            log.warning("the core uses another configuration file, %s: the services start again with it", file)
            self._task.cancel()

    async def _move(self, folder: Path) -> None:
        """Take the files along to where the core keeps its own."""
        async with self._moving:
            try:
                await self.run_blocking(self.files.move_to, folder)
            except OSError as error:
                log.error("advanced.state_directory: %s; the old one stays in use", error)  # noqa: TRY400 -- one clear line
            self.logs.settings = self._log_settings()
            for extra in self.extras:
                extra.take_up(self.config)
            await self.web.take_up()

    def _log_settings(self) -> LogSettings:
        wanted = self.config.logging
        return LogSettings(
            level=wanted.log_level,
            console=False,
            memory=wanted.output_web,
            syslog_server=wanted.syslog_server if wanted.output_syslog else "",
            folder=log_directory(self.folder) if self._keep else None,
        )

    # the log of both processes

    def _show_lines(self) -> None:
        """Write the lines of this process to the terminal or journal, where the core writes its own, or no longer."""
        wanted = self.config.logging.output_serial and not self._quiet
        if wanted and self._console is None:
            self._console = LogOutput(open_console, name="console")
        elif not wanted and self._console is not None:
            self._console.stop()
            self._console = None

    def _take_line(self, line: LogLine) -> None:
        self.logs.take(line)
        if self._console is not None:
            self._console.offer(line)

    def _take_lines(self, lines: Sequence[LogWritten], of_another_run: bool) -> None:
        kept, self._kept = self._kept if of_another_run else set(), set()
        for line in lines:
            if (line.at, line.source) not in kept:  # in the file since services that ended before these began
                self.logs.take(LogLine(line.at, line.level, line.source, line.text))

    # what the core is told

    async def _report(self) -> None:
        """Tell the core how the services are, for who looks at the core only."""
        energy: EnergyToday | None = None
        read_s, before = float("-inf"), ServicesState()
        while True:
            if self._clock.monotonic() - read_s >= _TODAY_S:
                read_s = self._clock.monotonic()
                energy = today(self.history)
            state = self._state(energy)
            if state != before or self._mirror.state.services != state:
                before = state
                with suppress(LinkError):  # told again when the core is heard
                    await self._link.call(commands.ReportServices(state))
            await self._clock.sleep(until_tick_s(self._clock, _REPORT_S))

    def _state(self, energy: EnergyToday | None) -> ServicesState:
        web = self.web.state
        return ServicesState(
            pid=os.getpid(),
            web_address="" if web is None else web.address,
            setup_token="" if web is None else web.setup_token,
            users_command="" if web is None else web.users_command,
            today=energy,
            parts=tuple(self.supervisor.statuses()),
            services=tuple(each.state() for each in self.extras),
        )

    def _on_part(self, part: Part) -> None:
        event = PartStateChanged(part.name, part.state, part.error, part.failure)
        self.bus.publish(event, "supervisor")


class WebPart:
    """The web server, made when it is first wanted: without it a small board has the memory for something else."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._made = asyncio.Event()
        self._changes = services.bus.subscribe(ConfigChanged, name="web")
        self._service: WebService | None = None

    async def run(self) -> None:
        """Serve once there is something to serve."""
        if self._services.config.web_server.enabled:
            await self._make()
        await (await self._wanted()).run()

    async def watch(self) -> None:
        """Follow the core for the pages."""
        await (await self._wanted()).watch.run()

    async def follow(self) -> None:
        """Take up what the configuration says."""
        async for _ in self._changes:
            await self.take_up()

    async def take_up(self) -> None:
        """Serve as the configuration in force says."""
        config = self._services.config
        if self._service is None:
            if config.web_server.enabled:
                await self._make()
            return
        options = self._services.web_options(config)
        if options != self._service.options:  # the live data reads its own keys at each tick
            self._service.options = options
            self._services.supervisor.restart("web")

    def check(self, config: Configuration) -> None:
        """Raise ConfigError if the server could not go on with this configuration. Blocks."""
        if self._service is not None:
            self._service.check(self._services.web_options(config))

    @property
    def state(self) -> "WebState | None":
        """How the server is reached."""
        return None if self._service is None else self._service.state

    @property
    def pages(self) -> Pages | None:
        """Where the server listens; None while it does not."""
        return None if self._service is None else self._service.pages

    def close(self) -> None:
        """Follow nothing any more."""
        self._changes.close()
        if self._service is not None:
            self._service.close()

    async def _make(self) -> None:
        if self._service is None:
            self._service = await self._services.run_blocking(self._services.make_web)
            self._made.set()

    async def _wanted(self) -> "WebService":
        await self._made.wait()
        assert self._service is not None
        return self._service


def today(history: History) -> EnergyToday | None:
    """Return the energy since midnight; None where it is not recorded."""
    found = history.today()
    if found is None:
        return None
    return EnergyToday(found.charged_wh / 1e3, found.discharged_wh / 1e3, found.fresh_s / 3600.0)


def history_settings(config: Configuration) -> HistorySettings:
    """Return whether and how much of the history is kept."""
    advanced = config.advanced
    return HistorySettings(
        enabled=advanced.history_enabled,
        days=(advanced.history_days_10s, advanced.history_days_1min, advanced.history_days_15min),
        most_bytes=advanced.history_size_mb * 1_000_000,
    )


def metrics_token(config: Configuration) -> Secret | None:
    """Return with which token metrics may be read; None where nobody wants them, or no web server serves them."""
    return config.metrics.token if config.metrics.enabled and config.web_server.enabled else None


def users_command(folder: Path) -> str:
    """Return how ``tinybms-bridge users`` is called for the users of a state directory."""
    words = [own_command(), "users"]
    if os.environ.get("STATE_DIRECTORY"):  # a service has a user of its own, whose files nobody else may read
        words.insert(0, "sudo")
    if folder != state_directory("", {}):
        words += ["--state-directory", str(folder)]
    return shlex.join(words)


def _to_nobody(_text: str) -> None:
    """Print nothing."""
