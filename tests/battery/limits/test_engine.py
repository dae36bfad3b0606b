import ast
import inspect
import math
import re
import textwrap
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.battery.freshness import FreshnessMemory, FreshnessSettings
from tinybms_bridge.battery.limits import (
    BalancingMemory,
    BalancingPhase,
    ChargeDefaults,
    ChargeState,
    Freshness,
    Inhibited,
    LimitCode,
    Limits,
    LimitSettings,
    Memory,
    Quantity,
    RateMemory,
    RateSettings,
    SocSource,
    StateMemory,
    StateSettings,
    stages,
    step,
)
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.snapshot import Ratings, Snapshot

settings_before = partial(LimitSettings, defaults=ChargeDefaults.BEFORE)
"""These figures are about values around register 300; those by chemistry have tests of their own."""

Drive = Callable[..., list[Limits]]
MakeRatings = Callable[..., Ratings]
MakeSnapshot = Callable[..., Snapshot]

FLOAT, HOLD = ChargeState.FLOAT, ChargeState.IMBALANCE_HOLD

SETTINGS = settings_before(bulk_voltage_v=58.4, max_charge_current_a=50.0, max_discharge_current_a=100.0)


def values(limits: Limits) -> tuple[float, float, float]:
    """Return CVL, CCL and DCL."""
    return limits.cvl_v, limits.ccl_a, limits.dcl_a


def test_nothing_is_decided_before_the_first_sample() -> None:
    """Without a sample there are no limits, not even invented ones."""
    limits, memory = step(None, settings_before(), Memory(), 5.0)

    assert limits is None
    assert memory.freshness.state is Freshness.STARTING


def test_nothing_is_decided_before_the_ratings(make_snapshot: MakeSnapshot) -> None:
    """Before the BMS's own settings are known its cutoffs are not known either."""
    limits, memory = step(make_snapshot(ratings=None), settings_before(), Memory(), 0.0)

    assert limits is None
    assert memory.freshness.streak == 1


def test_nothing_is_decided_without_cells_or_cutoff(make_snapshot: MakeSnapshot, make_ratings: MakeRatings) -> None:
    """A sample without cells and a cutoff of 0 V lead to no limits instead of an exception or a CVL of 0."""
    without_cells = make_snapshot(cells_v=())
    without_cutoff = make_snapshot(ratings=make_ratings(over_voltage_cell_v=0.0))

    for sample in (without_cells, without_cutoff):
        assert step(sample, settings_before(), Memory(), 0.0)[0] is None


def feed(make_snapshot: MakeSnapshot, times_s: list[float], settings: LimitSettings, **more: float) -> Memory:
    """Return the memory after a good sample at each time; no limit is a rise."""
    memory = Memory()
    for number, now_s in enumerate(times_s, start=1):
        _, memory = step(make_snapshot(sequence=number, taken_at_s=now_s, **more), settings, memory, now_s)
    return replace(memory, rates=RateMemory(math.inf, math.inf, math.inf, running=True))


def test_first_limits_come_with_the_third_sample(make_snapshot: MakeSnapshot) -> None:
    """The first sendable limits come after 0.2 s; the firmware needed 20 to 40 s."""
    memory, sendable = Memory(), []
    for number in (1, 2, 3):
        now_s = 50.0 + number / 10
        limits, memory = step(make_snapshot(sequence=number, taken_at_s=now_s), settings_before(), memory, now_s)
        sendable.append(limits is not None and limits.may_send)

    assert sendable == [False, False, True]
    assert limits is not None
    assert limits.cvl_v == pytest.approx(16 * 3.55, abs=0.1)


