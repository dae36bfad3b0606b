"""Whether the BMS's own settings make sense: the limits are built on them."""

from tinybms_bridge.battery.snapshot import Ratings

__all__ = ["ratings_problems"]


def ratings_problems(ratings: Ratings) -> list[str]:
    """Return what contradicts the vendor's ranges and order (tinybms-protocol.md, 2.3 and 5.8); empty if sound."""
    problems = []
    if not 4 <= ratings.series_cells <= 16:
        problems.append(f"{ratings.series_cells} series cells (register 307), expected 4 to 16")
    order_v = (
        ratings.under_voltage_cell_v,
        ratings.fully_discharged_cell_v,
        ratings.fully_charged_cell_v,
        ratings.over_voltage_cell_v,
    )
    if not 0.8 <= order_v[0] < order_v[1] < order_v[2] < order_v[3] <= 4.5:
        shown = " < ".join(f"{volts:.3f}" for volts in order_v)
        problems.append(f"cell voltages of registers 316, 301, 300, 315 must rise from 0.8 to 4.5 V, found {shown}")
    for name, value_a in (
        ("charge over-current cutoff (register 318)", ratings.charge_over_current_a),
        ("discharge over-current cutoff (register 317)", ratings.discharge_over_current_a),
    ):
        if not 1.0 <= value_a <= 750.0:
            problems.append(f"{name} is {value_a:.0f} A, expected 1 to 750")
    if not 0.1 <= ratings.capacity_ah <= 655.0:
        problems.append(f"capacity (register 306) is {ratings.capacity_ah:.2f} Ah, expected 0.1 to 655")
    return problems
