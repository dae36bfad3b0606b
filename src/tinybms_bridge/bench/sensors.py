"""What a BMS reads of the truth: calibration errors, noise, resolution, and a current that reads 0 when small."""

from collections.abc import Sequence
from dataclasses import dataclass

from tinybms_bridge.bench.noise import generator

__all__ = ["SensorPlan", "Sensors"]

_ROWS = 509
"""Rows of noise that are made once and repeated; a prime, so that no period of a control loop meets the same row."""


@dataclass(frozen=True, slots=True)
class SensorPlan:
    """How far the BMS's readings are from the truth."""

    cell_error_v: float = 0.002
    """Largest calibration error of a cell's channel; each has its own, fixed for the run."""
    cell_noise_v: float = 0.0005
    """Standard deviation of one reading."""
    current_gain_error: float = 0.005
    """As a fraction of the current."""
    current_offset_a: float = 0.1
    current_noise_a: float = 0.1
    temperature_noise_c: float = 0.1
    idle_a: float = 0.8
    """Currents within ± this read as exactly 0 (protocol reference, section 5.2: the high-power board)."""
    external: bool = True
    """Whether two external temperature sensors are on the cells."""
    board: bool = False
    """Whether the board's own sensor is read; it shows the mean of the cells."""


class Sensors:
    """The inputs of one BMS.

    Args:
        plan: sizes of the errors.
        cells: number of cells.
        seed: chooses errors and noise.

    """

    def __init__(self, plan: SensorPlan, cells: int, seed: int) -> None:
        self.plan = plan
        chance = generator(seed)
        errors_v = [chance.uniform(-plan.cell_error_v, plan.cell_error_v) for _ in range(cells)]
        self._cell_rows = [[e + chance.gauss(0.0, plan.cell_noise_v) for e in errors_v] for _ in range(_ROWS)]
        self._current_rows = [plan.current_offset_a + chance.gauss(0.0, plan.current_noise_a) for _ in range(_ROWS)]
        self._warmth_rows = [chance.gauss(0.0, plan.temperature_noise_c) for _ in range(_ROWS)]
        self._gain = 1.0 + plan.current_gain_error
        self._idle_a = plan.idle_a
        self._row = 0

    def tick(self) -> None:
        """Go on to the next sample."""
        self._row = (self._row + 1) % _ROWS

    def cells_v(self, true_v: Sequence[float]) -> tuple[float, ...]:
        """Return cell voltages as read, in steps of 0.1 mV."""
        return tuple([round(v + d, 4) for v, d in zip(true_v, self._cell_rows[self._row], strict=True)])

    def current_a(self, true_a: float) -> float:
        """Return a current as read, in steps of 10 mA."""
        read_a = round(true_a * self._gain + self._current_rows[self._row], 2)
        return 0.0 if abs(read_a) <= self._idle_a else read_a

    def temperature_c(self, true_c: float) -> float:
        """Return a temperature as read, in steps of 0.1 °C."""
        return round(true_c + self._warmth_rows[self._row], 1)
