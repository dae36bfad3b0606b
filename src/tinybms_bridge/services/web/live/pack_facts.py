"""What is told of each pack beside what it measures: its part in the battery, what it bears, and what is wrong with it.

The texts are for a place that names the pack, so they do not.
"""

from typing import Literal

from pydantic import Field

from tinybms_bridge.battery.alarm_words import alarm_message
from tinybms_bridge.battery.alarms import AlarmLevel, Alarms
from tinybms_bridge.battery.headline import cause
from tinybms_bridge.battery.limits import Limits, Quantity
from tinybms_bridge.battery.quick import replace
from tinybms_bridge.battery.state import PackCondition
from tinybms_bridge.services.ports import Moment
from tinybms_bridge.services.web.answers import Answer
from tinybms_bridge.words import ENGLISH, Language, say

__all__ = ["BornNow", "PackAlarmNow", "PackFacts", "born_now", "pack_facts", "pack_part"]


class BornNow(Answer):
    """What a pack bears in one way."""

    value: float
    """V or A; of the only pack, the limit of the battery."""
    code: str | None = Field(examples=["cell_voltage"])
    """What binds it; null for nothing."""
    text: str = Field(examples=["cell 7 at 3.52 V"])


class PackAlarmNow(Answer):
    """One alarm of a pack that is active."""

    name: str = Field(examples=["high_voltage"])
    level: Literal["warning", "alarm"]
    text: str


class PackFacts(Answer):
    """The part that a pack has in the battery, and what it bears."""

    condition: PackCondition | None
    """Null while the core is not heard."""
    charge_blocked: bool | None
    """Whether nothing flows in; null for one pack, and while the data is not live."""
    discharge_blocked: bool | None
    charge_share: float | None = Field(examples=[0.25])
    """Its part of the charge current of the battery, 0 to 1, as was measured, never below that of its capacity."""
    discharge_share: float | None
    condition_text: str = Field(examples=["in use"])
    condition_explanation: str
    """What it means."""
    condition_advice: str
    """What to do about it; empty for nothing."""
    bears: dict[Literal["cvl", "ccl", "dcl"], BornNow] | None
    """What it bears by itself; null while that is not known."""
    active_alarms: list[PackAlarmNow]
    """Of this pack, the worst first."""


def pack_part(name: str, moment: Moment) -> dict[str, object]:
    """Return those of ``PackFacts`` without words."""
    pack, view = moment.battery.pack(name), moment.packs.get(name)
    live = len(moment.battery.packs) > 1 and view is not None and view.measured is not None
    return {
        "condition": pack.condition if moment.hearing.connected else None,
        "charge_blocked": pack.charge_blocked if live else None,
        "discharge_blocked": pack.discharge_blocked if live else None,
        "charge_share": pack.charge_share if live else None,
        "discharge_share": pack.discharge_share if live else None,
    }


def pack_facts(name: str, moment: Moment, language: Language = ENGLISH) -> dict[str, object]:
    """Return the values of ``PackFacts``."""
    pack, several = moment.battery.pack(name), len(moment.battery.packs) > 1
    view = moment.packs.get(name)
    condition = pack.condition if moment.hearing.connected else None
    code = f"pack_condition.{condition}"
    limits = (None if view is None else view.limits) if several else moment.view.limits
    return {
        **pack_part(name, moment),
        "condition_text": "" if condition is None else say(code, {}, language),
        "condition_explanation": "" if condition is None else say(f"{code}.explanation", {}, language),
        "condition_advice": say(f"{code}.advice", {}, language) if condition in _ADVISED else "",
        "bears": born_now(limits, language),
        "active_alarms": _alarms(pack.alarms, language) if moment.hearing.connected else [],
    }


_ADVISED = (PackCondition.SILENT, PackCondition.ODD)


def born_now(limits: Limits | None, language: Language = ENGLISH) -> dict[str, object] | None:
    """Return a ``BornNow`` for each limit; None without any."""
    if limits is None:
        return None
    found: dict[str, object] = {}
    for quantity in Quantity:
        binding = limits.binding(quantity)
        text = "" if binding is None else cause(replace(binding, pack="")).say(language)
        value = getattr(limits, quantity.value)
        found[quantity.name.lower()] = {"value": value, "code": None if binding is None else binding.code, "text": text}
    return found


def _alarms(alarms: Alarms, language: Language) -> list[dict[str, object]]:
    told: list[dict[str, object]] = []
    for name, level in sorted(alarms.active().items(), key=lambda each: (-each[1], each[0].value)):
        level_name = "alarm" if level is AlarmLevel.ALARM else "warning"
        known = alarms.causes.get(name)
        text = alarm_message(name.value, level=level_name, cause=None if known is None else known.message)
        told.append({"name": name.value, "level": level_name, "text": text.say(language)})
    return told
