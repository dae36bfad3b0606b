"""Errors, told apart by what the caller can do.

BridgeError
├── LinkError       the line or the device did not answer properly: retry with backoff
├── DeviceRefused   the BMS answered NACK: do not retry
└── ConfigError     show it to the user and keep the configuration in force
"""

from dataclasses import dataclass

from tinybms_bridge.words import Message, message

__all__ = [
    "LINE_HINT",
    "BridgeError",
    "ConfigError",
    "ConfigProblem",
    "DeviceRefused",
    "LinkError",
    "described",
    "said",
    "said_of",
]

_CRC_ERROR = 1

LINE_HINT = message("device.line")
"""What a user can do about bytes that arrive damaged."""


class BridgeError(Exception):
    """Base of every error that this program raises on purpose."""

    @property
    def description(self) -> Message:
        """What ``str`` says, by code where there is one."""
        told = self.args[0] if self.args else ""
        return told if isinstance(told, Message) else said(str(self))


class LinkError(BridgeError):
    """The line or the device at its other end did not do what was asked; retrying may help."""

    def __init__(self, reason: Message | str, *, hint: Message | str = "") -> None:
        super().__init__(reason, hint)
        self.what = _message(reason)
        """What happened, without a full stop."""
        self.remedy = _message(hint) if hint else None
        """What the user can do about it; None where there is nothing to say."""

    @property
    def reason(self) -> str:
        """What happened, in English."""
        return self.what.text

    @property
    def hint(self) -> str:
        """What the user can do about it, in English; may be empty."""
        return "" if self.remedy is None else self.remedy.text

    @property
    def description(self) -> Message:
        """Both in one."""
        return message("link_error", reason=self.what, hint=self.remedy)

    def __str__(self) -> str:
        return self.description.text


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

    @property
    def description(self) -> Message:
        """What was refused, and why."""
        command = f"0x{self.command:02X}"
        if self.corrupted:
            return message("device.received_corrupted", command=command, hint=LINE_HINT)
        return message("device.refused", command=command, reason="0" if self.code == 0 else "unknown", code=self.code)

    def __str__(self) -> str:
        return self.description.text


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One mistake in a configuration."""

    path: str
    """Dotted path of the key, for example ``cvl_algorithm.float_exit_soc``; empty for the whole file."""
    value: object
    """The value found, or None."""
    message: Message
    """What is wrong, with the allowed range or values."""

    @property
    def description(self) -> Message:
        """All of it in one line."""
        shown = "" if self.value is None else f" = {self.value!r}"
        return said_of(f"{self.path or 'configuration'}{shown}", self.message)

    def __str__(self) -> str:
        return self.description.text


class ConfigError(BridgeError):
    """A configuration cannot be used; carries every problem found, not only the first."""

    def __init__(self, problems: list[ConfigProblem], *, source: str = "") -> None:
        super().__init__(problems, source)
        self.problems = problems
        """Every problem, in the order of the file."""
        self.source = source
        """Path or name of the configuration."""

    @property
    def description(self) -> Message:
        """All of them in one line."""
        said = message("problems", problems=[problem.description for problem in self.problems])
        return said_of(self.source, said) if self.source else said

    def __str__(self) -> str:
        return self.description.text


def described(error: BaseException) -> Message:
    """Return what an error tells, by code where it is one of ours; others in their own words behind their name.

    A group, which is what a task group makes of any error inside, tells what its first one does.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, BridgeError):
        return error.description
    name, text = type(error).__name__, str(error)
    return said(f"{name}: {text}" if text else name)


def said(text: str) -> Message:
    """Return words that come from elsewhere and have no code."""
    return message("said", text=text)


def said_of(subject: str, told: Message) -> Message:
    """Return what is told of something, such as a key, with its name before it."""
    return message("said_of", subject=subject, said=told)


def _message(told: Message | str) -> Message:
    return told if isinstance(told, Message) else said(told)
