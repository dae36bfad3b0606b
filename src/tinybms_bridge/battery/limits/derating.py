"""Stage 4: CCL and DCL follow cell voltage, temperature, state of charge and the health of the link, by curves.

Defaults hang on the BMS's own thresholds, so that they fit any chemistry: a curve ends where the BMS itself would cut
off. An external sensor that never was there leaves its curve out; the other curves and the BMS's own protection
remain.

One that is lost goes on limiting charging with its last reading: a cable that breaks in frost must not leave the warm
board of the BMS to speak for the cells. With no sensor alive at all nobody knows how cold they are: the last readings
count for some seconds, then charging ends. Discharge goes on as it was: off grid its end switches the lights off, and
the BMS still protects its cells.

The reasons of its numbers: charge-control.md#stage-4-derating.
"""

import math
from dataclasses import dataclass

from tinybms_bridge.battery.limits.charging import WARM_C
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.curves import Curve
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import CCL, CVL, DCL, LimitCode, Quantity
from tinybms_bridge.battery.quick import by_last, maker, quick
from tinybms_bridge.battery.snapshot import Temperatures

__all__ = [
    "Reading",
    "SensorMemory",
    "charge_readings",
    "derate",
    "discharge_readings",
    "is_blind",
    "lost_sensors",
    "next_sensors",
    "stop_for_temperature",
]


Reading = tuple[float, str]
"""Degrees Celsius, and the name of a sensor that is lost; empty for one that measures."""

_BLIND_S = 10.0
"""So long the last reading stands for cells that weigh kilograms; a plug that shook comes back sooner."""

_BOARD = "board sensor"


@quick
@dataclass(frozen=True, slots=True)
class SensorMemory:
    """The last readings of what may be lost; it survives a restart."""

    external_1_c: float | None = None
    external_2_c: float | None = None
    internal_c: float | None = None
    """Of the board's own sensor."""
    blind_s: float = 0.0
    """Time without any sensor, up to that after which charging ends."""
    soc_percent: float | None = None
    """State of charge by the BMS that counted last, from which one that cannot be is counted on."""


_new_memory = maker(SensorMemory)


def next_sensors(
    memory: SensorMemory,
    temperatures: Temperatures,
    keep_lost: bool,
    elapsed_s: float = 0.0,
    soc_percent: float | None = None,
) -> SensorMemory:
    """Return the memory with these readings; without ``keep_lost`` an external sensor that is gone is forgotten."""
    first_c, second_c = _finite(temperatures.external_1_c), _finite(temperatures.external_2_c)
    board_c = _finite(temperatures.internal_c)
    if keep_lost:
        first_c = memory.external_1_c if first_c is None else first_c
        second_c = memory.external_2_c if second_c is None else second_c
    return _new_memory(
        first_c,
        second_c,
        memory.internal_c if board_c is None else board_c,
        0.0 if temperatures.pack_c else min(memory.blind_s + elapsed_s, _BLIND_S),
        memory.soc_percent if soc_percent is None else soc_percent,
    )


def is_blind(memory: SensorMemory, temperatures: Temperatures) -> bool:
    """Return whether nothing is known of the temperature any more."""
    return not temperatures.pack_c and (memory.blind_s >= _BLIND_S or not charge_readings(memory, temperatures))


@by_last
def charge_readings(memory: SensorMemory, temperatures: Temperatures) -> list[Reading]:
    """Return everything that limits charging."""
    readings = [(celsius, "") for celsius in temperatures.pack_c] + _lost(memory, temperatures)
    if not temperatures.pack_c and memory.internal_c is not None:
        readings.append((memory.internal_c, _BOARD))
    return readings


def discharge_readings(memory: SensorMemory, temperatures: Temperatures) -> list[Reading]:
    """Return everything that limits discharging: what is measured, and with no sensor alive what was."""
    if temperatures.pack_c or memory.internal_c is None:
        return [(celsius, "") for celsius in temperatures.pack_c]
    return [(memory.internal_c, _BOARD)]


def lost_sensors(memory: SensorMemory, temperatures: Temperatures) -> tuple[str, ...]:
    """Return the names of the sensors that are lost."""
    both = temperatures.external_2_c is not None or memory.external_2_c is None
    if both and temperatures.internal_c is not None and temperatures.external_1_c is not None:
        return ()  # as nearly always
    board = (_BOARD,) if temperatures.internal_c is None and _board_is_missed(memory, temperatures) else ()
    return tuple([name for _, name in _lost(memory, temperatures)]) + board


