"""A file of limited size, with its predecessors beside it, that can be read again.

It takes the place of ``RotatingFileHandler``, which counts characters where the bound is in bytes, keeps the file open
and so writes on into one that was moved or deleted, waits for a reader where a pipe has its name, writes again what a
full disk has refused, and begins a new file before a line that no file can hold.
"""

import itertools
import logging
import os
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tinybms_bridge.hal.log_output import RaisingHandler
from tinybms_bridge.hal.logs import LEVELS, LogLine
from tinybms_bridge.hal.storage import open_regular

__all__ = ["LOG_FILE", "RotatingFile"]

LOG_FILE = "bridge.log"
"""Name of the newest file in the state directory."""

_SIZE_BYTES = 64 * 1024
_FILES = 8
_INDENT = "  "
_HEAD = re.compile(rf"(\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{6}})Z ({'|'.join(LEVELS)}) (\S+): (.*)")


class RotatingFile(RaisingHandler):
    """Appends lines to a file; a full one becomes ``NAME.1``, that one ``NAME.2``, and so on.

    The file is open only while it is written to, so that it may be moved or deleted at any time.

    Args:
        path: The newest file.
        size_bytes: Size at which a new file begins.
        files: Files to keep, the newest included.

    """

    def __init__(self, path: Path, *, size_bytes: int = _SIZE_BYTES, files: int = _FILES) -> None:
        super().__init__()
        self.path = path
        self._size_bytes = size_bytes
        self._files = files
        self._busy = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Append a line. Blocks; raises OSError."""
        with self._busy:
            self._append(_encoded(record))

    def read(self) -> list[LogLine]:
        """Return the lines of every file, oldest first; what is no line of ours is left out. Blocks; raises OSError."""
        with self._busy:
            texts = [text for path in reversed(self._paths()) for text in self._texts(path)]
        return list(_decoded(texts))

    def delete(self) -> None:
        """Remove every file. Blocks; raises OSError."""
        with self._busy:
            for path in self._paths():
                path.unlink(missing_ok=True)

    def _append(self, data: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        size = self._present_size()
        if size and size + len(data) > self._size_bytes:
            self._rotate()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o640)
        with os.fdopen(descriptor, "ab") as file:
            file.write(data)

    def _present_size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def _rotate(self) -> None:
        if self._files < 2:
            self.path.unlink(missing_ok=True)
            return
        for younger, older in reversed(list(itertools.pairwise(self._paths()))):
            if younger.exists():
                younger.replace(older)

    def _paths(self) -> list[Path]:
        """Return where the files are, the newest first."""
        return [self.path, *(self.path.with_name(f"{self.path.name}.{number}") for number in range(1, self._files))]

    def _texts(self, path: Path) -> list[str]:
        """Return the end of a file as lines, as much of it as we would have written."""
        try:
            with open_regular(path) as file:
                file.seek(max(0, path.stat().st_size - 2 * self._size_bytes))
                return file.read(2 * self._size_bytes).decode(errors="replace").split("\n")
        except FileNotFoundError:
            return []


def _encoded(record: logging.LogRecord) -> bytes:
    at = datetime.fromtimestamp(record.created, UTC)
    text = record.getMessage().replace("\n", f"\n{_INDENT}")
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}Z {record.levelname} {record.name}: {text}\n".encode(errors="replace")


def _decoded(texts: Sequence[str]) -> Iterator[LogLine]:
    """Yield the lines that ``_encoded`` made."""
    line: LogLine | None = None
    for text in texts:
        found = _HEAD.fullmatch(text)
        if found is not None:
            if line is not None:
                yield line
            line = _line(*found.groups())
        elif line is not None and text.startswith(_INDENT):
            line = replace(line, text=f"{line.text}\n{text.removeprefix(_INDENT)}")
    if line is not None:
        yield line


def _line(at: str, level: str, source: str, text: str) -> LogLine | None:
    try:
        return LogLine(datetime.fromisoformat(at).replace(tzinfo=UTC), level, source, text)
    except ValueError:  # the thirtieth of February
        return None
