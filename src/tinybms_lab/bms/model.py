"""The battery behind the registers: pack, environment, counting and decisions, seen as registers 0 to 55."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tinybms_bridge.battery.snapshot import BmsStatus
from tinybms_bridge.tinybms.frames import from_float, from_u32
from tinybms_lab.bms.environment import Demand, Environment
from tinybms_lab.bms.hardware import ALL_OFF, MeasuringCircuit, PackCurrent, SwitchStates, conduct
from tinybms_lab.bms.logic import BmsLogic
from tinybms_lab.bms.measurement import BmsThresholds, Measurement
from tinybms_lab.bms.pack import SimulatedPack
from tinybms_lab.bms.records import EventId, Statistics
from tinybms_lab.bms.settings import SettingsBlock
from tinybms_lab.bms.variants import FIRMWARE_254, Board, Firmware

__all__ = ["LIVE_WORDS", "BatteryModel", "FuelGauge", "Sample", "live_words"]


_DEFAULT_CYCLES = 1000


@dataclass(slots=True)
class FuelGauge:
    """Coulomb counter; knows nothing of the true charge in the cells."""

    soc_percent: float
    soh_percent: float = 100.0

    def count(self, current_a: float, dt_s: float, capacity_ah: float, max_cycles: int) -> None:
        """Count a current for a time; capacity is register 306, cycles register 322 (1000 where it reads 0)."""
        charge_ah = current_a * dt_s / 3600.0
        self.soc_percent = _percent(self.soc_percent + 100.0 * charge_ah / capacity_ah)
        if charge_ah < 0:
            lifetime_ah = capacity_ah * (max_cycles or _DEFAULT_CYCLES)
            self.soh_percent = _percent(self.soh_percent + 100.0 * charge_ah / lifetime_ah)

    def left_ah(self, capacity_ah: float) -> float:
        """Return the charge left by this count."""
        return self.soc_percent / 100.0 * capacity_ah


def _percent(value: float) -> float:
    return min(max(value, 0.0), 100.0)


LIVE_WORDS = 56
"""Registers 0 to 55."""

_PINS = 16
_OWN_DRAW_A = 0.00475
"""The idle estimate of real units is the charge left divided by the draw of the BMS itself (registers 34-35)."""
_ABSENT = -32768 & 0xFFFF
_MAX_CELL_RAW = 45000
_LEAST_CELL_RAW = 8000
"""The cell inputs reach from 0.8 V to 4.5 V; below, no cell is detected."""
_U32_MAX = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Sample:
    """What the BMS has measured and decided at one refresh."""

    cells_v: tuple[float, ...]
    """Readings of the inputs that are wired to a cell, cell 1 (lowest) first."""
    configured_cells: int
    """Register 307: how many pins, from the top, count."""
    current_a: float
    """As the BMS reads it: 0 within its activity threshold."""
    soc_percent: float
    soh_percent: float
    left_ah: float
    """Charge left by the BMS's own count."""
    lifetime_s: int
    internal_c: float
    external_c: tuple[float | None, float | None]
    status: BmsStatus
    balancing_wanted: Collection[int] = ()
    """Indexes (from 0) of cells."""
    balancing_now: Collection[int] = ()


def live_words(sample: Sample) -> list[int]:
    """Return registers 0 to 55."""
    pins = _pins(sample)
    configured = pins[_PINS - sample.configured_cells :]
    external_1, external_2 = (_temperature(celsius) for celsius in sample.external_c)
    return [
        *pins,
        *[0] * 16,
        *from_u32(sample.lifetime_s & _U32_MAX),
        *from_u32(_time_left_s(sample)),
        *from_float(sum(configured) / 10000.0),
        *from_float(round(sample.current_a, 3)),
        _millivolts(min(configured)),
        _millivolts(max(configured)),
        external_1,
        external_2,
        0,
        round(sample.soh_percent * 500.0),
        *from_u32(round(sample.soc_percent * 1_000_000.0)),
        _temperature(sample.internal_c),
        0,
        sample.status.value,
        _bits(sample.balancing_wanted, len(sample.cells_v)),
        _bits(sample.balancing_now, len(sample.cells_v)),
        sum(round(v * 10000.0) >= _LEAST_CELL_RAW for v in sample.cells_v),
        *from_float(0.0),
    ]


