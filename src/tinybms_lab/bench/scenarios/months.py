"""Weeks and months: what wears a battery, lets its count drift and leaves its cells unequal shows only there."""

from dataclasses import replace

from tinybms_lab.bench.battery import BatteryPlan, BmsKind
from tinybms_lab.bench.dirt import SensorPlan
from tinybms_lab.bench.scenario import Bar, Fault, FaultKind, Scenario
from tinybms_lab.bench.scenarios.parts import HOUR_S, SELLING, pack, top_balanced
from tinybms_lab.bench.weather import Days, Steps
from tinybms_lab.gx.dvcc import SystemPlan

__all__ = ["SCENARIOS"]

_DAY_S = 24.0 * HOUR_S
_WEEK = (1.0, 1.0, 0.6, 1.0, 0.3, 1.0, 0.15)
"""Strength of the sun on seven days."""
_LOW_POWER = SensorPlan(current_offset_a=0.02, current_noise_a=0.02, idle_a=0.08)
"""A board with a shunt, as small packs have it."""
_CHARGE_C, _LOAD_C = 0.28, 0.03
"""Strongest sun and mean load, as multiples of the capacity: the battery swings by half, and is full by noon."""
_WELL = Bar(high_h_per_day=1.0, high_h_usual_day=0.5, count_error_percent=3.0, count_from_h=40.0, top_percent=99.0)
"""What is asked of a battery whose cells are alike; the count has to be found within the first sunny day."""
_HOUSE = replace(top_balanced(BatteryPlan(soc=0.6)), finished_a=2.8)


def _month(
    name: str,
    title: str,
    battery: BatteryPlan,
    days: int = 30,
    *,
    system: SystemPlan | None = None,
    sensors: SensorPlan | None = None,
    bar: Bar = _WELL,
    faults: tuple[Fault, ...] = (),
    most_short_percent: float = 3.0,
) -> Scenario:
    """Return days of sun and cloud; sun and load fit the size of the battery."""
    one_c_w = battery.capacity_ah * battery.cells * battery.kind.ocv_v(0.5)
    load_w = _LOAD_C * one_c_w
    evenings = [(day * _DAY_S + hour * HOUR_S, share * load_w) for day in range(days) for hour, share in _EVENING]
    peaks_w = tuple(_CHARGE_C * one_c_w * _WEEK[day % len(_WEEK)] for day in range(days))
    solar_max_a = _CHARGE_C * battery.capacity_ah * 1.2
    plan = replace(system or SystemPlan(), solar_max_a=solar_max_a, export_max_w=0.35 * one_c_w)
    return Scenario(
        name,
        title,
        battery=battery,
        system=plan,
        sun=Days(peaks_w),
        load=Steps(0.7 * load_w, tuple(evenings)),
        start_h=0.0,
        hours=24.0 * days - 5.0,  # the last hours of a day only empty it
        sensors=sensors or SensorPlan(),
        faults=faults,
        step_s=5.0,
        longest_step_s=60.0,
        bar=bar,
        most_short_percent=most_short_percent,
    )


_EVENING = ((7.0, 1.0), (17.0, 1.8), (23.0, 0.7))
_UNEQUAL_BAR = Bar(balanced_after_days=20.0, count_error_percent=4.0, count_from_h=40.0)
_LFP_8, _LFP_4, _LI_ION, _LTO = (
    top_balanced(pack(chemistry, cells, capacity_ah, 0.6))
    for chemistry, cells, capacity_ah in (
        ("lfp", 8, 100.0),
        ("lfp", 4, 20.0),
        ("li-ion", 14, 100.0),
        ("lto", 12, 200.0),
    )
)


def _one_high(battery: BatteryPlan, by: float = 0.03) -> BatteryPlan:
    """Return a battery with one cell that is fuller than the rest."""
    odd = tuple(replace(cell, soc_offset=by) if cell.index == 5 else cell for cell in battery.odd)
    return replace(battery, odd=odd)


_UNLIKE = _one_high(_HOUSE, by=0.005)
"""So unequal that one cell comes to register 300 before the others."""
SCENARIOS = (
    _month(
        "drift-low",
        "30 days with a sensor that reads 0.3 A too little; on day 15 the BMS itself finds full",
        _HOUSE,
        sensors=SensorPlan(current_offset_a=-0.3),
        faults=(Fault(FaultKind.BMS_FULL, 14 * _DAY_S + 14 * HOUR_S, 120.0),),
    ),
    _month(
        "drift-high",
        "60 days with a sensor that reads 0.3 A too much; on day 20 the BMS itself finds full",
        _HOUSE,
        60,
        sensors=SensorPlan(current_offset_a=0.3),
        faults=(Fault(FaultKind.BMS_FULL, 19 * _DAY_S + 14 * HOUR_S, 120.0),),
    ),
    _month(
        "cell-high",
        "30 days with one cell 3 % (8.4 Ah) fuller",
        _one_high(_HOUSE),
        bar=_UNEQUAL_BAR,
        most_short_percent=4.0,
    ),
    _month(
        "cell-high-sale",
        "45 days with one cell 3 % fuller while surplus is sold",
        _one_high(_HOUSE),
        45,
        system=SELLING,
        bar=replace(_UNEQUAL_BAR, balanced_after_days=40.0, count_error_percent=5.5),  # full is not seen before
        most_short_percent=4.0,
    ),
    _month(
        "dual-port",
        "30 days with the BMS of the manual: its charger switch opens at register 300 and after a full charge",
        replace(_UNLIKE, bms=BmsKind.DUAL_PORT),
        bar=replace(_WELL, top_percent=98.5),  # until cells that are 1.4 Ah apart are alike
    ),
    _month(
        "single-port-sale",
        "30 days with its single port, which darkens the house, while surplus is sold",
        replace(_UNLIKE, bms=BmsKind.SINGLE_PORT),
        system=SELLING,
    ),
    _month(
        "dual-port-high",
        "30 days with the BMS of the manual and one cell 3 % fuller",
        replace(_one_high(_HOUSE), bms=BmsKind.DUAL_PORT),
        bar=_UNEQUAL_BAR,
        most_short_percent=4.0,
    ),
    _month("month-lfp-8", "30 days with 8 LFP cells of 100 Ah", _LFP_8),
    _month("month-lfp-4", "30 days with 4 LFP cells of 20 Ah", _LFP_4, sensors=_LOW_POWER),
    _month(
        "month-li-ion",
        "30 days with 14 Li-ion cells of 100 Ah",
        _LI_ION,
        bar=replace(_WELL, top_percent=86.0, full_percent=88.0),
        most_short_percent=8.0,
    ),
    _month(
        "month-lto",
        "30 days with 12 LTO cells of 200 Ah",
        _LTO,
        bar=replace(_WELL, top_percent=94.0, full_percent=94.0),
    ),
)
"""In the order of the table."""
