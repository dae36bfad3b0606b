"""A disk that can fail, and the next start of the program."""

from collections.abc import Callable

import pytest

from tinybms_bridge.core.event_store import EventStore
from tinybms_bridge.hal.storage import MemoryStorage, Storage


class FailingStorage(MemoryStorage):
    """A disk that can be full or unreadable."""

    full = False
    unreadable = False

    def read(self) -> bytes | None:
        """See ``Storage.read``."""
        if self.unreadable:
            raise OSError(5, "Input/output error")
        return super().read()

    def write(self, data: bytes) -> None:
        """See ``Storage.write``."""
        if self.full:
            raise OSError(28, "No space left on device")
        super().write(data)

    def append(self, data: bytes, *, after: int) -> None:
        """See ``Storage.append``."""
        if self.full:
            raise OSError(28, "No space left on device")
        super().append(data, after=after)


@pytest.fixture
def failing() -> FailingStorage:
    """A disk that works until it is told not to."""
    return FailingStorage()


@pytest.fixture(scope="session")
def reopened() -> Callable[[Storage], EventStore]:
    """Return a function that loads a list as the next start of the program does."""

    def load(storage: Storage) -> EventStore:
        store = EventStore(storage)
        store.load()
        return store

    return load
