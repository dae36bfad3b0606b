"""``GET /api/diagnostics``: memory, tasks, watchdog, bus, UART, CAN, last frames, freshness."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict

from fastapi import APIRouter
from starlette.responses import Response

from tinybms_bridge.services.web.answers import Remark
from tinybms_bridge.services.web.face import BridgeFace, CanFigures, MonitoredFrame, Picture
from tinybms_bridge.services.web.heavy import Heavy
from tinybms_bridge.services.web.live.hub import Hub
from tinybms_bridge.services.web.routes.deps import Face, TheWatch
from tinybms_bridge.services.web.routes.diagnostics_answers import (
    Can,
    ChangeAnswer,
    ConfigurationAnswer,
    Diagnostics,
    EventBus,
    LiveStats,
    Mistake,
    PartAnswer,
    TraceAnswer,
    Uart,
    Watchdog,
)
from tinybms_bridge.services.web.routes.failures import plain
from tinybms_bridge.services.web.routes.history_formats import history_stats
from tinybms_bridge.services.web.routes.monitor import decoded_frames
from tinybms_bridge.services.web.routes.process import memory, process
from tinybms_bridge.services.web.security import Viewer

__all__ = ["router"]

router = APIRouter(tags=["diagnostics"])

_MOST_TASKS = 100
_MOST_FRAMES = 20


@router.get("/api/diagnostics", response_model=Diagnostics)
async def diagnostics(watch: TheWatch, face: Face, _user: Viewer, heavy: Heavy) -> Response:
    """Return how the bridge itself is: what to look at when something does not work."""
    picture, loop = face.picture(), asyncio.get_running_loop()
    can, frames = face.can(), face.frames()[-_MOST_FRAMES:]
    now = {
        "version": face.version,
        "uptime_s": picture.uptime_s,
        "process": process(),
        "parts": [PartAnswer.model_validate(part) for part in face.parts()],
        "configuration": _configuration(face),
        "watchdog": _watchdog(face),
        "eventbus": EventBus.model_validate(face.bus.statistics()),
        "uart": _uart(face, picture),
        "uart_trace": [TraceAnswer.model_validate(line) for line in face.trace()],
        "websocket": _live(watch.hub),
        "freshness": picture.view.freshness.value,
        "age_ms": None if picture.view.age_s is None else round(picture.view.age_s * 1000.0),
        "remark": picture.view.remark,
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
                "history": history_stats(face.history),
            }
        )

    return await heavy.answer(made)


def _configuration(face: BridgeFace) -> ConfigurationAnswer:
    store = face.store
    problems = store.error.problems if store.error is not None else []
    return ConfigurationAnswer(
        file=store.name,
        errors=[Mistake(path=each.path, value=plain(each.value), message=each.message) for each in problems],
        fell_back=store.fell_back,
        loaded_at=store.loaded_at,
        notices=[Remark.model_validate(notice) for notice in store.notices],
        misfits=list(face.misfits()),
    )


def _watchdog(face: BridgeFace) -> Watchdog:
    found = face.watchdog()
    ago_s = found.since_last_feed_s
    return Watchdog(
        enabled=found.enabled,
        timeout_s=found.timeout_s,
        feed_count=found.feed_count,
        last_feed_ms_ago=None if ago_s is None else round(ago_s * 1000.0),
    )


def _uart(face: BridgeFace, picture: Picture) -> Uart:
    counters = {"rejected_samples": picture.rejected, "outliers": picture.outliers}
    return Uart.model_validate({**asdict(face.uart()), **counters})


def _can(can: CanFigures, last: Sequence[MonitoredFrame]) -> Can:
    frames = decoded_frames(last)
    return Can.model_validate({**asdict(can), "keepalive_ok": can.keepalive_ok, "last_frames": frames})


def _live(hub: Hub) -> LiveStats:
    counters = {**asdict(hub.totals()), "clients": hub.clients, "max_clients": hub.settings.max_clients}
    return LiveStats.model_validate(counters)
