"""What the settings layer raises, as problems."""

import pytest

from tinybms_bridge.errors import BridgeError, ConfigError, ConfigProblem, DeviceRefused, LinkError
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.routes.failures import config_problem, device_failures, plain
from tinybms_bridge.tinybms.settings import ConfirmationError, Problem, SettingsError, StaleSettingsError


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (SettingsError([Problem("a", "wrong", 5)]), 422, "invalid_settings"),
        (ConfirmationError(["cuts power"]), 409, "confirmation_required"),
        (StaleSettingsError(["a"]), 409, "settings_changed"),
        (DeviceRefused(0x10, 0), 502, "bms_refused"),
        (LinkError("no answer"), 503, "bms_unreachable"),
    ],
)
def test_each_refusal_has_its_status(error: BridgeError, status: int, code: str) -> None:
    """Clients can tell what to do by status and code, and people by the text of the error."""
    with pytest.raises(ProblemError) as told, device_failures():
        raise error
    assert (told.value.status_code, told.value.code, told.value.message) == (status, code, str(error))


def test_mistakes_of_the_program_pass() -> None:
    """Anything else is not dressed up as a refusal of the BMS."""
    with pytest.raises(ZeroDivisionError), device_failures():
        raise ZeroDivisionError


def test_every_mistake_of_a_configuration() -> None:
    """All problems are in the document, with values that JSON can carry."""
    problems = [ConfigProblem("a.b", 5, "too large"), ConfigProblem("c", float("nan"), "no number")]
    told = config_problem(ConfigError(problems), "reload_failed")
    assert (told.status_code, told.code) == (422, "reload_failed")
    assert told.extra["errors"] == [
        {"path": "a.b", "value": 5, "message": "too large"},
        {"path": "c", "value": None, "message": "no number"},
    ]


@pytest.mark.parametrize(
    ("value", "shown"), [(1, 1), (1.5, 1.5), ("a", "a"), (True, True), (float("inf"), None), ([1], None), (None, None)]
)
def test_plain_values(value: object, shown: object) -> None:
    """Only what JSON can carry is repeated to the client."""
    assert plain(value) == shown
