import stat
import threading
from pathlib import Path

import pytest

from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.storage import FileStorage, MemoryStorage
from tinybms_bridge.services.web.accounts import Account, AccountError, AccountStore, Role


def account(name: str) -> Account:
    """Return a user."""
    return Account(name, Role.ADMIN, "hash")


def test_without_a_file_there_is_nobody() -> None:
    """The first start finds nothing, and reading writes nothing."""
    storage = MemoryStorage()

    assert AccountStore(storage).read().accounts == ()
    assert storage.writes == 0


def test_a_change_is_seen_by_another_store() -> None:
    """The command line and the bridge work on one file."""
    storage = MemoryStorage()
    bridge, command = AccountStore(storage), AccountStore(storage)
    bridge.update(lambda book: book.with_account(account("boss")))

    command.update(lambda book: book.with_account(account("other")))

    assert [each.name for each in bridge.read().accounts] == ["boss", "other"]
    assert bridge.read().secret == command.read().secret


def test_the_file_is_parsed_only_when_it_changed() -> None:
    """The bridge looks every two seconds."""
    store = AccountStore(MemoryStorage())
    store.update(lambda book: book.with_account(account("boss")))

    assert store.read() is store.read()


def test_a_refused_change_writes_nothing() -> None:
    """Half a change would be worse than none."""
    storage = MemoryStorage()
    store = AccountStore(storage)

    with pytest.raises(AccountError):
        store.update(lambda book: book.without_account("nobody"))

    assert storage.writes == 0


def test_a_removed_file_means_nobody_and_a_new_secret() -> None:
    """Whoever deletes the file starts anew; old tokens and users are void."""
    storage = MemoryStorage()
    store = AccountStore(storage)
    before = store.update(lambda book: book.with_account(account("boss")))

    storage.data = None

    assert store.read().accounts == ()
    assert store.read().secret != before.secret


def test_a_damaged_file_is_told_and_its_predecessor_not_used() -> None:
    """The previous file may hold a password that was taken away."""
    storage = MemoryStorage()
    store = AccountStore(storage)
    store.update(lambda book: book.with_account(account("boss")))
    storage.write(b"{")

    with pytest.raises(BridgeError, match="users in memory cannot be read"):
        store.read()
    with pytest.raises(BridgeError, match="cannot be read"):
        store.update(lambda book: book)


class _Failing(MemoryStorage):
    def write(self, data: bytes) -> None:
        raise OSError("disk full")


def test_a_full_disk_is_told_and_nothing_changes() -> None:
    """A user who could not be stored must not be able to log in until the next restart only."""
    store = AccountStore(_Failing())

    with pytest.raises(BridgeError, match="cannot be saved in memory: disk full"):
        store.update(lambda book: book.with_account(account("boss")))

    assert store.read().accounts == ()


def test_the_files_are_readable_for_their_owner_only(tmp_path: Path) -> None:
    """Hashes and the signing secret; also in the previous file."""
    store = AccountStore(FileStorage(tmp_path / "state" / "users.json"))
    for name in ("one", "two"):
        store.update(lambda book, name=name: book.with_account(account(name)))  # type: ignore[misc]  # bound at once

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()}

    assert modes == {"users.json": 0o600, "users.json.bak": 0o600, ".users.json.lock": 0o600}


def test_changes_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    """Two processes add users at once; neither overwrites the other."""
    path = tmp_path / "users.json"

    def add(group: str) -> None:
        store = AccountStore(FileStorage(path))
        for number in range(10):
            name = f"{group}{number}"
            store.update(lambda book, name=name: book.with_account(account(name)))  # type: ignore[misc]  # bound at once

    threads = [threading.Thread(target=add, args=(group,)) for group in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(AccountStore(FileStorage(path)).read().accounts) == 20


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """The command line names the file, not a trace."""
    (tmp_path / "file").write_text("")
    store = AccountStore(FileStorage(tmp_path / "file" / "users.json"))

    with pytest.raises(BridgeError, match=r"users\.json"):
        store.update(lambda book: book)
