"""Whether the BMS's own settings make sense: the limits are built on them."""

from tinybms_bridge.battery.snapshot import Ratings
from tinybms_bridge.words import Message, message

__all__ = ["ratings_problems"]


def ratings_problems(ratings: Ratings) -> list[Message]:
    """Return what contradicts the vendor's ranges and order (tinybms-protocol.md, 2.3 and 5.8); empty if sound."""
    problems = []
    if not 4 <= ratings.series_cells <= 16:
        problems.append(message("ratings.cells", cells=ratings.series_cells))
    order_v = (
        ratings.under_voltage_cell_v,
        ratings.fully_discharged_cell_v,
        ratings.fully_charged_cell_v,
        ratings.over_voltage_cell_v,
    )
    if not 0.8 <= order_v[0] < order_v[1] < order_v[2] < order_v[3] <= 4.5:
        problems.append(message("ratings.voltages", voltages_v=order_v))
    charge_a, discharge_a = ratings.charge_over_current_a, ratings.discharge_over_current_a
    if not 1.0 <= charge_a <= 750.0:
        problems.append(message("ratings.charge_current", value_a=charge_a))
    if not 1.0 <= discharge_a <= 750.0:
        problems.append(message("ratings.discharge_current", value_a=discharge_a))
    if not 0.1 <= ratings.capacity_ah <= 655.0:
        problems.append(message("ratings.capacity", value_ah=ratings.capacity_ah))
    return problems
