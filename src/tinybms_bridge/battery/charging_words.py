"""What the values by chemistry change for a battery, in one sentence: told once, since nobody has asked for them."""

from dataclasses import replace

from tinybms_bridge.battery.limits import ChargeDefaults, Chemistry, LimitSettings, fit_to_battery
from tinybms_bridge.battery.limits.charging import charging_for
from tinybms_bridge.battery.snapshot import Ratings
from tinybms_bridge.words import Message, message

__all__ = ["defaults_changed", "narrow_remark"]


def defaults_changed(ratings: Ratings, settings: LimitSettings, lowest: Chemistry = Chemistry.LTO) -> Message | None:
    """Return what is charged otherwise than by earlier versions, and how to keep it; None where nothing is."""
    fit = fit_to_battery(ratings, settings, lowest)
    now = charging_for(ratings, settings, fit)
    if not now.by_chemistry:
        return None
    before = charging_for(ratings, replace(settings, defaults=ChargeDefaults.BEFORE), fit)
    rule = before.float_rule
    return message(
        "charge.defaults",
        chemistry=fit.chemistry.chemistry,
        target_v=now.target_v,
        before_target_v=before.target_v,
        float_v=now.float_v,
        before_float_v=before.float_v,
        before_float_percent=rule.soc_percent,
        hold_a=now.hold_a,
        before_hold_a=before.hold_a,
        protection_v=now.threshold_cell_v,
        before_protection_v=before.threshold_cell_v,
    )


def narrow_remark(ratings: Ratings, settings: LimitSettings, lowest: Chemistry = Chemistry.LTO) -> Message | None:
    """Return that the unit leaves too little room for the distances of the set; None where it does not."""
    if not charging_for(ratings, settings, fit_to_battery(ratings, settings, lowest)).narrow:
        return None
    return message("charge.narrow", full_v=ratings.fully_charged_cell_v, empty_v=ratings.under_voltage_cell_v)