def _board_is_missed(memory: SensorMemory, temperatures: Temperatures) -> bool:
    return memory.internal_c is not None or not temperatures.pack_c


def _lost(memory: SensorMemory, temperatures: Temperatures) -> list[Reading]:
    lost: list[Reading] = []
    if temperatures.external_1_c is None and memory.external_1_c is not None:
        lost.append((memory.external_1_c, "external sensor 1"))
    if temperatures.external_2_c is None and memory.external_2_c is not None:
        lost.append((memory.external_2_c, "external sensor 2"))
    return lost


def _finite(celsius: float | None) -> float | None:
    return celsius if celsius is not None and math.isfinite(celsius) else None


_BY_AGE = Curve(((1.5, 1.0), (3.0, 0.5)))
"""Charging gives way while samples become rare, before HOLD ends it."""

_NONE_SEEN = SensorMemory()

_PLAY_C = 0.6
"""DCL rises again when the reading has come back by more than this: the noise of a sensor is within ± 0.3 K."""

_RESTART_FRACTION = 0.1
"""Charging that temperature has stopped begins again where the curve leaves this much, so that it does not flutter
at the edge (charge-control.md, stage 4)."""

_RESTART_COLD_C_RATE, _LITTLE_A = 0.02, 0.01
"""Cells that were too cold are charged again from 0.02C on, which is 0.8 K: more than the noise of a sensor."""

_HOT_C, _HOTTEST_C = 43.0, 48.0
"""Where CVL of hot cells goes down."""

_PROTECTING = frozenset({LimitCode.TEMPERATURE, LimitCode.SENSOR_LOST})
"""What these leave of CCL is enforced where chargers do not obey it."""


def derate(
    draft: Draft, context: Context, age_s: float | None, sensors: SensorMemory = _NONE_SEEN, left: float = 1.0
) -> float:
    """Lower CCL and DCL to the smallest fraction that any curve leaves of what the stages before allowed.

    Returns the fraction of DCL that temperature leaves; ``left`` is the one that was returned before.
    """
    _derate_charge(draft, context, age_s, sensors)
    return _derate_discharge(draft, context, sensors, left)


def _derate_charge(draft: Draft, context: Context, age_s: float | None, sensors: SensorMemory) -> None:
    curves, soc, cells = context.curves, context.soc, context.snapshot.cells
    # A curve tells what the cells bear. A hold current is far less and is not made less again: the BMS would no longer
    # read it, and bleeds no cell without. The set before took fractions of it.
    base_a = draft.first(CCL) if context.charging.by_chemistry else draft[CCL]
    curve = curves["charge_by_cell_voltage"]
    if curve.lowers(cells.max_v):
        _lower(draft, CCL, base_a, cells.max_v, curve, LimitCode.CELL_VOLTAGE, cell=cells.max_number)
    if age_s is not None and _BY_AGE.lowers(age_s):
        _lower(draft, CCL, base_a, age_s, _BY_AGE, LimitCode.LINK)
    curve = curves["charge_by_temperature"]
    for celsius, lost in charge_readings(sensors, context.snapshot.temperatures):
        if curve.lowers(celsius):
            _lower(draft, CCL, base_a, celsius, curve, _code(lost), lost)
        if celsius < WARM_C:
            _spare_the_cold(draft, context, celsius, lost)
        elif celsius > _HOT_C:
            _relieve_the_hot(draft, context, celsius)
    curve = curves["charge_by_soc"]
    if curve.lowers(soc.percent):
        _lower(draft, CCL, base_a, soc.percent, curve, LimitCode.SOC)


def _derate_discharge(draft: Draft, context: Context, sensors: SensorMemory, left: float) -> float:
    soc, cells, base_a = context.soc, context.snapshot.cells, draft[DCL]
    curves = context.curves
    curve = curves["discharge_by_cell_voltage"]
    if curve.lowers(cells.min_v):
        _lower(draft, DCL, base_a, cells.min_v, curve, LimitCode.CELL_VOLTAGE, cell=cells.min_number)
    left = _lower_for_warmth(draft, context, sensors, base_a, left)
    curve = curves["discharge_by_soc"]
    if curve.lowers(soc.to_discharge_percent):
        _lower(draft, DCL, base_a, soc.to_discharge_percent, curve, LimitCode.SOC)
    return left


