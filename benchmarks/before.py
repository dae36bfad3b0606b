"""Scenarios of the bench with the engine of an earlier revision beside today's; prints Markdown tables.

    python -m benchmarks.before df06855 --long                  # the long run: months, cold days, loads near empty
    python -m benchmarks.before 1096f1d                         # bad input
    python -m benchmarks.before 1096f1d --only outlier-high --only board-lost --out before.md

The engine of before is the folder ``battery`` of that revision under another package name, in a process of its own run.
Readings and settings are handed over field by field; what it does not know is left out. Pack, BMS, GX and wire are
today's, and so are the criteria. Its clock is that of before, too: it stands while the machine sleeps.
"""

import argparse
import dataclasses
import functools
import importlib
import io
import multiprocessing
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from enum import Enum
from pathlib import Path
from typing import Any

from tinybms_bridge.battery.limits import ChargeState
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_lab.bench import SCENARIOS, ScenarioOutcome, ScenarioResult
from tinybms_lab.bench.controllers import SentLimits, Statistics, quantised
from tinybms_lab.bench.flows import FlowFinding
from tinybms_lab.bench.report import lived, lives, lives_legend
from tinybms_lab.bench.runner import engine_for, play_with
from tinybms_lab.bench.scenario import Bar, FaultKind, Scenario
from tinybms_lab.bench.scenarios import DIRTY, PACKS

PACKAGE = "tinybms_bridge"
EARLIER = "tinybms_bridge_before"


class EarlierEngine:
    """The engine of an earlier revision as a controller of the bench.

    Args:
        scenario: whose settings and sleeps it has.

    """

    name = "before"

    def __init__(self, scenario: Scenario) -> None:
        limits, plausibility = (
            importlib.import_module(f"{EARLIER}.battery.{name}") for name in ("limits", "plausibility")
        )
        self._limits, self._plausibility = limits, plausibility
        self._sleeps = [(f.at_s, f.for_s) for f in scenario.faults if f.kind is FaultKind.SUSPENDED]
        fine = handed_over(scenario.settings)
        patience_s = max(fine.freshness.fresh_timeout_s, 2.0 * scenario.longest_step_s)
        self._fine = fine
        self._coarse = dataclasses.replace(
            fine, freshness=dataclasses.replace(fine.freshness, fresh_timeout_s=patience_s)
        )
        self._last_s: float | None = None
        self._judged = -1
        self._memory = self._limits.Memory()
        self._believed = self._plausibility.PlausibilityMemory()

    def decide(self, snapshot: Snapshot | None, statistics: Statistics, now_s: float) -> SentLimits | None:  # noqa: ARG002 -- statistics are no limits
        """See ``Controller.decide``."""
        gap_s = 0.0 if self._last_s is None else self._clock_s(now_s) - self._last_s
        self._last_s = self._clock_s(now_s)
        settings = self._coarse if gap_s > self._fine.freshness.fresh_timeout_s / 2.0 else self._fine
        if snapshot is not None and snapshot.sequence != self._judged:
            self._judged = snapshot.sequence
            told = handed_over(dataclasses.replace(snapshot, taken_at_s=self._clock_s(snapshot.taken_at_s)))
            _, self._believed = self._plausibility.judge(
                self._believed, told, self._plausibility.PlausibilitySettings()
            )
        limits, self._memory = self._limits.step(self._believed.accepted, settings, self._memory, self._last_s)
        if limits is None or not limits.may_send:
            return None
        limits = self._limits.in_wire_steps(limits)
        state = ChargeState(limits.state.value)
        sent = quantised(limits.cvl_v, limits.ccl_a, limits.dcl_a, state, now_s)
        readings = getattr(self._memory, "readings", None)
        in_doubt = bool(getattr(readings, "read_again", False))
        return dataclasses.replace(sent, in_doubt=in_doubt, soc_percent=self._believed.accepted.pack.soc_percent)

    def restart(self) -> None:
        """Forget everything."""
        self._memory, self._believed = self._limits.Memory(), self._plausibility.PlausibilityMemory()

    def _clock_s(self, now_s: float) -> float:
        """Return the monotonic time of before, which stands while the machine sleeps."""
        return now_s - sum(min(max(now_s - at_s, 0.0), for_s) for at_s, for_s in self._sleeps)


