#!/usr/bin/env python3
"""Write ``tests/untraced.txt``: long tests of the gated rooms that reach next to nothing which others do not.

    scripts/untraced_tests.py

Under coverage a test takes up to three times as long. ``tests/conftest.py`` leaves those of the list untraced, so that
``make coverage`` takes less and reaches the same. Call it when many tests came or went: it runs all of them, traced.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Set
from contextlib import closing
from pathlib import Path
from sqlite3 import connect
from xml.etree import ElementTree as ET

__all__ = ["key", "reached_by", "seconds_of", "superfluous"]

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "tests" / "untraced.txt"
LONG_S = 1.0
"""Less is not worth a line."""
DEAR_S = 10.0
"""For each step from line to line that a test alone reaches: more is not worth it, as the gates leave room."""

Arc = tuple[int, int, int]
"""File, and the lines from and to which it went."""


def main() -> int:
    """Run the tests, write the list; return the exit status."""
    rooms = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["coverage_gate"]
    with tempfile.TemporaryDirectory() as folder:
        data, times = Path(folder) / "coverage", Path(folder) / "times.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--randomly-seed=1", f"--junitxml={times}"]
        command += ["--cov-context=test", "--cov-report=", *(f"--cov=tinybms_bridge.{room}" for room in rooms)]
        command += [f"tests/{room}" for room in rooms]
        environment = os.environ | {"COVERAGE_FILE": str(data), "TRACE_ALL_TESTS": "1"}
        if (code := subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode) != 0:
            return code
        reached, seconds = reached_by(data), seconds_of(times)
    took_s = {test: seconds[key(test)] for test in reached}
    untraced = superfluous(reached, took_s)
    LIST.write_text("".join(f"{test}\n" for test in sorted(untraced)))
    print(f"{len(untraced)} tests, {sum(map(took_s.__getitem__, untraced)):.0f} s while they were traced")
    return 0


def reached_by(data: Path) -> dict[str, set[Arc]]:
    """Return what each test function reaches, from a file of coverage.py (its manual, "Database schema")."""
    reached: dict[str, set[Arc]] = defaultdict(set)
    rows = "select context, file_id, fromno, tono from arc join context on context.id = context_id"
    with closing(connect(data)) as database:
        for context, file, start, end in database.execute(rows):
            reached[context.partition("|")[0].partition("[")[0]].add((file, start, end))
    return reached


def seconds_of(times: Path) -> dict[str, float]:
    """Return the seconds of each test function by its ``key``, from a report of pytest."""
    found: dict[str, float] = defaultdict(float)
    for case in ET.parse(times).getroot().iter("testcase"):  # noqa: S314 -- our own
        found[f"{case.get('classname')}.{str(case.get('name')).partition('[')[0]}"] += float(case.get("time") or 0.0)
    return found


def key(test: str) -> str:
    """Return the name of a test in a report of pytest."""
    return test.replace(".py::", ".").replace("::", ".").replace("/", ".")


def superfluous(reached: Mapping[str, Set[Arc]], took_s: Mapping[str, float]) -> set[str]:
    """Return long tests without which the others reach the same, or nearly; who reaches most in its time is kept."""
    long = {test for test in reached if took_s[test] >= LONG_S}
    rest = {arc for test, arcs in reached.items() if test not in long for arc in arcs}
    missing = {arc for test in long for arc in reached[test]} - rest
    while missing:
        best = max(sorted(long), key=lambda test: len(reached[test] & missing) / took_s[test])
        if took_s[best] > DEAR_S * len(reached[best] & missing):
            break
        long.remove(best)
        missing -= reached[best]
    return long


if __name__ == "__main__":
    sys.exit(main())
