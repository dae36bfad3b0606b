"""Cell chemistries: open-circuit voltage as a smooth curve, resistance, warmth and the BMS settings that suit them."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType

__all__ = ["CHEMISTRIES", "LFP", "LI_ION", "LTO", "CellSettings", "ChemistryModel", "MonotoneCurve"]


class MonotoneCurve:
    """Cubic interpolation without overshoot (Steffen, Astronomy & Astrophysics 239, 1990, eqs. 8 and 11).

    Args:
        points: (x, y) pairs, x strictly rising, y not falling.

    Raises:
        ValueError: fewer than two points, or an order that is not kept.

    """

    __slots__ = ("_ends", "_pieces", "_xs", "_ys")

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        if len(points) < 2:
            raise ValueError(f"a curve needs at least 2 points, got {len(points)}")
        for (x0, y0), (x1, y1) in pairwise(points):
            if x1 <= x0 or y1 < y0:
                raise ValueError(f"point ({x1}, {y1}) does not continue the rise from ({x0}, {y0})")
        self._xs = tuple(float(x) for x, _ in points)
        self._ys = tuple(float(y) for _, y in points)
        slopes = _slopes(self._xs, self._ys)
        self._ends = slopes[0], slopes[-1]
        self._pieces = tuple(_pieces(self._xs, self._ys, slopes))

    def __call__(self, x: float) -> float:
        """Return y at ``x``; beyond the ends the curve goes on as a straight line."""
        xs, ys = self._xs, self._ys
        if x <= xs[0]:
            return ys[0] + (x - xs[0]) * self._ends[0]
        if x >= xs[-1]:
            return ys[-1] + (x - xs[-1]) * self._ends[1]
        x0, y0, slope, square, cubic = self._pieces[bisect_right(xs, x) - 1]
        t = x - x0
        return ((cubic * t + square) * t + slope) * t + y0


def _slopes(xs: tuple[float, ...], ys: tuple[float, ...]) -> tuple[float, ...]:
    widths = [b - a for a, b in pairwise(xs)]
    secants = [(b - a) / h for (a, b), h in zip(pairwise(ys), widths, strict=True)]
    inner = [
        _inner_slope(s0, s1, h0, h1) for (s0, s1), (h0, h1) in zip(pairwise(secants), pairwise(widths), strict=True)
    ]
    return (secants[0], *inner, secants[-1])


def _pieces(
    xs: tuple[float, ...], ys: tuple[float, ...], slopes: tuple[float, ...]
) -> Iterator[tuple[float, float, float, float, float]]:
    """Return start and the coefficients of rising order of each piece."""
    for i, (x0, x1) in enumerate(pairwise(xs)):
        width = x1 - x0
        secant = (ys[i + 1] - ys[i]) / width
        square = (3.0 * secant - 2.0 * slopes[i] - slopes[i + 1]) / width
        yield x0, ys[i], slopes[i], square, (slopes[i] + slopes[i + 1] - 2.0 * secant) / width**2


def _inner_slope(secant_0: float, secant_1: float, width_0: float, width_1: float) -> float:
    parabola = (secant_0 * width_1 + secant_1 * width_0) / (width_0 + width_1)
    return 2.0 * min(secant_0, secant_1, 0.5 * parabola)


@dataclass(frozen=True, slots=True)
class CellSettings:
    """Cell settings of the BMS for one chemistry, in the units of the registers (tinybms-protocol.md, 2.3).

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
class ChemistryModel:
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


LFP = ChemistryModel(
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

LI_ION = ChemistryModel(
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

LTO = ChemistryModel(
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

CHEMISTRIES: Mapping[str, ChemistryModel] = MappingProxyType({c.name: c for c in (LFP, LI_ION, LTO)})
"""Chemistry by the name used on the command line."""
