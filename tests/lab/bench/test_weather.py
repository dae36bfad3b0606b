"""Sun, loads and air."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_lab.bench.weather import DAY_S, ClearSky, Clouds, Constant, Days, Profile, Pulses, Seasons, Steps, Swing

HOUR_S = 3600.0
EVERY_PROFILE: tuple[Profile, ...] = (
    Constant(5.0),
    ClearSky(6000.0),
    Clouds(ClearSky(6000.0), seed=3),
    Steps(1.0, ((100.0, 2.0), (200.0, 3.0))),
    Pulses(400.0, 10_400.0, 1000.0, 600.0, 30.0),
    Seasons(30, 2000.0, 7000.0),
    Swing(15.0, 5.0),
    Days((1000.0, 3000.0)),
)


@pytest.mark.parametrize("profile", EVERY_PROFILE, ids=lambda profile: type(profile).__name__)
def test_the_next_edge_lies_ahead(profile: Profile) -> None:
    """A step of the loop that ends at the next edge has a length above 0."""
    for time_s in (0.0, 99.0, 100.0, 1000.0, 1030.0, 43_200.0, 80_000.0):
        assert profile.next_edge_s(time_s) > time_s


@pytest.mark.parametrize("profile", EVERY_PROFILE, ids=lambda profile: type(profile).__name__)
@given(start_s=st.floats(0.0, DAY_S - 10.0), share=st.floats(0.001, 0.999))
def test_nothing_jumps_between_two_edges(profile: Profile, start_s: float, share: float) -> None:
    """A long step up to the next edge misses no jump: before it the value changes by little in a second."""
    edge_s = min(profile.next_edge_s(start_s), start_s + 3600.0)
    time_s = start_s + share * (edge_s - start_s)
    later_s = min(time_s + 1.0, edge_s - 1e-6)
    if later_s <= time_s:
        return

    assert abs(profile.at(later_s) - profile.at(time_s)) < 5.0


def test_a_constant_stays() -> None:
    """The simplest of all."""
    assert Constant(7.0).at(123.0) == 7.0
    assert math.isinf(Constant(7.0).next_edge_s(0.0))


def test_the_sun_is_highest_at_noon() -> None:
    """The peak is reached in the middle of the day, and only there."""
    sky = ClearSky(6000.0, sunrise_h=6.0, sunset_h=20.0)

    assert sky.at(13.0 * HOUR_S) == pytest.approx(6000.0)
    assert sky.at(12.0 * HOUR_S) < 6000.0
    assert sky.at(10.0 * HOUR_S) == pytest.approx(sky.at(16.0 * HOUR_S))


@pytest.mark.parametrize("hour", [0.0, 5.9, 6.0, 20.0, 23.0])
def test_there_is_no_sun_at_night(hour: float) -> None:
    """Power is never negative, and 0 from sunset to sunrise."""
    assert ClearSky(6000.0).at(hour * HOUR_S) == 0.0


def test_every_day_is_alike_under_a_clear_sky() -> None:
    """A scenario of several days needs no other profile."""
    sky = ClearSky(6000.0)

    assert sky.at(11.0 * HOUR_S) == sky.at(3 * DAY_S + 11.0 * HOUR_S)


def test_a_cloud_comes_and_goes_within_a_second() -> None:
    """At an edge the power falls to the shade, at the next it is back."""
    clouds = Clouds(ClearSky(6000.0), seed=4, shade=0.1)
    comes_s = clouds.next_edge_s(10.0 * HOUR_S)
    if clouds.at(comes_s) > clouds.at(comes_s - 1.0):
        comes_s = clouds.next_edge_s(comes_s)
    goes_s = clouds.next_edge_s(comes_s)

    assert clouds.at(comes_s) == pytest.approx(0.1 * clouds.sky.at(comes_s))
    assert clouds.at(comes_s - 1.0) == pytest.approx(clouds.sky.at(comes_s - 1.0))
    assert clouds.at(goes_s) == pytest.approx(clouds.sky.at(goes_s))


def test_the_same_seed_gives_the_same_clouds() -> None:
    """Engine and baseline meet the same day, today and tomorrow."""
    times_s = [10.0 * HOUR_S + 7.0 * n for n in range(500)]
    first = [Clouds(ClearSky(6000.0), seed=4).at(time_s) for time_s in times_s]

    assert first == [Clouds(ClearSky(6000.0), seed=4).at(time_s) for time_s in times_s]
    assert first != [Clouds(ClearSky(6000.0), seed=5).at(time_s) for time_s in times_s]


def test_clouds_end_with_their_days() -> None:
    """After the last edge nothing jumps any more."""
    clouds = Clouds(ClearSky(6000.0), seed=4, days=1)

    assert math.isinf(clouds.next_edge_s(2 * DAY_S))


def test_steps_take_the_last_value_that_was_reached() -> None:
    """At its time a value counts already."""
    steps = Steps(1.0, ((100.0, 2.0), (200.0, 3.0)))

    assert [steps.at(time_s) for time_s in (0.0, 99.9, 100.0, 199.9, 200.0, 1e6)] == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    assert (steps.next_edge_s(0.0), steps.next_edge_s(100.0)) == (100.0, 200.0)


def test_pulses_begin_at_their_start() -> None:
    """High for the width of every period, low otherwise and before."""
    pulses = Pulses(1.0, 9.0, start_s=100.0, period_s=60.0, width_s=20.0)

    assert [pulses.at(time_s) for time_s in (0.0, 100.0, 119.9, 120.0, 159.9, 160.0)] == [1.0, 9.0, 9.0, 1.0, 1.0, 9.0]


@pytest.mark.parametrize(("time_s", "edge_s"), [(0.0, 100.0), (100.0, 120.0), (119.0, 120.0), (120.0, 160.0)])
def test_pulses_know_their_next_edge(time_s: float, edge_s: float) -> None:
    """The loop meets each edge at its second."""
    pulses = Pulses(1.0, 9.0, start_s=100.0, period_s=60.0, width_s=20.0)

    assert pulses.next_edge_s(time_s) == edge_s


def test_summer_is_stronger_and_longer_than_winter() -> None:
    """The first day is midwinter, the last is midsummer."""
    seasons = Seasons(30, winter_w=2000.0, summer_w=7000.0)

    def harvest(day: int) -> float:
        return sum(seasons.at(day * DAY_S + 600.0 * n) for n in range(144))

    assert harvest(29) > 2.0 * harvest(0) > 0.0
    assert seasons.at(6.0 * HOUR_S) == 0.0
    assert seasons.at(29 * DAY_S + 6.0 * HOUR_S) > 0.0


def test_seasons_go_on_after_their_last_day() -> None:
    """A scenario that is a little too long sees the last day again."""
    seasons = Seasons(3, winter_w=2000.0, summer_w=7000.0)

    assert seasons.at(5 * DAY_S + 12.0 * HOUR_S) == seasons.at(2 * DAY_S + 12.0 * HOUR_S)


def test_air_is_coldest_at_its_hour() -> None:
    """Mean less amplitude then, mean plus amplitude twelve hours later."""
    air = Swing(10.0, 8.0, lowest_h=5.0)

    assert air.at(5.0 * HOUR_S) == pytest.approx(2.0)
    assert air.at(17.0 * HOUR_S) == pytest.approx(18.0)


def test_days_differ() -> None:
    """Each has its own sky, and the last one goes on."""
    days = Days((1000.0, 3000.0))
    noons_w = [days.at(13.0 * 3600.0 + DAY_S * day) for day in range(3)]

    assert noons_w == pytest.approx([1000.0, 3000.0, 3000.0])
    assert days.next_edge_s(0.0) == math.inf
