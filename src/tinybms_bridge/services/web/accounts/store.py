"""Keeps the book in its file; the command line may change it while the bridge runs. Every call blocks."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.storage import Storage
from tinybms_bridge.services.web.accounts.book import Book
from tinybms_bridge.services.web.accounts.document import from_json, to_json

__all__ = ["USERS_FILE", "AccountStore"]

USERS_FILE = "users.json"
"""Name of the file in the state directory."""


class AccountStore:
    """One document of users. Raises BridgeError when it cannot be read or written."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._seen: bytes | None = None
        self._book = Book()
        self._lock = threading.RLock()

    def read(self) -> Book:
        """Return what is stored now; an empty book when there is none yet."""
        with self._lock:
            try:
                data = self._storage.read()
                if data is not None and data != self._seen:
                    self._book, self._seen = from_json(data), data
            except (OSError, ValueError, RecursionError) as error:
                # Never the previous file: a password or token that was taken away would be good again.
                raise BridgeError(f"the users in {self._storage.name} cannot be read: {error}") from error
            if data is None and self._seen is not None:
                self._book, self._seen = Book(), None  # somebody removed the file: start anew, with a new secret
            return self._book

    def update(self, edit: Callable[[Book], Book]) -> Book:
        """Apply a change to what is stored now and return the result. Raises what ``edit`` raises."""
        with self._lock, self._alone():
            new = edit(self.read())
            data = to_json(new)
            try:
                self._storage.write(data)
            except OSError as error:
                raise BridgeError(f"the users cannot be saved in {self._storage.name}: {error}") from error
            self._book, self._seen = new, data
            return new

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes away between reading and writing."""
        with contextlib.ExitStack() as lock:
            try:
                lock.enter_context(self._storage.exclusive())
            except OSError as error:
                raise BridgeError(f"the users cannot be saved in {self._storage.name}: {error}") from error
            yield
