"""Counters that have drifted."""

from tinybms_bridge.bench.bounds import Bound, What
from tinybms_bridge.bench.scenario import Scenario
from tinybms_bridge.bench.scenarios.parts import SELLING, pack
from tinybms_bridge.bench.weather import Constant

__all__ = ["SCENARIOS"]

_LIGHTS = Bound(What.UNSERVED, most=1.0)
"""In an island the lights are on."""

SCENARIOS = (
    Scenario(
        "count-full",
        "A counter 50 % too high: it says 98 %, the cells are half full",
        battery=pack("lfp", 8, 100.0, 0.48, soc_error_percent=50.0),
        sun=Constant(1000.0),
        load=Constant(150.0),
        start_h=10.0,
        hours=2.0,
        expects_float=False,
        bounds=(Bound(What.CHARGED, least=50.0), _LIGHTS),
    ),
    Scenario(
        "count-full-li-ion",
        "The same with Li-ion cells while surplus is sold",
        battery=pack("li-ion", 14, 280.0, 0.48, soc_error_percent=50.0),
        system=SELLING,
        sun=Constant(4000.0),
        start_h=10.0,
        hours=2.0,
        expects_float=False,
        bounds=(Bound(What.CHARGED, least=110.0),),
    ),
)
"""In the order of the table."""
