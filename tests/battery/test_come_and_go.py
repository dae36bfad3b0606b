"""What is told of something that comes and goes."""

from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.come_and_go import Told, next_told

STEP_S = 1.0


def play(states: list[bool], told: Told[bool] | None = None) -> tuple[Told[bool], list[float]]:
    """Return what is told after these states, one a second; True is bad. And when something was told."""
    told = told or Told(state=False, present=False)
    changed_s = []
    for second, state in enumerate(states):
        after = next_told(told, state, second * STEP_S, was_bad=told.state)
        if after.state is not told.state:
            changed_s.append(second * STEP_S)
        told = after
    return told, changed_s


def test_the_first_times_are_told_at_once() -> None:
    """A cable that is pulled and plugged in again, twice."""
    states = [*[False] * 3, *[True] * 3, *[False] * 3, *[True] * 3, *[False] * 3]
    told, changed_s = play(states)
    assert changed_s == [3.0, 6.0, 9.0, 12.0]
    assert not told.is_unsteady


def test_what_goes_on_coming_and_going_counts_as_bad() -> None:
    """Until it has been well for a minute; then that is told, once."""
    told, changed_s = play([bool(second % 2) for second in range(300)] + [False] * 70)
    assert changed_s == [1.0, 2.0, 3.0, 4.0, 5.0, 360.0]
    assert told == Told(False, False, 300.0, (1.0, 2.0, 3.0, 4.0, 5.0, 360.0))


def test_it_is_unsteady_meanwhile() -> None:
    """What is so now is not what was told."""
    told, _ = play([bool(second % 2) for second in range(20)] + [False] * 5)
    assert (told.state, told.present, told.is_unsteady) == (True, False, True)
    assert told.comes_and_goes(24.0)
    assert not told.comes_and_goes(700.0)


def test_old_changes_are_forgotten() -> None:
    """Who comes and goes once an hour is told each time."""
    hour = [True] * 10 + [False] * 3590
    _, changed_s = play(hour * 5)
    assert len(changed_s) == 10


def test_nothing_new_is_the_same_object() -> None:
    """It is asked ten times a second for each pack."""
    told, _ = play([True, False])
    assert next_told(told, False, 100.0, was_bad=False) is told


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 90)), max_size=60))
def test_it_is_bounded_and_never_hides_what_is_bad(stretches: list[tuple[bool, int]]) -> None:
    """No more than a dozen changes in ten minutes; what is bad is told in the same second; what lasts is told."""
    states = [state for state, seconds in stretches for _ in range(seconds)]
    told = Told(state=False, present=False)
    changed_s: list[float] = []
    for second, state in enumerate(states):
        after = next_told(told, state, float(second), was_bad=told.state)
        if state:
            assert after.state, "bad is told at once"
        if after.state is not told.state:
            changed_s.append(float(second))
        told = after
        assert sum(second - at_s < 600.0 for at_s in changed_s) <= 12
    told, _ = play([False] * 400, Told(told.state, told.present, told.since_s - 2000.0, ()))
    assert not told.state
