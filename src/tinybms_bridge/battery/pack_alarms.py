"""Alarms of a battery of several packs: the worst of its packs, with the name of the pack, and what is of all.

A pack that is silent, that does not fit the others or is heard twice is a fault of what is measured, which is the alarm
``bms_internal``; so is a pack that joins from afar, as a warning, since no limit can stop the current that makes the
voltages equal.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from tinybms_bridge.battery.alarms import AlarmCause, AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.state import PackCondition
from tinybms_bridge.words import message

__all__ = ["alarms_together", "cause_of_condition"]


def cause_of_condition(
    pack: str,
    condition: PackCondition,
    *,
    silent_s: float = 0.0,
    apart_v: float = 0.0,
    device: str = "",
    cells: int | None = None,
    expected: int | None = None,
    unsteady: bool = False,
) -> AlarmCause | None:
    """Return the cause that the part of a pack in the battery is for an alarm; None for one that is none.

    ``device``: where the same unit answers a second time. ``cells``: those of an odd pack, where their number is odd.
    ``unsteady``: it has come and gone too often to be trusted at once.
    """
    if unsteady:
        return AlarmCause(message("cause.pack_unsteady"), pack=pack)
    if condition is PackCondition.SILENT:
        return AlarmCause(message("cause.pack_silent", silent_s=silent_s), silent_s, unit="s", pack=pack)
    if condition is PackCondition.JOINING:
        return AlarmCause(message("cause.pack_joining", apart_v=apart_v), apart_v, unit="V", pack=pack)
    if condition is PackCondition.ODD:
        told = message("cause.pack_double", device=device)
        if not device:
            told = message("cause.pack_odd", cells=cells, expected=expected)
        return AlarmCause(told, pack=pack)
    return None


def alarms_together(
    before: Alarms,
    packs: Mapping[str, Alarms],
    conditions: Iterable[tuple[AlarmLevel, AlarmCause]],
) -> Alarms:
    """Return the alarms of the battery; the same object while no level has changed, nor which pack it is of, and why.

    ``packs``: of those that are seen. ``conditions``: what the parts of the packs in the battery are, with its level.
    """
    levels: dict[AlarmName, AlarmLevel] = {}
    worst: dict[AlarmName, str] = {}
    for pack, alarms in packs.items():
        for name, level in alarms.levels.items():
            if name not in levels or level > levels[name]:
                levels[name], worst[name] = level, pack
    told: AlarmCause | None = None
    for level, cause in conditions:
        if told is None or level > levels[AlarmName.BMS_INTERNAL]:
            if level > levels.get(AlarmName.BMS_INTERNAL, AlarmLevel.OK):
                told = cause
                levels[AlarmName.BMS_INTERNAL] = level
                worst.pop(AlarmName.BMS_INTERNAL, None)
            levels.setdefault(AlarmName.BMS_INTERNAL, AlarmLevel.OK)
    causes = {
        name: replace(found, pack=worst[name])
        for name in levels
        if name in worst and (found := packs[worst[name]].causes.get(name)) is not None
    }
    if told is not None:
        causes[AlarmName.BMS_INTERNAL] = told
    if levels == before.levels and _places(causes) == _places(before.causes):
        return before
    return Alarms(MappingProxyType(levels), MappingProxyType(causes))


def _places(causes: Mapping[AlarmName, AlarmCause]) -> dict[AlarmName, tuple[str, str]]:
    """Return of which pack each alarm is, and why, without the value, which moves."""
    return {name: (cause.pack, cause.message.code) for name, cause in causes.items()}
