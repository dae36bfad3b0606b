import hashlib

import pytest

from tinybms_bridge.services.web.accounts import AccountError
from tinybms_bridge.services.web.accounts.passwords import check_password, hash_password, matches, waste_time


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


def test_a_password_that_is_no_unicode_can_be_tried() -> None:
    """JSON can carry a lone surrogate; the login refuses it without an error."""
    assert matches("\ud800", hash_password("correct horse")) is False
