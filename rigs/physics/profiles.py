"""What is asked of a cell in the comparison: charge and discharge at several rates, warm and cold, and a rest."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tinybms_lab.bench.physics import PARAMETERS, SingleParticleCell
from tinybms_lab.bench.physics.parameters import ZERO_C_K
from tinybms_lab.bms.chemistry import CHEMISTRIES

__all__ = ["PROFILES", "Profile", "play"]

_POINTS = 60
"""While current flows."""
_RESTS_S = (1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0)
_LOW, _HIGH, _TOP = 0.05, 0.95, 0.99
"""A discharge goes from 95 to 5 %, a charge on into the knee."""
_LEAST, _MOST = 0.05, 0.97
"""Stoichiometries of graphite and NMC where the potentials are no cliffs: below, 0.001 of the lithium is 20 mV."""
_LEAST_POSITIVE = 0.004
"""The knee of LFP is a cliff as well, but the one that every charge ends at."""
_WARM_C, _COLD_C = 25.0, 0.0


@dataclass(frozen=True, slots=True)
class Profile:
    """A constant current from 5 % up or from 95 % down, then an hour of rest."""

    chemistry: str
    c_rate: float
    """Positive charges."""
    temperature_c: float

    @property
    def name(self) -> str:
        """Readable."""
        verb = "charge" if self.c_rate > 0.0 else "discharge"
        return f"{verb} {abs(self.c_rate):g}C at {self.temperature_c:g} °C"

    @property
    def start_soc(self) -> float:
        """State of charge of the rested cell."""
        return _LOW if self.c_rate > 0.0 else _HIGH

    @property
    def flowing_s(self) -> float:
        """How long current flows: as far as 5 or 99 %, or as the settled surface of a particle has places left."""
        ours, kelvin = PARAMETERS[self.chemistry], self.temperature_c + ZERO_C_K
        per_s = self.c_rate / 3600.0
        way = (_TOP - _LOW) if self.c_rate > 0.0 else (_HIGH - _LOW)
        for electrode, window, least in (
            (ours.negative, ours.negative_window, _LEAST),
            (ours.positive, -ours.positive_window, _LEAST_POSITIVE),
        ):
            rate = per_s * window
            settled = electrode.full - (1.0 - self.start_soc) * window + rate * electrode.diffusion_s(kelvin) / 15.0
            way = min(way, ((_MOST if rate > 0.0 else least) - settled) / math.copysign(window, rate))
        return way / abs(per_s)

    @property
    def steps(self) -> tuple[tuple[float, float], ...]:
        """(length in seconds, rate) of each step; the voltage is taken at the end of each."""
        flowing = [(self.flowing_s / _POINTS, self.c_rate)] * _POINTS
        resting = [(after - before, 0.0) for before, after in zip((0.0, *_RESTS_S), _RESTS_S, strict=False)]
        return (*flowing, *resting)


def _profiles() -> Iterator[Profile]:
    for chemistry in PARAMETERS:
        for rate in (0.05, 0.2, 0.5, 1.0):
            for temperature_c in (_WARM_C, _COLD_C):
                yield Profile(chemistry, rate, temperature_c)
                yield Profile(chemistry, -rate, temperature_c)


PROFILES = tuple(_profiles())
"""All of them."""


def play(profile: Profile) -> list[float]:
    """Return the voltages of our cell at the end of each step."""
    capacity_ah = PARAMETERS[profile.chemistry].capacity_ah
    cell = SingleParticleCell(
        CHEMISTRIES[profile.chemistry], capacity_ah, profile.start_soc, temperature_c=profile.temperature_c
    )
    volts = []
    for dt_s, c_rate in profile.steps:
        cell.step(dt_s, c_rate * capacity_ah, profile.temperature_c)
        cell.temperature_c = profile.temperature_c  # both cells are held at it
        volts.append(cell.voltage_v(c_rate * capacity_ah))
    return volts
