import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import ChargeDefaults, LimitCode, LimitSettings, Quantity, RateMemory
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.enforcement import EnforcementMemory, enforce
from tinybms_bridge.battery.limits.model import down_to_step
from tinybms_bridge.battery.snapshot import Ratings

settings_before = partial(LimitSettings, defaults=ChargeDefaults.BEFORE)
"""These figures are about values around register 300; those by chemistry have tests of their own."""

MakeContext = Callable[..., Context]
MakeDraft = Callable[..., Draft]
MakeEngine = Callable[..., Any]

COLD = {"temperatures_c": (20.0, 5.0, None), "soc": 50.0, "delta_mv": 0.0}
"""A quarter of the base current is left: 13.5 of 54 A."""
CCL_A = 13.5
PACK_V = 16 * 3.30


class Feeding:
    """An engine in the cold whose solar chargers obey CVL alone: what flows follows CVL through a resistance.

    Args:
        engine: it is fed once a second.
        open_v: voltage of the pack without current.
        ohm: of the pack.
        most_a: what the sun gives.
        above_v: how far above CVL the chargers stand.

    """

    def __init__(self, engine: Any, open_v: float = PACK_V, ohm: float = 0.01, most_a: float = 90.0) -> None:
        self.engine, self.open_v, self.ohm, self.most_a = engine, open_v, ohm, most_a
        self.above_v = 0.4
        self.cells = 16
        self.current_a = 0.0
        self.seen: list[tuple[float, float, float]] = []
        """Current, CCL and CVL of each second."""
        self._told_v = open_v

    def run(self, seconds: int, **more: Any) -> Any:
        """Let time pass; what chargers are told reaches them three seconds later at the most."""
        for second in range(seconds):
            cell_v = (self.open_v + self.current_a * self.ohm) / self.cells
            limits = self.engine.feed(every_s=1.0, max_cell_v=cell_v, current_a=self.current_a, **{**COLD, **more})
            if second % 3 == 0:
                self._told_v = limits.cvl_v
            wanted_a = (self._told_v + self.above_v - self.open_v) / self.ohm
            self.current_a += (max(0.0, min(self.most_a, wanted_a)) - self.current_a) * 0.7
            self.seen.append((self.current_a, limits.ccl_a, limits.cvl_v))
        return limits

    def mean_a(self, seconds: int) -> float:
        """Return the mean current of the last seconds."""
        return sum(current_a for current_a, _, _ in self.seen[-seconds:]) / seconds


def test_a_cold_ccl_is_enforced_by_cvl(make_engine: MakeEngine) -> None:
    """Of 90 A that the sun gives about CCL flows, within a minute and for the rest of the day; CVL tells why."""
    sun = Feeding(make_engine())
    limits = sun.run(60)
    binding = limits.binding(Quantity.CVL)
    sun.run(1800)

    assert sun.seen[5][0] > 80.0
    assert max(current_a for current_a, _, _ in sun.seen[60:]) < CCL_A + 20.0
    assert 0.6 * CCL_A < sun.mean_a(1200) < CCL_A
    assert binding.code is LimitCode.ENFORCED
    assert binding.threshold == pytest.approx(CCL_A)
    assert not sun.engine.limits.uncontrolled
    assert not sun.engine.limits.ccl_ignored


@pytest.mark.parametrize(
    ("cells", "ohm"), [pytest.param(16, 0.01, id="16 cells"), pytest.param(4, 0.0028, id="4 cells")]
)
def test_a_start_in_the_cold_comes_from_below(
    make_engine: MakeEngine, make_ratings: Callable[..., Ratings], cells: int, ohm: float
) -> None:
    """With the sun on and nothing known of chargers no half a minute passes with a fifth more than CCL."""
    sun = Feeding(make_engine(ramped=True), open_v=cells * 3.30, ohm=ohm)
    sun.cells = cells
    sun.run(1800, ratings=make_ratings(series_cells=cells))

    assert longest_s(sun, 1.2 * CCL_A) <= 30
    assert sun.engine.memory.feed_in.disobeyed
    assert turns(sun, 600) <= 2


