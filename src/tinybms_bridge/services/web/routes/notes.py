"""What people do through the API, in words: for the audit line of the request, and for the event list."""

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.events import Noted
from tinybms_bridge.services.web.face import BridgeFace, Direction
from tinybms_bridge.services.web.security import Facts, User
from tinybms_bridge.tinybms.settings import Change, Outcome, Plan, Report

__all__ = ["note", "note_release", "note_stop", "note_writes", "plan_facts"]

_MOST_CHANGES = 10
_WORDS = {Direction.CHARGE: "Charging", Direction.DISCHARGE: "Discharging"}
_LEFT_ALONE = frozenset({Outcome.UNCHANGED, Outcome.NOT_TRIED})


def note(face: BridgeFace, code: str, text: str, user: User, severity: Severity = Severity.INFO) -> None:
    """Have the bridge write what a user did into its log and its event list; the text names nobody."""
    face.bus.publish(Noted(severity, code, text, user.name), "web")


def note_stop(face: BridgeFace, direction: Direction, duration_s: float | None, reason: str, user: User) -> None:
    """Tell that somebody stops a direction."""
    how_long = "" if duration_s is None else f" for {duration_s:.0f} s"
    why = f": {reason}" if reason else ""
    text = f"{_WORDS[direction]} stopped by hand{how_long}{why}"
    note(face, f"stop.{direction}", text, user, Severity.WARNING)


def note_release(face: BridgeFace, direction: Direction, user: User) -> None:
    """Tell that somebody ends a stop."""
    note(face, f"stop.{direction}", f"{_WORDS[direction]} released by hand", user)


def note_writes(face: BridgeFace, report: Report, user: User) -> None:
    """Tell which settings of the BMS somebody has written, or tried to."""
    done = [
        _words(each.change) + ("" if each.outcome.good else f" ({each.outcome})")
        for each in report.results
        if each.outcome not in _LEFT_ALONE
    ]
    if done:
        more = f" and {len(done) - _MOST_CHANGES} more" if len(done) > _MOST_CHANGES else ""
        severity = Severity.INFO if report.good else Severity.WARNING
        text = f"Settings of the BMS written: {', '.join(done[:_MOST_CHANGES])}{more}"
        note(face, "write.settings", text, user, severity)


def plan_facts(facts: Facts, plan: Plan, *, dry_run: bool) -> None:
    """Add what a plan changes to the facts of a request."""
    if dry_run:
        facts["dry_run"] = True
    facts["changes"] = len(plan.changes)
    for change in plan.changes[:_MOST_CHANGES]:
        facts[change.name] = f"{change.old} -> {change.new}"


def _words(change: Change) -> str:
    return f"{change.name} {change.old} -> {change.new} {change.setting.unit}".rstrip()