def test_old_data_holds_then_silences(make_snapshot: MakeSnapshot) -> None:
    """Replay of a lost BMS: less charging up to 3 s, then none and DCL as it was, then no frames at all."""
    settings = settings_before()
    memory = feed(make_snapshot, [10.0, 10.1, 10.2], settings)
    last = make_snapshot(sequence=3, taken_at_s=10.2)
    seen, decided = [], []
    for now_s in (13.2, 13.3, 20.0, 43.2, 43.4, 1000.0):
        limits, memory = step(last, settings, memory, now_s)
        assert limits is not None
        seen.append((limits.freshness, limits.may_send))
        decided.append(values(limits))

    held, silent = (Freshness.HOLD, True), (Freshness.SILENT, False)
    assert seen == [(Freshness.FRESH, True), held, held, held, silent, silent]
    assert decided == [pytest.approx((58.4, 27.0, 108.0)), *[pytest.approx((53.6, 0.0, 108.0))] * 5]


def test_discharge_stays_as_it_was_in_a_hold(make_snapshot: MakeSnapshot) -> None:
    """A higher DCL that is configured while data is old does not come into force."""
    settings = settings_before(max_discharge_current_a=30.0)
    memory = feed(make_snapshot, [10.0, 10.1, 10.2], settings)
    raised = replace(settings, max_discharge_current_a=90.0)
    lowered = replace(settings, max_discharge_current_a=20.0)
    last = make_snapshot(sequence=3, taken_at_s=10.2)

    for asked, expected_a in ((raised, 30.0), (lowered, 20.0)):
        limits, _ = step(last, asked, memory, 15.0)
        assert limits is not None
        assert limits.dcl_a == expected_a


def test_old_data_does_not_move_the_charge_state(make_snapshot: MakeSnapshot) -> None:
    """While data is old the charge state stays and its clock does not run."""
    settings = settings_before()
    memory = feed(make_snapshot, [10.0, 10.1, 10.2], settings, soc=96.0)
    different = make_snapshot(soc=50.0, sequence=3, taken_at_s=10.2, delta_mv=200.0)
    limits, after = step(different, settings, memory, 20.0)

    assert limits is not None
    assert limits.state is FLOAT
    assert after.states == memory.states


def test_return_takes_three_samples(make_snapshot: MakeSnapshot) -> None:
    """After silence the limits come back with the third good sample, not with the first."""
    settings = settings_before()
    memory = feed(make_snapshot, [10.0, 10.1, 10.2], settings)
    _, memory = step(make_snapshot(sequence=3, taken_at_s=10.2), settings, memory, 100.0)
    states = []
    for number, now_s in ((4, 100.1), (5, 100.2), (6, 100.3)):
        limits, memory = step(make_snapshot(sequence=number, taken_at_s=now_s), settings, memory, now_s)
        assert limits is not None
        states.append(limits.freshness)

    assert states == [Freshness.SILENT, Freshness.SILENT, Freshness.FRESH]


@pytest.mark.parametrize("before", list(ChargeState))
def test_restart_in_every_state(drive: Drive, before: ChargeState) -> None:
    """A restart with a stored state gives safe limits at once and keeps what still holds."""
    memory = Memory(StateMemory(before, float_latched=before is FLOAT))
    (limits,) = drive(SETTINGS, [{"soc": 93, "delta_mv": 30}], memory=memory)

    kept = {FLOAT: FLOAT, HOLD: HOLD}
    assert limits.state is kept.get(before, ChargeState.FLOAT_APPROACH)
    assert 51.2 <= limits.cvl_v <= 58.4


def test_an_inhibit_binds_over_the_state(drive: Drive) -> None:
    """A stop by hand wins over what the state allows, and the reasons say so."""
    settings = replace(SETTINGS, inhibited=Inhibited(charge=True, discharge=True))
    (limits,) = drive(settings, [{"soc": 98}])

    assert values(limits) == pytest.approx((53.6, 0.0, 0.0))
    for quantity in Quantity:
        binding = limits.binding(quantity)
        assert binding is not None
        assert binding.code is LimitCode.MANUAL


