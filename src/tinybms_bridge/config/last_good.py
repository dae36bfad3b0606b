"""The last configuration that could be used, kept in the state directory that it names itself."""

import hashlib
import json
import os
import re
from contextlib import suppress
from pathlib import Path

from tinybms_bridge.config.paths import is_same, state_directory
from tinybms_bridge.hal.storage import MOST_STATE_BYTES, FileStorage, open_regular

__all__ = ["LastGood", "digest_of"]

_NAMED = re.compile(rb'"state_directory"\s*:\s*("(?:[^"\\]|\\.)+")')
"""Finds ``advanced.state_directory`` in a file that may be no JSON at all."""
_COPY, _NOTE = ".json", ".where"
_MOST_WITHOUT_NOTE = 3
"""Copies of versions before this one, of which nobody can tell whose they are."""


def digest_of(data: bytes) -> str:
    """Return what names the content of a configuration file: SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


class LastGood:
    """The copy of one configuration file; that of another file belongs to another battery. Every call blocks.

    The copy holds the passwords of the configuration. So there is one, without a predecessor, none is left behind in
    another directory, and none of a file that is gone. A note in the usual state directory tells where it is: when the
    copy is needed, the file may not be able to tell.
    """

    def __init__(self, file: Path) -> None:
        self._file = Path(os.path.abspath(file))
        self._home = state_directory("")
        self._stem = f"last-good-{hashlib.sha256(os.fsencode(self._file)).hexdigest()[:16]}"

    def read(self) -> bytes | None:
        """Return the copy, or None when there is none that can be read."""
        for folder in self._folders():
            with suppress(OSError):
                data = _document(folder / (self._stem + _COPY)).read()
                if data is not None:
                    return data
        return None

    def write(self, data: bytes) -> None:
        """Keep a good configuration where it says, and nowhere else. Raises OSError when that is not possible."""
        before, folder = self._folders(), _folder_of(data, self._home)
        _replace(folder / (self._stem + _COPY), data)
        for other in before:
            if not is_same(other, folder):
                _remove(other / (self._stem + _COPY))
        note = json.dumps({"file": str(self._file), "folder": str(folder)})
        _replace(self._home / (self._stem + _NOTE), note.encode())
        self._prune()

    def keep(self, digest: str) -> None:
        """Keep the file as it is now, unless it is another one than that with this ``digest_of``. Raises OSError."""
        data = _document(self._file).read()
        if data is not None and digest_of(data) == digest:
            self.write(data)

    def _folders(self) -> list[Path]:
        """Return where the copy may be, the likeliest first."""
        noted = _read_note(self._home / (self._stem + _NOTE))
        with suppress(OSError), open_regular(self._file) as file:
            named = _folder_of(file.read(MOST_STATE_BYTES), self._home)
            return list(dict.fromkeys([*([noted[1]] if noted else []), named, self._home]))
        return list(dict.fromkeys([*([noted[1]] if noted else []), self._home]))

    def _prune(self) -> None:
        """Remove the copies of files that are gone, and old copies beyond a few."""
        for path in self._home.glob(f"last-good-*{_NOTE}"):
            noted = _read_note(path)
            if noted is None or not os.path.lexists(noted[0]):
                for folder in {noted[1] if noted else self._home, self._home}:
                    _remove(folder / (path.stem + _COPY))
                _remove(path)
        unknown = [each for each in self._home.glob(f"last-good-*{_COPY}") if not each.with_suffix(_NOTE).exists()]
        for path in sorted(unknown, key=_age, reverse=True)[_MOST_WITHOUT_NOTE:]:
            _remove(path)
        for path in self._home.glob(f"last-good-*{_COPY}.bak"):
            _remove(path)


def _folder_of(data: bytes, home: Path) -> Path:
    """Return the state directory that a configuration names, or the usual one."""
    found = _NAMED.search(data)
    with suppress(ValueError):
        return Path(json.loads(found[1])) if found else home
    return home


def _read_note(path: Path) -> tuple[Path, Path] | None:
    """Return the configuration and the folder of its copy, or None for a note that cannot be used."""
    try:
        note = json.loads(_document(path).read() or b"")
        return Path(note["file"]), Path(note["folder"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _document(path: Path) -> FileStorage:
    return FileStorage(path, most_bytes=MOST_STATE_BYTES)


def _replace(path: Path, data: bytes) -> None:
    """Write a file without a predecessor beside it, unless it is there already."""
    file = _document(path)
    with suppress(OSError):
        if file.read() == data:
            return
    file.write(data)
    file.backup_path.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    for each in (path, path.with_name(f"{path.name}.bak")):
        with suppress(OSError):
            each.unlink()


def _age(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0
