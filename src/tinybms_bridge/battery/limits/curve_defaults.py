"""The derating curves that follow from the BMS's own settings."""

import math
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from tinybms_bridge.battery.limits.curves import Curve
from tinybms_bridge.battery.snapshot import Ratings

__all__ = ["CURVE_NAMES", "charge_by_cell_before", "curves_for", "head_room_v", "rising"]

CURVE_NAMES = (
    "charge_by_cell_voltage",
    "discharge_by_cell_voltage",
    "charge_by_temperature",
    "discharge_by_temperature",
    "charge_by_soc",
    "discharge_by_soc",
)

_LEVEL = Curve(((0.0, 1.0),))

_MOST_HEAD_ROOM_V = 0.15
"""An over-voltage cutoff further away belongs to another chemistry: many LFP units keep a cutoff of 4.2 V."""

_CHARGE_SLOPES_K = 30.0
"""Room that both ends of charging need; with less between registers 320 and 319 they are steeper."""


def head_room_v(ratings: Ratings) -> float:
    """Return the cell voltage between full charge (register 300) and the over-voltage cutoff (315) that may be used."""
    return min(ratings.over_voltage_cell_v - ratings.fully_charged_cell_v, _MOST_HEAD_ROOM_V)


def charge_by_cell_before(ratings: Ratings) -> Curve:
    """Return the curve around register 300.

    It falls from half the head room below full charge to zero at four fifths of it above, before the over-voltage
    cutoff (315).
    """
    full_v, room_v = ratings.fully_charged_cell_v, head_room_v(ratings)
    return rising(
        (full_v - 0.5 * room_v, 1.0), (full_v, 0.4), (full_v + 0.4 * room_v, 0.1), (full_v + 0.8 * room_v, 0.0)
    )


@lru_cache(maxsize=8)
def curves_for(
    ratings: Ratings, chosen: tuple[tuple[str, Curve], ...] = (), by_cell: Curve | None = None
) -> Mapping[str, Curve]:
    """Return every curve by name: the user's where there is one (name, curve), else the default for this BMS.

    Charge by cell voltage is ``by_cell``, or what it was before there were values by chemistry. Discharge near empty
    follows the resistance of the cells, and no curve. Charge by temperature is zero where the BMS stops charging (320)
    and full 14 K above; both directions end at its heat cutoff (319).
    """
    cold_c, hot_c = ratings.low_temperature_charge_c, ratings.over_heat_c
    share = max(0.0, min(1.0, (hot_c - cold_c) / _CHARGE_SLOPES_K))
    defaults = {
        "charge_by_cell_voltage": charge_by_cell_before(ratings) if by_cell is None else by_cell,
        "discharge_by_cell_voltage": _LEVEL,
        "charge_by_temperature": rising(
            (cold_c, 0.0),
            (cold_c + 4.0 * share, 0.25),
            (cold_c + 9.0 * share, 0.6),
            (cold_c + 14.0 * share, 1.0),
            (hot_c - 15.0 * share, 1.0),
            (hot_c - 5.0 * share, 0.4),
            (hot_c, 0.0),
        ),
        "discharge_by_temperature": rising((-40.0, 0.0), (-30.0, 0.3), (-20.0, 1.0), (hot_c - 10.0, 1.0), (hot_c, 0.0)),
        "charge_by_soc": _LEVEL,
        "discharge_by_soc": _LEVEL,
    }
    return MappingProxyType({**defaults, **dict(chosen)})


def rising(*points: tuple[float, float]) -> Curve:
    """Return the curve through points, leaving out those that do not lie below their successor.

    Thresholds of a BMS may lie so close together that points cross, such as a heat cutoff of 20 °C.
    """
    kept: list[tuple[float, float]] = []
    for point in reversed(points):
        if math.isfinite(point[0]) and (not kept or point[0] < kept[0][0]):
            kept.insert(0, point)
    return Curve(tuple(kept)) if kept else _LEVEL
