"""The one sentence that comes first: what the battery does, what binds it and why, how long until full or empty.

Live view, pages and API show the same one. Only live data goes into it; without any it tells what is the matter.
"""

from enum import StrEnum

from tinybms_bridge.battery.alarms import AlarmLevel
from tinybms_bridge.battery.flow import Flow
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits.model import LimitCode, Limits, Quantity, Reason
from tinybms_bridge.battery.limits.reasons import parameters_of
from tinybms_bridge.battery.snapshot import PackValues
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.battery.view import View
from tinybms_bridge.words import Message, message

__all__ = ["Overall", "cause", "headline", "overall", "rough_time", "time_left"]

_NO_CURRENT_A = 0.05
"""Half a step of register 38: what is less is shown as 0.0 A."""
_LONGEST_H = 48.0
_NEAR_SHARE = 0.85
"""A current counts as bound by its limit from this share of it: chargers and inverters keep below."""
_NEAR_V = 0.25
"""A voltage counts as bound by CVL from so far below: what cables and a charger's own measurement make of it."""


class Overall(StrEnum):
    """How it stands with the whole battery, for the colour of a page."""

    GOOD = "good"
    WARNING = "warning"
    ALARM = "alarm"
    UNKNOWN = "unknown"
    """Nothing is known yet, or the process that knows is not heard."""


def overall(battery: BatteryState, view: View, *, heard: bool = True, reaches_gx: bool = True) -> Overall:
    """Return how it stands: an alarm, or a battery that the GX has lost, comes before what is only worth a look."""
    if not heard:
        return Overall.UNKNOWN
    levels = {*battery.alarms.active().values(), *battery.notices.active().values()}
    if AlarmLevel.ALARM in levels or view.freshness is Freshness.SILENT:
        return Overall.ALARM
    if view.freshness is Freshness.STARTING and view.limits is None:
        return Overall.UNKNOWN
    worried = AlarmLevel.WARNING in levels or view.freshness is not Freshness.FRESH or view.limits is None
    return Overall.WARNING if worried or not reaches_gx else Overall.GOOD


def headline(view: View, flow: Flow, *, line: Message | None = None, unheard_s: float | None = None) -> Message:
    """Return the sentence, without a full stop.

    Args:
        view: What may be shown.
        flow: The current of the last minute.
        line: Why the BMS does not answer; None while it does.
        unheard_s: How long the core has not been heard; None while it is.

    """
    if unheard_s is not None:
        return message("headline.unheard", time=_passed(unheard_s))
    limits, remark = view.limits, view.explanation
    if view.last is not None:
        discharges = limits is not None and limits.dcl_a > 0.0
        code = "headline.hold" if limits is not None else "headline.silent"
        return message(code, remark=remark, line=None if view.frozen else line, discharges=discharges)
    if view.measured is None:
        return message("headline.starting", line=line or message("headline.looking"))
    if limits is None:
        return message("headline.deciding", remark=remark)
    return _live(view, view.measured.pack, limits, flow)


def _live(view: View, pack: PackValues, limits: Limits, flow: Flow) -> Message:
    """Return the sentence for live data."""
    numbers = {"current_a": abs(pack.current_a), "power_w": abs(pack.power_w), "why": _why(pack, limits)}
    charge, discharge = limits.binding(Quantity.CCL), limits.binding(Quantity.DCL)
    if _by_hand(charge, limits.ccl_a) and _by_hand(discharge, limits.dcl_a):
        return message("headline.stopped", current_a=abs(pack.current_a) if _flows(pack) else None)
    if not _flows(pack):
        code = "headline.full" if limits.full else "headline.resting"
    elif limits.full and pack.current_a > 0.0:
        code = "headline.full_charging"
    else:
        code = "headline.charging" if pack.current_a > 0.0 else "headline.discharging"
        return message(code, **numbers, left=time_left(view, flow))
    return message(code, **numbers)


def time_left(view: View, flow: Flow) -> Message | None:
    """Return the time until full or empty as a rough figure, ``full in about 1 h 40 min``; None if it is not known."""
    hours = flow.hours_left(view)
    if hours is None or view.measured is None:
        return None
    long, charging = hours > _LONGEST_H, view.measured.pack.current_a > 0.0
    if charging:
        return message("headline.full_late" if long else "headline.full_in", time=rough_time(hours))
    return message("headline.empty_late" if long else "headline.empty_in", time=rough_time(hours))


def rough_time(hours: float) -> str:
    """Return a time in steps that grow with it."""
    minutes = hours * 60.0
    step = 1 if minutes < 10.0 else 5 if minutes < 120.0 else 10 if minutes < 720.0 else 60
    whole, rest = divmod(max(1, step * round(minutes / step)), 60)
    return " ".join(part for part in (f"{whole} h" if whole else "", f"{rest} min" if rest else "") if part)


def cause(reason: Reason) -> Message:
    """Return in a few words what sets a limit, for example ``cell 7 at 3.52 V``, of several ``pack a: cell 7 ...``."""
    told = message(f"limited_by.{reason.code}", **parameters_of(reason))
    return message("limited_by.of_pack", pack=reason.pack, cause=told) if reason.pack else told


def _why(pack: PackValues, limits: Limits) -> Message | None:
    """Return what stops a direction, or else what binds that which flows; None where nothing does."""
    stopped = [
        message(code, cause=cause(reason))
        for code, quantity, most_a in (
            ("headline.no_charge", Quantity.CCL, limits.ccl_a),
            ("headline.no_discharge", Quantity.DCL, limits.dcl_a),
        )
        if most_a <= 0.0 and (reason := limits.binding(quantity)) is not None
    ]
    if stopped:
        return stopped[0] if len(stopped) == 1 else message("headline.both", first=stopped[0], second=stopped[1])
    quantity = _bound(pack, limits)
    reason = None if quantity is None else limits.binding(quantity)
    return None if reason is None else message("headline.limited", cause=cause(reason))


def _bound(pack: PackValues, limits: Limits) -> Quantity | None:
    """Return the limit at which what flows now is held."""
    if not _flows(pack):
        return None
    if pack.current_a < 0.0:
        return Quantity.DCL if -pack.current_a >= _NEAR_SHARE * limits.dcl_a else None
    if pack.current_a >= _NEAR_SHARE * limits.ccl_a:
        return Quantity.CCL
    return Quantity.CVL if pack.voltage_v >= limits.cvl_v - _NEAR_V else None


def _by_hand(reason: Reason | None, limit_a: float) -> bool:
    return limit_a <= 0.0 and reason is not None and reason.code is LimitCode.MANUAL


def _flows(pack: PackValues) -> bool:
    return abs(pack.current_a) >= _NO_CURRENT_A


def _passed(seconds: float) -> str:
    """Return how long something has lasted, in units that are the same in every language."""
    if seconds < 120.0:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
