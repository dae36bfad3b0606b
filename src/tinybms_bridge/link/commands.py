"""What the core can be asked to do: each command with its arguments and the type of its answer.

``await link.call(SetInhibit(Direction.CHARGE, 3600.0))`` returns an ``Inhibit`` or raises what the core raised. The
core checks every argument, whoever sends it. ``pack`` may be left empty while there is one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar, cast, get_args

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.inhibits import LONGEST_INHIBIT_S, Direction, Inhibit
from tinybms_bridge.errors import ConfigProblem
from tinybms_bridge.hal.devices import FoundDevices
from tinybms_bridge.link.codec import DecodeError, Strict, decoder
from tinybms_bridge.link.event_list import EventRecord
from tinybms_bridge.link.events import ChangeSource
from tinybms_bridge.link.state import LogWritten, ServicesState, TraceLine
from tinybms_bridge.tinybms.found_units import Candidate
from tinybms_bridge.tinybms.registers import RegisterValue
from tinybms_bridge.tinybms.settings.actions import ActionName, ActionResult
from tinybms_bridge.tinybms.settings.backup import Backup
from tinybms_bridge.tinybms.settings.fields import Setting, Words, all_settings
from tinybms_bridge.tinybms.settings.plan import Plan
from tinybms_bridge.tinybms.settings.table import Readout
from tinybms_bridge.tinybms.settings.writer import Report, Result
from tinybms_bridge.words import Message

__all__ = [
    "COMMANDS",
    "ActOnDevice",
    "ApplyBackup",
    "ApplySettings",
    "AskDevice",
    "Command",
    "Configure",
    "Configured",
    "JudgeConfiguration",
    "LinkDialect",
    "ListCandidates",
    "ListDevices",
    "Note",
    "PlanBackup",
    "PlanSettings",
    "ReadEvents",
    "ReadLog",
    "ReadSettings",
    "ReadTrace",
    "ReleaseInhibit",
    "Reload",
    "ReportServices",
    "ResetStatistics",
    "RestartPart",
    "RestartProgram",
    "SetInhibit",
    "answer_of",
    "progress_of",
]

R_co = TypeVar("R_co", covariant=True)

_LONGEST_TEXT = 200
_LONGEST_NAME = 64
_LONGEST_NOTE = 1000
_LONGEST_REQUEST = 300
"""Longer than any request of the protocol."""


def _setting(document: object) -> Setting:
    """Return a setting by the name in its document: both sides have the same catalogue."""
    name = document.get("name") if isinstance(document, Mapping) else None
    found = all_settings().get(name) if isinstance(name, str) else None
    if found is None:
        raise DecodeError("is no setting of the BMS that this program knows")
    return found


class LinkDialect(Strict):
    """How the values of commands and answers are read."""

    serialization_strategy = {**Strict.serialization_strategy, Setting: {"deserialize": _setting}}  # noqa: RUF012


class Command(Generic[R_co]):
    """Base of what the core can be asked to do; ``R_co`` is the type of the answer."""

    __slots__ = ()

    name: ClassVar[str]
    """How it is called on the link."""
    progress: ClassVar[type[object] | None] = None
    """Type of what is told on the way to the answer, if anything is."""
    urgent: ClassVar[bool] = False
    """Whether a client keeps room for it beside others that take long."""


def _check_text(name: str, text: str, longest: int) -> None:
    if len(text) > longest:
        raise DecodeError(f"{name}: must have at most {longest} characters")


@dataclass(frozen=True, slots=True)
class SetInhibit(Command[Inhibit]):
    """Stop charging or discharging, also after a restart; answers what is in force. Raises OSError if not saved."""

    name = "inhibit"
    urgent = True

    direction: Direction
    duration_s: float | None = None
    """None: until it is released."""
    reason: str = ""
    by: str = ""
    """Which user asks; empty for somebody."""

    def __post_init__(self) -> None:
        """Check what a type cannot say."""
        if self.duration_s is not None and not 1.0 <= self.duration_s <= LONGEST_INHIBIT_S:
            raise DecodeError(f"duration_s: must be 1 to {LONGEST_INHIBIT_S:.0f}")
        _check_text("reason", self.reason, _LONGEST_TEXT)
        _check_text("by", self.by, _LONGEST_NAME)


@dataclass(frozen=True, slots=True)
class ReleaseInhibit(Command[bool]):
    """End an inhibit; answers whether there was one. Raises OSError when that could not be saved."""

    name = "release"
    urgent = True

    direction: Direction
    by: str = ""


@dataclass(frozen=True, slots=True)
class Configured:
    """What another configuration changed."""

    changed: tuple[str, ...]
    """Dotted paths of the keys with another value in force."""
    notices: tuple[ConfigProblem, ...] = ()
    """Remarks on it."""


@dataclass(frozen=True, slots=True)
class Configure(Command[Configured]):
    """Put a configuration in force that was checked and saved. Raises ConfigError for one that the core cannot use."""

    name = "configure"

    values: Mapping[str, object]
    """Every key with the value that is to be in force, secrets in clear."""
    digest: str = ""
    """Of the file that holds it, so that the core does not take its own file for one that somebody edited."""
    source: ChangeSource = ChangeSource.API
    """Who changed it."""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Reload(Command[Configured]):
    """Read the configuration file again. Raises ConfigError for one that cannot be used; the old one stays in force."""

    name = "reload"

    by: str = ""


@dataclass(frozen=True, slots=True)
class ReadSettings(Command[Readout]):
    """Read the settings of a BMS, with its own limits and defaults. Raises LinkError or DeviceRefused."""

    name = "device.read"

    pack: str = ""


@dataclass(frozen=True, slots=True)
class PlanSettings(Command[Plan]):
    """Tell what writing these values would do; raises SettingsError with everything that is wrong with them."""

    name = "device.plan"

    wanted: Mapping[str, RegisterValue]
    """Values by name of setting."""
    pack: str = ""


@dataclass(frozen=True, slots=True)
class PlanBackup(Command[Plan]):
    """Tell what restoring a backup would do. Raises SettingsError."""

    name = "device.plan_backup"

    backup: Backup
    force: bool = False
    """Also one of a battery with another number of cells, or to a BMS that does not tell its firmware."""
    pack: str = ""


@dataclass(frozen=True, slots=True)
class ApplySettings(Command[Report]):
    """Write settings, all judged before the first is written, each read back and told as it is done.

    Raises SettingsError, ConfirmationError, StaleSettingsError, LinkError or DeviceRefused; nothing was written then.
    It goes on to its end when the client goes.
    """

    name = "device.apply"
    progress = Result

    wanted: Mapping[str, RegisterValue]
    words: Words = ()
    """Registers 300 to 343 of the plan that a person has seen; empty: whatever the BMS holds."""
    confirm: bool = False
    """Accepts the consequences of the plan."""
    by: str = ""
    pack: str = ""


@dataclass(frozen=True, slots=True)
class ApplyBackup(Command[Report]):
    """Restore a backup; otherwise as ``ApplySettings``."""

    name = "device.apply_backup"
    progress = Result

    backup: Backup
    force: bool = False
    words: Words = ()
    confirm: bool = False
    by: str = ""
    pack: str = ""


@dataclass(frozen=True, slots=True)
class ActOnDevice(Command[ActionResult]):
    """Let a BMS do something once, for example take another state of charge: without a value, the bridge's count.

    Raises SettingsError, ConfirmationError, LinkError or DeviceRefused; nothing was sent then.
    """

    name = "device.action"

    action: ActionName
    value: RegisterValue = None
    confirm: bool = False
    by: str = ""
    pack: str = ""


@dataclass(frozen=True, slots=True)
class AskDevice(Command[bytes]):
    """Send one request that only reads, as bytes of the protocol; answers the reply of the BMS, as bytes.

    Raises ValueError for anything but a request that reads, LinkError or DeviceRefused.
    """

    name = "device.ask"

    request: bytes
    pack: str = ""

    def __post_init__(self) -> None:
        """Check what a type cannot say."""
        if not 0 < len(self.request) <= _LONGEST_REQUEST:
            raise DecodeError(f"request: must have 1 to {_LONGEST_REQUEST} bytes")


@dataclass(frozen=True, slots=True)
class JudgeConfiguration(Command[None]):
    """Raise ConfigError for values that do not fit this battery; changes nothing."""

    name = "judge"

    values: Mapping[str, object]
    """Every key with its value."""


@dataclass(frozen=True, slots=True)
class ReadEvents(Command[tuple[EventRecord, ...]]):
    """Answer the entries of the event list whose number is above ``after``, oldest first."""

    name = "events"

    after: int = 0


@dataclass(frozen=True, slots=True)
class ReadLog(Command[tuple[LogWritten, ...]]):
    """Answer the lines that this run has logged, with numbers above ``after``, oldest first; some hundreds are kept."""

    name = "log"

    after: int = 0


@dataclass(frozen=True, slots=True)
class ReadTrace(Command[tuple[TraceLine, ...]]):
    """Answer the last traffic with a BMS, oldest first."""

    name = "trace"

    pack: str = ""


@dataclass(frozen=True, slots=True)
class ListDevices(Command[FoundDevices]):
    """Answer which serial ports and CAN interfaces the machine has; none of them is opened."""

    name = "devices"


@dataclass(frozen=True, slots=True)
class ListCandidates(Command[tuple[Candidate, ...]]):
    """Answer which serial ports there are, and what answers at each, after asking there; takes up to some 3 s.

    Those that the core has for its packs are told and not touched, those that another program holds are not opened.
    """

    name = "candidates"


@dataclass(frozen=True, slots=True)
class Note(Command[None]):
    """Write into the event list what happened beside the core."""

    name = "note"

    severity: Severity
    message: Message
    by: str = ""
    """Which user did it."""
    pack: str = ""
    """Name of the pack, of several, that it is about."""

    def __post_init__(self) -> None:
        """Check what a type cannot say."""
        _check_text("code", self.message.code, _LONGEST_NAME)
        _check_text("text", self.message.text, _LONGEST_NOTE)
        _check_text("by", self.by, _LONGEST_NAME)
        _check_text("pack", self.pack, _LONGEST_NAME)


@dataclass(frozen=True, slots=True)
class ReportServices(Command[None]):
    """Tell how the services are, for who looks at the core only."""

    name = "services"

    state: ServicesState


@dataclass(frozen=True, slots=True)
class ResetStatistics(Command[None]):
    """Set the counters of lines, snapshots, outputs and link to zero; those of energy stay."""

    name = "statistics.reset"

    by: str = ""


@dataclass(frozen=True, slots=True)
class RestartPart(Command[None]):
    """Start a part of the core again. Raises KeyError for a name that there is not."""

    name = "part.restart"

    part: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class RestartProgram(Command[None]):
    """Start the core again: frames pause for some seconds."""

    name = "restart"

    by: str = ""


_KINDS: tuple[type[Command[Any]], ...] = (
    SetInhibit,
    ReleaseInhibit,
    Configure,
    Reload,
    ReadSettings,
    PlanSettings,
    PlanBackup,
    ApplySettings,
    ApplyBackup,
    ActOnDevice,
    AskDevice,
    JudgeConfiguration,
    ReadEvents,
    ReadLog,
    ReadTrace,
    ListDevices,
    ListCandidates,
    Note,
    ReportServices,
    ResetStatistics,
    RestartPart,
    RestartProgram,
)

COMMANDS: Mapping[str, type[Command[Any]]] = MappingProxyType({kind.name: kind for kind in _KINDS})
"""Every command by name."""


def answer_of(command: Command[R_co] | type[Command[R_co]], document: object) -> R_co:
    """Return the answer to a command from parsed JSON. Raises DecodeError."""
    (base,) = command.__orig_bases__  # type: ignore[union-attr]
    (kind,) = get_args(base)
    return cast("R_co", decoder(kind, LinkDialect)(document))


def progress_of(command: Command[Any], document: object) -> object:
    """Return what was told on the way to an answer from parsed JSON. Raises DecodeError."""
    return document if command.progress is None else decoder(command.progress, LinkDialect)(document)
