import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.services.web.accounts import Account, AccountError, AccountRegistry, Role, TokenRecord
from tinybms_bridge.services.web.accounts.registry import from_json, to_json

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
BOOK = AccountRegistry((Account("boss", Role.ADMIN, "h1"), Account("guest", Role.VIEWER, "h2")))


def token(token_id: str = "1", user: str = "guest", label: str = "script") -> TokenRecord:
    """Return a token that is valid for a day."""
    return TokenRecord(token_id, user, label, Role.VIEWER, NOW, NOW + DAY)


def refusal(error: pytest.ExceptionInfo[AccountError]) -> str:
    """Return the code of a refusal."""
    return error.value.code


def test_a_user_is_found_whatever_the_capitals() -> None:
    """Telephones write the first letter of a name in capitals."""
    assert BOOK.account("Boss") is BOOK.accounts[0]
    assert BOOK.account("bos") is None


@pytest.mark.parametrize("name", ["", "Boss", ".x", "a b", "a\n", "ä", "x" * 33, "../x", "a/b"])
def test_a_name_is_plain(name: str) -> None:
    """Names appear in paths and log lines."""
    with pytest.raises(AccountError) as error:
        BOOK.with_account(Account(name, Role.VIEWER, ""))

    assert refusal(error) == "bad_name"


def test_a_name_is_given_once() -> None:
    """A second user of the same name would take the first one's place."""
    with pytest.raises(AccountError) as error:
        BOOK.with_account(Account("guest", Role.ADMIN, ""))

    assert refusal(error) == "user_exists"


def test_there_are_not_endless_users() -> None:
    """The file stays small."""
    registry = AccountRegistry(tuple(Account(f"u{number}", Role.VIEWER, "") for number in range(50)))

    with pytest.raises(AccountError) as error:
        registry.with_account(Account("one-more", Role.VIEWER, ""))

    assert refusal(error) == "too_many_users"


def test_the_last_administrator_stays() -> None:
    """Nobody locks himself out, neither by removing nor by changing the role."""
    with pytest.raises(AccountError, match="last administrator") as removed:
        BOOK.without_account("boss")
    with pytest.raises(AccountError) as changed:
        BOOK.with_changes("boss", role=Role.VIEWER)

    assert refusal(removed) == refusal(changed) == "last_admin"
    assert BOOK.with_changes("guest", role=Role.ADMIN).without_account("boss").has_admin


def test_a_removed_user_takes_the_tokens_along() -> None:
    """A token must not outlive its user, not even if the name is given again."""
    registry = BOOK.with_token(token(), NOW).with_token(token("2", "boss"), NOW)

    assert [each.id for each in registry.without_account("guest").tokens] == ["2"]


def test_a_change_leaves_what_is_not_named() -> None:
    """Another password is not another role."""
    assert BOOK.with_changes("guest", password="h3").account("guest") == Account("guest", Role.VIEWER, "h3")
    assert BOOK.with_changes("guest", role=Role.ADMIN).account("guest") == Account("guest", Role.ADMIN, "h2")
    assert BOOK.with_changes("guest").account("boss") is BOOK.accounts[0]


def test_who_does_not_exist_cannot_be_changed() -> None:
    """A mistyped name is told."""
    for change in (BOOK.without_account, BOOK.with_changes, BOOK.expect_account):
        with pytest.raises(AccountError, match='no user "gast"'):
            change("gast")


def test_expired_tokens_make_room() -> None:
    """The list does not fill up with what is over."""
    registry = BOOK.with_token(token(), NOW)

    assert [each.id for each in registry.with_token(token("2"), NOW + 2 * DAY).tokens] == ["2"]


def test_there_are_not_endless_tokens() -> None:
    """A script that makes a token for each call is stopped."""
    registry = BOOK
    for number in range(100):
        registry = registry.with_token(token(str(number)), NOW)

    with pytest.raises(AccountError) as error:
        registry.with_token(token("x"), NOW)

    assert refusal(error) == "too_many_tokens"


@pytest.mark.parametrize("label", ["", "x" * 65, "two\nlines"])
def test_a_label_is_one_short_line(label: str) -> None:
    """Labels appear in log lines."""
    with pytest.raises(AccountError) as error:
        BOOK.with_token(token(label=label), NOW)

    assert refusal(error) == "bad_label"


def test_a_revoked_token_is_gone() -> None:
    """And revoking it twice is told."""
    registry = BOOK.with_token(token(), NOW).without_token("1")

    assert registry.token("1") is None
    with pytest.raises(AccountError) as error:
        registry.without_token("1")
    assert refusal(error) == "unknown_token"


def test_secrets_are_not_shown() -> None:
    """A registry in a log line must not tell hashes or the signing secret."""
    shown = repr(BOOK)

    assert "h1" not in shown
    assert BOOK.secret.hex() not in shown
    assert repr(BOOK.secret) not in shown


def test_each_new_book_has_its_own_secret() -> None:
    """Tokens of one bridge are nothing to another."""
    assert AccountRegistry().secret != AccountRegistry().secret
    assert len(AccountRegistry().secret) == 32


@given(st.sampled_from(Role), st.sampled_from(Role))
def test_the_lesser_role_wins(one: Role, other: Role) -> None:
    """A token can do no more than its user, and no more than itself."""
    assert one.at_most(other) is other.at_most(one)
    assert (one.at_most(other) is Role.ADMIN) == (one is other is Role.ADMIN)


