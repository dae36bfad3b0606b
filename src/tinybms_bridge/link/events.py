"""What happens in the bridge, as values on the bus."""

from dataclasses import dataclass

from tinybms_bridge.battery.alarms import Alarms
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.bms_events import DatedEvent
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits.model import ChargeState, Limits
from tinybms_bridge.battery.notices import Notices
from tinybms_bridge.battery.plausibility import Verdict
from tinybms_bridge.battery.snapshot import Identity, Snapshot

__all__ = [
    "AlarmsChanged",
    "BmsEventsSeen",
    "ChargeStateChanged",
    "ConfigChanged",
    "Event",
    "FreshnessChanged",
    "GxChanged",
    "IdentityKnown",
    "LimitsDecided",
    "LinkChanged",
    "Noted",
    "NoticesChanged",
    "PartStateChanged",
    "SampleAccepted",
    "SampleRejected",
]


class Event:
    """Base of everything that is published."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SampleAccepted(Event):
    """A plausible sample."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class SampleRejected(Event):
    """A sample that cannot be true and was not used."""

    snapshot: Snapshot
    verdict: Verdict
    count: int
    """Rejected samples since the start."""


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


@dataclass(frozen=True, slots=True)
class LinkChanged(Event):
    """The BMS began or ceased to answer."""

    up: bool
    reason: str


@dataclass(frozen=True, slots=True)
class IdentityKnown(Event):
    """The BMS told who it is."""

    identity: Identity


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


@dataclass(frozen=True, slots=True)
class GxChanged(Event):
    """A GX device appeared on the CAN bus or is no longer heard."""

    state: str
    """``never_seen`` (reported once after the timeout), ``present`` or ``lost``."""
    silent_for_s: float
    """Time since its last frame before the change, or since the start."""


@dataclass(frozen=True, slots=True)
class ConfigChanged(Event):
    """Another configuration is in force."""

    paths: tuple[str, ...]
    """Dotted paths of the keys whose value in force has changed."""
    source: str
    """Who changed it: ``file`` for an edit of the file, ``api``, or another name."""


@dataclass(frozen=True, slots=True)
class PartStateChanged(Event):
    """A supervised part started, failed, or stopped."""

    name: str
    state: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Noted(Event):
    """Something for log and event list that no other event tells: what a person did, what a service could not do."""

    severity: Severity
    code: str
    """Name for programs, for example ``inhibit.charge``."""
    text: str
    """What happened, in plain words; everybody may read it."""
    by: str = ""
    """Which user did it."""
