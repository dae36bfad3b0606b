"""Instruments that disagree, counts that are wrong, and air that is too cold."""

from tinybms_bridge.bench.battery import BatteryPlan
from tinybms_bridge.bench.scenario import Scenario
from tinybms_bridge.bench.scenarios.parts import SELLING, STRONG_SUN
from tinybms_bridge.bench.sensors import SensorPlan
from tinybms_bridge.bench.weather import Swing
from tinybms_bridge.victron.dvcc import SystemPlan

__all__ = ["SCENARIOS"]

_COLD = BatteryPlan(temperature_c=-6.0, soc=0.85)
_FROST = Swing(1.0, 14.0, lowest_h=4.0)
SCENARIOS = (
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
