"""The scenarios in ``guest/`` run on a real kernel with SocketCAN: this computer's where it has what they need.

The others run in a machine (``machine.py``): all that were chosen in one, one after the other, and each is reported
here under its own name with what it gave there. Where no machine can be, they are skipped with the reason.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
GUEST = Path(__file__).parent / "guest"
IN_MACHINE = os.environ.get("TINYBMS_BRIDGE_HIL") == "machine"
REPORTS = Path("/run/hil/reports")
TREE = "/run/hil/tree"

ONLY_IN_MACHINE = {"cards", "cable", "serial_line", "monitor"}
"""Fixtures of what only the machine has."""
PATIENCE_S = 1800
NOT_POSSIBLE = 77  # of machine.py

_PYTEST = ("-m", "pytest", "-p", "asyncio", "-p", "timeout", "-p", "no:cacheprovider", "-p", "no:faulthandler")
_SETTINGS = ("-o", "addopts=--import-mode=importlib", f"--confcutdir={TREE}/tests/hil")

Reports = dict[str, list[pytest.TestReport]]
_REPORTS = pytest.StashKey[Reports]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first scenario of a machine the time that the machine may take."""
    for item in items:
        if _is_scenario(item) and not _runs_here(item):
            item.add_marker(pytest.mark.timeout(PATIENCE_S + 100))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Report a scenario that this kernel cannot run as the machine has reported it."""
    if not _is_scenario(item) or _runs_here(item):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _reports_of(item.session)[item.nodeid]:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


if IN_MACHINE:

    def pytest_runtest_logreport(report: pytest.TestReport) -> None:
        """Hand each report to the computer outside."""
        with REPORTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(report._to_json()) + "\n")


def _is_scenario(item: pytest.Item) -> bool:
    return item.path.is_relative_to(GUEST)


def _runs_here(item: pytest.Item) -> bool:
    needs_machine = ONLY_IN_MACHINE & set(getattr(item, "fixturenames", ()))
    return IN_MACHINE or (not needs_machine and _has_vcan())


@cache
def _has_vcan() -> bool:
    """Return whether this computer's kernel has virtual CAN interfaces, and lets us add one."""
    name = f"hil{os.getpid() % 100_000}"
    try:
        added = subprocess.run(["ip", "link", "add", name, "type", "vcan"], capture_output=True, check=False)
        removed = subprocess.run(["ip", "link", "del", name], capture_output=True, check=False)
    except OSError:
        return False
    return added.returncode == removed.returncode == 0


def _reports_of(session: pytest.Session) -> Reports:
    """Return what the machine has reported, by the scenario; it runs when the first is asked for."""
    if _REPORTS not in session.stash:
        chosen = [item for item in session.items if _is_scenario(item) and not _runs_here(item)]
        session.stash[_REPORTS] = _run_in_machine(chosen)
    return session.stash[_REPORTS]


def _run_in_machine(chosen: Sequence[pytest.Item]) -> Reports:
    with tempfile.TemporaryDirectory(prefix="tinybms-hil-") as folder:
        control = Path(folder)
        limits = ["--timeout", str(PATIENCE_S), "--control", folder]
        _copy_sources(control / "tree")
        pytest_there = [sys.executable, *_PYTEST, *_SETTINGS, *(item.nodeid for item in chosen)]
        command = ["sh", "-c", f"cd {TREE}; PYTHONPATH={TREE}/src exec {shlex.join(pytest_there)}"]
        ended = subprocess.run(
            [sys.executable, "-m", "tests.hil.machine", *limits, "--", *command],
            cwd=ROOT,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            check=False,
            text=True,
            errors="replace",
        )
        found: Reports = {item.nodeid: [] for item in chosen}
        for report in _read(control / "reports"):
            found[report.nodeid].append(report)
    for item in chosen:
        if not found[item.nodeid] or found[item.nodeid][-1].when != "teardown":
            found[item.nodeid].append(_missing(item, ended))
    return found


def _copy_sources(tree: Path) -> None:
    """Copy what the scenarios use, compiled: what changes in the tree meanwhile would confuse the machine."""
    without = shutil.ignore_patterns("__pycache__")
    for folder in ("src", "tests/hil"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=without)
    shutil.copy(ROOT / "pyproject.toml", tree)
    compiling = (sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash")
    subprocess.run([*compiling, str(tree / "src")], check=True)


def _read(file: Path) -> Iterator[pytest.TestReport]:
    for line in file.read_text("utf-8").splitlines() if file.exists() else ():
        told: dict[str, Any] = json.loads(line)
        for name in ("location", "longrepr"):  # JSON knows no tuples
            if isinstance(told[name], list):
                told[name] = tuple(told[name])
        yield pytest.TestReport._from_json(told)


def _missing(item: pytest.Item, ended: "subprocess.CompletedProcess[str]") -> pytest.TestReport:
    """Return the report of a scenario that the machine has not run to its end."""
    skipped = ended.returncode == NOT_POSSIBLE
    told = ended.stderr.strip() if skipped else f"{ended.stdout[-4000:]}\n{ended.stderr[-4000:]}"
    path, line, name = item.location
    return pytest.TestReport(
        item.nodeid,
        (path, line, name),
        dict.fromkeys(item.keywords, 1),
        "skipped" if skipped else "failed",
        (path, line or 0, told) if skipped else f"the machine has not run it ({ended.returncode}):\n{told}",
        "call",
    )
