"""Why a command was not carried out, as it crosses the link: the caller gets the error that the core raised.

Each error of the program that a caller can do something about has a kind; anything else is a fault of the core, which
its own log tells in full.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from tinybms_bridge.errors import BridgeError, ConfigError, ConfigProblem, DeviceRefused, LinkError
from tinybms_bridge.hal.system_errors import error_words
from tinybms_bridge.link.codec import DecodeError, printable, to_json
from tinybms_bridge.tinybms.settings.errors import ConfirmationError, SettingProblem, SettingsError, StaleSettingsError
from tinybms_bridge.tinybms.settings.rules import Caution
from tinybms_bridge.words import Message, message

__all__ = ["Failure", "FailureKind", "error_of", "failure_of"]


class FailureKind(StrEnum):
    """What a caller can do about a failure."""

    LINK = "link"
    """Try again later: a line, the BMS or a system call did not do what was asked."""
    BUSY = "busy"
    """Try again in a moment: too many commands at once."""
    REFUSED = "refused"
    """Nothing: the BMS answered NACK."""
    CONFIG = "config"
    """Mend the configuration."""
    SETTINGS = "settings"
    """Mend the wanted settings of the BMS."""
    CONFIRMATION = "confirmation"
    """Ask a person, and say so."""
    STALE = "stale"
    """Look at the settings of the BMS again."""
    INVALID = "invalid"
    """Mend the arguments."""
    UNKNOWN = "unknown"
    """Ask for something that there is."""
    SYSTEM = "system"
    """What the system's error number says."""
    BRIDGE = "bridge"
    """Read the message."""
    INTERNAL = "internal"
    """Read the log of the core: a fault of the program."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a command was not carried out."""

    kind: str
    """One of ``FailureKind``, or of a newer core."""
    message: Message
    hint: Message | None = None
    """What the user can do about it, if anything."""
    source: str = ""
    """Where a configuration came from."""
    problems: tuple[ConfigProblem, ...] = ()
    """Every mistake in what was asked for, or every consequence to confirm."""
    names: tuple[str, ...] = ()
    """Settings that changed."""
    command: int = 0
    """Command that the BMS refused."""
    code: int = 0
    """Error code of the BMS or of the system."""


def failure_of(error: BaseException) -> Failure | None:
    """Return what a caller is told of an error; None for one that nobody raised on purpose."""
    for kind, make in _MAKERS:
        if isinstance(error, kind):
            return make(error)
    return None


def _of_link(error: LinkError) -> Failure:
    return Failure(FailureKind.LINK, error.what, hint=error.remedy)


def _of_refusal(error: DeviceRefused) -> Failure:
    return Failure(FailureKind.REFUSED, error.description, command=error.command, code=error.code)


def _of_config(error: ConfigError) -> Failure:
    problems = tuple(ConfigProblem(each.path, _data(each.value), each.message) for each in error.problems)
    return Failure(FailureKind.CONFIG, error.description, source=error.source, problems=problems)


def _of_settings(error: SettingsError) -> Failure:
    problems = tuple(ConfigProblem(each.name, _data(each.value), each.message) for each in error.problems)
    return Failure(FailureKind.SETTINGS, error.description, problems=problems)


def _of_confirmation(error: ConfirmationError) -> Failure:
    problems = tuple(ConfigProblem(each.name, None, each.message) for each in error.consequences)
    return Failure(FailureKind.CONFIRMATION, error.description, problems=problems)


def _of_key(error: KeyError) -> Failure:
    return Failure(FailureKind.UNKNOWN, message("core.unknown_name", name=error.args[0] if error.args else ""))


def _of_system(error: OSError) -> Failure:
    if isinstance(error, TimeoutError) and error.errno is None:
        return Failure(FailureKind.LINK, message("said", text=error) if str(error) else message("core.slow"))
    return Failure(
        FailureKind.SYSTEM,
        message("core.system", reason=error_words(error)),
        source=_path(error),
        code=error.errno or 0,
    )


def _of_mistake(error: ValueError) -> Failure:
    return Failure(FailureKind.INVALID, message("core.invalid", reason=error))


def _path(error: OSError) -> str:
    return "" if error.filename is None else str(error.filename)


def _data(value: object) -> object:
    """Return a value as it crosses the link, or in words if it cannot."""
    try:
        to_json(value)
    except TypeError:
        return printable(repr(value))
    return value


_MAKERS: tuple[tuple[type[BaseException], Callable[[Any], Failure]], ...] = (
    (LinkError, _of_link),
    (DeviceRefused, _of_refusal),
    (ConfigError, _of_config),
    (SettingsError, _of_settings),
    (ConfirmationError, _of_confirmation),
    (StaleSettingsError, lambda error: Failure(FailureKind.STALE, error.description, names=error.names)),
    (BridgeError, lambda error: Failure(FailureKind.BRIDGE, error.description)),
    (DecodeError, _of_mistake),
    (KeyError, _of_key),
    (ValueError, _of_mistake),
    (OSError, _of_system),
)
"""The first that fits; those that a caller can do most about come first."""


def error_of(failure: Failure) -> Exception:
    """Return the error that a failure tells of; LinkError for a kind that this program does not know."""
    make = _ERRORS.get(failure.kind)
    return LinkError(failure.message, hint=failure.hint or "") if make is None else make(failure)


def _settings_error(failure: Failure) -> Exception:
    return SettingsError([SettingProblem(each.path, each.message, each.value) for each in failure.problems])


def _consequences(failure: Failure) -> list[Caution]:
    return [Caution(each.path, each.message, needs_confirmation=True) for each in failure.problems]


def _system_error(failure: Failure) -> Exception:
    return OSError(failure.code, failure.message.text, *([failure.source] if failure.source else []))


_ERRORS: Mapping[str, Callable[[Failure], Exception]] = MappingProxyType(
    {
        FailureKind.REFUSED: lambda failure: DeviceRefused(failure.command, failure.code),
        FailureKind.CONFIG: lambda failure: ConfigError(list(failure.problems), source=failure.source),
        FailureKind.SETTINGS: _settings_error,
        FailureKind.CONFIRMATION: lambda failure: ConfirmationError(_consequences(failure)),
        FailureKind.STALE: lambda failure: StaleSettingsError(failure.names),
        FailureKind.INVALID: lambda failure: ValueError(failure.message.text),
        FailureKind.UNKNOWN: lambda failure: KeyError(failure.message.parameters.get("name", failure.message.text)),
        FailureKind.SYSTEM: _system_error,
        FailureKind.BRIDGE: lambda failure: BridgeError(failure.message),
        FailureKind.INTERNAL: lambda failure: BridgeError(failure.message),
    }
)
