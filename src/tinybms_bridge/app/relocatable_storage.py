"""A document whose place may change while the program runs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tinybms_bridge.hal.storage import Storage

__all__ = ["MovableStorage"]


class MovableStorage:
    """A ``Storage`` in front of another that can be exchanged."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._lock = threading.RLock()

    @property
    def name(self) -> str:
        """See ``Storage.name``."""
        return self._storage.name

    def read(self) -> bytes | None:
        """See ``Storage.read``."""
        with self._lock:
            return self._storage.read()

    def read_previous(self) -> bytes | None:
        """See ``Storage.read_previous``."""
        with self._lock:
            return self._storage.read_previous()

    def write(self, data: bytes) -> None:
        """See ``Storage.write``."""
        with self._lock:
            self._storage.write(data)

    def append(self, data: bytes, *, after: int) -> None:
        """See ``Storage.append``."""
        with self._lock:
            self._storage.append(data, after=after)

    def set_aside(self, *, previous: bool = False, keep: bool = False) -> str:
        """See ``Storage.set_aside``."""
        with self._lock:
            return self._storage.set_aside(previous=previous, keep=keep)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """See ``Storage.exclusive``; the document does not move meanwhile."""
        with self._lock, self._storage.exclusive():
            yield

    def move_to(self, storage: Storage) -> None:
        """Take the document to another place and stay there; the old one keeps its copy.

        Raises OSError when it cannot be written there; then everything stays as it was. Blocks.
        """
        with self._lock:
            data = self._storage.read()
            if data is not None:
                storage.write(data)
            self._storage = storage
