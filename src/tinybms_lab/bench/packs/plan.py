"""A scenario of several packs: what each of them is, and what happens to one of them alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from tinybms_lab.bench.battery import BatteryPlan
from tinybms_lab.bench.dirt import Dirt, SensorPlan
from tinybms_lab.bench.scenario import FaultPlayer, Scenario
from tinybms_lab.bench.weather import Profile
from tinybms_lab.bms.bank import CABLE_OHM

__all__ = ["PackFault", "PackFaultKind", "PackFaults", "PacksScenario", "ParallelPack", "as_one"]

_CLOSE_S = (-5.0, 45.0)
"""From before a change until a battery has decided to do without a silent pack, in a scenario of longer steps."""
_EDGE_S = 120.0
"""After something has happened to a pack every second counts for so long."""


@dataclass(frozen=True, slots=True)
class ParallelPack:
    """One pack, and how its BMS reads it."""

    battery: BatteryPlan
    cable_ohm: float = CABLE_OHM
    """Between its poles and the bus, contacts and fuse included."""
    sensors: SensorPlan = field(default_factory=SensorPlan)
    dirt: tuple[Dirt, ...] = ()
    """What its line makes of the readings."""
    ambient: Profile | None = None
    """Around its cells; None: as around the others."""


class PackFaultKind(Enum):
    """What goes wrong with one pack for a while."""

    SILENT = "silent"
    """Its BMS gives no samples; it stays in parallel."""
    PULLED = "pulled"
    """Its poles and its data are gone."""
    BREAKER = "breaker"
    """Its poles are gone, and its BMS tells of a pack at rest."""
    CHARGE_CUT = "charge cut"
    """Its BMS has opened its charge switch, as after a false over-voltage of its own."""


@dataclass(frozen=True, slots=True)
class PackFault:
    """One thing that happens to one pack."""

    pack: str
    kind: PackFaultKind
    after_s: float
    """After the start of the scenario."""
    for_s: float = math.inf

    @property
    def until_s(self) -> float:
        """When it ends, after the start of the scenario."""
        return self.after_s + self.for_s


@dataclass(frozen=True, slots=True, kw_only=True)
class PacksScenario(Scenario):
    """A scenario whose battery is several packs; ``battery`` is all of them as one."""

    packs: dict[str, ParallelPack] = field(default_factory=dict, hash=False)
    pack_faults: tuple[PackFault, ...] = ()
    pack_top_percent: float = 0.0
    """Least true state of charge that every pack reaches."""


def as_one(plans: Sequence[ParallelPack]) -> BatteryPlan:
    """Return packs as one battery: the sums of their capacities and ratings, cells as unequal as the first one's."""
    batteries = [plan.battery for plan in plans]
    capacity_ah = sum(battery.capacity_ah for battery in batteries)
    first = batteries[0]
    return BatteryPlan(
        chemistry=first.chemistry,
        cells=first.cells,
        capacity_ah=capacity_ah,
        soc=sum(battery.soc * battery.capacity_ah for battery in batteries) / capacity_ah,
        capacity_spread=first.capacity_spread,
        soc_spread=first.soc_spread,
        resistance_spread=first.resistance_spread,
        odd=first.odd if all(battery.odd == first.odd for battery in batteries) else (),
        temperature_c=first.temperature_c,
        charge_cutoff_a=sum(battery.charge_cutoff_a for battery in batteries),
        discharge_cutoff_a=sum(battery.discharge_cutoff_a for battery in batteries),
        peak_cutoff_a=sum(battery.peak_cutoff_a for battery in batteries),
        registers=first.registers,
        finished_a=sum(battery.finished_a for battery in batteries),
    )


class PackFaults(FaultPlayer):
    """Tells at any time what is wrong, with one pack or with all."""

    def __init__(self, scenario: PacksScenario) -> None:
        super().__init__(scenario)
        self._start_s = scenario.start_s
        self._coarse = scenario.step_s > scenario.poll_s
        self._pack_faults = scenario.pack_faults
        self._edges_s = sorted(
            self._start_s + time_s
            for fault in scenario.pack_faults
            for time_s in (fault.after_s, fault.until_s)
            if math.isfinite(time_s)
        )

    @property
    def active(self) -> bool:
        """Whether anything is wrong with all, or has just happened to one."""
        return super().active or any(at_s <= self._now_s < at_s + _EDGE_S for at_s in self._edges_s)

    def close(self, now_s: float) -> bool:
        """Return whether every reading matters now, in a scenario whose steps are longer than that."""
        return self._coarse and any(_CLOSE_S[0] <= now_s - at_s < _CLOSE_S[1] for at_s in self._edges_s)

    def next_change_s(self, now_s: float) -> float:
        """See ``FaultPlayer.next_change_s``."""
        later = [at_s for at_s in self._edges_s if at_s > now_s]
        return min(super().next_change_s(now_s), min(later, default=math.inf))

    def kinds(self, pack: str, now_s: float) -> frozenset[PackFaultKind]:
        """Return what is wrong with a pack."""
        after_s = now_s - self._start_s
        return frozenset(
            fault.kind for fault in self._pack_faults if fault.pack == pack and fault.after_s <= after_s < fault.until_s
        )
