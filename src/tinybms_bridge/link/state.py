"""The state tree: all that the core tells of itself, in branches that change each at its own pace.

``battery`` is the state of the battery; beside it are its lines, outputs, parts, inhibits and the configuration. Each
branch is one plain class, filled in by the part that it tells of, and answered by API and command line as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from tinybms_bridge.battery.advice import Advice
from tinybms_bridge.battery.inhibits import Inhibit
from tinybms_bridge.battery.quick import quick
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.config.overrides import Overrides
from tinybms_bridge.errors import ConfigProblem, said
from tinybms_bridge.hal.can_devices import CanDevice
from tinybms_bridge.hal.can_faults import CanFault
from tinybms_bridge.hal.hardware_watchdog import HardwareState
from tinybms_bridge.hal.watchdog import FeedIntervals, PartProgress
from tinybms_bridge.link.event_list import EventRecord
from tinybms_bridge.link.last_reset import LastReset
from tinybms_bridge.tinybms.device_statistics import DeviceStatistics
from tinybms_bridge.victron.can.self_test import LoopbackResult
from tinybms_bridge.words import Message, message

__all__ = [
    "EVENTS",
    "CanState",
    "ConfigurationState",
    "CoreInfo",
    "CoreState",
    "EnergyToday",
    "EventRecorded",
    "FramesSeen",
    "LogWritten",
    "MonitoredFrame",
    "PackDetails",
    "PartStatus",
    "ServiceCondition",
    "ServiceState",
    "ServicesState",
    "TraceLine",
    "UartState",
    "WatchdogState",
    "lines_together",
]


@dataclass(frozen=True, slots=True)
class UartState:
    """How the line to a BMS is, with counters since the start."""

    up: bool = False
    """Whether the BMS answers."""
    reason: str = ""
    """Why not, in English."""
    message: Message | None = None
    """The same by code; null while it answers."""
    device: str = ""
    polls: int = 0
    success: int = 0
    errors: int = 0
    timeouts: int = 0
    crc_errors: int = 0
    retries: int = 0
    refused: int = 0
    garbage_bytes: int = 0
    wakeups: int = 0
    connects: int = 0
    rejected_samples: int = 0
    """Snapshots that were not believed."""
    outliers: int = 0
    """Readings of a cell that did not count, because those before and after it say otherwise."""
    latency_last_ms: float = 0.0
    latency_max_ms: float = 0.0
    latency_avg_ms: float = 0.0
    poll_interval_ms: float = 0.0
    slowed: Message | None = None
    """Why the BMS is read more seldom than configured; null while it is not."""

    def why(self) -> Message | None:
        """Return why not, by code; in words alone where a core of an earlier version tells no code."""
        return _coded(self.message, self.reason)


_SUMS = (
    *("polls", "success", "errors", "timeouts", "crc_errors", "retries", "refused", "garbage_bytes", "wakeups"),
    *("connects", "rejected_samples", "outliers"),
)
_LARGEST = ("latency_last_ms", "latency_max_ms", "latency_avg_ms", "poll_interval_ms")


def lines_together(lines: Mapping[str, UartState]) -> UartState:
    """Return several lines as one: sums of the counters, the longest times; up while each is.

    The reason is that of the first which is not up, with the name of its pack.
    """
    if len(lines) < 2:
        return next(iter(lines.values()), UartState())
    found = lines.values()
    name, down = next(((name, each) for name, each in lines.items() if not each.up), ("", None))
    why = None if down is None else down.why()
    told = None if why is None else message("cause.of_pack", pack=name, cause=why)
    return UartState(
        up=down is None,
        reason="" if told is None else told.text,
        message=told,
        device=", ".join(each.device for each in found if each.device),
        slowed=next((each.slowed for each in found if each.slowed is not None), None),
        **{counter: sum(getattr(each, counter) for each in found) for counter in _SUMS},
        **{time: max(getattr(each, time) for each in found) for time in _LARGEST},
    )


@dataclass(frozen=True, slots=True)
class CanState:
    """How the CAN output is, with counters since the start."""

    up: bool = False
    """Whether the adapter is open."""
    error: str = ""
    """Why not, in English."""
    message: Message | None = None
    """The same by code; null while frames go out."""
    interface: str = ""
    tx_count: int = 0
    tx_errors: int = 0
    rx_count: int = 0
    rx_errors: int = 0
    bus_off_count: int = 0
    outages: int = 0
    bursts: int = 0
    skipped: int = 0
    """Bursts without anything that may be sent."""
    jitter_max_ms: float = 0.0
    gx_state: str = "never_seen"
    """``never_seen``, ``present`` or ``lost``."""
    gx_silent_for_s: float = 0.0
    gx_timeout_s: float = 10.0
    """Silence after which a GX counts as lost."""
    device: CanDevice | None = None
    """The interface of the kernel with state and counters of its driver; None for adapters beside SocketCAN."""
    faults: tuple[CanFault, ...] = ()
    """What is wrong with it, by two readings in a row."""
    loopback: LoopbackResult | None = None
    """The self-test of loopback mode; None in use."""

    @property
    def keepalive_ok(self) -> bool:
        """Whether a GX is heard."""
        return self.gx_state == "present"

    def why(self) -> Message | None:
        """Return why not, by code; in words alone where a core of an earlier version tells no code."""
        return _coded(self.message, self.error)


@dataclass(frozen=True, slots=True)
class WatchdogState:
    """How the watchdog is fed, and why the core was started again."""

    enabled: bool = False
    """Whether a part that hangs counts; otherwise the watchdog is always fed."""
    timeout_s: float = 0.0
    watched: bool = False
    """Whether a service manager restarts a core that does not feed."""
    feed_count: int = 0
    last_feed_ms_ago: int | None = None
    """None before the first."""
    intervals: FeedIntervals = field(default_factory=FeedIntervals)
    parts: tuple[PartProgress, ...] = ()
    """The parts of the path."""
    hardware: HardwareState = field(default_factory=HardwareState)
    last_reset: LastReset = field(default_factory=LastReset)

    @property
    def hanging(self) -> tuple[str, ...]:
        """The parts that hang."""
        return tuple(each.name for each in self.parts if each.hangs)


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One supervised part."""

    name: str
    state: str
    error: str = ""
    """Its last failure, in English; empty before the first."""
    restarts: int = 0
    critical: bool = False
    message: Message | None = None
    """The same by code."""

    def why(self) -> Message | None:
        """Return its last failure by code; in words alone where a core of an earlier version tells no code."""
        return _coded(self.message, self.error)


