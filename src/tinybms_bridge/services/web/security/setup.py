"""The one-time setup token: proof that whoever makes the first administrator can read the machine's own output."""

import hmac
import secrets

__all__ = ["SetupToken"]

_GROUPS, _GROUP_BYTES = 4, 3


class SetupToken:
    """At most one token, in memory only."""

    def __init__(self) -> None:
        self._digits: bytes | None = None

    def issue(self) -> str:
        """Return a new token, 96 bits in groups of hexadecimal digits; an older one is void."""
        groups = [secrets.token_hex(_GROUP_BYTES) for _ in range(_GROUPS)]
        self._digits = "".join(groups).encode()
        return "-".join(groups)

    def matches(self, text: str) -> bool:
        """Tell whether this is the token; hyphens, blanks and capitals do not matter."""
        digits = text.replace("-", "").replace(" ", "").lower().encode("utf-8", "surrogatepass")
        return self._digits is not None and hmac.compare_digest(digits, self._digits)

    def void(self) -> None:
        """Forget the token."""
        self._digits = None
