"""In which language a request is answered: one rule for answers, pages and what is refused.

1. ``?lang=``: who asks for a text says in which language.
2. The choice in the browser: a cookie that the pages set, and that a browser sends with their requests only.
3. Of a page and of what is refused, the first language of ``Accept-Language`` that the catalogue has.
4. English.

The texts of an answer do not go by ``Accept-Language``: browsers and libraries send one that nobody has chosen, and a
script that goes by these texts gets the English that it has always got, on whatever machine it runs.
"""

from contextvars import ContextVar
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, QueryParams
from starlette.types import Scope

from tinybms_bridge.words import ENGLISH, LANGUAGES, Language

__all__ = ["LANGUAGE_COOKIE", "LANGUAGE_PARAMETER", "asked_language", "chosen_language", "language_of"]

LANGUAGE_COOKIE = "tinybms_language"
LANGUAGE_PARAMETER = "lang"
_MOST_NAMES = 8

asked_language: ContextVar[Language] = ContextVar("asked_language", default=ENGLISH)
"""Of pages, and of what is refused, for the request that is being answered."""


def chosen_language(scope: Scope) -> Language | None:
    """Return the language that a request has chosen, for the texts of its answer; None: it has chosen none."""
    wanted = QueryParams(scope.get("query_string", b"")).get(LANGUAGE_PARAMETER, "")
    return _first(wanted) or _first(_cookie(Headers(scope=scope).get("cookie", "")))


def language_of(scope: Scope) -> Language:
    """Return the language of a page, and of what is refused."""
    accepted = Headers(scope=scope).get("accept-language", "").split(",")[:_MOST_NAMES]
    return chosen_language(scope) or _first(*accepted) or ENGLISH


def _first(*names: str) -> Language | None:
    """Return the first language that the catalogue has, out of names such as ``fr-CA;q=0.8``."""
    return next((each for name in names for each in LANGUAGES if name.strip().lower()[:2] == each), None)


def _cookie(text: str) -> str:
    try:
        found = SimpleCookie(text).get(LANGUAGE_COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value
