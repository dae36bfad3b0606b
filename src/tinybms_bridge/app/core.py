"""The core process: reads the packs, sends to the GX, and serves the link; the services run beside it as its child."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tinybms_bridge import __version__
from tinybms_bridge.app.child import ServicesChild
from tinybms_bridge.app.restart import StartAgain
from tinybms_bridge.app.state_files import StateFiles
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.battery.state import MAIN_PACK
from tinybms_bridge.config.checker import CheckRequest
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.overrides import Overrides
from tinybms_bridge.config.packs import pack_ports
from tinybms_bridge.config.paths import state_directory
from tinybms_bridge.core.bridge import Bridge, Machine
from tinybms_bridge.core.configuration import Checked, check_file
from tinybms_bridge.core.control import Control
from tinybms_bridge.core.event_log import EventLog
from tinybms_bridge.core.event_store import EVENTS_FILE, EventStore
from tinybms_bridge.core.follow import Follower
from tinybms_bridge.core.inhibits import INHIBITS_FILE
from tinybms_bridge.core.persistence import STATE_FILE, load_state
from tinybms_bridge.core.run_record import RunEnd, boot_identifier, tell_reset
from tinybms_bridge.core.settings import can_settings
from tinybms_bridge.core.status_line import StatusLine
from tinybms_bridge.errors import BridgeError, ConfigProblem, described
from tinybms_bridge.hal.blocking import in_thread
from tinybms_bridge.hal.can import CanPort, open_can
from tinybms_bridge.hal.can_devices import read_can_device
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.crash_trace import CrashTrace
from tinybms_bridge.hal.directory_lock import DirectoryTakenError
from tinybms_bridge.hal.interpreter import Collector
from tinybms_bridge.hal.log_output import LogOutput, open_console
from tinybms_bridge.hal.logs import LineHandler, LogLine, logging_through, set_level, set_up_logging
from tinybms_bridge.hal.real_time import become_real_time
from tinybms_bridge.hal.serial import OnData, OnLost, SerialOpener, SerialPort, open_serial
from tinybms_bridge.hal.storage import FileStorage, MemoryStorage, SlotStorage, Storage
from tinybms_bridge.hal.watchdog import find_watchdog
from tinybms_bridge.link.events import EventCode, Noted
from tinybms_bridge.link.last_reset import LastReset
from tinybms_bridge.link.path import core_path
from tinybms_bridge.link.server import LinkServer
from tinybms_bridge.link.state import CoreState
from tinybms_bridge.words import message

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["CoreStart", "Screen", "machine_for", "open_core", "run_core"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CoreStart:
    """With what the core begins."""

    config: Configuration
    """Checked, with what the command line says in its place."""
    remarks: tuple[str, ...] = ()
    """What to tell the user."""
    path: Path | None = None
    """The configuration file, which is followed; None for a configuration that no file holds."""
    overrides: Overrides = field(default_factory=Overrides)
    digest: str = ""
    """Of the file that was read."""
    fell_back: bool = False
    """Whether an earlier file counts, since the present one cannot be used."""
    problems: tuple[ConfigProblem, ...] = ()
    """Why it cannot."""
    socket: str = ""
    """Where to listen; empty for the usual place."""
    services: bool = True
    """Whether to run the services as a child."""
    real_time: bool = False
    """Whether to ask the system for real-time scheduling."""


@dataclass(frozen=True, slots=True)
class Screen:
    """A live view in the terminal."""

    title: str = "tinybms-bridge"
    extra: Callable[[], "Text"] | None = None
    """Text of a demonstration, which is shown below the GX."""
    speed: float = 1.0


async def open_core(path: str | None, overrides: Overrides, *, socket: str = "", services: bool = True) -> CoreStart:
    """Return with what the core begins; the file is checked by a process of its own. Raises ConfigError."""
    checked = await check_file(CheckRequest(path, overrides), SystemClock())
    said = checked.answer
    return CoreStart(
        checked.configuration,
        said.remarks,
        Path(await in_thread(os.path.abspath, said.path)),  # services may run in another directory
        overrides,
        said.digest or "",
        said.fell_back,
        said.problems,
        socket,
        services,
        real_time=True,
    )


async def run_core(
    start: CoreStart, *, keep: bool = True, screen: Screen | None = None, status_s: float = 60.0
) -> None:
    """Run the core, its link and the services until cancelled.

    Raises PathFailure, BridgeError when the state directory belongs to another running bridge, or StartAgain once
    everything has ended because somebody wants the program to start again.

    Args:
        start: The configuration, and where to listen.
        keep: Whether counters and events outlive the process.
        screen: The live view; None for log lines.
        status_s: Pause between two lines that say how the battery is.

    """
    machine = machine_for(start.config, keep=keep)
    async with _owning(machine):
        saved = await machine.run_blocking(_load, machine)
        bridge = Bridge(start.config, machine, saved)
        process = _Process(start, bridge, screen)
        bridge.supervisor.add("garbage-collection", Collector(machine.clock, bridge.can.between_bursts).run)
        if screen is None:
            bridge.supervisor.add("status-line", StatusLine(bridge.view, machine.clock, status_s).run)
        async with process.following(), _recording(bridge, traced=start.real_time):
            for remark in start.remarks:
                log.warning("%s", remark)
            try:
                await bridge.inhibits.load()
                if start.real_time:  # not before all is loaded, which takes a small board some seconds
                    process.control.real_time = become_real_time()
                    log.info("scheduling: %s", process.control.real_time)
                await bridge.run()
            except asyncio.CancelledError:
                if not process.starts_again():
                    raise
                raise StartAgain from None


class _Process:
    """What the core process runs beside the bridge itself: link, services, log, signals."""

    def __init__(self, start: CoreStart, bridge: Bridge, screen: Screen | None) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._bridge = bridge
        self._start = start
        self._screen = screen
        machine, supervisor = bridge.machine, bridge.supervisor
        self._event_log = EventLog(bridge.bus, log_charge_states=bridge.config.logging.log_cvl_changes)
        self.follower = Follower(
            bridge,
            start.path,
            self._check,
            overrides=start.overrides,
            seen=start.digest,
            fell_back=start.fell_back,
            problems=start.problems,
            on_applied=self._apply,
        )
        bridge.file_usable = lambda: self.follower.usable
        socket_path = core_path(start.socket, machine.folder())
        server = LinkServer(
            socket_path,
            machine.clock,
            [each.name for each in fields(CoreState)],
            program_version=__version__,
            run_blocking=machine.run_blocking,
        )
        self.control = Control(bridge, server, self.follower, self._end_for_new_start)
        bridge.on_other_packs = self._end_for_new_start
        self._lines = LineHandler(self._take_line)
        self._console: LogOutput | None = None
        self._loop = asyncio.get_running_loop()
        supervisor.add("log", self._event_log.run)
        supervisor.add("log-counts", partial(self._lines.run, machine.clock))
        supervisor.add("link", self.control.run)
        supervisor.add("configuration", self.follower.run)
        if start.services:
            child = ServicesChild(
                socket_path,
                machine.clock,
                ready=lambda: bool(bridge.can.last_frames),
                quiet=screen is not None,
            )
            supervisor.add("services", child.run)
        if screen is not None:
            self._add_view(screen)
        self._apply(bridge.config)

    async def _check(self) -> Checked:
        request = CheckRequest(str(self._start.path), self._start.overrides, fall_back=False)
        return await check_file(request, self._bridge.machine.clock, in_force=self._bridge.config)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Take the log lines of the process, and SIGHUP, until the block ends."""
        self._loop.add_signal_handler(signal.SIGHUP, self.follower.hurry)
        try:
            with logging_through(self._lines):
                yield
        finally:
            self._loop.remove_signal_handler(signal.SIGHUP)
            self._lines.close()
            if self._console is not None:
                self._console.stop()
                await self._bridge.machine.run_blocking(self._console.join, 1.0)

    def starts_again(self) -> bool:
        """Tell whether nothing but the wish for a new start ended the process; a signal that came too wins."""
        return self._bridge.starts_again and self._task.uncancel() == 0

    def _end_for_new_start(self) -> None:
        if not self._bridge.starts_again:
            self._bridge.starts_again = True
            self._task.cancel()

    def _apply(self, config: Configuration) -> None:
        """Put in force what a configuration says of the log."""
        wanted = config.logging
        set_level(wanted.log_level)
        console = wanted.output_serial and self._screen is None
        if console and self._console is None:
            self._console = LogOutput(open_console, name="console")
        elif not console and self._console is not None:
            self._console.stop()
            self._console = None
        self._event_log.apply(config)

    def _take_line(self, line: LogLine) -> None:
        if self._console is not None:
            self._console.offer(line)
        try:
            self._loop.call_soon_threadsafe(self.control.write_log, line)
        except RuntimeError:  # the loop is closed: nobody listens any more
            return

    def _add_view(self, screen: Screen) -> None:
        """Add the live view, which shows the last log lines itself; its key q ends this task, as a signal does."""
        from tinybms_bridge.cli.live import LastLines, LiveView

        bridge = self._bridge
        lines = LastLines()
        set_up_logging(bridge.config.logging.log_level, lines)
        view = LiveView(
            self.control.tree,
            bridge.machine.clock,
            lines,
            screen.title,
            screen.extra,
            quit=self._task.cancel,
            speed=screen.speed,
        )
        bridge.supervisor.add("view", view.run)