def test_reasons_tell_the_whole_story(drive: Drive, make_ratings: MakeRatings) -> None:
    """The causes of the CVL come in the order of the stages with the numbers that were compared."""
    ratings = make_ratings(over_voltage_cell_v=3.65625)
    (limits,) = drive(replace(SETTINGS, bulk_voltage_v=None), [{"soc": 98, "ratings": ratings}])
    story = [(r.code, round(r.limit, 6), r.detail) for r in limits.reasons if r.quantity is Quantity.CVL]

    assert story == [
        (LimitCode.BMS_TARGET, 58.4, ""),
        (LimitCode.OVER_VOLTAGE_MARGIN, 58.0, ""),
        (LimitCode.STATE, 57.9, "FLOAT"),
    ]


def test_battery_low_voltage_is_that_of_the_bms(drive: Drive, make_ratings: MakeRatings) -> None:
    """The battery-low voltage of frame 0x351 is register 301 times the cells."""
    ratings = make_ratings(series_cells=15, fully_discharged_cell_v=3.0)
    (limits,) = drive(settings_before(), [{"soc": 50, "ratings": ratings}])

    assert limits.discharge_voltage_v == pytest.approx(45.0)


def test_hold_time_counts_fresh_seconds(drive: Drive) -> None:
    """The time of a hold is the time between steps, whatever their rhythm."""
    settings = replace(SETTINGS, states=StateSettings(imbalance_hold_max_s=60.0))
    fast = drive(settings, [{"soc": 80, "delta_mv": 150}] * 700, period_s=0.1)
    slow = drive(settings, [{"soc": 80, "delta_mv": 150}] * 35, period_s=2.0)

    assert sum(limits.state is HOLD for limits in fast) * 0.1 == pytest.approx(60.0, abs=0.2)
    assert sum(limits.state is HOLD for limits in slow) * 2.0 == pytest.approx(60.0, abs=2.0)


def test_clock_that_steps_back_ends_no_hold(make_snapshot: MakeSnapshot) -> None:
    """A clock that steps back adds no time to a hold and takes none away."""
    settings = settings_before(freshness=FreshnessSettings(start_samples=1))
    memory = Memory(StateMemory(HOLD, hold_elapsed_s=5.0), FreshnessMemory(), last_step_s=1e9)
    limits, after = step(make_snapshot(delta_mv=60.0, taken_at_s=10.0), settings, memory, 10.0)

    assert limits is not None
    assert limits.freshness is Freshness.FRESH
    assert after.states == StateMemory(HOLD, hold_elapsed_s=5.0)


def test_a_hold_does_not_last_through_the_night(drive: Drive) -> None:
    """A hold that began at the top keeps CCL at 5 A only as long as the highest cell stays near there."""
    evening = {"soc": 93.0, "cells_v": (3.56, *(3.45,) * 15)}
    load = {"soc": 92.9, "cells_v": (3.38, *(3.30,) * 15), "current_a": -80.0}
    night = {"soc": 40.0, "cells_v": (*(3.29,) * 15, 3.25), "current_a": -20.0}
    held, loaded, free = drive(replace(SETTINGS, rates=RateSettings(current_rise_s=0.0)), [evening, load, night])

    assert (held.state, loaded.state, free.state) == (HOLD, HOLD, ChargeState.BULK)
    assert held.ccl_a <= 5.0 < free.ccl_a


HOLES: list[dict[str, Any]] = [
    *({"cells_v": (*(3.33,) * n, bad, *(3.33,) * (15 - n))} for n in (0, 7, 15) for bad in (math.nan, math.inf)),
    {"cells_v": (3.33,) * 15},
    {"cells_v": (3.33,) * 17},
    {"cells_v": ()},
    *({name: bad} for name in ("current_a",) for bad in (math.nan, math.inf, -math.inf)),
]


@pytest.mark.parametrize("hole", HOLES, ids=str)
def test_a_sample_with_a_hole_counts_as_none(make_engine: Callable[..., Any], hole: dict[str, Any]) -> None:
    """Wherever the hole is: nothing is decided from it alone, and what was decided before expires as in a silence."""
    alone, after = make_engine(), make_engine()
    assert alone.offer(**hole) is None
    before = after.last_for(5.0)
    assert values(after.feed(**hole)) == values(before)
    assert after.last_for(4.0, **hole).freshness is Freshness.HOLD
    assert not after.last_for(40.0, **hole).may_send
    assert after.feed(5).freshness is Freshness.FRESH