def _pins(sample: Sample) -> list[int]:
    """Return registers 0 to 15: the cells are wired to the upper pins, pins that are not configured read 0."""
    unwired = _PINS - len(sample.cells_v)
    raw = [0] * unwired + [min(max(round(v * 10000.0), 0), _MAX_CELL_RAW) for v in sample.cells_v]
    return [value if pin >= _PINS - sample.configured_cells else 0 for pin, value in enumerate(raw)]


def _millivolts(raw: int) -> int:
    return (raw + 5) // 10


def _temperature(celsius: float | None) -> int:
    return _ABSENT if celsius is None else min(max(round(celsius * 10.0), -32767), 32767) & 0xFFFF


def _bits(indexes: Collection[int], count: int) -> int:
    return sum(1 << _PINS - count + index for index in indexes)


def _time_left_s(sample: Sample) -> int:
    drain_a = -sample.current_a if sample.current_a < 0 else _OWN_DRAW_A
    return round(min(sample.left_ah / drain_a * 3600.0, _U32_MAX))


_STEP_S = 1.0
_STEP_AFTER_CHANGE_S = 0.1
"""A new current meets the protections after one refresh of the BMS."""

_CHANGE_A = 0.5
_SHORTEST_STEP_S = 1e-3
_MAX_STEPS = 200
"""Bounds the work of one call: longer spans take coarser steps, which in the end cross the borders of segments."""