@asynccontextmanager
async def _recording(bridge: Bridge, *, traced: bool) -> AsyncIterator[None]:
    """Tell how the run before ended, and keep how this one does.

    Args:
        bridge: The bridge.
        traced: Whether a fatal signal leaves a trace; a handler of the whole process.

    """
    machine, runs = bridge.machine, bridge.runs

    def load() -> LastReset:
        return runs.load(boot_identifier(), machine.fatal() if traced else "")

    tell_reset(await machine.run_blocking(load), machine.events, machine.clock.wall())
    end, error = RunEnd.STOPPED, ""
    try:
        yield
    except StartAgain:
        end = RunEnd.RESTARTED
        raise
    except Exception as failure:
        end, error = RunEnd.CRASHED, described(failure).text
        raise
    finally:
        await machine.run_blocking(runs.end, end, error)


def machine_for(config: Configuration, *, keep: bool) -> Machine:
    """Return this machine's clock, ports, files and watchdog."""
    ports = _Ports(config)
    trace = CrashTrace()
    ports.files.also.append(trace.move_to)

    def stored(name: str, mode: int, kind: type[FileStorage] = FileStorage) -> Storage:
        return ports.files.stored(name, mode, kind) if keep else MemoryStorage()

    return Machine(
        clock=SystemClock(),
        open_serial=ports.open_pack(MAIN_PACK),
        open_pack=ports.open_pack,
        open_can=ports.open_can,
        cpu_s=time.process_time,
        read_can_device=read_can_device,
        storage=stored(STATE_FILE, 0o644, SlotStorage),
        events=EventStore(stored(EVENTS_FILE, 0o644)),
        inhibits=stored(INHIBITS_FILE, 0o600),
        watchdog=find_watchdog(),
        use=ports.use,
        stored=stored,
        folder=lambda: ports.files.folder,
        own=ports.files.own if keep else lambda: None,
        release=ports.files.release,
        keeps=keep,
        fatal=lambda: trace.take(ports.files.folder) if keep else "",
    )


