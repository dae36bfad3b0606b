from collections.abc import Callable
from typing import Any

import pytest

Complaints = Callable[[object], dict[str, str]]


def cvl(**keys: Any) -> dict[str, Any]:
    """Make a document with keys of section ``cvl``."""
    return {"cvl": keys}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            cvl(bulk_soc_threshold=86),
            {"cvl.bulk_soc_threshold": "must be at most cvl.transition_soc_threshold, which is 85 %"},
        ),
        (
            cvl(transition_soc_threshold=79),
            {"cvl.transition_soc_threshold": "must be at least cvl.bulk_soc_threshold, which is 80 %"},
        ),
        (
            cvl(transition_soc_threshold=96),
            {"cvl.transition_soc_threshold": "must be at most cvl.float_soc_threshold, which is 95 %"},
        ),
        (
            cvl(float_soc_threshold=92),
            {"cvl.float_soc_threshold": "must be above cvl.float_exit_soc, which is 92 %"},
        ),
        (
            cvl(float_exit_soc=95),
            {"cvl.float_exit_soc": "must be below cvl.float_soc_threshold, which is 95 %"},
        ),
        (
            cvl(float_offset_mv=40),
            {"cvl.float_offset_mv": "must be at least cvl.float_approach_offset_mv, which is 50 mV"},
        ),
        (
            cvl(imbalance_release_threshold_mv=50),
            {"cvl.imbalance_release_threshold_mv": "must be below cvl.imbalance_hold_threshold_mv, which is 50 mV"},
        ),
        (
            cvl(imbalance_hold_threshold_mv=15),
            {"cvl.imbalance_hold_threshold_mv": "must be above cvl.imbalance_release_threshold_mv, which is 20 mV"},
        ),
    ],
)
def test_charge_states_are_in_order(document: object, expected: dict[str, str], complaints: Complaints) -> None:
    """A contradiction is reported at the key that the user gave, with the number of the other one."""
    assert complaints(document) == expected


@pytest.mark.parametrize(
    "document",
    [
        cvl(bulk_soc_threshold=85),
        cvl(transition_soc_threshold=95),
        cvl(bulk_soc_threshold=100, transition_soc_threshold=100, float_soc_threshold=100),
        cvl(float_approach_offset_mv=100),
        cvl(float_exit_soc=60),
    ],
)
def test_equal_thresholds_skip_a_state(document: object, complaints: Complaints) -> None:
    """Equal SOC thresholds and offsets are a choice, not a mistake."""
    assert complaints(document) == {}


def test_sustain_ends_above_its_start(complaints: Complaints) -> None:
    """Without a gap SUSTAIN would flicker; the firmware silently switched it off instead."""
    assert complaints(cvl(sustain_soc_exit_percent=5)) == {
        "cvl.sustain_soc_exit_percent": "must be above cvl.sustain_soc_entry_percent, which is 5 %; "
        "both 0 switch SUSTAIN off"
    }
    assert complaints(cvl(sustain_soc_entry_percent=9)) == {
        "cvl.sustain_soc_entry_percent": "must be below cvl.sustain_soc_exit_percent, which is 8 %; "
        "both 0 switch SUSTAIN off"
    }


def test_sustain_can_be_switched_off(complaints: Complaints) -> None:
    """Both thresholds 0 mean: never."""
    assert complaints(cvl(sustain_soc_entry_percent=0, sustain_soc_exit_percent=0)) == {}


@pytest.mark.parametrize(("voltage_v", "is_good"), [(0, True), (0.5, False), (2.99, False), (3, True), (50, True)])
def test_sustain_voltage_is_zero_or_believable(voltage_v: float, is_good: bool, complaints: Complaints) -> None:
    """A charge voltage of 1 V would make a GX empty the battery."""
    assert complaints(cvl(sustain_voltage_v=voltage_v)) == (
        {} if is_good else {"cvl.sustain_voltage_v": "must be 0 (from the value per cell) or from 3 to 80 V"}
    )


@pytest.mark.parametrize(
    ("low", "low_v", "high", "high_v"),
    [
        ("cell_safety_release_v", 3.5, "cell_safety_threshold_v", 3.5),
        ("cell_safety_threshold_v", 3.66, "cell_max_voltage_v", 3.65),
        ("floor_cell_voltage_v", 3.4, "resting_cell_voltage_v", 3.35),
        ("floor_cell_voltage_v", 3.7, "cell_max_voltage_v", 3.65),
        ("resting_cell_voltage_v", 3.7, "cell_max_voltage_v", 3.65),
        ("sustain_per_cell_voltage_v", 3.7, "cell_max_voltage_v", 3.65),
        ("resting_cell_voltage_v", 3.5, "cell_safety_threshold_v", 3.5),
    ],
)
def test_cell_voltages_are_in_order(low: str, low_v: float, high: str, high_v: float, complaints: Complaints) -> None:
    """Levels of the cells that contradict each other are refused with both numbers."""
    (message,) = complaints(cvl(**{low: low_v, high: high_v})).values()

    assert f"cvl.{low}, which is {low_v:g} V" in message


