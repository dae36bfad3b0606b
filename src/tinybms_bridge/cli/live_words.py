"""What the live view says in words: the one sentence with what comes of it, and who listens."""

from dataclasses import dataclass

from tinybms_bridge.battery.alarms import AlarmCause, AlarmLevel
from tinybms_bridge.battery.flow import Flow
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.headline import headline
from tinybms_bridge.battery.limits import Limits
from tinybms_bridge.battery.state import PackCondition
from tinybms_bridge.battery.view import View
from tinybms_bridge.link.state import CanState, CoreState, UartState, lines_together

__all__ = [
    "Sentence",
    "alarm_words",
    "can_of",
    "clean",
    "describe",
    "duration",
    "gx_words",
    "in_words",
    "uart_of",
]


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


def uart_of(core: CoreState, pack: str = "") -> UartState:
    """Return how the line to the BMS of a pack is; without a name of all packs in service together."""
    if not core.packs:
        return UartState(reason="nothing is known of the BMS yet")
    if pack in core.packs:
        return core.packs[pack].uart
    out = {name for name, each in core.battery.packs.items() if each.condition is PackCondition.OUT_OF_SERVICE}
    return lines_together({name: each.uart for name, each in core.packs.items() if name not in out})


def can_of(core: CoreState) -> CanState:
    """Return how the CAN output is."""
    return core.outputs.get("can", CanState(error="nothing is known of the output yet"))


def describe(core: CoreState, view: View, flow: Flow) -> Sentence:
    """Return what the battery does, what comes of that, and whether the GX goes by it."""
    link = uart_of(core)
    told = clean(headline(view, flow, line=None if link.up else link.why()).text)
    if view.last is not None:
        style = "bold red" if view.freshness is Freshness.SILENT else "bold yellow"
        return Sentence(f"{told}. What is grey is {duration(view.last.age_s)} old.", style)
    if view.limits is None or view.measured is None:
        return Sentence(f"{told}.{_can_words(core)}", "bold yellow")
    alarms = [name for name, level in core.battery.alarms.active().items() if level is AlarmLevel.ALARM]
    others = f" and {len(alarms) - 1} more" if alarms[1:] else ""
    alarm = f"ALARM: {in_words(alarms[0])}{others}. " if alarms else ""
    worried = can_of(core).error or not can_of(core).keepalive_ok
    style = "bold red" if alarms else "bold yellow" if worried else "bold green"
    return Sentence(f"{alarm}{told}. {_listener(core, view.limits, flow)}", style)


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
        return f"GX present, but {flow.excess.text}."
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
    alarms = core.battery.alarms
    found = [
        _of_pack(in_words(name), alarms.causes.get(name)) for name, each in alarms.active().items() if each is level
    ]
    beside = [in_words(name) for name, each in core.battery.notices.active().items() if each is level]
    return ", ".join((*found, *beside))


def _of_pack(words: str, cause: AlarmCause | None) -> str:
    return words if cause is None or not cause.pack else f"{words} (pack {cause.pack})"
