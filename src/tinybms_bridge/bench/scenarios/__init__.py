"""The scenario set. Sizes are those of a house with 14 kWh of LFP cells unless a scenario is about another battery."""

from collections.abc import Mapping
from types import MappingProxyType

from tinybms_bridge.bench.scenario import Scenario
from tinybms_bridge.bench.scenarios import batteries, days, disturbances, instruments, systems

__all__ = ["SCENARIOS"]

SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {s.name: s for part in (days, systems, batteries, instruments, disturbances) for s in part.SCENARIOS}
)
"""Every scenario by name."""
