"""What can be wrong with a request to change settings; nothing has been written when one of these is raised.

BridgeError
├── SettingsError       the request or the backup cannot be used; carries every problem found
├── ConfirmationError   it cuts power, restarts the BMS or changes what is measured, and nobody confirmed that
└── StaleSettingsError  the BMS no longer holds what the plan was made for
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinybms_bridge.errors import BridgeError, said_of
from tinybms_bridge.words import Message, message

if TYPE_CHECKING:
    from tinybms_bridge.tinybms.settings.rules import Caution

__all__ = ["ConfirmationError", "SettingProblem", "SettingValueError", "SettingsError", "StaleSettingsError", "shown"]

_LONGEST = 60
_PLAIN = re.compile(r"[A-Za-z_][\w .()%=-]{0,58}")


def shown(value: object) -> str:
    """Return a value for a message: numbers and words as they are, anything else quoted and cut short."""
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """One mistake in a request."""

    name: str
    """The setting or key, as it was given; empty for the whole."""
    message: Message
    """What is wrong, with what is allowed."""
    value: object = None
    """What was asked for, or None."""

    @property
    def description(self) -> Message:
        """All of it in one line."""
        head = shown(self.name) if self.name else ""
        if self.value is not None:
            head += f" = {shown(self.value)}"
        return said_of(head, self.message) if head else self.message

    def __str__(self) -> str:
        return self.description.text


class SettingValueError(ValueError):
    """A setting cannot have this value."""

    def __init__(self, what: Message) -> None:
        super().__init__(what)
        self.what = what
        """What is wrong, with what is allowed."""


class SettingsError(BridgeError):
    """A request or a backup cannot be used."""

    def __init__(self, problems: Sequence[SettingProblem]) -> None:
        super().__init__(tuple(problems))
        self.problems = tuple(problems)
        """Every problem found."""

    @property
    def description(self) -> Message:
        """All of them in one line."""
        return message("problems", problems=[problem.description for problem in self.problems])

    def __str__(self) -> str:
        return self.description.text


class ConfirmationError(BridgeError):
    """A change with serious consequences was asked for without confirmation."""

    def __init__(self, consequences: "Sequence[Caution]") -> None:
        super().__init__(tuple(consequences))
        self.consequences = tuple(consequences)
        """What it would do."""

    @property
    def description(self) -> Message:
        """What has to be confirmed."""
        return message("setting.needs_confirmation", consequences=[each.description for each in self.consequences])

    def __str__(self) -> str:
        return self.description.text


class StaleSettingsError(BridgeError):
    """The settings of the BMS changed after the plan was made."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(tuple(names))
        self.names = tuple(names)
        """The settings that changed."""

    @property
    def description(self) -> Message:
        """Which settings changed, and what to do."""
        return message("setting.stale", names=self.names)

    def __str__(self) -> str:
        return self.description.text
