import asyncio
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.bms_events import BmsEvent, DatedEvent
from tinybms_bridge.core.event_store import EventStore, line_of
from tinybms_bridge.hal.storage import FileStorage, MemoryStorage, Storage
from tinybms_bridge.link.event_list import EventSource
from tinybms_bridge.link.events import Noted
from tinybms_bridge.words import Message, message

FailingStorage = Any
Reopened = Callable[[Storage], EventStore]

AT = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)
LINK = Noted(Severity.WARNING, message("link.down", reason="unplugged"))
FAULT = DatedEvent(BmsEvent(5000, 0x03), AT)


def news(number: int) -> Noted:
    """Return a piece of news with a text of its own."""
    return Noted(Severity.INFO, Message("test", {}, f"news {number}"))


def texts(store: EventStore) -> list[str]:
    """Return what the entries of a list say."""
    return [record.text for record in store.records()]


async def test_entries_survive_a_restart(reopened: Reopened) -> None:
    """Both kinds, with number, time and words."""
    storage = MemoryStorage()
    store = EventStore(storage)
    store.add(LINK, AT)
    store.add_bms([FAULT])
    await store.save()
    assert reopened(storage).records() == store.records()
    assert [record.source for record in store.records()] == [EventSource.BRIDGE, EventSource.BMS]


async def test_events_of_the_bms_are_known_after_a_restart(reopened: Reopened) -> None:
    """They are what the next reading of the log is compared with; without them all would be new again."""
    storage = MemoryStorage()
    store = EventStore(storage)
    events = FAULT, DatedEvent(BmsEvent(6000, 0x79), None, "53494D", after_gap=True)
    store.add_bms(events)
    store.add(LINK, AT)
    await store.save()
    assert reopened(storage).bms_events() == events


def test_an_event_of_the_bms_is_told_in_words() -> None:
    """With severity and a code for programs."""
    (record,) = EventStore(MemoryStorage()).add_bms([FAULT])
    assert (record.code, record.severity) == ("bms.over_voltage", Severity.FAULT)
    assert record.text.startswith("Cell over-voltage")


async def test_numbers_go_on_after_a_restart(reopened: Reopened) -> None:
    """A page that shows what is new since number 7 must not miss anything."""
    storage = MemoryStorage()
    store = EventStore(storage)
    assert [store.add(LINK, AT).number, store.add_bms([FAULT])[0].number] == [1, 2]
    await store.save()
    assert reopened(storage).add(LINK, AT).number == 3


def test_the_list_is_bounded_and_keeps_the_newest() -> None:
    """A card of a small computer must not fill up."""
    store = EventStore(MemoryStorage(), limit=10)
    for number in range(100):
        store.add(news(number), AT)
    assert [record.text for record in store.records()] == [f"news {number}" for number in range(95, 100)]


def test_neither_source_drives_the_other_out() -> None:
    """A loose plug makes thousands of entries; the faults of the BMS stay all the same."""
    store = EventStore(MemoryStorage(), limit=10)
    store.add_bms([FAULT])
    for number in range(100):
        store.add(news(number), AT)
    assert store.bms_events() == (FAULT,)
    assert len(store.records()) == 6


async def test_nothing_is_written_without_a_change(reopened: Reopened) -> None:
    """Cards wear out."""
    storage = MemoryStorage()
    store = EventStore(storage)
    await store.save()
    store.add(LINK, AT)
    assert store.unsaved
    await store.save()
    await store.save()
    store.save_quietly()
    reopened(storage).save_quietly()
    assert storage.writes == 1
    assert not store.unsaved


async def test_the_file_holds_one_entry_a_line() -> None:
    """Readable with tail and jq."""
    storage = MemoryStorage()
    store = EventStore(storage)
    store.add(LINK, AT)
    store.add(LINK, AT)
    await store.save()
    assert storage.data is not None
    assert [json.loads(line)["number"] for line in storage.data.decode().splitlines()] == [1, 2]


@pytest.mark.parametrize("text", ["two\nlines", "next\x85line", "\u2028", "port \udcff"])
async def test_any_text_can_be_kept(text: str, reopened: Reopened) -> None:
    """Reasons come from the system and hold paths: strange ones must neither split an entry nor stop the saving."""
    storage = MemoryStorage()
    store = EventStore(storage)
    store.add(Noted(Severity.INFO, Message("test", {}, text)), AT)
    await store.save()
    (record,) = reopened(storage).records()
    assert record.text == text.replace("\udcff", "?")


def test_a_first_start_has_no_entries(reopened: Reopened) -> None:
    """No file yet."""
    store = reopened(MemoryStorage())
    assert store.records() == ()
    assert not store.unsaved


