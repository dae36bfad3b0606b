from collections.abc import Callable
from typing import Any

import pytest

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.values import values_of

Complaints = Callable[[object], dict[str, str]]


def cvl(**keys: Any) -> dict[str, Any]:
    """Make a document with keys of section ``cvl``."""
    return {"cvl": keys}


@pytest.mark.parametrize("profile", ["normal", "storage", "full_once"])
def test_profiles_have_names(profile: str, complaints: Complaints) -> None:
    """The three profiles of the engine are accepted."""
    assert complaints(cvl(profile=profile)) == {}


@pytest.mark.parametrize("profile", ["", "Normal", "winter", None, 1])
def test_other_profiles_are_refused(profile: object, complaints: Complaints) -> None:
    """A profile that does not exist is refused with those that do."""
    (message,) = complaints(cvl(profile=profile)).values()

    assert all(name in message for name in ("normal", "storage", "full_once"))


@pytest.mark.parametrize(
    ("low", "high", "room", "is_good"),
    [
        (0, 100, 5, True),
        (0, 20, 20, True),
        (20, 80, 5, True),
        (74.9, 80, 5, True),
        (75, 80, 5, False),
        (80, 80, 0.5, False),
        (60, 40, 5, False),
        (30, 51, 20, True),
        (30, 50, 20, False),
    ],
)
def test_window_is_wider_than_its_hysteresis(
    low: float, high: float, room: float, is_good: bool, complaints: Complaints
) -> None:
    """Bounds that overlap would stop charging and discharging at once; a lower bound of 0 is none."""
    found = complaints(cvl(soc_min_percent=low, soc_max_percent=high, soc_window_hysteresis_percent=room))

    assert (found == {}) is is_good


def test_window_is_refused_with_its_numbers(complaints: Complaints) -> None:
    """The message stands at the key that the user gave and names the other one and the room between them."""
    assert complaints(cvl(soc_min_percent=78, soc_max_percent=80)) == {
        "cvl.soc_min_percent": "must be more than 5 % below cvl.soc_max_percent, which is 80 %"
    }
    assert complaints(cvl(soc_max_percent=20, soc_min_percent=15.5)) == {
        "cvl.soc_min_percent": "must be more than 5 % below cvl.soc_max_percent, which is 20 %"
    }


@pytest.mark.parametrize(
    ("start", "stop", "is_good"), [(0, 1, True), (10, 30, True), (10, 10, False), (40, 30, False), (29.9, 30, True)]
)
def test_force_charge_ends_above_its_start(start: float, stop: float, is_good: bool, complaints: Complaints) -> None:
    """Without a gap it would flicker; a start of 0 is off and needs no end."""
    found = complaints(cvl(force_charge_start_percent=start, force_charge_stop_percent=stop))

    assert (found == {}) is is_good
    if not is_good:
        (message,) = found.values()
        assert f"{stop:g} %" in message or f"{start:g} %" in message


def test_storage_lies_inside_the_window(complaints: Complaints) -> None:
    """At 57 % neither charge nor discharge would be allowed; without the profile its SOC does not matter."""
    assert complaints(cvl(soc_min_percent=60, storage_soc_percent=55, profile="storage")) == {
        "cvl.soc_min_percent": "must be more than 5 % below cvl.storage_soc_percent, which is 55 %"
    }
    assert complaints(cvl(soc_min_percent=60, storage_soc_percent=55)) == {}
    assert complaints(cvl(soc_min_percent=49, storage_soc_percent=55, profile="storage")) == {}


def test_force_charge_ends_where_charging_ends(complaints: Complaints) -> None:
    """Above the window nothing charges: the bridge would ask for ever."""
    force = {"force_charge_start_percent": 10, "force_charge_stop_percent": 100}
    assert complaints(cvl(**force, soc_max_percent=50)) == {
        "cvl.soc_max_percent": "must be at least cvl.force_charge_stop_percent, which is 100 %"
    }
    assert complaints(cvl(**force)) == {}
    assert complaints(cvl(**force, profile="storage")) == {
        "cvl.force_charge_stop_percent": "must be at most cvl.storage_soc_percent, which is 55 %"
    }
    assert complaints(cvl(force_charge_stop_percent=100, soc_max_percent=50)) == {}


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("soc_max_percent", 20, 100),
        ("soc_min_percent", 0, 80),
        ("soc_window_hysteresis_percent", 0.5, 20),
        ("storage_soc_percent", 20, 90),
        ("full_charge_interval_days", 0, 365),
        ("force_charge_start_percent", 0, 80),
        ("force_charge_stop_percent", 1, 100),
        ("protection_relearn_s", 60, 86_400),
        ("current_rise_s", 0, 600),
        ("imbalance_min_cell_voltage_v", 0.8, 4.5),
    ],
)
def test_ranges_of_the_wishes(key: str, low: float, high: float, complaints: Complaints) -> None:
    """Both ends of each range, and neither a step beyond nor a text."""
    alone = {"force_charge_stop_percent": 100} if key == "force_charge_start_percent" else {}
    for good in (low, high):
        assert complaints(cvl(**{**alone, key: good})) == {}
    for bad in (low - 0.01, high + 0.01, str(high), True):
        assert list(complaints(cvl(**{**alone, key: bad}))) == [f"cvl.{key}"]


def test_wishes_are_off_by_default() -> None:
    """Without a word: charge to the top, discharge to the bottom, ask for nothing."""
    bare = Configuration().cvl

    assert (bare.profile, bare.soc_min_percent, bare.soc_max_percent) == ("normal", 0, 100)
    assert bare.force_charge_start_percent == 0
    assert set(values_of(bare.curves).values()) == {None}
