"""The event list of the bridge: what it noticed, what people did, and what the BMS logged."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.bms_events import BmsEvent, DatedEvent
from tinybms_bridge.battery.quick import quick
from tinybms_bridge.words import ENGLISH, JsonValue, Language, Message, say

__all__ = ["EventRecord", "EventSource"]


_NAME_THE_PACK = ("alarm.", "pack.")
"""Codes whose sentences name the pack themselves."""


class EventSource(StrEnum):
    """Who noticed it."""

    BMS = "bms"
    BRIDGE = "bridge"


@quick
@dataclass(frozen=True, slots=True)
class EventRecord:
    """One entry."""

    number: int
    """Counts entries from 1; never used again."""
    at: datetime | None
    """UTC; None for an event of the BMS whose time cannot be told."""
    source: EventSource
    severity: Severity
    code: str
    text: str
    lifetime_s: int | None = None
    """Lifetime counter of the BMS, for its events."""
    event_id: int | None = None
    """Number of the BMS's event."""
    serial_number: str = ""
    """Of the BMS that logged it; empty when it is not known."""
    after_gap: bool = False
    """Whether events of the BMS right before it were lost."""
    by: str | None = ""
    """Which user did it; empty for what nobody did; None where that is not told."""
    parameters: Mapping[str, JsonValue] | None = field(default=None, hash=False)
    """What the text is made from; None for an entry of a version that did not keep it."""
    pack: str = ""
    """Name of the pack, of several; empty for the only one, and for the battery."""

    def say(self, language: Language = ENGLISH) -> str:
        """Return what happened in a language, of several packs to which; in English where only the text is known."""
        told = self.text
        if self.parameters is not None:
            told = Message(self.code, self.parameters, self.text).say(language)
        if not self.pack or self.code.startswith(_NAME_THE_PACK):
            return told
        return say("event.of_pack", {"pack": self.pack, "text": told}, language, told)

    def dated(self) -> DatedEvent | None:
        """The BMS's event behind it, or None."""
        if self.lifetime_s is None or self.event_id is None:
            return None
        return DatedEvent(BmsEvent(self.lifetime_s, self.event_id), self.at, self.serial_number, self.after_gap)