def _lower_for_warmth(draft: Draft, context: Context, sensors: SensorMemory, base_a: float, left: float) -> float:
    """Lower DCL by temperature and return the fraction that is left: it falls at once and rises with some play.

    It is never above the curve, and not below the least of the curve within the play around the readings, so that it
    keeps nothing once they have gone away from where the curve lowers. A lost sensor ends no discharge: off grid that
    switches the lights off.
    """
    curve = context.curves["discharge_by_temperature"]
    most, least, celsius, lost = 1.0, 1.0, 0.0, ""
    for read_c, name in discharge_readings(sensors, context.snapshot.temperatures):
        if curve.lowers_within(read_c - _PLAY_C, read_c + _PLAY_C):
            at = curve.at(read_c)
            low = min(at, curve.at(read_c - _PLAY_C), curve.at(read_c + _PLAY_C))
            most = min(most, at)
            if low < least:
                least, celsius, lost = low, read_c, name
    left = min(max(left, least), most)
    if left < 1.0:
        draft.lower(DCL, base_a * left, _code(lost), value=celsius, threshold=left, detail=lost)
    return left


def _spare_the_cold(draft: Draft, context: Context, celsius: float, lost: str) -> None:
    """Lower CCL to what cells of this temperature bear, whatever registers 320 and 318 say."""
    limit_a, first_a = context.charging.cold_a(celsius), draft.first(CCL)
    if limit_a < first_a:
        draft.enforced_a = min(draft.enforced_a, limit_a)
        share = limit_a / first_a
        draft.lower(CCL, limit_a, _code(lost), value=celsius, threshold=share, detail=lost)


def _relieve_the_hot(draft: Draft, context: Context, celsius: float) -> None:
    """Lower CVL for hot cells that age at a high voltage, but not below the pack: nothing is discharged for it.

    Chargers that feed in stand above such a CVL: there what heat leaves of CCL is enforced, from the pack down.
    """
    charging, pack_v = context.charging, context.snapshot.pack.voltage_v
    share = min(1.0, (celsius - _HOT_C) / (_HOTTEST_C - _HOT_C))
    limit_v = charging.target_v - charging.relief_v * share * context.ratings.series_cells
    if charging.relief_v > 0.0 and not charging.feed_in:
        draft.lower(CVL, max(limit_v, pack_v, context.floor_v), LimitCode.HOT, value=celsius, threshold=_HOT_C)


def stop_for_temperature(draft: Draft, context: Context, stopped: bool, sensors: SensorMemory = _NONE_SEEN) -> bool:
    """Stop charging where the temperature leaves nothing of CCL, until it leaves a tenth; return whether it is stopped.

    CVL goes down as well, since CCL does not bind a solar charger that feeds in; the hysteresis keeps the noise of a
    sensor at the border from moving it.
    """
    if is_blind(sensors, context.snapshot.temperatures):
        draft.stop_charge(0.0, LimitCode.NO_TEMPERATURE)
        return True
    curve, charging = context.curves["charge_by_temperature"], context.charging
    fraction, celsius, name = 1.0, 0.0, ""
    for read_c, lost in charge_readings(sensors, context.snapshot.temperatures):
        left = curve.at(read_c)
        if read_c < WARM_C and (stopped or not charging.charges_at(read_c)):
            left = min(left, charging.cold_a(read_c) / _cold_full_a(draft.first(CCL), context.ratings.capacity_ah))
        if left < fraction:
            fraction, celsius, name = left, read_c, lost
    stopped = fraction <= 0.0 or (stopped and fraction < min(_RESTART_FRACTION, curve.most))
    if stopped:
        draft.stop_charge(0.0, _code(name), value=celsius, threshold=0.0, detail=name)
    return stopped


def _cold_full_a(first_a: float, capacity_ah: float) -> float:
    """Return the charge current of which cells that were too cold have to bear a tenth before they are charged."""
    return max(min(first_a, _RESTART_COLD_C_RATE / _RESTART_FRACTION * capacity_ah), _LITTLE_A)


def _lower(
    draft: Draft,
    quantity: Quantity,
    base_a: float,
    value: float,
    curve: Curve,
    code: LimitCode,
    detail: str = "",
    cell: int | None = None,
) -> None:
    """Lower a limit to what a curve leaves at a value; ``detail`` names a sensor that is lost."""
    fraction = curve.at(value)
    if fraction >= 1.0:
        return
    if quantity is CCL and code in _PROTECTING:
        draft.enforced_a = min(draft.enforced_a, draft.first(quantity) * fraction)
    draft.lower(quantity, base_a * fraction, code, value=value, threshold=fraction, detail=detail, cell=cell)


def _code(lost: str) -> LimitCode:
    return LimitCode.SENSOR_LOST if lost else LimitCode.TEMPERATURE
