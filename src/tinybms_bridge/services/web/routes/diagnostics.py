"""``GET /api/diagnostics``: memory, tasks, watchdog, bus, UART, CAN, last frames, freshness.

Memory and threads of process and machine come from ``/proc`` where there is one.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from tinybms_bridge.errors import LinkError
from tinybms_bridge.link.state import CanState, MonitoredFrame, TraceLine
from tinybms_bridge.services.ports import Core, Moment
from tinybms_bridge.services.web.answers import Answer, ConfigNoticeAnswer
from tinybms_bridge.services.web.heavy import Heavy
from tinybms_bridge.services.web.live.broadcaster import Broadcaster
from tinybms_bridge.services.web.routes.history import HistoryStats, history_stats
from tinybms_bridge.services.web.routes.monitor import FrameAnswer, decoded_frames
from tinybms_bridge.services.web.routes.shared import TheCore, TheWatch, plain
from tinybms_bridge.services.web.security import Viewer

__all__ = [
    "CanAnswer",
    "CanFigures",
    "ChangeAnswer",
    "ConfigurationAnswer",
    "Diagnostics",
    "EventBus",
    "LiveStats",
    "MemoryAnswer",
    "Mistake",
    "PartAnswer",
    "ProcessAnswer",
    "TraceAnswer",
    "UartAnswer",
    "WatchdogAnswer",
    "memory",
    "process",
    "router",
]

_KIB = 1024


class MemoryAnswer(Answer):
    """Bytes; null where the system does not tell."""

    resident: int | None
    """Memory that the bridge uses."""
    resident_max: int | None
    """The most it has used."""
    available: int | None
    """What the machine could still give."""
    total: int | None


class ProcessAnswer(Answer):
    """The running program."""

    pid: int
    python: str
    threads: int
    cpu_s: float
    """Processor time since the start."""


def memory(proc: Path = Path("/proc")) -> MemoryAnswer:
    """Return the use of memory. Reads files: call it in a thread."""
    own = _table(proc / "self" / "status")
    machine = _table(proc / "meminfo")
    return MemoryAnswer(
        resident=own.get("VmRSS"),
        resident_max=own.get("VmHWM"),
        available=machine.get("MemAvailable"),
        total=machine.get("MemTotal"),
    )


def process() -> ProcessAnswer:
    """Return facts of the process."""
    used = os.times()
    return ProcessAnswer(
        pid=os.getpid(),
        python=sys.version.split()[0],
        threads=threading.active_count(),
        cpu_s=used.user + used.system,
    )


def _table(path: Path) -> dict[str, int]:
    """Return the entries ``Name:  123 kB`` of a file, in bytes; empty where there is no such file."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        name, _, rest = line.partition(":")
        number, _, unit = rest.strip().partition(" ")
        if unit == "kB" and number.isdigit():
            found[name] = int(number) * _KIB
    return found


class TraceAnswer(Answer):
    """One piece of traffic on the line."""

    age_s: float
    direction: str
    text: str


class UartAnswer(Answer):
    """The line to the BMS; counters since the start."""

    up: bool
    reason: str
    device: str
    polls: int
    success: int
    errors: int
    timeouts: int
    crc_errors: int
    retries: int
    refused: int
    garbage_bytes: int
    wakeups: int
    connects: int
    rejected_samples: int
    outliers: int
    """Readings of a cell that did not count, because those before and after it say otherwise."""
    latency_last_ms: float
    latency_max_ms: float
    latency_avg_ms: float
    poll_interval_ms: float


class CanFigures(Answer):
    """The CAN bus; counters since the start."""

    up: bool
    error: str
    interface: str
    tx_count: int
    tx_errors: int
    rx_count: int
    rx_errors: int
    bus_off_count: int
    outages: int
    bursts: int
    skipped: int
    jitter_max_ms: float
    gx_state: str
    gx_silent_for_s: float
    keepalive_ok: bool
    """Whether a GX device is heard."""


class CanAnswer(CanFigures):
    """The CAN bus, with its last frames."""

    last_frames: list[FrameAnswer]


class Mistake(Answer):
    """Something in the file that cannot be used."""

    path: str
    """Dotted path of the key; empty for the whole file."""
    value: str | int | float | bool | None
    message: str


class ConfigurationAnswer(Answer):
    """Where the configuration in force comes from, and what is wrong with the file as it is now."""

    file: str
    errors: list[Mistake]
    """Why the file as it is now is not in force; empty when it is."""
    fell_back: bool
    """Whether the last good copy is in force, because the file could not be used at the start."""
    loaded_at: datetime | None
    """When the configuration in force was read or changed."""
    notices: list[ConfigNoticeAnswer]
    conflicts: list[str]
    """What does not fit the battery; the limits are bounded all the same."""
    misfits: list[str] = Field(deprecated=True)
    """Old name of ``conflicts``; goes with version 1.0."""


class WatchdogAnswer(Answer):
    """The watchdog of the service manager."""

    enabled: bool
    timeout_s: float
    feed_count: int
    last_feed_ms_ago: int | None


