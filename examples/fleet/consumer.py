"""From the stream into VictoriaMetrics: each message once, acknowledged when the database surely has it.

A batch goes through four steps. It is taken from the stream, and what was seen before or cannot be used is left out.
It is *written*: the database has accepted its samples. It is *settled* ten seconds later, if the database is still the
same process: then its samples are on disk there, the window with its sequence numbers is saved here, and its messages
are acknowledged. Whatever fails before that gives the messages back to the stream, which delivers them again.

Nothing that may be in a message stops it (`messages.py`), nor a node, a database or a disk that is away. Two may run
at a time, each with a window of its own: a duplicate that reaches the other one is written twice at the same time,
which VictoriaMetrics folds into one sample.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from . import stream
from .database import PROBE, AwayError, Database, RefusedError
from .messages import Envelope, Reason, RejectedError, Series, opened
from .metrics import Statistics, serve
from .sites import load
from .stream import Entry, Pull
from .window import Key, Seen, Window, WindowFile

__all__ = ["Consumer", "Source", "Target", "main"]

SETTLE_S = 10.0
"""VictoriaMetrics writes what is in its memory to its disk within five seconds."""
LOOK_S = 15.0
"""How often the register of sites and the stream are looked at."""
REPORT_S = 60.0


class Source(Protocol):
    """Where messages come from."""

    async def fetch(self) -> list[Entry]:
        """Return what came; wait a second at most."""
        ...

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        """Say that these are done with."""
        ...

    async def give_back(self, entries: Sequence[Entry]) -> None:
        """Have these delivered again."""
        ...


class Target(Protocol):
    """Where samples go."""

    async def write(self, lines: Sequence[str]) -> None:
        """Have samples accepted, or raise AwayError or RefusedError."""
        ...

    async def until_back(self, on_failure: Callable[[AwayError], None]) -> None:
        """Return when it is well."""
        ...


@dataclass(slots=True)
class Batch:
    """What is written and not settled."""

    written_s: float
    entries: list[Entry]
    marks: list[tuple[Key, int]]


@dataclass(slots=True)
class _Fresh:
    """New messages of one fetch with their samples."""

    entries: list[Entry] = field(default_factory=list)
    messages: list[Envelope] = field(default_factory=list)
    lines: list[list[str]] = field(default_factory=list)

    def half(self, part: slice) -> "_Fresh":
        """Return some of them."""
        return _Fresh(self.entries[part], self.messages[part], self.lines[part])


class Consumer:
    """The four steps, and what is counted on the way."""

    def __init__(
        self,
        source: Source,
        target: Target,
        window: Window,
        save: Callable[[Window, set[Key]], None],
        sites: Callable[[], set[str]],
        *,
        settle_s: float = SETTLE_S,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        say: Callable[[str], None] = print,
    ) -> None:
        """Take the parts.

        Args:
            source: The stream.
            target: The database.
            window: What was settled before.
            save: Keeps what has changed of it; raises OSError where it cannot.
            sites: Returns the names of the sites that may publish.
            settle_s: How long a database has to live on for what it has accepted to be on its disk.
            clock: Monotonic seconds.
            now: Wall time, for the age of what is written.
            say: Takes a line of the log.
        """
        self.statistics = Statistics()
        self._source, self._target = source, target
        self._window, self._save, self._sites_now = window, save, sites
        self._settle_s, self._clock, self._now, self._say = settle_s, clock, now, say
        self._sites: set[str] = set()
        self._series = Series()
        self._unsettled: deque[Batch] = deque()
        self._stream_away = False
        self.look()

    async def run(self, ended: asyncio.Event) -> None:
        """Go on until it is to end; what is not settled then comes again at the next start."""
        while not ended.is_set():
            await self.step()
        await self._source.give_back([entry for batch in self._unsettled for entry in batch.entries])

    async def step(self) -> None:
        """Take what there is, write it, settle what is due."""
        try:
            entries = await self._source.fetch()
        except ConnectionError as error:
            self._stream_failed(str(error))
            entries = []
        else:
            self._stream_failed("")
        fresh, done = self._sifted(entries)
        try:
            await self._write(fresh)
            due = await self._due(proved=any(fresh.lines))
        except AwayError as error:
            await self._give_back(fresh.entries)
            await self._source.acknowledge(done)
            await self._until_back(error)
            return
        await self._source.acknowledge(done)
        await self._settle(due)

    def look(self) -> None:
        """See which sites there are now."""
        try:
            present = self._sites_now()
        except (OSError, ValueError) as error:
            self._say(f"sites: {error}; the {len(self._sites)} of before count on")
            return
        for site in self._sites - present:
            self._series.forget(site)
            self._window.forget_site(site)
        self._sites = present

    def page(self) -> str:
        """Return `/metrics`."""
        self.statistics.missing = self._window.missing
        self.statistics.last_seen_s = {site: self._window.heard_s.get(site, 0.0) for site in self._sites}
        return self.statistics.page()

    def _sifted(self, entries: Sequence[Entry]) -> tuple[_Fresh, list[Entry]]:
        """Return what is new, and what may be acknowledged at once."""
        fresh, done = _Fresh(), []
        counts = self.statistics
        counts.received += len(entries)
        counts.lag = entries[-1].waiting if entries else counts.lag
        for entry in entries:
            try:
                message = opened(entry.subject, entry.payload, entry.arrived_ms, self._sites)
            except RejectedError as rejected:
                counts.dropped[rejected.reason, rejected.site] += 1
                done.append(entry)
                continue
            heard_s = self._window.heard_s
            heard_s[message.site] = max(entry.arrived_ms / 1000.0, heard_s.get(message.site, 0.0))
            seen = self._window.take((message.site, message.boot), message.seq, entry.number)
            if seen == Seen.NEW:
                fresh.entries.append(entry)
                fresh.messages.append(message)
                fresh.lines.append(self._series.lines_of(message))
            else:
                counts.duplicates += 1
                if seen == Seen.AGAIN:
                    done.append(entry)
        counts.dropped += self._series.left_out
        self._series.left_out.clear()
        return fresh, done

    async def _write(self, fresh: _Fresh) -> None:
        """Have new messages accepted; those that the database refuses are found by halves, and dropped."""
        if not fresh.entries:
            return
        try:
            await self._target.write([line for lines in fresh.lines for line in lines])
        except RefusedError as refused:
            await self._divide(fresh, refused)
            return
        counts, written_s = self.statistics, self._now()
        for message, lines in zip(fresh.messages, fresh.lines, strict=True):
            counts.messages += 1
            counts.samples += len(lines)
            counts.spooled += message.spooled
            if not message.spooled:
                counts.delayed(written_s - message.at_ms / 1000.0)
        marks = [((message.site, message.boot), message.seq) for message in fresh.messages]
        self._unsettled.append(Batch(self._clock(), fresh.entries, marks))
        counts.unsettled += len(fresh.entries)

    async def _divide(self, fresh: _Fresh, refused: RefusedError) -> None:
        middle = len(fresh.entries) // 2
        if middle:
            await self._write(fresh.half(slice(None, middle)))
            await self._write(fresh.half(slice(middle, None)))
            return
        (message,) = fresh.messages
        await self._prove()
        self.statistics.dropped[Reason.REFUSED, message.site] += 1
        self._say(f"database: refuses a message of {message.site}: {refused}")
        self._unsettled.append(Batch(self._clock(), fresh.entries, [((message.site, message.boot), message.seq)]))
        self.statistics.unsettled += 1

    async def _prove(self) -> None:
        """Have a sample accepted that nothing is wrong with, by the process that has taken the others."""
        try:
            await self._target.write([PROBE])
        except RefusedError as everything:
            raise AwayError(f"refuses everything: {everything}") from None

    async def _due(self, *, proved: bool) -> list[Batch]:
        """Return what the database has had for long enough, which it is asked for unless a write has just shown it."""
        due: list[Batch] = []
        while len(due) < len(self._unsettled):
            if self._clock() - self._unsettled[len(due)].written_s < self._settle_s:
                break
            due.append(self._unsettled[len(due)])
        if due and not proved:
            await self._prove()
        for _ in due:
            self._unsettled.popleft()
        return due

    async def _settle(self, due: Sequence[Batch]) -> None:
        """Save and acknowledge."""
        if not due:
            return
        changed = self._window.settle(mark for batch in due for mark in batch.marks)
        try:
            await asyncio.to_thread(self._save, self._window, changed)
            self.statistics.window_saved = True
        except OSError as error:
            if self.statistics.window_saved:
                self._say(f"window: {error}; duplicates are written twice until it can be saved")
            self.statistics.window_saved = False
        entries = [entry for batch in due for entry in batch.entries]
        await self._source.acknowledge(entries)
        self.statistics.unsettled -= len(entries)

    async def _give_back(self, entries: Sequence[Entry]) -> None:
        """Take it that nothing which is not settled is in the database."""
        lost = [entry for batch in self._unsettled for entry in batch.entries]
        self._unsettled.clear()
        self._window.forget_pending()
        self.statistics.unsettled = 0
        self.statistics.given_back += len(lost)
        self.statistics.messages -= len(lost)
        await self._source.give_back([*lost, *entries])

    async def _until_back(self, error: AwayError) -> None:
        self._database_failed(error)
        self._say(f"database: {error}; everything of the last {self._settle_s:.0f} s is written again")
        self.statistics.database_up = False
        await self._target.until_back(self._database_failed)
        self.statistics.database_up = True
        self._say("database: well again")

    def _database_failed(self, _error: AwayError) -> None:
        self.statistics.database_failures += 1

    def _stream_failed(self, error: str) -> None:
        """Count failed fetches; tell the first of a row, and their end."""
        self.statistics.stream_failures += bool(error)
        if bool(error) != self._stream_away:
            self._say(f"stream: {error or 'well again'}")
        self._stream_away = bool(error)


def log(text: str) -> None:
    """Write a line with its time; systemd's journal keeps them."""
    print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + f"Z {text}", file=sys.stderr, flush=True)


