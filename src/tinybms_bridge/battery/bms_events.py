"""The BMS's event log, pure: the time of an event, the order of a ring, and which faults are open.

The BMS has no alarm register; its open faults follow only from its events (tinybms-protocol.md, 3).
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from tinybms_bridge.battery.bms_event_kinds import BMS_STARTED, EventKind, Severity, kind_of

__all__ = ["BmsEvent", "DatedEvent", "open_events", "ring_order", "unwrap"]

_SEQUENCES = frozenset({(0x64, 0x62), (0x62, 0x63), (0x63, 0x65)})
"""What comes first of two events that are no fault and its end: a charger is there, a charge begins, it is complete,
the charger goes (tinybms-protocol.md, 5.2)."""

_STAMP_SPAN_S = 1 << 24
"""A time stamp has 24 bits and repeats every 194 days."""


@dataclass(frozen=True, slots=True)
class BmsEvent:
    """One event of the BMS."""

    lifetime_s: int
    """When, on the lifetime counter; negative for a stamp that the counter, set back since, has not reached."""
    event_id: int

    @property
    def kind(self) -> EventKind:
        """What it means."""
        return kind_of(self.event_id)

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return self.kind.severity

    @property
    def stamp_s(self) -> int:
        """The 24 bits of the time that the BMS keeps."""
        return self.lifetime_s % _STAMP_SPAN_S

    def __str__(self) -> str:
        return f"0x{self.event_id:02X} {self.kind.text}"


@dataclass(frozen=True, slots=True)
class DatedEvent:
    """An event with its calendar time."""

    event: BmsEvent
    at: datetime | None
    """UTC, to the second; None when it cannot be told."""
    serial_number: str = ""
    """Of the unit that logged it; empty when it is not known."""
    after_gap: bool = False
    """Whether events right before it were lost, so that what was open before may have ended."""


def unwrap(stamp_s: int, now_s: int) -> int:
    """Return the lifetime second of a 24-bit stamp: the latest moment up to ``now_s`` that it can mean.

    Right for events of the last 194 days; an older one seems younger by a multiple of that. Negative when the
    counter has not run that long yet, which means that it was set back.
    """
    return now_s - (now_s - stamp_s) % _STAMP_SPAN_S


def ring_order(events: Sequence[BmsEvent]) -> list[BmsEvent]:
    """Return the events of a ring, read slot by slot or newest first, sorted by time, oldest first.

    Events of the same second keep the order in which the ring holds them. Where no stamp rises, nothing tells in which
    direction the ring was read within a second: then that one counts in which more causes come before their effects.
    """
    pairs = list(itertools.pairwise(events))
    falls = [index for index, (a, b) in enumerate(pairs, start=1) if b.lifetime_s < a.lifetime_s]
    rises = any(b.lifetime_s > a.lifetime_s for a, b in pairs)
    in_order = list(events)
    if rises and len(falls) == 1:
        in_order = in_order[falls[0] :] + in_order[: falls[0]]
    in_order.sort(key=_second)
    if rises:
        return in_order
    backwards = list(events)[::-1]
    backwards.sort(key=_second)
    odds = _causes_first(backwards) - _causes_first(in_order)
    return backwards if odds > 0 or (falls and not odds) else in_order


def _second(event: BmsEvent) -> int:
    return event.lifetime_s


def _causes_first(events: Sequence[BmsEvent]) -> int:
    """Return how much more often, within one second, a cause comes right before its effect than right after it."""
    pairs = [(a, b) for a, b in itertools.pairwise(events) if a.lifetime_s == b.lifetime_s]
    return sum(_leads_to(a, b) - _leads_to(b, a) for a, b in pairs)


def _leads_to(event: BmsEvent, other: BmsEvent) -> bool:
    if event.event_id == BMS_STARTED:
        return other.event_id != BMS_STARTED
    return other.event_id in event.kind.ended_by or (event.event_id, other.event_id) in _SEQUENCES


def open_events(events: Iterable[BmsEvent], *, faulted: bool | None = None) -> tuple[BmsEvent, ...]:
    """Return the faults and warnings that have begun and not ended, the oldest first, each number once.

    Args:
        events: The log, oldest first.
        faulted: What register 50 says, if known: False drops faults whose end the ring has lost.

    """
    found: dict[int, BmsEvent] = {}
    for event in events:
        if event.event_id == BMS_STARTED:
            found.clear()
        for number in [number for number, begun in found.items() if event.event_id in begun.kind.ended_by]:
            del found[number]
        if event.severity in (Severity.FAULT, Severity.WARNING):
            found.setdefault(event.event_id, event)
    return tuple(e for e in found.values() if faulted is not False or e.severity is not Severity.FAULT)