def test_the_sun_behind_a_cloud_comes_back_to_a_cvl_near_the_pack(make_engine: MakeEngine) -> None:
    """Once it is known that no CCL is obeyed, a full sun passes it for half a minute at the most."""
    sun = Feeding(make_engine(ramped=True))
    sun.run(600)
    for _ in range(4):
        sun.most_a = 3.0
        sun.run(400)
        cvl_v = sun.seen[-1][2]
        sun.most_a = 90.0
        since = len(sun.seen)
        sun.run(200)

        assert cvl_v <= PACK_V + 0.5
        assert longest_s(sun, 1.2 * CCL_A, since) <= 30


def test_after_a_stop_cvl_rises_from_where_it_stood(make_engine: MakeEngine) -> None:
    """Cells that are just warm enough are not met by a step of 0.4 V, which is a third of 1C."""
    sun = Feeding(make_engine(ramped=True))
    sun.run(300)
    sun.run(300, temperatures_c=(20.0, -2.0, None))
    stopped_v, since = sun.seen[-1][2], len(sun.seen)
    sun.run(1200)

    assert sun.seen[since - 1][0] < 1.0
    assert longest_s(sun, 1.2 * CCL_A, since) <= 30
    assert max(after[2] - before[2] for before, after in pairwise(sun.seen[since - 1 :])) <= 0.4 + 1e-9
    assert sun.seen[-1][2] >= stopped_v


def test_chargers_that_obey_ccl_get_their_cvl_back(make_engine: MakeEngine) -> None:
    """A start in the cold costs them some minutes: CVL above the pack binds nothing and rises to its target."""
    engine, told, current_a = make_engine(ramped=True), (0.0, 0.0), 0.0
    for second in range(1800):
        cell_v = (PACK_V + current_a * 0.01) / 16
        limits = engine.feed(every_s=1.0, max_cell_v=cell_v, current_a=current_a, **COLD)
        if second % 3 == 0:
            told = (limits.cvl_v, limits.ccl_a)
        current_a = max(0.0, min((told[0] - PACK_V) / 0.01, math.ceil(told[1]), 90.0))
        if second == 180:
            assert current_a >= 0.9 * CCL_A

    assert limits.cvl_v == pytest.approx(58.4, abs=0.1)
    assert not engine.memory.feed_in.disobeyed


def longest_s(sun: Feeding, most_a: float, since: int = 0) -> int:
    """Return for how many seconds in a row more than ``most_a`` has flowed."""
    longest = over = 0
    for current_a, _, _ in sun.seen[since:]:
        over = over + 1 if current_a > most_a else 0
        longest = max(longest, over)
    return longest


def turns(sun: Feeding, since: int) -> int:
    """Return how often CVL has turned, in steps of the frame."""
    steps = [round(after - before, 1) for before, after in pairwise([down_to_step(v) for _, _, v in sun.seen[since:]])]
    moved = [step for step in steps if step]
    return sum(before * after < 0.0 for before, after in pairwise(moved))


def test_cvl_sinks_by_two_hundredths_of_a_volt_a_second_at_most(make_engine: MakeEngine) -> None:
    """From the voltage of the pack, so that chargers can follow."""
    sun = Feeding(make_engine())
    sun.run(60)
    levels = [cvl_v for _, _, cvl_v in sun.seen if cvl_v < PACK_V + 0.9]

    assert levels[0] <= PACK_V + 0.9
    assert max(before - after for before, after in pairwise(levels)) <= 0.025


def test_what_obeys_ccl_is_left_alone(make_engine: MakeEngine) -> None:
    """A GX rounds CCL up and adds loads; noise, and a load that is switched off, are no source that obeys nothing."""
    engine = make_engine()
    engine.last_for(120.0, current_a=CCL_A, max_cell_v=3.30, **COLD)
    for _ in range(20):
        engine.last_for(60.0, current_a=math.ceil(CCL_A), max_cell_v=3.30, **COLD)
        engine.offer(current_a=CCL_A + 30.0, max_cell_v=3.30, every_s=1.0, **COLD)
    assert engine.limits.binding(Quantity.CVL).code is not LimitCode.ENFORCED


