"""The configuration as the engine is told it, and what it comes to on a battery."""

from dataclasses import replace

from tinybms_bridge.battery.limits import Chemistry
from tinybms_bridge.battery.snapshot import Ratings
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.limits import effective_on
from tinybms_bridge.config.models import Cvl, Victron

RATINGS = Ratings(
    series_cells=16,
    fully_charged_cell_v=3.6,
    fully_discharged_cell_v=2.8,
    over_voltage_cell_v=3.7,
    under_voltage_cell_v=2.7,
    charge_over_current_a=100.0,
    discharge_over_current_a=150.0,
    discharge_peak_current_a=120.0,
    over_heat_c=60.0,
    low_temperature_charge_c=0.0,
    capacity_ah=100.0,
)


def test_every_automatic_value_is_named() -> None:
    """In the unit of its key, and none that somebody has chosen."""
    effective = effective_on(Configuration(), RATINGS)

    assert effective.values["cvl.series_cell_count"] == 16
    assert effective.values["cvl.chemistry"] == "lfp"
    assert effective.values["victron.max_discharge_current_a"] == 108.0
    assert effective.values["cvl.bulk_voltage_v"] == 16 * effective.cell_marks_v["target"]
    chosen = Configuration(cvl=Cvl(chemistry="lfp"), victron=Victron(max_charge_current_a=40.0))
    assert set(effective.values) - set(effective_on(chosen, RATINGS).values) == {
        "cvl.chemistry",
        "victron.max_charge_current_a",
    }


def test_what_is_chosen_moves_what_follows_from_it() -> None:
    """A typed target keeps the set of earlier versions, and the curve around register 300 with it."""
    plain, typed = (effective_on(Configuration(cvl=cvl), RATINGS) for cvl in (Cvl(), Cvl(float_soc_threshold=95.0)))

    assert plain.curves["charge_by_cell_voltage"] != typed.curves["charge_by_cell_voltage"]
    assert plain.cell_marks_v["float"] < typed.cell_marks_v["float"]


def test_an_open_chemistry_is_that_of_the_engine() -> None:
    """Register 300 at 3.7 V may be two; until one is known the values are careful and none is named."""
    ratings = replace(RATINGS, fully_charged_cell_v=3.7, over_voltage_cell_v=3.8)
    careful, known = effective_on(Configuration(), ratings), effective_on(Configuration(), ratings, Chemistry.LI_ION)

    assert "cvl.chemistry" not in careful.values
    assert known.values["cvl.chemistry"] == "li-ion"
    assert careful.cell_marks_v["target"] < known.cell_marks_v["target"]


def test_feed_in_leaves_room() -> None:
    """Below the target, for the 0.4 V that solar chargers stand above it."""
    ratings = replace(RATINGS, series_cells=4)
    plain, feeding = (effective_on(Configuration(), ratings, feed_in=feed_in) for feed_in in (False, True))

    assert feeding.cell_marks_v["target"] < plain.cell_marks_v["target"]
