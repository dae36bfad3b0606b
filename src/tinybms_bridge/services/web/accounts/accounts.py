"""The users in their file, which the command line may change while the bridge runs, and as the event loop sees them."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.storage import Storage
from tinybms_bridge.services.web.accounts.credentials import check_password, hash_password, matches, waste_time
from tinybms_bridge.services.web.accounts.registry import (
    Account,
    AccountError,
    AccountRegistry,
    Role,
    from_json,
    to_json,
)
from tinybms_bridge.words import message

__all__ = ["USERS_FILE", "AccountStore", "Accounts"]

USERS_FILE = "users.json"
"""Name of the file in the state directory."""


class AccountStore:
    """One document of users. Every call blocks, and raises BridgeError when it cannot be read or written."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._seen: bytes | None = None
        self._registry = AccountRegistry()
        self._lock = threading.RLock()

    def read(self) -> AccountRegistry:
        """Return what is stored now; an empty registry when there is none yet."""
        with self._lock:
            try:
                data = self._storage.read()
                if data is not None and data != self._seen:
                    self._registry, self._seen = from_json(data), data
            except (OSError, ValueError, RecursionError) as error:
                # Never the previous file: a password or token that was taken away would be good again.
                raise BridgeError(f"the users in {self._storage.name} cannot be read: {error}") from error
            if data is None and self._seen is not None:
                self._registry, self._seen = (
                    AccountRegistry(),
                    None,
                )  # somebody removed the file: start anew, with a new secret
            return self._registry

    def update(self, edit: Callable[[AccountRegistry], AccountRegistry]) -> AccountRegistry:
        """Apply a change to what is stored now and return the result. Raises what ``edit`` raises."""
        with self._lock, self._alone():
            new = edit(self.read())
            data = to_json(new)
            try:
                self._storage.write(data)
            except OSError as error:
                raise BridgeError(f"the users cannot be saved in {self._storage.name}: {error}") from error
            self._registry, self._seen = new, data
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


T = TypeVar("T")

_MOST_WAITING = 16
"""Calls that may wait for the thread, half a second of password checks; more are turned away."""
_MOST_STRANGERS = 12
"""Password checks of strangers among them, so that places are left for everybody else."""


class Accounts:
    """Users for the web server: the last registry at hand, everything slow in one thread of its own.

    Calls raise BridgeError when the file cannot be used.
    """

    def __init__(self, storage: Storage) -> None:
        self.registry = AccountRegistry()
        """What was stored when last looked at."""
        self._store = AccountStore(storage)
        self._thread = ThreadPoolExecutor(1, "web-accounts")
        self._waiting = 0

    async def refresh(self) -> None:
        """Look at the file again: the command line may have changed it."""
        self.registry = await self._call(self._store.read)

    async def verify(self, name: str, password: str, *, known: bool = False) -> Account | None:
        """Return the user with that name and password, or None; both answers take the same time.

        ``known`` is who has logged in before: those are turned away last.
        """
        return await self._call(partial(self._verify, name, password), _MOST_WAITING if known else _MOST_STRANGERS)

    async def add(self, name: str, role: Role, password: str) -> Account:
        """Add a user. Raises AccountError."""
        return await self._call(partial(self._add, name.lower(), role, password, _expect_nothing))

    async def set_up(self, name: str, password: str, setup_token: str) -> Account:
        """Add the first administrator. Raises AccountError, also when the token is not the present one."""

        def expect_setup(registry: AccountRegistry) -> None:
            if registry.has_admin:
                raise AccountError("setup_done", message("account.log_in"))
            if not registry.opens_setup(setup_token):
                raise AccountError("wrong_setup_token", message("account.wrong_setup_token"))

        return await self._call(partial(self._add, name.lower(), Role.ADMIN, password, expect_setup))

    async def offer_setup(self) -> None:
        """Have a setup token while there is no administrator."""
        if not (self.registry.has_admin or self.registry.setup_token):
            await self._call(self._offer_setup)

    async def change(self, name: str, *, password: str | None = None, role: Role | None = None) -> Account:
        """Change a user. Raises AccountError."""
        return await self._call(partial(self._change, name, password, role))

    async def edit(self, edit: Callable[[AccountRegistry], AccountRegistry]) -> AccountRegistry:
        """Apply a change of the registry. Raises AccountError."""
        return await self._call(partial(self._edit, edit))

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _call(self, work: Callable[[], T], most: int = _MOST_WAITING) -> T:
        if self._waiting >= most:
            raise AccountError("busy", message("account.busy"))
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting -= 1

    def _verify(self, name: str, password: str) -> Account | None:
        self.registry = self._store.read()
        account = self.registry.account(name)
        if account is None:
            waste_time(password)
            return None
        return account if matches(password, account.password) else None

    def _offer_setup(self) -> None:
        with contextlib.suppress(AccountError):  # the command line was faster
            self._edit(AccountRegistry.with_setup_token)

    def _add(self, name: str, role: Role, password: str, expect: Callable[[AccountRegistry], None]) -> Account:
        expect(self._store.read())  # before the hash, which takes long
        check_password(password, name)
        account = Account(name, role, hash_password(password))

        def edit(registry: AccountRegistry) -> AccountRegistry:
            expect(registry)
            return registry.with_account(account)

        self._edit(edit)
        return account

    def _change(self, name: str, password: str | None, role: Role | None) -> Account:
        if password is not None:
            check_password(password, name)
        hashed = None if password is None else hash_password(password)
        return self._edit(lambda registry: registry.with_changes(name, password=hashed, role=role)).expect_account(name)

    def _edit(self, edit: Callable[[AccountRegistry], AccountRegistry]) -> AccountRegistry:
        self.registry = self._store.update(edit)
        return self.registry


def _expect_nothing(_: AccountRegistry) -> None:
    """Accept any registry."""