@pytest.mark.parametrize(
    ("floor_cell_v", "changes", "fully_charged_cell_v", "floor_v", "cvl_v"),
    [
        pytest.param(3.6, {}, 3.60, 51.2, 55.1, id="above the target of the BMS"),
        pytest.param(3.6, {"bulk_voltage_v": 54.0}, 3.65, 51.2, 53.9, id="above the configured target"),
        pytest.param(3.6, {"alarm_voltage_v": 54.0}, 3.65, 51.2, 53.9, id="above the alarm threshold"),
        pytest.param(3.3, {"bulk_voltage_v": 54.0}, 3.65, 52.8, 53.9, id="floor below the target"),
        pytest.param(3.3, {"bulk_voltage_v": 52.0}, 3.65, 52.8, 55.1, id="target below the floor"),
        pytest.param(None, {"bulk_voltage_v": 48.0}, 3.65, 51.2, 55.1, id="target below that of the chemistry"),
    ],
)
def test_no_floor_lifts_cvl_above_the_target(
    drive: Drive,
    context: Callable[..., Context],
    make_ratings: MakeRatings,
    floor_cell_v: float | None,
    changes: dict[str, float],
    fully_charged_cell_v: float,
    floor_v: float,
    cvl_v: float,
) -> None:
    """A floor above rest is not used, and a target below the floor gives way to a careful one, 3.45 V per cell."""
    settings = settings_before(floor_cell_v=floor_cell_v, **changes)  # type: ignore[arg-type]  # all of them voltages
    ratings = make_ratings(fully_charged_cell_v=fully_charged_cell_v)
    (limits,) = drive(settings, [{"soc": 97.0, "ratings": ratings}])

    assert limits.cvl_v == pytest.approx(cvl_v)
    assert context(settings, ratings=ratings).floor_v == pytest.approx(floor_v)


@pytest.mark.parametrize(
    ("cell_v", "state", "ccl_a"),
    [
        (3.34, ChargeState.FLOAT_APPROACH, 54.0),
        (3.39, ChargeState.FLOAT_APPROACH, 54.0),
        (3.40, FLOAT, 54.0),
        (3.52, FLOAT, 54.0),
        (3.53, FLOAT, 5.0),
    ],
)
def test_cells_have_to_agree_with_the_counter(drive: Drive, cell_v: float, state: ChargeState, ccl_a: float) -> None:
    """At a counted 97 %: on the plateau charging goes on, near full FLOAT begins, and at the voltage its current."""
    (limits,) = drive(settings_before(), [{"soc": 97.0, "max_cell_v": cell_v}])
    assert limits.state is state
    assert limits.ccl_a == pytest.approx(ccl_a)


@pytest.mark.parametrize("chemistry", ["li_ion", "lto"])
def test_a_low_target_has_its_float(
    make_engine: Callable[..., Any], request: pytest.FixtureRequest, chemistry: str
) -> None:
    """A target that the user has set far below full is reached, and FLOAT with it, by voltage and current."""
    ratings = request.getfixturevalue(chemistry)
    target_cell_v = {"li_ion": 3.95, "lto": 2.45}[chemistry]
    engine = make_engine(settings_before(bulk_voltage_v=target_cell_v * ratings.series_cells))
    limits = engine.last_for(180.0, soc=70.0, max_cell_v=target_cell_v - 0.01, current_a=1.0, ratings=ratings)
    assert limits.state is FLOAT


