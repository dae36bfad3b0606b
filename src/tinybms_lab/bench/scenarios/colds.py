"""Cold days with units of different settings: frost plates lithium where too much flows in."""

from dataclasses import replace

from tinybms_lab.bench.battery import BatteryPlan
from tinybms_lab.bench.scenario import Scenario
from tinybms_lab.bench.scenarios.parts import SELLING, pack, top_balanced
from tinybms_lab.bench.weather import ClearSky, Clouds, Constant, Swing
from tinybms_lab.gx.dvcc import SystemPlan

__all__ = ["SCENARIOS"]

_AIR = Swing(5.0, 8.0, lowest_h=5.0)
"""From -3 to 13 °C."""
_DAYS = 2
_CLOUDS_C = 6.0


def _cold(
    name: str,
    title: str,
    cutoff_c: float,
    frost_c: int,
    *,
    battery: BatteryPlan = BatteryPlan(soc=0.3, temperature_c=2.0),  # noqa: B008 -- frozen
    system: SystemPlan | None = None,
    start_h: float = 4.0,
) -> Scenario:
    """Return two cold days; ``cutoff_c``: register 318 in C, ``frost_c``: register 320."""
    registers = replace(battery.kind.settings, low_temperature_charge_c=frost_c)
    plan = replace(top_balanced(battery), charge_cutoff_a=cutoff_c * battery.capacity_ah, registers=registers)
    solar_max_a = min(0.8 * battery.capacity_ah, 0.9 * plan.charge_cutoff_a)
    return Scenario(
        name,
        title,
        battery=plan,
        system=replace(system or SystemPlan(), solar_max_a=solar_max_a),
        sun=ClearSky(0.6 * battery.capacity_ah * battery.cells * battery.kind.ocv_v(0.5), 7.5, 17.0),
        load=Constant(0.015 * battery.capacity_ah * battery.cells * battery.kind.ocv_v(0.5)),
        ambient=_AIR,
        start_h=start_h,
        hours=24.0 * _DAYS,
        longest_step_s=30.0,
        expects_float=False,
        most_short_percent=100.0,
    )


def _clouds(name: str, title: str, battery: BatteryPlan, export_c: float) -> Scenario:
    """Return a morning of clouds at 6 °C in which ``export_c`` of 0.7C of sun may be sold, as multiples of 1C."""
    one_c_w = battery.capacity_ah * battery.cells * battery.kind.ocv_v(0.5)
    return Scenario(
        name,
        title,
        battery=replace(battery, temperature_c=_CLOUDS_C),
        system=replace(SELLING, export_max_w=export_c * one_c_w),
        sun=Clouds(ClearSky(0.7 * one_c_w), seed=7),
        load=Constant(0.05 * one_c_w),
        ambient=Constant(_CLOUDS_C),
        start_h=9.0,
        hours=3.0,
        longest_step_s=2.0,
        expects_float=False,
        most_short_percent=100.0,
    )


SCENARIOS = (
    _cold("cold-02c", "Two cold days, register 318 at 0.2C, 320 at 1 °C", 0.2, 1),
    _cold("cold-07c", "Two cold days, register 318 at 0.7C, 320 at 0 °C", 0.7, 0),
    _cold("cold-1c", "Two cold days, register 318 at 1C, 320 at 1 °C", 1.0, 1),
    _cold(
        "cold-1c-sale",
        "The same while surplus is sold, from noon on",
        1.0,
        1,
        battery=BatteryPlan(soc=0.3, temperature_c=12.0),
        system=SELLING,
        start_h=11.0,
    ),
    _cold("cold-unguarded", "Two cold days, register 318 at 1.2C and 320 at -20 °C: no guard at all", 1.2, -20),
    _clouds("cold-clouds-sale", "Clouds over cells at 6 °C while most is sold", pack("lfp", 16, 280.0, 0.5), 0.3),
    _clouds("cold-clouds-lfp-8", "The same with 8 cells of 20 Ah", pack("lfp", 8, 20.0, 0.5), 0.3),
    _clouds("cold-clouds-lfp-4", "The same with 4 cells of 100 Ah, and all is sold", pack("lfp", 4, 100.0, 0.5), 1.0),
    _cold(
        "cold-li-ion",
        "Two cold days with 14 Li-ion cells, register 318 at 1C, 320 at -20 °C",
        1.0,
        -20,
        battery=BatteryPlan("li-ion", 14, 100.0, soc=0.3, temperature_c=2.0),
    ),
)
"""In the order of the table."""
