import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.simulator.chemistry import LI_ION
from tinybms_bridge.tinybms.simulator.pack import Pack
from tinybms_bridge.tinybms.simulator.profile import parse_profile
from tinybms_bridge.tinybms.simulator.surroundings import Charger, Demand, Surroundings, Wiring

IDLE_A = 0.8


@pytest.fixture
def pack() -> Pack:
    """Four alike cells of 100 Ah at 50 %: 14.9 V at rest, 2.8 mΩ."""
    return Pack.build(LI_ION, 4, soc=0.5, soc_spread=0.0, capacity_spread=0.0, resistance_spread=0.0)


@pytest.fixture
def around() -> Surroundings:
    """Nothing but sensors."""
    return Surroundings(Wiring([True, True]))


def demand(around: Surroundings, pack: Pack, time_s: float = 0.0) -> Demand:
    """Return what is wanted."""
    return around.demand(time_s, pack, IDLE_A)


def test_nothing_is_wanted_at_first(around: Surroundings, pack: Pack) -> None:
    """No profile, no driver, no charger."""
    assert demand(around, pack) == Demand()
    assert around.steady_for_s(0.0) == float("inf")


def test_a_profile_is_followed(pack: Pack) -> None:
    """Positive segments come from a charger, negative ones go to a load."""
    around = Surroundings(Wiring([True, True]), parse_profile("10:-20,5:+30,5:-149W"))

    assert demand(around, pack, 3.0) == Demand(0.0, -20.0)
    assert demand(around, pack, 12.0) == Demand(30.0, 0.0, True)
    assert demand(around, pack, 16.0).load_a == pytest.approx(-10.0, rel=0.01)
    assert around.steady_for_s(3.0) == pytest.approx(7.0)


def test_a_driven_current_replaces_the_profile(pack: Pack) -> None:
    """For good."""
    around = Surroundings(Wiring([True, True]), parse_profile("10:-20"))
    around.drive(5.0)

    assert demand(around, pack) == Demand(5.0, 0.0, True)
    assert around.steady_for_s(3.0) == float("inf")


@pytest.mark.parametrize("current_a", [float("nan"), float("inf")])
def test_a_driven_current_must_be_a_number(around: Surroundings, current_a: float) -> None:
    """One bad word from a simulated GX does not poison the pack."""
    with pytest.raises(ValueError, match="must be finite"):
        around.drive(current_a)


def test_the_charger_of_a_driven_current_stays_until_the_pack_is_discharged(around: Surroundings, pack: Pack) -> None:
    """A GX that floats at 0 A is still there; one that draws power is a load."""
    seen = []
    for current_a in (-5.0, 10.0, 0.0, -0.8, -0.9, 0.0):
        around.drive(current_a)
        seen.append(demand(around, pack).charger)

    assert seen == [False, True, True, True, False, False]


def test_with_a_named_charger_other_positive_currents_are_regeneration(around: Surroundings, pack: Pack) -> None:
    """Both at once are possible."""
    around.connect_charger(Charger(20.0))
    around.drive(-8.0)
    assert demand(around, pack) == Demand(20.0, -8.0, True)

    around.connect_charger(None)
    around.drive(8.0)
    assert demand(around, pack) == Demand(0.0, 8.0, False)


def test_the_usual_reading_of_currents_can_be_restored(around: Surroundings, pack: Pack) -> None:
    """As at the start."""
    around.connect_charger(Charger(20.0))
    around.drive(8.0)
    around.charger_follows_current()

    assert demand(around, pack) == Demand(8.0, 0.0, True)


@pytest.mark.parametrize(
    ("voltage_v", "load_a", "offered_a"),
    [(None, 0.0, 20.0), (20.0, 0.0, 20.0), (14.928, 0.0, 10.0), (14.928, -4.0, 14.0), (14.0, 0.0, 0.0)],
)
def test_a_charger_holds_its_voltage(pack: Pack, voltage_v: float | None, load_a: float, offered_a: float) -> None:
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