async def test_a_damaged_line_costs_one_entry(caplog: pytest.LogCaptureFixture, reopened: Reopened) -> None:
    """Somebody edited the file, or the card has a bad sector: the others are kept, and the loss is said."""
    storage = MemoryStorage()
    store = EventStore(storage)
    for number in range(3):
        store.add(news(number), AT)
    await store.save()
    assert storage.data is not None
    lines = storage.data.splitlines()
    storage.data = b"\n".join([lines[0], b"\xff\xfe garbage", lines[2]])
    with caplog.at_level(logging.WARNING):
        found = reopened(storage)
    assert [record.text for record in found.records()] == ["news 0", "news 2"]
    assert "1 damaged entries" in caplog.text
    assert storage.aside == [storage.data], "what was damaged is not lost"
    await found.save()
    assert len(storage.data.splitlines()) == 2, "the file is whole again"


def test_a_line_that_is_nested_too_deeply_is_a_damaged_line(reopened: Reopened) -> None:
    """It once kept the bridge from starting."""
    store = EventStore(MemoryStorage())
    line = line_of(store.add(LINK, AT)).encode()
    for nested in (b"[" * 100_000, b'{"number": ' * 100_000):
        found = reopened(MemoryStorage(line + b"\n" + nested + b"\n"))
        assert len(found.records()) == 1


def test_a_list_of_a_later_version_is_kept_aside(reopened: Reopened, caplog: pytest.LogCaptureFixture) -> None:
    """Its lines may mean something else; the numbers go on from what is known."""
    later = b'{"version": 2}\n' + line_of(EventStore(MemoryStorage()).add(LINK, AT)).encode()
    storage = MemoryStorage(later)
    assert reopened(storage).records() == ()
    assert storage.aside == [later]
    assert "later version" in caplog.text


def test_a_list_that_belongs_to_another_process_is_only_looked_at() -> None:
    """The command line must not move the file of a bridge that runs."""
    storage = MemoryStorage(b"garbage")
    store = EventStore(storage)
    store.look()
    assert (store.records(), storage.data, storage.aside) == ((), b"garbage", [])
    storage.previous = line_of(EventStore(MemoryStorage()).add(LINK, AT)).encode()
    store.look()
    assert len(store.records()) == 1


async def test_a_file_without_any_entry_gives_way_to_the_one_before(reopened: Reopened) -> None:
    """An emptied file is not the end of the history."""
    storage = MemoryStorage()
    store = EventStore(storage)
    store.add(LINK, AT)
    await store.save()
    storage.write(b"\0\0\0\0")
    assert len(reopened(storage).records()) == 1


def test_a_file_that_cannot_be_read_does_not_stop_the_start(
    caplog: pytest.LogCaptureFixture, failing: FailingStorage, reopened: Reopened
) -> None:
    """The bridge has to run on a failing card as well."""
    storage = failing
    storage.data = b"x"
    storage.unreadable = True
    with caplog.at_level(logging.WARNING):
        assert reopened(storage).records() == ()
    assert "the event list in memory cannot be read" in caplog.text


def test_a_failure_at_the_end_is_said_and_not_raised(caplog: pytest.LogCaptureFixture, failing: FailingStorage) -> None:
    """Nobody can act on it any more."""
    storage = failing
    storage.full = True
    store = EventStore(storage)
    store.add(LINK, AT)
    with caplog.at_level(logging.ERROR):
        store.save_quietly()
    assert "No space left" in caplog.text
    assert store.unsaved


def test_a_write_that_was_killed_half_way_leaves_the_file_before(tmp_path: Path, reopened: Reopened) -> None:
    """The temporary file of a killed process lies beside; the list itself is whole."""
    storage = FileStorage(tmp_path / "events.jsonl")
    store = EventStore(storage)
    store.add(LINK, AT)
    store.save_quietly()
    (tmp_path / ".events.jsonl.4711.tmp").write_bytes(b'{"number": 2, "at')
    assert len(reopened(storage).records()) == 1


async def test_new_entries_are_added_to_the_file(reopened: Reopened) -> None:
    """A list of thousands is not written anew for each of them; after a start neither."""
    storage = MemoryStorage()
    store = EventStore(storage)
    for number in range(3):
        store.add(news(number), AT)
        await store.save()
    again = reopened(storage)
    again.add(news(3), AT)
    again.save_quietly()
    assert (storage.writes, storage.appends) == (1, 3)
    assert texts(reopened(storage)) == [f"news {number}" for number in range(4)]


