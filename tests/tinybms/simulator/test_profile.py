import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.simulator.profile import BUILT_IN_PROFILES, Profile, Segment, parse_profile

_SEGMENTS = st.lists(
    st.builds(Segment, st.floats(min_value=0.1, max_value=1000.0), st.floats(min_value=-100.0, max_value=100.0)),
    min_size=1,
    max_size=8,
)


def test_text_gives_segments_in_order() -> None:
    """The form that the help shows."""
    profile = parse_profile("300:-20,300:+30")

    assert profile.segments == (Segment(300.0, -20.0), Segment(300.0, 30.0))


def test_text_may_have_units_blanks_and_decimals() -> None:
    """People write what they mean in several ways."""
    profile = parse_profile(" 60s:-500W , 1.5 : 2.5A,10:0")

    assert profile.segments == (Segment(60.0, -500.0, is_power=True), Segment(1.5, 2.5), Segment(10.0, 0.0))


@pytest.mark.parametrize("text", ["", "fast", "10", "10:", ":5", "10:5,", "10:5V", "-10:5", "10:1e5", "10:nan"])
def test_other_text_is_refused_with_what_is_allowed(text: str) -> None:
    """The message teaches the form."""
    with pytest.raises(ValueError, match="use idle, cycle, charge, discharge, or seconds:amperes"):
        parse_profile(text)


@pytest.mark.parametrize("text", ["0:5", "10:5,0:1"])
def test_a_segment_without_length_is_refused(text: str) -> None:
    """Time must go on."""
    with pytest.raises(ValueError, match="longer than 0 s, got 0"):
        parse_profile(text)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_load_that_is_no_number_is_refused(value: float) -> None:
    """Segments made in code are checked like those of the command line."""
    with pytest.raises(ValueError, match="finite load"):
        Segment(1.0, value)


def test_no_segment_is_no_profile() -> None:
    """There is always a segment in force."""
    with pytest.raises(ValueError, match="at least 1 segment"):
        Profile([])


@pytest.mark.parametrize(
    ("name", "signs"), [("idle", {0}), ("charge", {1}), ("discharge", {-1}), ("cycle", {-1, 0, 1})]
)
def test_built_in_profiles_do_what_they_are_called(name: str, signs: set[int]) -> None:
    """Positive charges."""
    profile = parse_profile(name)

    assert {int(math.copysign(1, s.value)) if s.value else 0 for s in profile.segments} == signs


def test_a_cycle_gives_back_what_it_takes() -> None:
    """A demo can run for days."""
    assert sum(s.value * s.duration_s for s in parse_profile("cycle").segments) == 0.0


@pytest.mark.parametrize(("capacity_ah", "current_a"), [(10.0, 3.0), (100.0, 30.0), (600.0, 60.0)])
def test_built_in_currents_follow_the_capacity_up_to_a_limit(capacity_ah: float, current_a: float) -> None:
    """0.3 C, at most 60 A."""
    (segment,) = parse_profile("charge", capacity_ah=capacity_ah).segments

    assert segment.value == pytest.approx(current_a)


@pytest.mark.parametrize("name", BUILT_IN_PROFILES)
def test_names_are_found_in_any_case(name: str) -> None:
    """A capital letter is no mistake."""
    assert parse_profile(f" {name.upper()} ").segments == parse_profile(name).segments


def test_power_becomes_current_by_the_voltage() -> None:
    """A constant-power load draws more current from a lower voltage, and none from a dead pack."""
    segment = Segment(1.0, -480.0, is_power=True)

    assert (segment.current_a(48.0), segment.current_a(40.0), segment.current_a(0.0)) == pytest.approx((-10, -12, 0))
    assert Segment(1.0, -10.0).current_a(48.0) == -10.0


def test_the_profile_repeats() -> None:
    """After the last segment comes the first."""
    profile = parse_profile("10:1,20:2")

    assert [profile.at(t)[0].value for t in (0.0, 9.9, 10.0, 29.9, 30.0, 45.0, 3010.0)] == [1, 1, 2, 2, 1, 2, 2]
    assert profile.at(12.0)[1] == pytest.approx(18.0)
    assert profile.period_s == 30.0


@given(_SEGMENTS, st.floats(min_value=0.0, max_value=1e7))
def test_a_segment_always_holds_for_a_while(segments: list[Segment], time_s: float) -> None:
    """A simulation that steps to the end of the segment always moves on."""
    profile = Profile(segments)

    segment, left_s = profile.at(time_s)

    assert segment in profile.segments
    assert 0.0 < left_s <= segment.duration_s
