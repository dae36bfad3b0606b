from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import Chemistry, fit_to_battery
from tinybms_bridge.battery.snapshot import Ratings
from tinybms_bridge.config.battery import (
    check_against_battery,
    check_alone,
    check_with_ratings,
    chemistry_remark,
    new_problems,
)
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.core.settings import battery_settings
from tinybms_bridge.errors import ConfigError, ConfigProblem
from tinybms_lab.testing.words import said

LFP_16S: dict[str, Any] = {
    "series_cells": 16,
    "fully_charged_cell_v": 3.6,
    "over_voltage_cell_v": 3.65,
    "under_voltage_cell_v": 2.8,
    "charge_cutoff_a": 30.0,
    "discharge_cutoff_a": 60.0,
}


def configured(document: dict[str, Any]) -> Configuration:
    """Return the configuration that a document means."""
    return interpret(document, "test").configuration


def ratings_at(full_v: float) -> Ratings:
    """Return the settings of a BMS with 16 cells and this register 300."""
    return Ratings(16, full_v, full_v - 0.7, full_v + 0.1, full_v - 0.8, 30.0, 60.0, None, 60.0, 0.0, 100.0)


def problems(document: dict[str, Any], **changes: Any) -> dict[str, str]:
    """Return the problems of a document with a battery of 16 LFP cells, by path."""
    found = check_against_battery(configured(document), **{**LFP_16S, **changes})
    return {problem.path: problem.message.text for problem in found}


@pytest.mark.parametrize(
    ("cells", "over_v", "under_v"),
    [(16, 3.65, 2.8), (4, 3.65, 2.5), (14, 4.2, 2.9), (7, 4.2, 3.0), (12, 2.85, 1.8), (16, 4.5, 0.8)],
)
def test_the_defaults_fit_every_battery(cells: int, over_v: float, under_v: float) -> None:
    """Without a line of configuration nothing can be refused."""
    assert problems({}, series_cells=cells, over_voltage_cell_v=over_v, under_voltage_cell_v=under_v) == {}


def test_a_bulk_voltage_near_the_cutoff_is_refused_with_the_numbers() -> None:
    """CVL + 0.4 V + margin must stay below the over-voltage cutoff of the pack."""
    assert problems({"cvl": {"bulk_voltage_v": 58.4}}) == {
        "cvl.bulk_voltage_v": "a charge voltage of 58.4 V could reach 58.9 V (0.4 V from a solar charger and a margin "
        "of 0.1 V), above the over-voltage cutoff of 58.4 V (16 cells × 3.65 V); the charge voltage may be at most "
        "57.9 V"
    }


@pytest.mark.parametrize(("bulk_v", "count"), [(57.9, 0), (57.901, 1), (56.0, 0)])
def test_the_bound_is_exact(bulk_v: float, count: int) -> None:
    """The highest voltage named in the refusal is accepted, the next is not."""
    assert len(problems({"cvl": {"bulk_voltage_v": bulk_v}}, fully_charged_cell_v=3.64)) == count


@given(st.integers(4, 16), st.floats(1.8, 4.5), st.floats(3, 80), st.floats(0, 2))
@settings(deadline=None)
def test_no_accepted_target_can_reach_the_cutoff(cells: int, over_v: float, bulk_v: float, margin_v: float) -> None:
    """Whatever passes keeps its distance; whatever is refused would not."""
    document = {"cvl": {"bulk_voltage_v": bulk_v, "over_voltage_margin_v": margin_v}}

    found = problems(document, series_cells=cells, over_voltage_cell_v=over_v, under_voltage_cell_v=0.0)

    is_refused = any("could reach" in message for message in found.values())
    assert is_refused == (bulk_v + 0.4 + margin_v > cells * over_v + 1e-6)


@pytest.mark.parametrize("key", ["floor_cell_voltage_v", "resting_cell_voltage_v", "sustain_per_cell_voltage_v"])
def test_voltages_per_cell_are_judged_for_the_pack(key: str) -> None:
    """Each may become the charge voltage limit."""
    assert problems({"cvl": {key: 3.3}}) == {}
    (message,) = problems({"cvl": {key: 3.63}}).values()
    assert message.startswith("a charge voltage of 58.08 V could reach 58.58 V")
    (message,) = problems({"cvl": {key: 2.8}}).values()
    assert message == (
        "a charge voltage of 44.8 V would let a GX device empty the battery to its under-voltage cutoff of 44.8 V "
        "(16 cells × 2.8 V)"
    )


