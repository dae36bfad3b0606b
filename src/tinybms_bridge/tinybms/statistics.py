"""Counters of the link to the BMS, and a ring of the last frames for diagnosis."""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from tinybms_bridge.battery.quick import quick

__all__ = ["FrameTrace", "LatencyStatistics", "LinkStatistics", "TraceEntry"]


@dataclass(slots=True)
class LatencyStatistics:
    """Durations of successful transactions in milliseconds."""

    last_ms: float = 0.0
    max_ms: float = 0.0
    total_ms: float = 0.0
    count: int = 0

    @property
    def average_ms(self) -> float:
        """Mean of all, 0 before the first."""
        return self.total_ms / self.count if self.count else 0.0

    def add(self, latency_ms: float) -> None:
        """Add one duration."""
        self.last_ms = latency_ms
        self.max_ms = max(self.max_ms, latency_ms)
        self.total_ms += latency_ms
        self.count += 1


@dataclass(slots=True)
class LinkStatistics:
    """What happened on the line since the start of the program."""

    polls: int = 0
    """Transactions asked for."""
    success: int = 0
    errors: int = 0
    """Transactions that failed after all attempts, refusals included."""
    timeouts: int = 0
    """Attempts without a complete answer."""
    crc_errors: int = 0
    """Attempts whose answer, or whose request at the BMS, was corrupted."""
    retries: int = 0
    """Attempts beyond the first."""
    refused: int = 0
    """Requests answered with NACK."""
    garbage_bytes: int = 0
    """Received bytes that belong to no reply: noise, broadcast text, late replies."""
    wakeups: int = 0
    connects: int = 0
    latency: LatencyStatistics = field(default_factory=LatencyStatistics)


@quick
@dataclass(frozen=True, slots=True)
class TraceEntry:
    """One piece of traffic."""

    at_s: float
    """Monotonic time."""
    direction: Literal["tx", "rx", "note"]
    data: bytes
    note: str = ""

    def __str__(self) -> str:
        body = self.data.hex(" ").upper() or self.note
        return f"{self.at_s:.3f} {self.direction} {body}" + (f" ({self.note})" if self.data and self.note else "")


class FrameTrace:
    """The last pieces of traffic, oldest first; old ones make room for new ones."""

    def __init__(self, size: int = 64) -> None:
        self._entries: deque[TraceEntry] = deque(maxlen=size)

    def add(self, at_s: float, direction: Literal["tx", "rx", "note"], data: bytes = b"", note: str = "") -> TraceEntry:
        """Append one entry and return it."""
        entry = TraceEntry(at_s, direction, data, note)
        self._entries.append(entry)
        return entry

    def entries(self) -> tuple[TraceEntry, ...]:
        """Return all entries, oldest first."""
        return tuple(self._entries)
