"""What was told, over a restart: whole, damaged, of a later version, on a disk that takes nothing."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.alarms import AlarmLevel
from tinybms_bridge.hal.storage import FileStorage, MemoryStorage
from tinybms_bridge.services.notify.messages import AlarmNews, Notification
from tinybms_bridge.services.notify.record import MOST_WAITING, TellRecord
from tinybms_bridge.services.notify.rules import MOST_SETTLE_S, SETTLE_S, WatchedAlarm
from tinybms_lab.testing.fake_clock import FakeClock

AT = datetime(2026, 1, 1, 14, 5, tzinfo=UTC)
WARNING, ALARM = AlarmLevel.WARNING, AlarmLevel.ALARM


def notification(number: int = 1) -> Notification:
    """Return a message."""
    return Notification(str(number), AT, (AlarmNews("raised", "low_soc", "warning"),), {"soc_percent": 9.5})


def reloaded(storage: MemoryStorage | FileStorage) -> TellRecord:
    """Return what another process finds."""
    record = TellRecord(storage)
    record.load()
    return record


def test_what_was_told_and_what_waits_is_there_again(clock: FakeClock, tmp_path: Path) -> None:
    """Without the times of this run, which mean nothing in another."""
    storage = FileStorage(tmp_path / "alarms-told.json")
    record = TellRecord(storage)
    record.memory = {
        "low_soc": WatchedAlarm(told=ALARM, usual=WARNING, reached_s={WARNING: 1000.0}, settle_s=240.0, held=True),
        "high_voltage": WatchedAlarm(reached_s={WARNING: 1000.0}),
    }
    record.queue("webhook").extend([notification(1), notification(2)])
    record.queue("email")
    record.write(*record.document(clock))
    again = reloaded(storage)
    assert again.memory == {"low_soc": WatchedAlarm(told=ALARM, usual=WARNING, settle_s=240.0)}
    assert {name: list(queue) for name, queue in again.waiting.items()} == {
        "webhook": [notification(1), notification(2)],
        "email": [],
    }


def test_a_document_that_is_late_does_not_replace_a_newer_one(clock: FakeClock) -> None:
    """A write that hung in its thread while the service was made anew."""
    storage = MemoryStorage()
    record = TellRecord(storage)
    old = record.document(clock)
    record.memory = {"low_soc": WatchedAlarm(told=WARNING, usual=WARNING)}
    record.write(*record.document(clock))
    record.write(*old)
    assert reloaded(storage).memory == record.memory


def test_ways_that_are_no_more_are_forgotten() -> None:
    """What waited for them waits for nobody."""
    record = TellRecord(MemoryStorage())
    record.queue("webhook").append(notification())
    record.queue("ntfy")
    record.keep_only(frozenset({"ntfy"}))
    assert list(record.waiting) == ["ntfy"]


def test_nothing_is_there_at_the_first_start() -> None:
    """And that is no problem."""
    record = reloaded(MemoryStorage())
    assert (record.memory, record.waiting) == ({}, {})


GOOD: dict[str, Any] = {
    "version": 1,
    "told": {"low_soc": {"told": "warning", "usual": "warning", "settle_s": 60.0}},
    "waiting": {"ntfy": [notification().to_document()]},
}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"nonsense",
        b"[" * 100_000,
        json.dumps([]).encode(),
        json.dumps({**GOOD, "version": 2}).encode(),
        json.dumps({**GOOD, "told": []}).encode(),
        json.dumps({**GOOD, "told": {"low_soc": {"told": "ok", "usual": "ok", "settle_s": 60}}}).encode(),
        json.dumps({**GOOD, "told": {"low_soc": []}}).encode(),
        json.dumps({**GOOD, "waiting": {"ntfy": {}}}).encode(),
        json.dumps({**GOOD, "waiting": {"ntfy": [{}]}}).encode(),
    ],
)
def test_what_cannot_be_used_is_set_aside_and_told(
    document: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Notifications begin anew rather than not at all; the document is kept for whoever wants to know."""
    (tmp_path / "alarms-told.json").write_bytes(document)
    record = reloaded(FileStorage(tmp_path / "alarms-told.json"))
    assert (record.memory, record.waiting) == ({}, {})
    (line,) = caplog.messages
    assert line.startswith("the record of notifications in ")
    assert (tmp_path / "alarms-told.json.unusable-1").read_bytes() == document


def test_alarms_that_are_not_known_any_more_are_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    """Another version of the program has named them otherwise."""
    told = {**GOOD["told"], "no_such_alarm": GOOD["told"]["low_soc"]}
    record = reloaded(MemoryStorage(json.dumps({**GOOD, "told": told}).encode()))
    assert list(record.memory) == ["low_soc"]
    assert caplog.messages == []


@pytest.mark.parametrize(("text", "settle_s"), [("NaN", SETTLE_S), ("Infinity", MOST_SETTLE_S), ("-1", SETTLE_S)])
def test_a_time_that_cannot_be_becomes_one_that_can(text: str, settle_s: float) -> None:
    """Else an end would never be told."""
    document = json.dumps(GOOD).replace("60.0", text)
    assert reloaded(MemoryStorage(document.encode())).memory["low_soc"].settle_s == settle_s


def test_only_the_newest_messages_are_read() -> None:
    """However many a file has."""
    many = [notification(number).to_document() for number in range(200)]
    record = reloaded(MemoryStorage(json.dumps({**GOOD, "waiting": {"ntfy": many}}).encode()))
    assert [each.id for each in record.waiting["ntfy"]] == [str(number) for number in range(200 - MOST_WAITING, 200)]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["version", "told", "waiting", "low_soc", "usual", "settle_s", "id", "at", "news", "values", "ntfy"]
                ),
                inner,
            )
        ),
    )
)
def test_no_document_stops_the_service(document: Any) -> None:
    """Whatever somebody has written there."""
    logging.getLogger("tinybms_bridge.hal.documents").disabled = True
    try:
        reloaded(MemoryStorage(json.dumps(document).encode()))
    finally:
        logging.getLogger("tinybms_bridge.hal.documents").disabled = False