@quick
@dataclass(frozen=True, slots=True)
class MonitoredFrame:
    """One CAN frame that was sent or received."""

    number: int
    """Grows by one from frame to frame, and over restarts of the bridge."""
    at: datetime
    direction: Literal["tx", "rx"]
    arbitration_id: int
    data: bytes


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One piece of traffic on the line to a BMS."""

    age_s: float
    direction: Literal["tx", "rx", "note"]
    text: str
    """Hex digits, or a remark."""


@dataclass(frozen=True, slots=True)
class PackDetails:
    """What is known of one pack beside what it measures."""

    uart: UartState = field(default_factory=UartState)
    statistics: DeviceStatistics | None = None
    """What the BMS has counted, as last read."""
    advice: tuple[Advice, ...] = ()
    """What an expert would change in the settings of its BMS."""
    conflicts: tuple[ConfigProblem, ...] = ()
    """What in the configuration in force does not fit this pack."""


@dataclass(frozen=True, slots=True)
class ConfigurationState:
    """The configuration in force, and how its file is."""

    values: Mapping[str, Any] = field(default_factory=dict)
    """Every key with the value in force, secrets in clear: who may open the link may read the file."""
    file: str = ""
    """The file; empty for a configuration that no file holds."""
    number: int = 0
    """Grows with each change."""
    usable: bool = True
    """Whether what is in force is what the file says."""
    problems: tuple[ConfigProblem, ...] = ()
    """Why not."""
    overrides: Overrides = field(default_factory=Overrides)
    """What the command line of the core says in place of the file."""


@dataclass(frozen=True, slots=True)
class CoreInfo:
    """The process itself."""

    version: str = ""
    run: str = ""
    """Another one with each start."""
    pid: int = 0
    started_s: float = 0.0
    """Monotonic time, which all processes of a machine share."""
    state_directory: str = ""
    """Empty where nothing is kept."""
    real_time: str = ""
    """Which scheduling the system has granted."""


@dataclass(frozen=True, slots=True)
class EnergyToday:
    """Energy since midnight in the time zone of the machine."""

    charged_kwh: float
    discharged_kwh: float
    recorded_h: float
    """Hours with fresh data."""


class ServiceCondition(StrEnum):
    """How a service stands with whom it serves."""

    OFF = "off"
    STARTING = "starting"
    WORKING = "working"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One service beside web, history and log, such as ``mqtt``; counters since the start."""

    name: str
    condition: ServiceCondition = ServiceCondition.OFF
    since: datetime | None = None
    """Since when it stands so; None before anything happened."""
    where: str = ""
    """Whom it serves, for example the address of a broker, without secrets."""
    message: Message | None = None
    """Why it does not work; None otherwise."""
    last_error: Message | None = None
    """The last reason, also when it works again."""
    last_error_at: datetime | None = None
    counters: Mapping[str, int] = field(default_factory=dict)
    testable: bool = False
    """Whether a person can have it tried."""


