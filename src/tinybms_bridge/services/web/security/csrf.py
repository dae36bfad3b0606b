"""Protection against pages of other sites that use a browser's login (CSRF, cross-site WebSockets)."""

import hmac
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

__all__ = ["CSRF_HEADER", "SAFE_METHODS", "csrf_token_matches", "is_own_page", "is_own_page_or_listed"]

CSRF_HEADER = "x-csrf-token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_own_page(headers: Mapping[str, str]) -> bool:
    """Tell whether a request comes from our own page, or from no page at all.

    Browsers name the page in ``Origin`` (RFC 6454) and the relation in ``Sec-Fetch-Site`` (Fetch Metadata).
    """
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or _host_of(origin) == headers.get("host", "").lower()


def is_own_page_or_listed(headers: Mapping[str, str], origins: Collection[str]) -> bool:
    """Tell whether a request comes from our own page, from no page, or from a site that may read."""
    return is_own_page(headers) or "*" in origins or headers.get("origin", "") in origins


def csrf_token_matches(headers: Mapping[str, str], token: str) -> bool:
    """Tell whether the request carries the token of its session."""
    given = headers.get(CSRF_HEADER, "").encode("utf-8", "surrogatepass")
    return hmac.compare_digest(given, token.encode())


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None