def test_a_ccl_that_falls_is_given_time(make_engine: MakeEngine) -> None:
    """What was right a moment ago is not judged by what came after; ten seconds later it is."""
    engine = make_engine()
    warm = {**COLD, "temperatures_c": (20.0, 25.0, None), "max_cell_v": 3.30}
    engine.last_for(60.0, current_a=50.0, **warm)
    early = engine.last_for(9.0, current_a=50.0, max_cell_v=3.30, **COLD)
    late = engine.last_for(20.0, current_a=50.0, max_cell_v=3.30, **COLD)

    assert early.ccl_a == pytest.approx(CCL_A)
    assert early.binding(Quantity.CVL).code is not LimitCode.ENFORCED
    assert late.binding(Quantity.CVL).code is LimitCode.ENFORCED


def test_without_effect_it_is_given_up_and_told(make_engine: MakeEngine) -> None:
    """An alternator obeys nothing: CVL comes back to just below the pack, and is tried again after 15 min."""
    engine = make_engine()
    alternator = {**COLD, "current_a": 60.0, "max_cell_v": 3.30}
    down = engine.last_for(80.0, **alternator)
    vain = engine.last_for(80.0, **alternator)
    rest = engine.last_for(600.0, **alternator)
    again = engine.last_for(300.0, **alternator)

    assert down.cvl_v == pytest.approx(PACK_V - 0.6)
    assert not down.uncontrolled
    assert vain.cvl_v == pytest.approx(PACK_V - 0.1, abs=0.11)
    assert rest.cvl_v == pytest.approx(PACK_V - 0.1, abs=0.11)
    assert rest.binding(Quantity.CVL).detail == "in_vain" or rest.binding(Quantity.CVL).code is LimitCode.RATE
    assert again.cvl_v < PACK_V - 0.3
    assert vain.uncontrolled
    assert again.uncontrolled
    assert not engine.last_for(60.0, **{**alternator, "current_a": 5.0}).uncontrolled


def test_a_stop_without_effect_is_given_up_and_told(make_engine: MakeEngine) -> None:
    """In frost as well: CVL stays 0.4 V below the pack, where the chargers of the GX add nothing."""
    engine = make_engine()
    frost = {**COLD, "temperatures_c": (20.0, -5.0, None), "current_a": 60.0, "max_cell_v": 3.30}
    down = engine.last_for(60.0, **frost)
    vain = engine.last_for(120.0, **frost)

    assert (down.cvl_v, down.uncontrolled) == (pytest.approx(PACK_V - 0.6), False)
    assert vain.cvl_v == pytest.approx(PACK_V - 0.4, abs=0.11)
    assert vain.uncontrolled
    assert not engine.last_for(10.0, **{**frost, "current_a": 0.0}).uncontrolled


@pytest.mark.parametrize(
    ("cells", "cell_v", "under_v", "expected_v"),
    [
        pytest.param(4, 3.22, 2.50, 12.4, id="0.4 V below the floor"),
        pytest.param(4, 3.22, 2.95, 12.6, id="0.2 V a cell above register 316"),
        pytest.param(4, 3.30, 2.50, 12.6, id="0.6 V below the pack"),
        pytest.param(16, 3.22, 2.50, 50.9, id="0.6 V below the pack, of 16 cells"),
    ],
)
def test_a_12_v_pack_is_not_charged_in_frost(
    make_engine: MakeEngine,
    make_ratings: Callable[..., Ratings],
    cells: int,
    cell_v: float,
    under_v: float,
    expected_v: float,
) -> None:
    """What feeds in stands 0.4 V above CVL, 0.1 V for each of four cells: the floor gives way, and to a stop alone."""
    ratings = make_ratings(series_cells=cells, under_voltage_cell_v=under_v)
    frost = {**COLD, "temperatures_c": (20.0, -5.0, None), "max_cell_v": cell_v, "ratings": ratings}
    engine = make_engine()
    low = engine.last_for(60.0, current_a=60.0, **frost)
    after = engine.last_for(60.0, **{**frost, "current_a": 0.0, "temperatures_c": (20.0, 25.0, None)})

    assert low.cvl_v == pytest.approx(expected_v, abs=0.03)
    assert after.cvl_v >= 3.20 * cells - 1e-9


