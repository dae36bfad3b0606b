"""The closed-loop bench of the charge control: pack, BMS, engine, GX and devices in one loop, a day in seconds.

No bytes, no ports, no event loop: the pure parts of the bridge against models of what surrounds it.
"""

from tinybms_lab.bench.loop import play
from tinybms_lab.bench.metrics import Metrics, measure
from tinybms_lab.bench.runner import ScenarioOutcome, ScenarioResult, play_all, play_scenario
from tinybms_lab.bench.scenario import Scenario
from tinybms_lab.bench.scenarios import SCENARIOS
from tinybms_lab.bench.trace import Column, Run, Trace

__all__ = [
    "SCENARIOS",
    "Column",
    "Metrics",
    "Run",
    "Scenario",
    "ScenarioOutcome",
    "ScenarioResult",
    "Trace",
    "measure",
    "play",
    "play_all",
    "play_scenario",
]
