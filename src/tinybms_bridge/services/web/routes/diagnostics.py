"""``GET /api/diagnostics``: memory, tasks, watchdog, bus, UART, CAN, last frames, freshness.

Memory and threads of process and machine come from ``/proc`` where there is one.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.process_use import entries_of, process_use
from tinybms_bridge.link.bus import BusStatistics
from tinybms_bridge.link.state import CanState, PartStatus, TraceLine, UartState, WatchdogState
from tinybms_bridge.services.ports import Core, HistoryState
from tinybms_bridge.services.web.answers import Answer, ConfigNoticeAnswer, Mistake, Shown, extended, in_language
from tinybms_bridge.services.web.heavy import Heavy
from tinybms_bridge.services.web.live.broadcaster import BroadcasterStatistics
from tinybms_bridge.services.web.live.watch import Change, Watch
from tinybms_bridge.services.web.routes.monitor import FrameAnswer, decoded_frames
from tinybms_bridge.services.web.routes.shared import AddressedPack, TextLanguage, TheCore, TheWatch, config_mistake
from tinybms_bridge.services.web.security import Viewer
from tinybms_bridge.tinybms.traffic_words import explain_traffic
from tinybms_bridge.words import Language

__all__ = [
    "CanDiagnostics",
    "ConfigurationAnswer",
    "CoreAnswer",
    "Diagnostics",
    "MemoryAnswer",
    "ProcessAnswer",
    "TrafficAnswer",
    "TrafficLine",
    "memory",
    "process",
    "read_diagnostics",
    "read_trace",
    "router",
    "traffic",
    "traffic_answer",
]

_PROC = Path("/proc")


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


def memory(proc: Path = _PROC) -> MemoryAnswer:
    """Return the use of memory of this process and of the machine. Reads files: call it in a thread."""
    own = process_use(proc=proc)
    machine = entries_of(proc / "meminfo")
    return MemoryAnswer(
        resident=own.resident,
        resident_max=own.resident_max,
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


class CoreAnswer(Answer):
    """The process of the core; null where the system does not tell."""

    connected: bool
    """Whether it is heard."""
    since_s: float
    """Seconds since that became so."""
    pid: int
    """0 before it was heard."""
    uptime_s: float
    resident: int | None
    """Memory that it uses, in bytes."""
    resident_max: int | None
    threads: int | None
    cpu_s: float | None
    """Processor time since its start."""
    real_time: str = Field(examples=["real-time (SCHED_FIFO, priority 10)"])
    """Which scheduling the system has granted; empty for none beside the usual one."""


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
    """The services, which answer this."""
    core: CoreAnswer
    tasks: list[str]
    """Names of the tasks of the event loop."""
    parts: list[Shown[PartStatus]]
    configuration: ConfigurationAnswer
    watchdog: Shown[WatchdogState]
    eventbus: Shown[BusStatistics]
    uart: Shown[UartState]
    uart_trace: list[Shown[TraceLine]]
    """The last traffic with the BMS, oldest first; of several packs with that of the first."""
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
async def diagnostics(watch: TheWatch, core: TheCore, _user: Viewer, heavy: Heavy, lang: TextLanguage) -> Response:
    """Return how the bridge itself is: what to look at when something does not work."""
    return await heavy.answer(await read_diagnostics(core, watch, lang))


async def read_diagnostics(core: Core, watch: Watch, language: Language) -> Callable[[], Diagnostics]:
    """Return what makes the answer of this moment, in a thread."""
    moment, loop = core.moment(), asyncio.get_running_loop()
    can, frames = in_language(core.can(), language), core.frames()[-_MOST_FRAMES:]
    watchdog = core.watchdog()
    hearing, info, explanation = core.hearing(), core.info(), moment.view.explanation
    of_core = {**asdict(hearing), "pid": info.pid, "uptime_s": core.uptime_s, "real_time": info.real_time}
    now = {
        "version": core.version,
        "uptime_s": core.uptime_s,
        "process": process(),
        "parts": [in_language(each, language) for each in core.parts()],
        "configuration": _configuration(core, language),
        "watchdog": replace(watchdog, hardware=in_language(watchdog.hardware, language)),
        "eventbus": core.bus.statistics(),
        "uart": in_language(core.uart(), language),
        "uart_trace": list(await read_trace(core)),
        "websocket": watch.broadcaster.totals(),
        "freshness": moment.view.freshness.value,
        "age_ms": None if moment.view.age_s is None else round(moment.view.age_s * 1000.0),
        "remark": "" if explanation is None else explanation.say(language),
        "changes": [in_language(each, language) for each in watch.changes.recent()],
    }

    def made() -> Diagnostics:
        used = memory()
        return Diagnostics.model_validate(
            {
                **now,
                "heap_free": used.available,
                "memory": used,
                "core": {**of_core, **asdict(process_use(info.pid))},
                "tasks": sorted(task.get_name() for task in asyncio.all_tasks(loop))[:_MOST_TASKS],
                "can": extended(CanDiagnostics, can, last_frames=decoded_frames(frames)),
                "history": in_language(core.history.state(), language),
            }
        )

    return made


class TrafficLine(Answer):
    """One piece of traffic with the BMS."""

    at: datetime
    direction: str = Field(examples=["tx"])
    """``tx`` to the BMS, ``rx`` from it, or ``note``."""
    text: str = Field(examples=["AA 03 00 00 00 38 44 0F"])
    """Bytes, or what happened."""
    meaning: str = Field(examples=["read registers 0 to 55"])
    """Empty where it is not known."""


class TrafficAnswer(Answer):
    """The last traffic with the BMS, oldest first."""

    lines: list[TrafficLine]


@router.get("/api/uart/traffic", response_model=TrafficAnswer)
async def traffic(core: TheCore, _user: Viewer, heavy: Heavy, lang: TextLanguage, pack: AddressedPack) -> Response:
    """Return the last traffic on the line to the BMS, with its meaning; none while the core is not heard."""
    lines, now = await read_trace(core, pack), core.clock.wall()
    return await heavy.answer(lambda: traffic_answer(lines, now, lang))


def traffic_answer(lines: Sequence[TraceLine], now: datetime, language: Language) -> TrafficAnswer:
    """Return traffic with its meaning in a language."""
    pieces = [(line.direction, b"" if line.direction == "note" else bytes.fromhex(line.text)) for line in lines]
    told = explain_traffic(pieces)
    return TrafficAnswer(
        lines=[
            TrafficLine(
                at=now - timedelta(seconds=line.age_s),
                direction=line.direction,
                text=line.text,
                meaning="" if meaning is None else meaning.say(language),
            )
            for line, meaning in zip(lines, told, strict=True)
        ]
    )


async def read_trace(core: Core, pack: str = "") -> Sequence[TraceLine]:
    """Return the last traffic with a BMS; none while the core is not heard, which the answer says elsewhere.

    Of several packs it is that of the first, unless one is named: each has its own.
    """
    try:
        return await core.trace(pack or next(iter(core.packs()), ""))
    except LinkError:
        return ()


def _configuration(core: Core, language: Language) -> ConfigurationAnswer:
    store = core.store
    problems = store.error.problems if store.error is not None else []
    return ConfigurationAnswer(
        file=store.name,
        errors=[Mistake.model_validate(config_mistake(each)) for each in problems],
        fell_back=store.fell_back,
        loaded_at=store.loaded_at,
        notices=[ConfigNoticeAnswer.about(notice.path, notice.message, language) for notice in store.notices],
        conflicts=[Mistake.model_validate(config_mistake(each)) for each in core.conflicts()],
        misfits=[str(each) for each in core.conflicts()],
    )
