"""Puts a bridge together from a configuration and this machine, for ``run`` and ``demo``."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from tinybms_bridge.app.reconfigure import LogParts, Reconfigurer, log_settings
from tinybms_bridge.app.restart import StartAgain
from tinybms_bridge.app.state_files import StateFiles
from tinybms_bridge.app.web import add_web
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.opening import Opened
from tinybms_bridge.config.paths import state_directory
from tinybms_bridge.core.bridge import Bridge, Machine
from tinybms_bridge.core.config_watch import ConfigWatch
from tinybms_bridge.core.event_log import EventLog
from tinybms_bridge.core.event_store import EVENTS_FILE, EventStore
from tinybms_bridge.core.inhibits import INHIBITS_FILE
from tinybms_bridge.core.persistence import STATE_FILE, load_state
from tinybms_bridge.core.settings import can_settings, history_settings
from tinybms_bridge.core.status_line import StatusLine
from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.can import CanPort, open_can
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.directory_lock import DirectoryTakenError
from tinybms_bridge.hal.interpreter import Collector
from tinybms_bridge.hal.logs import LineHandler, logging_through, set_up_logging
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort, open_serial
from tinybms_bridge.hal.storage import MemoryStorage, Storage
from tinybms_bridge.hal.watchdog import find_watchdog
from tinybms_bridge.link.events import ChangeSource, EventCode, Noted
from tinybms_bridge.services.history import History
from tinybms_bridge.services.logs import LogStore
from tinybms_bridge.words import message

if TYPE_CHECKING:
    from rich.text import Text

__all__ = [
    "machine_for",
    "run_bridge",
]

log = logging.getLogger(__name__)


def machine_for(config: Configuration, *, keep: bool) -> Machine:
    """Return this machine's clock, ports, files and watchdog."""
    ports = _Ports(config, keep=keep)

    def stored(name: str, mode: int) -> Storage:
        return ports.files.stored(name, mode) if keep else MemoryStorage()

    return Machine(
        clock=SystemClock(),
        open_serial=ports.open_serial,
        open_can=ports.open_can,
        storage=stored(STATE_FILE, 0o644),
        events=EventStore(stored(EVENTS_FILE, 0o644)),
        history=ports.history,
        inhibits=stored(INHIBITS_FILE, 0o600),
        watchdog=find_watchdog(),
        use=ports.use,
        stored=stored,
        folder=lambda: ports.files.folder,
        own=ports.files.own if keep else lambda: None,
        release=ports.files.release,
    )


class _Ports:
    """Opens what the configuration in force names, and keeps files where it says."""

    def __init__(self, config: Configuration, *, keep: bool) -> None:
        self._config = config
        self.files = StateFiles(state_directory(config.advanced.state_directory))
        self.history = History(self.files.folder if keep else None, history_settings(config))
        """The history, which follows a change of the directory and of its settings."""
        self.files.also.append(self.history.move_to)

    async def open_serial(self, on_data: OnData, on_lost: OnLost) -> SerialPort:
        """Open the serial port."""
        uart = self._config.hardware.uart
        return await open_serial(uart.device, uart.baudrate, on_data, on_lost)

    async def open_can(self) -> CanPort:
        """Open the CAN adapter."""
        return await open_can(can_settings(self._config))

    def use(self, config: Configuration) -> None:
        """Follow a change of the configuration. Blocks. Raises OSError for a state directory that cannot be used."""
        self._config = config
        self.history.settings = history_settings(config)
        self.files.move_to(state_directory(config.advanced.state_directory))


