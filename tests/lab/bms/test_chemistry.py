from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.registers import catalogue
from tinybms_lab.bms.chemistry import (
    CHEMISTRIES,
    LFP,
    LI_ION,
    LTO,
    CellSettings,
    ChemistryModel,
    MonotoneCurve,
)

_STEPS = st.lists(
    st.tuples(st.floats(min_value=0.01, max_value=10.0), st.floats(min_value=0.0, max_value=10.0)),
    min_size=1,
    max_size=12,
)


def _points(steps: list[tuple[float, float]]) -> list[tuple[float, float]]:
    points = [(0.0, 0.0)]
    for dx, dy in steps:
        x, y = points[-1]
        points.append((x + dx, y + dy))
    return points


@given(_STEPS)
def test_the_curve_goes_through_its_points(steps: list[tuple[float, float]]) -> None:
    """Interpolation keeps what was measured."""
    points = _points(steps)
    curve = MonotoneCurve(points)

    assert [curve(x) for x, _ in points] == pytest.approx([y for _, y in points], abs=1e-9)


@given(_STEPS, st.lists(st.floats(min_value=-0.5, max_value=1.5), min_size=2, max_size=40))
def test_the_curve_never_falls(steps: list[tuple[float, float]], places: list[float]) -> None:
    """Between and beyond rising points the curve does not turn back."""
    points = _points(steps)
    curve = MonotoneCurve(points)
    width = points[-1][0]

    values = [curve(place * width) for place in sorted(places)]

    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(values))


def test_two_points_make_a_straight_line() -> None:
    """The smallest curve is linear, inside and beyond."""
    curve = MonotoneCurve([(0.0, 1.0), (2.0, 3.0)])

    assert [curve(x) for x in (-1.0, 0.5, 1.0, 4.0)] == pytest.approx([0.0, 1.5, 2.0, 5.0])


def test_a_flat_stretch_stays_flat() -> None:
    """Equal neighbours give no bump between them."""
    curve = MonotoneCurve([(0.0, 0.0), (1.0, 1.0), (2.0, 1.0), (3.0, 2.0)])

    assert [curve(1.0 + i / 10) for i in range(11)] == pytest.approx([1.0] * 11)


def test_the_ends_go_on_straight() -> None:
    """Beyond the ends the slope of the outermost interval holds."""
    curve = MonotoneCurve([(0.0, 0.0), (1.0, 1.0), (2.0, 4.0)])

    assert curve(3.0) == pytest.approx(7.0)
    assert curve(-2.0) == pytest.approx(-2.0)


def test_one_point_is_no_curve() -> None:
    """The smallest number of points is told."""
    with pytest.raises(ValueError, match="at least 2 points, got 1"):
        MonotoneCurve([(0.0, 0.0)])


@pytest.mark.parametrize("second", [(0.0, 1.0), (-1.0, 1.0), (1.0, -0.1)])
def test_points_out_of_order_are_refused(second: tuple[float, float]) -> None:
    """A table with a typing mistake does not become a curve."""
    with pytest.raises(ValueError, match="does not continue the rise"):
        MonotoneCurve([(0.0, 0.0), second])


_ANY = pytest.mark.parametrize("chemistry", CHEMISTRIES.values(), ids=list(CHEMISTRIES))
_SOC = st.floats(min_value=-1.0, max_value=2.0)


def test_the_three_chemistries_have_their_command_line_names() -> None:
    """The names of the command line find their tables."""
    assert dict(CHEMISTRIES) == {"lfp": LFP, "li-ion": LI_ION, "lto": LTO}


@_ANY
@given(a=_SOC, b=_SOC)
def test_open_circuit_voltage_rises_with_charge(chemistry: ChemistryModel, a: float, b: float) -> None:
    """A fuller cell never shows less voltage, inside the table and beyond."""
    low, high = sorted((a, b))

    assert chemistry.ocv_v(low) <= chemistry.ocv_v(high) + 1e-9


