"""The gate for the branches that the tests reach."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GATES = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["coverage_gate"]


def run_gate(tmp_path: Path, files: dict[str, tuple[int, int]]) -> subprocess.CompletedProcess[str]:
    """Run the gate on a report of (reached, all) branches by file."""
    report = {
        "files": {
            f"src/tinybms_bridge/{name}": {
                "summary": {"covered_branches": reached, "num_branches": branches},
                "missing_branches": [[10 + number, -1] for number in range(branches - reached)],
            }
            for name, (reached, branches) in files.items()
        }
    }
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report), encoding="utf-8")
    command = [sys.executable, str(ROOT / "scripts" / "coverage_gate.py"), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_rooms_above_their_gates_pass(tmp_path: Path) -> None:
    """Each is listed with what it reached; a file of another room and one in no room do not matter."""
    files = {f"{room}/a.py": (500, 500) for room in GATES} | {"cli/a.py": (0, 100), "errors.py": (0, 10)}
    ended = run_gate(tmp_path, files)

    assert ended.returncode == 0
    assert [line.split()[0] for line in ended.stdout.splitlines()] == list(GATES)
    assert "100.00 % of 500 branches" in ended.stdout


@pytest.mark.parametrize("room", GATES)
def test_room_below_its_gate_fails_and_names_the_branches(tmp_path: Path, room: str) -> None:
    """However well the others do; all files of a room count together."""
    files = {f"{each}/a.py": (100, 100) for each in GATES} | {f"{room}/inner/b.py": (60, 100)}
    ended = run_gate(tmp_path, files)

    assert ended.returncode == 1
    assert f"not reached: {room}/inner/b.py: 10->-1, 11->-1" in ended.stdout
    assert "and 32 more" in ended.stdout


def test_room_that_the_report_does_not_know_fails(tmp_path: Path) -> None:
    """A renamed room must not slip through."""
    names = list(GATES)
    ended = run_gate(tmp_path, {f"{room}/a.py": (9, 9) for room in names[1:]})

    assert ended.returncode == 1
    assert f"{names[0]:8}   0.00 % of 0 branches" in ended.stdout
