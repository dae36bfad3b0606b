import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.services.web.security.csrf import csrf_token_matches, is_own_page, is_own_page_or_listed

HOST = {"host": "bridge.local"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://bridge.local"},
        {"origin": "https://bridge.local"},
        {"origin": "http://BRIDGE.local"},
        {"sec-fetch-site": "same-origin", "origin": "http://bridge.local"},
        {"sec-fetch-site": "none"},
    ],
)
def test_our_own_page_and_programs_pass(headers: dict[str, str]) -> None:
    """A program sends neither header; a proxy may speak HTTPS for us."""
    assert is_own_page(HOST | headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://bridge.local:8080"},
        {"origin": "http://bridge.local.evil.example"},
        {"origin": "http://bridge.local@evil.example"},
        {"origin": "http://[broken"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "http://bridge.local"},
    ],
)
def test_other_pages_do_not_pass(headers: dict[str, str]) -> None:
    """Another port of the same machine is another site too; Fetch Metadata cannot be set by a page."""
    assert not is_own_page(HOST | headers)


def test_a_listed_site_may_read() -> None:
    """By its exact origin, or by a list that says all."""
    headers = HOST | {"origin": "http://friend.example", "sec-fetch-site": "cross-site"}

    assert is_own_page_or_listed(headers, ["http://friend.example"])
    assert is_own_page_or_listed(headers, ["*"])
    assert not is_own_page_or_listed(headers, ["http://friend.example:81"])
    assert not is_own_page_or_listed(HOST | {"sec-fetch-site": "cross-site"}, [])


def test_a_request_without_a_host_has_no_page() -> None:
    """HTTP/1.0 need not name one."""
    assert not is_own_page({"origin": "http://bridge.local"})


@given(st.text(max_size=40))
def test_only_the_token_itself_matches(text: str) -> None:
    """Whatever the header holds, and also when it is missing."""
    assert csrf_token_matches({"x-csrf-token": text}, "the-token") == (text == "the-token")
    assert not csrf_token_matches({}, "the-token")
