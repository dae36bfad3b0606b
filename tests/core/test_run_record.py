import asyncio
import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tinybms_bridge.core.event_store import EventStore
from tinybms_bridge.core.run_record import RunEnd, RunRecord, RunRecorder, boot_identifier, reset_of, tell_reset
from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.link.last_reset import LastReset, RunEndCause
from tinybms_lab.testing.fake_clock import FakeClock

OPEN = RunRecord(boot="one", started_at="2026-11-30T08:00:00+00:00", watched=True)


@pytest.mark.parametrize(
    ("before", "boot", "fatal", "cause"),
    [
        (None, "one", "", RunEndCause.UNKNOWN),
        (replace(OPEN, end=RunEnd.STOPPED), "one", "", RunEndCause.STOPPED),
        (replace(OPEN, end=RunEnd.STOPPED), "two", "", RunEndCause.STOPPED),
        (replace(OPEN, end=RunEnd.RESTARTED), "one", "", RunEndCause.RESTARTED),
        (replace(OPEN, end=RunEnd.CRASHED, error="uart failed"), "one", "", RunEndCause.CRASH),
        (OPEN, "one", "", RunEndCause.KILLED),
        (OPEN, "two", "", RunEndCause.POWER),
        (OPEN, "", "", RunEndCause.KILLED),
        (replace(OPEN, boot=""), "two", "", RunEndCause.KILLED),
        (replace(OPEN, hanging="uart"), "one", "", RunEndCause.WATCHDOG),
        (replace(OPEN, hanging="uart", watched=False), "one", "", RunEndCause.KILLED),
        (replace(OPEN, hanging="uart"), "two", "", RunEndCause.POWER),
        (replace(OPEN, hanging="uart", hardware=True), "two", "", RunEndCause.HARDWARE_WATCHDOG),
        (replace(OPEN, hardware=True), "two", "", RunEndCause.POWER),
        (OPEN, "one", "Aborted, in x.py", RunEndCause.WATCHDOG),
        (replace(OPEN, watched=False), "one", "Aborted, in x.py", RunEndCause.CRASH),
        (OPEN, "one", "Segmentation fault, in x.py", RunEndCause.CRASH),
        (replace(OPEN, hanging="uart"), "one", "Aborted, in x.py", RunEndCause.WATCHDOG),
    ],
)
def test_cause_of_a_reset(before: RunRecord | None, boot: str, fatal: str, cause: RunEndCause) -> None:
    """By what the run before said of its end, the boot of the machine, who watched, and what a signal left behind."""
    assert reset_of(before, boot, fatal).cause == cause


def test_details_of_a_reset() -> None:
    """Which part hung, why it crashed, and when that run was; a damaged date is none."""
    hung = reset_of(replace(OPEN, hanging="uart can"), "one")
    assert (hung.part, hung.started_at, hung.ended_at) == ("uart can", datetime(2026, 11, 30, 8, tzinfo=UTC), None)
    ended = replace(OPEN, end=RunEnd.CRASHED, error="can failed: no", ended_at="2026-11-30T09:00:00+00:00")
    crashed = reset_of(ended, "one")
    assert (crashed.error, crashed.ended_at) == ("can failed: no", datetime(2026, 11, 30, 9, tzinfo=UTC))
    assert reset_of(OPEN, "one", "Bus error, in x.py").error == "Bus error, in x.py"
    assert reset_of(replace(OPEN, started_at="yesterday", ended_at="2026-11-30"), "one").started_at is None


class Disk(MemoryStorage):
    """A storage that may be full."""

    full = False

    def write(self, data: bytes) -> None:
        """See ``Storage.write``."""
        if self.full:
            raise OSError(28, "No space left on device")
        super().write(data)


def record_in(disk: Disk) -> dict[str, object]:
    """Return what is kept of the run."""
    data = disk.read()
    assert data is not None
    document: dict[str, object] = json.loads(data)["run"]
    return document


async def test_little_is_written_and_only_what_changes() -> None:
    """At the start, when a part begins or ceases to hang, and at the end: years of looks write nothing."""
    disk, clock = Disk(), FakeClock()
    recorder = RunRecorder(disk, clock, in_place)
    recorder.load("one")
    recorder.note((), watched=True, hardware=False)
    task = asyncio.create_task(recorder.run())
    for hanging, writes in ((), 1), (("uart",), 2), (("uart",), 2), ((), 3):
        for _ in range(50):
            recorder.note(hanging, watched=True, hardware=False)
            await clock.advance(0.5)
        assert disk.writes == writes
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert record_in(disk)["end"] == "open", "a run that is only cancelled has said nothing of its end"
    recorder.end(RunEnd.STOPPED)
    assert (disk.writes, record_in(disk)["end"]) == (4, "stopped")