def load(revision: str, folder: Path) -> None:
    """Make the folder ``battery`` of a revision importable as part of another package.

    Raises:
        subprocess.CalledProcessError: there is no such revision.

    """
    command = ["git", "archive", "--format=tar", revision, f"src/{PACKAGE}/battery"]
    archive = subprocess.run(command, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    (folder / "src" / PACKAGE).rename(folder / "src" / EARLIER)
    for path in (folder / "src").rglob("*.py"):
        path.write_text(path.read_text(encoding="utf-8").replace(f"{PACKAGE}.", f"{EARLIER}."), encoding="utf-8")
    (folder / "src" / EARLIER / "__init__.py").touch()
    sys.path.insert(0, str(folder / "src"))


def handed_over(value: Any) -> Any:  # noqa: ANN401 -- types that are not known before they are loaded
    """Return a value of today as one of before: records field by field, choices by name; a default stays a default."""
    if isinstance(value, tuple):
        return tuple([handed_over(each) for each in value])
    if isinstance(value, Enum):
        return getattr(_type_of_before(value), value.name)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    old = _type_of_before(value)
    known = {field.name for field in dataclasses.fields(old) if field.init}
    default = _default(type(value))
    names = [field.name for field in dataclasses.fields(value) if field.name in known]
    if default is not None:
        names = [name for name in names if getattr(value, name) != getattr(default, name)]
    return old(**{name: handed_over(getattr(value, name)) for name in names})


@functools.cache
def _default(kind: type) -> object:
    """Return a record in which nothing was chosen; None where there is no such record."""
    try:
        return kind()
    except TypeError:
        return None


def _type_of_before(value: object) -> Any:  # noqa: ANN401 -- likewise
    module = type(value).__module__.replace(PACKAGE, EARLIER, 1)
    return getattr(importlib.import_module(module), type(value).__name__)


ONE_PACK = {name: each for name, each in SCENARIOS.items() if name not in PACKS}
LONG_RUN = [name for name, each in ONE_PACK.items() if each.hours >= 24.0 or each.bar != Bar()]


def both(name: str) -> ScenarioResult:
    """Play a scenario with today's engine, and as its baseline with that of before."""
    scenario = SCENARIOS[name]
    return ScenarioResult(name, play_with(scenario, engine_for(scenario)), play_with(scenario, EarlierEngine(scenario)))


def bounds_table(results: Sequence[ScenarioResult]) -> list[str]:
    """Return a row for each bound, and one for the other criteria; what is outside is bold."""
    lines = ["| Scenario | What has to hold | Before | Now |", "|---|---|---|---|"]
    for result in results:
        title = f"`{result.scenario}`"
        outcomes = _before_and_now(result)
        for told in zip(*(outcome.metrics.findings for outcome in outcomes), strict=True):
            lines.append(f"| {title} | {told[0].bound} | {_told(told[0])} | {_told(told[1])} |")
            title = ""
        others = [[v.name for v in outcome.violations if v.name != "flow"] for outcome in outcomes]
        if any(others):
            missed = [f"**{', '.join(each)}**" if each else "kept" for each in others]
            lines.append(f"|  | the criteria of every scenario | {' | '.join(missed)} |")
    return lines


def broken_table(results: Sequence[ScenarioResult]) -> list[str]:
    """Return what each engine does not hold, in words."""
    lines = ["| Scenario | Before | Now |", "|---|---|---|"]
    for result in results:
        told = ["; ".join(v.text for v in outcome.violations) or "kept" for outcome in _before_and_now(result)]
        lines.append(f"| `{result.scenario}` | {' | '.join(told)} |")
    return lines


def _before_and_now(result: ScenarioResult) -> tuple[ScenarioOutcome, ScenarioOutcome]:
    assert result.baseline is not None
    return result.baseline, result.engine


def _told(finding: FlowFinding) -> str:
    return str(finding) if finding.kept else f"**{finding}**"


def main() -> None:
    """Play, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revision", help="of the engine of before")
    parser.add_argument("--only", action="append", choices=sorted(ONE_PACK), metavar="NAME", help="a scenario")
    parser.add_argument("--long", action="store_true", help="the long run in place of bad input")
    parser.add_argument("--out", type=Path, help="where the tables go besides standard output")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="scenarios to play at once")
    arguments = parser.parse_args()
    names = arguments.only or (LONG_RUN if arguments.long else list(DIRTY))
    with tempfile.TemporaryDirectory() as folder:
        load(arguments.revision, Path(folder))
        # Forked, so that the package of before is there in every process.
        with ProcessPoolExecutor(arguments.jobs, mp_context=multiprocessing.get_context("fork")) as pool:
            results = list(pool.map(both, names))
    bounded = [result for result in results if SCENARIOS[result.scenario].bounds]
    tables = [bounds_table(bounded)] if bounded else []
    if lived(results):
        tables.append([*lives(results), "", lives_legend()])
    tables.append(broken_table(results))
    text = "\n\n".join("\n".join(table) for table in tables)
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