async def _every(period_s: float, work: Callable[[], object]) -> None:
    while True:
        await asyncio.sleep(period_s)
        work()


async def _watch_replicas(connection: stream.Nodes, statistics: Statistics) -> None:
    while True:
        with contextlib.suppress(TimeoutError):
            statistics.replicas = await stream.replicas(connection)
        await asyncio.sleep(LOOK_S)


async def _run(options: argparse.Namespace) -> None:
    secret = stream.password_of(options.database_password_file)
    database = Database(options.database, options.database_user, secret)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    with WindowFile(options.state) as file:
        if file.set_aside:
            log(f"window: damaged, begun again; the old one is {file.set_aside}")
        password = stream.password_of(options.password_file)
        servers = options.servers.split(",")
        connection = await stream.connect(servers, options.user if password else "", password, options.authority, log)
        consumer = Consumer(
            Pull(connection, options.batch),
            database,
            file.load(),
            file.save,
            lambda: set(load(options.sites).sites),
            settle_s=options.settle,
            say=log,
        )
        host, _, port = options.metrics.rpartition(":")
        server = await serve(host.strip("[]"), int(port), consumer.page)
        log(f"from {stream.STREAM} to {options.database}; /metrics on {options.metrics}")
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(_every(LOOK_S, consumer.look)),
                group.create_task(_every(REPORT_S, lambda: log(consumer.statistics.line()))),
                group.create_task(_watch_replicas(connection, consumer.statistics)),
            ]
            await _until_ended(consumer, ended)
            for task in beside:
                task.cancel()
        server.close()
        log(consumer.statistics.line())
        await connection.close()
        database.close()


