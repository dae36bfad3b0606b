import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_lab.bms.chemistry import CHEMISTRIES, LFP, LI_ION, ChemistryModel
from tinybms_lab.bms.pack import BLEED_A, Cell, SimulatedPack

_STEPS = st.lists(
    st.tuples(
        st.floats(min_value=0.0, max_value=3600.0),
        st.floats(min_value=-300.0, max_value=300.0),
        st.sets(st.integers(min_value=0, max_value=3)),
    ),
    max_size=30,
)
_CHEMISTRY = st.sampled_from(list(CHEMISTRIES.values()))


@given(_CHEMISTRY, _STEPS)
def test_charge_is_conserved(chemistry: ChemistryModel, steps: list[tuple[float, float, set[int]]]) -> None:
    """What a cell holds is what it held, plus what flowed in, less what was bled."""
    pack = SimulatedPack.build(chemistry, 4, capacity_ah=50.0, soc=0.5)
    before_ah = [cell.soc * cell.capacity_ah for cell in pack.cells]

    for dt_s, current_a, bleeding in steps:
        pack.step(dt_s, current_a, bleeding)

    assert pack.net_ah == pytest.approx(sum(current_a * dt_s for dt_s, current_a, _ in steps) / 3600.0, abs=1e-9)
    for cell, was_ah, bled_ah in zip(pack.cells, before_ah, pack.bled_ah, strict=True):
        assert cell.soc * cell.capacity_ah == pytest.approx(was_ah + pack.net_ah - bled_ah, abs=1e-6)


@given(_CHEMISTRY, _STEPS)
def test_cells_stay_finite(chemistry: ChemistryModel, steps: list[tuple[float, float, set[int]]]) -> None:
    """No abuse makes a voltage or temperature that is not a number of this world."""
    pack = SimulatedPack.build(chemistry, 4, capacity_ah=5.0, soc=0.9)

    for dt_s, current_a, bleeding in steps:
        pack.step(dt_s, current_a, bleeding)

    assert all(chemistry.floor_v <= v <= chemistry.ceiling_v for v in pack.cell_voltages_v)
    assert all(math.isfinite(t) and t >= 24.9 for t in pack.temperatures_c)


@given(_CHEMISTRY, st.floats(min_value=0.0, max_value=1.0), st.floats(min_value=0.0, max_value=1.0))
def test_voltage_rises_with_charge(chemistry: ChemistryModel, a: float, b: float) -> None:
    """A fuller pack at rest shows at least the voltage of an emptier one."""
    low, high = (
        SimulatedPack.build(chemistry, 8, soc=soc, soc_spread=0.0, capacity_spread=0.0).voltage_v
        for soc in sorted((a, b))
    )

    assert low <= high + 1e-9


@given(st.floats(min_value=-100.0, max_value=100.0), st.floats(min_value=-100.0, max_value=100.0))
def test_voltage_rises_with_current(a: float, b: float) -> None:
    """Charging lifts the terminal voltage and discharging pulls it down."""
    pack = SimulatedPack.build(LI_ION, 4)
    low, high = (sum(pack.cell_voltages_at(current_a)) for current_a in sorted((a, b)))

    assert low <= high + 1e-9


@given(st.integers(min_value=4, max_value=16), st.floats(min_value=0.0, max_value=1.0))
def test_the_spread_leaves_the_mean(count: int, soc: float) -> None:
    """Unequal cells still make a pack of the size and charge that was asked for."""
    pack = SimulatedPack.build(LFP, count, capacity_ah=80.0, soc=soc, soc_spread=0.0, capacity_spread=0.05)

    assert sum(cell.capacity_ah for cell in pack.cells) / count == pytest.approx(80.0)
    assert pack.soc == pytest.approx(soc)


def test_the_same_arguments_give_the_same_pack() -> None:
    """A run can be repeated."""
    first, second = (SimulatedPack.build(LFP, 16, soc=0.5) for _ in range(2))

    for pack in (first, second):
        pack.step(600.0, 50.0, {3})

    assert first.cell_voltages_v == second.cell_voltages_v


def test_cells_differ_within_the_spread() -> None:
    """Each quantity has its own pattern, and none leaves its spread."""
    pack = SimulatedPack.build(
        LFP, 16, capacity_ah=100.0, soc=0.5, capacity_spread=0.02, soc_spread=0.01, resistance_spread=0.1
    )

    assert len({round(cell.capacity_ah, 6) for cell in pack.cells}) > 8
    assert all(98.0 - 1e-9 <= cell.capacity_ah <= 102.0 + 1e-9 for cell in pack.cells)
    assert all(0.49 - 1e-9 <= cell.soc <= 0.51 + 1e-9 for cell in pack.cells)
    assert all(0.9 - 1e-9 <= cell.resistance_factor <= 1.1 + 1e-9 for cell in pack.cells)
    by_capacity = sorted(range(16), key=lambda i: pack.cells[i].capacity_ah)
    by_soc = sorted(range(16), key=lambda i: pack.cells[i].soc)
    assert by_capacity != by_soc


def test_without_spread_all_cells_are_equal() -> None:
    """The spread arguments are the only source of difference."""
    pack = SimulatedPack.build(LFP, 8, capacity_spread=0.0, soc_spread=0.0, resistance_spread=0.0)
    pack.step(60.0, 20.0)

    assert len(set(pack.cell_voltages_v)) == 1


