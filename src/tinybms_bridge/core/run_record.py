"""The record of a run of the core, from which the next one tells how it ended.

It is written at the start, at an end that the core knows of, and when a part of the path begins or ceases to hang. A
run whose record knows no end was ended from outside: by a watchdog, a signal, or with the whole machine, which the
kernel's identifier of the boot tells.
"""

import asyncio
import json
import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.saved_fields import Declaration, Saving, ShortText
from tinybms_bridge.core.event_store import EventStore
from tinybms_bridge.hal.blocking import RunBlocking, in_thread
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.hal.crash_trace import ABORTED
from tinybms_bridge.hal.documents import check_version, load, not_saved, parse_json
from tinybms_bridge.hal.storage import Storage
from tinybms_bridge.link.events import Noted
from tinybms_bridge.link.last_reset import LastReset, RunEndCause, reset_message

__all__ = ["RUN_FILE", "RunEnd", "RunRecord", "RunRecorder", "boot_identifier", "reset_of", "tell_reset"]

log = logging.getLogger(__name__)

RUN_FILE = "last-run.json"
"""Name of the file in the state directory."""

_VERSION = 1
_BOOT = Path("/proc/sys/kernel/random/boot_id")
"""Another one with each boot of the machine (random(4))."""
_LONGEST_ERROR = 500
_SAME_FOR = timedelta(hours=1)
"""The same cause again within this time makes no entry of its own in the event list."""


class RunEnd(StrEnum):
    """What a run says of its end."""

    OPEN = "open"
    """Nothing: it goes on, or was ended from outside."""
    STOPPED = "stopped"
    RESTARTED = "restarted"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What is kept of one run."""

    end: RunEnd = RunEnd.OPEN
    boot: str = ""
    """Identifier of the boot of the machine; empty where the system has none."""
    started_at: str = ""
    """ISO 8601, by the wall clock."""
    ended_at: str = ""
    error: str = ""
    """Why it crashed."""
    hanging: str = ""
    """The parts that hang, while they do."""
    watched: bool = False
    """Whether a service manager would restart a core that hangs."""
    hardware: bool = False
    """Whether the hardware would restart the machine."""


_SAVING = Saving(
    RunRecord,
    Declaration(
        sections={"": "run"},
        places={},
        rules={
            "boot": ShortText(100),
            "started_at": ShortText(40),
            "ended_at": ShortText(40),
            "error": ShortText(_LONGEST_ERROR),
            "hanging": ShortText(200),
        },
        not_saved={},
    ),
)


def boot_identifier(path: Path = _BOOT) -> str:
    """Return what names this boot of the machine; empty where nothing does. Blocks."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def reset_of(before: RunRecord | None, boot: str, fatal: str = "") -> LastReset:
    """Return why a run ended.

    Args:
        before: Its record; None when there is none.
        boot: The present boot of the machine.
        fatal: What the interpreter wrote when a signal ended it; see ``CrashTrace``.

    """
    if before is None:
        return LastReset()
    started_at, ended_at = _moment(before.started_at), _moment(before.ended_at)
    cause = _cause_of(before, boot, fatal)
    error = before.error or (fatal if cause is RunEndCause.CRASH else "")
    return LastReset(cause.value, before.hanging, error, started_at, ended_at)


def _cause_of(before: RunRecord, boot: str, fatal: str) -> RunEndCause:
    said = {
        RunEnd.STOPPED: RunEndCause.STOPPED,
        RunEnd.RESTARTED: RunEndCause.RESTARTED,
        RunEnd.CRASHED: RunEndCause.CRASH,
    }
    if before.end in said:
        return said[before.end]
    if boot and before.boot and boot != before.boot:
        return RunEndCause.HARDWARE_WATCHDOG if before.hardware and before.hanging else RunEndCause.POWER
    if before.watched and (before.hanging or fatal.startswith(ABORTED)):
        return RunEndCause.WATCHDOG
    return RunEndCause.CRASH if fatal else RunEndCause.KILLED


def _moment(text: str) -> datetime | None:
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo is not None else None
    return None


class RunRecorder:
    """Keeps the record of this run.

    Args:
        storage: Where it is kept.
        clock: Source of time.
        run_blocking: Runs what blocks.

    """

    def __init__(self, storage: Storage, clock: Clock, run_blocking: RunBlocking = in_thread) -> None:
        self.last_reset = LastReset()
        """How the run before this one ended."""
        self._storage = storage
        self._run_blocking = run_blocking
        self._clock = clock
        self._record = RunRecord(started_at=clock.wall().isoformat(timespec="seconds"))
        self._written: RunRecord | None = None
        self._news = asyncio.Event()
        self._writing = threading.Lock()

    def load(self, boot: str, fatal: str = "") -> LastReset:
        """Return how the run before ended, and begin this one. Blocks; never raises."""
        found = load(self._storage, "the record of the last run", _parse)
        self.last_reset = reset_of(found.value, boot, fatal)
        self._record = replace(self._record, boot=boot)
        return self.last_reset

    def note(self, hanging: tuple[str, ...], *, watched: bool, hardware: bool) -> None:
        """Take which parts hang, and who would restart the bridge; a change is written soon."""
        record = replace(self._record, hanging=" ".join(hanging), watched=watched, hardware=hardware)
        if record != self._record:
            self._record = record
            self._news.set()

    async def run(self) -> None:
        """Write each change until cancelled. Raises BridgeError when it cannot; run again, it writes at once."""
        while True:
            self._news.clear()
            try:
                await self._run_blocking(self._save)
            except OSError as error:
                raise not_saved(self._storage, error) from error
            await self._news.wait()

    def end(self, end: RunEnd, error: str = "") -> None:
        """Write how this run ends. Blocks; never raises."""
        ended_at = self._clock.wall().isoformat(timespec="seconds")
        self._record = replace(self._record, end=end, error=error[:_LONGEST_ERROR], ended_at=ended_at)
        try:
            self._save()
        except OSError as failure:
            log.warning("the end of this run cannot be recorded in %s: %s", self._storage.name, failure)

    def _save(self) -> None:
        with self._writing:
            record = self._record
            if record != self._written:
                document = {"version": _VERSION, **_SAVING.document(record)}
                self._storage.write(json.dumps(document, indent=1).encode())
                self._written = record


def _parse(data: bytes) -> RunRecord:
    document = parse_json(data)
    if isinstance(document, Mapping):
        check_version(document.get("version"), _VERSION)
    return _SAVING.read(document)


def tell_reset(reset: LastReset, events: EventStore, now: datetime) -> None:
    """Write to the log how the last run ended, and to the event list what a person should know of."""
    told = reset_message(reset)
    if told is None:
        if reset.cause != RunEndCause.UNKNOWN:
            log.info("the run before this one was ended: %s", reset.cause)
        return
    log.warning("%s", told.text)
    earlier = next((each for each in reversed(events.records()) if each.code.startswith("restart.")), None)
    if earlier is None or earlier.at is None or earlier.text != told.text or abs(now - earlier.at) >= _SAME_FOR:
        events.add(Noted(Severity.WARNING, told), now)