class _Ports:
    """Opens what the configuration in force names, and keeps files where it says."""

    def __init__(self, config: Configuration) -> None:
        self._config = config
        self.files = StateFiles(state_directory(config.advanced.state_directory))

    def open_pack(self, line: str) -> SerialOpener:
        """Return what opens the serial port of a pack, as the configuration in force names it."""

        async def opened(on_data: OnData, on_lost: OnLost) -> SerialPort:
            ports = pack_ports(self._config)
            port = ports.get(line) or next(iter(ports.values()))
            return await open_serial(port.device, port.baudrate, on_data, on_lost)

        return opened

    async def open_can(self) -> CanPort:
        """Open the CAN adapter."""
        return await open_can(can_settings(self._config))

    def use(self, config: Configuration) -> None:
        """Follow a change of the configuration. Blocks. Raises OSError for a state directory that cannot be used."""
        self._config = config
        self.files.move_to(state_directory(config.advanced.state_directory))


@asynccontextmanager
async def _owning(machine: Machine) -> AsyncIterator[None]:
    """Keep the state directory for this process: two bridges would overwrite each other's counters and events."""
    try:
        await machine.run_blocking(machine.own)
    except DirectoryTakenError as error:
        raise BridgeError(str(error)) from error
    try:
        yield
    finally:
        machine.release()


def _load(machine: Machine) -> SavedUnits:
    """Read state and event list; what could not be used is told in the log, and in the list. Blocks."""
    told: list[str] = []
    saved = load_state(machine.storage, told.append)
    machine.events.load(told.append)
    for text in told:
        log.warning("%s", text)
        said = message(EventCode.STATE_FILE, problem=text[:1].upper() + text[1:])
        machine.events.add(Noted(Severity.WARNING, said), machine.clock.wall())
    return saved
