"""How packs stand to each other: who joins, who is odd, and the clock that they have together."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.battery.limits.test_as_one import RATINGS, sample

from tinybms_bridge.battery.limits.context import Context, make_context
from tinybms_bridge.battery.limits.parallel import Apart, BatteryClock, next_apart, next_clock, odd_packs
from tinybms_bridge.battery.limits.settings import LimitSettings
from tinybms_bridge.battery.snapshot import Ratings


def watched(*moments: tuple[float, dict[str, float]], join_v: float = 0.8) -> Apart:
    """Return who is apart after these voltages at these times."""
    memory = Apart()
    for at_s, voltages_v in moments:
        memory = next_apart(memory, voltages_v, join_v, at_s)
    return memory


NEAR = {"a": 53.0, "b": 53.1, "c": 52.9}


def test_a_pack_that_comes_from_afar_joins_at_once() -> None:
    """It takes nearly all of the current from the first moment."""
    memory = watched((0.0, NEAR), (1.0, {**NEAR, "d": 51.0}))

    assert memory.packs == {"d"}
    assert memory.most_v == pytest.approx(1.95, abs=0.1)


def test_one_reading_at_another_moment_of_a_load_is_no_pack_that_joins() -> None:
    """Packs are read one after the other; a difference has to last."""
    far = {**NEAR, "c": 51.0}
    assert watched((0.0, NEAR), (0.1, far), (0.2, NEAR), (3.0, far), (3.1, NEAR)).packs == set()
    assert watched((0.0, NEAR), (0.1, far), (1.0, far), (2.2, far)).packs == {"c"}


def test_it_has_joined_when_it_has_been_near_for_a_while() -> None:
    """Half of the way is not enough, and a moment neither."""
    there = [(0.0, NEAR), (1.0, {**NEAR, "d": 51.0})]
    nearer, near = {**NEAR, "d": 52.5}, {**NEAR, "d": 52.8}
    assert watched(*there, (60.0, nearer), (90.0, nearer)).packs == {"d"}
    assert watched(*there, (60.0, near), (62.0, near)).packs == {"d"}
    assert watched(*there, (60.0, near), (66.0, near)).packs == set()


def test_of_two_the_one_that_came_last_joins() -> None:
    """Which of them is far from the other, nobody can tell otherwise."""
    assert watched((0.0, {"a": 53.0}), (5.0, {"a": 53.0, "b": 51.0})).packs == {"b"}
    both = watched((0.0, {"a": 53.0, "b": 53.0}), (1.0, {"a": 53.0, "b": 51.0}), (4.0, {"a": 53.0, "b": 51.0}))
    assert both.packs == {"a", "b"}


def test_a_pack_whose_bms_has_cut_the_current_between_them_goes_on_joining() -> None:
    """Its switch closes again within a minute: what was bounded for it stays bounded until then."""
    far = {**NEAR, "d": 51.0}
    memory = next_apart(next_apart(Apart(), NEAR, 0.8, 0.0), far, 0.8, 1.0, ["d"])
    for at_s in (2.0, 30.0, 60.0):
        memory = next_apart(memory, far, 0.8, at_s)
        assert memory.joining(at_s) == {"d"}
    memory = next_apart(memory, far, 0.8, 62.0)
    assert memory.packs == {"d"}
    assert not memory.joining(62.0)
    memory = next_apart(memory, far, 0.8, 63.0, ["d"])
    assert memory.joining(63.0) == {"d"}


def test_a_pack_that_drifts_apart_without_a_current_is_not_connected() -> None:
    """Its BMS has cut the load, and the others are discharged on: it joins nobody."""
    far = {**NEAR, "c": 51.0}
    memory = watched((0.0, NEAR), (1.0, far), (4.0, far))
    assert memory.packs == {"c"}
    assert not memory.joining(4.0)


def test_one_alone_is_never_apart() -> None:
    """There is nothing that it could be far from."""
    assert watched((0.0, NEAR), (1.0, {"a": 40.0})).packs == set()
    assert watched((0.0, {})).packs == set()


def context(ratings: Ratings) -> Context:
    """Return the context of a pack with these settings."""
    return make_context(replace(sample(), ratings=ratings), ratings, LimitSettings())


def test_another_number_of_cells_or_chemistry_is_odd() -> None:
    """The kind of most packs is the right one; of two kinds as often, that of the first pack."""
    usual, other = context(RATINGS), context(replace(RATINGS, series_cells=8))
    li_ion = context(replace(RATINGS, fully_charged_cell_v=4.2, over_voltage_cell_v=4.25, fully_discharged_cell_v=3.2))
    assert odd_packs({"a": usual, "b": usual}) == frozenset()
    assert odd_packs({"a": other, "b": usual, "c": usual}) == {"a"}
    assert odd_packs({"a": usual, "b": usual, "c": li_ion}) == {"c"}
    assert odd_packs({"a": usual, "b": other}) == {"b"}


def ran(*moments: tuple[float, dict[str, int]]) -> BatteryClock:
    """Return the clock after these counters, each after so many seconds."""
    clock = BatteryClock()
    for elapsed_s, counters_s in moments:
        clock = next_clock(clock, counters_s, elapsed_s)
    return clock


def test_the_clock_goes_on_as_the_counters_do() -> None:
    """It begins with the highest of them, so that nothing that was kept is in the future."""
    clock = ran((0.0, {"a": 1000, "b": 70_000}), *((1.0, {"a": 1000 + n, "b": 70_000 + n}) for n in range(1, 101)))

    assert clock.lifetime_s == 70_100


def test_a_counter_that_jumps_moves_the_clock_little() -> None:
    """By a year, or back to 0; of one pack in three, in two, and of the only one that is seen."""
    for others in ({"b": 5000, "c": 6000}, {"b": 5000}, {}):
        clock = ran((0.0, {"a": 1000, **others}))
        before_s = clock.lifetime_s
        for n in range(1, 61):
            jumped = {name: counter + n for name, counter in others.items()}
            clock = next_clock(clock, {"a": 31_000_000 + n, **jumped}, 1.0)
        assert 40 <= clock.lifetime_s - before_s <= 90
        clock = next_clock(clock, {"a": 5, **others}, 1.0)
        assert clock.lifetime_s - before_s <= 90


def test_what_passed_while_the_bridge_was_off_counts() -> None:
    """Full charges become due by the counters of the units, which count in sleep."""
    saved = BatteryClock(70_000, {"a": 1000, "b": 60_000})

    clock = next_clock(saved, {"a": 1000 + 86_400, "b": 60_000 + 86_400}, 0.0)

    assert clock.lifetime_s == 70_000 + 86_400


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 2**32 - 1)), min_size=1, max_size=20))
def test_the_clock_never_goes_back(counters: list[dict[str, int]]) -> None:
    """Whatever the counters do."""
    clock, last_s = BatteryClock(), 0
    for found in counters:
        clock = next_clock(clock, found, 1.0)
        assert clock.lifetime_s >= last_s
        last_s = clock.lifetime_s
