"""Other batteries and other instruments.

Other chemistries, other cell counts, cells that are not what they should be; instruments that disagree, counts that are
wrong, and air that is too cold.
"""

from tinybms_lab.bench.battery import BatteryPlan, OddCell
from tinybms_lab.bench.dirt import SensorPlan
from tinybms_lab.bench.scenario import Scenario
from tinybms_lab.bench.scenarios.parts import LI_ION, LTO, LTO_SALE_SHORT, SELLING, STRONG_SUN, WEAK
from tinybms_lab.bench.weather import ClearSky, Clouds, Constant, Swing
from tinybms_lab.gx.dvcc import SystemPlan

__all__ = ["SCENARIOS"]

_FOUR = BatteryPlan(cells=4, soc=0.85)
_EIGHT = BatteryPlan(cells=8, soc=0.85)
_LI_ION_SHORT = 7.0
"""The target is 40 mV below register 300, where the slope of Li-ion keeps 3.5 % of the charge, and FLOAT 30 mV below
that: more is the owner's choice, at the cost of the life of the cells (charging-physics.md, 2)."""
_COLD = BatteryPlan(temperature_c=-6.0, soc=0.85)
_FROST = Swing(1.0, 14.0, lowest_h=4.0)

SCENARIOS = (
    Scenario("li-ion", "14 Li-ion cells", battery=LI_ION, sun=ClearSky(3000.0), most_short_percent=_LI_ION_SHORT),
    Scenario(
        "li-ion-feed-in",
        "14 Li-ion cells while surplus is sold",
        battery=LI_ION,
        system=SELLING,
        sun=ClearSky(4000.0),
        expects_float=False,  # it is reached, but more than 5 % below what the ideal charger stores at register 300
        most_short_percent=_LI_ION_SHORT,
    ),
    Scenario("lto", "12 LTO cells", battery=LTO, sun=ClearSky(3500.0)),
    Scenario(
        "lto-feed-in",
        "12 LTO cells while surplus is sold",
        battery=LTO,
        system=SELLING,
        sun=ClearSky(4500.0),
        most_short_percent=LTO_SALE_SHORT,
    ),
    Scenario("lfp-4", "4 LFP cells, 12 V", battery=_FOUR, sun=ClearSky(1500.0), load=Constant(80.0)),
    Scenario(
        "lfp-4-feed-in",
        "4 LFP cells, where 0.4 V are 100 mV per cell",
        battery=_FOUR,
        system=SELLING,
        sun=ClearSky(1800.0),
        load=Constant(80.0),
    ),
    Scenario("lfp-8", "8 LFP cells, 24 V", battery=_EIGHT, sun=ClearSky(3000.0), load=Constant(150.0)),
    Scenario("weak-cell", "One cell with 80 % capacity and three times the resistance", battery=BatteryPlan(odd=WEAK)),
    Scenario(
        "weak-cell-feed-in",
        "The weak cell while surplus is sold",
        battery=BatteryPlan(odd=WEAK),
        system=SELLING,
        sun=STRONG_SUN,
        hours=5.0,
    ),
    Scenario(
        "failing-cell",
        "A cell whose resistance grows by that of three new cells every hour",
        battery=BatteryPlan(odd=(OddCell(12, capacity_factor=0.9, soc_offset=0.01, failing_per_h=3.0),)),
        sun=Clouds(STRONG_SUN, seed=7),
    ),
    Scenario(
        "reads-low",
        "Chargers and inverter read 0.3 V too little",
        system=SystemPlan(charger_offset_v=-0.3, inverter_offset_v=-0.3),
    ),
    Scenario(
        "reads-low-feed-in",
        "They read 0.3 V too little while surplus is sold",
        system=SystemPlan(feed_in=True, island=False, charger_offset_v=-0.3, inverter_offset_v=-0.3),
        sun=STRONG_SUN,
    ),
    Scenario(
        "reads-high",
        "Chargers and inverter read 0.3 V too much",
        system=SystemPlan(charger_offset_v=0.3, inverter_offset_v=0.3),
    ),
    Scenario(
        "noise",
        "A BMS with six times the noise and cells calibrated within 8 mV",
        sensors=SensorPlan(cell_error_v=0.008, cell_noise_v=0.003, current_noise_a=0.5),
    ),
    Scenario(
        "soc-too-high", "The BMS counts 12 % too much", battery=BatteryPlan(soc=0.7, soc_error_percent=12.0), hours=5.0
    ),
    Scenario(
        "soc-too-low",
        "The BMS counts 12 % too little",
        battery=BatteryPlan(soc=0.85, soc_error_percent=-12.0),
        hours=5.0,
    ),
    Scenario(
        "cold-morning",
        "Cells at -6 °C that warm up during the day",
        battery=_COLD,
        ambient=_FROST,
        start_h=7.5,
        hours=8.0,
        expects_float=False,  # its unequal cells have a balancing day in place of it
    ),
    Scenario(
        "cold-feed-in",
        "The cold morning while surplus is sold",
        battery=_COLD,
        ambient=_FROST,
        start_h=7.5,
        hours=8.0,
        expects_float=False,  # its unequal cells have a balancing day in place of it
        system=SELLING,
    ),
)
"""In the order of the table."""
