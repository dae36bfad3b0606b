"""Advice held against one BMS: what it does not take is said, what it holds already is left out."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tinybms_bridge.battery.advice import Advice
from tinybms_bridge.tinybms.settings.errors import SettingsError
from tinybms_bridge.tinybms.settings.plan import make_plan
from tinybms_bridge.tinybms.settings.table import Readout

__all__ = ["held_against"]


def held_against(advice: Sequence[Advice], readout: Readout) -> tuple[Advice, ...]:
    """Return the advice as it stands for a BMS with these settings, limits of its own and firmware."""
    return tuple(_held(advice, readout))


def _held(advice: Sequence[Advice], readout: Readout) -> Iterator[Advice]:
    for each in advice:
        if not each.setting:
            yield each
            continue
        try:
            plan = make_plan(readout, {each.setting: each.advised})
        except SettingsError as error:
            yield replace(each, obstacle="; ".join(problem.message for problem in error.problems))
            continue
        for change in plan.changes:
            yield replace(each, present=change.old)
