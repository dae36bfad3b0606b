import asyncio
import stat
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.storage import FileStorage, MemoryStorage
from tinybms_bridge.services.web.accounts import Account, AccountError, Accounts, AccountStore, Role


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
    bridge.update(lambda registry: registry.with_account(account("boss")))

    command.update(lambda registry: registry.with_account(account("other")))

    assert [each.name for each in bridge.read().accounts] == ["boss", "other"]
    assert bridge.read().secret == command.read().secret


def test_the_file_is_parsed_only_when_it_changed() -> None:
    """The bridge looks every two seconds."""
    store = AccountStore(MemoryStorage())
    store.update(lambda registry: registry.with_account(account("boss")))

    assert store.read() is store.read()


def test_a_refused_change_writes_nothing() -> None:
    """Half a change would be worse than none."""
    storage = MemoryStorage()
    store = AccountStore(storage)

    with pytest.raises(AccountError):
        store.update(lambda registry: registry.without_account("nobody"))

    assert storage.writes == 0


def test_a_removed_file_means_nobody_and_a_new_secret() -> None:
    """Whoever deletes the file starts anew; old tokens and users are void."""
    storage = MemoryStorage()
    store = AccountStore(storage)
    before = store.update(lambda registry: registry.with_account(account("boss")))

    storage.data = None

    assert store.read().accounts == ()
    assert store.read().secret != before.secret


def test_a_damaged_file_is_told_and_its_predecessor_not_used() -> None:
    """The previous file may hold a password that was taken away."""
    storage = MemoryStorage()
    store = AccountStore(storage)
    store.update(lambda registry: registry.with_account(account("boss")))
    storage.write(b"{")

    with pytest.raises(BridgeError, match="users in memory cannot be read"):
        store.read()
    with pytest.raises(BridgeError, match="cannot be read"):
        store.update(lambda registry: registry)


class _Failing(MemoryStorage):
    def write(self, data: bytes) -> None:
        raise OSError("disk full")


def test_a_full_disk_is_told_and_nothing_changes() -> None:
    """A user who could not be stored must not be able to log in until the next restart only."""
    store = AccountStore(_Failing())

    with pytest.raises(BridgeError, match="cannot be saved in memory: disk full"):
        store.update(lambda registry: registry.with_account(account("boss")))

    assert store.read().accounts == ()


def test_the_files_are_readable_for_their_owner_only(tmp_path: Path) -> None:
    """Hashes and the signing secret; also in the previous file."""
    store = AccountStore(FileStorage(tmp_path / "state" / "users.json"))
    for name in ("one", "two"):
        store.update(lambda registry, name=name: registry.with_account(account(name)))  # type: ignore[misc]  # bound at once

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()}

    assert modes == {"users.json": 0o600, "users.json.bak": 0o600, ".users.json.lock": 0o600}


def test_changes_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    """Two processes add users at once; neither overwrites the other."""
    path = tmp_path / "users.json"

    def add(group: str) -> None:
        store = AccountStore(FileStorage(path))
        for number in range(10):
            name = f"{group}{number}"
            store.update(lambda registry, name=name: registry.with_account(account(name)))  # type: ignore[misc]  # bound at once

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
        store.update(lambda registry: registry)


@pytest.fixture
async def accounts(storage: MemoryStorage) -> AsyncIterator[Accounts]:
    """The users of the shared file, loaded; blockbuster proves that nothing runs on the loop."""
    accounts = Accounts(storage)
    await accounts.refresh()
    yield accounts
    accounts.close()


async def test_the_right_password_names_the_user(accounts: Accounts) -> None:
    """Capitals in the name do not matter, in the password they do."""
    account = await accounts.verify("BOSS", "correct horse")

    assert account is not None
    assert (account.name, account.role) == ("boss", Role.ADMIN)
    assert await accounts.verify("boss", "Correct horse") is None