async def run_bridge(
    config: Configuration,
    remarks: Sequence[str],
    *,
    live: bool,
    keep: bool = True,
    opened: Opened | None = None,
    title: str = "tinybms-bridge",
    extra: Callable[[], "Text"] | None = None,
    speed: float = 1.0,
    status_interval_s: float = 60.0,
) -> None:
    """Run a bridge with its log, and the live view if asked for, until cancelled.

    Raises PathFailure, BridgeError when the state directory belongs to another running bridge, or StartAgain once
    everything has ended because a user wants the program to start anew.

    ``keep`` says whether counters, events and log outlive the process. With ``opened`` each change of that
    configuration takes effect at once, whoever makes it. ``title``, ``extra`` and ``speed`` are those of ``LiveView``.
    """
    machine = machine_for(config, keep=keep)
    async with _owning(machine):
        saved = await machine.run_blocking(_load, machine)
        bridge = Bridge(config, machine, saved)
        logs = _add_log(bridge, console=not live, keep=keep)
        bridge.supervisor.add("garbage-collection", Collector(machine.clock, bridge.can.between_bursts).run)
        bridge.supervisor.add("history", partial(machine.history.run, bridge.bus, machine.clock, machine.run_blocking))
        await machine.run_blocking(logs.store.load)
        if live:
            _add_view(bridge, title, extra, speed)
        else:
            bridge.supervisor.add("status-line", StatusLine(bridge.view, machine.clock, status_interval_s).run)
        settings = Reconfigurer(bridge, logs, opened.store.adjust if opened else lambda new: new)
        lines = LineHandler(logs.store.take)
        bridge.supervisor.add("log-counts", partial(lines.run, machine.clock))
        with logging_through(lines), ExitStack() as ending:
            if opened is not None:
                ending.enter_context(_following(bridge, settings, opened))
                ending.callback(add_web(bridge, opened.store, logs.store, _ender(bridge), live=live))
            for remark in remarks:
                log.warning("%s", remark)
            try:
                await bridge.inhibits.load()
                await bridge.run()
            except asyncio.CancelledError:
                if not _starts_again(bridge):
                    raise
                raise StartAgain from None
            finally:
                lines.close()
                await machine.run_blocking(logs.store.close)


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


def _ender(bridge: Bridge) -> Callable[[], None]:
    """Return what ends this task in order, as a signal does, for a new start."""
    task = asyncio.current_task()
    assert task is not None

    def end() -> None:
        if not bridge.starts_again:
            bridge.starts_again = True
            task.cancel()

    return end


def _starts_again(bridge: Bridge) -> bool:
    """Tell whether nothing but the wish for a new start ended this task; a signal that came too wins."""
    task = asyncio.current_task()
    return bridge.starts_again and task is not None and task.uncancel() == 0


def _add_log(bridge: Bridge, *, console: bool, keep: bool) -> LogParts:
    """Add what writes the log."""
    event_log = EventLog(bridge.bus, log_charge_states=bridge.config.logging.log_cvl_changes)
    store = LogStore(log_settings(bridge.config, console=console, keep=keep))
    bridge.supervisor.add("log", event_log.run)
    return LogParts(store, event_log, console=console, keep=keep)


def _add_view(bridge: Bridge, title: str, extra: Callable[[], "Text"] | None, speed: float) -> None:
    """Add the live view, which shows the last log lines itself; its key q ends this task, as a signal does."""
    from tinybms_bridge.cli.live import LastLines, LiveView

    task = asyncio.current_task()
    assert task is not None
    lines = LastLines()
    set_up_logging(bridge.config.logging.log_level, lines)
    view = LiveView(bridge, bridge.machine.clock, lines, title, extra, quit=task.cancel, speed=speed)
    bridge.supervisor.add("view", view.run)


@contextmanager
def _following(bridge: Bridge, settings: Reconfigurer, opened: Opened) -> Iterator[None]:
    """Have the bridge follow its configuration: edits of the file each second, or at once after SIGHUP."""

    def reload() -> None:
        with settings.source(ChangeSource.FILE):
            opened.store.reload_if_changed()

    def judge(wanted: Configuration) -> None:
        bridge.refuse_conflicts(opened.store.adjust(wanted))  # the device of the command line is the one that is judged

    store = opened.store
    store.judges.append(judge)
    bridge.file_usable = lambda: store.error is None and not store.fell_back
    watch = ConfigWatch(
        opened.path, opened.store, bridge.machine.clock, reload, run_blocking=bridge.machine.run_blocking
    )
    bridge.supervisor.add("settings", partial(settings.run, opened.store))
    bridge.supervisor.add("config-watch", watch.run)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, watch.hurry)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        store.judges.remove(judge)
