"""What decides the limits of several packs in a run, and what would be too simple."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from tinybms_bridge.battery.limits import LimitSettings
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_lab.bench.controllers import EngineController, SentLimits, quantised

__all__ = ["PacksController", "PlainSumController"]

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
