import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.snapshot import Ratings
from tinybms_bridge.tinybms.ratings import ratings_problems

LFP = Ratings(
    series_cells=16,
    fully_charged_cell_v=3.65,
    fully_discharged_cell_v=2.90,
    over_voltage_cell_v=3.75,
    under_voltage_cell_v=2.50,
    charge_over_current_a=60.0,
    discharge_over_current_a=120.0,
    discharge_peak_current_a=None,
    over_heat_c=60.0,
    low_temperature_charge_c=1.0,
    capacity_ah=100.0,
)
LI_ION = replace(
    LFP, fully_charged_cell_v=4.15, fully_discharged_cell_v=3.0, over_voltage_cell_v=4.2, under_voltage_cell_v=2.9
)
LTO = replace(
    LFP, fully_charged_cell_v=2.7, fully_discharged_cell_v=1.9, over_voltage_cell_v=2.85, under_voltage_cell_v=1.8
)
WIDEST = replace(
    LFP,
    series_cells=4,
    fully_charged_cell_v=4.49,
    fully_discharged_cell_v=1.0,
    over_voltage_cell_v=4.5,
    under_voltage_cell_v=0.8,
    charge_over_current_a=1.0,
    discharge_over_current_a=750.0,
    capacity_ah=655.0,
)


@pytest.mark.parametrize("ratings", [LFP, LI_ION, LTO, WIDEST])
def test_sound_settings_have_no_problem(ratings: Ratings) -> None:
    """Every chemistry, and the ends of the vendor's ranges, pass."""
    assert ratings_problems(ratings) == []


@pytest.mark.parametrize("cells", range(4, 17))
def test_every_number_of_cells_is_sound(cells: int) -> None:
    """The TinyBMS serves 4 to 16 cells."""
    assert ratings_problems(replace(LFP, series_cells=cells)) == []


@pytest.mark.parametrize("cells", [0, 3, 17, 65535])
def test_impossible_number_of_cells(cells: int) -> None:
    """A number of cells that no TinyBMS has names the register, since every voltage limit is a multiple of it."""
    (problem,) = ratings_problems(replace(LFP, series_cells=cells))

    assert str(problem) == f"{cells} series cells (register 307), expected 4 to 16"


@pytest.mark.parametrize(
    "changed",
    [
        replace(LFP, fully_charged_cell_v=3.80),
        replace(LFP, fully_charged_cell_v=3.75),
        replace(LFP, over_voltage_cell_v=0.0),
        replace(LFP, over_voltage_cell_v=65.535),
        replace(LFP, fully_discharged_cell_v=2.4),
        replace(LFP, under_voltage_cell_v=0.7),
        replace(LFP, fully_charged_cell_v=math.nan),
    ],
)
def test_cell_voltages_must_rise(changed: Ratings) -> None:
    """The BMS itself keeps 316 < 301 < 300 < 315; anything else was misread and may not bound a CVL."""
    (problem,) = ratings_problems(changed)

    assert str(problem).startswith("cell voltages of registers 316, 301, 300, 315 must rise from 0.8 to 4.5 V, found ")
    assert f"{changed.over_voltage_cell_v:.3f}" in str(problem)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        (
            replace(LFP, charge_over_current_a=0.0),
            "charge over-current cutoff (register 318) is 0 A, expected 1 to 750",
        ),
        (
            replace(LFP, discharge_over_current_a=751.0),
            "discharge over-current cutoff (register 317) is 751 A, expected 1 to 750",
        ),
        (replace(LFP, capacity_ah=0.0), "capacity (register 306) is 0.00 Ah, expected 0.1 to 655"),
        (replace(LFP, capacity_ah=655.35), "capacity (register 306) is 655.35 Ah, expected 0.1 to 655"),
    ],
)
def test_currents_and_capacity_in_the_vendors_ranges(changed: Ratings, text: str) -> None:
    """A value outside its range is named with its register, its value and the range."""
    assert [str(each) for each in ratings_problems(changed)] == [text]


def test_every_problem_is_named() -> None:
    """All that is wrong is told at once: a block of zeros is not one problem but five."""
    blank = Ratings(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, None, 0.0, 0.0, 0.0)

    assert len(ratings_problems(blank)) == 5


any_v = st.floats()


@given(
    cells=st.integers(0, 0xFFFF),
    voltages_v=st.tuples(any_v, any_v, any_v, any_v),
    currents_a=st.tuples(any_v, any_v),
    capacity_ah=any_v,
)
def test_what_passes_is_finite_and_ordered(
    cells: int,
    voltages_v: tuple[float, float, float, float],
    currents_a: tuple[float, float],
    capacity_ah: float,
) -> None:
    """Nothing fails on odd values, and no settings pass that could make a limit not a number."""
    low, discharged, charged, high = voltages_v
    ratings = Ratings(cells, charged, discharged, high, low, *currents_a, None, 60.0, 1.0, capacity_ah)

    if not ratings_problems(ratings):
        assert 4 <= cells <= 16
        assert 0.8 <= low < discharged < charged < high <= 4.5
        assert all(map(math.isfinite, (*currents_a, capacity_ah)))
