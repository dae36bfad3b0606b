"""What is told of an alarm or a notice: its code with level and cause, the same for pages, API and notifications."""

from typing import Literal

from tinybms_bridge.battery.alarms import AlarmCause, AlarmName
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.words import Message, message

__all__ = ["ALARM_NAMES", "AlarmKind", "alarm_kind", "alarm_message", "unheard_cause"]

AlarmKind = Literal["alarm", "notice"]

ALARM_NAMES: tuple[str, ...] = (*(name.value for name in AlarmName), *(name.value for name in NoticeName))
"""Every alarm and notice that can be told of."""

_ALARMS = frozenset(name.value for name in AlarmName)


def alarm_kind(name: str) -> AlarmKind:
    """Return ``alarm`` for what is also sent to the GX, ``notice`` for the bridge's own."""
    return "alarm" if name in _ALARMS else "notice"


def alarm_message(name: str, **parameters: object) -> Message:
    """Return what is told of an alarm or notice; ``level`` and ``cause`` where they are known.

    Explanation and advice belong to its code.
    """
    return message(f"{alarm_kind(name)}.{name}", **parameters)


def unheard_cause(silent_s: float) -> AlarmCause:
    """Return why the core is unreachable: for how long nothing was heard of it."""
    told = message("cause.no_answer", silent_s=round(silent_s))
    return AlarmCause(told, float(round(silent_s)), unit="s")
