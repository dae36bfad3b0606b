"""The program: its two processes, their parts, the services beside them, the history and the watchdog."""

from collections.abc import Callable, Iterable, Iterator

from tinybms_bridge.hal.process_use import ProcessUse
from tinybms_bridge.link.state import ServiceCondition
from tinybms_bridge.services.metrics.family import Family, Picture, Present, Reading, counter, gauge, info
from tinybms_bridge.services.ports import HistoryState

__all__ = ["PROGRAM"]

_UNKNOWN = "unknown"
"""State of a part of the core while it is not heard."""
_BYTES = "_bytes"
"""End of the name of what a service holds, which falls as well, among what it counts."""


def _versions(picture: Picture) -> Iterator[tuple[str, str]]:
    yield "services", picture.version
    if picture.heard:
        yield "core", picture.info.version


def _ends(picture: Picture) -> Iterator[tuple[str, str]]:
    if picture.heard:
        reset = picture.watchdog.last_reset
        yield reset.cause, reset.part


def _uses(get: Callable[[ProcessUse], float | None]) -> Callable[[Picture], Iterable[Reading]]:
    return lambda picture: [((process,), get(use)) for process, use in picture.uses.items()]


def _parts_running(picture: Picture) -> Iterator[Reading]:
    for part in picture.parts:
        if part.state != _UNKNOWN:
            yield (part.name,), float(part.state == "running")


def _restarts(picture: Picture) -> Iterator[Reading]:
    for part in picture.parts:
        if part.state != _UNKNOWN:
            yield (part.name,), part.restarts


def _conditions(picture: Picture) -> Iterator[Reading]:
    for service in picture.services:
        for condition in ServiceCondition:
            yield (service.name, condition), float(service.condition is condition)


def _events(picture: Picture) -> Iterator[Reading]:
    for service in picture.services:
        for event, count in service.counters.items():
            if not event.endswith(_BYTES):
                yield (service.name, event), count


def _kept(picture: Picture) -> Iterator[Reading]:
    for service in picture.services:
        for event, count in service.counters.items():
            if event.endswith(_BYTES):
                yield (service.name, event.removesuffix(_BYTES)), count


def _of_history(get: Callable[[HistoryState], float]) -> Callable[[Picture], Iterable[Reading]]:
    return lambda picture: [((), get(picture.history))] if picture.history.enabled else []


def _hanging(picture: Picture) -> Iterator[Reading]:
    if picture.heard:
        for part in picture.watchdog.parts:
            yield (part.name,), float(part.hangs)


PROGRAM: tuple[Family, ...] = (
    info("build", "Version of each process.", Present.ALWAYS, _versions, "process", "version"),
    gauge(
        "core_up",
        "1 while the core is heard: the process that reads the BMS and sends to the GX.",
        Present.ALWAYS,
        lambda picture: [((), float(picture.heard))],
    ),
    gauge(
        "core_unheard_seconds",
        "Time since the core was heard last; 0 while it is heard.",
        Present.ALWAYS,
        lambda picture: [((), 0.0 if picture.heard else picture.moment.hearing.since_s)],
    ),
    gauge(
        "core_uptime_seconds",
        "Time since the start of the core.",
        Present.HEARD,
        lambda picture: [((), picture.uptime_s)] if picture.heard else [],
    ),
    info(
        "core_last_end",
        "How the run of the core before this one ended, and which part hung if one did.",
        Present.HEARD,
        _ends,
        "cause",
        "part",
    ),
    gauge(
        "process_resident_memory_bytes",
        "Memory that a process uses; of the core while it is heard.",
        Present.ALWAYS,
        _uses(lambda use: use.resident),
        "process",
    ),
    counter(
        "process_cpu_seconds",
        "Processor time of a process since its start; of the core while it is heard.",
        Present.ALWAYS,
        _uses(lambda use: use.cpu_s),
        "process",
    ),
    gauge(
        "part_running",
        "1 while a part of the program runs; of the core while it is heard.",
        Present.ALWAYS,
        _parts_running,
        "part",
    ),
    counter(
        "part_restarts",
        "Starts of a part beyond the first; of the core while it is heard.",
        Present.ALWAYS,
        _restarts,
        "part",
    ),
    gauge(
        "service_condition",
        "1 for how a service stands with whom it serves.",
        Present.ALWAYS,
        _conditions,
        "service",
        "condition",
    ),
    counter(
        "service_events", "What a service has counted since the start.", Present.ALWAYS, _events, "service", "event"
    ),
    gauge(
        "service_kept_bytes",
        "What a service holds at present, for example until its broker is there again.",
        Present.ALWAYS,
        _kept,
        "service",
        "what",
    ),
    gauge(
        "history_working",
        "1 while the history can be written and read.",
        Present.RECORDED,
        _of_history(lambda history: float(history.why() is None)),
    ),
    gauge(
        "history_size_bytes",
        "Size of the files of the history.",
        Present.RECORDED,
        _of_history(lambda each: each.bytes),
    ),
    counter(
        "history_batches_written",
        "Batches of a minute that were written.",
        Present.RECORDED,
        _of_history(lambda history: history.written_batches),
    ),
    counter(
        "history_batches_lost",
        "Batches of a minute that were lost.",
        Present.RECORDED,
        _of_history(lambda history: history.lost_batches),
    ),
    counter(
        "watchdog_feeds",
        "Times that the watchdog was fed.",
        Present.HEARD,
        lambda picture: [((), picture.watchdog.feed_count)] if picture.heard else [],
    ),
    gauge(
        "watchdog_part_hanging",
        "1 while a part of the path from BMS to GX hangs.",
        Present.HEARD,
        _hanging,
        "part",
    ),
)
"""In the order of the page."""
