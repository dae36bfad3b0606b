"""How long the next step may be: a second while anything happens, longer while nothing does."""

from tinybms_bridge.battery.limits import ChargeState
from tinybms_bridge.bench.dirt import DirtPlayer
from tinybms_bridge.bench.faults import FaultPlayer
from tinybms_bridge.bench.scenario import Scenario
from tinybms_bridge.bench.wire import Sent
from tinybms_bridge.victron.dvcc import LOOP_S

__all__ = ["Pace"]

_CALM_AFTER_S = 60.0
_SETTLED_AFTER_S = 180.0
"""CVL and charge state that have not changed for so long are settled, even near full."""
_LEAD_S = 5.0
"""The steps are short already before something happens, so that it meets a young sample."""
_NEAR_FULL_SHARE = 0.04
"""Cells this close below full charge (register 300) are near it, as a fraction of that voltage."""
_NEAR_EMPTY_SHARE = 0.10
_EDGE_OF_COLD_C = 1.0


class Pace:
    """Watches a run and chooses the steps."""

    def __init__(self, scenario: Scenario) -> None:
        ratings = scenario.battery.ratings()
        self._scenario = scenario
        self._dirt = DirtPlayer(scenario.dirt, scenario.start_s, scenario.seed)
        self._high_v = ratings.fully_charged_cell_v * (1.0 - _NEAR_FULL_SHARE)
        self._low_v = ratings.fully_discharged_cell_v * (1.0 + _NEAR_EMPTY_SHARE)
        self._cold_c = ratings.low_temperature_charge_c
        self._busy_until_s = scenario.start_s + _CALM_AFTER_S
        self._near_until_s = scenario.start_s
        self._changed_s = scenario.start_s
        self._edge_s = scenario.start_s
        self._limits: tuple[float, ChargeState] | None = None

    def step_s(self, now_s: float, faults: FaultPlayer) -> float:
        """Return the length of the next step: the time between two readings while each of them matters."""
        scenario = self._scenario
        left_s = scenario.end_s - now_s
        close = self._dirt.close(now_s)
        if faults.active or close or self._dirt.active(now_s):
            self._busy_until_s = now_s + _CALM_AFTER_S
        if now_s >= self._edge_s:
            self._busy_until_s = max(self._busy_until_s, now_s + _CALM_AFTER_S)
            self._edge_s = self._next_edge_s(now_s, faults)
        longest_s = self._longest_s(now_s)
        if close:
            return min(scenario.poll_s, left_s)
        if longest_s > scenario.step_s:
            longest_s = max(min(longest_s, self._edge_s - _LEAD_S - now_s), scenario.step_s)
        return min(longest_s, left_s)

    def observe(self, now_s: float, highest_v: float, lowest_v: float, coldest_c: float, sent: Sent | None) -> None:
        """Take the outcome of a step."""
        limits = None if sent is None else (sent.cvl_v, sent.state)
        if limits is None or limits != self._limits:
            self._changed_s = now_s
            self._busy_until_s = max(self._busy_until_s, now_s + _CALM_AFTER_S)
        if abs(coldest_c - self._cold_c) < _EDGE_OF_COLD_C or lowest_v < self._low_v:
            self._busy_until_s = max(self._busy_until_s, now_s + _CALM_AFTER_S)
        if highest_v > self._high_v:
            self._near_until_s = now_s + _CALM_AFTER_S
        self._limits = limits

    def _longest_s(self, now_s: float) -> float:
        scenario = self._scenario
        if now_s < self._busy_until_s:
            return scenario.step_s
        if now_s >= self._near_until_s:
            return scenario.longest_step_s
        settled = now_s - self._changed_s >= _SETTLED_AFTER_S
        return scenario.step_s * LOOP_S if settled else scenario.step_s

    def _next_edge_s(self, now_s: float, faults: FaultPlayer) -> float:
        scenario = self._scenario
        profiles = (scenario.sun, scenario.load, scenario.ambient)
        changes_s = (faults.next_change_s(now_s), self._dirt.next_change_s(now_s))
        return min(*changes_s, *(profile.next_edge_s(now_s) for profile in profiles))