@pytest.mark.parametrize(
    ("cvl", "path", "message"),
    [
        (
            {"bulk_voltage_v": 53, "floor_cell_voltage_v": 3.34},
            "cvl.bulk_voltage_v",
            (
                "must be at least 53.44 V (cvl.floor_cell_voltage_v 3.34 V × 16 cells), "
                "or cvl.floor_cell_voltage_v at most 3.312 V"
            ),
        ),
        (
            {"floor_cell_voltage_v": 3.61},
            "cvl.floor_cell_voltage_v",
            (
                "must be at most 3.6 V, the share of a cell in the charge target of the BMS "
                "(register 300, 3.6 V × 16 cells), which is 57.6 V"
            ),
        ),
        (
            {"bulk_voltage_v": 48},
            "cvl.bulk_voltage_v",
            (
                "must be at least 51.2 V (3.2 V × 16 cells, below which this chemistry is not kept; "
                "cvl.floor_cell_voltage_v sets another floor)"
            ),
        ),
        (
            {"bulk_voltage_v": 56, "cell_safety_threshold_v": 3.4},
            "cvl.cell_safety_threshold_v",
            "must be at least 3.5 V, the share of a cell in cvl.bulk_voltage_v, which is 56 V",
        ),
        (
            {"bulk_voltage_v": 56, "cell_max_voltage_v": 3.45},
            "cvl.bulk_voltage_v",
            "must be at most 55.2 V (3.45 V × 16 cells, cvl.cell_max_voltage_v)",
        ),
    ],
)
def test_the_target_lies_between_floor_and_ceiling(cvl: dict[str, Any], path: str, message: str) -> None:
    """With the cells of the BMS what the file alone could not show: a target that the limits would not obey."""
    assert problems({"cvl": cvl}) == {path: message}


def test_a_target_above_the_chemistry_is_refused() -> None:
    """Many LFP units keep the over-voltage cutoff of 4.2 V from the factory: it does not protect such cells."""
    assert problems({"cvl": {"bulk_voltage_v": 60}}, over_voltage_cell_v=4.2) == {
        "cvl.bulk_voltage_v": "must be at most 58.4 V (3.65 V × 16 cells, the most for this chemistry unless "
        "cvl.cell_max_voltage_v says otherwise)"
    }
    unit = {"fully_charged_cell_v": 3.75, "over_voltage_cell_v": 4.2}
    own = {"bulk_voltage_v": 60, "cell_max_voltage_v": 3.8, "chemistry": "lfp"}
    assert problems({"cvl": own}, **unit) == {}
    assert list(problems({"cvl": {**own, "chemistry": "auto"}}, **unit)) == ["cvl.bulk_voltage_v"]


def test_a_target_above_that_of_the_bms_is_refused() -> None:
    """The BMS ends the charge at register 300: a target above is never reached; a step of the frame is rounding."""
    assert problems({"cvl": {"bulk_voltage_v": 57.8}}) == {
        "cvl.bulk_voltage_v": "must be from 51.2 V to 57.7 V on this battery"
    }
    assert problems({"cvl": {"bulk_voltage_v": 57.7}}) == {}


@pytest.mark.parametrize(
    ("chemistry", "full_v", "fits"),
    [
        ("lto", 3.65, False),
        ("li-ion", 3.65, False),
        ("lfp", 3.65, True),
        ("lfp", 3.70, True),
        ("li-ion", 3.70, True),
        ("lto", 3.70, False),
        ("lfp", 4.15, False),
        ("li-ion", 4.15, True),
        ("lfp", 2.70, False),
        ("lto", 2.70, True),
    ],
)
def test_another_chemistry_than_that_of_the_bms_is_refused(chemistry: str, full_v: float, fits: bool) -> None:
    """The floor of Li-ion overcharges LFP cells, the ceiling of LTO empties them; where both may be, the owner says."""
    registers = {"over_voltage_cell_v": full_v + 0.1, "under_voltage_cell_v": 1.8 if full_v < 3.0 else 2.8}
    found = problems({"cvl": {"chemistry": chemistry}}, fully_charged_cell_v=full_v, **registers)

    assert (found == {}) is fits
    assert set(found) <= {"cvl.chemistry"}
    if chemistry == "lto" and full_v == 3.65:
        assert found["cvl.chemistry"] == (
            "contradicts the BMS, which charges its cells to 3.65 V (register 300), as lfp; if they are lto, set "
            "register 300 right first"
        )


def test_cells_that_contradict_the_owner_are_a_problem() -> None:
    """Register 300 leaves a choice, the owner has made one, and the cells rest where no such cell rests."""
    ratings = ratings_at(3.70)
    config = configured({"cvl": {"chemistry": "lfp"}})

    assert check_with_ratings(config, ratings, Chemistry.LFP) == []
    (problem,) = check_with_ratings(config, ratings, Chemistry.LI_ION)
    assert problem.message.text == "contradicts the cells, which rest at a voltage where no lfp cell rests"


