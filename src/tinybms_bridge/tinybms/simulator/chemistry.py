"""Cell chemistries: open-circuit voltage, resistance, warmth and the BMS settings that suit them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType

from tinybms_bridge.tinybms.simulator.curve import MonotoneCurve

__all__ = ["CHEMISTRIES", "LFP", "LI_ION", "LTO", "CellSettings", "Chemistry"]


@dataclass(frozen=True, slots=True)
class CellSettings:
    """Cell settings of the BMS for one chemistry, in the units of the registers (protocol Rev D, settings 300-320).

    Raises:
        ValueError: the four voltages break the order 316 + 10 <= 301, 301 + 10 <= 300, 300 + 10 <= 315.

    """

    fully_charged_mv: int
    """Register 300."""
    fully_discharged_mv: int
    """Register 301."""
    early_balancing_mv: int
    """Register 303."""
    over_voltage_mv: int
    """Register 315."""
    under_voltage_mv: int
    """Register 316."""
    over_heat_c: int = 60
    """Register 319."""
    low_temperature_charge_c: int = 1
    """Register 320."""
    allowed_disbalance_mv: int = 15
    """Register 308."""

    def __post_init__(self) -> None:
        ladder = (self.under_voltage_mv, self.fully_discharged_mv, self.fully_charged_mv, self.over_voltage_mv)
        if any(upper < lower + 10 for lower, upper in pairwise(ladder)):
            raise ValueError(f"registers 316, 301, 300, 315 = {ladder} mV must rise by at least 10 mV each")

    def registers(self) -> dict[int, int]:
        """Return address to raw 16-bit value."""
        return {
            300: self.fully_charged_mv,
            301: self.fully_discharged_mv,
            303: self.early_balancing_mv,
            308: self.allowed_disbalance_mv,
            315: self.over_voltage_mv,
            316: self.under_voltage_mv,
            319: self.over_heat_c & 0xFFFF,
            320: self.low_temperature_charge_c & 0xFFFF,
        }


@dataclass(frozen=True, slots=True)
class Chemistry:
    """One kind of cell. Values that scale with size are given for a cell of 1 Ah."""

    name: str
    ocv_points: tuple[tuple[float, float], ...]
    """(state of charge 0..1, open-circuit volts at rest), rising."""
    ohmic_ohm_ah: float
    """Resistance that answers at once, times capacity."""
    polarisation_ohm_ah: float
    """Resistance that builds up with ``polarisation_tau_s``, times capacity."""
    polarisation_tau_s: float
    heat_capacity_j_k_ah: float
    """Heat capacity per Ah."""
    settings: CellSettings
    floor_v: float = 0.3
    """A cell never shows less, however far it is discharged."""
    ceiling_v: float = 5.0
    """A cell never shows more, however far it is charged."""
    _curve: MonotoneCurve = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_curve", MonotoneCurve(self.ocv_points))

    def ocv_v(self, soc: float) -> float:
        """Return the open-circuit voltage at a state of charge of 0..1; outside, the ends go on up to the stops."""
        volts = self._curve(soc)
        if volts < self.floor_v:
            return self.floor_v
        return min(volts, self.ceiling_v)


LFP = Chemistry(
    name="lfp",
    ocv_points=(
        (0.00, 2.600), (0.02, 2.860), (0.05, 3.060), (0.10, 3.200), (0.15, 3.235), (0.20, 3.255), (0.30, 3.285),
        (0.40, 3.295), (0.50, 3.300), (0.60, 3.308), (0.70, 3.325), (0.80, 3.330), (0.90, 3.335), (0.95, 3.342),
        (0.98, 3.370), (0.99, 3.420), (1.00, 3.650),
    ),
    ohmic_ohm_ah=0.060,
    polarisation_ohm_ah=0.040,
    polarisation_tau_s=60.0,
    heat_capacity_j_k_ah=20.0,
    settings=CellSettings(3600, 2800, 3400, 3750, 2500),
)  # fmt: skip
"""Lithium iron phosphate: flat near 3.3 V, 3.65 V when full."""

LI_ION = Chemistry(
    name="li-ion",
    ocv_points=(
        (0.00, 3.000), (0.02, 3.220), (0.05, 3.360), (0.10, 3.450), (0.20, 3.550), (0.30, 3.610), (0.40, 3.660),
        (0.50, 3.725), (0.60, 3.815), (0.70, 3.905), (0.80, 3.995), (0.90, 4.085), (1.00, 4.200),
    ),
    ohmic_ohm_ah=0.070,
    polarisation_ohm_ah=0.035,
    polarisation_tau_s=40.0,
    heat_capacity_j_k_ah=14.0,
    settings=CellSettings(4150, 3000, 3200, 4200, 2900),
)  # fmt: skip
"""Nickel manganese cobalt oxide: slopes from 3.0 V to 4.2 V."""

LTO = Chemistry(
    name="lto",
    ocv_points=(
        (0.00, 1.800), (0.02, 1.920), (0.05, 2.020), (0.10, 2.110), (0.20, 2.170), (0.30, 2.210), (0.40, 2.240),
        (0.50, 2.270), (0.60, 2.300), (0.70, 2.340), (0.80, 2.390), (0.90, 2.480), (0.95, 2.560), (1.00, 2.750),
    ),
    ohmic_ohm_ah=0.020,
    polarisation_ohm_ah=0.010,
    polarisation_tau_s=20.0,
    heat_capacity_j_k_ah=32.0,
    settings=CellSettings(2700, 1850, 2400, 2850, 1600, low_temperature_charge_c=-20),
)  # fmt: skip
"""Lithium titanate: 1.8 V to 2.75 V, low resistance, charges in frost."""

CHEMISTRIES: Mapping[str, Chemistry] = MappingProxyType({c.name: c for c in (LFP, LI_ION, LTO)})
"""Chemistry by the name used on the command line."""
