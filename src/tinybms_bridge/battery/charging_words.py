"""What the values by chemistry change for a battery, in one sentence: told once, since nobody has asked for them."""

from dataclasses import replace

from tinybms_bridge.battery.limits import ChargeDefaults, Chemistry, LimitSettings, fit_to_battery
from tinybms_bridge.battery.limits.charging import charging_for
from tinybms_bridge.battery.snapshot import Ratings

__all__ = ["defaults_changed", "narrow_remark"]


def defaults_changed(ratings: Ratings, settings: LimitSettings, lowest: Chemistry = Chemistry.LTO) -> str:
    """Return what is charged otherwise than by earlier versions, and how to keep it; empty where nothing is."""
    fit = fit_to_battery(ratings, settings, lowest)
    now = charging_for(ratings, settings, fit)
    if not now.by_chemistry:
        return ""
    before = charging_for(ratings, replace(settings, defaults=ChargeDefaults.BEFORE), fit)
    rule = before.float_rule
    return (
        f"charge values now follow the chemistry ({fit.chemistry.chemistry}): target {now.target_v:.1f} V (before "
        f"{before.target_v:.1f} V), FLOAT {now.float_v:.1f} V with a full battery (before {before.float_v:.1f} V from "
        f"{rule.soc_percent:g} %), at {now.hold_a:.2g} A (before {before.hold_a:.2g} A), protection from "
        f"{now.threshold_cell_v:.3f} V per cell (before {before.threshold_cell_v:.3f} V); "
        "cvl.charge_defaults = before keeps the values of earlier versions"
    )


def narrow_remark(ratings: Ratings, settings: LimitSettings, lowest: Chemistry = Chemistry.LTO) -> str:
    """Return that the unit leaves too little room for the distances of the set; empty where it does not."""
    if not charging_for(ratings, settings, fit_to_battery(ratings, settings, lowest)).narrow:
        return ""
    return (
        f"registers 300 ({ratings.fully_charged_cell_v:g} V) and 316 ({ratings.under_voltage_cell_v:g} V) leave no "
        "room between the lowest CVL and full charge: target and protection are closer together than they should be"
    )
