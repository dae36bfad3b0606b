"""What can be asked for: the fields with their units, and the SQL that makes each of their series."""

from collections.abc import Callable
from dataclasses import dataclass

from tinybms_bridge.services.history.fields import CHARGE_STATES, FRESHNESS, GROUPS, Group, Quantity

__all__ = ["FIELDS", "Cell", "Field", "Series", "series_named"]

Cell = float | int | str | None

_SHIFT = 10**9
"""Above the size of any stored number."""


@dataclass(frozen=True, slots=True)
class Series:
    """One list of values."""

    sql: str
    """Expression over the rows of one step."""
    shown: Callable[[float | int | None], Cell] = lambda value: value
    """Turns what the database gives into what people read."""


@dataclass(frozen=True, slots=True)
class Field:
    """Something that can be asked for, with its series by name."""

    name: str
    unit: str
    text: str
    series: dict[str, Series]


def _of_quantity(group: Group, quantity: Quantity) -> Field:
    total, least, greatest = quantity.columns
    # Whole numbers divided by the scale have few decimals by themselves; SQLite's round() is slow. The shift keeps
    # the rounding of negative means right, and dividing by no rows at all gives null.
    rows = f"sum({group.counter})"
    mean = f"(sum({total}) + {rows} * {_SHIFT} + {rows} / 2) / {rows} - {_SHIFT}"
    expressions = {"mean": f"({mean})", "min": f"min({least})", "max": f"max({greatest})"}
    series = {name: Series(f"{expression} / {quantity.scale}.0") for name, expression in expressions.items()}
    return Field(quantity.name, quantity.unit, quantity.text, series)


def _name_in(names: tuple[str, ...]) -> Callable[[float | int | None], Cell]:
    return lambda value: None if value is None else str(names[int(value)])


# The state of the latest row: the time above the lower three bits, which hold the state.
_LAST_STATE = "max(start_s * 8 + charge_state) & 7"

_OTHERS = (
    Field(
        "charge_state",
        "",
        "Charge state at the end, while limits are sent",
        {"last": Series(_LAST_STATE, _name_in(CHARGE_STATES))},
    ),
    Field(
        "freshness",
        "",
        "Worst freshness of the data",
        {"worst": Series("max(freshness)", _name_in(FRESHNESS))},
    ),
    Field("charged_wh", "Wh", "Energy into the battery", {"sum": Series("sum(charged_mwh) / 1000.0")}),
    Field("discharged_wh", "Wh", "Energy out of the battery", {"sum": Series("sum(discharged_mwh) / 1000.0")}),
    Field("fresh_s", "s", "Time with fresh data", {"sum": Series("sum(fresh_s)")}),
    Field("samples", "", "Number of samples", {"sum": Series("sum(samples)")}),
)

FIELDS: dict[str, Field] = {
    field.name: field
    for field in (*(_of_quantity(group, each) for group in GROUPS for each in group.quantities), *_OTHERS)
}
"""Every field by its name."""


def series_named(name: str) -> Series:
    """Return a series by the names of its field and itself, for example ``voltage_v.mean``. Raises KeyError."""
    field, _, series = name.partition(".")
    return FIELDS[field].series[series]
