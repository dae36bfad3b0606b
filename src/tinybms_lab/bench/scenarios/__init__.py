"""The scenario set. Sizes are those of a house with 14 kWh of LFP cells unless a scenario is about another battery."""

from collections.abc import Mapping
from types import MappingProxyType

from tinybms_lab.bench.packs.plan import PacksScenario
from tinybms_lab.bench.scenario import Scenario
from tinybms_lab.bench.scenarios import (
    batteries,
    colds,
    counters,
    currents,
    days,
    disturbances,
    empties,
    links,
    months,
    packs,
    readings,
    registers,
    user_profiles,
)

__all__ = ["DIRTY", "FAMILIES", "LONG", "PACKS", "SCENARIOS", "UNCONFIGURED"]

UNCONFIGURED: Mapping[str, Scenario] = MappingProxyType(
    {s.name: s for part in (days, batteries, disturbances, empties, colds) for s in part.SCENARIOS}
)
"""The scenarios of a bridge without a line of configuration, by name."""
DIRTY: Mapping[str, Scenario] = MappingProxyType(
    {s.name: s for part in (readings, counters, currents, links) for s in part.SCENARIOS}
)
"""Those of bad input, each with bounds for what has to flow and what may."""
LONG: Mapping[str, Scenario] = MappingProxyType({s.name: s for part in (months, registers) for s in part.SCENARIOS})
"""Weeks and months; the command plays all of each, the tests a part."""
PROFILES: Mapping[str, Scenario] = MappingProxyType({s.name: s for s in user_profiles.SCENARIOS})
"""Those of what users ask for."""
PACKS: Mapping[str, PacksScenario] = MappingProxyType({s.name: s for s in packs.SCENARIOS})
"""Those of several packs in parallel."""
FAMILIES: Mapping[str, Mapping[str, Scenario]] = MappingProxyType(
    {"days": UNCONFIGURED, "profiles": PROFILES, "dirty": DIRTY, "long": LONG, "packs": PACKS}
)
"""Every scenario by name, by the name of what it belongs to."""
SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {name: scenario for family in FAMILIES.values() for name, scenario in family.items()}
)
"""Every scenario by name."""
