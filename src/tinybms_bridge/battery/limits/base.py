"""Stage 1: the charge target and the currents, from the configuration or from the BMS's own settings."""

from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import LimitCode, Quantity, Reason

__all__ = ["base"]


def base(context: Context) -> Draft:
    """Return the first draft: the only stage that sets limits instead of lowering them.

    CVL: the configured target, or register 300 times the cells; never above the over-voltage bound, the ceiling or
    the user's alarm threshold, so that the offsets of the states count from a target that can be reached. CCL and
    DCL: the user's maximum bounded by registers 318 and 317 (305 where it is lower), or a share of those cutoffs.
    Registers 102 and 103 are statistics and play no part.
    """
    settings, ratings = context.settings, context.ratings
    discharge_cutoff_a = ratings.discharge_over_current_a
    if ratings.discharge_peak_current_a is not None:
        discharge_cutoff_a = min(discharge_cutoff_a, ratings.discharge_peak_current_a)
    draft = Draft(
        {
            Quantity.CVL: _target(context),
            Quantity.CCL: _current(
                Quantity.CCL,
                settings.max_charge_current_a,
                ratings.charge_over_current_a,
                settings.current_fraction,
            ),
            Quantity.DCL: _current(
                Quantity.DCL, settings.max_discharge_current_a, discharge_cutoff_a, settings.current_fraction
            ),
        }
    )
    draft.lower(
        Quantity.CVL,
        context.over_voltage_bound_v,
        LimitCode.OVER_VOLTAGE_MARGIN,
        value=draft[Quantity.CVL],
        threshold=context.over_voltage_bound_v,
    )
    draft.lower(Quantity.CVL, context.ceiling_v, LimitCode.CEILING, threshold=context.ceiling_v)
    if settings.alarm_voltage_v is not None:
        draft.lower(
            Quantity.CVL,
            settings.alarm_voltage_v,
            LimitCode.ALARM_THRESHOLD,
            threshold=settings.alarm_voltage_v,
        )
    return draft


def _target(context: Context) -> Reason:
    configured_v = context.settings.bulk_voltage_v
    if configured_v is not None:
        return Reason(Quantity.CVL, LimitCode.CONFIGURED, configured_v, value=configured_v)
    cell_v = context.ratings.fully_charged_cell_v
    return Reason(Quantity.CVL, LimitCode.BMS_TARGET, cell_v * context.ratings.series_cells, value=cell_v)


def _current(quantity: Quantity, configured_a: float | None, cutoff_a: float, fraction: float) -> Reason:
    if configured_a is not None and configured_a <= cutoff_a:
        return Reason(quantity, LimitCode.CONFIGURED, configured_a, value=configured_a)
    limit_a = cutoff_a if configured_a is not None else cutoff_a * fraction
    return Reason(quantity, LimitCode.BMS_CURRENT_CUTOFF, limit_a, value=cutoff_a, threshold=configured_a)
