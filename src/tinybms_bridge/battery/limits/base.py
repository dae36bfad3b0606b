"""Stage 1: the charge target and the currents, from the configuration or from the BMS's own settings."""

from collections.abc import Mapping

from tinybms_bridge.battery.limits.context import Context, fixed
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.fit import Fit
from tinybms_bridge.battery.limits.model import CCL, CVL, DCL, LimitCode, Quantity, Reason
from tinybms_bridge.battery.limits.settings import LimitSettings
from tinybms_bridge.battery.snapshot import Ratings

__all__ = ["base"]


def base(context: Context) -> Draft:
    """Return the first draft: the only stage that sets limits instead of lowering them.

    CVL: the configured target, or that of the chemistry, or register 300 times the cells; never above the latter, the
    over-voltage bound, the ceiling or the user's alarm threshold, so that the offsets of the states count from a target
    that can be reached.
    CCL and DCL: the user's maximum, or a share of registers 318 and 317 (305 where it is lower). A typed value that
    does not fit the battery is left out; where it is a voltage, the target is then a conservative one.
    Registers 102 and 103 are statistics and play no part.
    """
    return _first_draft(context).copy()


@fixed
def _first_draft(context: Context) -> Draft:
    ratings, fit, charging = context.ratings, context.fit, context.charging
    draft = Draft(_from_settings(ratings, context.settings, fit))
    full_v, cutoff_v, bound_v = ratings.fully_charged_cell_v, ratings.over_voltage_cell_v, fit.over_voltage_bound_v
    if full_v >= cutoff_v:  # this is the cause, and not the curve of a cell that follows from it
        draft.lower(CCL, 0.0, LimitCode.CROSSED_CUTOFFS, value=full_v, threshold=cutoff_v)
    draft.lower(CVL, bound_v, LimitCode.OVER_VOLTAGE_MARGIN, value=draft[CVL], threshold=bound_v)
    draft.lower(CVL, fit.ceiling_v, LimitCode.CEILING, threshold=fit.ceiling_v)
    draft.lower(CVL, fit.bms_target_v, LimitCode.BMS_TARGET, value=ratings.fully_charged_cell_v)
    if fit.alarm_v is not None:
        draft.lower(CVL, fit.alarm_v, LimitCode.ALARM_THRESHOLD, threshold=fit.alarm_v)
    if fit.conservative_v is not None:
        detail = ", ".join(misfit.name for misfit in fit.misfits)
        draft.lower(CVL, fit.conservative_v, LimitCode.MISFIT, threshold=fit.conservative_v, detail=detail)
    code = LimitCode.FEED_IN if charging.feed_in and charging.by_chemistry else LimitCode.CHEMISTRY
    cell_v, detail = charging.target_cell_v, str(fit.chemistry.chemistry)
    draft.lower(CVL, charging.target_v, code, value=cell_v, threshold=full_v, detail=detail)
    draft.target_v = draft[CVL]
    return draft


def _from_settings(ratings: Ratings, settings: LimitSettings, fit: Fit) -> Mapping[Quantity, Reason]:
    discharge_a = ratings.discharge_over_current_a
    if ratings.discharge_peak_current_a is not None:
        discharge_a = min(discharge_a, ratings.discharge_peak_current_a)
    charge_a, share = ratings.charge_over_current_a, settings.current_fraction
    return {
        CVL: _target(ratings, fit),
        CCL: _current(CCL, fit.charge_current_a, charge_a, share),
        DCL: _current(DCL, fit.discharge_current_a, discharge_a, share),
    }


def _target(ratings: Ratings, fit: Fit) -> Reason:
    if fit.bulk_v is not None:
        return Reason(CVL, LimitCode.CONFIGURED, fit.bulk_v, value=fit.bulk_v)
    return Reason(CVL, LimitCode.BMS_TARGET, fit.bms_target_v, value=ratings.fully_charged_cell_v)


def _current(quantity: Quantity, configured_a: float | None, cutoff_a: float, fraction: float) -> Reason:
    """Return the user's maximum; where there is none, or one above the cutoff, a share of the cutoff."""
    if configured_a is not None:
        return Reason(quantity, LimitCode.CONFIGURED, configured_a, value=configured_a)
    return Reason(quantity, LimitCode.BMS_CURRENT_CUTOFF, cutoff_a * fraction, value=cutoff_a)