def test_a_single_cell_voltage_is_never_compared(complaints: Complaints) -> None:
    """What the chemistry decides is not known to the file."""
    assert complaints(cvl(cell_safety_release_v=4.4)) == {}
    assert complaints(cvl(resting_cell_voltage_v=1.0)) == {}


def test_bulk_voltage_leaves_room_below_the_cells_maximum(complaints: Complaints) -> None:
    """CVL + 0.4 V + margin above cells × highest voltage is refused with all the numbers."""
    document = cvl(bulk_voltage_v=58.4, cell_max_voltage_v=3.65, series_cell_count=16)

    assert complaints(document) == {
        "cvl.bulk_voltage_v": "with the 0.4 V that a solar charger may add and a margin of 0.1 V this is 58.9 V, "
        "above 58.4 V (cvl.cell_max_voltage_v 3.65 V × 16 cells); use at most 57.9 V"
    }


def test_bulk_voltage_leaves_room_below_the_alarm(complaints: Complaints) -> None:
    """A target that raises the user's own high-voltage alarm is refused."""
    document = {"cvl": {"bulk_voltage_v": 58.2}, "victron": {"thresholds": {"overvoltage_v": 58.4}}}

    assert complaints(document) == {
        "cvl.bulk_voltage_v": "with the 0.4 V that a solar charger may add and a margin of 0.1 V this is 58.7 V, "
        "above 58.4 V (victron.thresholds.overvoltage_v); use at most 57.9 V"
    }


@pytest.mark.parametrize(
    ("bulk_v", "margin_v", "is_good"),
    [(57.9, 0.1, True), (57.91, 0.1, False), (58.0, 0.0, True), (58.0, 0.01, False), (56.0, 2.0, True)],
)
def test_the_margin_counts(bulk_v: float, margin_v: float, is_good: bool, complaints: Complaints) -> None:
    """The bound is exact: cells × maximum - 0.4 V - margin, without rounding trouble."""
    document = cvl(bulk_voltage_v=bulk_v, over_voltage_margin_v=margin_v, cell_max_voltage_v=3.65, series_cell_count=16)

    assert (complaints(document) == {}) is is_good


def test_the_use_at_most_value_is_accepted(complaints: Complaints) -> None:
    """The number that a refusal names as the most must itself pass."""
    for cells in range(4, 17):
        for cell_v in (2.85, 3.65, 4.15, 4.2):
            document = cvl(bulk_voltage_v=79, cell_max_voltage_v=cell_v, series_cell_count=cells)
            (message,) = complaints(document).values()
            most_v = float(message.rpartition("use at most ")[2].removesuffix(" V"))
            document["cvl"]["bulk_voltage_v"] = most_v
            assert complaints(document) == {}


def test_sustain_voltage_leaves_room_too(complaints: Complaints) -> None:
    """Every charge voltage of the file is held below the over-voltage level."""
    document = {"cvl": {"sustain_voltage_v": 58.2}, "victron": {"thresholds": {"overvoltage_v": 58.4}}}

    assert list(complaints(document)) == ["cvl.sustain_voltage_v"]


def test_without_a_bulk_voltage_the_alarm_level_stands_alone(complaints: Complaints) -> None:
    """The README's 58.4 V threshold without a target is fine: the engine bounds the target by itself."""
    assert complaints({"victron": {"thresholds": {"overvoltage_v": 58.4}}}) == {}


def test_bulk_voltage_is_not_below_the_floor(complaints: Complaints) -> None:
    """A target below the lowest permitted charge voltage could never be reached."""
    document = cvl(bulk_voltage_v=50, floor_cell_voltage_v=3.2, series_cell_count=16)

    assert complaints(document) == {
        "cvl.bulk_voltage_v": "must be at least 51.2 V (cvl.floor_cell_voltage_v 3.2 V × 16 cells), "
        "or cvl.floor_cell_voltage_v at most 3.125 V"
    }


@pytest.mark.parametrize("target", ["cvl.bulk_voltage_v", "victron.thresholds.overvoltage_v"])
def test_floor_is_not_above_the_target(target: str, complaints: Complaints) -> None:
    """The floor wins over every other limit: above the target it would overcharge the battery."""
    document = cvl(floor_cell_voltage_v=3.6, series_cell_count=16)
    section = {"bulk_voltage_v": 54} if target.startswith("cvl") else {}
    document["cvl"] |= section
    if not section:
        document["victron"] = {"thresholds": {"overvoltage_v": 54}}

    assert complaints(document) == {
        target: "must be at least 57.6 V (cvl.floor_cell_voltage_v 3.6 V × 16 cells), "
        "or cvl.floor_cell_voltage_v at most 3.375 V"
    }
    document["cvl"]["floor_cell_voltage_v"] = 3.375
    assert complaints(document) == {}


