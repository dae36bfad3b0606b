"""The flat numbers."""

from dataclasses import replace

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.view import Last, View
from tinybms_bridge.services.web.face import CanFigures, Picture, UartFigures
from tinybms_bridge.services.web.live.numbers import (
    active_levels,
    balancing_bits,
    battery_numbers,
    cells_mv,
    flat_counters,
    last_numbers,
    limit_numbers,
    pack_numbers,
)


def test_no_sensor_and_no_health(picture: Picture) -> None:
    """What the BMS does not know is null, never 0."""
    assert picture.view.measured is not None
    bare = replace(
        picture.view.measured,
        temperatures=type(picture.view.measured.temperatures)(),
        pack=replace(picture.view.measured.pack, soh_percent=None),
    )
    numbers = pack_numbers(bare)
    assert numbers["temperature"] is None
    assert numbers["soh_percent"] is None
    assert numbers["voltage"] == 54.321


def test_names_are_the_same_without_a_sample(picture: Picture) -> None:
    """A client finds every name before the first sample too."""
    assert pack_numbers(None).keys() == pack_numbers(picture.view.measured).keys()
    assert limit_numbers(None).keys() == limit_numbers(picture.view.limits).keys()
    assert battery_numbers(replace(picture, view=View())).keys() == battery_numbers(picture).keys()


def test_cells_and_balancing(picture: Picture) -> None:
    """Cells are whole millivolts from cell 1 up; the mask has the same order."""
    assert cells_mv(picture.view.measured)[:2] == [3415, 3417]
    assert balancing_bits(picture.view.measured) == (1 << 15) | 1
    assert cells_mv(None) == []
    assert balancing_bits(None) is None


def test_keepalive_is_a_present_gx() -> None:
    """Only a GX that is heard now counts."""
    states = {state: CanFigures(gx_state=state) for state in ("never_seen", "present", "lost")}
    flat = {state: flat_counters(UartFigures(), can)["victron_keepalive_ok"] for state, can in states.items()}
    assert flat == {"never_seen": False, "present": True, "lost": False}


def test_active_levels(picture: Picture) -> None:
    """What is OK is left out."""
    assert active_levels(picture) == {"high_voltage": 1}


def test_last_values_are_apart_and_dated(picture: Picture) -> None:
    """Old values are never among the live ones; they have their own object with the time at which they were true."""
    assert picture.view.measured is not None
    last = Last(picture.view.measured, 12.4, picture.view.limits)
    old = replace(picture, view=View(Freshness.SILENT, age_s=12.4, last=last))
    numbers = battery_numbers(old)
    assert {name: numbers[name] for name in ("voltage", "power_w", "age_ms", "freshness")} == {
        "voltage": None,
        "power_w": None,
        "age_ms": 12_400,
        "freshness": "SILENT",
    }
    found = last_numbers(old)
    assert found is not None
    assert (str(found["at"]), found["voltage"]) == ("2026-01-02 03:03:52+00:00", 54.321)
    assert found["cvl"] == limit_numbers(picture.view.limits)
    assert last_numbers(picture) is None
