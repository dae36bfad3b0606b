"""The closed loop: pack, BMS, controller, bus, GX and devices, in steps of a second or longer.

A step lasts a second while anything happens, longer while nothing does. Beside it stands what the readings of a BMS
demand by themselves, whatever an algorithm makes of them: where a BMS would open a switch (tinybms-protocol.md,
5.1) the limit of that direction has to be 0; where no reading has come for longer than a GX waits, no current
may be promised to a charger.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tinybms_bridge.battery.limits import ChargeState
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_lab.bench.bms import BenchBms
from tinybms_lab.bench.controllers import Bursts, Controller, SentLimits
from tinybms_lab.bench.dirt import DirtPlayer, Sensors
from tinybms_lab.bench.physics import lowest_anode_v
from tinybms_lab.bench.scenario import FaultPlayer, Scenario
from tinybms_lab.bench.trace import STATES, Run, Trace
from tinybms_lab.bms.pack import PackCell
from tinybms_lab.gx.devices import BatterySource, Devices, PowerFlow
from tinybms_lab.gx.dvcc import BMS_TIMEOUT_S, LOOP_S, Dvcc

__all__ = ["Simulation", "StepSize", "demands", "play", "spread_ah"]


def demands(snapshot: Snapshot, age_s: float) -> tuple[float, float]:
    """Return the most that CCL and DCL may be, ``age_s`` after this sample was taken; infinite for no bound."""
    ratings = snapshot.ratings
    assert ratings is not None
    cells, temperatures = snapshot.cells.voltages_v, snapshot.temperatures
    coldest_c, hottest_c = temperatures.coldest_c, temperatures.hottest_c
    hot = hottest_c is not None and hottest_c > ratings.over_heat_c
    cold = coldest_c is not None and coldest_c < ratings.low_temperature_charge_c
    low = min(cells) < ratings.under_voltage_cell_v
    high = max(cells) > ratings.over_voltage_cell_v
    no_charge = hot or cold or high or low or age_s > BMS_TIMEOUT_S
    return 0.0 if no_charge else math.inf, 0.0 if hot or low else math.inf


_CALM_AFTER_S = 60.0
_SETTLED_AFTER_S = 180.0
"""CVL and charge state that have not changed for so long are settled, even near full."""
_LEAD_S = 5.0
"""The steps are short already before something happens, so that it meets a young sample."""
_NEAR_FULL_SHARE = 0.04
_NEAR_EMPTY_SHARE = 0.10
_EDGE_OF_COLD_C = 1.0


class _Disturbing(Protocol):
    """What of the dirt decides how long a step is."""

    def close(self, now_s: float) -> bool: ...

    def active(self, now_s: float) -> bool: ...

    def next_change_s(self, now_s: float) -> float: ...


class StepSize:
    """Watches a run and chooses the steps.

    Args:
        scenario: what is played.
        dirt: what spoils its readings; None: that of the scenario.
        near_full_share: cells this close below register 300 are near full, as a fraction of that voltage.

    """

    def __init__(
        self, scenario: Scenario, dirt: _Disturbing | None = None, near_full_share: float = _NEAR_FULL_SHARE
    ) -> None:
        ratings = scenario.battery.ratings()
        self._scenario = scenario
        self._dirt = dirt or DirtPlayer(scenario.dirt, scenario.start_s, scenario.seed)
        self._high_v = ratings.fully_charged_cell_v * (1.0 - near_full_share)
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

    def observe(
        self, now_s: float, highest_v: float, lowest_v: float, coldest_c: float, sent: SentLimits | None
    ) -> None:
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


_HURRY_S = 0.08
"""A bridge in doubt reads again at once, and no sooner than counts as another reading."""
_AGAIN = 4
"""So often, within a step: with the first reading they are all that a decision looks at."""


@dataclass(frozen=True, slots=True)
class _Weather:
    sun_w: float
    load_w: float


class Simulation:
    """One run of a scenario with a controller."""

    def __init__(self, scenario: Scenario, controller: Controller) -> None:
        battery = scenario.battery
        self.scenario = scenario
        self.pack = battery.build()
        self.bms = BenchBms(battery, self.pack.soc * 100.0, Sensors(scenario.sensors, battery.cells, scenario.seed))
        self.gx = Dvcc(scenario.system)
        self.devices = Devices(scenario.system)
        self.trace = Trace()
        self.now_s = scenario.start_s
        self._controller = controller
        self._faults = FaultPlayer(scenario)
        self._dirt = DirtPlayer(scenario.dirt, scenario.start_s, scenario.seed)
        self._step_size = StepSize(scenario)
        self._failing = [odd for odd in battery.odd if odd.failing_per_h]
        self._open_v, self._ohms = self.pack.tangents()
        self._sample: Snapshot | None = None
        """The latest reading as the BMS gave it."""
        self._arrived: Snapshot | None = None
        """What the line made of it."""
        self._bursts = Bursts()
        self._decided: SentLimits | None = None
        self._sent: SentLimits | None = None
        self.bms.observe(self.now_s, 0.0, self._open_v, 0.0, self.pack.temperatures_c)

    def run(self) -> Run:
        """Play the scenario to its end."""
        end_s = self.scenario.end_s - 1e-6
        while self.now_s < end_s:
            self.step(self._step_size.step_s(self.now_s, self._faults))
        return Run(self.scenario, self._controller.name, self.trace, tuple(self.bms.monitor.trips), self.bms.openings)

    def step(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds pass."""
        self._communicate(dt_s)
        weather = _Weather(self.scenario.sun.at(self.now_s), self.scenario.load.at(self.now_s))
        points = self.gx.step(self.now_s, self.devices.inverter_a)
        bms = self.bms
        battery = BatterySource(sum(self._open_v), sum(self._ohms), self.pack.current_a, bms.takes, bms.gives)
        flow = self.devices.step(dt_s, battery, weather.sun_w, weather.load_w, points)
        current_a = bms.allowed_a(flow.battery_a + self._foreign_a())
        self._charge(dt_s, current_a)
        self.now_s += dt_s
        cells_v = [v + current_a * ohm for v, ohm in zip(self._open_v, self._ohms, strict=True)]
        bms.observe(self.now_s, dt_s, cells_v, current_a, self.pack.temperatures_c, flow.offered_a)
        self._record(dt_s, weather, flow, cells_v)
        self._step_size.observe(self.now_s, max(cells_v), min(cells_v), min(self.pack.temperatures_c), self._sent)

    def _communicate(self, dt_s: float) -> None:
        """Sample, decide, send: what was decided goes out with the next burst."""
        now_s, faults = self.now_s, self._faults
        faults.advance(now_s, None if self._sent is None else self._sent.state)
        if faults.bridge_restarts:
            self._controller.restart()
        if faults.bms_full:
            self.bms.complete()
        reads = not faults.bms_silent and not faults.suspended
        if reads:
            self._read(now_s)
        self._decided = self._decide(now_s)
        for again in range(1, _AGAIN + 1):
            if not reads or self._decided is None or not self._decided.in_doubt or (again + 1) * _HURRY_S > dt_s:
                break
            self._read(now_s + again * _HURRY_S)
            self._decided = self._decide(now_s + again * _HURRY_S)
        self._bursts.decide(self._decided, now_s, dt_s)
        self._sent = None if faults.can_dead else self._bursts.sent
        self._restart_gx(faults.gx_down)
        if self._sent is not None:
            self.gx.receive(self._sent, now_s)

    def _read(self, now_s: float) -> None:
        self._sample = self.bms.sample(now_s)
        self._arrived = self._dirt.spoil(self._sample, now_s)

    def _decide(self, now_s: float) -> SentLimits | None:
        if self._faults.bridge_down or self._faults.suspended:
            return None
        return self._controller.decide(self._arrived, (self.bms.max_charge_a, self.bms.max_discharge_a), now_s)

    def _restart_gx(self, down: bool) -> None:
        if down and self.gx.running:
            self.gx.stop()
        elif not down and not self.gx.running:
            self.gx.start()

    def _foreign_a(self) -> float:
        """Return what a charger gives of which no GX knows."""
        source = self.scenario.foreign
        pack_v = sum(self._open_v) + self.pack.current_a * sum(self._ohms)
        return 0.0 if source is None else source.at(self.now_s - self.scenario.start_s, pack_v)

    def _charge(self, dt_s: float, current_a: float) -> None:
        pack = self.pack
        pack.ambient_c = self.scenario.ambient.at(self.now_s)
        pack.step(dt_s, current_a, self.bms.bleeding)
        for odd in self._failing:
            pack.cells[odd.index].resistance_factor += odd.failing_per_h * dt_s / 3600.0
        self._open_v, self._ohms = pack.tangents()

    def _record(self, dt_s: float, weather: _Weather, flow: PowerFlow, cells_v: list[float]) -> None:
        sent, temperatures_c = self._sent, self.pack.temperatures_c
        ccl_demand_a, dcl_demand_a = math.inf, math.inf
        if self._sample is not None:
            ccl_demand_a, dcl_demand_a = demands(self._sample, self.now_s - dt_s - self._sample.taken_at_s)
        self.trace.add(
            (
                self.now_s,
                dt_s,
                weather.sun_w,
                flow.solar_w,
                weather.load_w,
                flow.served_w,
                self.pack.current_a,
                sum(cells_v),
                max(cells_v),
                min(cells_v),
                self.pack.soc * 100.0,
                self.bms.soc_percent,
                min(temperatures_c),
                max(temperatures_c),
                math.nan if sent is None else sent.cvl_v,
                math.nan if sent is None else sent.ccl_a,
                math.nan if sent is None else sent.dcl_a,
                -1.0 if sent is None else STATES.index(sent.state),
                math.nan if sent is None else sent.decided_s,
                ccl_demand_a,
                dcl_demand_a,
                float(self._faults.active or self._dirt.active(self.now_s - dt_s)),
                lowest_anode_v(self.pack),
                math.nan if sent is None else sent.soc_percent,
                spread_ah(self.pack.cells),
                float(self.bms.full),
                float(sent is not None and sent.balancing),
            )
        )


def spread_ah(cells: Sequence[PackCell]) -> float:
    """Return how much more charge the cell that is furthest from full needs than the one that is nearest."""
    missing_ah = [(1.0 - cell.soc) * cell.capacity_ah for cell in cells]
    return max(missing_ah) - min(missing_ah)


def play(scenario: Scenario, controller: Controller) -> Run:
    """Play a scenario with a controller."""
    return Simulation(scenario, controller).run()
