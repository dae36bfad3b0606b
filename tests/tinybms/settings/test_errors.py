import pytest

from tinybms_bridge.errors import BridgeError
from tinybms_bridge.tinybms.settings import (
    Caution,
    ConfirmationError,
    SettingProblem,
    SettingsError,
    StaleSettingsError,
)
from tinybms_bridge.tinybms.settings.errors import shown
from tinybms_lab.testing.words import said


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (SettingProblem("ignition", said("is missing")), "ignition: is missing"),
        (SettingProblem("ignition", said("allowed are a, b"), "c"), "ignition = c: allowed are a, b"),
        (SettingProblem("", said("is not JSON")), "is not JSON"),
        (SettingProblem("a\x1b[31m", said("is unknown")), "'a\\x1b[31m': is unknown"),
    ],
)
def test_a_problem_is_one_line(problem: SettingProblem, text: str) -> None:
    """Name, value and what is allowed; text from a file cannot colour a terminal."""
    assert str(problem) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.8, "3.8"),
        ("fet", "fet"),
        ("", "''"),
        (" x ", "' x '"),
        ("a\nb", "'a\\nb'"),
        ("16", "'16'"),
        ("unknown (1)", "unknown (1)"),
        ([1], "[1]"),
        (True, "True"),
    ],
)
def test_values_are_shown_safely(value: object, text: str) -> None:
    """What is not plain is quoted."""
    assert shown(value) == text


def test_long_values_are_cut() -> None:
    """A file of rubbish does not fill the screen."""
    assert len(shown("x" * 10_000)) == 60
    assert shown("x" * 10_000).endswith("...")


def test_every_problem_is_kept() -> None:
    """The user mends all mistakes at once."""
    error = SettingsError(
        [
            SettingProblem("a", said("is missing")),
            SettingProblem("b", said("is unknown")),
        ]
    )

    assert str(error) == "a: is missing; b: is unknown"
    assert [problem.name for problem in error.problems] == ["a", "b"]


def test_the_other_errors_say_what_is_at_stake() -> None:
    """Each is a BridgeError with its facts as attributes."""
    confirmation = ConfirmationError([Caution("", said("the power of the load is cut"), needs_confirmation=True)])
    stale = StaleSettingsError(["ignition", "series_cells"])

    assert isinstance(confirmation, BridgeError)
    assert isinstance(stale, BridgeError)
    assert str(confirmation) == "needs confirmation: the power of the load is cut"
    assert [str(each) for each in confirmation.consequences] == ["the power of the load is cut"]
    assert str(stale).startswith("the settings of the BMS changed in the meantime (ignition, series_cells)")
    assert stale.names == ("ignition", "series_cells")
