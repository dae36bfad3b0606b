import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_lab.bms.chemistry import LI_ION
from tinybms_lab.bms.environment import (
    BUILT_IN_PROFILES,
    Charger,
    CurrentProfile,
    Demand,
    Environment,
    Segment,
    Wiring,
    parse_profile,
)
from tinybms_lab.bms.pack import SimulatedPack

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
        CurrentProfile([])


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
    profile = CurrentProfile(segments)

    segment, left_s = profile.at(time_s)

    assert segment in profile.segments
    assert 0.0 < left_s <= segment.duration_s


IDLE_A = 0.8


@pytest.fixture
def pack() -> SimulatedPack:
    """Four alike cells of 100 Ah at 50 %: 14.9 V at rest, 2.8 mΩ."""
    return SimulatedPack.build(LI_ION, 4, soc=0.5, soc_spread=0.0, capacity_spread=0.0, resistance_spread=0.0)


@pytest.fixture
def around() -> Environment:
    """Nothing but sensors."""
    return Environment(Wiring([True, True]))


def demand(around: Environment, pack: SimulatedPack, time_s: float = 0.0) -> Demand:
    """Return what is wanted."""
    return around.demand(time_s, pack, IDLE_A)


def test_nothing_is_wanted_at_first(around: Environment, pack: SimulatedPack) -> None:
    """No profile, no driver, no charger."""
    assert demand(around, pack) == Demand()
    assert around.steady_for_s(0.0) == float("inf")


def test_a_profile_is_followed(pack: SimulatedPack) -> None:
    """Positive segments come from a charger, negative ones go to a load."""
    around = Environment(Wiring([True, True]), parse_profile("10:-20,5:+30,5:-149W"))

    assert demand(around, pack, 3.0) == Demand(0.0, -20.0)
    assert demand(around, pack, 12.0) == Demand(30.0, 0.0, True)
    assert demand(around, pack, 16.0).load_a == pytest.approx(-10.0, rel=0.01)
    assert around.steady_for_s(3.0) == pytest.approx(7.0)


def test_a_driven_current_replaces_the_profile(pack: SimulatedPack) -> None:
    """For good."""
    around = Environment(Wiring([True, True]), parse_profile("10:-20"))
    around.drive(5.0)

    assert demand(around, pack) == Demand(5.0, 0.0, True)
    assert around.steady_for_s(3.0) == float("inf")


@pytest.mark.parametrize("current_a", [float("nan"), float("inf")])
def test_a_driven_current_must_be_a_number(around: Environment, current_a: float) -> None:
    """One bad word from a simulated GX does not poison the pack."""
    with pytest.raises(ValueError, match="must be finite"):
        around.drive(current_a)


def test_the_charger_of_a_driven_current_stays_until_the_pack_is_discharged(
    around: Environment, pack: SimulatedPack
) -> None:
    """A GX that floats at 0 A is still there; one that draws power is a load."""
    seen = []
    for current_a in (-5.0, 10.0, 0.0, -0.8, -0.9, 0.0):
        around.drive(current_a)
        seen.append(demand(around, pack).charger)

    assert seen == [False, True, True, True, False, False]


def test_with_a_named_charger_other_positive_currents_are_regeneration(
    around: Environment, pack: SimulatedPack
) -> None:
    """Both at once are possible."""
    around.connect_charger(Charger(20.0))
    around.drive(-8.0)
    assert demand(around, pack) == Demand(20.0, -8.0, True)

    around.connect_charger(None)
    around.drive(8.0)
    assert demand(around, pack) == Demand(0.0, 8.0, False)


def test_the_usual_reading_of_currents_can_be_restored(around: Environment, pack: SimulatedPack) -> None:
    """As at the start."""
    around.connect_charger(Charger(20.0))
    around.drive(8.0)
    around.charger_follows_current()

    assert demand(around, pack) == Demand(8.0, 0.0, True)


@pytest.mark.parametrize(
    ("voltage_v", "load_a", "offered_a"),
    [(None, 0.0, 20.0), (20.0, 0.0, 20.0), (14.928, 0.0, 10.0), (14.928, -4.0, 14.0), (14.0, 0.0, 0.0)],
)
def test_a_charger_holds_its_voltage(
    pack: SimulatedPack, voltage_v: float | None, load_a: float, offered_a: float
) -> None:
    """Constant current until the pack comes near, then what keeps it there, the load included; never negative."""
    assert pack.resting_voltage_v == pytest.approx(14.9)
    assert pack.ohmic_ohm == pytest.approx(0.0028)
    assert Charger(20.0, voltage_v).offered_a(pack, load_a) == pytest.approx(offered_a, abs=0.05)


@pytest.mark.parametrize(("current_a", "voltage_v"), [(-1.0, None), (float("nan"), None), (10.0, -1.0)])
def test_an_impossible_charger_is_refused(current_a: float, voltage_v: float | None) -> None:
    """It would draw current, or drive a pack with nonsense."""
    with pytest.raises(ValueError, match="a charger gives 0 or more"):
        Charger(current_a, voltage_v)


CELLS = (3.1, 3.2, 3.3, 3.4)


@pytest.mark.parametrize(
    ("broken", "readings_v"),
    [
        ((), CELLS),
        ((0,), (2.45, 3.2, 3.3, 3.4)),
        ((2,), (3.1, 0.0, 4.5, 3.4)),
        ((4,), (3.1, 3.2, 3.3, 0.0)),
        ((1, 2), (0.0, 0.0, 4.5, 3.4)),
    ],
)
def test_broken_sense_wires_mislead(broken: tuple[int, ...], readings_v: tuple[float, ...]) -> None:
    """Below the break a cell reads 0, above it too much; without the lowest wire the lowest cell reads 0.65 V low."""
    found = Wiring([True, True], broken_wires=set(broken)).readings_v(CELLS)

    assert found == pytest.approx(readings_v)


@given(
    st.lists(st.floats(min_value=0.0, max_value=5.0), min_size=4, max_size=16),
    st.sets(st.integers(min_value=0, max_value=16)),
)
def test_readings_stay_within_the_range_of_the_input(cells_v: list[float], wires: set[int]) -> None:
    """However many wires break."""
    wiring = Wiring([True, True], broken_wires={wire for wire in wires if wire <= len(cells_v)})
    found = wiring.readings_v(cells_v)

    assert len(found) == len(cells_v)
    if wires & set(range(len(cells_v) + 1)):
        assert all(0.0 <= reading <= 4.5 for reading in found)
