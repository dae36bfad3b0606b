"""In which language a request is answered where it says nothing by ``?lang=``: pages and what is refused.

The choice in the browser (a cookie that the pages set), or else the first language of the browser that the catalogue
has. A script that names none gets English.
"""

from contextvars import ContextVar
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers
from starlette.types import Scope

from tinybms_bridge.words import ENGLISH, LANGUAGES, Language

__all__ = ["LANGUAGE_COOKIE", "asked_language", "language_of"]

LANGUAGE_COOKIE = "tinybms_language"
_MOST_NAMES = 8

asked_language: ContextVar[Language] = ContextVar("asked_language", default=ENGLISH)
"""Of the request that is being answered."""


def language_of(scope: Scope) -> Language:
    """Return the language of a request."""
    headers = Headers(scope=scope)
    wanted = [_cookie(headers.get("cookie", "")), *headers.get("accept-language", "").split(",")[:_MOST_NAMES]]
    known = (each for name in wanted for each in LANGUAGES if name.strip().lower()[:2] == each)
    return next(known, ENGLISH)


def _cookie(text: str) -> str:
    try:
        found = SimpleCookie(text).get(LANGUAGE_COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value
