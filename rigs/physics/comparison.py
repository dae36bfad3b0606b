"""Our cell against PyBaMM's, profile by profile, and the curves that stay behind for the tests."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from rigs.physics.profiles import PROFILES, Profile, play

__all__ = ["BOUND_V", "STORE", "Difference", "compare", "document", "store", "table"]

BOUND_V = 0.005
"""Largest difference at any moment, from 5 % into the knee and in the rest after it."""
STORE = Path(__file__).parents[2] / "tests" / "bench" / "physics" / "pybamm.json"
"""Where the tests find PyBaMM's curves."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One profile."""

    profile: Profile
    theirs_v: tuple[float, ...]
    ours_v: tuple[float, ...]

    def most_v(self, *, flowing: bool) -> float:
        """Return the largest difference while current flows, or at rest."""
        return max(abs(ours - theirs) for ours, theirs in self._pairs(flowing=flowing))

    def rms_v(self, *, flowing: bool) -> float:
        """Return the root of the mean square of the differences."""
        squares = [(ours - theirs) ** 2 for ours, theirs in self._pairs(flowing=flowing)]
        return math.sqrt(sum(squares) / len(squares))

    @property
    def kept(self) -> bool:
        """Whether it is within the bound."""
        return max(self.most_v(flowing=True), self.most_v(flowing=False)) <= BOUND_V

    def _pairs(self, *, flowing: bool) -> list[tuple[float, float]]:
        rows = zip(self.profile.steps, self.ours_v, self.theirs_v, strict=True)
        return [(ours, theirs) for (_, rate), ours, theirs in rows if bool(rate) == flowing]


def compare() -> list[Difference]:
    """Play every profile with both.

    Raises:
        ImportError: PyBaMM is not installed.

    """
    from rigs.physics import reference

    return [
        Difference(profile, tuple(round(v, 5) for v in reference.play(profile)), tuple(play(profile)))
        for profile in PROFILES
    ]


def table(differences: Sequence[Difference]) -> str:
    """Return the differences in Markdown."""
    lines = [
        "| Cell | Profile | SOC | most, flowing | rms, flowing | most, at rest | rms, at rest |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in differences:
        end = each.profile.start_soc + each.profile.c_rate * each.profile.flowing_s / 3600.0
        figures = [
            f"{1000.0 * measure(flowing=flowing):.2f} mV"
            for flowing in (True, False)
            for measure in (each.most_v, each.rms_v)
        ]
        soc = f"{100.0 * each.profile.start_soc:.0f} to {100.0 * end:.0f} %"
        lines.append(f"| {each.profile.chemistry} | {each.profile.name} | {soc} | {' | '.join(figures)} |")
    return "\n".join(lines)


def document(differences: Sequence[Difference], version: str) -> dict[str, Any]:
    """Return PyBaMM's curves with where they came from, for the tests."""
    return {
        "source": f"PyBaMM {version}: lithium_ion.SPM, its sets Prada2013 and Chen2020, 300 shells in each particle; "
        "diffusivities by temperature and series resistance as in tinybms_lab.bench.physics.parameters",
        "made_by": "make rig-physics ARGS=--store",
        "bound_v": BOUND_V,
        "curves": [
            {
                "chemistry": each.profile.chemistry,
                "temperature_c": each.profile.temperature_c,
                "start_soc": each.profile.start_soc,
                "steps": [
                    [round(dt_s, 6), rate, len(list(alike))] for (dt_s, rate), alike in groupby(each.profile.steps)
                ],
                "volts": list(each.theirs_v),
            }
            for each in differences
        ],
    }


def store(differences: Sequence[Difference], version: str) -> None:
    """Write the curves, one to a line."""
    content = document(differences, version)
    curves = ",\n".join(json.dumps(curve, separators=(",", ":")) for curve in content.pop("curves"))
    head = json.dumps(content, ensure_ascii=False, indent=1)[:-2]
    STORE.write_text(f'{head},\n "curves": [\n{curves}\n]}}\n', encoding="utf-8")