@pytest.mark.parametrize(
    ("chemistry", "full_v", "lowest", "told"),
    [
        ("auto", 3.65, Chemistry.LTO, False),
        ("auto", 3.66, Chemistry.LTO, True),
        ("auto", 3.80, Chemistry.LFP, True),
        ("auto", 3.81, Chemistry.LFP, False),
        ("auto", 3.70, Chemistry.LI_ION, False),
        ("lfp", 3.70, Chemistry.LFP, False),
        ("li-ion", 3.70, Chemistry.LFP, False),
        ("lto", 3.70, Chemistry.LFP, True),
    ],
)
def test_a_register_that_leaves_a_choice_is_told(chemistry: str, full_v: float, lowest: Chemistry, told: bool) -> None:
    """From 3.66 to 3.80 V it may be LFP or Li-ion, until the cells or the owner say which."""
    config = configured({"cvl": {"chemistry": chemistry}})

    assert bool(chemistry_remark(config, full_v, lowest)) is told


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        (
            {"cvl": {"bulk_voltage_v": 3.45}},
            "cvl.bulk_voltage_v",
            "is a value per cell; that of the pack is meant: 55.2 V for example 16 cells",
        ),
        (
            {"cvl": {"bulk_voltage_v": 3.45, "series_cell_count": 8}},
            "cvl.bulk_voltage_v",
            "is a value per cell; that of the pack is meant: 27.6 V for the 8 cells",
        ),
        (
            {"cvl": {"sustain_voltage_v": 3.2}},
            "cvl.sustain_voltage_v",
            "is a value per cell; that of the pack is meant: 51.2 V for example 16 cells",
        ),
        (
            {"victron": {"thresholds": {"undervoltage_v": 3}}},
            "victron.thresholds.undervoltage_v",
            "is a value per cell; that of the pack is meant: 48 V for example 16 cells",
        ),
    ],
)
def test_a_value_per_cell_is_found_without_a_battery(document: dict[str, Any], path: str, message: str) -> None:
    """No pack has so little: the command ``check`` says it before a battery is there, and once it is, says the same."""
    (problem,) = check_alone(configured(document))

    assert (problem.path, problem.message.text) == (path, message)
    assert problems(document)[path] == message or "cvl.series_cell_count" in problems(document)


def test_pack_values_are_no_values_per_cell() -> None:
    """The smallest pack that there is has 4 LTO cells."""
    for value_v in (7.2, 9.2, 27.6, 80.0):
        assert check_alone(configured({"cvl": {"bulk_voltage_v": value_v}})) == []
    assert check_alone(Configuration()) == []


def maybe(low: float, high: float) -> st.SearchStrategy[float | None]:
    """Return what a user may write for a key that may be null."""
    return st.none() | st.floats(low, high)


@given(
    document=st.fixed_dictionaries(
        {
            "chemistry": st.sampled_from(["auto", "lto", "lfp", "li-ion"]),
            "bulk_voltage_v": maybe(3, 80),
            "over_voltage_margin_v": st.floats(0, 2),
            "cell_max_voltage_v": maybe(1.2, 4.5),
            "floor_cell_voltage_v": maybe(0.8, 4.5),
            "resting_cell_voltage_v": maybe(0.8, 4.5),
            "cell_safety_threshold_v": maybe(1.2, 4.5),
            "cell_safety_release_v": maybe(1.2, 4.5),
        }
    ),
    victron=st.fixed_dictionaries(
        {"max_charge_current_a": maybe(0, 750), "max_discharge_current_a": maybe(0, 750)},
    ),
    overvoltage_v=maybe(3, 80),
    cells=st.integers(4, 16),
    registers_mv=st.lists(st.integers(800, 4500), min_size=4, max_size=4, unique=True).map(sorted),
)
@settings(max_examples=300, deadline=None)
def test_what_the_engine_leaves_out_is_named(
    document: dict[str, Any], victron: dict[str, Any], overvoltage_v: float | None, cells: int, registers_mv: list[int]
) -> None:
    """Nothing that a user has typed is ignored in silence: each value that the engine does not use is a problem."""
    under_v, _, full_v, over_v = (each / 1000.0 for each in registers_mv)
    try:
        config = configured({"cvl": document, "victron": {**victron, "thresholds": {"overvoltage_v": overvoltage_v}}})
    except ConfigError:
        return  # contradicts itself, and is never in force
    ratings = replace(ratings_at(full_v), series_cells=cells, over_voltage_cell_v=over_v, under_voltage_cell_v=under_v)
    fit = fit_to_battery(ratings, battery_settings(config).limits)
    found = check_with_ratings(config, ratings)

    assert len({problem.path for problem in found}) >= len(fit.conflicts)
    assert not fit.conflicts or found
    if not found:
        assert fit.target_v == pytest.approx(
            min(each for each in (fit.bulk_v, fit.alarm_v, fit.bms_target_v, fit.ceiling_v) if each is not None)
        )


