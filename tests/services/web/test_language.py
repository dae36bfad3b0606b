"""The one rule for the language of answers, pages and refusals."""

import pytest

from tinybms_bridge.services.web.language import LANGUAGE_COOKIE, chosen_language, language_of


def request(query: str = "", cookie: str = "", accepted: str = "") -> dict[str, object]:
    """Return a request as the server hands it over."""
    cookies = f"session=1; {LANGUAGE_COOKIE}={cookie}" if cookie else "session=1"
    headers = [(b"cookie", cookies.encode()), (b"accept-language", accepted.encode())]
    return {"type": "http", "query_string": query.encode(), "headers": headers}


@pytest.mark.parametrize(
    ("query", "cookie", "accepted", "chosen", "language"),
    [
        ("", "", "", None, "en"),
        ("lang=fr", "", "", "fr", "fr"),
        ("limit=3&lang=fr", "en", "en", "fr", "fr"),
        ("lang=en", "fr", "fr", "en", "en"),
        ("", "fr", "en", "fr", "fr"),
        ("", "en", "fr", "en", "en"),
        ("", "", "fr-CH, en;q=0.8", None, "fr"),
        ("", "", "de, *;q=0.5, fr", None, "fr"),
        ("", "", "de", None, "en"),
        ("lang=de", "fr", "", "fr", "fr"),
        ("lang=", "de", "*", None, "en"),
    ],
)
def test_the_question_then_the_browser_then_what_it_accepts(
    query: str, cookie: str, accepted: str, chosen: str | None, language: str
) -> None:
    """Whoever chooses is answered so; what a program accepts by itself counts for pages and refusals alone."""
    scope = request(query, cookie, accepted)

    assert (chosen_language(scope), language_of(scope)) == (chosen, language)


def test_cookies_that_cannot_be_read_choose_nothing() -> None:
    """A header of others must not fail a request."""
    scope = {"type": "http", "headers": [(b"cookie", b"a[]=1; \xff=;=")]}

    assert (chosen_language(scope), language_of(scope)) == (None, "en")