async def test_a_file_with_twice_as_many_entries_as_are_kept_is_written_anew(reopened: Reopened) -> None:
    """It stays small, and holds all that is kept at any time."""
    storage = MemoryStorage()
    store = EventStore(storage, limit=10)
    lines = []
    for number in range(60):
        store.add(news(number), AT)
        await store.save()
        assert storage.data is not None
        lines.append(len(storage.data.splitlines()))
        assert texts(reopened(storage))[-5:] == texts(store)[-5:]
    assert max(lines) == 20
    assert lines[-1] < 20
    assert storage.writes == 1 + 3


@pytest.mark.parametrize("kept", range(0, 200, 7))
async def test_a_line_that_a_power_cut_has_left_half_is_left_out(
    kept: int, reopened: Reopened, caplog: pytest.LogCaptureFixture
) -> None:
    """All others are there, and nothing is ever added to half a line."""
    storage = MemoryStorage()
    store = EventStore(storage)
    store.add(news(0), AT)
    await store.save()
    assert storage.data is not None
    before = len(storage.data)
    store.add(news(1), AT)
    await store.save()
    storage.data = storage.data[: before + kept]
    left = reopened(storage)
    assert texts(left) in (["news 0"], ["news 0", "news 1"])
    left.add(news(2), AT)
    left.save_quietly()
    caplog.clear()
    again = reopened(storage)
    assert texts(again) == texts(left)
    assert texts(again)[-1] == "news 2"
    assert caplog.text == ""


@pytest.mark.parametrize("data", [b"", b"mine\n", None])
async def test_a_file_that_was_changed_meanwhile_is_written_anew(data: bytes | None, reopened: Reopened) -> None:
    """Somebody has emptied or removed it: the list is there again with the next entry."""
    storage = MemoryStorage()
    store = EventStore(storage)
    store.add(news(0), AT)
    await store.save()
    storage.data = data
    store.add(news(1), AT)
    await store.save()
    assert len(reopened(storage).records()) == 2


async def test_what_could_not_be_added_is_written_anew(failing: FailingStorage, reopened: Reopened) -> None:
    """A full disk may have taken half of it: the next save leaves no half line and nothing twice."""
    store = EventStore(failing)
    store.add(news(0), AT)
    await store.save()
    store.add(news(1), AT)
    failing.full = True
    with pytest.raises(OSError, match="No space left"):
        await store.save()
    failing.data += b'{"number": 2, "te'
    failing.full = False
    store.add(news(2), AT)
    await store.save()
    assert texts(reopened(failing)) == ["news 0", "news 1", "news 2"]


WRITER = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.hal.storage import FileStorage
from tinybms_bridge.core.event_store import EventStore
from tinybms_bridge.link.events import Noted
from tinybms_bridge.words import Message

store = EventStore(FileStorage(Path(sys.argv[1])))
for _ in range(400):
    store.add(Noted(Severity.INFO, Message("test", {}, "x" * 200)), datetime.now(UTC))
    store.save_quietly()
    print(flush=True)
time.sleep(600)
"""
"""Of more entries the oldest would be dropped, where the one that kills it is slow."""


@pytest.mark.parametrize("after_writes", [1, 20, 50])
def test_a_process_that_is_killed_leaves_a_whole_list(
    tmp_path: Path, after_writes: int, reopened: Reopened, caplog: pytest.LogCaptureFixture
) -> None:
    """SIGKILL in the middle of saving: every line is an entry, and nothing that was saved is gone."""
    path = tmp_path / "events.jsonl"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        for _ in range(after_writes):
            assert writer.stdout.readline()
        writer.kill()
    with caplog.at_level(logging.WARNING):
        records = reopened(FileStorage(path)).records()
    assert len(records) >= after_writes
    assert [record.number for record in records] == list(range(1, len(records) + 1))
    assert caplog.text == ""


async def test_a_save_that_was_cancelled_never_overwrites_a_newer_one(reopened: Reopened) -> None:
    """The thread of a cancelled save goes on writing; the last save must still be the one on the disk."""
    storage, started, go_on = MemoryStorage(), threading.Event(), threading.Event()
    write = storage.write

    def slowly(data: bytes) -> None:
        started.set()
        assert go_on.wait(30.0)
        write(data)

    storage.write = slowly  # type: ignore[method-assign]
    store = EventStore(storage)
    store.add(news(1), AT)
    saving = asyncio.create_task(store.save())
    while not started.is_set():
        await asyncio.sleep(0.001)
    saving.cancel()
    with suppress(asyncio.CancelledError):
        await saving
    store.add(news(2), AT)
    last = asyncio.create_task(asyncio.to_thread(store.save_quietly))
    go_on.set()
    await last
    assert len(reopened(storage).records()) == 2
    assert not store.unsaved
