import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.services.web.accounts import Account, Book, Role, TokenRecord
from tinybms_bridge.services.web.accounts.document import from_json, to_json

moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - given an aware one
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
accounts = st.builds(Account, texts, st.sampled_from(Role), texts)
tokens = st.builds(TokenRecord, texts, texts, texts, st.sampled_from(Role), moments, moments)
books = st.builds(
    Book,
    st.lists(accounts, max_size=4).map(tuple),
    st.lists(tokens, max_size=4).map(tuple),
    st.binary(min_size=32),
    texts,
)


@given(books)
def test_a_book_survives_its_file(book: Book) -> None:
    """What is written is what is read."""
    assert from_json(to_json(book)) == book


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
        book = from_json(data)
    except ValueError:
        return
    assert isinstance(book, Book)
