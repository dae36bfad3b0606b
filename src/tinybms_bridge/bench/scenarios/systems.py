"""The three tests of the Victron document (feed-in, imbalance, more sun than needed), and their neighbours."""

from tinybms_bridge.bench.battery import BatteryPlan
from tinybms_bridge.bench.scenario import Scenario
from tinybms_bridge.bench.scenarios.parts import NO_SALE, SELLING, STRONG_SUN, UNEQUAL
from tinybms_bridge.bench.weather import ClearSky
from tinybms_bridge.victron.dvcc import SystemPlan

__all__ = ["SCENARIOS"]

SCENARIOS = (
    Scenario(
        "feed-in", "Victron's test: surplus is sold, chargers at CVL + 0.4 V, no CCL", system=SELLING, sun=STRONG_SUN
    ),
    Scenario(
        "imbalance",
        "Victron's test: one cell 3 % fuller than the rest",
        battery=BatteryPlan(odd=UNEQUAL),
        hours=7.0,  # such a charge ends after four hours at the top, without the battery being full
    ),
    Scenario(
        "imbalance-feed-in",
        "One cell 3 % fuller while surplus is sold",
        system=SELLING,
        battery=BatteryPlan(odd=UNEQUAL),
        sun=STRONG_SUN,
        hours=6.0,
    ),
    Scenario(
        "excess-pv",
        "Victron's test: more sun than loads, battery and buyers take",
        system=SystemPlan(feed_in=True, island=False, export_max_w=2500.0),
        sun=ClearSky(10_000.0),
    ),
    Scenario("no-sale", "More sun than needed, on the grid, nothing may be sold", system=NO_SALE, sun=STRONG_SUN),
)
"""In the order of the table."""
