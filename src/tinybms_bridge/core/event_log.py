"""Writes what happens on the bus as log lines for people; a repeated cause is counted, not repeated."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tinybms_bridge.battery.alarms import AlarmCause, AlarmLevel
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import Quantity, sentence_of
from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import (
    AlarmsChanged,
    BmsEventsSeen,
    ChargeStateChanged,
    ConfigChanged,
    Event,
    FreshnessChanged,
    GxChanged,
    IdentityKnown,
    LimitsDecided,
    LinkChanged,
    Noted,
    NoticesChanged,
    SnapshotAccepted,
    SnapshotRejected,
)
from tinybms_bridge.victron.can.gx import GxState

__all__ = ["EventLog"]

log = logging.getLogger(__name__)

Name = TypeVar("Name", bound=str)

_QUIET_S = 10.0
"""Time without a rejected sample that ends a spell of them."""

_MOST_CAUSES = 5
"""Different causes that are written in one spell; noise has very many."""

_MOST_BMS_EVENTS = 5

_MOST_PATHS = 10

_NO_DATA = "no good data from the BMS"
_FROZEN = "the readings of the BMS stand still"

_FRESHNESS_LINES: Mapping[Freshness, tuple[int, str]] = {
    Freshness.STARTING: (logging.INFO, "waiting for good samples"),
    Freshness.FRESH: (logging.INFO, "data is fresh: sending"),
    Freshness.HOLD: (logging.WARNING, f"{_NO_DATA}: HOLD, charging stopped, discharge as it was"),
    Freshness.SILENT: (logging.ERROR, f"{_NO_DATA} for too long: SILENT, no frames are sent"),
}

_PACK_FRESHNESS_LINES: Mapping[Freshness, tuple[int, str]] = {
    Freshness.STARTING: (logging.INFO, "pack %s: waiting for good samples"),
    Freshness.FRESH: (logging.INFO, "pack %s: data is fresh"),
    Freshness.HOLD: (logging.WARNING, "pack %s: no good data"),
    Freshness.SILENT: (logging.ERROR, "pack %s: no good data for too long"),
}

_GX_LINES: Mapping[GxState, tuple[int, str]] = {
    GxState.PRESENT: (logging.INFO, "GX device present on the CAN bus"),
    GxState.LOST: (logging.WARNING, "GX device no longer heard on the CAN bus; frames are still sent"),
    GxState.NEVER_SEEN: (logging.WARNING, "no GX device heard on the CAN bus: check cable, termination and bit rate"),
}

_LEVEL_WORDS: Mapping[AlarmLevel, tuple[int, str]] = {
    AlarmLevel.OK: (logging.INFO, "cleared"),
    AlarmLevel.WARNING: (logging.WARNING, "warning"),
    AlarmLevel.ALARM: (logging.ERROR, "alarm"),
}

_NO_CAUSES: Mapping[Any, AlarmCause] = {}

_NOTED_LEVELS: Mapping[Severity, int] = {Severity.INFO: logging.INFO, Severity.FAULT: logging.ERROR}


class EventLog:
    """One subscriber that turns events into lines."""

    def __init__(self, bus: Bus, *, log_charge_states: bool = True) -> None:
        self._bus = bus
        self._log_charge_states = log_charge_states
        self._cvl_v: float | None = None
        self._causes: set[str] = set()
        self._rejected_before = 0
        self._lines: Mapping[type[Event], Callable[..., None]] = {
            LinkChanged: self._link,
            IdentityKnown: self._identity,
            FreshnessChanged: self._freshness,
            ChargeStateChanged: self._charge_state,
            LimitsDecided: self._limits,
            SnapshotRejected: self._rejected,
            SnapshotAccepted: self._accepted,
            AlarmsChanged: self._alarms,
            NoticesChanged: self._notices,
            BmsEventsSeen: self._bms_events,
            GxChanged: self._gx,
            ConfigChanged: self._config,
            Noted: self._noted,
        }
        # From now on, not from the start of run: what happens before that, or during a restart, is not lost.
        self._events = bus.subscribe(*self._lines, name="event log")
        self._want(spell=False)

    def apply(self, config: Configuration) -> None:
        """Put in force whether changes of the charge state, and at DEBUG of the CVL, are written."""
        self._log_charge_states = config.logging.log_cvl_changes

    async def run(self) -> None:
        """Write until cancelled."""
        async for envelope in self._events:
            self._lines[type(envelope.event)](envelope.event)

    def _want(self, *, spell: bool) -> None:
        """Hear of good samples only while there are bad ones: ten a second would wake up for nothing."""
        self._events.want(*(event for event in self._lines if spell or event is not SnapshotAccepted))

    @staticmethod
    def _link(event: LinkChanged) -> None:
        if event.up:
            log.info("%sBMS answers", _of(event.pack))
        else:
            log.warning("%sBMS link down: %s", _of(event.pack), event.reason)

    @staticmethod
    def _identity(event: IdentityKnown) -> None:
        known = event.identity != Identity()
        log.info("%s%s", _of(event.pack), event.identity if known else "TinyBMS that does not tell its version")

    @staticmethod
    def _freshness(event: FreshnessChanged) -> None:
        if event.pack:  # it stops nothing by itself; what follows for the battery is told of the battery
            log.log(*_PACK_FRESHNESS_LINES[event.new], event.pack)
            return
        level, text = _FRESHNESS_LINES[event.new]
        log.log(level, text.replace(_NO_DATA, _FROZEN) if event.frozen else text)

    def _charge_state(self, event: ChargeStateChanged) -> None:
        if self._log_charge_states:
            log.info("charge state %s -> %s", event.old, event.new)

    def _limits(self, event: LimitsDecided) -> None:
        """Write each step of the CVL that a GX can see, with what binds it."""
        if event.limits is None:
            log.warning("no limits can be decided: nothing is sent")
            self._cvl_v = None
            return
        cvl_v = round(event.limits.cvl_v, 1)
        if self._log_charge_states and cvl_v != self._cvl_v:
            reason = event.limits.binding(Quantity.CVL)
            log.debug("CVL %.1f V: %s", cvl_v, "" if reason is None else sentence_of(reason))
        self._cvl_v = cvl_v

    def _rejected(self, event: SnapshotRejected) -> None:
        if not self._causes:
            self._rejected_before = event.count - 1
            self._want(spell=True)
        if event.verdict.cause not in self._causes and len(self._causes) < _MOST_CAUSES:
            self._causes.add(event.verdict.cause)
            log.warning("%ssample not used: %s", _of(event.pack), event.verdict)

    def _accepted(self, _: SnapshotAccepted) -> None:
        """End a spell of bad samples once none has come for a while: bad ones may alternate with good ones."""
        last, now = self._bus.latest(SnapshotRejected), self._bus.latest(SnapshotAccepted)
        if not self._causes or last is None or now is None or now.timestamp_s - last.timestamp_s < _QUIET_S:
            return
        self._causes.clear()
        self._want(spell=False)
        log.info("samples are plausible again after %d rejected", last.event.count - self._rejected_before)

    @staticmethod
    def _alarms(event: AlarmsChanged) -> None:
        _level_lines(event.old.levels, event.new.levels, event.new.causes)

    @staticmethod
    def _notices(event: NoticesChanged) -> None:
        _level_lines(event.old.levels, event.new.levels)

    @staticmethod
    def _bms_events(event: BmsEventsSeen) -> None:
        """Write the latest events of the BMS; at the first contact the whole ring is new, and history."""
        latest = event.events[-_MOST_BMS_EVENTS:]
        if len(latest) < len(event.events):
            log.info("%sevent log of the BMS: %d entries, the latest follow", _of(event.pack), len(event.events))
        for dated in latest:
            when = "" if dated.at is None else f", {dated.at:%Y-%m-%d %H:%M} UTC"
            level = logging.INFO if dated.event.severity is Severity.INFO else logging.WARNING
            log.log(level, "%sBMS event: %s%s", _of(event.pack), dated.event, when)

    @staticmethod
    def _gx(event: GxChanged) -> None:
        level, text = _GX_LINES[event.state]
        log.log(level, text)

    @staticmethod
    def _config(event: ConfigChanged) -> None:
        shown = ", ".join(event.paths[:_MOST_PATHS])
        more = f" and {len(event.paths) - _MOST_PATHS} more" if len(event.paths) > _MOST_PATHS else ""
        log.info("configuration changed (%s): %s%s", event.source, shown, more)

    @staticmethod
    def _noted(event: Noted) -> None:
        of_pack = "" if event.code.startswith("pack.") else _of(event.pack)
        log.log(_NOTED_LEVELS.get(event.severity, logging.WARNING), "%s%s", of_pack, event.text)


def _of(pack: str) -> str:
    """Return the beginning of a line about one pack of several."""
    return f"pack {pack}: " if pack else ""


def _level_lines(
    old: Mapping[Name, AlarmLevel], new: Mapping[Name, AlarmLevel], causes: Mapping[Name, AlarmCause] = _NO_CAUSES
) -> None:
    """Write one line for each name whose level changed, with value and threshold; a name that is missing is OK."""
    for name in sorted({*old, *new}):
        before, after = old.get(name, AlarmLevel.OK), new.get(name, AlarmLevel.OK)
        if before is after:
            continue
        level, word = _LEVEL_WORDS[after]
        cause = causes.get(name)
        log.log(level, "%s: %s%s", name.replace("_", " "), word, "" if cause is None else f" ({cause})")
