"""The BMS's own counting: state of charge and of health from the current it reads (user manual Rev D)."""

from dataclasses import dataclass

__all__ = ["FuelGauge"]

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