def test_another_password_ends_the_tokens_of_the_user_alone() -> None:
    """Whoever changes it because somebody knew it does not leave that somebody a token; another role ends none."""
    registry = BOOK.with_token(token(), NOW).with_token(token("2", "boss"), NOW)

    assert [each.id for each in registry.with_changes("Guest", password="h3").tokens] == ["2"]
    assert registry.with_changes("guest", role=Role.ADMIN).tokens == registry.tokens


def test_without_a_setup_token_nothing_opens_the_setup() -> None:
    """Before one is made, the empty text is no key."""
    assert not AccountRegistry().opens_setup("")
    assert not AccountRegistry().opens_setup("-")


def test_the_setup_token_is_taken_as_people_type_it() -> None:
    """Capitals, hyphens and blanks do not matter."""
    registry = AccountRegistry().with_setup_token()
    token = registry.setup_token

    assert registry.opens_setup(token)
    assert registry.opens_setup(f" {token.upper().replace('-', ' ')} ")
    assert not registry.opens_setup(token[:-1])
    assert not registry.opens_setup(token + "0")
    assert not registry.opens_setup("\ud800")


def test_a_setup_token_has_ninety_six_bits_and_stays() -> None:
    """More than anybody can guess through the brake; who looks again sees the same."""
    registry = AccountRegistry().with_setup_token()

    assert len(registry.setup_token.replace("-", "")) == 24
    assert int(registry.setup_token.replace("-", ""), 16) >= 0
    assert registry.with_setup_token() is registry


@pytest.mark.parametrize("way", ["add", "promote"])
def test_the_first_administrator_voids_the_setup_token(way: str) -> None:
    """Whichever way there is one now; a viewer does not."""
    registry = AccountRegistry().with_setup_token()
    token = registry.setup_token
    viewed = registry.with_account(Account("guest", Role.VIEWER, "h"))
    assert viewed.opens_setup(token)

    done = (
        viewed.with_changes("guest", role=Role.ADMIN) if way == "promote" else registry.with_account(BOOK.accounts[0])
    )

    assert (done.setup_token, done.opens_setup(token)) == ("", False)
    with pytest.raises(AccountError) as error:
        done.with_setup_token()
    assert refusal(error) == "setup_done"


def test_a_setup_token_beside_an_administrator_opens_nothing() -> None:
    """A file that somebody edited."""
    assert not AccountRegistry(BOOK.accounts, setup_token="abc-def").opens_setup("abcdef")


@pytest.mark.parametrize(
    ("own", "asked", "given"),
    [
        (Role.ADMIN, None, Role.ADMIN),
        (Role.ADMIN, Role.ADMIN, Role.ADMIN),
        (Role.ADMIN, Role.VIEWER, Role.VIEWER),
        (Role.VIEWER, None, Role.VIEWER),
        (Role.VIEWER, Role.ADMIN, Role.VIEWER),
    ],
)
def test_a_role_is_at_most_another(own: Role, asked: Role | None, given: Role) -> None:
    """A token gets what was asked for and what its user has, whichever is less; unasked, what its user has."""
    assert own.at_most(asked) is given


moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - given an aware one
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
accounts = st.builds(Account, texts, st.sampled_from(Role), texts)
tokens = st.builds(TokenRecord, texts, texts, texts, st.sampled_from(Role), moments, moments)
books = st.builds(
    AccountRegistry,
    st.lists(accounts, max_size=4).map(tuple),
    st.lists(tokens, max_size=4).map(tuple),
    st.binary(min_size=32),
    texts,
)


@given(books)
def test_a_book_survives_its_file(registry: AccountRegistry) -> None:
    """What is written is what is read."""
    assert from_json(to_json(registry)) == registry


def document(**changes: Any) -> bytes:
    """Return a good document with changes."""
    return json.dumps({"version": 1, "secret": "00" * 32, "users": [], "tokens": [], **changes}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        document(version=2),
        document(secret="00"),
        document(secret="zz"),
        document(secret=5),
        document(users={"a": 1}),
        document(users=[{"name": "x", "role": "root", "password": ""}]),
        document(users=[{"name": 5, "role": "admin", "password": ""}]),
        document(tokens=[{}]),
        document(tokens=[5]),
        document(setup_token=5),
    ],
)
def test_another_document_is_refused(data: bytes) -> None:
    """A damaged file must not turn into an empty list of users, which anybody could set up anew."""
    with pytest.raises(ValueError, match=r"\w"):
        from_json(data)


def test_a_time_without_a_zone_is_utc() -> None:
    """A file edited by hand still has an order in time."""
    entry = {
        "id": "1",
        "user": "a",
        "label": "",
        "role": "viewer",
        "created_at": "2026-01-01",
        "expires_at": "2027-01-01",
    }

    assert from_json(document(tokens=[entry])).tokens[0].expires_at == datetime(2027, 1, 1, tzinfo=UTC)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_book_or_refused(data: bytes) -> None:
    """Nothing but ValueError comes out of a damaged file."""
    try:
        registry = from_json(data)
    except ValueError:
        return
    assert isinstance(registry, AccountRegistry)
