"""What is published while no broker is there, kept for later: in memory for seconds, then on the disk.

The folder has segments with growing numbers, each a line for each message: topic, tab, payload. A segment is read as a
whole and removed once a broker has all of it, so that a crash sends some of it twice and loses nothing but the lines
that were still in memory.
"""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tinybms_bridge.hal.blocking import RunBlocking
from tinybms_bridge.hal.system_errors import error_words
from tinybms_bridge.words import Message, message

__all__ = ["Batch", "KeptMessage", "Spool"]

log = logging.getLogger(__name__)

_SEGMENTS = 16
"""Of this many the oldest is dropped when there is no more room: a sixteenth is lost at once."""
_LEAST_SEGMENT_BYTES = 16_384
_MOST_IN_MEMORY_BYTES = 1_000_000
"""What a disk that is full or read-only leaves room for: about ten minutes of one pack."""
_NAME = re.compile(r"(\d{12})\.messages")


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A message for later."""

    topic: str
    payload: bytes

    @property
    def line(self) -> bytes:
        """Its line in a file; a payload is JSON in one line, and a topic has no control characters."""
        return b"%s\t%s\n" % (self.topic.encode(), self.payload)


@dataclass(frozen=True, slots=True)
class Batch:
    """The oldest messages that are kept."""

    messages: tuple[KeptMessage, ...]
    file: Path | None = None
    """Where they are; None for those in memory."""


class Spool:
    """The messages for later, on the event loop; files are read and written by ``run_blocking``.

    Args:
        folder: Where they are kept; None: in memory only.
        most_bytes: How much of the disk they may take; 0: nothing is kept.
        run_blocking: Runs what blocks.

    """

    def __init__(self, folder: Path | None, most_bytes: int, run_blocking: RunBlocking) -> None:
        self.dropped = 0
        """Messages that nobody will get, since the start."""
        self.error: Message | None = None
        """Why nothing can be written; None while all is well."""
        self._folder = folder
        self._most_bytes = most_bytes
        self._run_blocking = run_blocking
        self._memory: deque[KeptMessage] = deque()
        self._memory_bytes = 0
        self._files: dict[int, int] | None = None
        self._counts: dict[int, int] = {}
        self._closed = 0
        self._busy = asyncio.Lock()

    @property
    def waiting(self) -> bool:
        """Whether there is anything that a broker could get now; the disk counts after the first look."""
        return bool(self._memory) or bool(self._files)

    @property
    def kept_bytes(self) -> int:
        """Size of all that is kept."""
        return self._memory_bytes + sum((self._files or {}).values())

    def add(self, kept: KeptMessage) -> None:
        """Keep a message in memory until ``flush``; the oldest in memory goes where there is no more room."""
        if self._most_bytes <= 0:
            self.dropped += 1
            return
        self._memory.append(kept)
        self._memory_bytes += len(kept.line)
        most = min(self._most_bytes, _MOST_IN_MEMORY_BYTES)
        while self._memory_bytes > most and len(self._memory) > 1:
            self._memory_bytes -= len(self._memory.popleft().line)
            self.dropped += 1

    async def open(self) -> None:
        """Look what an earlier run has left."""
        async with self._busy:
            await self._run_blocking(self._look)

    async def flush(self) -> None:
        """Write what is in memory to the disk; where that fails it stays in memory, and ``error`` says why."""
        if not self._memory or self._folder is None:
            return
        async with self._busy:
            messages = list(self._memory)
            data = b"".join(each.line for each in messages)
            try:
                await self._run_blocking(self._append, data, len(messages))
            except OSError as error:
                self._failed(error)
                return
            self._recovered()
            for each in messages:
                if self._memory and self._memory[0] is each:
                    self._memory.popleft()
                    self._memory_bytes -= len(each.line)

    async def take(self) -> Batch | None:
        """Return the oldest messages, which stay kept until ``done``; None where there are none."""
        async with self._busy:
            found: Batch | None = await self._run_blocking(self._read_oldest)
            if found is not None:
                return found
            if not self._memory:
                return None
            taken = tuple(self._memory)
            self._memory.clear()
            self._memory_bytes = 0
            return Batch(taken)

    async def done(self, batch: Batch) -> None:
        """Forget messages that a broker has got."""
        if batch.file is not None:
            async with self._busy:
                await self._run_blocking(self._remove, batch.file)

    def give_back(self, batch: Batch, sent: int = 0) -> None:
        """Keep messages further that could not be sent but for the first ``sent``."""
        if batch.file is None:
            later = list(self._memory)
            self._memory.clear()
            self._memory_bytes = 0
            for each in (*batch.messages[sent:], *later):
                self.add(each)

    # files: in a thread, one call at a time

    def _look(self) -> None:
        self._files = {}
        if self._folder is None:
            return
        try:
            for path in self._folder.iterdir():
                found = _NAME.fullmatch(path.name)
                if found is not None:
                    self._files[int(found[1])] = path.stat().st_size
        except FileNotFoundError:
            return
        except OSError as error:
            self._failed(error)
        self._closed = max(self._files, default=0)  # a line that a crash has cut stays the last of its file

    def _path(self, number: int) -> Path:
        assert self._folder is not None
        return self._folder / f"{number:012d}.messages"

    def _append(self, data: bytes, count: int) -> None:
        assert self._folder is not None
        files = self._known()
        most = max(_LEAST_SEGMENT_BYTES, self._most_bytes // _SEGMENTS)
        number = max(files, default=self._closed)
        if number <= self._closed or files.get(number, 0) + len(data) > most:
            self._closed = number
            number += 1
        while files and sum(files.values()) + len(data) > self._most_bytes:
            self._drop_oldest(number)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        size = files.get(number, 0)
        with self._path(number).open("ab") as file:
            try:
                file.write(data)
                file.flush()
            except OSError:
                file.truncate(size)  # a line that is half written would spoil the next
                raise
        files[number] = size + len(data)
        self._counts[number] = self._counts.get(number, 0) + count

    def _drop_oldest(self, current: int) -> None:
        files = self._known()
        oldest = min(files)
        count = self._counts.pop(oldest, None)
        if count is None:
            count = len(self._lines(self._path(oldest)))
        self._path(oldest).unlink(missing_ok=True)
        del files[oldest]
        self.dropped += count
        if oldest == current:
            self._closed = current - 1

    def _read_oldest(self) -> Batch | None:
        files = self._known()
        while files:
            oldest = min(files)
            path = self._path(oldest)
            self._closed = max(self._closed, oldest)
            try:
                messages = tuple(self._lines(path))
            except OSError as error:
                self._failed(error)
                del files[oldest]  # looked at again with the next start
                continue
            if messages:
                return Batch(messages, path)
            self._remove(path)
        return None

    def _lines(self, path: Path) -> Sequence[KeptMessage]:
        """Return the messages of a file; what a crash or a bad card has spoilt is passed over."""
        found: list[KeptMessage] = []
        for line in path.read_bytes().split(b"\n")[:-1]:
            topic, tab, payload = line.partition(b"\t")
            try:
                name = topic.decode()
            except UnicodeDecodeError:
                continue
            if tab and payload.startswith(b"{") and payload.endswith(b"}") and name.isprintable():
                found.append(KeptMessage(name, payload))
        return found

    def _remove(self, path: Path) -> None:
        number = int(path.name.partition(".")[0])
        self._known().pop(number, None)
        self._counts.pop(number, None)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._failed(error)

    def _known(self) -> dict[int, int]:
        if self._files is None:
            self._look()
        assert self._files is not None
        return self._files

    def _failed(self, error: OSError) -> None:
        if self.error is None:
            log.warning("messages for later cannot be kept on the disk: %s; the newest stay in memory", error)
        self.error = message("mqtt.spool_failed", reason=error_words(error))

    def _recovered(self) -> None:
        if self.error is not None:
            log.info("messages for later are kept on the disk again")
            self.error = None
