"""What is kept: the quantities with their units and columns; and what can be asked for, with the SQL of each series.

Values are kept as whole numbers of a small unit, for example 0.1 mV: that is a third of the size of decimals, and sums
of them are exact.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import ChargeState, Limits
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.services.ports import HistoryField

__all__ = [
    "BMS_COUNT",
    "CHARGE_STATES",
    "COLUMNS",
    "FIELDS",
    "FRESHNESS",
    "GROUPS",
    "Cell",
    "Group",
    "RecordedField",
    "RecordedQuantity",
    "Series",
    "bms_count_values",
    "limit_values",
    "pack_values",
    "series_named",
    "temperature_values",
]


@dataclass(frozen=True, slots=True)
class RecordedQuantity:
    """Something of which mean, least and greatest value are kept."""

    name: str
    unit: str
    scale: int
    """Stored number for a value of 1."""
    text: str

    @property
    def columns(self) -> tuple[str, str, str]:
        """Columns of sum, least and greatest value."""
        return f"{self.name}_sum", f"{self.name}_min", f"{self.name}_max"


@dataclass(frozen=True, slots=True)
class Group:
    """Quantities that are known together, with the column that counts how often they were."""

    counter: str
    quantities: tuple[RecordedQuantity, ...]


PACK = Group(
    "samples",
    (
        RecordedQuantity("voltage_v", "V", 1000, "Voltage of the pack"),
        RecordedQuantity("current_a", "A", 100, "Current, positive into the battery"),
        RecordedQuantity("power_w", "W", 10, "Power, positive into the battery"),
        RecordedQuantity("soc_percent", "%", 100, "State of charge"),
        RecordedQuantity("lowest_cell_mv", "mV", 10, "Voltage of the lowest cell"),
        RecordedQuantity("highest_cell_mv", "mV", 10, "Voltage of the highest cell"),
        RecordedQuantity("cell_delta_mv", "mV", 10, "Difference between the highest and the lowest cell"),
    ),
)

TEMPERATURE = Group(
    "temperatures",
    (
        RecordedQuantity("coldest_c", "°C", 10, "Temperature of the coldest sensor"),
        RecordedQuantity("hottest_c", "°C", 10, "Temperature of the hottest sensor"),
    ),
)

LIMITS = Group(
    "decisions",
    (
        RecordedQuantity("cvl_v", "V", 100, "Charge voltage limit, while limits are sent"),
        RecordedQuantity("ccl_a", "A", 10, "Charge current limit, while limits are sent"),
        RecordedQuantity("dcl_a", "A", 10, "Discharge current limit, while limits are sent"),
    ),
)

BMS_COUNT = Group(
    "bms_counts",
    (RecordedQuantity("bms_soc_percent", "%", 100, "State of charge by the BMS's own count"),),
)

GROUPS = (PACK, TEMPERATURE, LIMITS, BMS_COUNT)
"""Every quantity, in the order of the columns."""

CHARGE_STATES = tuple(ChargeState)
"""A state is kept as its place here; fewer than eight, see the query."""

FRESHNESS = (Freshness.FRESH, Freshness.STARTING, Freshness.HOLD, Freshness.SILENT)
"""Freshness is kept as its place here, so that the greatest is the worst."""

COLUMNS: tuple[str, ...] = (
    *(group.counter for group in GROUPS),
    *(column for group in GROUPS for quantity in group.quantities for column in quantity.columns),
    "charged_mwh",
    "discharged_mwh",
    "fresh_s",
    "charge_state",
    "freshness",
)
"""The columns of a row after its beginning."""


def pack_values(snapshot: Snapshot) -> list[int]:
    """Return the stored numbers of ``PACK``."""
    pack, cells = snapshot.pack, snapshot.cells
    lowest, highest = round(cells.min_v * 10_000.0), round(cells.max_v * 10_000.0)
    return [
        round(pack.voltage_v * 1000.0),
        round(pack.current_a * 100.0),
        round(pack.power_w * 10.0),
        round(pack.soc_percent * 100.0),
        lowest,
        highest,
        highest - lowest,
    ]


def temperature_values(snapshot: Snapshot) -> list[int] | None:
    """Return the stored numbers of ``TEMPERATURE``; None without a sensor."""
    coldest_c, hottest_c = snapshot.temperatures.coldest_c, snapshot.temperatures.hottest_c
    if coldest_c is None or hottest_c is None:
        return None
    return [round(coldest_c * 10.0), round(hottest_c * 10.0)]


def bms_count_values(snapshot: Snapshot) -> list[int] | None:
    """Return the stored numbers of ``BMS_COUNT``; None while the BMS gives no count that can be."""
    pack = snapshot.pack
    return [round(pack.counted_by_bms_percent * 100.0)] if pack.soc_known else None


def limit_values(limits: Limits) -> Sequence[int] | None:
    """Return the stored numbers of ``LIMITS``; None while nothing may be sent."""
    if not limits.may_send:
        return None
    return [round(limits.cvl_v * 100.0), round(limits.ccl_a * 10.0), round(limits.dcl_a * 10.0)]


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
class RecordedField:
    """Something that can be asked for, with the SQL of its series by name."""

    shown: HistoryField
    series: dict[str, Series]


def _field(name: str, unit: str, text: str, series: dict[str, Series]) -> RecordedField:
    return RecordedField(HistoryField(name, unit, text, tuple(series)), series)


def _of_quantity(group: Group, quantity: RecordedQuantity) -> RecordedField:
    total, least, greatest = quantity.columns
    # Whole numbers divided by the scale have few decimals by themselves; SQLite's round() is slow. The shift keeps
    # the rounding of negative means right, and dividing by no rows at all gives null.
    rows = f"sum({group.counter})"
    mean = f"(sum({total}) + {rows} * {_SHIFT} + {rows} / 2) / {rows} - {_SHIFT}"
    expressions = {"mean": f"({mean})", "min": f"min({least})", "max": f"max({greatest})"}
    series = {name: Series(f"{expression} / {quantity.scale}.0") for name, expression in expressions.items()}
    return _field(quantity.name, quantity.unit, quantity.text, series)


def _name_in(names: tuple[str, ...]) -> Callable[[float | int | None], Cell]:
    return lambda value: None if value is None else str(names[int(value)])


# The state of the latest row: the time above the lower three bits, which hold the state.
_LAST_STATE = "max(start_s * 8 + charge_state) & 7"

_OTHERS = (
    _field(
        "charge_state",
        "",
        "Charge state at the end, while limits are sent",
        {"last": Series(_LAST_STATE, _name_in(CHARGE_STATES))},
    ),
    _field(
        "freshness",
        "",
        "Worst freshness of the data",
        {"worst": Series("max(freshness)", _name_in(FRESHNESS))},
    ),
    _field("charged_wh", "Wh", "Energy into the battery", {"sum": Series("sum(charged_mwh) / 1000.0")}),
    _field("discharged_wh", "Wh", "Energy out of the battery", {"sum": Series("sum(discharged_mwh) / 1000.0")}),
    _field("fresh_s", "s", "Time with fresh data", {"sum": Series("sum(fresh_s)")}),
    _field("samples", "", "Number of samples", {"sum": Series("sum(samples)")}),
)

FIELDS: dict[str, RecordedField] = {
    field.shown.name: field
    for field in (*(_of_quantity(group, each) for group in GROUPS for each in group.quantities), *_OTHERS)
}
"""Every field by its name."""


def series_named(name: str) -> Series:
    """Return a series by the names of its field and itself, for example ``voltage_v.mean``. Raises KeyError."""
    field, _, series = name.partition(".")
    return FIELDS[field].series[series]