def test_an_hour_at_a_tenth_of_the_capacity_is_ten_percent() -> None:
    """Coulomb counting in the plainest case."""
    pack = SimulatedPack.build(LFP, 4, capacity_ah=100.0, soc=0.5)
    before = pack.soc

    pack.step(3600.0, 10.0)

    assert pack.soc - before == pytest.approx(0.1, rel=1e-3)


def test_bleeding_takes_charge_from_the_chosen_cells_alone() -> None:
    """150 mA for an hour is 0.15 Ah, of that cell."""
    pack = SimulatedPack.build(LFP, 4, capacity_ah=10.0, soc=0.5, soc_spread=0.0, capacity_spread=0.0)

    pack.step(3600.0, 0.0, {2})

    assert [cell.soc for cell in pack.cells] == pytest.approx([0.5, 0.5, 0.5 - BLEED_A / 10.0, 0.5])
    assert pack.bled_ah == pytest.approx([0.0, 0.0, 0.15, 0.0])


def test_voltage_answers_a_current_at_once_and_then_creeps() -> None:
    """Ohmic resistance first, polarisation with its time constant after that."""
    cell = Cell(LI_ION, 100.0, 0.5)
    at_once_v = cell.voltage_v(50.0) - cell.voltage_v(0.0)
    rest_v = cell.voltage_v(0.0)

    cell.step(0.001, 50.0, 25.0)
    early_v = cell.voltage_v(50.0)
    cell.step(5 * LI_ION.polarisation_tau_s, 50.0, 25.0)

    assert at_once_v == pytest.approx(50.0 * 0.070 / 100.0)
    assert early_v == pytest.approx(rest_v + at_once_v, abs=1e-4)
    assert cell.polarisation_v == pytest.approx(50.0 * 0.035 / 100.0, rel=0.01)


def test_polarisation_fades_at_rest() -> None:
    """After a load the voltage relaxes to the open-circuit voltage."""
    pack = SimulatedPack.build(LI_ION, 4, capacity_ah=50.0)
    pack.step(600.0, -50.0)
    loaded_v = pack.voltage_v

    relaxed = []
    for _ in range(6):
        pack.step(20.0, 0.0)
        relaxed.append(pack.voltage_v)

    assert relaxed[0] > loaded_v
    assert all(later > earlier for earlier, later in pairwise(relaxed))
    assert relaxed[-1] == pytest.approx(sum(c.chemistry.ocv_v(c.soc) for c in pack.cells), abs=0.02)


def test_current_warms_the_cells_towards_a_limit() -> None:
    """Heat rises with the square of the current and settles; rest cools down to the room."""
    pack = SimulatedPack.build(LFP, 4, capacity_ah=100.0, ambient_c=10.0)
    pack.step(100_000.0, 100.0)
    warm_c = max(pack.temperatures_c)
    pack.step(100_000.0, -100.0)
    same_c = max(pack.temperatures_c)
    pack.step(100_000.0, 0.0)

    assert 12.0 < warm_c < 40.0
    assert same_c == pytest.approx(warm_c, rel=0.01)
    assert pack.temperatures_c == pytest.approx([10.0] * 4, abs=0.01)


def test_long_steps_are_as_good_as_short_ones_for_charge_and_polarisation() -> None:
    """The step length does not decide the result at constant current."""
    coarse, fine = (SimulatedPack.build(LI_ION, 4, capacity_ah=50.0, soc=0.4) for _ in range(2))

    coarse.step(600.0, 20.0)
    for _ in range(600):
        fine.step(1.0, 20.0)

    assert coarse.voltage_v == pytest.approx(fine.voltage_v, abs=1e-6)
    assert coarse.soc == pytest.approx(fine.soc)


@pytest.mark.parametrize("count", [0, 3, 17])
def test_a_number_of_cells_that_no_tinybms_has_is_refused(count: int) -> None:
    """4 to 16 cells, and the message says so."""
    with pytest.raises(ValueError, match=f"4 to 16 cells in series, got {count}"):
        SimulatedPack.build(LFP, count)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("capacity_ah", 0.0, "capacity must be above 0 Ah"),
        ("soc", 1.1, "must be 0..1, got 1.1"),
        ("soc", -0.1, "must be 0..1, got -0.1"),
    ],
)
def test_an_impossible_pack_is_refused(name: str, value: float, message: str) -> None:
    """A mistake in an argument is told with its value."""
    arguments = {"capacity_ah": 100.0, "soc": 0.5} | {name: value}
    with pytest.raises(ValueError, match=message):
        SimulatedPack.build(LFP, 4, capacity_ah=arguments["capacity_ah"], soc=arguments["soc"])


@pytest.mark.parametrize(("dt_s", "current_a"), [(-1.0, 0.0), (1.0, math.nan), (math.inf, 1.0), (1.0, math.inf)])
def test_an_impossible_step_is_refused_and_changes_nothing(dt_s: float, current_a: float) -> None:
    """One bad number does not poison the pack."""
    pack = SimulatedPack.build(LFP, 4)
    before = (pack.soc, pack.voltage_v, pack.net_ah)

    with pytest.raises(ValueError, match="cannot step"):
        pack.step(dt_s, current_a)

    assert (pack.soc, pack.voltage_v, pack.net_ah) == before
