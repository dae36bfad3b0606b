"""What a bridge still lacks after its first start, from the facts that doctor and ``/readyz`` judge as well.

Each item says how it is, in words with codes, and names the page that mends it. Nothing here keeps anything from
working.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tinybms_bridge.battery.advice import Weight
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.hal.clock import EARLIEST_WALL
from tinybms_bridge.link.event_list import EventRecord
from tinybms_bridge.link.events import EventCode
from tinybms_bridge.services.ports import Core, HistoryState
from tinybms_bridge.words import Message, message

__all__ = ["Facts", "Item", "Standing", "checklist"]


class Standing(StrEnum):
    """How it stands with an item."""

    DONE = "done"
    OPEN = "open"
    OFF = "off"
    """Turned off by the owner, who may have reasons."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the checklist."""

    name: str
    """For programs: ``administrator``, ``bms``, ``settings``, ``can``, ``gx``, ``limits``, ``history``, ``clock``,
    ``backup``."""
    standing: Standing
    message: Message
    """How it is; the catalogue may have advice beside it."""
    page: str
    """Path of the page that mends it."""
    own_advice: Message | None = None
    """What to do about it, where that does not follow from the message alone."""

    @property
    def advice_message(self) -> Message | None:
        """What to do about it; None where there is nothing to do."""
        return self.own_advice or self.message.advice_message


@dataclass(frozen=True, slots=True)
class Facts:
    """What the core does not know."""

    setup_required: bool
    """Whether there is no administrator."""
    history: HistoryState
    now: datetime
    """The time of this machine."""
    synchronised: bool | None
    """Whether the kernel says that it is right; None where it says nothing."""


def checklist(core: Core, facts: Facts) -> list[Item]:
    """Return every item, in the order in which one depends on another."""
    return [
        _administrator(facts),
        _bms(core),
        _settings(core),
        _can(core),
        _gx(core),
        _limits(core),
        _history(facts.history),
        _clock(facts),
        _backup(core.events()),
    ]


def _administrator(facts: Facts) -> Item:
    page = "/setup?step=administrator"
    if facts.setup_required:
        return Item("administrator", Standing.OPEN, message("checklist.no_administrator"), page)
    return Item("administrator", Standing.DONE, message("checklist.administrator"), "/access")


def _bms(core: Core) -> Item:
    page, uart = "/setup?step=port", core.uart()
    if uart.up:
        return Item("bms", Standing.DONE, message("checklist.bms", port=uart.device), page)
    return Item("bms", Standing.OPEN, message("checklist.no_bms", reason=uart.why()), page)


def _settings(core: Core) -> Item:
    conflicts = [each.description for each in core.conflicts()]
    urgent = [each.message for each in core.advice() if each.weight is Weight.URGENT]
    if conflicts:
        return Item("settings", Standing.OPEN, message("checklist.conflicts", conflicts=conflicts), "/settings")
    if urgent:
        return Item("settings", Standing.OPEN, message("checklist.urgent", advice=urgent), "/bms")
    if core.moment().view.ratings is None:
        return Item("settings", Standing.OPEN, message("checklist.settings_unread"), "/bms")
    return Item("settings", Standing.DONE, message("checklist.settings"), "/bms")


def _can(core: Core) -> Item:
    page, can = "/setup?step=output", core.can()
    if can.up:
        return Item("can", Standing.DONE, message("checklist.can", interface=can.interface), page)
    told = message("checklist.no_can", interface=can.interface, reason=can.why())
    return Item("can", Standing.OPEN, told, page)


def _gx(core: Core) -> Item:
    page, can = "/setup?step=gx", core.can()
    if can.keepalive_ok:
        return Item("gx", Standing.DONE, message("checklist.gx"), page)
    rate = core.store.in_force.hardware.can.bitrate // 1000
    advice = message("doctor.check_gx", port=message("doctor.gx_port", rate_kbit_s=rate))
    lost = can.gx_state == "lost"
    told = message("checklist.gx_lost", seconds=can.gx_silent_for_s) if lost else message("checklist.no_gx")
    return Item("gx", Standing.OPEN, told, page, advice)


def _limits(core: Core) -> Item:
    view, can = core.moment().view, core.can()
    if view.freshness is Freshness.FRESH and view.limits is not None and can.up and core.hearing().connected:
        return Item("limits", Standing.DONE, message("checklist.limits"), "/")
    told = message("checklist.no_limits", reason=view.explanation)
    return Item("limits", Standing.OPEN, told, "/diagnostics")


def _history(history: HistoryState) -> Item:
    if not history.enabled:
        return Item("history", Standing.OFF, message("checklist.history_off"), "/settings")
    if history.why() is not None:
        return Item("history", Standing.OPEN, message("checklist.history_failed", reason=history.why()), "/diagnostics")
    if history.waits_for_clock:
        return Item("history", Standing.OPEN, message("checklist.history_waits"), "/history")
    if not history.written_batches and not any(each.rows for each in history.levels):
        return Item("history", Standing.OPEN, message("checklist.history_begins"), "/history")
    return Item("history", Standing.DONE, message("checklist.history"), "/history")


def _clock(facts: Facts) -> Item:
    shown = f"{facts.now.astimezone():%Y-%m-%d %H:%M:%S %Z}"
    if facts.now < EARLIEST_WALL:
        return Item("clock", Standing.OPEN, message("checklist.clock_old", time=shown), "/diagnostics")
    if facts.synchronised is False:
        return Item("clock", Standing.OPEN, message("checklist.clock_unsynchronised", time=shown), "/diagnostics")
    return Item("clock", Standing.DONE, message("checklist.clock", time=shown), "/diagnostics")


def _backup(events: Sequence[EventRecord]) -> Item:
    kept = next(_latest(events, EventCode.SETTINGS_BACKED_UP), None)
    if kept is None:
        return Item("backup", Standing.OPEN, message("checklist.no_backup"), "/bms")
    day = "?" if kept.at is None else f"{kept.at.astimezone():%Y-%m-%d}"
    written = next(_latest(events, EventCode.SETTINGS_WRITTEN), None)
    if written is not None and written.number > kept.number:
        return Item("backup", Standing.OPEN, message("checklist.backup_old", day=day), "/bms")
    return Item("backup", Standing.DONE, message("checklist.backup", day=day), "/bms")


def _latest(events: Sequence[EventRecord], code: EventCode) -> Iterator[EventRecord]:
    """Yield the entries with a code, newest first."""
    return (each for each in reversed(events) if each.code == code)
