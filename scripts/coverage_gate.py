"""Compare the branches that the tests reached, room by room, with the gates that pyproject.toml names.

Usage: ``python scripts/coverage_gate.py REPORT.json``; the report is that of ``coverage json``. Ends with 1 and names
the branches that are missing where a room is below its gate.
"""

import json
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Room", "main", "rooms_of"]

_ROOT = Path(__file__).resolve().parent.parent
_PACKAGE = "tinybms_bridge"
_SHOWN = 8


@dataclass
class Room:
    """The branches of one room."""

    reached: int = 0
    branches: int = 0
    missing: dict[str, list[str]] = field(default_factory=dict)
    """By file, as ``line->line``."""

    @property
    def percent(self) -> float:
        """Share of the branches that were reached; 0 for a room without any, which the report then does not know."""
        return 100.0 * self.reached / self.branches if self.branches else 0.0


def rooms_of(report: Mapping[str, Any]) -> dict[str, Room]:
    """Return the rooms of the product that a report has."""
    rooms: dict[str, Room] = {}
    for name, found in report["files"].items():
        parts = Path(name).parts
        if _PACKAGE not in parts[:-2]:
            continue
        inner = parts[parts.index(_PACKAGE) + 1 :]
        room = rooms.setdefault(inner[0], Room())
        room.reached += found["summary"]["covered_branches"]
        room.branches += found["summary"]["num_branches"]
        if found["missing_branches"]:
            room.missing["/".join(inner)] = [f"{start}->{end}" for start, end in found["missing_branches"]]
    return rooms


def main(arguments: Sequence[str], root: Path = _ROOT) -> int:
    """Print what was reached; return 1 when a room is below its gate."""
    gates: dict[str, float] = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["coverage_gate"]
    rooms = rooms_of(json.loads(Path(arguments[0]).read_text("utf-8")))
    low = []
    for name, gate in gates.items():
        room = rooms.get(name, Room())
        print(f"{name:8} {room.percent:6.2f} % of {room.branches} branches, at least {gate} %")
        if room.percent < gate:
            low.append(room)
    for room in low:
        for path, branches in room.missing.items():
            more = f" and {len(branches) - _SHOWN} more" if len(branches) > _SHOWN else ""
            print(f"  not reached: {path}: {', '.join(branches[:_SHOWN])}{more}")
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
