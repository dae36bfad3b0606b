"""Check of the doctor: whether the running core makes progress, who restarts it if not, and why it was restarted."""

from tinybms_bridge.doctor.findings import Finding, ok, problem, warning
from tinybms_bridge.link.last_reset import reset_message
from tinybms_bridge.link.state import WatchdogState
from tinybms_bridge.words import message

__all__ = ["judge_watchdog"]

_CHECK = "watchdog"
_RECENT_S = 86_400.0
"""A restart that is longer ago than a day is history, which the event list has."""


def judge_watchdog(state: WatchdogState, uptime_s: float) -> list[Finding]:
    """Return what was found; ``uptime_s``: since the start of the core."""
    hardware, findings = state.hardware, []
    if hardware.message is not None:
        findings.append(warning(_CHECK, hardware.message))
    told = reset_message(state.last_reset)
    if told is not None and uptime_s < _RECENT_S:
        findings.append(warning(_CHECK, told, message("doctor.watchdog_restarted")))
    if state.hanging:
        return [problem(_CHECK, message("doctor.watchdog_hangs", parts=list(state.hanging))), *findings]
    if not state.enabled:
        return [ok(_CHECK, message("doctor.watchdog_off")), *findings]
    well = message("doctor.watchdog", watched=state.watched, hardware=hardware.running)
    return [ok(_CHECK, well), *findings]
