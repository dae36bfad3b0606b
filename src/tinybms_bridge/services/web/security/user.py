"""Who makes a request."""

from dataclasses import dataclass
from enum import StrEnum

from tinybms_bridge.services.web.accounts import Role

__all__ = ["User", "Via"]


class Via(StrEnum):
    """How somebody proved who they are."""

    OPEN = "open"
    """Not at all: reading is open."""
    SESSION = "session"
    """Cookie of a browser."""
    TOKEN = "token"  # noqa: S105 - a word, no secret
    """Bearer token of a script."""


@dataclass(frozen=True, slots=True)
class User:
    """The user of one request; ``name`` is empty for somebody without a login."""

    name: str
    role: Role
    via: Via
    address: str = ""
    """Address of the machine that asks."""

    @property
    def is_known(self) -> bool:
        """Whether somebody has logged in: names of users and what they did are for nobody else."""
        return self.via is not Via.OPEN

    def shown(self, name: str) -> str:
        """Return the name of a user as this one may see it."""
        return name if self.is_known else "somebody"

    @property
    def is_admin(self) -> bool:
        """Whether this user may change something."""
        return self.role is Role.ADMIN and self.via is not Via.OPEN