@dataclass(frozen=True, slots=True)
class ServicesState:
    """What the services process tells the core of itself, for who looks at the core only."""

    pid: int = 0
    web_address: str = ""
    """Where the pages are; empty while there are none."""
    setup_token: str = ""
    """Makes the first administrator; empty once there is one. For who sits at the machine: never for log or answer."""
    users_command: str = ""
    """How ``tinybms-bridge users`` is called here to work on the same users."""
    today: EnergyToday | None = None
    """Energy since midnight; None without a history."""
    parts: tuple[PartStatus, ...] = ()
    services: tuple[ServiceState, ...] = ()
    """MQTT and the others that somebody may want."""


@quick
@dataclass(frozen=True, slots=True)
class CoreState:
    """The whole tree; a field is a branch."""

    core: CoreInfo = field(default_factory=CoreInfo)
    battery: BatteryState = field(default_factory=BatteryState)
    packs: Mapping[str, PackDetails] = field(default_factory=dict)
    outputs: Mapping[str, CanState] = field(default_factory=dict)
    parts: tuple[PartStatus, ...] = ()
    inhibits: tuple[Inhibit, ...] = ()
    watchdog: WatchdogState = field(default_factory=WatchdogState)
    configuration: ConfigurationState = field(default_factory=ConfigurationState)
    services: ServicesState = field(default_factory=ServicesState)


@dataclass(frozen=True, slots=True)
class EventRecorded:
    """An entry was added to the event list."""

    record: EventRecord


@dataclass(frozen=True, slots=True)
class FramesSeen:
    """CAN frames that were sent and received since the last time, oldest first."""

    frames: tuple[MonitoredFrame, ...]


@dataclass(frozen=True, slots=True)
class LogWritten:
    """The core wrote a line of its log."""

    number: int
    """Grows by one from line to line of one run."""
    at: datetime
    level: str
    source: str
    text: str


def _coded(told: Message | None, text: str) -> Message | None:
    return told or (said(text) if text else None)


EVENTS: Mapping[str, type[object]] = {"recorded": EventRecorded, "frames": FramesSeen, "log": LogWritten}
"""What happens in the core that is no state, by its kind on the link."""
