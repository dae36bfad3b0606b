"""The closed loop with several packs: each with its cells, its BMS and its line, all of them on one bus.

Devices and GX are those of one battery. What a pack carries follows from the network (bms/parallel.py); what would
flow through it although the battery as a whole rests is its equalising current, which no limit can stop.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_lab.bench.bms import BenchBms
from tinybms_lab.bench.controllers import Bursts, SentLimits
from tinybms_lab.bench.dirt import DirtPlayer, Sensors
from tinybms_lab.bench.loop import StepSize, demands, spread_ah
from tinybms_lab.bench.packs.controllers import PacksController
from tinybms_lab.bench.packs.own_limits import OwnLimits
from tinybms_lab.bench.packs.plan import PackFaultKind, PackFaults, PacksScenario, ParallelPack
from tinybms_lab.bench.protections import Protection
from tinybms_lab.bench.trace import STATES, Run, Trace
from tinybms_lab.bms.parallel import Branch, branch_of, split
from tinybms_lab.gx.devices import INVERTER_EFFICIENCY, BatterySource, Devices, PowerFlow
from tinybms_lab.gx.dvcc import BMS_TIMEOUT_S, Dvcc

__all__ = ["PackColumn", "PackRun", "PackTrip", "PacksRun", "PacksSimulation", "play_packs"]

_HURRY_S = 0.08
_AGAIN = 4
"""As in the loop of one pack: a bridge in doubt reads again at once, and so often within a step."""
_NEAR_FULL_SHARE = 0.06
"""Steps are short before the cell voltage takes anything of CCL, since each pack is judged by what it then bears."""
_HOLD_S = 30.0
"""So long after the last sample of a pack charging stays stopped; then the battery goes on without its data."""
_HEALTHY_SOC, _HEALTHY_SHARE = 0.15, 0.8
"""A pack with that much in its emptiest cell carries loads up to this share of its rating."""


class PackColumn(IntEnum):
    """Columns of the trace of one pack; rows are those of the battery's trace."""

    CURRENT_A = 0
    """Positive charges."""
    EQUALISING_A = 1
    """What would flow if the battery as a whole rested."""
    HIGHEST_V = 2
    LOWEST_V = 3
    SOC_PERCENT = 4
    """True state of charge."""
    COLDEST_C = 5
    OWN_CHARGE_A = 6
    """Most that this pack alone would bear now."""
    OWN_DISCHARGE_A = 7
    CARRIES = 8
    """1 while it is heard, and could carry the loads of this moment alone."""
    PLUGGED = 9


@dataclass(frozen=True, slots=True)
class PackTrip:
    """One protection of one pack that opened a switch."""

    time_s: float
    protection: Protection
    current_a: float
    equalising_a: float


@dataclass(frozen=True, slots=True)
class PackRun:
    """What a run leaves of one pack."""

    name: str
    plan: ParallelPack
    trace: Trace
    trips: tuple[PackTrip, ...]
    hard_openings: int
    """How often its charge switch opened under current without a protection."""


@dataclass(frozen=True, slots=True)
class PacksRun:
    """A scenario of several packs, played with one controller."""

    battery: Run
    """All of them as one; ``scenario`` is the ``PacksScenario``."""
    scenario: PacksScenario
    packs: tuple[PackRun, ...]


