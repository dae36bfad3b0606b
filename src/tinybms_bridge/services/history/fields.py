"""What is kept: the quantities with their units and columns; and what can be asked for, with the SQL of each series.

Values are kept as whole numbers of a small unit, for example 0.1 mV: that is a third of the size of decimals, and sums
of them are exact.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import ChargeState, Limits
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.services.history.columns import StoredColumn, Unite
from tinybms_bridge.services.ports import HistoryField

__all__ = [
    "BMS_COUNT",
    "CHARGE_STATES",
    "COLUMNS",
    "COUNTERS",
    "FIELDS",
    "FRESHNESS",
    "GROUPS",
    "LINE",
    "MEASURED",
    "PACK",
    "PACK_COLUMNS",
    "PACK_FIELDS",
    "STEP_COLUMNS",
    "TEMPERATURE",
    "Cell",
    "Group",
    "RecordedCounter",
    "RecordedField",
    "RecordedQuantity",
    "Series",
    "bms_count_values",
    "cell_number",
    "limit_values",
    "pack_values",
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


_OF_QUANTITY = (Unite.SUM, Unite.LEAST, Unite.GREATEST)


@dataclass(frozen=True, slots=True)
class Group:
    """Quantities that are known together, with the column that counts how often they were."""

    counter: str
    quantities: tuple[RecordedQuantity, ...]

    @property
    def columns(self) -> tuple[StoredColumn, ...]:
        """Columns of the quantities, in their order."""
        return tuple(
            StoredColumn(name, unite)
            for quantity in self.quantities
            for name, unite in zip(quantity.columns, _OF_QUANTITY, strict=True)
        )


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

LINE = Group(
    "line_looks",
    (RecordedQuantity("latency_ms", "ms", 10, "Time from a request to the BMS to its reply, looked at once a second"),),
)

GROUPS = (PACK, TEMPERATURE, LIMITS, BMS_COUNT, LINE)
"""Every quantity, in the order of the columns."""

MEASURED = (PACK, TEMPERATURE)
"""What is kept of each pack as well."""


@dataclass(frozen=True, slots=True)
class RecordedCounter:
    """Something that the bridge counts."""

    name: str
    text: str


COUNTERS = (
    RecordedCounter("uart_polls", "Transactions with the BMS"),
    RecordedCounter("uart_errors", "Transactions that failed after all attempts"),
    RecordedCounter("uart_timeouts", "Attempts without a complete reply"),
    RecordedCounter("uart_crc_errors", "Attempts with a corrupted reply or request"),
    RecordedCounter("uart_retries", "Attempts beyond the first"),
    RecordedCounter("uart_garbage_bytes", "Received bytes that belong to no reply"),
    RecordedCounter("can_tx_count", "CAN frames sent"),
    RecordedCounter("can_tx_errors", "CAN frames that could not be sent"),
    RecordedCounter("can_rx_count", "CAN frames received"),
    RecordedCounter("can_rx_errors", "CAN frames lost or disturbed on their way in"),
    RecordedCounter("can_bus_off_count", "Times that the CAN controller left the bus"),
    RecordedCounter("can_outages", "Times that the CAN adapter was lost"),
    RecordedCounter("bus_events", "Events on the bus of the services"),
    RecordedCounter("bus_overruns", "Events that a part of the services was too slow for"),
)
"""What is kept as the number in each step."""

CHARGE_STATES = tuple(ChargeState)
"""A state is kept as its place here; fewer than eight, see the query."""

FRESHNESS = (Freshness.FRESH, Freshness.STARTING, Freshness.HOLD, Freshness.SILENT)
"""Freshness is kept as its place here, so that the greatest is the worst."""

STEP_COLUMNS = (
    *(StoredColumn(group.counter) for group in GROUPS),
    *(column for group in GROUPS for column in group.columns),
    StoredColumn("charged_mwh"),
    StoredColumn("discharged_mwh"),
    StoredColumn("fresh_s"),
    StoredColumn("charge_state", Unite.LATEST),
    StoredColumn("freshness", Unite.GREATEST),
    *(StoredColumn(counter.name) for counter in COUNTERS),
)
COLUMNS = tuple(column.name for column in STEP_COLUMNS)
"""The columns of a row of the battery after its beginning."""

PACK_COLUMNS = (
    *(StoredColumn(group.counter) for group in MEASURED),
    *(column for group in MEASURED for column in group.columns),
    StoredColumn("charged_mwh"),
    StoredColumn("discharged_mwh"),
    StoredColumn("fresh_s"),
)
"""The columns of a row of one pack after its key."""


def cell_number(voltage_v: float) -> int:
    """Return the stored number of the voltage of a cell."""
    return round(voltage_v * 10_000.0)


def pack_values(snapshot: Snapshot) -> list[int]:
    """Return the stored numbers of ``PACK``."""
    pack, cells = snapshot.pack, snapshot.cells
    lowest, highest = cell_number(cells.min_v), cell_number(cells.max_v)
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


def _sum(name: str, unit: str, text: str, column: str = "", scale: int = 1) -> RecordedField:
    expression = f"sum({column or name})"
    return _field(name, unit, text, {"sum": Series(expression if scale == 1 else f"{expression} / {scale}.0")})


_STATES = (
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
)
_SUMS = (
    _sum("charged_wh", "Wh", "Energy into the battery", "charged_mwh", 1000),
    _sum("discharged_wh", "Wh", "Energy out of the battery", "discharged_mwh", 1000),
    _sum("fresh_s", "s", "Time with fresh data"),
    _sum("samples", "", "Number of samples"),
)
_LINES = (
    _field(
        "uart_failed_percent",
        "%",
        "Share of the transactions with the BMS that failed",
        {"mean": Series("round(100.0 * sum(uart_errors) / nullif(sum(uart_polls), 0), 3)")},
    ),
    *(_sum(counter.name, "", counter.text) for counter in COUNTERS),
)


def _by_name(groups: Sequence[Group], *others: RecordedField) -> dict[str, RecordedField]:
    quantities = (_of_quantity(group, each) for group in groups for each in group.quantities)
    return {field.shown.name: field for field in (*quantities, *others)}


FIELDS = _by_name(GROUPS, *_STATES, *_SUMS, *_LINES)
"""Every field of the battery by its name."""

PACK_FIELDS = _by_name(MEASURED, *_SUMS)
"""Every field of one pack by its name."""
