"""Errors, told apart by what the caller can do.

BridgeError
├── LinkError       the line or the device did not answer properly: retry with backoff
├── DeviceRefused   the BMS answered NACK: do not retry
└── ConfigError     show it to the user and keep the configuration in force
"""

from dataclasses import dataclass

__all__ = ["LINE_HINT", "BridgeError", "ConfigError", "ConfigProblem", "DeviceRefused", "LinkError"]

_CRC_ERROR = 1
_NACK_REASONS = {0: "command error"}


LINE_HINT = "the line is disturbed: check cable and ground, and try again"
"""What a user can do about bytes that arrive damaged."""


class BridgeError(Exception):
    """Base of every error that this program raises on purpose."""


class LinkError(BridgeError):
    """The line or the device at its other end did not do what was asked; retrying may help."""

    def __init__(self, reason: str, *, hint: str = "") -> None:
        super().__init__(reason, hint)
        self.reason = reason
        """What happened, without a full stop."""
        self.hint = hint
        """What the user can do about it; may be empty."""

    def __str__(self) -> str:
        return f"{self.reason} ({self.hint})" if self.hint else self.reason


class DeviceRefused(BridgeError):  # noqa: N818 -- named in the design: the device refused, nothing went wrong
    """The BMS answered a request with NACK (tinybms-protocol.md, 1.1: ``AA 00 CMD ERR``)."""

    def __init__(self, command: int, code: int) -> None:
        super().__init__(command, code)
        self.command = command
        """Code of the refused command."""
        self.code = code
        """Error code of the BMS: 0 command error, 1 CRC error."""

    @property
    def corrupted(self) -> bool:
        """Whether the request only arrived damaged: noise on the line, and no word about the request itself."""
        return self.code == _CRC_ERROR

    def __str__(self) -> str:
        if self.corrupted:
            return f"the BMS received command 0x{self.command:02X} corrupted ({LINE_HINT})"
        reason = _NACK_REASONS.get(self.code, "unknown reason")
        return f"the BMS refused command 0x{self.command:02X}: {reason} (code {self.code})"


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One mistake in a configuration."""

    path: str
    """Dotted path of the key, for example ``cvl_algorithm.float_exit_soc``; empty for the whole file."""
    value: object
    """The value found, or None."""
    message: str
    """What is wrong, with the allowed range or values."""

    def __str__(self) -> str:
        where = self.path or "configuration"
        shown = "" if self.value is None else f" = {self.value!r}"
        return f"{where}{shown}: {self.message}"


class ConfigError(BridgeError):
    """A configuration cannot be used; carries every problem found, not only the first."""

    def __init__(self, problems: list[ConfigProblem], *, source: str = "") -> None:
        super().__init__(problems, source)
        self.problems = problems
        """Every problem, in the order of the file."""
        self.source = source
        """Path or name of the configuration."""

    def __str__(self) -> str:
        head = f"{self.source}: " if self.source else ""
        return head + "; ".join(str(problem) for problem in self.problems)