@pytest.mark.parametrize(
    ("keys", "path", "message"),
    [
        (
            {"bulk_voltage_v": 48, "chemistry": "lfp"},
            "cvl.bulk_voltage_v",
            (
                "must be at least 51.2 V (3.2 V × 16 cells, below which this chemistry is not kept; "
                "cvl.floor_cell_voltage_v sets another floor)"
            ),
        ),
        (
            {"bulk_voltage_v": 67, "chemistry": "lfp"},
            "cvl.bulk_voltage_v",
            (
                "must be at most 58.4 V (3.65 V × 16 cells, the most for this chemistry unless "
                "cvl.cell_max_voltage_v says otherwise)"
            ),
        ),
        (
            {"bulk_voltage_v": 56, "cell_safety_threshold_v": 3.3},
            "cvl.cell_safety_threshold_v",
            "must be at least 3.5 V, the share of a cell in cvl.bulk_voltage_v, which is 56 V",
        ),
        (
            {"bulk_voltage_v": 54, "resting_cell_voltage_v": 3.6},
            "cvl.bulk_voltage_v",
            (
                "must be at least 57.6 V (cvl.resting_cell_voltage_v 3.6 V × 16 cells), "
                "or cvl.resting_cell_voltage_v at most 3.375 V"
            ),
        ),
        (
            {"bulk_voltage_v": 54, "sustain_per_cell_voltage_v": 3.4},
            "cvl.bulk_voltage_v",
            (
                "must be at least 54.4 V (cvl.sustain_per_cell_voltage_v 3.4 V × 16 cells), "
                "or cvl.sustain_per_cell_voltage_v at most 3.375 V"
            ),
        ),
        (
            {"bulk_voltage_v": 54, "sustain_voltage_v": 54.5},
            "cvl.bulk_voltage_v",
            "must be at least cvl.sustain_voltage_v, which is 54.5 V",
        ),
    ],
)
def test_target_fits_the_other_voltages(keys: dict[str, Any], path: str, message: str, complaints: Complaints) -> None:
    """A target that is never reached, or that something else lies above, is refused with the numbers."""
    assert complaints(cvl(**keys, series_cell_count=16)) == {path: message}


def test_a_floor_of_ones_own_allows_a_lower_target(complaints: Complaints) -> None:
    """Who knows the cells better may say so."""
    keys = {"bulk_voltage_v": 48, "chemistry": "lfp", "series_cell_count": 16}

    assert complaints(cvl(**keys, floor_cell_voltage_v=3.0)) == {}
    assert complaints(cvl(**(keys | {"bulk_voltage_v": 59}), cell_max_voltage_v=3.75)) == {}


def test_targets_of_each_chemistry_are_accepted(complaints: Complaints) -> None:
    """Usual charge voltages per cell."""
    for chemistry, usual_v in (("lfp", 3.45), ("lfp", 3.6), ("li-ion", 4.1), ("li-ion", 4.2), ("lto", 2.7)):
        document = cvl(chemistry=chemistry, series_cell_count=12, bulk_voltage_v=usual_v * 12)
        assert complaints(document) == {}


def test_sustain_is_for_a_nearly_empty_battery(complaints: Complaints) -> None:
    """SUSTAIN stops charging with full current: where BULK ends it would never be full."""
    assert complaints(cvl(sustain_soc_entry_percent=85, sustain_soc_exit_percent=99)) == {
        "cvl.sustain_soc_exit_percent": "must be below cvl.bulk_soc_threshold, which is 80 %"
    }
    assert complaints(cvl(sustain_soc_exit_percent=79)) == {}


@pytest.mark.parametrize(
    ("low", "low_value", "high", "high_value", "unit"),
    [
        ("undervoltage_v", 58.4, "overvoltage_v", 58.4, "V"),
        ("low_temp_charge_c", 20, "overtemp_c", 20, "°C"),
        ("imbalance_warn_mv", 200, "imbalance_alarm_mv", 100, "mV"),
        ("soc_low_percent", 50, "soc_high_percent", 50, "%"),
    ],
)
def test_alarm_thresholds_are_in_order(
    low: str, low_value: float, high: str, high_value: float, unit: str, complaints: Complaints
) -> None:
    """Thresholds that overlap would raise both alarms at once, for ever."""
    document = {"victron": {"thresholds": {low: low_value, high: high_value}}}

    assert complaints(document) == {
        f"victron.thresholds.{high}": f"must be above victron.thresholds.{low}, which is {low_value:g} {unit}"
    }
