"""The battery behind the registers: pack, surroundings and the decisions of the BMS, moved on in small steps."""

from collections.abc import Sequence

from tinybms_bridge.tinybms.simulator.events import EventId
from tinybms_bridge.tinybms.simulator.firmware import FIRMWARE_254, Board, Firmware
from tinybms_bridge.tinybms.simulator.gauge import FuelGauge
from tinybms_bridge.tinybms.simulator.image import Sample
from tinybms_bridge.tinybms.simulator.logic import BmsLogic
from tinybms_bridge.tinybms.simulator.measurement import Measurement
from tinybms_bridge.tinybms.simulator.pack import Pack
from tinybms_bridge.tinybms.simulator.senses import Senses
from tinybms_bridge.tinybms.simulator.settings import SettingsBlock
from tinybms_bridge.tinybms.simulator.statistics import Statistics
from tinybms_bridge.tinybms.simulator.surroundings import Demand, Surroundings
from tinybms_bridge.tinybms.simulator.switches import ALL_OFF, Flow, Switches, conduct
from tinybms_bridge.tinybms.simulator.thresholds import Thresholds

__all__ = ["BatteryModel"]

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
        surroundings: what the BMS is wired to.
        firmware: which settings there are.
        warning_is_fault: register 50 says "fault" during a warning too.

    """

    def __init__(
        self,
        pack: Pack,
        settings: SettingsBlock,
        board: Board,
        surroundings: Surroundings,
        *,
        firmware: Firmware = FIRMWARE_254,
        warning_is_fault: bool = False,
    ) -> None:
        self.pack = pack
        self.surroundings = surroundings
        self.senses = Senses(pack, surroundings.wiring, board)
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
        self._limits = Thresholds.of(settings, board.idle_current_a, firmware)
        self._limits_revision = settings.revision
        self._events: list[tuple[float, EventId]] = []
        self._demand = Demand()
        self._measured = self._measure(self._demand, Flow(0.0))
        self._decide()

    @property
    def limits(self) -> Thresholds:
        """Settings in units."""
        if self._limits_revision != self._settings.revision:
            self._limits = Thresholds.of(self._settings, self._board.idle_current_a, self._firmware)
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
            demand = self.surroundings.demand(self.time_s, self.pack, self.limits.idle_a)
            flow = conduct(
                demand,
                self.closed_switches(restarting=restarting, asleep=asleep),
                self.surroundings.wiring,
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
        plugged = self.surroundings.wiring.external_current_sensor
        if plugged is not self.senses.external_in_use:
            event = EventId.CURRENT_SENSOR_IN_USE if plugged else EventId.CURRENT_SENSOR_REMOVED
            self._events.append((self.time_s, event))
        self.senses.external_in_use = plugged
        self.logic.restart()
        self._measured = self._measure(Demand(), Flow(0.0))
        self._decide()

    def take_events(self) -> list[tuple[float, EventId]]:
        """Return the events since the last call, each with its pack time."""
        events, self._events = self._events, []
        return events

    def closed_switches(self, *, restarting: bool, asleep: bool) -> Switches:
        """Return the closed switches; asleep, a unit with an ignition input opens them all."""
        return ALL_OFF if restarting or (asleep and self.limits.ignition) else self.logic.switches

    def sample(self, lifetime_s: int) -> Sample:
        """Return what the BMS has measured and decided."""
        return Sample(
            cells_v=self.senses.cells_v,
            configured_cells=self._settings[307],
            current_a=self._measured.current_a,
            soc_percent=self.gauge.soc_percent,
            soh_percent=self.gauge.soh_percent,
            left_ah=self.gauge.left_ah(self._capacity_ah()),
            lifetime_s=lifetime_s,
            internal_c=self.senses.board_c,
            external_c=self.senses.external_c,
            status=self.logic.status,
            balancing_wanted=self._wired(self.logic.wanted),
            balancing_now=self._wired(self.logic.bleeding),
        )

    def _steady_for_s(self, demand: Demand, flow: Flow) -> float:
        """Return for how long one step may last without crossing a moment at which something happens."""
        before, self._demand = self._demand, demand
        if abs(flow.current_a - self.pack.current_a) > _CHANGE_A or demand.differs(before, _CHANGE_A):
            return _STEP_AFTER_CHANGE_S
        decision_s = self.logic.due_s - self.time_s
        return max(min(decision_s, self.surroundings.steady_for_s(self.time_s)), _SHORTEST_STEP_S)

    def _step(self, dt_s: float, demand: Demand, flow: Flow) -> None:
        """Let time pass for the cells, then read them."""
        bleeding = self._wired(self.logic.bleeding)
        self.pack.step(dt_s, flow.current_a, bleeding)
        self.time_s += dt_s
        self.senses.warm(dt_s, flow.current_a, len(bleeding))
        self._measured = measured = self._measure(demand, flow)
        self.gauge.count(measured.current_a, dt_s, self._capacity_ah(), self._settings[322])
        self.statistics.observe(measured.current_a, measured.cells_v, measured.external_c or (measured.board_c,))
        active = self.logic.is_active(measured, self.limits)
        self.quiet_s = 0.0 if active else self.quiet_s + dt_s

    def _measure(self, demand: Demand, flow: Flow) -> Measurement:
        configured, soc_percent = self._settings[307], self.gauge.soc_percent
        return self.senses.measure(demand, flow, self.limits, configured=configured, soc_percent=soc_percent)

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
