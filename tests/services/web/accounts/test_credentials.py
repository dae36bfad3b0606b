import hashlib
import warnings
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.services.web.accounts import Account, AccountError, AccountRegistry, Role
from tinybms_bridge.services.web.accounts.credentials import (
    check_password,
    hash_password,
    judge_password,
    matches,
    new_record,
    read_token,
    waste_time,
    write_token,
)


@pytest.mark.parametrize(
    "password", ["correct horse", "ünïcödé-wörd", "x" * 127 + "yz" + "w" * 127, "🔋🔌⚡ battery 1"]
)
def test_a_password_matches_its_own_hash_only(password: str) -> None:
    """The round trip, also with characters beyond ASCII."""
    stored = hash_password(password)

    assert matches(password, stored)
    assert not matches(password + " ", stored)
    assert password not in stored


def test_two_hashes_of_one_password_differ() -> None:
    """The salt is new each time."""
    assert hash_password("correct horse") != hash_password("correct horse")


def test_an_accent_may_be_written_in_two_ways() -> None:
    """Keyboards send one code point or two for the same letter (NFC and NFD)."""
    assert matches("cafe\u0301 au lait", hash_password("caf\u00e9 au lait"))


def test_the_hash_costs_what_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 7914 with N = 2^14, r = 8, p = 1, also for a user that does not exist."""
    seen: list[dict[str, object]] = []

    def spy(_data: bytes, **options: object) -> bytes:
        seen.append({key: value for key, value in options.items() if key != "salt"})
        return b"x" * 32

    monkeypatch.setattr(hashlib, "scrypt", spy)

    stored = hash_password("correct horse")
    waste_time("correct horse")

    assert seen == [{"n": 16_384, "r": 8, "p": 1, "dklen": 32}] * 2
    assert stored.startswith("scrypt$14$8$1$")


@pytest.mark.parametrize(
    "stored", ["", "scrypt", "plain$14$8$1$eA==$eA==", "scrypt$x$8$1$eA==$eA==", "scrypt$14$8$1$é$é"]
)
def test_a_damaged_hash_matches_nothing(stored: str) -> None:
    """A damaged file lets nobody in and raises nothing."""
    assert matches("correct horse", stored) is False


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short",
        "ninechars",
        "x" * 257,
        "aaaaaaaaaaaa",
        "abababababab",
        "bosslongname",
        "BOSSLONGNAMEbosslongname",
        "lone \ud800 surrogate",
    ],
)
def test_a_weak_password_is_refused(password: str) -> None:
    """Short ones, repeated ones, and the user name."""
    with pytest.raises(AccountError, match="10 to 256 characters") as error:
        check_password(password, "bosslongname")

    assert error.value.code == "weak_password"


@pytest.mark.parametrize("password", ["ten chars!", "correct horse", "a" * 100 + "bc"])
def test_a_fair_password_is_accepted(password: str) -> None:
    """Length counts, not classes of characters."""
    check_password(password, "boss")
    assert matches(password, hash_password(password))


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("", "password.short"),
        ("too short", "password.short"),
        ("aaaabbbbaaaa", "password.simple"),
        ("bosslongname", "password.is_name"),
        ("a long one " * 30, "password.long"),
        ("correct horse", None),
    ],
)
def test_what_is_wrong_with_a_password_is_said(password: str, code: str | None) -> None:
    """By the rule that refuses it, so that a page can tell it while somebody types."""
    told = judge_password(password, "bosslongname")
    assert (told.code if told else None) == code


def test_a_password_that_is_no_unicode_can_be_tried() -> None:
    """JSON can carry a lone surrogate; the login refuses it without an error."""
    assert matches("\ud800", hash_password("correct horse")) is False


NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PEOPLE = AccountRegistry((Account("boss", Role.ADMIN, ""),))


def made(days: int = 1) -> tuple[str, AccountRegistry]:
    """Return a token and the registry that knows it."""
    record = new_record("Boss", " backup ", Role.ADMIN, NOW, days)
    return write_token(record, PEOPLE.secret), PEOPLE.with_token(record, NOW)


def code(text: str, registry: AccountRegistry, now: datetime = NOW) -> str:
    """Return why a token is refused."""
    with pytest.raises(AccountError) as error:
        read_token(text, registry, now)
    return error.value.code


def test_a_token_names_its_record() -> None:
    """The round trip."""
    text, registry = made()

    assert read_token(text, registry, NOW) is registry.tokens[0]
    assert (registry.tokens[0].user, registry.tokens[0].label) == ("boss", "backup")


def test_a_token_expires() -> None:
    """At the second, by the clock that was handed in."""
    text, registry = made()

    assert read_token(text, registry, NOW + timedelta(hours=23, minutes=59)).id == registry.tokens[0].id
    assert code(text, registry, NOW + timedelta(days=1)) == "expired_token"


def test_a_machine_whose_clock_starts_in_the_past_accepts_its_tokens() -> None:
    """A Raspberry Pi has no clock of its own until the network gives the time."""
    text, registry = made()

    assert read_token(text, registry, NOW - timedelta(days=3000)).id == registry.tokens[0].id


def test_a_revoked_token_is_refused() -> None:
    """The signature alone is not enough."""
    text, registry = made()

    assert code(text, registry.without_token(registry.tokens[0].id)) == "invalid_token"


def test_the_secret_of_another_bridge_is_refused() -> None:
    """And so is every token after the file of users was removed."""
    text, registry = made()

    assert code(text, AccountRegistry(registry.accounts, registry.tokens)) == "invalid_token"


def test_a_token_for_another_user_is_refused() -> None:
    """The name inside must be that of the record."""
    _, registry = made()
    claims = {"iss": "tinybms-bridge", "sub": "guest", "jti": registry.tokens[0].id, "exp": 4_000_000_000}

    assert code(jwt.encode(claims, registry.secret, "HS256"), registry) == "invalid_token"


@pytest.mark.parametrize("algorithm", ["none", "HS384", "HS512"])
def test_other_algorithms_are_refused(algorithm: str) -> None:
    """RFC 8725, section 3.1: an unsigned token must not pass."""
    _, registry = made()
    claims = {"iss": "tinybms-bridge", "sub": "boss", "jti": registry.tokens[0].id, "exp": 4_000_000_000}
    with warnings.catch_warnings(action="ignore"):  # the key is short for the longer hashes
        text = jwt.encode(claims, None if algorithm == "none" else registry.secret, algorithm)

    with warnings.catch_warnings(action="ignore"):
        assert code(text, registry) == "invalid_token"


@pytest.mark.parametrize("missing", ["iss", "sub", "jti", "exp"])
def test_every_claim_is_needed(missing: str) -> None:
    """A token that says less than ours is not ours."""
    _, registry = made()
    claims = {"iss": "tinybms-bridge", "sub": "boss", "jti": registry.tokens[0].id, "exp": 4_000_000_000}
    del claims[missing]

    assert code(jwt.encode(claims, registry.secret, "HS256"), registry) == "invalid_token"


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
    text, registry = made()
    place %= len(text)
    changed = text[:place] + chr((ord(text[place]) + change) % 128) + text[place + 1 :]

    try:
        assert read_token(changed, registry, NOW) is registry.tokens[0]
    except AccountError:
        return
    # The last character carries unused bits: another one may decode to the same signature.
    assert place == len(text) - 1 or changed == text


@pytest.mark.parametrize("days", [0, -1, 3651])
def test_a_lifetime_has_bounds(days: int) -> None:
    """No token lives for ever."""
    with pytest.raises(AccountError, match="1 to 3650 days"):
        new_record("boss", "x", Role.VIEWER, NOW, days)
