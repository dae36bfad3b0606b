"""One log line for every change and every login, without secrets."""

import logging

from tinybms_bridge.services.web.security.user import User

__all__ = ["AUDIT", "audit", "audit_login"]

AUDIT = "tinybms_bridge.audit"
"""Logger of who did what; its lines are for who is logged in."""

log = logging.getLogger(AUDIT)
log.setLevel(logging.INFO)  # whatever the level of the log: who stopped the charger is always worth a line

_LONGEST = 120
_SECRET_WORDS = ("password", "token", "secret", "psk", "key")


def audit(user: User, action: str, /, *, failure: str = "", **details: object) -> None:
    """Write who did what from where, or as a warning what was refused or failed.

    Details whose name sounds secret are masked, long ones are cut.
    """
    shown = f": {_clean(failure)}" if failure else ""
    shown += "".join(f", {_clean(name)}={_shown(name, value)}" for name, value in details.items())
    level = logging.WARNING if failure else logging.INFO
    log.log(level, "%s by %s (%s) from %s%s", _clean(action), _clean(user.name), user.via, _clean(user.address), shown)


def audit_login(name: str, address: str, outcome: str) -> None:
    """Write how a login ended; a failed one as a warning. ``name`` is empty for one that no user has.

    What somebody typed there may be a password.
    """
    level = logging.INFO if outcome == "accepted" else logging.WARNING
    log.log(level, "login of %s from %s %s", _clean(name or "an unknown user"), _clean(address), outcome)


def _shown(name: str, value: object) -> str:
    if any(word in name.lower() for word in _SECRET_WORDS):
        return "********"
    return _clean(str(value))


def _clean(text: str) -> str:
    """Return text of a peer so that it stays one short line."""
    shown = "".join(character if character.isprintable() else "?" for character in text[:_LONGEST])
    return f"{shown}..." if len(text) > _LONGEST else shown or "nobody"
