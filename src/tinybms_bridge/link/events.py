"""What happens in the bridge, as values on the bus."""

from dataclasses import dataclass
from enum import StrEnum

from tinybms_bridge.battery.alarms import Alarms
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.bms_events import DatedEvent
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.inhibits import Direction
from tinybms_bridge.battery.limits.model import ChargeState, Limits
from tinybms_bridge.battery.notices import Notices
from tinybms_bridge.battery.plausibility import PlausibilityVerdict
from tinybms_bridge.battery.snapshot import Identity, Snapshot
from tinybms_bridge.battery.state import MAIN_PACK
from tinybms_bridge.victron.can.gx import GxState
from tinybms_bridge.words import Message, message

__all__ = [
    "AlarmsChanged",
    "BmsEventsSeen",
    "ChangeSource",
    "ChargeStateChanged",
    "ConfigChanged",
    "Event",
    "EventCode",
    "FreshnessChanged",
    "GxChanged",
    "IdentityKnown",
    "LimitsDecided",
    "LinkChanged",
    "Noted",
    "NoticesChanged",
    "PackSnapshotAccepted",
    "PartState",
    "PartStateChanged",
    "SnapshotAccepted",
    "SnapshotRejected",
    "inhibit_noted",
    "release_noted",
]


class EventCode(StrEnum):
    """Codes of what is kept in the event list, beside ``alarm.*``, ``notice.*``, ``battery.*`` and ``bms.*``."""

    LINK_UP = "link.up"
    LINK_DOWN = "link.down"
    FRESH = "freshness.fresh"
    HOLD = "freshness.hold"
    HOLD_FROZEN = "freshness.hold_frozen"
    SILENT = "freshness.silent"
    SILENT_FROZEN = "freshness.silent_frozen"
    GX_PRESENT = "gx.present"
    GX_LOST = "gx.lost"
    GX_NEVER_SEEN = "gx.never_seen"
    IDENTITY = "identity"
    UNIT_CHANGED = "unit.changed"
    UNIT_WITHOUT_SERIAL = "unit.no_serial"
    PART_FAILED = "part.failed"
    READING_ABSURD = "reading.absurd"
    READING_OUTLIER = "reading.outlier"
    SOC_LEAP = "soc.leap"
    SOC_WRITTEN = "soc.written"
    SOC_NOT_WRITTEN = "soc.not_written"
    CHARGE_DEFAULTS = "charge.defaults"
    SECOND_BMS = "second_bms"
    SECOND_BMS_GONE = "second_bms.gone"
    SUSPENDED = "suspended"
    STATE_FILE = "state_file"
    RESTARTED_BY_WATCHDOG = "restart.watchdog"
    RESTARTED_BY_HARDWARE = "restart.hardware_watchdog"
    RESTARTED_AFTER_CRASH = "restart.crash"
    RESTARTED_AFTER_KILL = "restart.killed"
    PATH_HANGS = "path.hangs"
    PATH_GOES_ON = "path.goes_on"
    PACE_SLOWER = "pace.slower"
    PACE_CONFIGURED = "pace.configured"
    WEB_SETTINGS = "web.settings"
    CHARGE_INHIBITED = "inhibit.charge"
    CHARGE_RELEASED = "inhibit.charge.released"
    CHARGE_INHIBIT_ENDED = "inhibit.charge.ended"
    DISCHARGE_INHIBITED = "inhibit.discharge"
    DISCHARGE_RELEASED = "inhibit.discharge.released"
    DISCHARGE_INHIBIT_ENDED = "inhibit.discharge.ended"
    ACKNOWLEDGED = "acknowledged"
    ACTION_DONE = "action.done"
    SETTINGS_WRITTEN = "write.settings"
    SETTINGS_BACKED_UP = "backup.settings"
    PACK_SILENT = "pack.silent"
    PACK_BACK = "pack.back"
    PACK_JOINING = "pack.joining"
    PACK_JOINED = "pack.joined"
    PACK_ODD = "pack.odd"
    PORTS_SWAPPED = "pack.ports_swapped"
    SAME_UNIT = "pack.same_unit"
    OTHER_UNIT = "pack.other_unit"
    SERIAL_DOUBLE = "pack.serial_double"
    OUT_OF_SERVICE = "pack.out_of_service"
    IN_SERVICE = "pack.in_service"


class PartState(StrEnum):
    """Where a supervised part is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"
    STOPPED = "stopped"


class ChangeSource(StrEnum):
    """Who changed the configuration."""

    FILE = "file"
    """An edit of the file."""
    API = "api"


class Event:
    """Base of everything that is published."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SnapshotAccepted(Event):
    """A plausible sample of the battery."""

    snapshot: Snapshot
    pack: str = MAIN_PACK
    """The pack that is the battery; empty where there are several."""