@_ANY
@given(st.floats(min_value=0.0, max_value=0.99))
def test_within_the_table_every_percent_shows(chemistry: ChemistryModel, soc: float) -> None:
    """No stretch of the curve is so flat that charge leaves no trace at all."""
    assert chemistry.ocv_v(soc + 0.01) - chemistry.ocv_v(soc) > 0.0002


@_ANY
@given(st.floats(min_value=-1e6, max_value=1e6))
def test_voltage_has_stops(chemistry: ChemistryModel, soc: float) -> None:
    """However a cell is abused, its voltage is that of a cell."""
    assert 0.0 < chemistry.floor_v <= chemistry.ocv_v(soc) <= chemistry.ceiling_v == 5.0


def test_lfp_is_flat_in_the_middle_and_full_at_3_65_v() -> None:
    """The shape that makes LFP hard to judge by voltage."""
    assert LFP.ocv_v(1.0) == pytest.approx(3.65)
    assert LFP.ocv_v(0.8) == pytest.approx(3.33)
    assert LFP.ocv_v(0.9) - LFP.ocv_v(0.3) < 0.06


@pytest.mark.parametrize(("chemistry", "empty_v", "full_v"), [(LI_ION, 3.0, 4.2), (LTO, 1.8, 2.75)])
def test_the_others_span_their_usual_range(chemistry: ChemistryModel, empty_v: float, full_v: float) -> None:
    """Empty and full are where data sheets put them."""
    assert (chemistry.ocv_v(0.0), chemistry.ocv_v(1.0)) == pytest.approx((empty_v, full_v))


@_ANY
def test_settings_keep_the_order_of_the_bms(chemistry: ChemistryModel) -> None:
    """R316 + 10 <= R301, R301 + 10 <= R300, R300 + 10 <= R315, as the BMS enforces."""
    registers = chemistry.settings.registers()

    assert registers[316] + 10 <= registers[301]
    assert registers[301] + 10 <= registers[300]
    assert registers[300] + 10 <= registers[315]


@_ANY
def test_settings_fit_the_register_catalogue(chemistry: ChemistryModel) -> None:
    """A simulated BMS never holds what a real one would refuse."""
    for address, raw in chemistry.settings.registers().items():
        (register,) = catalogue().at(address)
        low, high = register.raw_range
        value = raw - 0x10000 if low < 0 and raw & 0x8000 else raw
        assert low <= value <= high, register.key


@_ANY
def test_a_full_cell_is_above_the_charge_target_and_an_empty_one_below_the_cutoff_warning(
    chemistry: ChemistryModel,
) -> None:
    """Charging ends and discharging ends within 0..100 %."""
    settings = chemistry.settings

    assert chemistry.ocv_v(1.0) * 1000 >= settings.fully_charged_mv
    assert chemistry.ocv_v(0.0) * 1000 <= settings.fully_discharged_mv


def test_lto_charges_in_frost() -> None:
    """Negative limits are stored as two's complement."""
    assert LTO.settings.registers()[320] == 0x10000 - 20


@pytest.mark.parametrize(
    "voltages",
    [(3600, 2800, 3400, 3605, 2500), (3600, 3595, 3400, 3750, 2500), (3600, 2800, 3400, 3750, 2795)],
    ids=["315", "300", "316"],
)
def test_settings_out_of_order_are_refused(voltages: tuple[int, int, int, int, int]) -> None:
    """A chemistry that a BMS would not accept cannot be written down."""
    with pytest.raises(ValueError, match="must rise by at least 10 mV"):
        CellSettings(*voltages)


@_ANY
def test_resistance_of_a_100_ah_cell_is_believable(chemistry: ChemistryModel) -> None:
    """A few tenths of a milliohm up to two milliohms, as data sheets say for cells of that size."""
    milliohm = (chemistry.ohmic_ohm_ah + chemistry.polarisation_ohm_ah) / 100.0 * 1000.0

    assert 0.1 < milliohm < 2.0
