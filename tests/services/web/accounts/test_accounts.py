import asyncio
from collections.abc import AsyncIterator

import pytest

from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.services.web.accounts import AccountError, Accounts, AccountStore, Role


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
    assert accounts.book.account("ann") is None


async def test_two_first_administrators_at_once_make_one() -> None:
    """The check is made where the file is written, not before."""
    accounts = Accounts(MemoryStorage())
    await accounts.offer_setup()
    token = accounts.book.setup_token

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

    assert first.book.setup_token == second.book.setup_token != ""
    await first.set_up("ann", "a fair password", first.book.setup_token)
    await second.refresh()
    await second.offer_setup()
    assert second.book.setup_token == ""
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
    assert accounts.book.accounts == ()


async def test_a_weak_password_changes_nothing(accounts: Accounts) -> None:
    """Neither for a new user nor for a known one."""
    before = accounts.book

    with pytest.raises(AccountError):
        await accounts.add("ann", Role.VIEWER, "short")
    with pytest.raises(AccountError):
        await accounts.change("guest", password="short")

    assert accounts.book is before


async def test_a_changed_password_replaces_the_old_one(accounts: Accounts) -> None:
    """The old one is void at once."""
    await accounts.change("guest", password="another password")

    assert await accounts.verify("guest", "battery staple") is None
    assert await accounts.verify("guest", "another password") is not None


async def test_what_the_command_line_changed_is_taken_up(accounts: Accounts, storage: MemoryStorage) -> None:
    """A user removed outside is gone with the next look."""
    AccountStore(storage).update(lambda book: book.without_account("guest"))

    await accounts.refresh()

    assert accounts.book.account("guest") is None


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
    assert (await accounts.edit(lambda book: book)).has_admin
    await asyncio.gather(*flood, return_exceptions=True)