class EventBus(Answer):
    """The bus inside the bridge."""

    total_published: int
    total_delivered: int
    queue_overruns: int
    subscribers: int
    deepest_queue: int


class LiveStats(Answer):
    """Live data."""

    clients: int
    max_clients: int
    joined: int
    refused: int
    encoded: int
    sent: int
    dropped: int


class PartAnswer(Answer):
    """One supervised part."""

    name: str
    state: str = Field(examples=["running"])
    error: str
    restarts: int
    critical: bool


class ChangeAnswer(Answer):
    """One change."""

    at: datetime
    kind: str = Field(examples=["freshness"])
    value: str = Field(examples=["FRESH"])
    detail: str


class Diagnostics(Answer):
    """How the bridge itself is."""

    version: str
    uptime_s: float
    heap_free: int | None
    """Bytes that the machine could still give; the ESP32 firmware's name for it."""
    memory: MemoryAnswer
    process: ProcessAnswer
    tasks: list[str]
    """Names of the tasks of the event loop."""
    parts: list[PartAnswer]
    configuration: ConfigurationAnswer
    watchdog: WatchdogAnswer
    eventbus: EventBus
    uart: UartAnswer
    uart_trace: list[TraceAnswer]
    """The last traffic with the BMS, oldest first."""
    can: CanAnswer
    websocket: LiveStats
    history: HistoryStats
    freshness: str = Field(examples=["FRESH"])
    age_ms: int | None
    """Age of the last sample."""
    remark: str
    """Why charging is stopped or nothing is sent, for want of data."""
    changes: list[ChangeAnswer]
    """Changes of freshness, link, GX and charge state, oldest first."""


router = APIRouter(tags=["diagnostics"])

_MOST_TASKS = 100
_MOST_FRAMES = 20


@router.get("/api/diagnostics", response_model=Diagnostics)
async def diagnostics(watch: TheWatch, core: TheCore, _user: Viewer, heavy: Heavy) -> Response:
    """Return how the bridge itself is: what to look at when something does not work."""
    moment, loop = core.moment(), asyncio.get_running_loop()
    can, frames = core.can(), core.frames()[-_MOST_FRAMES:]
    now = {
        "version": core.version,
        "uptime_s": core.uptime_s,
        "process": process(),
        "parts": [PartAnswer.model_validate(part) for part in core.parts()],
        "configuration": _configuration(core),
        "watchdog": _watchdog(core),
        "eventbus": EventBus.model_validate(core.bus.statistics()),
        "uart": _uart(core, moment),
        "uart_trace": [TraceAnswer.model_validate(line) for line in await _trace(core)],
        "websocket": _live(watch.broadcaster),
        "freshness": moment.view.freshness.value,
        "age_ms": None if moment.view.age_s is None else round(moment.view.age_s * 1000.0),
        "remark": moment.view.remark,
        "changes": [ChangeAnswer.model_validate(change) for change in watch.changes.recent()],
    }

    def made() -> Diagnostics:
        used = memory()
        return Diagnostics.model_validate(
            {
                **now,
                "heap_free": used.available,
                "memory": used,
                "tasks": sorted(task.get_name() for task in asyncio.all_tasks(loop))[:_MOST_TASKS],
                "can": _can(can, frames),
                "history": history_stats(core.history),
            }
        )

    return await heavy.answer(made)


async def _trace(core: Core) -> Sequence[TraceLine]:
    """Return the last traffic with the BMS; none while the core is not heard, which the answer says elsewhere."""
    try:
        return await core.trace()
    except LinkError:
        return ()


def _configuration(core: Core) -> ConfigurationAnswer:
    store = core.store
    problems = store.error.problems if store.error is not None else []
    return ConfigurationAnswer(
        file=store.name,
        errors=[Mistake(path=each.path, value=plain(each.value), message=each.message) for each in problems],
        fell_back=store.fell_back,
        loaded_at=store.loaded_at,
        notices=[ConfigNoticeAnswer.model_validate(notice) for notice in store.notices],
        conflicts=list(core.conflicts()),
        misfits=list(core.conflicts()),
    )


def _watchdog(core: Core) -> WatchdogAnswer:
    found = core.watchdog()
    ago_s = found.since_last_feed_s
    return WatchdogAnswer(
        enabled=found.enabled,
        timeout_s=found.timeout_s,
        feed_count=found.feed_count,
        last_feed_ms_ago=None if ago_s is None else round(ago_s * 1000.0),
    )


def _uart(core: Core, moment: Moment) -> UartAnswer:
    counters = {"rejected_samples": moment.battery.main.rejected, "outliers": moment.battery.main.outliers}
    return UartAnswer.model_validate({**asdict(core.uart()), **counters})


def _can(can: CanState, last: Sequence[MonitoredFrame]) -> CanAnswer:
    frames = decoded_frames(last)
    return CanAnswer.model_validate({**asdict(can), "keepalive_ok": can.keepalive_ok, "last_frames": frames})


def _live(broadcaster: Broadcaster) -> LiveStats:
    counters = {
        **asdict(broadcaster.totals()),
        "clients": broadcaster.clients,
        "max_clients": broadcaster.settings.max_clients,
    }
    return LiveStats.model_validate(counters)
