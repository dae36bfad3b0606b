"""What was sent against what is stored and what is in the database: pure, and the only judge of the rig."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Verdict", "judged", "percentile"]

Message = tuple[str, int]
"""Boot id and sequence number."""


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of all is; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass(slots=True)
class Verdict:
    """Counts of messages, and what is missing."""

    made: int = 0
    sent: int = 0
    acknowledged: int = 0
    sent_again: int = 0
    """Messages that went out more than once."""
    stored: int = 0
    """Entries of the stream."""
    distinct: int = 0
    missing_in_stream: list[Message] = field(default_factory=list)
    """Acknowledged, and not there."""
    expected: int = 0
    """States of a battery that were acknowledged."""
    missing_in_database: list[tuple[str, int]] = field(default_factory=list)
    """Site and time of a state that is not there."""
    wrong_in_database: list[tuple[str, int]] = field(default_factory=list)
    """Those with another value."""
    acknowledged_after_s: list[float] = field(default_factory=list)

    @property
    def duplicates(self) -> int:
        """Entries of the stream that were there already."""
        return self.stored - self.distinct

    @property
    def lost(self) -> int:
        """What must be 0."""
        return len(self.missing_in_stream) + len(self.missing_in_database) + len(self.wrong_in_database)

    @property
    def good(self) -> bool:
        """Whether everything that was acknowledged is there, and everything that was made was acknowledged."""
        return self.lost == 0 and self.made == self.acknowledged and self.expected > 0


def judged(
    ledgers: Collection[Mapping[str, Any]],
    stored: Mapping[Message, int],
    database: Mapping[str, Mapping[int, float]],
) -> Verdict:
    """Compare.

    Args:
        ledgers: What each bridge has sent (`load.py`).
        stored: How often each message is in the stream.
        database: Voltage by site and time.
    """
    verdict = Verdict(stored=sum(stored.values()), distinct=len(stored))
    for ledger in ledgers:
        values = database.get(ledger["site"], {})
        for entry in ledger["entries"]:
            verdict.made += 1
            verdict.sent += entry["times"] > 0
            verdict.sent_again += entry["times"] > 1
            if entry["acknowledged_s"] is None:
                continue
            verdict.acknowledged += 1
            verdict.acknowledged_after_s.append(entry["acknowledged_s"] - entry["sent_s"])
            if (ledger["boot"], entry["seq"]) not in stored:
                verdict.missing_in_stream.append((ledger["boot"], entry["seq"]))
            if entry["topic"] == "battery/state":
                verdict.expected += 1
                value = values.get(entry["at_ms"])
                if value is None:
                    verdict.missing_in_database.append((ledger["site"], entry["at_ms"]))
                elif value != entry["voltage"]:
                    verdict.wrong_in_database.append((ledger["site"], entry["at_ms"]))
    return verdict
