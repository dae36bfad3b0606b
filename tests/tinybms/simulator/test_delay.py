from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.simulator.delay import NEVER_S, Delay


def test_a_condition_must_hold_without_a_break() -> None:
    """A break starts the count again."""
    delay = Delay()

    seen = [delay.ripe(now_s != 2.0, now_s, 3.0) for now_s in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)]

    assert seen == [False] * 6 + [True]


def test_no_delay_is_ripe_at_once() -> None:
    """Peak currents are cut without a delay."""
    assert Delay().ripe(True, 5.0, 0.0)


def test_it_tells_when_to_ask_again() -> None:
    """So that a simulation meets the moment exactly, whatever its steps."""
    delay = Delay()
    assert delay.due_s == NEVER_S

    delay.ripe(True, 10.0, 2.5)
    assert delay.due_s == 12.5

    assert delay.ripe(True, 12.5, 2.5)
    assert delay.due_s == NEVER_S


def test_reset_forgets_the_time_so_far() -> None:
    """After a restart every delay begins anew."""
    delay = Delay()
    delay.ripe(True, 0.0, 2.0)
    delay.reset()

    assert delay.due_s == NEVER_S
    assert not delay.ripe(True, 2.0, 2.0)
    assert delay.ripe(True, 4.0, 2.0)


def test_the_delay_may_change_while_it_runs() -> None:
    """A current that passes the second limit does not wait out the delay of the first."""
    delay = Delay()

    assert not delay.ripe(True, 0.0, 10.0)
    assert delay.ripe(True, 1.0, 0.0)


@given(
    st.lists(st.tuples(st.booleans(), st.floats(min_value=0.01, max_value=5.0)), min_size=1, max_size=30),
    st.floats(min_value=0.0, max_value=10.0),
)
def test_ripe_means_held_for_that_long(moments: list[tuple[bool, float]], delay_s: float) -> None:
    """Against a plain count of the seconds since the last break."""
    delay = Delay()
    now_s, since_s = 0.0, None
    for condition, step_s in moments:
        since_s = (since_s if since_s is not None else now_s) if condition else None

        assert delay.ripe(condition, now_s, delay_s) == (since_s is not None and now_s - since_s >= delay_s - 1e-9)
        now_s += step_s
