from collections.abc import Callable
from dataclasses import replace

import pytest

from tinybms_bridge.tinybms.settings import Outcome, Readout, Report, Result, make_plan

Make = Callable[..., Readout]


@pytest.fixture
def result(readout: Make) -> Result:
    """A setting that was written and read back."""
    (change,) = make_plan(readout(), {"over_voltage_cutoff_v": 3.8}).changes
    return Result(change, Outcome.WRITTEN, 3.8)


@pytest.mark.parametrize("outcome", Outcome)
def test_a_report_is_good_only_if_every_setting_holds_its_value(result: Result, outcome: Outcome) -> None:
    """One setting that is not proven makes the whole an error, whatever the others are."""
    report = Report((result, replace(result, outcome=outcome), result))

    assert report.good is (outcome in {Outcome.WRITTEN, Outcome.UNCHANGED})


def test_what_the_bms_did_besides_does_not_make_a_report_bad(result: Result) -> None:
    """Side effects and a failed last look are told, but each setting was read back."""
    assert Report((result,), (result.change,), "no answer").good


def test_a_report_of_nothing_is_good() -> None:
    """Nothing was asked for, so nothing is missing."""
    assert Report(()).good


def test_a_result_names_setting_register_and_both_values(result: Result) -> None:
    """For programs, with the words of the outcome rather than a number."""
    document = replace(result, outcome=Outcome.NO_ANSWER, found=None, detail="it cannot be read back").as_dict()

    assert document == {
        "name": "over_voltage_cutoff_v",
        "register": 315,
        "unit": "V",
        "old": 3.75,
        "new": 3.8,
        "outcome": "no answer",
        "found": None,
        "detail": "it cannot be read back",
    }
    assert result.name == "over_voltage_cutoff_v"