def test_an_old_problem_does_not_keep_from_other_changes() -> None:
    """A value that was there at the start and does not fit is told; only what a change brings can refuse it."""
    old, new = (
        ConfigProblem("a", 1.0, said("is so")),
        ConfigProblem("b", 2.0, said("is so")),
    )

    assert new_problems([old], [replace(old, message=said("is otherwise")), new]) == [new]
    assert new_problems([old], [replace(old, value=3.0)]) == [replace(old, value=3.0)]


def test_an_alarm_below_the_floor_is_refused() -> None:
    """The alarm threshold bounds the charge voltage too, and the floor would lift it again."""
    assert problems({"victron": {"thresholds": {"overvoltage_v": 50}}}) == {
        "victron.thresholds.overvoltage_v": "must be at least 51.2 V (3.2 V × 16 cells, below which this chemistry is "
        "not kept; cvl.floor_cell_voltage_v sets another floor)"
    }


def test_a_sustain_voltage_for_the_pack_is_judged() -> None:
    """0 means not given; a number counts for the whole pack."""
    assert problems({"cvl": {"sustain_voltage_v": 0}}) == {}
    assert problems({"cvl": {"sustain_voltage_v": 50}}) == {}
    assert list(problems({"cvl": {"sustain_voltage_v": 40}})) == ["cvl.sustain_voltage_v"]
    assert list(problems({"cvl": {"sustain_voltage_v": 58.2}})) == ["cvl.sustain_voltage_v"]


def test_a_configuration_for_another_pack_is_refused() -> None:
    """A file of a 48 V system on a 24 V battery must not charge it."""
    found = problems({"cvl": {"series_cell_count": 16, "bulk_voltage_v": 56}}, series_cells=8)

    assert found["cvl.series_cell_count"] == "the BMS is set to 8 cells in series (register 307)"
    assert "above the over-voltage cutoff of 29.2 V (8 cells × 3.65 V)" in found["cvl.bulk_voltage_v"]


def test_the_right_number_of_cells_is_accepted() -> None:
    """Giving the number is allowed when it is true."""
    assert problems({"cvl": {"series_cell_count": 16}}) == {}


@pytest.mark.parametrize("key", ["cell_max_voltage_v", "cell_safety_threshold_v"])
def test_cell_levels_beyond_the_cutoff_are_refused(key: str) -> None:
    """A protection that begins after the BMS has cut off never works."""
    assert problems({"cvl": {key: 3.65}}) == {}
    assert problems({"cvl": {key: 3.7}}) == {
        f"cvl.{key}": "must be at most the over-voltage cutoff of the BMS, 3.65 V (register 315)"
    }


def test_currents_beyond_the_cutoffs_are_refused() -> None:
    """At its cutoff the BMS trips: asking for more is a mistake in one of the two."""
    assert problems({"victron": {"max_charge_current_a": 30, "max_discharge_current_a": 60}}) == {}
    assert problems({"victron": {"max_charge_current_a": 31, "max_discharge_current_a": 61}}) == {
        "victron.max_charge_current_a": "must be at most the BMS's charge over-current cutoff of 30 A (register 318)",
        "victron.max_discharge_current_a": "must be at most the BMS's discharge over-current cutoff of 60 A "
        "(register 317)",
    }


def test_thresholds_that_alarm_for_ever_are_refused() -> None:
    """The README's thresholds for 16 cells on 8 cells: low voltage in every state."""
    found = problems({"victron": {"thresholds": {"undervoltage_v": 42.0, "overvoltage_v": 58.4}}}, series_cells=8)

    assert found == {
        "victron.thresholds.undervoltage_v": "must be below the over-voltage cutoff of the pack, 29.2 V; "
        "the alarm would never end"
    }
    found = problems({"victron": {"thresholds": {"overvoltage_v": 29}}})
    assert list(found) == ["victron.thresholds.overvoltage_v"]


def test_the_value_is_part_of_the_problem() -> None:
    """The line shows what was configured beside what is allowed."""
    configuration = configured({"victron": {"max_charge_current_a": 50}})

    (problem,) = check_against_battery(configuration, **LFP_16S)

    assert problem.value == 50.0


@pytest.mark.parametrize("name", ["readme-cvl", "readme-thresholds", "readme-installation"])
def test_the_readme_fits_a_battery_of_16_lfp_cells(name: str, samples: dict[str, bytes]) -> None:
    """The seed's samples describe such a battery."""
    from tinybms_bridge.config.loader import parse

    configuration, _ = parse(samples[name], name)

    assert check_against_battery(configuration, **LFP_16S) == []