class _Pack:
    """One pack during a run."""

    def __init__(self, name: str, plan: ParallelPack, scenario: PacksScenario, number: int) -> None:
        battery, seed = plan.battery, scenario.seed + 17 * number
        self.name, self.plan = name, plan
        self.cells = battery.build()
        self.bms = BenchBms(battery, self.cells.soc * 100.0, Sensors(plan.sensors, battery.cells, seed))
        self.dirt = DirtPlayer(plan.dirt, scenario.start_s, seed)
        self.own = OwnLimits(self.bms.ratings, scenario.settings, feed_in=scenario.system.feed_in)
        self.trace = Trace(PackColumn)
        self.trips: list[PackTrip] = []
        self.open_v, self.ohms = self.cells.tangents()
        self.current_a = self.equalising_a = 0.0
        self.cells_v: Sequence[float] = self.open_v
        self.sample: Snapshot | None = None
        """Its latest reading as the BMS gave it."""
        self.plugged = self.heard = True
        self.failing = [odd for odd in battery.odd if odd.failing_per_h]
        self.bms.observe(scenario.start_s, 0.0, self.open_v, 0.0, self.cells.temperatures_c)

    def suffer(self, kinds: frozenset[PackFaultKind]) -> None:
        """Take what is wrong now."""
        self.plugged = not kinds & {PackFaultKind.PULLED, PackFaultKind.BREAKER}
        self.heard = not kinds & {PackFaultKind.PULLED, PackFaultKind.SILENT}
        cut = PackFaultKind.CHARGE_CUT in kinds
        self.bms.monitor.false = frozenset({Protection.OVER_VOLTAGE}) if cut else frozenset()

    def read(self, now_s: float) -> Snapshot:
        """Return what arrives of a new sample."""
        self.sample = self.bms.sample(now_s)
        return self.dirt.spoil(self.sample, now_s)

    def branch(self, ahead_s: float) -> Branch | None:
        if not self.plugged:
            return None
        bms, known = self.bms, (self.open_v, self.ohms)
        cable_ohm = self.plan.cable_ohm
        return branch_of(self.cells, cable_ohm, takes=bms.takes, gives=bms.gives, ahead_s=ahead_s, tangents=known)

    def charge(self, dt_s: float, ambient_c: float) -> None:
        self.cells.ambient_c = ambient_c
        self.cells.step(dt_s, self.current_a, self.bms.bleeding)
        for odd in self.failing:
            self.cells.cells[odd.index].resistance_factor += odd.failing_per_h * dt_s / 3600.0
        self.open_v, self.ohms = self.cells.tangents()
        current_a = self.current_a
        self.cells_v = [v + current_a * ohm for v, ohm in zip(self.open_v, self.ohms, strict=True)]

    def observe(self, now_s: float, dt_s: float, offered_a: float) -> None:
        """Let its BMS look at the end of a step."""
        monitor = self.bms.monitor
        before = len(monitor.trips)
        self.bms.observe(now_s, dt_s, self.cells_v, self.current_a, self.cells.temperatures_c, offered_a)
        for trip in monitor.trips[before:]:
            self.trips.append(PackTrip(trip.time_s, trip.protection, self.current_a, self.equalising_a))

    def demands(self, now_s: float) -> tuple[float, float]:
        """Return what its readings demand of the battery's CCL and its own DCL; one that cuts charge demands no CCL."""
        if self.sample is None:
            return math.inf, math.inf
        age_s = now_s - self.sample.taken_at_s
        ccl_a, dcl_a = demands(self.sample, min(age_s, BMS_TIMEOUT_S))
        if BMS_TIMEOUT_S < age_s < _HOLD_S:
            ccl_a = 0.0
        elif age_s >= _HOLD_S:
            ccl_a = math.inf
        return (ccl_a if self.bms.takes else math.inf), dcl_a

    def carries(self, load_w: float) -> bool:
        """Return whether it is heard and could carry a load alone."""
        if not (self.plugged and self.heard and self.bms.gives):
            return False
        ratings = self.bms.ratings
        if min(cell.soc for cell in self.cells.cells) < _HEALTHY_SOC:
            return False
        most_w = _HEALTHY_SHARE * ratings.discharge_over_current_a * sum(self.open_v)
        return max(self.cells.temperatures_c) < ratings.over_heat_c - 10.0 and load_w / INVERTER_EFFICIENCY < most_w

    def record(self, load_w: float, sent: SentLimits | None) -> None:
        temperatures_c = self.cells.temperatures_c
        highest_v, lowest_v = max(self.cells_v), min(self.cells_v)
        self.trace.add(
            (
                self.current_a,
                self.equalising_a,
                highest_v,
                lowest_v,
                self.cells.soc * 100.0,
                min(temperatures_c),
                self.own.charge_a(highest_v, temperatures_c, balancing=sent is not None and sent.balancing),
                self.own.discharge_a(temperatures_c),
                float(self.carries(load_w)),
                float(self.plugged),
            )
        )


