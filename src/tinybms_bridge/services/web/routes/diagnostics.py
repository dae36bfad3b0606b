"""``GET /api/diagnostics``: memory, tasks, watchdog, bus, UART, CAN, last frames, freshness.

Memory and threads of process and machine come from ``/proc`` where there is one.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from tinybms_bridge.errors import LinkError
from tinybms_bridge.link.bus import BusStatistics
from tinybms_bridge.link.state import CanState, PartStatus, TraceLine, UartState, WatchdogState
from tinybms_bridge.services.ports import Core, HistoryState
from tinybms_bridge.services.web.answers import Answer, ConfigNoticeAnswer, Mistake, Shown, extended
from tinybms_bridge.services.web.heavy import Heavy
from tinybms_bridge.services.web.live.broadcaster import BroadcasterStatistics
from tinybms_bridge.services.web.live.watch import Change
from tinybms_bridge.services.web.routes.monitor import FrameAnswer, decoded_frames
from tinybms_bridge.services.web.routes.shared import TheCore, TheWatch, config_mistake
from tinybms_bridge.services.web.security import Viewer

__all__ = [
    "CanDiagnostics",
    "ConfigurationAnswer",
    "Diagnostics",
    "MemoryAnswer",
    "ProcessAnswer",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CanDiagnostics(CanState):
    """The CAN bus, with its last frames."""

    last_frames: Sequence[FrameAnswer]


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
    conflicts: list[Mistake]
    """What does not fit the battery; the limits are bounded all the same."""
    misfits: list[str] = Field(deprecated=True)
    """The same in words; goes with version 1.0."""


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
    parts: list[Shown[PartStatus]]
    configuration: ConfigurationAnswer
    watchdog: Shown[WatchdogState]
    eventbus: Shown[BusStatistics]
    uart: Shown[UartState]
    uart_trace: list[Shown[TraceLine]]
    """The last traffic with the BMS, oldest first."""
    can: Shown[CanDiagnostics]
    websocket: Shown[BroadcasterStatistics]
    history: Shown[HistoryState]
    freshness: str = Field(examples=["FRESH"])
    age_ms: int | None
    """Age of the last sample."""
    remark: str
    """Why charging is stopped or nothing is sent, for want of data."""
    changes: list[Shown[Change]]
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
        "parts": list(core.parts()),
        "configuration": _configuration(core),
        "watchdog": core.watchdog(),
        "eventbus": core.bus.statistics(),
        "uart": core.uart(),
        "uart_trace": list(await _trace(core)),
        "websocket": watch.broadcaster.totals(),
        "freshness": moment.view.freshness.value,
        "age_ms": None if moment.view.age_s is None else round(moment.view.age_s * 1000.0),
        "remark": moment.view.remark,
        "changes": list(watch.changes.recent()),
    }

    def made() -> Diagnostics:
        used = memory()
        return Diagnostics.model_validate(
            {
                **now,
                "heap_free": used.available,
                "memory": used,
                "tasks": sorted(task.get_name() for task in asyncio.all_tasks(loop))[:_MOST_TASKS],
                "can": extended(CanDiagnostics, can, last_frames=decoded_frames(frames)),
                "history": core.history.state(),
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
        errors=[Mistake.model_validate(config_mistake(each)) for each in problems],
        fell_back=store.fell_back,
        loaded_at=store.loaded_at,
        notices=[ConfigNoticeAnswer.about(notice.path, notice.message) for notice in store.notices],
        conflicts=[Mistake.model_validate(config_mistake(each)) for each in core.conflicts()],
        misfits=[str(each) for each in core.conflicts()],
    )
