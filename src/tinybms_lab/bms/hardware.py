"""The two switches of the BMS, what flows through them, and what it measures, wires and plugs permitting."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from tinybms_lab.bms.environment import Demand, Wiring
from tinybms_lab.bms.measurement import BmsThresholds, CurrentSensor, Measurement
from tinybms_lab.bms.pack import SimulatedPack
from tinybms_lab.bms.protections import ProtectionRow, SinglePort
from tinybms_lab.bms.records import EventId
from tinybms_lab.bms.variants import Board

__all__ = ["ALL_OFF", "MeasuringCircuit", "PackCurrent", "SwitchStates", "conduct", "dual_port", "single_port"]


@dataclass(frozen=True, slots=True)
class SwitchStates:
    """Which switches are closed; in single-port mode both fields are the one switch."""

    load: bool
    charger: bool


ALL_OFF = SwitchStates(load=False, charger=False)
"""Nothing flows."""


def dual_port(active: Iterable[ProtectionRow], limits: BmsThresholds, *, charge: bool) -> SwitchStates:
    """Return the switches of the dual-port mode; ``charge`` tells whether the course of the charge wants current."""
    rows = tuple(active)
    return SwitchStates(
        load=all(row.load for row in rows), charger=charge and all(row.leaves_charger(limits) for row in rows)
    )


def single_port(active: Iterable[ProtectionRow], *, charge_over: bool, load: bool, charger: bool) -> SwitchStates:
    """Return the one switch of the single-port mode.

    Args:
        active: the active protections.
        charge_over: whether the course of the charge wants no current: full, or balancing.
        load: a load is detected.
        charger: a charger drives current.

    """
    wishes = {row.single for row in active}
    if charge_over:
        wishes.add(SinglePort.LOAD_ONLY)
    on = SinglePort.OFF not in wishes
    if SinglePort.LOAD_ONLY in wishes:
        on = on and load
    if SinglePort.CHARGE_ONLY in wishes:
        on = on and charger and not load
    return SwitchStates(load=on, charger=on)


@dataclass(frozen=True, slots=True)
class PackCurrent:
    """What flows."""

    current_a: float
    """Positive = into the pack."""
    stuck: EventId | None = None
    """The switch that conducts more than the activity threshold although it is open."""


def conduct(demand: Demand, switches: SwitchStates, wiring: Wiring, limits: BmsThresholds) -> PackCurrent:
    """Return the part of the demand that closed and stuck switches let through."""
    paths = [
        (demand.charger_a, switches.charger, wiring.stuck_charger, EventId.CHARGER_SWITCH_STUCK),
        (demand.load_a, switches.load, wiring.stuck_load, EventId.LOAD_SWITCH_STUCK),
    ]
    if limits.single_port:
        both_a = demand.charger_a + demand.load_a
        paths = [(both_a, switches.load, wiring.stuck_load, EventId.PORT_SWITCH_STUCK)]
    current_a = 0.0
    culprit: EventId | None = None
    for wanted_a, closed, stuck, event in paths:
        if closed or stuck:
            current_a += wanted_a
            if not closed and abs(wanted_a) > limits.idle_a:
                culprit = event
    return PackCurrent(current_a, culprit)


_BOARD_TAU_S = 300.0
_BOARD_OWN_WARMTH_C = 2.0
_BOARD_FULL_LOAD_WARMTH_C = 15.0
_BLEEDER_WARMTH_C = 1.0


class MeasuringCircuit:
    """The inputs of the board.

    Args:
        pack: what is measured.
        wiring: how it is connected.
        board: power part of the BMS.

    """

    def __init__(self, pack: SimulatedPack, wiring: Wiring, board: Board) -> None:
        self.board_c = pack.ambient_c + _BOARD_OWN_WARMTH_C
        """Temperature of the board itself."""
        self.external_in_use = wiring.external_current_sensor
        """Whether the external current sensor is in use; the board looks for it at each start."""
        self.cells_v: tuple[float, ...] = ()
        """Last readings of the wired cell inputs, the lowest cell first."""
        self._pack = pack
        self._wiring = wiring
        self._board = board

    @property
    def external_c(self) -> tuple[float | None, float | None]:
        """The external sensors: the first sits on the lower half of the cells, the second on the upper."""
        first, second = self._wiring.temperature_sensors
        if not (first or second):
            return None, None
        cells_c = self._pack.temperatures_c
        half = len(cells_c) // 2
        lower_c, upper_c = sum(cells_c[:half]) / half, sum(cells_c[half:]) / (len(cells_c) - half)
        return (lower_c if first else None), (upper_c if second else None)

    @property
    def current_sensor(self) -> CurrentSensor:
        """State of the external current sensor."""
        plugged = self._wiring.external_current_sensor
        if plugged is self.external_in_use:
            return CurrentSensor.FINE
        return CurrentSensor.NOT_READY if plugged else CurrentSensor.LOST

    def measure(
        self, demand: Demand, flow: PackCurrent, limits: BmsThresholds, *, configured: int, soc_percent: float
    ) -> Measurement:
        """Return the readings while ``flow`` flows; ``configured`` is the number of cells in register 307."""
        self.cells_v = self._wiring.readings_v(self._pack.cell_voltages_v)
        return Measurement(
            cells_v=self._configured_v(configured),
            current_a=self._current_a(flow.current_a, limits),
            board_c=self.board_c,
            external_c=tuple(celsius for celsius in self.external_c if celsius is not None),
            charger=demand.charger,
            load=demand.load_a < 0.0,
            ignition=self._wiring.ignition,
            sensor=self.current_sensor,
            stuck=flow.stuck,
            soc_percent=soc_percent,
            offered_a=demand.charger_a,
        )

    def warm(self, dt_s: float, current_a: float, bleeding: int) -> None:
        """Let the board follow room, load and ``bleeding`` bled cells for a time."""
        load = (current_a / self._board.discharge_cutoff_a) ** 2
        settled_c = (
            self._pack.ambient_c + _BOARD_OWN_WARMTH_C + _BOARD_FULL_LOAD_WARMTH_C * load + _BLEEDER_WARMTH_C * bleeding
        )
        self.board_c = settled_c + (self.board_c - settled_c) * math.exp(-dt_s / _BOARD_TAU_S)

    def _configured_v(self, count: int) -> tuple[float, ...]:
        """Return the readings of as many cells as are configured, from the top; inputs without a cell read 0."""
        return ((0.0,) * (count - len(self.cells_v)) + self.cells_v)[-count:]

    def _current_a(self, current_a: float, limits: BmsThresholds) -> float:
        if self.current_sensor is CurrentSensor.LOST:
            return 0.0
        inverted = self.external_in_use and limits.invert_external
        return limits.measured_a(-current_a if inverted else current_a)