@pytest.mark.parametrize(("others_v", "percent"), [(3.37, 95.0), (3.33, 70.0)])
def test_cells_that_are_balanced_set_the_count_right(
    make_engine: Callable[..., Any], make_ratings: MakeRatings, others_v: float, percent: float
) -> None:
    """They are not full for weeks, in which it would drift; one high cell alone says nothing of the others."""
    engine = make_engine(LimitSettings(), soc_source=SocSource.BRIDGE)
    sample = {
        "cells_v": (3.49, *(others_v,) * 15),
        "current_a": 0.0,
        "soc": 70.0,
        "ratings": make_ratings(capacity_ah=280.0, early_balancing_cell_v=3.40),
    }
    engine.feed(5, **sample)
    assert engine.memory.soc.percent == pytest.approx(70.0)
    apart = BalancingMemory(spread_ah=8.0, work_ah=8.0, phase=BalancingPhase.REST, level_v=53.9)
    engine.memory = replace(engine.memory, balancing=apart)
    engine.feed(2, **sample)
    assert engine.memory.soc.percent == pytest.approx(percent)


_STAGES = {
    "base": 1,
    "apply_state": 2,
    "apply_policy": 2,
    "apply_balancing": 2,
    "protect_cells": 3,
    "follow_switch": 3,
    "derate": 4,
    "stop_for_temperature": 4,
    "limit_discharge": 4,
    "obey_bms": 5,
    "apply_freshness": 6,
    "apply_inhibits": 6,
    "follow_stop": 7,
    "enforce": 7,
    "limit_rates": 8,
    "final_clamp": 9,
}


def _called_in_order(function: Any) -> list[str]:
    """Return the stages that a function calls, with those of the groups of stages in their places."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    calls = sorted(
        (node.lineno, node.func.id)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    )
    groups = {"wish": stages.wish, "protect": stages.protect, "bound": stages.bound}
    found = ([name] if name not in groups else _called_in_order(groups[name]) for _, name in calls)
    return [name for names in found for name in names if name in _STAGES]


def test_stages_are_numbered_in_their_order() -> None:
    """In the code that calls them, in its description, and on the page that explains them."""
    assert _called_in_order(step) == list(_STAGES)
    assert list(_STAGES.values()) == sorted(_STAGES.values())

    described = [int(number) for number in re.findall(r"\b(\d) [a-zA-Z]", inspect.getmodule(step).__doc__ or "")]
    page = (Path(__file__).resolve().parents[3] / "docs" / "charge-control.md").read_text(encoding="utf-8")
    headings = [
        int(n) for line in re.findall(r"^## Stages? ([\d and]+):", page, re.MULTILINE) for n in line.split(" and ")
    ]
    boxes = [int(number) for number in re.findall(r'\["(\d) ', page.split("```")[1])]
    assert described == headings == boxes == sorted(set(_STAGES.values()))


def test_each_constant_of_the_control_says_what_it_is() -> None:
    """A number without its reason can be changed by nobody: the text below it, or below the group it begins."""
    silent = [
        f"{path.name}: {name}"
        for path in sorted(Path(inspect.getfile(step)).parent.glob("*.py"))
        for name in _unexplained(path.read_text(encoding="utf-8"))
    ]
    assert silent == []


def test_each_module_with_constants_names_the_paragraph_of_their_reasons() -> None:
    """A text of one line says what a number is; why it is that number is told at length, for people who charge."""
    silent = [
        path.name
        for path in sorted(Path(inspect.getfile(step)).parent.glob("*.py"))
        if re.search(r"^_?[A-Z][A-Z_0-9]+(: [^=]+)? = -?[\d.]", path.read_text(encoding="utf-8"), re.MULTILINE)
        and "charge-control.md#" not in (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")
    ]
    assert silent == []


def _unexplained(source: str) -> list[str]:
    """Return the constants with a number of their own that no text follows before the next blank line."""
    found: list[str] = []
    waiting: list[str] = []
    lines = source.splitlines()
    for node in [*ast.parse(source).body, ast.Pass(lineno=0)]:
        if isinstance(node, ast.Expr):
            waiting = []
            continue
        if waiting and (not isinstance(node, ast.Assign | ast.AnnAssign) or not lines[node.lineno - 2].strip()):
            found, waiting = found + waiting, []
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
            numbers = [
                part
                for part in ast.walk(node.value)
                if isinstance(part, ast.Constant) and type(part.value) in (int, float)
            ]
            waiting += [name for name in names if name.lstrip("_").isupper() and numbers]
    return found
