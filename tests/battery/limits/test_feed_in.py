from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import RateMemory
from tinybms_bridge.battery.limits.feed_in import FeedInMemory, charges_past_ccl, next_feed_in, room_above_ccl_a
from tinybms_bridge.battery.snapshot import Ratings, Snapshot


@pytest.mark.parametrize(
    ("ccl_a", "capacity_ah", "room_a"), [(100.0, 280.0, 10.0), (5.0, 280.0, 2.0), (5.0, 1000.0, 5.0), (0.0, 20.0, 2.0)]
)
def test_ccl_is_passed_by_clearly_more_only(
    make_ratings: Callable[..., Ratings], ccl_a: float, capacity_ah: float, room_a: float
) -> None:
    """A tenth, 2 A or 0.005C, whichever is most, is what loads, rounding and a sensor make of any CCL."""
    ratings = make_ratings(capacity_ah=capacity_ah)

    assert room_above_ccl_a(ccl_a, ratings) == pytest.approx(room_a)
    assert not charges_past_ccl(ccl_a + room_a - 0.01, ccl_a, ratings)
    assert charges_past_ccl(ccl_a + room_a + 0.01, ccl_a, ratings)


def test_no_ccl_is_passed_before_one_was_sent(make_ratings: Callable[..., Ratings]) -> None:
    """What flows before the first limit obeys none, and that shows nothing."""
    assert not charges_past_ccl(1000.0, None, make_ratings())


Sample = Callable[..., Snapshot]
DAY_S = 86_400
SENT = RateMemory(cvl_v=56.0, ccl_a=20.0, dcl_a=100.0, running=True)


def after(
    sample: Sample,
    ratings: Ratings,
    seconds: int,
    memory: FeedInMemory | None = None,
    *,
    pack_v: float = 56.4,
    current_a: float = 10.0,
    lifetime_s: int = 1000,
    rates: RateMemory = SENT,
) -> FeedInMemory:
    """Return the memory after some seconds of equal samples."""
    memory = memory or FeedInMemory()
    for second in range(seconds):
        pack = {"voltage_v": pack_v, "lifetime_s": lifetime_s + second}
        memory = next_feed_in(memory, sample(current_a=current_a, pack=pack), ratings, rates, 1.0)
    return memory


@pytest.mark.parametrize(
    ("pack_v", "current_a", "seconds", "seen"),
    [
        pytest.param(56.4, 10.0, 61, True, id="chargers at CVL + 0.4 V"),
        pytest.param(56.4, 10.0, 50, False, id="too short"),
        pytest.param(56.4, -10.0, 300, False, id="the battery is discharged"),
        pytest.param(56.4, 0.5, 300, False, id="no current that counts"),
        pytest.param(56.1, 10.0, 300, False, id="the error of a meter"),
        pytest.param(57.0, 10.0, 300, False, id="a CVL that fell"),
        pytest.param(55.0, 30.0, 61, True, id="no CCL is obeyed"),
        pytest.param(55.0, 21.0, 300, False, id="a GX that rounds up"),
    ],
)
def test_what_shows_feed_in(
    sample: Sample, make_ratings: Callable[..., Ratings], pack_v: float, current_a: float, seconds: int, seen: bool
) -> None:
    """Only a minute of what chargers at CVL + 0.4 V make of the battery."""
    assert after(sample, make_ratings(), seconds, pack_v=pack_v, current_a=current_a).seen is seen


def test_nothing_sent_shows_nothing(sample: Sample, make_ratings: Callable[..., Ratings]) -> None:
    """After a start nobody has heard a limit, so none is passed."""
    for rates in (RateMemory(), RateMemory(cvl_v=56.0, ccl_a=20.0)):
        assert not after(sample, make_ratings(), 300, rates=rates).seen


def test_a_sample_after_a_pause_is_one_sample(sample: Sample, make_ratings: Callable[..., Ratings]) -> None:
    """What a CCL that has just fallen leaves of the current is no minute of feed-in, however long the pause was."""
    memory = FeedInMemory()
    for second in (0, 600, 1200):
        pack = {"voltage_v": 56.4, "lifetime_s": 1000 + second}
        memory = next_feed_in(memory, sample(current_a=10.0, pack=pack), make_ratings(), SENT, 600.0)
        assert not memory.seen


def test_a_gx_that_follows_late_shows_nothing(sample: Sample, make_ratings: Callable[..., Ratings]) -> None:
    """Near full CCL falls all the time, and what flows is near what was told some seconds ago."""
    memory = FeedInMemory()
    for second in range(300):
        pack = {"voltage_v": 55.0, "lifetime_s": 1000 + second}
        memory = next_feed_in(memory, sample(current_a=30.0, pack=pack), make_ratings(), SENT, 1.0, 29.0)
    assert not memory.seen


def test_it_is_forgotten_after_two_weeks(sample: Sample, make_ratings: Callable[..., Ratings]) -> None:
    """By the lifetime counter of the BMS; one that was set back begins the two weeks anew."""
    ratings, known = make_ratings(), FeedInMemory(5 * DAY_S)
    assert after(sample, ratings, 1, known, pack_v=55.0, lifetime_s=19 * DAY_S).seen
    assert not after(sample, ratings, 1, known, pack_v=55.0, lifetime_s=19 * DAY_S + 2).seen
    assert after(sample, ratings, 1, known, pack_v=55.0, lifetime_s=7).seen_at_lifetime_s == 7


def test_two_steps_that_were_too_much_show_that_ccl_is_not_obeyed(
    sample: Sample, make_ratings: Callable[..., Ratings]
) -> None:
    """Where all surplus is sold nothing stands above CVL: it leaves no room for that, but no CCL holds a current."""

    def step(memory: FeedInMemory, lifetime_s: int, *, passed: bool) -> FeedInMemory:
        now = sample(current_a=10.0, pack={"voltage_v": 55.0, "lifetime_s": lifetime_s})
        return next_feed_in(memory, now, make_ratings(), SENT, 1.0, passed=passed)

    once = step(FeedInMemory(), 1000, passed=True)
    twice = step(step(once, 2000, passed=False), 3000, passed=True)

    assert not once.disobeyed
    assert (twice.disobeyed, twice.seen, twice.disobeyed_at_lifetime_s) == (True, False, 3000)
    assert step(twice, 14 * DAY_S, passed=False).disobeyed
    assert step(twice, 10, passed=False).disobeyed_at_lifetime_s == 10
    forgotten = step(twice, 14 * DAY_S + 3001, passed=False)
    assert (forgotten.disobeyed, forgotten.passed) == (False, 0)
    assert not step(forgotten, 14 * DAY_S + 3002, passed=True).disobeyed


def test_who_feeds_in_obeys_no_ccl() -> None:
    """Chargers that stand above CVL are those that hear no CCL."""
    assert FeedInMemory(5).disobeyed
    assert not FeedInMemory().disobeyed


@given(st.lists(st.tuples(st.floats(40.0, 65.0), st.floats(-200.0, 200.0), st.integers(0, 2**32 - 1)), max_size=20))
def test_one_reading_in_a_minute_shows_nothing(
    sample: Sample, make_ratings: Callable[..., Ratings], readings: list[tuple[float, float, int]]
) -> None:
    """Readings that last a second each, of anything, are no minute."""
    memory = FeedInMemory()
    for pack_v, current_a, lifetime_s in readings:
        pack = {"voltage_v": pack_v, "lifetime_s": lifetime_s}
        memory = next_feed_in(memory, sample(current_a=current_a, pack=pack), make_ratings(), SENT, 1.0)
    assert not memory.seen