class _AllDirt:
    """The dirt of every line, as ``StepSize`` asks for it; every reading matters too when a pack goes or comes."""

    def __init__(self, players: Sequence[DirtPlayer], faults: PackFaults) -> None:
        self._players = players
        self._faults = faults

    def close(self, now_s: float) -> bool:
        return self._faults.close(now_s) or any(player.close(now_s) for player in self._players)

    def active(self, now_s: float) -> bool:
        return any(player.active(now_s) for player in self._players)

    def next_change_s(self, now_s: float) -> float:
        return min(player.next_change_s(now_s) for player in self._players)


class PacksSimulation:
    """One run of a scenario with a controller."""

    def __init__(self, scenario: PacksScenario, controller: PacksController) -> None:
        self.scenario = scenario
        self.packs = [_Pack(name, plan, scenario, i) for i, (name, plan) in enumerate(scenario.packs.items())]
        self.gx = Dvcc(scenario.system)
        self.devices = Devices(scenario.system)
        self.trace = Trace()
        self.now_s = scenario.start_s
        self.total_a = 0.0
        """Current of the battery in the last step."""
        self._controller = controller
        self._faults = PackFaults(scenario)
        self._dirt = _AllDirt([pack.dirt for pack in self.packs], self._faults)
        self._step_size = StepSize(scenario, self._dirt, _NEAR_FULL_SHARE)
        self._bursts = Bursts()
        self._decided: SentLimits | None = None
        self._sent: SentLimits | None = None
        capacities_ah = [pack.plan.battery.capacity_ah for pack in self.packs]
        self._shares = [capacity_ah / sum(capacities_ah) for capacity_ah in capacities_ah]

    def run(self) -> PacksRun:
        """Play the scenario to its end."""
        end_s = self.scenario.end_s - 1e-6
        while self.now_s < end_s:
            self.step(self._step_size.step_s(self.now_s, self._faults))
        packs = tuple(
            PackRun(pack.name, pack.plan, pack.trace, tuple(pack.trips), self._hard(pack)) for pack in self.packs
        )
        return PacksRun(Run(self.scenario, self._controller.name, self.trace, ()), self.scenario, packs)

    def step(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds pass."""
        now_s, scenario, packs = self.now_s, self.scenario, self.packs
        for pack in packs:
            pack.suffer(self._faults.kinds(pack.name, now_s))
        self._communicate(dt_s)
        sun_w, load_w = scenario.sun.at(now_s), scenario.load.at(now_s)
        points = self.gx.step(now_s, self.devices.inverter_a)
        there = [pack for pack in packs if pack.plugged]
        now = split([pack.branch(0.0) for pack in packs], self.total_a)
        takes, gives = any(pack.bms.takes for pack in there), any(pack.bms.gives for pack in there)
        source = BatterySource(now.emf_v, now.ohm, now.total_a, takes, gives)
        flow = self.devices.step(dt_s, source, sun_w, load_w, points)
        branches = [pack.branch(dt_s) for pack in packs]
        flows, rest = split(branches, flow.battery_a), split(branches, 0.0)
        self.total_a = flows.total_a
        self.now_s += dt_s
        for pack, share, current_a, equalising_a in zip(
            packs, self._shares, flows.currents_a, rest.currents_a, strict=True
        ):
            pack.current_a, pack.equalising_a = current_a, equalising_a
            pack.charge(dt_s, (pack.plan.ambient or scenario.ambient).at(now_s))
            pack.observe(self.now_s, dt_s, flow.offered_a * share)
            pack.record(load_w, self._sent)
        self._record(dt_s, sun_w, load_w, flow, flows.bus_v)

    def _communicate(self, dt_s: float) -> None:
        """Sample, decide, send: what was decided goes out with the next burst."""
        now_s, faults = self.now_s, self._faults
        faults.advance(now_s, None if self._sent is None else self._sent.state)
        if faults.bridge_restarts:
            self._controller.restart()
        reads = not faults.suspended
        self._decided = self._decide(now_s, reads=reads)
        for again in range(1, _AGAIN + 1):
            if not reads or self._decided is None or not self._decided.in_doubt or (again + 1) * _HURRY_S > dt_s:
                break
            self._decided = self._decide(now_s + again * _HURRY_S, reads=True)
        self._bursts.decide(self._decided, now_s, dt_s)
        self._sent = None if faults.can_dead else self._bursts.sent
        if faults.gx_down and self.gx.running:
            self.gx.stop()
        elif not faults.gx_down and not self.gx.running:
            self.gx.start()
        if self._sent is not None:
            self.gx.receive(self._sent, now_s)

    def _decide(self, now_s: float, *, reads: bool) -> SentLimits | None:
        samples = {pack.name: pack.read(now_s) for pack in self.packs if pack.heard} if reads else {}
        if self._faults.bridge_down or self._faults.suspended:
            return None
        return self._controller.decide(samples, now_s)

    @staticmethod
    def _hard(pack: _Pack) -> int:
        hard_a = max(2.0, 0.02 * pack.plan.battery.capacity_ah)
        return sum(opening.current_a > hard_a for opening in pack.bms.openings)

    def _record(self, dt_s: float, sun_w: float, load_w: float, flow: PowerFlow, bus_v: float) -> None:
        sent, packs = self._sent, self.packs
        there = [pack for pack in packs if pack.plugged] or packs
        demanded = [pack.demands(self.now_s - dt_s) for pack in there]
        held_ah = sum(share * pack.cells.soc for share, pack in zip(self._shares, packs, strict=True))
        counted = sum(share * pack.bms.soc_percent for share, pack in zip(self._shares, packs, strict=True))
        highest_v = max(max(pack.cells_v) for pack in there)
        lowest_v = min(min(pack.cells_v) for pack in there)
        coldest_c = [min(pack.cells.temperatures_c) for pack in there]
        self.trace.add(
            (
                self.now_s,
                dt_s,
                sun_w,
                flow.solar_w,
                load_w,
                flow.served_w,
                self.total_a,
                bus_v,
                highest_v,
                lowest_v,
                held_ah * 100.0,
                counted,
                max(coldest_c),  # what a cold pack takes is judged pack by pack
                max(max(pack.cells.temperatures_c) for pack in there),
                math.nan if sent is None else sent.cvl_v,
                math.nan if sent is None else sent.ccl_a,
                math.nan if sent is None else sent.dcl_a,
                -1.0 if sent is None else STATES.index(sent.state),
                math.nan if sent is None else sent.decided_s,
                min(ccl_a for ccl_a, _ in demanded),
                max(dcl_a for _, dcl_a in demanded),
                float(self._faults.active or self._dirt.active(self.now_s - dt_s)),
                math.nan,
                math.nan if sent is None else sent.soc_percent,
                max(spread_ah(pack.cells.cells) for pack in packs),
                float(all(pack.bms.full for pack in packs)),
                float(sent is not None and sent.balancing),
            )
        )
        self._step_size.observe(self.now_s, highest_v, lowest_v, min(coldest_c), sent)


def play_packs(scenario: PacksScenario, controller: PacksController) -> PacksRun:
    """Play a scenario of several packs with a controller."""
    return PacksSimulation(scenario, controller).run()
