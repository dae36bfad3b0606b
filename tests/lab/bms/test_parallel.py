"""Packs in parallel: the laws of the network, whatever the packs and their switches are."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_lab.bms.chemistry import CHEMISTRIES, LFP
from tinybms_lab.bms.pack import SimulatedPack
from tinybms_lab.bms.parallel import Branch, branch_of, split

_BRANCH = st.builds(
    Branch,
    emf_v=st.floats(40.0, 60.0),
    ohm=st.floats(0.001, 0.1),
    takes=st.booleans(),
    gives=st.booleans(),
)
_CLOSED = st.builds(Branch, emf_v=st.floats(40.0, 60.0), ohm=st.floats(0.001, 0.1))
_TOTAL = st.floats(-2000.0, 2000.0)


@given(st.lists(_CLOSED, min_size=1, max_size=16), _TOTAL)
def test_the_currents_of_closed_packs_sum_to_the_total(branches: list[Branch], total_a: float) -> None:
    """Nothing is lost and nothing is made."""
    result = split(branches, total_a)

    assert result.total_a == pytest.approx(total_a, abs=1e-6)
    assert result.currents_a == tuple(branch.current_a(result.bus_v) for branch in branches)


@given(st.lists(_BRANCH, min_size=1, max_size=16), _TOTAL)
def test_a_total_flows_as_far_as_switches_let_it(branches: list[Branch], total_a: float) -> None:
    """All of it where one pack lets it through, none of it where none does, and never more than is there."""
    result = split(branches, total_a)
    way = [branch.takes if total_a > 0.0 else branch.gives for branch in branches]

    if any(way) or total_a == 0.0:
        assert result.total_a == pytest.approx(total_a, abs=1e-6)
    else:
        assert result.total_a == pytest.approx(0.0, abs=1e-6)


@given(st.lists(_BRANCH, min_size=1, max_size=16), _TOTAL)
def test_no_current_passes_an_open_switch(branches: list[Branch], total_a: float) -> None:
    """An open charge switch still gives, an open load switch still takes; neither passes the other direction."""
    for branch, current_a in zip(branches, split(branches, total_a).currents_a, strict=True):
        assert current_a <= 0.0 or branch.takes
        assert current_a >= 0.0 or branch.gives


@given(st.lists(_CLOSED, min_size=1, max_size=16))
def test_the_bus_at_rest_is_between_the_packs(branches: list[Branch]) -> None:
    """Without a total current the voltage of the bus is a mean of those of the packs."""
    voltages_v = [branch.emf_v for branch in branches]

    assert min(voltages_v) - 1e-9 <= split(branches, 0.0).bus_v <= max(voltages_v) + 1e-9


@given(st.lists(_BRANCH, min_size=1, max_size=16), _TOTAL)
def test_the_bus_under_current_is_within_what_packs_can_show(branches: list[Branch], total_a: float) -> None:
    """No further from the packs than if the weakest of them carried all of the total."""
    far_v = abs(total_a) * max(branch.ohm for branch in branches)
    voltages_v = [branch.emf_v for branch in branches]

    assert min(voltages_v) - far_v - 1e-6 <= split(branches, total_a).bus_v <= max(voltages_v) + far_v + 1e-6


@given(_CLOSED, st.integers(1, 16), _TOTAL)
def test_equal_packs_share_equally(branch: Branch, count: int, total_a: float) -> None:
    """And as one source they are a pack of a fraction of the resistance."""
    result = split([branch] * count, total_a)

    assert result.currents_a == pytest.approx([total_a / count] * count, abs=1e-6)
    assert result.ohm == pytest.approx(branch.ohm / count) or abs(total_a) < 1e-6
    assert result.bus_v == pytest.approx(result.emf_v + result.total_a * result.ohm)


@given(st.lists(_BRANCH, min_size=1, max_size=8), _TOTAL, st.data())
def test_the_order_of_the_packs_changes_nothing(branches: list[Branch], total_a: float, data: st.DataObject) -> None:
    """Each pack carries the same wherever it stands in the list."""
    order = data.draw(st.permutations(range(len(branches))))
    currents_a = split(branches, total_a).currents_a
    shuffled_a = split([branches[index] for index in order], total_a).currents_a

    assert [shuffled_a[order.index(index)] for index in range(len(branches))] == pytest.approx(currents_a, abs=1e-4)


def test_unequal_packs_exchange_a_current_of_their_own() -> None:
    """2 V apart behind 10 mOhm each: 100 A from the full one into the empty one, while nothing else flows."""
    result = split([Branch(54.0, 0.01), Branch(52.0, 0.01)], 0.0)

    assert result.currents_a == pytest.approx((-100.0, 100.0))
    assert result.bus_v == pytest.approx(53.0)


def test_open_switches_stop_that_current() -> None:
    """The empty one lets nothing in: the bus stands anywhere between the two, and nothing flows."""
    result = split([Branch(54.0, 0.01), Branch(52.0, 0.01, takes=False)], 0.0)

    assert result.currents_a == (0.0, 0.0)


def test_a_pulled_pack_passes_nothing() -> None:
    """The others carry its part; without any there is no voltage."""
    result = split([Branch(53.0, 0.01), None, Branch(53.0, 0.01)], 60.0)

    assert result.currents_a == pytest.approx((30.0, 0.0, 30.0))
    assert split([None, None], 60.0).bus_v == 0.0
    assert split([None, None], 60.0).currents_a == (0.0, 0.0)


def test_double_resistance_is_half_the_current() -> None:
    """Of equal charge."""
    strong, weak = (branch_of(SimulatedPack.build(LFP, 16, resistance_spread=0.0), 0.0) for _ in range(2))

    currents_a = split([strong, Branch(weak.emf_v, 2.0 * weak.ohm)], 90.0).currents_a

    assert currents_a == pytest.approx((60.0, 30.0))


@pytest.mark.parametrize("chemistry", CHEMISTRIES)
@pytest.mark.parametrize("step_s", [1.0, 15.0, 60.0, 600.0])
def test_long_steps_do_not_swing(chemistry: str, step_s: float) -> None:
    """Near full a minute at a constant current would let packs overtake each other: they come together instead."""
    packs = [
        SimulatedPack.build(CHEMISTRIES[chemistry], 16, capacity_ah=100.0, soc=soc, soc_spread=0.0)
        for soc in (0.99, 0.985, 0.975)
    ]
    apart_a = []
    for _ in range(round(3.0 * 3600.0 / step_s)):
        currents_a = split([branch_of(pack, 0.002, ahead_s=step_s) for pack in packs], 0.0).currents_a
        for pack, current_a in zip(packs, currents_a, strict=True):
            pack.step(step_s, current_a)
        apart_a.append(max(abs(current_a) for current_a in currents_a))

    assert apart_a[-1] < 2.0
    assert max(apart_a[len(apart_a) // 2 :]) <= max(apart_a[: len(apart_a) // 2]) + 1e-9


def test_a_step_ahead_meets_the_bus_at_its_end() -> None:
    """With the current that was found, the pack shows the voltage of the bus when the step is over."""
    pack = SimulatedPack.build(LFP, 16, capacity_ah=100.0, soc=0.5, soc_spread=0.0)
    pack.step(30.0, 40.0)
    branch = branch_of(pack, 0.0, ahead_s=60.0)
    bus_v = branch.emf_v + 40.0 * branch.ohm

    pack.step(60.0, 40.0)

    assert math.isclose(pack.voltage_v, bus_v, abs_tol=0.005)
