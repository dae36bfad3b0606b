"""Writes what happens on the bus as log lines for people; a repeated cause is counted, not repeated."""

import logging
from collections.abc import Callable, Mapping

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.bus import Bus
from tinybms_bridge.events import (
    AlarmsChanged,
    ChargeStateChanged,
    Event,
    FreshnessChanged,
    GxChanged,
    IdentityKnown,
    LinkChanged,
    SampleAccepted,
    SampleRejected,
)

__all__ = ["EventLog"]

log = logging.getLogger(__name__)

_QUIET_S = 10.0
"""Time without a rejected sample that ends a spell of them."""

_MOST_CAUSES = 5
"""Different causes that are written in one spell; noise has very many."""

_FRESHNESS_LINES: Mapping[Freshness, tuple[int, str]] = {
    Freshness.STARTING: (logging.INFO, "waiting for good samples"),
    Freshness.FRESH: (logging.INFO, "data is fresh: sending"),
    Freshness.HOLD: (logging.WARNING, "no good data from the BMS: HOLD, charging stopped, discharge as it was"),
    Freshness.SILENT: (logging.ERROR, "no good data from the BMS for too long: SILENT, no frames are sent"),
}

_GX_LINES: Mapping[str, tuple[int, str]] = {
    "present": (logging.INFO, "GX device present on the CAN bus"),
    "lost": (logging.WARNING, "GX device no longer heard on the CAN bus; frames are still sent"),
    "never_seen": (logging.WARNING, "no GX device heard on the CAN bus: check cable, termination and bit rate"),
}


class EventLog:
    """One subscriber that turns events into lines."""

    def __init__(self, bus: Bus, *, log_charge_states: bool = True) -> None:
        self._bus = bus
        self._log_charge_states = log_charge_states
        self._causes: set[str] = set()
        self._rejected_before = 0

    async def run(self) -> None:
        """Write until cancelled."""
        lines: Mapping[type[Event], Callable[..., None]] = {
            LinkChanged: self._link,
            IdentityKnown: self._identity,
            FreshnessChanged: self._freshness,
            ChargeStateChanged: self._charge_state,
            SampleRejected: self._rejected,
            SampleAccepted: self._accepted,
            AlarmsChanged: self._alarms,
            GxChanged: self._gx,
        }
        with self._bus.subscribe(*lines, name="event log") as events:
            async for envelope in events:
                lines[type(envelope.event)](envelope.event)

    @staticmethod
    def _link(event: LinkChanged) -> None:
        if event.up:
            log.info("BMS answers")
        else:
            log.warning("BMS link down: %s", event.reason)

    @staticmethod
    def _identity(event: IdentityKnown) -> None:
        identity = event.identity
        if identity == Identity():
            log.info("TinyBMS that does not tell its version")
            return
        log.info(
            "TinyBMS hardware %s, firmware %d.%d, serial %s",
            identity.hardware_version,
            identity.firmware_public,
            identity.firmware_internal,
            identity.serial_number,
        )

    @staticmethod
    def _freshness(event: FreshnessChanged) -> None:
        level, text = _FRESHNESS_LINES[event.new]
        log.log(level, text)

    def _charge_state(self, event: ChargeStateChanged) -> None:
        if self._log_charge_states:
            log.info("charge state %s -> %s", event.old, event.new)

    def _rejected(self, event: SampleRejected) -> None:
        if not self._causes:
            self._rejected_before = event.count - 1
        if event.verdict.cause not in self._causes and len(self._causes) < _MOST_CAUSES:
            self._causes.add(event.verdict.cause)
            log.warning("sample not used: %s", event.verdict)

    def _accepted(self, _: SampleAccepted) -> None:
        """End a spell of bad samples once none has come for a while: bad ones may alternate with good ones."""
        last, now = self._bus.latest(SampleRejected), self._bus.latest(SampleAccepted)
        if not self._causes or last is None or now is None or now.timestamp_s - last.timestamp_s < _QUIET_S:
            return
        self._causes.clear()
        log.info("samples are plausible again after %d rejected", last.event.count - self._rejected_before)

    @staticmethod
    def _alarms(event: AlarmsChanged) -> None:
        for name in sorted(event.old.levels.keys() | event.new.levels.keys()):
            _alarm_line(name, event.old, event.new)

    @staticmethod
    def _gx(event: GxChanged) -> None:
        level, text = _GX_LINES.get(event.state, (logging.INFO, f"GX device: {event.state}"))
        log.log(level, text)


def _alarm_line(name: AlarmName, old: Alarms, new: Alarms) -> None:
    before, after = old.levels.get(name, AlarmLevel.OK), new.levels.get(name, AlarmLevel.OK)
    if before is after:
        return
    words = name.replace("_", " ")
    match after:
        case AlarmLevel.OK:
            log.info("%s: cleared", words)
        case AlarmLevel.WARNING:
            log.warning("%s: warning", words)
        case AlarmLevel.ALARM:
            log.error("%s: alarm", words)
