from collections.abc import Callable

from tinybms_bridge.battery.charging_words import defaults_changed, narrow_remark
from tinybms_bridge.battery.limits import ChargeDefaults, LimitSettings
from tinybms_bridge.battery.snapshot import Ratings


def test_what_changed_is_told_with_the_way_back(make_ratings: Callable[..., Ratings]) -> None:
    """Who relies on defaults reads both numbers, and the key that keeps the old ones."""
    told = defaults_changed(make_ratings(), LimitSettings())
    assert told is not None
    for part in ("56.0 V (before 58.4 V)", "FLOAT 54.0 V", "3.620 V", "cvl.charge_defaults = before"):
        assert part in told.text


def test_who_keeps_the_values_is_told_nothing(make_ratings: Callable[..., Ratings]) -> None:
    """Nothing has changed for them."""
    for settings in (LimitSettings(defaults=ChargeDefaults.BEFORE), LimitSettings(bulk_voltage_v=57.0)):
        assert defaults_changed(make_ratings(), settings) is None


def test_a_narrow_unit_is_told(make_ratings: Callable[..., Ratings]) -> None:
    """Registers 316 and 300 that leave no room for the distances of the set."""
    narrow = make_ratings(under_voltage_cell_v=3.61, fully_discharged_cell_v=3.63)
    assert "316 (3.61 V)" in str(narrow_remark(narrow, LimitSettings()))
    assert narrow_remark(make_ratings(), LimitSettings()) is None
