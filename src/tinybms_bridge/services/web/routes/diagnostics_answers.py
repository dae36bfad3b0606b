"""The blocks of ``GET /api/diagnostics``."""

from datetime import datetime

from pydantic import Field

from tinybms_bridge.services.web.answers import Answer, Remark
from tinybms_bridge.services.web.routes.history_answers import HistoryStats
from tinybms_bridge.services.web.routes.monitor import FrameAnswer
from tinybms_bridge.services.web.routes.process import Memory, Process

__all__ = [
    "Can",
    "ChangeAnswer",
    "ConfigurationAnswer",
    "Diagnostics",
    "EventBus",
    "LiveStats",
    "Mistake",
    "PartAnswer",
    "TraceAnswer",
    "Uart",
    "Watchdog",
]


class TraceAnswer(Answer):
    """One piece of traffic on the line."""

    age_s: float
    direction: str
    text: str


class Uart(Answer):
    """The line to the BMS; counters since the start."""

    up: bool
    reason: str
    device: str
    polls: int
    success: int
    errors: int
    timeouts: int
    crc_errors: int
    retries: int
    refused: int
    garbage_bytes: int
    wakeups: int
    connects: int
    rejected_samples: int
    outliers: int
    """Readings of a cell that did not count, because those before and after it say otherwise."""
    latency_last_ms: float
    latency_max_ms: float
    latency_avg_ms: float
    poll_interval_ms: float


class Can(Answer):
    """The CAN bus; counters since the start."""

    up: bool
    error: str
    interface: str
    tx_count: int
    tx_errors: int
    rx_count: int
    rx_errors: int
    bus_off_count: int
    outages: int
    bursts: int
    skipped: int
    jitter_max_ms: float
    gx_state: str
    gx_silent_for_s: float
    keepalive_ok: bool
    last_frames: list[FrameAnswer]


class Mistake(Answer):
    """Something in the file that cannot be used."""

    path: str
    """Dotted path of the key; empty for the whole file."""
    value: str | int | float | bool | None
    message: str


class ConfigurationAnswer(Answer):
    """Where the configuration in force comes from, and what is wrong with the file as it is now."""

    file: str
    errors: list[Mistake]
    """Why the file as it is now is not in force; empty when it is."""
    fell_back: bool
    """Whether the last good copy is in force, because the file could not be used at the start."""
    loaded_at: datetime | None
    """When the configuration in force was read or changed."""
    notices: list[Remark]
    misfits: list[str]
    """What does not fit the battery; the limits are bounded all the same."""


class Watchdog(Answer):
    """The watchdog of the service manager."""

    enabled: bool
    timeout_s: float
    feed_count: int
    last_feed_ms_ago: int | None


class EventBus(Answer):
    """The bus inside the bridge."""

    total_published: int
    total_delivered: int
    queue_overruns: int
    subscribers: int
    deepest_queue: int


class LiveStats(Answer):
    """Live data."""

    clients: int
    max_clients: int
    joined: int
    refused: int
    encoded: int
    sent: int
    dropped: int


class PartAnswer(Answer):
    """One supervised part."""

    name: str
    state: str = Field(examples=["running"])
    error: str
    restarts: int
    critical: bool


class ChangeAnswer(Answer):
    """One change."""

    at: datetime
    kind: str = Field(examples=["freshness"])
    value: str = Field(examples=["FRESH"])
    detail: str


class Diagnostics(Answer):
    """How the bridge itself is."""

    version: str
    uptime_s: float
    heap_free: int | None
    """Bytes that the machine could still give; the seed's name for it."""
    memory: Memory
    process: Process
    tasks: list[str]
    """Names of the tasks of the event loop."""
    parts: list[PartAnswer]
    configuration: ConfigurationAnswer
    watchdog: Watchdog
    eventbus: EventBus
    uart: Uart
    uart_trace: list[TraceAnswer]
    """The last traffic with the BMS, oldest first."""
    can: Can
    websocket: LiveStats
    history: HistoryStats
    freshness: str = Field(examples=["FRESH"])
    age_ms: int | None
    """Age of the last sample."""
    remark: str
    """Why charging is stopped or nothing is sent, for want of data."""
    changes: list[ChangeAnswer]
    """Changes of freshness, link, GX and charge state, oldest first."""
