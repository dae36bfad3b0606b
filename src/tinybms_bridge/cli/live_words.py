"""What the live view says in words: the one sentence, the time left, and who listens."""

import math
from collections import deque
from dataclasses import dataclass

from tinybms_bridge.battery.alarms import AlarmLevel
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import Limits
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.battery.view import View
from tinybms_bridge.link.state import CanState, CoreState, UartState

__all__ = [
    "Flow",
    "Sentence",
    "alarm_words",
    "can_of",
    "clean",
    "describe",
    "duration",
    "gx_words",
    "in_words",
    "rough_time",
    "time_left",
    "uart_of",
]

_NO_CURRENT_A = 0.05
"""Half a step of register 38: what is less is shown as 0.0 A."""
_STEADY_SHARE = 0.15
"""The mean of either half of the window may be this far from the mean of the whole, and readings scatter by it."""
_STEADY_A = 0.3
"""The same for small currents, where the noise of a sensor is a large share."""
_LONGEST_H = 48.0
_EXCESS_SHARE, _EXCESS_A = 0.1, 2.0
"""More than this above a limit is not a rounding of chargers or inverter."""
_OBEYS_WITHIN_S = 10.0
"""Three turns of the loop by which a GX takes up new limits."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """The state in words, and how it is to look."""

    text: str
    style: str


def clean(text: str) -> str:
    """Return text that moves no cursor and begins no line: peers and users have written parts of it."""
    return text if text.isprintable() else "".join(each if each.isprintable() else " " for each in text)


def in_words(name: str) -> str:
    """Return a name of the program as people write it."""
    return name.lower().replace("_", " ")


def duration(seconds: float) -> str:
    """Return a time in one or two units."""
    if seconds < 120.0:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, days = minutes // 60, minutes // 1440
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{days} days"


class Flow:
    """The current of the last ``window_s`` seconds: the time left that follows from it, and whether it may flow.

    The time is told only while the current was steady: after a cloud or a kettle nobody knows it.
    """

    def __init__(self, window_s: float = 60.0) -> None:
        self.excess = ""
        """What flows although it may not, in words, once that has lasted longer than a GX needs; else empty."""
        self._window_s = window_s
        self._samples: deque[Snapshot] = deque()
        self._excess_since_s: float | None = None

    def add(self, snapshot: Snapshot | None, limits: Limits | None, now_s: float) -> None:
        """Take the present measurements and limits; without measurements, what was before is forgotten."""
        samples = self._samples
        if snapshot is None:
            samples.clear()
            self._judge("", now_s)
            return
        if not samples or snapshot.sequence != samples[-1].sequence:
            samples.append(snapshot)
        while samples[0].taken_at_s < snapshot.taken_at_s - self._window_s:
            samples.popleft()
        self._judge("" if limits is None else _excess(snapshot.pack.current_a, limits), now_s)

    def _judge(self, excess: str, now_s: float) -> None:
        if not excess:
            self._excess_since_s = None
        elif self._excess_since_s is None:
            self._excess_since_s = now_s
        since_s = self._excess_since_s
        self.excess = excess if since_s is not None and now_s - since_s >= _OBEYS_WITHIN_S else ""

    def hours(self, capacity_ah: float | None) -> float | None:
        """Return the hours until full while charging, or until empty; None where that is not known."""
        samples = self._samples
        if not samples or not capacity_ah or not samples[-1].pack.soc_known:
            return None
        if samples[-1].taken_at_s - samples[0].taken_at_s < 0.8 * self._window_s:
            return None
        currents_a = [each.pack.current_a for each in samples]
        mean_a, half = _mean(currents_a), len(currents_a) // 2
        room_a = max(_STEADY_A, _STEADY_SHARE * abs(mean_a))
        scatter_a = math.sqrt(_mean([(each - mean_a) ** 2 for each in currents_a]))
        halves_a = _mean(currents_a[:half]), _mean(currents_a[half:])
        if abs(mean_a) <= room_a or scatter_a > room_a or any(abs(each - mean_a) > room_a for each in halves_a):
            return None
        soc_percent = samples[-1].pack.soc_percent
        way_percent = 100.0 - soc_percent if mean_a > 0.0 else soc_percent
        return way_percent / 100.0 * capacity_ah / abs(mean_a) if way_percent > 0.0 else None


def _excess(current_a: float, limits: Limits) -> str:
    for name, most_a, flow_a in (("in", limits.ccl_a, current_a), ("out", limits.dcl_a, -current_a)):
        if flow_a > most_a + max(_EXCESS_A, _EXCESS_SHARE * most_a):
            return f"{flow_a:.0f} A flow {name} where {most_a:.0f} A may"
    return ""


def uart_of(core: CoreState) -> UartState:
    """Return how the line to the BMS is; of the first pack."""
    return next((pack.uart for pack in core.packs.values()), UartState(reason="nothing is known of the BMS yet"))


def can_of(core: CoreState) -> CanState:
    """Return how the CAN output is."""
    return core.outputs.get("can", CanState(error="nothing is known of the output yet"))


def describe(core: CoreState, view: View, flow: Flow) -> Sentence:
    """Return what the battery does, what comes of that, and whether the GX goes by it."""
    if view.freshness is Freshness.STARTING and view.measured is None:
        link = uart_of(core)
        why = "the BMS answers, its first readings are looked at" if link.up else link.reason
        return Sentence(f"Starting: {clean(why)}. Nothing is sent yet.{_can_words(core)}", "bold yellow")
    if view.last is not None:
        link = uart_of(core)
        cause = "" if link.up or view.frozen else f" ({clean(link.reason)})"
        goes_on = " Discharging goes on." if view.limits is not None and view.limits.dcl_a > 0.0 else ""
        text = f"{_first_up(view.remark)}{cause}.{goes_on} What is grey is {duration(view.last.age_s)} old."
        return Sentence(text, "bold red" if view.freshness is Freshness.SILENT else "bold yellow")
    if view.limits is None or view.measured is None:
        return Sentence(f"Starting: {view.remark or 'nothing is known yet'}.{_can_words(core)}", "bold yellow")
    alarms = [name for name, level in core.battery.alarms.active().items() if level is AlarmLevel.ALARM]
    others = f" and {len(alarms) - 1} more" if alarms[1:] else ""
    alarm = f"ALARM: {in_words(alarms[0])}{others}. " if alarms else ""
    text = f"{alarm}{_doing(view, flow)} {_listener(core, view.limits, flow)}"
    worried = can_of(core).error or not can_of(core).keepalive_ok
    return Sentence(text, "bold red" if alarms else "bold yellow" if worried else "bold green")


def time_left(view: View, flow: Flow) -> str:
    """Return the time until the battery is full or empty as a rough figure; empty where it is not known."""
    snapshot, limits = view.measured, view.limits
    if snapshot is None or limits is None or limits.full:
        return ""
    set_ah = None if snapshot.ratings is None else snapshot.ratings.capacity_ah
    hours = flow.hours(limits.evidence.capacity_ah or set_ah)
    charging = snapshot.pack.current_a > 0.0
    if hours is None or (limits.ccl_a if charging else limits.dcl_a) <= 0.0:
        return ""
    goal = "full" if charging else "empty"
    return f"{goal} in more than 2 days" if hours > _LONGEST_H else f"{goal} in about {rough_time(hours)}"


def rough_time(hours: float) -> str:
    """Return a time in steps that grow with it."""
    minutes = hours * 60.0
    step = 1 if minutes < 10.0 else 5 if minutes < 120.0 else 10 if minutes < 720.0 else 60
    whole, rest = divmod(max(1, step * round(minutes / step)), 60)
    return " ".join(part for part in (f"{whole} h" if whole else "", f"{rest} min" if rest else "") if part)


def _doing(view: View, flow: Flow) -> str:
    assert view.measured is not None
    assert view.limits is not None
    current_a, limits = view.measured.pack.current_a, view.limits
    amperes = f"{abs(current_a):.0f} A" if abs(current_a) >= 9.5 else f"{abs(current_a):.1f} A"
    if abs(current_a) < _NO_CURRENT_A:
        doing = "Full; no current flows" if limits.full else "Resting: no current flows"
    elif limits.full and current_a > 0.0:
        doing = f"Full; {amperes} flow in"
    else:
        doing = f"{'Charging' if current_a > 0.0 else 'Discharging'} with {amperes}"
        left = time_left(view, flow)
        if left:
            doing += f"; {left}"
    stopped = " or ".join(
        name for name, most_a in (("charged", limits.ccl_a), ("discharged", limits.dcl_a)) if most_a <= 0.0
    )
    return f"{doing}. May not be {stopped} now." if stopped else f"{doing}."


def _listener(core: CoreState, limits: Limits, flow: Flow) -> str:
    """Return whether the GX does what it is told."""
    can = can_of(core)
    if can.error:
        return _can_words(core).strip()
    if can.gx_state == "never_seen":
        waits = can.gx_silent_for_s < can.gx_timeout_s
        return "Waiting for the GX." if waits else "No GX is heard: limits are sent, nobody is known to read them."
    if not can.keepalive_ok:
        return f"The GX has not been heard for {duration(can.gx_silent_for_s)}."
    if flow.excess:
        return f"GX present, but {flow.excess}."
    if limits.uncontrolled or limits.ccl_ignored:
        return "GX present, but more is charged than may be."
    return "GX obeys."


def _can_words(core: CoreState) -> str:
    error = can_of(core).error
    return f" Nothing reaches the GX: {clean(error)}." if error else ""


def gx_words(core: CoreState) -> str:
    """Return how it stands with the neighbours: GX, CAN adapter, BMS."""
    can, link = can_of(core), uart_of(core)
    heard = {
        "present": f"present, heard {can.gx_silent_for_s:.1f} s ago",
        "lost": f"lost, last heard {duration(can.gx_silent_for_s)} ago",
    }.get(can.gx_state, "never seen")
    answers = f"answers in {link.latency_last_ms:.0f} ms" if link.up else clean(link.reason).removeprefix("the BMS ")
    return f"{heard}; CAN {clean(can.error) or 'open'}; BMS {answers}"


def alarm_words(core: CoreState, level: AlarmLevel) -> str:
    """Return the alarms and notices of a level in words, the alarms that a GX shows first; empty without any."""
    found = [name for name, each in core.battery.alarms.active().items() if each is level]
    beside = [name for name, each in core.battery.notices.active().items() if each is level]
    return ", ".join(in_words(name) for name in (*found, *beside))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]
