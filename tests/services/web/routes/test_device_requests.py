"""From the body of a write to names and values."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.routes.device_requests import ActionBody, RestoreRequest, WriteRequest, wanted
from tinybms_bridge.tinybms.settings import ActionName, all_settings


def request(**body: Any) -> WriteRequest:
    """Return a request as the framework makes it."""
    return WriteRequest.model_validate(body)


def test_three_ways_to_name_a_setting() -> None:
    """Key, address and batch mean the same."""
    meant = {"over_voltage_cutoff_v": 3.7}
    assert wanted(request(key="over_voltage_cutoff_v", value=3.7)) == meant
    assert wanted(request(address=315, value=3.7)) == meant
    assert wanted(request(values=meant)) == meant


def test_unknown_keys_are_left_to_the_settings_layer() -> None:
    """The layer that knows the settings says what was meant."""
    assert wanted(request(key="overvoltage", value=3)) == {"overvoltage": 3}


def test_numbers_of_choices_become_texts() -> None:
    """A known number of a choice is its text; an unknown one stays for the refusal."""
    setting = all_settings()["broadcast_time"]
    raw, text = next(iter(setting.choices.items()))
    assert wanted(request(key="broadcast_time", value=raw)) == {"broadcast_time": text}
    assert wanted(request(values={"broadcast_time": 999})) == {"broadcast_time": 999}


@pytest.mark.parametrize(
    "body",
    [
        {"key": "x" * 101, "value": 1},
        {"address": -1, "value": 1},
        {"address": 65_536, "value": 1},
        {"address": 315, "value": None, "confirm": "yes"},
        {"address": 315, "value": [1]},
        {"address": 315, "value": True},
        {"address": 315, "value": "x" * 201},
        {"values": {f"k{number}": 1 for number in range(65)}},
        {"values": {"a": None}},
        {"unknown": 1},
    ],
)
def test_shapes_that_are_refused(body: dict[str, Any]) -> None:
    """Types are exact and lengths are bounded."""
    with pytest.raises(ValidationError):
        request(**body)


@given(
    st.none() | st.sampled_from(["over_voltage_cutoff_v", "nothing", ""]),
    st.none() | st.integers(0, 65_535),
    st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
)
def test_one_setting_or_a_refusal(key: str | None, address: int | None, value: float | str | None) -> None:
    """Whatever is combined, it means exactly one setting or is refused with a status of the client's fault."""
    body = request(key=key, address=address, value=value)
    try:
        found = wanted(body)
    except ProblemError as refusal:
        status = refusal.status_code
    else:
        status = 200
        assert len(found) == 1
        assert (key is None) != (address is None)
    assert status in {200, 404, 422}


def test_actions_by_name() -> None:
    """An action is known by its name only, and needs no value."""
    found = ActionBody.model_validate({"action": "restart"})
    assert (found.action, found.value, found.confirm) == (ActionName.RESTART, None, False)
    with pytest.raises(ValidationError):
        ActionBody.model_validate({"action": "explode"})


def test_restoring_is_careful_by_default() -> None:
    """Nothing is forced or confirmed unless the request says so."""
    found = RestoreRequest.model_validate({"backup": {}})
    assert (found.force, found.confirm, found.dry_run) == (False, False, False)