async def _until_ended(consumer: Consumer, ended: asyncio.Event) -> None:
    """Run, and stop waiting for a database that is away when the end is asked for."""
    running = asyncio.create_task(consumer.run(ended))
    asked = asyncio.create_task(ended.wait())
    await asyncio.wait((running, asked), return_when=asyncio.FIRST_COMPLETED)
    with contextlib.suppress(asyncio.CancelledError):
        try:
            await asyncio.wait_for(running, 10.0)
        except TimeoutError:
            log("ended while the database was away")
    asked.cancel()


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    made = argparse.ArgumentParser(
        prog="python -m fleet.consumer",
        description="Take what bridges publish from the stream, once each, and write it to VictoriaMetrics.",
        epilog="Example: python -m fleet.consumer --servers nats://10.0.0.1,nats://10.0.0.2,nats://10.0.0.3 "
        "--password-file fleet.password --sites sites.json --state window.db --database http://127.0.0.1:8428",
    )
    stream.add_servers(made, stream.CONSUMER)
    made.add_argument("--sites", type=Path, default=Path("sites.json"), help="register of sites, read again on change")
    made.add_argument("--state", type=Path, default=Path("window.db"), help="file of the window (window.db)")
    made.add_argument("--database", default="http://127.0.0.1:8428", help="VictoriaMetrics, without anything between")
    made.add_argument("--database-user", default="", help="user there, if it wants one")
    made.add_argument("--database-password-file", type=Path, help="file with its password")
    made.add_argument("--metrics", default="127.0.0.1:9109", help="where /metrics is answered (127.0.0.1:9109)")
    made.add_argument("--batch", type=int, default=stream.BATCH, help=f"messages of one write ({stream.BATCH})")
    made.add_argument("--settle", type=float, default=SETTLE_S, help=f"seconds until it is sure ({SETTLE_S:.0f})")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM; return 1 where it cannot start."""
    options = parser().parse_args(arguments)
    try:
        asyncio.run(_run(options))
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
