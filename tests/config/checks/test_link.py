from collections.abc import Callable

import pytest

Complaints = Callable[[object], dict[str, str]]


def test_the_base_interval_is_not_below_the_fastest(complaints: Complaints) -> None:
    """The poller starts at the base interval, which must lie within its bounds."""
    assert complaints({"tinybms": {"poll_interval_ms": 50}}) == {
        "tinybms.poll_interval_ms": "must be at least tinybms.poll_interval_min_ms, which is 100 ms"
    }


def test_the_base_interval_is_not_above_the_slowest(complaints: Complaints) -> None:
    """As above, at the other end."""
    assert complaints({"tinybms": {"poll_interval_ms": 600, "poll_interval_max_ms": 500}}) == {
        "tinybms.poll_interval_max_ms": "must be at least tinybms.poll_interval_ms, which is 600 ms"
    }


def test_equal_intervals_switch_adaptation_off(complaints: Complaints) -> None:
    """A fixed interval is a choice."""
    fixed = {"poll_interval_ms": 250, "poll_interval_min_ms": 250, "poll_interval_max_ms": 250}

    assert complaints({"tinybms": fixed}) == {}


def test_slow_polling_would_stop_charging(complaints: Complaints) -> None:
    """Two of the slowest polls must fit into the time for which a sample counts as fresh."""
    assert complaints({"tinybms": {"poll_interval_max_ms": 2000}}) == {
        "tinybms.poll_interval_max_ms": "must be at most 1500 ms, half of victron.fresh_timeout_s (3 s), "
        "so that charging goes on while the BMS answers"
    }


def test_a_short_freshness_is_reported_at_its_own_key(complaints: Complaints) -> None:
    """Who shortens the freshness is told about it there."""
    assert complaints({"victron": {"fresh_timeout_s": 1.5}}) == {
        "victron.fresh_timeout_s": "must be at least 2 s, twice tinybms.poll_interval_max_ms (1000 ms), "
        "so that charging goes on while the BMS answers"
    }


@pytest.mark.parametrize(("slowest_ms", "fresh_s"), [(1000, 2), (500, 1), (5000, 10), (1500, 3)])
def test_two_polls_within_the_freshness_are_enough(slowest_ms: int, fresh_s: float, complaints: Complaints) -> None:
    """The bound itself is accepted."""
    document = {"tinybms": {"poll_interval_max_ms": slowest_ms}, "victron": {"fresh_timeout_s": fresh_s}}

    assert complaints(document) == {}
