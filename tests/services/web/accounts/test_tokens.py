import warnings
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.services.web.accounts import Account, AccountError, Book, Role
from tinybms_bridge.services.web.accounts.tokens import new_record, read_token, write_token

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PEOPLE = Book((Account("boss", Role.ADMIN, ""),))


def made(days: int = 1) -> tuple[str, Book]:
    """Return a token and the book that knows it."""
    record = new_record("Boss", " backup ", Role.ADMIN, NOW, days)
    return write_token(record, PEOPLE.secret), PEOPLE.with_token(record, NOW)


def code(text: str, book: Book, now: datetime = NOW) -> str:
    """Return why a token is refused."""
    with pytest.raises(AccountError) as error:
        read_token(text, book, now)
    return error.value.code


def test_a_token_names_its_record() -> None:
    """The round trip."""
    text, book = made()

    assert read_token(text, book, NOW) is book.tokens[0]
    assert (book.tokens[0].user, book.tokens[0].label) == ("boss", "backup")


def test_a_token_expires() -> None:
    """At the second, by the clock that was handed in."""
    text, book = made()

    assert read_token(text, book, NOW + timedelta(hours=23, minutes=59)).id == book.tokens[0].id
    assert code(text, book, NOW + timedelta(days=1)) == "expired_token"


def test_a_machine_whose_clock_starts_in_the_past_accepts_its_tokens() -> None:
    """A Raspberry Pi has no clock of its own until the network gives the time."""
    text, book = made()

    assert read_token(text, book, NOW - timedelta(days=3000)).id == book.tokens[0].id


def test_a_revoked_token_is_refused() -> None:
    """The signature alone is not enough."""
    text, book = made()

    assert code(text, book.without_token(book.tokens[0].id)) == "invalid_token"


def test_the_secret_of_another_bridge_is_refused() -> None:
    """And so is every token after the file of users was removed."""
    text, book = made()

    assert code(text, Book(book.accounts, book.tokens)) == "invalid_token"


def test_a_token_for_another_user_is_refused() -> None:
    """The name inside must be that of the record."""
    _, book = made()
    claims = {"iss": "tinybms-bridge", "sub": "guest", "jti": book.tokens[0].id, "exp": 4_000_000_000}

    assert code(jwt.encode(claims, book.secret, "HS256"), book) == "invalid_token"


@pytest.mark.parametrize("algorithm", ["none", "HS384", "HS512"])
def test_other_algorithms_are_refused(algorithm: str) -> None:
    """RFC 8725, section 3.1: an unsigned token must not pass."""
    _, book = made()
    claims = {"iss": "tinybms-bridge", "sub": "boss", "jti": book.tokens[0].id, "exp": 4_000_000_000}
    with warnings.catch_warnings(action="ignore"):  # the key is short for the longer hashes
        text = jwt.encode(claims, None if algorithm == "none" else book.secret, algorithm)

    with warnings.catch_warnings(action="ignore"):
        assert code(text, book) == "invalid_token"


@pytest.mark.parametrize("missing", ["iss", "sub", "jti", "exp"])
def test_every_claim_is_needed(missing: str) -> None:
    """A token that says less than ours is not ours."""
    _, book = made()
    claims = {"iss": "tinybms-bridge", "sub": "boss", "jti": book.tokens[0].id, "exp": 4_000_000_000}
    del claims[missing]

    assert code(jwt.encode(claims, book.secret, "HS256"), book) == "invalid_token"


@given(st.text(max_size=60))
def test_any_text_is_refused(text: str) -> None:
    """Nothing but AccountError comes out of a header."""
    assert code(text, PEOPLE) == "invalid_token"


def test_endless_text_is_refused() -> None:
    """Before anything is decoded."""
    assert code("a" * 100_000, PEOPLE) == "invalid_token"


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_changed_token_is_refused(place: int, change: int) -> None:
    """Every character is signed."""
    text, book = made()
    place %= len(text)
    changed = text[:place] + chr((ord(text[place]) + change) % 128) + text[place + 1 :]

    try:
        assert read_token(changed, book, NOW) is book.tokens[0]
    except AccountError:
        return
    # The last character carries unused bits: another one may decode to the same signature.
    assert place == len(text) - 1 or changed == text


@pytest.mark.parametrize("days", [0, -1, 3651])
def test_a_lifetime_has_bounds(days: int) -> None:
    """No token lives for ever."""
    with pytest.raises(AccountError, match="1 to 3650 days"):
        new_record("boss", "x", Role.VIEWER, NOW, days)
