"""A file of limited size, with its predecessors beside it."""

import itertools
import os
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

from tinybms_bridge.services.logs.lines import LogLine

__all__ = ["LOG_FILE", "RotatingFile"]

LOG_FILE = "bridge.log"
"""Name of the newest file in the state directory."""

_SIZE_BYTES = 64 * 1024
_FILES = 8


class RotatingFile:
    """Appends lines to a file; a full one becomes ``NAME.1``, that one ``NAME.2``, and so on.

    The file is open only while it is written to, so that it may be moved or deleted at any time.

    Args:
        path: The newest file.
        size_bytes: Size at which a new file begins.
        files: Files to keep, the newest included.

    """

    def __init__(self, path: Path, *, size_bytes: int = _SIZE_BYTES, files: int = _FILES) -> None:
        self.path = path
        self._size_bytes = size_bytes
        self._files = files

    def write(self, lines: Sequence[LogLine]) -> None:
        """See ``Target.write``."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        room = self._size_bytes - self._present_size()
        chunk: list[bytes] = []
        for data in map(_encoded, lines):
            if len(data) > room and room < self._size_bytes:
                self._append(chunk)
                self._rotate()
                chunk, room = [], self._size_bytes
            chunk.append(data)
            room -= len(data)
        self._append(chunk)

    def _present_size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def _append(self, chunk: list[bytes]) -> None:
        if not chunk:
            return
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        with os.fdopen(descriptor, "ab") as file:
            file.write(b"".join(chunk))

    def _rotate(self) -> None:
        if self._files < 2:
            self.path.unlink(missing_ok=True)
            return
        names = [self.path, *(self.path.with_name(f"{self.path.name}.{number}") for number in range(1, self._files))]
        for younger, older in reversed(list(itertools.pairwise(names))):
            if younger.exists():
                younger.replace(older)


def _encoded(line: LogLine) -> bytes:
    text = line.text.replace("\n", "\n  ")
    return f"{line.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z {line.level} {line.source}: {text}\n".encode(
        errors="replace"
    )
