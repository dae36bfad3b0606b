"""Stage 4: CCL and DCL follow cell voltage, temperature, state of charge and the health of the link, by curves.

Defaults hang on the BMS's own thresholds, so that they fit any chemistry: a curve ends where the BMS itself would cut
off. A missing sensor or value leaves its curve out; the other curves and the BMS's own protection remain.
"""

from collections.abc import Iterator

from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.curves import Curve
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import LimitCode, Quantity

__all__ = ["derate"]

_CURVES = {
    Quantity.CCL: ("charge_by_cell_voltage", "charge_by_temperature", "charge_by_soc"),
    Quantity.DCL: ("discharge_by_cell_voltage", "discharge_by_temperature", "discharge_by_soc"),
}

_BY_AGE = Curve(((1.5, 1.0), (3.0, 0.5)))
"""Charging gives way while samples become rare, before HOLD ends it."""


def derate(draft: Draft, context: Context, age_s: float | None) -> None:
    """Lower CCL and DCL to the smallest fraction of their base that any curve leaves."""
    for quantity in (Quantity.CCL, Quantity.DCL):
        base_a = draft[quantity]
        for value, curve, code, detail in _influences(quantity, context, age_s):
            fraction = curve.at(value)
            if fraction < 1.0:
                draft.lower(quantity, base_a * fraction, code, value=value, threshold=fraction, detail=detail)


def _influences(
    quantity: Quantity, context: Context, age_s: float | None
) -> Iterator[tuple[float, Curve, LimitCode, str]]:
    cells, temperatures = context.snapshot.cells, context.snapshot.temperatures
    curves = context.curves
    voltage_curve, temperature_curve, soc_curve = (curves[name] for name in _CURVES[quantity])
    if quantity is Quantity.CCL:
        yield cells.max_v, voltage_curve, LimitCode.CELL_VOLTAGE, f"cell {cells.max_number}"
        if age_s is not None:
            yield age_s, _BY_AGE, LimitCode.LINK, ""
    else:
        yield cells.min_v, voltage_curve, LimitCode.CELL_VOLTAGE, f"cell {cells.min_number}"
    for celsius in (temperatures.coldest_c, temperatures.hottest_c):
        if celsius is not None:
            yield celsius, temperature_curve, LimitCode.TEMPERATURE, ""
    yield context.snapshot.pack.soc_percent, soc_curve, LimitCode.SOC, ""
