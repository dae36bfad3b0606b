"""Which messages there were already: by site, boot id and sequence number, in a file that survives a restart.

QoS 1 and a broker that dies bring a message twice, and a spool brings it late, so that the numbers of a boot come in
any order. What was seen of one boot is kept as ranges, of which there are few: one as long as nothing is missing.

A number is seen in two steps. It is *pending* as soon as it was taken, in memory only, and *settled* when the database
surely has it (`consumer.py` says when); what is pending is forgotten again when the database was away. Only what is
settled is in the file, and a message is acknowledged after that. A crash at any moment therefore brings a message again
at the worst, and the database folds a sample that it has already.

It is bounded: `BOOTS_PER_SITE` boots, `RANGES_PER_BOOT` ranges, the latest of each. What is forgotten is taken for new.
"""

import json
import sqlite3
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Key", "Ranges", "Seen", "Window", "WindowFile"]

BOOTS_PER_SITE = 8
"""A bridge replays what it had before it was started again; one that starts every second is not worth more."""
RANGES_PER_BOOT = 256
"""Gaps that are open at a time: a spool that fills them sends from the oldest on."""

Key = tuple[str, str]
"""Site and boot id."""


class Seen:
    """What is known of a message that came."""

    NEW = "new"
    AGAIN = "again"
    """Another copy of it is settled or pending: it may be acknowledged."""
    SAME = "same"
    """The very entry of the stream that is pending, delivered again: acknowledging it would acknowledge the pending."""


@dataclass(slots=True)
class Ranges:
    """Numbers as ranges `first` to `last`, disjoint, not adjacent, from the lowest."""

    firsts: list[int] = field(default_factory=list)
    lasts: list[int] = field(default_factory=list)

    def __contains__(self, number: int) -> bool:
        index = bisect_right(self.firsts, number) - 1
        return index >= 0 and number <= self.lasts[index]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self.firsts, self.lasts, strict=True))

    def add(self, number: int) -> None:
        """Take a number in; the lowest range is forgotten where there are too many."""
        index = bisect_right(self.firsts, number) - 1
        if index >= 0 and number <= self.lasts[index]:
            return
        joins_lower = index >= 0 and self.lasts[index] == number - 1
        joins_upper = index + 1 < len(self.firsts) and self.firsts[index + 1] == number + 1
        if joins_lower and joins_upper:
            self.lasts[index] = self.lasts.pop(index + 1)
            self.firsts.pop(index + 1)
        elif joins_lower:
            self.lasts[index] = number
        elif joins_upper:
            self.firsts[index + 1] = number
        else:
            self.firsts.insert(index + 1, number)
            self.lasts.insert(index + 1, number)
            if len(self.firsts) > RANGES_PER_BOOT:
                del self.firsts[0], self.lasts[0]

    @property
    def missing(self) -> int:
        """Numbers between the first and the last that are not there."""
        return sum(first - last - 1 for first, last in zip(self.firsts[1:], self.lasts, strict=False))


@dataclass(slots=True)
class Window:
    """What was seen of every site."""

    settled: dict[str, dict[str, Ranges]] = field(default_factory=dict)
    """By site and boot id, the boot that was heard of last at the end."""
    pending: dict[Key, dict[int, int]] = field(default_factory=dict)
    """By sequence number the entry of the stream."""
    heard_s: dict[str, float] = field(default_factory=dict)
    """When the nodes had a message of a site last, 0 for never."""

    def take(self, key: Key, seq: int, entry: int) -> str:
        """Return what is known of a message (see `Seen`); a new one is pending from now on.

        Args:
            key: Site and boot id.
            seq: Its sequence number.
            entry: Which entry of the stream it is.
        """
        pending = self.pending.setdefault(key, {})
        if seq in pending:
            return Seen.SAME if pending[seq] == entry else Seen.AGAIN
        site, boot = key
        ranges = self.settled.get(site, {}).get(boot)
        if ranges is not None and seq in ranges:
            return Seen.AGAIN
        pending[seq] = entry
        return Seen.NEW

    def settle(self, marks: Iterable[tuple[Key, int]]) -> set[Key]:
        """Settle pending numbers; return what has to be saved. What was not pending any more is left alone."""
        changed = set()
        for key, seq in marks:
            pending = self.pending.get(key, {})
            if pending.pop(seq, None) is None:
                continue
            if not pending:
                del self.pending[key]
            self._ranges(key).add(seq)
            changed.add(key)
        return changed

    def forget_pending(self) -> None:
        """Take it that nothing of what is pending is in the database."""
        self.pending.clear()

    def forget_site(self, site: str) -> None:
        """Make room: a site is no longer there."""
        self.settled.pop(site, None)
        self.heard_s.pop(site, None)

    @property
    def missing(self) -> int:
        """Numbers that were skipped: on the way, dropped by a full spool, or of a topic outside the fleet."""
        return sum(ranges.missing for boots in self.settled.values() for ranges in boots.values())

    def _ranges(self, key: Key) -> Ranges:
        site, boot = key
        boots = self.settled.setdefault(site, {})
        ranges = boots.pop(boot, None) or Ranges()
        boots[boot] = ranges
        if len(boots) > BOOTS_PER_SITE:
            del boots[next(iter(boots))]
        return ranges


