"""Parts that several scenarios share."""

from dataclasses import replace

from tinybms_lab.bench.battery import BatteryPlan, OddCell, target_cell_v
from tinybms_lab.bench.dirt import Dirt, SensorPlan
from tinybms_lab.bench.scenario import Bound, Scenario, What
from tinybms_lab.bench.weather import ClearSky, Constant, Profile
from tinybms_lab.gx.dvcc import SystemPlan

__all__ = [
    "BEGIN_S",
    "HOUR_S",
    "LIGHTS",
    "LI_ION",
    "LTO",
    "LTO_SALE_SHORT",
    "NEVER_SILENT",
    "NO_SALE",
    "SELLING",
    "SMALL_LFP",
    "STRONG_SUN",
    "UNEQUAL",
    "WEAK",
    "noon",
    "pack",
    "top_balanced",
    "untouched",
]

HOUR_S = 3600.0

LTO_SALE_SHORT = 5.0
"""CVL + 0.4 V stay 30 mV below register 300: with 12 LTO cells the target is 93 mV below it, and that is 3.5 %."""

SELLING = SystemPlan(feed_in=True, island=False)
NO_SALE = SystemPlan(feed_in=False, island=False)
STRONG_SUN = ClearSky(9000.0)
UNEQUAL = (OddCell(5, soc_offset=0.03),)
WEAK = (OddCell(9, capacity_factor=0.8, resistance_factor=3.0),)
SMALL_LFP = BatteryPlan(
    capacity_ah=100.0, charge_cutoff_a=100.0, discharge_cutoff_a=150.0, peak_cutoff_a=250.0, soc_spread=0.005
)
LI_ION = BatteryPlan(
    chemistry="li-ion",
    cells=14,
    capacity_ah=100.0,
    charge_cutoff_a=80.0,
    discharge_cutoff_a=150.0,
    peak_cutoff_a=250.0,
    soc=0.75,
)
LTO = BatteryPlan(chemistry="lto", cells=12, capacity_ah=200.0, soc=0.7)

BEGIN_S = 420.0
"""When dirt begins: CVL has risen to its target by then."""
LIGHTS = Bound(What.UNSERVED, most=1.0)
"""In an island the lights are on."""
NEVER_SILENT = Bound(What.SILENT, most=0.0)
"""Frames go on."""


def pack(
    chemistry: str,
    cells: int,
    capacity_ah: float,
    soc: float,
    *,
    temperature_c: float = 25.0,
    soc_error_percent: float = 0.0,
    odd: tuple[OddCell, ...] = (),
) -> BatteryPlan:
    """Return a battery of any size whose BMS cuts a charge above 1C and a load above 1.5C."""
    return BatteryPlan(
        chemistry=chemistry,
        cells=cells,
        capacity_ah=capacity_ah,
        soc=soc,
        odd=odd,
        temperature_c=temperature_c,
        charge_cutoff_a=capacity_ah,
        discharge_cutoff_a=1.5 * capacity_ah,
        peak_cutoff_a=2.0 * capacity_ah,
        soc_error_percent=soc_error_percent,
    )


def top_balanced(plan: BatteryPlan, spread: float = 0.02) -> BatteryPlan:
    """Return a battery whose cells differ in capacity, by so much at most, and are full all together."""
    steps = [2.0 * (5 * index % plan.cells) / (plan.cells - 1) - 1.0 for index in range(plan.cells)]
    odd = tuple(OddCell(index, capacity_factor=1.0 + spread * step) for index, step in enumerate(steps))
    return replace(plan, capacity_spread=0.0, soc_spread=0.0, odd=odd)


def noon(
    name: str,
    title: str,
    battery: BatteryPlan,
    dirt: tuple[Dirt, ...],
    bounds: tuple[Bound, ...],
    *,
    charge_c: float = 0.25,
    load_c: float = 0.05,
    system: SystemPlan = SystemPlan(),  # noqa: B008 -- frozen
    minutes: float = 15.0,
    poll_s: float = 0.1,
    step_s: float = 1.0,
    longest_step_s: float = 10.0,
    most_short_percent: float = 3.0,
    sensors: SensorPlan = SensorPlan(),  # noqa: B008 -- frozen
    load: Profile | None = None,
) -> Scenario:
    """Return some minutes at noon; sun and loads are multiples of the battery's capacity."""
    one_c_w = battery.capacity_ah * battery.cells * battery.kind.ocv_v(battery.soc)
    return Scenario(
        name,
        title,
        battery=battery,
        system=system,
        sun=Constant((charge_c + load_c) * one_c_w),
        load=Constant(load_c * one_c_w) if load is None else load,
        ambient=Constant(battery.temperature_c),
        start_h=12.0,
        hours=minutes / 60.0,
        sensors=sensors,
        dirt=dirt,
        poll_s=poll_s,
        step_s=step_s,
        longest_step_s=longest_step_s,
        most_short_percent=most_short_percent,
        bounds=bounds,
        expects_float=False,
    )


def untouched(battery: BatteryPlan, charge_c: float = 0.25, minutes: float = 15.0) -> tuple[Bound, ...]:
    """Return what holds while no reading counts that is not confirmed: limits stand, the sun flows."""
    ratings = battery.ratings()
    least_v = ratings.series_cells * target_cell_v(battery.chemistry, ratings.fully_charged_cell_v) - 0.25
    least_ah = 0.9 * charge_c * battery.capacity_ah * (minutes * 60.0 - BEGIN_S) / 3600.0
    return (
        Bound(What.CVL, least=least_v, from_s=BEGIN_S - 10.0),
        Bound(What.CCL, least=0.89 * ratings.charge_over_current_a, from_s=BEGIN_S - 10.0),
        Bound(What.DCL, least=0.89 * ratings.discharge_over_current_a, from_s=BEGIN_S - 10.0),
        Bound(What.CHARGED, least=least_ah, from_s=BEGIN_S),
    )