class BatteryModel:
    """Pack and BMS in pack time, which a simulation may run faster than the clock.

    Args:
        pack: the cells.
        settings: settings registers in force.
        board: power part of the BMS.
        environment: what the BMS is wired to.
        firmware: which settings there are.
        warning_is_fault: register 50 says "fault" during a warning too.

    """

    def __init__(
        self,
        pack: SimulatedPack,
        settings: SettingsBlock,
        board: Board,
        environment: Environment,
        *,
        firmware: Firmware = FIRMWARE_254,
        warning_is_fault: bool = False,
    ) -> None:
        self.pack = pack
        self.environment = environment
        self.circuit = MeasuringCircuit(pack, environment.wiring, board)
        self.gauge = FuelGauge(pack.soc * 100.0)
        self.statistics = Statistics()
        self.logic = BmsLogic(warning_is_fault=warning_is_fault)
        self.time_s = 0.0
        """Pack time."""
        self.quiet_s = 0.0
        """Pack time since something kept the BMS awake."""
        self._settings = settings
        self._board = board
        self._firmware = firmware
        self._limits = BmsThresholds.of(settings, board.idle_current_a, firmware)
        self._limits_revision = settings.revision
        self._events: list[tuple[float, EventId]] = []
        self._demand = Demand()
        self._measured = self._measure(self._demand, PackCurrent(0.0))
        self._decide()

    @property
    def limits(self) -> BmsThresholds:
        """Settings in units."""
        if self._limits_revision != self._settings.revision:
            self._limits = BmsThresholds.of(self._settings, self._board.idle_current_a, self._firmware)
            self._limits_revision = self._settings.revision
        return self._limits

    @property
    def measured(self) -> Measurement:
        """The last readings."""
        return self._measured

    def run(self, span_s: float, *, restarting: bool = False, asleep: bool = False) -> None:
        """Let ``span_s`` seconds of pack time pass; a BMS that restarts decides nothing and lets nothing through."""
        end_s = self.time_s + span_s
        longest_s = max(_STEP_S, span_s / _MAX_STEPS)
        steps = 0
        while self.time_s < end_s - 1e-9:
            demand = self.environment.demand(self.time_s, self.pack, self.limits.idle_a)
            flow = conduct(
                demand,
                self.closed_switches(restarting=restarting, asleep=asleep),
                self.environment.wiring,
                self.limits,
            )
            dt_s = min(end_s - self.time_s, longest_s)
            if steps < 2 * _MAX_STEPS:
                dt_s = min(dt_s, self._steady_for_s(demand, flow))
            self._step(dt_s, demand, flow)
            if not restarting:
                self._decide()
            steps += 1

    def restart(self) -> None:
        """Begin to decide anew, with the current sensor that is there."""
        plugged = self.environment.wiring.external_current_sensor
        if plugged is not self.circuit.external_in_use:
            event = EventId.CURRENT_SENSOR_IN_USE if plugged else EventId.CURRENT_SENSOR_REMOVED
            self._events.append((self.time_s, event))
        self.circuit.external_in_use = plugged
        self.logic.restart()
        self._measured = self._measure(Demand(), PackCurrent(0.0))
        self._decide()

    def take_events(self) -> list[tuple[float, EventId]]:
        """Return the events since the last call, each with its pack time."""
        events, self._events = self._events, []
        return events

    def closed_switches(self, *, restarting: bool, asleep: bool) -> SwitchStates:
        """Return the closed switches; asleep, a unit with an ignition input opens them all."""
        return ALL_OFF if restarting or (asleep and self.limits.ignition) else self.logic.switches

    def sample(self, lifetime_s: int) -> Sample:
        """Return what the BMS has measured and decided."""
        return Sample(
            cells_v=self.circuit.cells_v,
            configured_cells=self._settings[307],
            current_a=self._measured.current_a,
            soc_percent=self.gauge.soc_percent,
            soh_percent=self.gauge.soh_percent,
            left_ah=self.gauge.left_ah(self._capacity_ah()),
            lifetime_s=lifetime_s,
            internal_c=self.circuit.board_c,
            external_c=self.circuit.external_c,
            status=self.logic.status,
            balancing_wanted=self._wired(self.logic.wanted),
            balancing_now=self._wired(self.logic.bleeding),
        )

    def _steady_for_s(self, demand: Demand, flow: PackCurrent) -> float:
        """Return for how long one step may last without crossing a moment at which something happens."""
        before, self._demand = self._demand, demand
        if abs(flow.current_a - self.pack.current_a) > _CHANGE_A or demand.differs(before, _CHANGE_A):
            return _STEP_AFTER_CHANGE_S
        decision_s = self.logic.due_s - self.time_s
        return max(min(decision_s, self.environment.steady_for_s(self.time_s)), _SHORTEST_STEP_S)

    def _step(self, dt_s: float, demand: Demand, flow: PackCurrent) -> None:
        """Let time pass for the cells, then read them."""
        bleeding = self._wired(self.logic.bleeding)
        self.pack.step(dt_s, flow.current_a, bleeding)
        self.time_s += dt_s
        self.circuit.warm(dt_s, flow.current_a, len(bleeding))
        self._measured = measured = self._measure(demand, flow)
        self.gauge.count(measured.current_a, dt_s, self._capacity_ah(), self._settings[322])
        self.statistics.observe(measured.current_a, measured.cells_v, measured.external_c or (measured.board_c,))
        active = self.logic.is_active(measured, self.limits)
        self.quiet_s = 0.0 if active else self.quiet_s + dt_s

    def _measure(self, demand: Demand, flow: PackCurrent) -> Measurement:
        configured, soc_percent = self._settings[307], self.gauge.soc_percent
        return self.circuit.measure(demand, flow, self.limits, configured=configured, soc_percent=soc_percent)

    def _decide(self) -> None:
        for event in self.logic.step(self._measured, self.limits, self.time_s):
            self._events.append((self.time_s, event))
            self.statistics.count(event)
            if event is EventId.CHARGING_COMPLETE:
                self.gauge.soc_percent = 100.0

    def _wired(self, indexes: Sequence[int]) -> list[int]:
        """Return indexes of configured cells as indexes of the cells that are there."""
        offset = len(self.pack.cells) - self._settings[307]
        return [index + offset for index in indexes if index + offset >= 0]

    def _capacity_ah(self) -> float:
        return self._settings[306] / 100.0