async def test_an_unknown_user_costs_as_much_as_a_wrong_password(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The delay of the answer must not tell which users exist."""
    wasted: list[str] = []
    monkeypatch.setattr("tinybms_bridge.services.web.accounts.accounts.waste_time", wasted.append)

    assert await accounts.verify("nobody", "correct horse") is None
    assert wasted == ["correct horse"]


async def test_a_new_user_can_log_in_at_once_and_after_a_restart(accounts: Accounts, storage: MemoryStorage) -> None:
    """The user is in memory and in the file."""
    await accounts.add("Ann", Role.VIEWER, "a fair password")

    assert await accounts.verify("ann", "a fair password") is not None
    assert AccountStore(storage).read().account("ann") is not None


async def test_the_first_administrator_is_made_once(accounts: Accounts) -> None:
    """Two browsers with the setup token: the second one is refused even if it was as fast."""
    with pytest.raises(AccountError) as error:
        await accounts.set_up("ann", "a fair password", "")

    assert error.value.code == "setup_done"
    assert accounts.registry.account("ann") is None


async def test_two_first_administrators_at_once_make_one() -> None:
    """The check is made where the file is written, not before."""
    accounts = Accounts(MemoryStorage())
    await accounts.offer_setup()
    token = accounts.registry.setup_token

    outcomes = await asyncio.gather(
        *(accounts.set_up(name, "a fair password", token) for name in ("ann", "bob")),
        return_exceptions=True,
    )
    accounts.close()

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Account", "AccountError"]


async def test_a_setup_token_stays_until_it_is_used() -> None:
    """A restart of the bridge or a second look does not void what somebody has written down."""
    storage = MemoryStorage()
    first, second = Accounts(storage), Accounts(storage)
    for accounts in (first, second):
        await accounts.refresh()
        await accounts.offer_setup()

    assert first.registry.setup_token == second.registry.setup_token != ""
    await first.set_up("ann", "a fair password", first.registry.setup_token)
    await second.refresh()
    await second.offer_setup()
    assert second.registry.setup_token == ""
    first.close()
    second.close()


async def test_a_wrong_setup_token_makes_nobody() -> None:
    """Nor is a password hashed for it."""
    accounts = Accounts(MemoryStorage())
    await accounts.offer_setup()

    with pytest.raises(AccountError, match="setup token is wrong") as error:
        await accounts.set_up("ann", "short", "0" * 24)
    accounts.close()

    assert error.value.code == "wrong_setup_token"
    assert accounts.registry.accounts == ()


async def test_a_weak_password_changes_nothing(accounts: Accounts) -> None:
    """Neither for a new user nor for a known one."""
    before = accounts.registry

    with pytest.raises(AccountError):
        await accounts.add("ann", Role.VIEWER, "short")
    with pytest.raises(AccountError):
        await accounts.change("guest", password="short")

    assert accounts.registry is before


async def test_a_changed_password_replaces_the_old_one(accounts: Accounts) -> None:
    """The old one is void at once."""
    await accounts.change("guest", password="another password")

    assert await accounts.verify("guest", "battery staple") is None
    assert await accounts.verify("guest", "another password") is not None


async def test_what_the_command_line_changed_is_taken_up(accounts: Accounts, storage: MemoryStorage) -> None:
    """A user removed outside is gone with the next look."""
    AccountStore(storage).update(lambda registry: registry.without_account("guest"))

    await accounts.refresh()

    assert accounts.registry.account("guest") is None


async def test_a_flood_of_logins_is_turned_away(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most twelve strangers wait for the one thread; the rest learn it at once, and memory stays bounded."""
    monkeypatch.setattr("tinybms_bridge.services.web.accounts.accounts.matches", lambda *_: False)

    outcomes = await asyncio.gather(*(accounts.verify("boss", "x") for _ in range(100)), return_exceptions=True)

    refused = [outcome for outcome in outcomes if isinstance(outcome, AccountError)]
    assert {error.code for error in refused} == {"busy"}
    assert len(refused) == 88
    assert await accounts.verify("boss", "x") is None


async def test_a_flood_of_strangers_leaves_places(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has logged in before gets in while strangers are turned away; an administrator can go on, too."""
    monkeypatch.setattr("tinybms_bridge.services.web.accounts.accounts.matches", lambda *_: True)
    flood = [asyncio.ensure_future(accounts.verify("boss", "x")) for _ in range(100)]
    await asyncio.sleep(0)

    assert await accounts.verify("boss", "x", known=True) is not None
    assert (await accounts.edit(lambda registry: registry)).has_admin
    await asyncio.gather(*flood, return_exceptions=True)
