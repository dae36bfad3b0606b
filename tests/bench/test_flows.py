"""What flowed beside what had to flow and what was allowed."""

import math
from collections.abc import Callable

import pytest

from tinybms_bridge.bench.bounds import Bound, What
from tinybms_bridge.bench.flows import Finding, findings
from tinybms_bridge.bench.trace import Column, Run

MakeRun = Callable[..., Run]
START_S = 9.0 * 3600.0


def found(make_run: MakeRun, bound: Bound, rows: list[dict[Column, float]]) -> Finding:
    """Return what rows of a second each, from the start of the scenario, make of one bound."""
    timed = [{Column.TIME_S: START_S + 1.0 + n, **row} for n, row in enumerate(rows)]
    (finding,) = findings(make_run(timed, bounds=(bound,)))
    return finding


def test_a_limit_that_stands_is_kept(make_run: MakeRun) -> None:
    """With the value that came nearest to the bound."""
    rows = [{Column.CCL_A: 180.0}] * 5 + [{Column.CCL_A: 175.0}]
    finding = found(make_run, Bound(What.CCL, least=170.0, from_s=0.0), rows)

    assert (finding.kept, finding.found, finding.outside_s) == (True, 175.0, 0.0)
    assert str(finding) == "175.0 A"


def test_a_moment_outside_is_told_with_its_time(make_run: MakeRun) -> None:
    """The longest in a row, and the worst value."""
    low = {Column.CCL_A: 3.0}
    rows = [low, {}, low, low, {Column.CCL_A: 1.0}, {}]
    finding = found(make_run, Bound(What.CCL, least=170.0, from_s=0.0), rows)

    assert str(finding) == "1.0 A (3 s outside)"


@pytest.mark.parametrize(("seconds", "kept"), [(4, True), (5, False)])
def test_some_seconds_may_be_forgiven(make_run: MakeRun, seconds: int, kept: bool) -> None:
    """What a GX and its chargers need to follow."""
    rows: list[dict[Column, float]] = [{}, *[{Column.CURRENT_A: 90.0}] * seconds]
    rows += [{Column.CURRENT_A: 19.0}]
    bound = Bound(What.CURRENT, most=40.0, from_s=0.0, for_s=4.0)

    assert found(make_run, bound, rows).kept is kept


def test_a_bound_has_its_time(make_run: MakeRun) -> None:
    """What is before and after it does not count."""
    rows = [{Column.CURRENT_A: 90.0}] * 3 + [{Column.CURRENT_A: 0.0}] * 3 + [{Column.CURRENT_A: 90.0}] * 3

    assert found(make_run, Bound(What.CURRENT, most=1.0, from_s=3.0, to_s=6.0), rows).kept
    assert not found(make_run, Bound(What.CURRENT, most=1.0, from_s=2.0, to_s=6.0), rows).kept
    assert not found(make_run, Bound(What.CURRENT, most=1.0, from_s=3.0, to_s=7.0), rows).kept


def test_silence_is_no_limit(make_run: MakeRun) -> None:
    """Nothing that is sent is below what has to be sent, and never above what may be."""
    silent = [{Column.CVL_V: math.nan, Column.CCL_A: math.nan, Column.DCL_A: math.nan}]
    below = found(make_run, Bound(What.DCL, least=1.0, from_s=0.0), silent)

    assert (below.kept, str(below)) == (False, "nothing was sent (1 s outside)")
    assert found(make_run, Bound(What.DCL, most=1.0, from_s=0.0), silent).kept
    assert found(make_run, Bound(What.SILENT, most=0.0, from_s=0.0), silent).found == 1.0


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (What.CVL, 57.6),
        (What.CCL, 180.0),
        (What.DCL, 270.0),
        (What.CURRENT, 30.0),
        (What.OVER_CCL, -150.0),
        (What.BELOW_PACK, -3.6),
        (What.CHARGED, 30.0 / 1800.0),
        (What.UNSERVED, 0.0),
        (What.SILENT, 0.0),
    ],
)
def test_everything_has_its_number(make_run: MakeRun, what: What, expected: float) -> None:
    """From two calm seconds of charging."""
    finding = found(make_run, Bound(what, most=1000.0, from_s=0.0), [{}, {}])

    assert finding.found == pytest.approx(expected)
    assert finding.unit == what.unit


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        (Bound(What.CCL, least=90.0), "CCL at least 90 A"),
        (Bound(What.CCL, most=0.0, from_s=432.0, to_s=3720.0), "CCL at most 0 A from 0:07:12 until 1:02:00"),
        (
            Bound(What.OVER_CCL, most=12.0, from_s=300.0, for_s=30.0),
            "current above CCL at most 12 A from 0:05:00 but for 30 s in a row",
        ),
    ],
)
def test_a_bound_speaks(bound: Bound, words: str) -> None:
    """For tables and for what is broken."""
    assert str(bound) == words