@dataclass(frozen=True, slots=True)
class PackSnapshotAccepted(Event):
    """A plausible sample of one pack, where there are several."""

    snapshot: Snapshot
    pack: str


@dataclass(frozen=True, slots=True)
class SnapshotRejected(Event):
    """A sample that cannot be true and was not used."""

    snapshot: Snapshot
    verdict: PlausibilityVerdict
    count: int
    """Rejected samples since the start."""
    pack: str = ""
    """Name of the pack, of several; empty for the only one."""


@dataclass(frozen=True, slots=True)
class LimitsDecided(Event):
    """The limits in force have changed."""

    limits: Limits | None
    """None: none can be decided any more, and nothing is sent."""


@dataclass(frozen=True, slots=True)
class ChargeStateChanged(Event):
    """The charge state machine moved."""

    old: ChargeState
    new: ChargeState


@dataclass(frozen=True, slots=True)
class FreshnessChanged(Event):
    """Data became fresh, old, or too old to send."""

    old: Freshness
    new: Freshness
    frozen: bool = False
    """Whether samples come, but their readings stand still."""
    pack: str = ""
    """Name of the pack, of several; empty for the only one, and for the battery."""


@dataclass(frozen=True, slots=True)
class LinkChanged(Event):
    """The BMS began or ceased to answer."""

    up: bool
    reason: str
    """Why it does not, in English."""
    message: Message | None = None
    """The same by code, where it is known."""
    pack: str = ""
    """Name of the pack, of several; empty for the only one."""


@dataclass(frozen=True, slots=True)
class IdentityKnown(Event):
    """The BMS told who it is."""

    identity: Identity
    pack: str = ""
    """Name of the pack, of several; empty for the only one."""


@dataclass(frozen=True, slots=True)
class AlarmsChanged(Event):
    """An alarm became active, changed its level, or cleared."""

    old: Alarms
    new: Alarms


@dataclass(frozen=True, slots=True)
class NoticesChanged(Event):
    """A notice of the bridge, one without a field in 0x35A, became active or cleared."""

    old: Notices
    new: Notices


@dataclass(frozen=True, slots=True)
class BmsEventsSeen(Event):
    """The BMS's own log has events that were not known."""

    events: tuple[DatedEvent, ...]
    """Oldest first."""
    pack: str = ""
    """Name of the pack, of several; empty for the only one."""


@dataclass(frozen=True, slots=True)
class GxChanged(Event):
    """A GX device appeared on the CAN bus or is no longer heard."""

    state: GxState
    """``NEVER_SEEN`` is reported once after the timeout."""
    silent_for_s: float
    """Time since its last frame before the change, or since the start."""


@dataclass(frozen=True, slots=True)
class ConfigChanged(Event):
    """Another configuration is in force."""

    paths: tuple[str, ...]
    """Dotted paths of the keys whose value in force has changed."""
    source: ChangeSource


@dataclass(frozen=True, slots=True)
class PartStateChanged(Event):
    """A supervised part started, failed, or stopped."""

    name: str
    state: PartState
    error: str = ""
    """Its last failure, in English."""
    message: Message | None = None
    """The same by code, where it is known."""


@dataclass(frozen=True, slots=True)
class Noted(Event):
    """Something for log and event list that no other event tells: what a person did, what a service could not do."""

    severity: Severity
    message: Message
    """What happened; everybody may read it."""
    by: str = ""
    """Which user did it."""
    pack: str = ""
    """Name of the pack, of several; empty for the only one, and for the battery."""

    @property
    def code(self) -> str:
        """Name for programs, for example ``inhibit.charge``."""
        return self.message.code

    @property
    def text(self) -> str:
        """What happened, in English."""
        return self.message.text


def inhibit_noted(direction: Direction, duration_s: float | None, reason: str, by: str) -> Noted:
    """Return that somebody stops a direction, for ``duration_s`` or until it is released."""
    code = EventCode.CHARGE_INHIBITED if direction is Direction.CHARGE else EventCode.DISCHARGE_INHIBITED
    return Noted(Severity.WARNING, message(code, duration_s=duration_s, reason=reason), by)


def release_noted(direction: Direction, by: str) -> Noted:
    """Return that somebody releases a direction."""
    code = EventCode.CHARGE_RELEASED if direction is Direction.CHARGE else EventCode.DISCHARGE_RELEASED
    return Noted(Severity.INFO, message(code), by)
