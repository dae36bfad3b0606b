from dataclasses import replace

import pytest

from tinybms_bridge.services.web.accounts import Account, AccountRegistry, Role
from tinybms_bridge.services.web.security.sessions import IDLE_S, LONGEST_S, Sessions
from tinybms_lab.testing.fake_clock import FakeClock

BOSS = Account("boss", Role.ADMIN, "hash")
BOOK = AccountRegistry((BOSS,))


@pytest.fixture
def sessions(clock: FakeClock) -> Sessions:
    """No session yet."""
    return Sessions(clock)


def test_a_session_is_found_by_its_key(sessions: Sessions) -> None:
    """And tells its user."""
    key, session = sessions.begin(BOSS)

    assert sessions.find(key, BOOK) == (session, BOSS)


@pytest.mark.parametrize("key", ["", "x", "\ud800", "x" * 10_000])
def test_another_key_finds_nothing(sessions: Sessions, key: str) -> None:
    """Whatever the cookie holds."""
    sessions.begin(BOSS)

    assert sessions.find(key, BOOK) is None


def test_every_session_has_its_own_secrets(sessions: Sessions) -> None:
    """Long enough not to be guessed, and never kept in clear."""
    (key, session), (other_key, other) = sessions.begin(BOSS), sessions.begin(BOSS)

    assert len({key, other_key, session.csrf, other.csrf}) == 4
    assert len(key) >= 43
    assert key not in repr(sessions._sessions)
    assert session.csrf not in repr(session)


def test_an_ended_session_is_gone(sessions: Sessions) -> None:
    """Logging out twice is no error."""
    key, _ = sessions.begin(BOSS)
    sessions.end(key)
    sessions.end(key)

    assert sessions.find(key, BOOK) is None


async def test_a_session_that_is_not_used_ends(sessions: Sessions, clock: FakeClock) -> None:
    """A day without a request."""
    key, _ = sessions.begin(BOSS)
    await clock.advance(IDLE_S)
    assert sessions.find(key, BOOK) is not None
    await clock.advance(IDLE_S + 1)

    assert sessions.find(key, BOOK) is None


async def test_a_session_ends_after_a_week_however_much_it_is_used(sessions: Sessions, clock: FakeClock) -> None:
    """A page that polls must not keep a stolen cookie alive for ever."""
    key, _ = sessions.begin(BOSS)
    used_s = 0.0
    while sessions.find(key, BOOK) is not None:
        await clock.advance(IDLE_S / 2)
        used_s += IDLE_S / 2

    assert LONGEST_S < used_s <= LONGEST_S + IDLE_S


def test_a_changed_password_ends_the_session(sessions: Sessions) -> None:
    """Whoever stole the cookie is out."""
    key, _ = sessions.begin(BOSS)

    assert sessions.find(key, AccountRegistry((replace(BOSS, password="new"),))) is None


def test_a_removed_user_has_no_session(sessions: Sessions) -> None:
    """Not even if the name comes back with the same password."""
    key, _ = sessions.begin(BOSS)

    assert sessions.find(key, AccountRegistry()) is None
    assert sessions.find(key, BOOK) is None


def test_a_changed_role_holds_at_once(sessions: Sessions) -> None:
    """The role is that of now, not of the login."""
    key, _ = sessions.begin(BOSS)
    found = sessions.find(key, AccountRegistry((replace(BOSS, role=Role.VIEWER),)))

    assert found is not None
    assert found[1].role is Role.VIEWER


async def test_the_session_unused_for_longest_gives_way(sessions: Sessions, clock: FakeClock) -> None:
    """Sixty-four at most; the one in use stays."""
    first, _ = sessions.begin(BOSS)
    second, _ = sessions.begin(BOSS)
    for _ in range(63):
        await clock.advance(1)
        sessions.find(first, BOOK)
        sessions.begin(BOSS)

    assert sessions.find(first, BOOK) is not None
    assert sessions.find(second, BOOK) is None
    assert len(sessions._sessions) == 64


async def test_sessions_that_are_over_are_tidied_away(sessions: Sessions, clock: FakeClock) -> None:
    """Browsers that never come back leave nothing."""
    for _ in range(10):
        sessions.begin(BOSS)
    await clock.advance(IDLE_S + 1)
    sessions.begin(BOSS)

    assert len(sessions._sessions) == 1