def test_it_ends_with_the_cold(make_engine: MakeEngine) -> None:
    """Once the temperature lowers nothing, CVL rises by its rate to the target."""
    sun = Feeding(make_engine())
    sun.run(120)
    warm = sun.engine.last_for(1200.0, max_cell_v=3.35, current_a=40.0, temperatures_c=(20.0, 25.0, None))

    assert warm.cvl_v == pytest.approx(58.4)
    assert sun.engine.memory.enforcement.level_v is None


def test_at_night_nothing_is_sold(make_engine: MakeEngine) -> None:
    """Without sun CVL comes back step by step: a GX that feeds in would discharge the battery down to it."""
    sun = Feeding(make_engine())
    sun.run(300)
    low_v = sun.seen[-1][2]
    night = sun.engine.last_for(300.0, max_cell_v=PACK_V / 16, current_a=-20.0, **COLD)

    assert low_v < PACK_V
    assert night.cvl_v > PACK_V


@pytest.mark.parametrize(
    ("current_a", "soc", "told"), [(5.9, 96.0, False), (10.5, 96.0, True), (53.0, 50.0, False), (60.5, 50.0, True)]
)
def test_a_wish_that_is_not_obeyed_is_told(make_engine: MakeEngine, current_a: float, soc: float, told: bool) -> None:
    """More than CCL by 5 % of the capacity (here 5 A; 10 A at most) for 60 s, in FLOAT and above the maximum."""
    engine = make_engine()
    moment = {"current_a": current_a, "soc": soc, "max_cell_v": 3.45 if soc < 90 else 3.60, "delta_mv": 0.0}
    engine.last_for(25.0, **moment)
    early = engine.last_for(45.0, **moment)
    late = engine.last_for(40.0, **moment)

    assert not early.ccl_ignored
    assert late.ccl_ignored is told
    assert late.binding(Quantity.CVL).code is not LimitCode.ENFORCED
    assert not engine.last_for(120.0, **{**moment, "current_a": 1.0}).ccl_ignored


def test_a_restart_keeps_cvl_where_it_was(make_engine: MakeEngine) -> None:
    """The CVL in force is saved: chargers do not get their whole current back with each start of the bridge."""
    sun = Feeding(make_engine())
    before = sun.run(300)
    sun.engine.restart()
    sun.run(60)

    assert max(cvl_v for _, _, cvl_v in sun.seen[-58:]) <= before.cvl_v + 0.8 + 1e-9
    assert sun.current_a < CCL_A + 10.0


currents_a = st.lists(st.floats(-150.0, 250.0), min_size=1, max_size=30)


@settings(max_examples=60)
@given(currents=currents_a, cell_v=st.floats(2.6, 3.6), seconds=st.sampled_from([1.0, 5.0, 60.0]))
def test_it_only_lowers_and_never_too_far(
    context: MakeContext, make_draft: MakeDraft, currents: list[float], cell_v: float, seconds: float
) -> None:
    """Whatever flows: CVL is not raised, not below the least, nor 0.6 V below a pack that is charged; CCL stays."""
    memory, rates = EnforcementMemory(), RateMemory(58.4, 20.0, 100.0, running=True)
    for current_a in currents:
        now, draft = context(settings_before(), max_cell_v=cell_v, delta_mv=0.0, current_a=current_a), make_draft()
        draft.enforced_a = 20.0
        before_v = rates.cvl_v
        memory = enforce(draft, now, memory, rates, seconds)
        cvl_v = draft[Quantity.CVL]
        assert cvl_v <= 58.4
        assert draft[Quantity.CCL] == 50.0
        if cvl_v < 58.4:
            assert now.least_v <= cvl_v == draft.pressed_v
            lowest_v = max(now.least_v, now.snapshot.pack.voltage_v - 0.6)
            assert before_v is not None
            assert cvl_v >= min(before_v, lowest_v) - 1e-9
        rates = replace(rates, cvl_v=cvl_v)


def test_nothing_is_judged_before_limits_are_in_force(context: MakeContext, make_draft: MakeDraft) -> None:
    """After a start nobody has been told a CCL yet."""
    draft = make_draft()
    memory = enforce(draft, context(current_a=90.0), EnforcementMemory(), RateMemory(), 1.0)

    assert (memory.mean_a, memory.heard_a, memory.level_v) == (90.0, math.inf, None)
    assert len(draft.reasons) == 3
