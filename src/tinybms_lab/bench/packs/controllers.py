"""What decides the limits of several packs in a run, and what would be too simple."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import LimitSettings, Memory, in_wire_steps
from tinybms_bridge.battery.limits.packs import PacksMemory, PacksSettings, begin_packs, step_packs
from tinybms_bridge.battery.plausibility import PlausibilityMemory, PlausibilitySettings, judge
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_lab.bench.controllers import EngineController, SentLimits, quantised

__all__ = ["PacksController", "PacksEngineController", "PlainSumController"]

_PLAUSIBLE = PlausibilitySettings()
_NO_STATISTICS = (0.0, 0.0)


class PacksController(Protocol):
    """Decides the limits of a battery of several packs."""

    name: str

    def decide(self, samples: Mapping[str, Snapshot], now_s: float) -> SentLimits | None:
        """Return what to send at ``now_s``; ``samples`` are those that have come since the last call.

        None: nothing is sent.
        """
        ...

    def restart(self) -> None:
        """Forget everything that a restart of the bridge forgets."""
        ...


class PacksEngineController:
    """The charge-limit engine of several packs.

    Args:
        settings: of the engine.
        names: the packs, in their order.
        longest_step_s: longest time between two samples in calm times, which must not count as silence.

    """

    def __init__(self, settings: PacksSettings, names: tuple[str, ...], longest_step_s: float) -> None:
        self.name = "engine"
        self._names = names
        self._fine = settings
        freshness = settings.limits.freshness
        patience_s = max(freshness.fresh_timeout_s, 2.0 * longest_step_s)
        patient = replace(settings.limits, freshness=replace(freshness, fresh_timeout_s=patience_s))
        self._coarse = replace(settings, limits=patient)
        self._memory = PacksMemory()
        self._believed = {name: PlausibilityMemory() for name in names}
        self._last_s: float | None = None

    def decide(self, samples: Mapping[str, Snapshot], now_s: float) -> SentLimits | None:
        """See ``PacksController.decide``."""
        accepted = {name: self._accept(name, sample) for name, sample in samples.items()}
        outcome, self._memory = step_packs(accepted, self._settings(now_s), self._memory, now_s, enabled=self._names)
        if outcome.limits is None or not outcome.limits.may_send:
            return None
        limits = in_wire_steps(outcome.limits)
        shown = outcome.combined
        return replace(
            quantised(limits.cvl_v, limits.ccl_a, limits.dcl_a, limits.state, now_s),
            in_doubt=any(pack.engine.readings.read_again for pack in self._memory.packs.values()),
            soc_percent=math.nan if shown is None else shown.pack.soc_percent,
            balancing=limits.balancing.active,
        )

    def restart(self) -> None:
        """See ``PacksController.restart``: what is saved of the battery and of each unit comes back, nothing else."""
        packs = {name: _saved(pack.engine) for name, pack in self._memory.packs.items()}
        self._memory = begin_packs(_saved(self._memory.battery), packs)
        self._believed = {name: PlausibilityMemory() for name in self._names}

    def _accept(self, name: str, sample: Snapshot) -> Snapshot | None:
        """Return a sample without what cannot be true; None for one that is no use."""
        before = self._believed[name].accepted
        _, self._believed[name] = judge(self._believed[name], sample, _PLAUSIBLE)
        after = self._believed[name].accepted
        return None if after is before else after

    def _settings(self, now_s: float) -> PacksSettings:
        """Return the settings; after a long step of the bench a gap between samples is no sign of silence."""
        gap_s = 0.0 if self._last_s is None else now_s - self._last_s
        self._last_s = now_s
        return self._coarse if gap_s > self._fine.limits.freshness.fresh_timeout_s / 2.0 else self._fine


def _saved(memory: Memory) -> Memory:
    """Return what is left of a memory after it was saved and read."""
    written = json.dumps(SavedState.of(EnergyTotals(), memory).to_document())
    return SavedState.from_document(json.loads(written)).memory


class PlainSumController:
    """A bridge for each pack, and the plain sum of what they say: the measure of how hard a scenario is.

    The lowest CVL counts, as several BMS on one bus would have it; what is silent is left out.

    Args:
        settings: of each engine.
        names: the packs.
        longest_step_s: see ``EngineController``.

    """

    def __init__(self, settings: LimitSettings, names: tuple[str, ...], longest_step_s: float) -> None:
        self.name = "plain sum"
        self._engines = {name: EngineController(settings, longest_step_s) for name in names}
        self._latest: dict[str, Snapshot] = {}

    def decide(self, samples: Mapping[str, Snapshot], now_s: float) -> SentLimits | None:
        """See ``PacksController.decide``."""
        self._latest |= samples
        decided = {
            name: engine.decide(self._latest.get(name), _NO_STATISTICS, now_s) for name, engine in self._engines.items()
        }
        said = [limits for limits in decided.values() if limits is not None]
        if not said:
            return None
        lowest = min(said, key=lambda limits: limits.cvl_v)
        known = [limits.soc_percent for limits in said if not math.isnan(limits.soc_percent)]
        total = quantised(
            lowest.cvl_v, sum(each.ccl_a for each in said), sum(each.dcl_a for each in said), lowest.state, now_s
        )
        return replace(
            total,
            in_doubt=any(each.in_doubt for each in said),
            soc_percent=sum(known) / len(known) if known else math.nan,
            balancing=any(each.balancing for each in said),
        )

    def restart(self) -> None:
        """See ``PacksController.restart``."""
        self._latest.clear()
        for engine in self._engines.values():
            engine.restart()
