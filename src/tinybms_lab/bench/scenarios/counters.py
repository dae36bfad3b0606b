"""Counters of the BMS that have drifted."""

from tinybms_lab.bench.dirt import SensorPlan
from tinybms_lab.bench.scenario import Bound, Scenario, What
from tinybms_lab.bench.scenarios.parts import HOUR_S, LIGHTS, LTO_SALE_SHORT, SELLING, pack
from tinybms_lab.bench.weather import Constant, Days

__all__ = ["SCENARIOS"]

_DAY_S = 24.0 * HOUR_S
SCENARIOS = (
    Scenario(
        "count-empty",
        "A counter 50 % too low on a sunny day: it says 2 %, the cells are half full",
        battery=pack("lfp", 16, 280.0, 0.52, soc_error_percent=-50.0),
        sun=Constant(4000.0),
        start_h=10.0,
        hours=3.0,
        expects_float=False,
        bounds=(Bound(What.CHARGED, least=120.0), Bound(What.DCL, least=200.0, from_s=600.0), LIGHTS),
    ),
    Scenario(
        "count-empty-sale",
        "The same with Li-ion cells while surplus is sold",
        battery=pack("li-ion", 8, 20.0, 0.5, soc_error_percent=-48.0),
        system=SELLING,
        sun=Constant(300.0),
        load=Constant(50.0),
        start_h=10.0,
        hours=2.0,
        expects_float=False,
        most_short_percent=10.0,  # CVL + 0.4 V stay below register 300, with 8 cells 50 mV more than without feed-in
        bounds=(Bound(What.CHARGED, least=5.0),),
    ),
    Scenario(
        "count-empty-full",
        "LTO cells that are full and a counter that says 4 %, while surplus is sold",
        battery=pack("lto", 12, 100.0, 0.94, soc_error_percent=-90.0),  # full where CVL leaves room
        system=SELLING,
        sun=Constant(1500.0),
        load=Constant(300.0),
        start_h=11.0,
        hours=1.0,
        expects_float=False,
        bounds=(
            Bound(What.CHARGED, least=-1.0),
            Bound(What.CVL, least=12 * 2.4),
        ),
        most_short_percent=LTO_SALE_SHORT,
    ),
    Scenario(
        "count-full",
        "A counter 50 % too high: it says 98 %, the cells are half full",
        battery=pack("lfp", 8, 100.0, 0.48, soc_error_percent=50.0),
        sun=Constant(1000.0),
        load=Constant(150.0),
        start_h=10.0,
        hours=2.0,
        expects_float=False,
        bounds=(Bound(What.CHARGED, least=49.0), LIGHTS),
    ),
    Scenario(
        "count-full-li-ion",
        "The same with Li-ion cells",
        battery=pack("li-ion", 14, 280.0, 0.48, soc_error_percent=50.0),
        sun=Constant(4000.0),
        start_h=10.0,
        hours=2.0,
        expects_float=False,
        most_short_percent=12.0,  # a wrong count begins the small current of FLOAT at 4.03 V, where a cell holds 82 %
        bounds=(Bound(What.CHARGED, least=95.0), LIGHTS),
    ),
    Scenario(
        "count-drifts",
        "A sensor that reads 0.3 A too little: five grey days, and then the sun",
        battery=pack("lfp", 8, 100.0, 0.45),
        sensors=SensorPlan(current_offset_a=-0.3, idle_a=0.0),
        sun=Days((128.0, 128.0, 128.0, 128.0, 128.0, 1500.0)),
        load=Constant(40.0),
        start_h=0.0,
        hours=6 * 24.0 - 6.0,
        step_s=30.0,
        longest_step_s=120.0,
        expects_float=False,
        bounds=(Bound(What.CHARGED, least=35.0, from_s=5 * _DAY_S), LIGHTS),
    ),
)
"""In the order of the table."""
