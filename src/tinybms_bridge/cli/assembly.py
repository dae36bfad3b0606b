"""Puts a bridge together from a configuration and this machine, for ``run`` and ``demo``."""

import asyncio
import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybms_bridge.bridge import Bridge, Machine
from tinybms_bridge.cli.common import set_up_logging
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.paths import default_path, state_directory
from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.errors import ConfigError, ConfigProblem
from tinybms_bridge.hal.can import open_can
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort, open_serial
from tinybms_bridge.hal.storage import FileStorage, MemoryStorage, Storage
from tinybms_bridge.hal.watchdog import find_watchdog
from tinybms_bridge.services.event_log import EventLog
from tinybms_bridge.services.event_store import EVENTS_FILE, EventStore
from tinybms_bridge.services.persistence import STATE_FILE, load_state
from tinybms_bridge.services.status_line import StatusLine
from tinybms_bridge.wiring import can_settings

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["Overrides", "load_configuration", "load_defaults", "machine_for", "run_bridge"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says in place of the configuration; None leaves it."""

    device: str | None = None
    can_interface: str | None = None
    can_channel: str | None = None


def load_configuration(path: str | None, overrides: Overrides) -> tuple[Configuration, list[str]]:
    """Return the configuration and what to tell the user about it.

    A file that cannot be used gives way to its last good copy, with the problems among the remarks. Raises
    ConfigError when there is no good copy, when a file that was named does not exist, or when an override is wrong.
    """
    file = Path(path) if path else default_path()
    if path and not file.exists():
        raise ConfigError([ConfigProblem("", None, "the file does not exist")], source=path)
    store = ConfigStore(FileStorage(file), last_good=FileStorage(_last_good_path(file)))
    config = store.load()
    remarks = [str(notice) for notice in store.notices]
    if store.error is not None:
        if not store.fell_back:
            raise store.error
        remarks = [f"configuration not used: {problem}" for problem in store.error.problems]
        remarks.append("the last good configuration is in force")
    return _override(config, overrides), remarks


def _last_good_path(file: Path) -> Path:
    """Return where the copy of this very file is kept: that of another file belongs to another battery."""
    digest = hashlib.sha256(os.fsencode(os.path.abspath(file))).hexdigest()
    return state_directory("") / f"last-good-{digest[:16]}.json"


def load_defaults(overrides: Overrides) -> Configuration:
    """Return the default configuration with the command line's choices. Raises ConfigError."""
    return _override(Configuration(), overrides)


def _override(config: Configuration, overrides: Overrides) -> Configuration:
    """Return the configuration with the command line's choices, validated like the rest."""
    from tinybms_bridge.config.loader import interpret

    hardware: dict[str, Any] = config.hardware.model_dump(exclude_unset=True)
    if overrides.device is not None:
        hardware.setdefault("uart", {})["device"] = overrides.device
    if overrides.can_interface is not None:
        if overrides.can_interface != config.hardware.can.interface:  # its channel and options mean nothing to another
            for key in ("channel", "options"):
                hardware.get("can", {}).pop(key, None)
        hardware.setdefault("can", {})["interface"] = overrides.can_interface
    if overrides.can_channel is not None:
        hardware.setdefault("can", {})["channel"] = overrides.can_channel
    checked = interpret({"hardware": hardware}, "command line").configuration
    return config.model_copy(update={"hardware": checked.hardware})


def machine_for(config: Configuration, *, keep: bool) -> Machine:
    """Return this machine's clock, ports, files and watchdog."""
    uart = config.hardware.uart
    folder = state_directory(config.advanced.state_directory)

    async def open_port(on_data: OnData, on_lost: OnLost) -> SerialPort:
        return await open_serial(uart.device, uart.baudrate, on_data, on_lost)

    def stored(name: str) -> Storage:
        return FileStorage(folder / name, mode=0o644) if keep else MemoryStorage()

    return Machine(
        clock=SystemClock(),
        open_serial=open_port,
        open_can=partial(open_can, can_settings(config)),
        storage=stored(STATE_FILE),
        events=EventStore(stored(EVENTS_FILE)),
        watchdog=find_watchdog(),
    )


async def run_bridge(
    config: Configuration,
    remarks: Sequence[str],
    *,
    live: bool,
    log_level: str | None = None,
    keep: bool = True,
    title: str = "tinybms-bridge",
    extra: Callable[[], "RenderableType"] | None = None,
    status_interval_s: float = 60.0,
) -> None:
    """Run a bridge with its log, and the live view if asked for, until cancelled. Raises PathFailure.

    ``keep`` says whether counters and events outlive the process.
    """
    machine = machine_for(config, keep=keep)
    saved = await asyncio.to_thread(load_state, machine.storage)
    await asyncio.to_thread(machine.events.load)
    bridge = Bridge(config, machine, saved)
    event_log = EventLog(bridge.bus, log_charge_states=config.logging.log_cvl_changes)
    bridge.supervisor.add("log", event_log.run)
    if live:
        from tinybms_bridge.cli.live import LastLines, LiveView

        lines = LastLines()
        set_up_logging(log_level or config.logging.log_level, lines)
        bridge.supervisor.add("view", LiveView(bridge, machine.clock, lines, title, extra).run)
    else:
        bridge.supervisor.add("status line", StatusLine(bridge.bus, machine.clock, status_interval_s).run)
    for remark in remarks:
        log.warning("%s", remark)
    await bridge.run()
