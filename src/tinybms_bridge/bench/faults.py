"""What goes wrong in a run, and when: as the scenario says, and restarts of the bridge in each charge state."""

import math

from tinybms_bridge.battery.limits import ChargeState
from tinybms_bridge.bench.scenario import Fault, FaultKind, Scenario

__all__ = ["FaultPlayer"]

_STAY_S = 60.0
"""A state must have lasted this long before the bridge restarts in it."""
_RESTART_S = 5.0


class FaultPlayer:
    """Tells at any time what is wrong."""

    def __init__(self, scenario: Scenario) -> None:
        self._faults = scenario.faults
        self._each_state = scenario.restart_in_each_state
        self._restarted: set[ChargeState] = set()
        self._state: ChargeState | None = None
        self._since_s = math.inf
        self._restart: Fault | None = None
        self._now: frozenset[FaultKind] = frozenset()
        self._was_down = False

    def advance(self, now_s: float, state: ChargeState | None) -> None:
        """Move on to ``now_s``, with this charge state on the bus."""
        if self._each_state:
            self._watch(now_s, state)
        self._was_down = self.bridge_down
        active = [*self._faults] if self._restart is None else [*self._faults, self._restart]
        self._now = frozenset(f.kind for f in active if f.at_s <= now_s < f.at_s + f.for_s)

    @property
    def active(self) -> bool:
        """Whether anything is wrong, or happens that is not of the weather."""
        return bool(self._now)

    @property
    def bms_full(self) -> bool:
        """Whether the BMS finds the end of a charge."""
        return FaultKind.BMS_FULL in self._now

    @property
    def bms_silent(self) -> bool:
        """Whether no sample arrives."""
        return FaultKind.BMS_SILENT in self._now

    @property
    def gx_down(self) -> bool:
        """Whether the GX is restarting."""
        return FaultKind.GX_RESTART in self._now

    @property
    def bridge_down(self) -> bool:
        """Whether the bridge is restarting."""
        return FaultKind.BRIDGE_RESTART in self._now

    @property
    def can_dead(self) -> bool:
        """Whether no frame reaches the GX."""
        return FaultKind.CAN_DEAD in self._now

    @property
    def suspended(self) -> bool:
        """Whether the machine of the bridge sleeps."""
        return FaultKind.SUSPENDED in self._now

    @property
    def bridge_restarts(self) -> bool:
        """Whether the restart of the bridge has begun just now."""
        return self.bridge_down and not self._was_down

    def next_change_s(self, now_s: float) -> float:
        """Return the next time at which something goes wrong or is mended; infinity for never."""
        times = [time_s for f in self._faults for time_s in (f.at_s, f.at_s + f.for_s) if time_s > now_s]
        return min(times, default=math.inf)

    def _watch(self, now_s: float, state: ChargeState | None) -> None:
        """Restart the bridge in a state that has lasted and has not been tried yet."""
        if state is None:
            return
        if state is not self._state:
            self._state, self._since_s = state, now_s
        if state not in self._restarted and now_s - self._since_s >= _STAY_S:
            self._restarted.add(state)
            self._restart = Fault(FaultKind.BRIDGE_RESTART, now_s, _RESTART_S)
