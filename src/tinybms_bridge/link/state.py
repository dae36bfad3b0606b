"""What the core tells of itself beside the state of the battery: its lines, outputs, parts and watchdog.

Each is one plain class, filled in by the part that it tells of, and answered by API and command line as it is.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

__all__ = ["CanState", "MonitoredFrame", "PartStatus", "TraceLine", "UartState", "WatchdogState"]


@dataclass(frozen=True, slots=True)
class UartState:
    """How the line to a BMS is, with counters since the start."""

    up: bool = False
    """Whether the BMS answers."""
    reason: str = ""
    """Why not."""
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
    latency_last_ms: float = 0.0
    latency_max_ms: float = 0.0
    latency_avg_ms: float = 0.0
    poll_interval_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class CanState:
    """How the CAN output is, with counters since the start."""

    up: bool = False
    """Whether the adapter is open."""
    error: str = ""
    """Why not."""
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

    @property
    def keepalive_ok(self) -> bool:
        """Whether a GX is heard."""
        return self.gx_state == "present"


@dataclass(frozen=True, slots=True)
class WatchdogState:
    """How the watchdog is fed."""

    enabled: bool = False
    timeout_s: float = 0.0
    feed_count: int = 0
    since_last_feed_s: float | None = None


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One supervised part."""

    name: str
    state: str
    error: str = ""
    restarts: int = 0
    critical: bool = False


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
