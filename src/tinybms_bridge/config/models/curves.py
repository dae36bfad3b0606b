"""Section ``cvl.curves``: what fraction of the charge or discharge current is left, as points."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any

from tinybms_bridge.config.models.base import Meaning, Section
from tinybms_bridge.words import message

__all__ = ["Curves"]

_RULE = message("must_be.curve", point="[x, fraction]", example="[[0, 0], [10, 1]]")
_MOST_POINTS = 20


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6


def _is_curve(points: list[Any]) -> bool:
    if not 1 <= len(points) <= _MOST_POINTS:
        return False
    if not all(isinstance(point, list) and len(point) == 2 and all(map(_is_number, point)) for point in points):
        return False
    return all(a[0] < b[0] for a, b in pairwise(points)) and all(0 <= fraction <= 1 for _, fraction in points)


def _curve(unit: str, title: str, help_: str) -> Meaning:
    return Meaning(title, help_, unit, rule=_RULE, holds=_is_curve)


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves(Section):
    """Derating of the currents; null = from the BMS's own settings."""

    charge_by_cell_voltage: Annotated[
        list[Any] | None,
        _curve("V", "Charge by cell voltage", "Fraction of the charge current; null = zero below register 315."),
    ] = None
    discharge_by_cell_voltage: Annotated[
        list[Any] | None,
        _curve(
            "V",
            "Discharge by cell voltage",
            "Fraction of the discharge current; null = by the resistance of the cells alone.",
        ),
    ] = None
    charge_by_temperature: Annotated[
        list[Any] | None,
        _curve("°C", "Charge by temperature", "Fraction of the charge current; null = between registers 320 and 319."),
    ] = None
    discharge_by_temperature: Annotated[
        list[Any] | None,
        _curve(
            "°C", "Discharge by temperature", "Fraction of the discharge current; null = from -40 °C to register 319."
        ),
    ] = None
    charge_by_soc: Annotated[
        list[Any] | None, _curve("%", "Charge by SOC", "Fraction of the charge current; null = 1.")
    ] = None
    discharge_by_soc: Annotated[
        list[Any] | None, _curve("%", "Discharge by SOC", "Fraction of the discharge current; null = 1.")
    ] = None