class WindowFile:
    """The window on disk, for one process at a time: a row for each boot id and one for each site."""

    def __init__(self, path: Path) -> None:
        """Open or make it; one that is damaged is set aside.

        Raises:
            BlockingIOError: Another process has it.
            OSError: It cannot be made.
        """
        self.set_aside: Path | None = None
        """Where a damaged one went."""
        try:
            self._database, self._window = _opened(path)
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise BlockingIOError(f"{path} is in use by another consumer") from None
            raise OSError(f"{path} cannot be opened: {error}") from None
        except (sqlite3.DatabaseError, ValueError, TypeError):
            self.set_aside = path.with_name(f"{path.name}.damaged")
            path.replace(self.set_aside)
            for ending in ("-wal", "-shm"):
                with suppress(FileNotFoundError):
                    path.with_name(path.name + ending).unlink()
            self._database, self._window = _opened(path)

    def load(self) -> Window:
        """Return what was settled before."""
        return self._window

    def save(self, window: Window, changed: Collection[Key]) -> None:
        """Write what has changed, all of it or nothing.

        Raises:
            OSError: The disk is full or gone.
        """
        rows = [(site, boot, _encoded(window, site, boot)) for site, boot in changed]
        heard = [(site, window.heard_s.get(site, 0.0)) for site in {site for site, _ in changed}]
        kept = {site: [*window.settled.get(site, ())] for site, _ in changed}
        try:
            with self._database:
                self._database.executemany("REPLACE INTO seen (site, boot, ranges) VALUES (?, ?, ?)", rows)
                self._database.executemany("REPLACE INTO heard (site, at_s) VALUES (?, ?)", heard)
                for site, boots in kept.items():
                    marks = ",".join("?" * len(boots))
                    words = f"DELETE FROM seen WHERE site = ? AND boot NOT IN ({marks})"  # noqa: S608
                    self._database.execute(words, (site, *boots))
        except sqlite3.Error as error:
            raise OSError(f"the window cannot be saved: {error}") from None

    def close(self) -> None:
        """Let another process have it."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _opened(path: Path) -> tuple[sqlite3.Connection, Window]:
    database = sqlite3.connect(path, timeout=2.0, check_same_thread=False)
    try:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        with database:
            database.execute("BEGIN IMMEDIATE")  # takes the lock, and exclusive mode keeps it
            database.execute(
                "CREATE TABLE IF NOT EXISTS seen"
                " (site TEXT, boot TEXT, ranges TEXT NOT NULL, PRIMARY KEY (site, boot)) STRICT"
            )
            database.execute("CREATE TABLE IF NOT EXISTS heard (site TEXT PRIMARY KEY, at_s REAL NOT NULL) STRICT")
        window = Window()
        with closing(database.execute("SELECT site, boot, ranges FROM seen ORDER BY rowid")) as rows:
            for site, boot, text in rows:
                window.settled.setdefault(site, {})[boot] = _decoded(text)
        with closing(database.execute("SELECT site, at_s FROM heard")) as rows:
            window.heard_s.update(rows)
    except BaseException:
        database.close()
        raise
    return database, window


def _encoded(window: Window, site: str, boot: str) -> str:
    return json.dumps([*window.settled.get(site, {}).get(boot, ())], separators=(",", ":"))


def _decoded(text: str) -> Ranges:
    pairs = json.loads(text)
    ranges = Ranges([int(first) for first, _ in pairs], [int(last) for _, last in pairs])
    flat = [number for pair in ranges for number in pair]
    if flat != sorted(flat):
        raise ValueError("ranges out of order")
    return ranges
