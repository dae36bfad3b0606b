"""The machine of the scenarios where it cannot be; that it works is shown by the scenarios."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCENARIO = "tests/hil/guest/test_cards.py"


def run(*arguments: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run Python where the programs of a folder are the only ones."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PATH": str(path), "TINYBMS_BRIDGE_HIL": ""},
        capture_output=True,
        check=False,
        text=True,
        timeout=250,
    )


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """Exit code 77 and one line, and nothing is fetched before."""
    ended = run("-m", "tests.hil.machine", "--", "true", path=tmp_path)

    assert ended.returncode == 77
    assert ended.stderr.startswith("the machine needs ")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--no-skips",), 1)])
def test_scenarios_without_a_machine_are_skipped_with_the_reason(
    tmp_path: Path, options: tuple[str, ...], code: int
) -> None:
    """Each of them; continuous integration takes that as a failure."""
    ended = run("-m", "pytest", "-n", "0", "-p", "no:cacheprovider", SCENARIO, *options, path=tmp_path)

    assert "the machine needs " in ended.stdout
    assert f"{SCENARIO}::test_frames_cross_the_bus_both_ways" in ended.stdout
    assert " passed" not in ended.stdout
    assert ended.returncode == code, ended.stdout