async def test_record_is_read_by_the_next_run() -> None:
    """What is written is read: one declaration has both, and each run tells of the one before."""
    disk, clock = Disk(), FakeClock()
    runs = [
        (RunEnd.STOPPED, "", RunEndCause.UNKNOWN),
        (RunEnd.CRASHED, "can failed: OSError: no", RunEndCause.STOPPED),
        (RunEnd.RESTARTED, "", RunEndCause.CRASH),
        (RunEnd.STOPPED, "", RunEndCause.RESTARTED),
    ]
    for end, error, before in runs:
        recorder = RunRecorder(disk, clock, in_place)
        assert recorder.load("one").cause == before
        assert recorder.last_reset.error == ("can failed: OSError: no" if before is RunEndCause.CRASH else "")
        recorder.end(end, error)


async def test_run_that_says_nothing_leaves_who_watched_and_what_hung() -> None:
    """The watchdog kills: nothing of the end can be written, and the record of the hang is there."""
    disk, clock = Disk(), FakeClock()
    recorder = RunRecorder(disk, clock, in_place)
    recorder.load("one")
    task = asyncio.create_task(recorder.run())
    recorder.note(("can",), watched=True, hardware=False)
    await clock.advance(0.5)
    task.cancel()

    reset = RunRecorder(disk, clock, in_place).load("one")

    assert (reset.cause, reset.part) == (RunEndCause.WATCHDOG, "can")


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"run": 3}', b'{"version": 9}', b'{"run": {"end": "eaten", "boot": 1}}']
)
async def test_record_that_cannot_be_used_costs_nothing(data: bytes) -> None:
    """Damaged, or of a later version: the bridge starts, and this run is recorded."""
    disk, clock = Disk(), FakeClock()
    disk.write(data)
    recorder = RunRecorder(disk, clock, in_place)
    assert recorder.load("one").cause in (RunEndCause.UNKNOWN, RunEndCause.KILLED)
    recorder.end(RunEnd.STOPPED)
    assert record_in(disk)["end"] == "stopped"


async def test_full_disk_keeps_nobody_from_ending(caplog: pytest.LogCaptureFixture) -> None:
    """The end is told in the log, in one line; while it runs the supervisor tries again."""
    disk = Disk()
    disk.full = True
    recorder = RunRecorder(disk, FakeClock(), in_place)
    with pytest.raises(BridgeError, match="nothing can be saved in memory: No space"):
        await recorder.run()
    recorder.end(RunEnd.STOPPED)
    (line,) = caplog.messages
    assert "No space left on device" in line


def test_long_error_is_cut() -> None:
    """A library may say a page; the record can still be read."""
    disk, clock = Disk(), FakeClock()
    RunRecorder(disk, clock, in_place).end(RunEnd.CRASHED, "x" * 10_000)
    assert RunRecorder(disk, clock, in_place).load("").error == "x" * 500


@pytest.mark.parametrize(
    ("reset", "code"),
    [
        (LastReset("watchdog", "uart"), "restart.watchdog"),
        (LastReset("hardware_watchdog", "can"), "restart.hardware_watchdog"),
        (LastReset("crash", error="no"), "restart.crash"),
        (LastReset("killed"), "restart.killed"),
        (LastReset("stopped"), None),
        (LastReset("restarted"), None),
        (LastReset("power"), None),
        (LastReset(), None),
        (LastReset("of a later version"), None),
    ],
)
def test_an_end_that_should_not_have_been_is_an_event(reset: LastReset, code: str | None) -> None:
    """With its cause; one on purpose is none, and neither is a power cut, after which nothing is wrong here."""
    events, now = EventStore(MemoryStorage()), datetime(2026, 11, 30, tzinfo=UTC)
    tell_reset(reset, events, now)
    assert [each.code for each in events.records()] == ([] if code is None else [code])


def test_the_same_cause_again_and_again_is_one_event_an_hour() -> None:
    """A core that crashes each second fills no list; another cause is one of its own."""
    events, now = EventStore(MemoryStorage()), datetime(2026, 11, 30, tzinfo=UTC)
    for minute in range(90):
        tell_reset(LastReset("crash", error="no"), events, now + timedelta(minutes=minute))
    assert len(events.records()) == 2
    tell_reset(LastReset("killed"), events, now + timedelta(minutes=91))
    assert [each.code for each in events.records()] == ["restart.crash", "restart.crash", "restart.killed"]


def test_boot_identifier(tmp_path: Path) -> None:
    """That of the kernel; a system without one is no failure."""
    file = tmp_path / "boot_id"
    assert boot_identifier(file) == ""
    file.write_text("2f1c6f6e-6c1c-4ef6-a3a5-1d8f7a0c7a11\n")
    assert boot_identifier(file) == "2f1c6f6e-6c1c-4ef6-a3a5-1d8f7a0c7a11"
    file.write_bytes(b"\xff")
    assert boot_identifier(file) == ""
