"""What the metrics say of battery, packs and cells: the values of the state, in base units."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tinybms_bridge.battery.alarms import AlarmName
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.battery.snapshot import Cells
from tinybms_bridge.services.metrics.family import PREFIX, Picture
from tinybms_bridge.services.metrics.of_battery import BATTERY

Values = dict[tuple[str, ...], float | None]


def values(told: Any, name: str) -> Values:
    """Return the series of a family by their labels."""
    (family,) = (each for each in BATTERY if each.name == PREFIX + name)
    return dict(family.read(Picture.take(told)))


def value(told: Any, name: str) -> float | None:
    """Return the only series of a family; None where it is absent."""
    return values(told, name).get(())


def test_measurements_are_in_base_units(make_told: Callable[..., Any]) -> None:
    """A share is 0 to 1, a difference of cells volts; current and power count into the battery."""
    told = make_told()
    assert value(told, "battery_soc_ratio") == pytest.approx(0.815)
    assert value(told, "battery_soh_ratio") == pytest.approx(0.972)
    assert value(told, "battery_current_amperes") == 12.5
    assert value(told, "battery_power_watts") == pytest.approx(12.5 * 53.0, rel=0.01)
    assert value(told, "battery_cell_voltage_spread_volts") == pytest.approx(0.006)
    assert value(told, "battery_time_left_seconds") == 7200
    assert values(told, "battery_temperature_celsius") == {
        ("internal",): 31.0,
        ("external_1",): 18.4,
        ("external_2",): None,
    }


def test_cells_are_numbered_as_people_do(make_told: Callable[..., Any]) -> None:
    """From 1, pack by pack."""
    told = make_told("three packs")
    voltages = values(told, "cell_voltage_volts")
    assert len(voltages) == 48
    assert (voltages["port", "1"], voltages["port", "16"]) == (3.31, 3.311)
    assert [labels for labels, bled in values(told, "cell_balancing").items() if bled] == [
        ("port", "4"),
        ("starboard", "4"),
        ("spare", "4"),
    ]
    assert {labels[0] for labels in values(told, "pack_voltage_volts")} == {"port", "starboard", "spare"}


def test_cells_that_nobody_knows_have_no_extremes(make_told: Callable[..., Any]) -> None:
    """A BMS without configured cells gives no number, not even one that is none."""
    told = make_told()
    pack = told.battery.main
    bare = replace(pack, latest=replace(pack.latest, cells=Cells(())))
    told.battery = replace(told.battery, packs={"main": bare})
    assert values(told, "cell_voltage_volts") == {}
    found = value(told, "battery_cell_voltage_min_volts")
    assert found != found, "what is no number is left out by who writes it"


def test_a_soc_that_cannot_be_true_is_absent(make_told: Callable[..., Any]) -> None:
    """The last good one, counted on, is not what the BMS says."""
    told = make_told()
    pack = told.battery.main
    guessed = replace(pack.latest, pack=replace(pack.latest.pack, soc_known=False))
    told.battery = replace(told.battery, packs={"main": replace(pack, latest=guessed)})
    assert value(told, "battery_soc_ratio") is None
    assert values(told, "pack_soc_ratio") == {("main",): None}


def test_limits_are_those_that_are_sent(make_told: Callable[..., Any]) -> None:
    """In HOLD charging is stopped, and that is what a GX is told; with the cause that binds each."""
    fresh, hold = make_told("fresh"), make_told("hold")
    names = ("limit_cvl_volts", "limit_ccl_amperes", "limit_dcl_amperes")
    assert [value(fresh, name) for name in names] == [56.0, 40.0, 120.0]
    assert [value(hold, name) for name in names] == [56.0, 0.0, 120.0]
    assert set(values(fresh, "limit_reason")) == {
        ("cvl", "state"),
        ("ccl", "temperature"),
        ("dcl", "bms_current_cutoff"),
    }
    assert values(hold, "limit_reason") == {}


def test_one_state_of_all_that_could_be(make_told: Callable[..., Any]) -> None:
    """Each is there with 0 or 1, so that a rule can ask for any of them."""
    for name, chosen in (("battery_freshness", "FRESH"), ("charge_state", "BULK")):
        found = values(make_told(), name)
        assert len(found) in (4, 6)
        assert [labels for labels, chosen_one in found.items() if chosen_one] == [(chosen,)]
    assert values(make_told(), "pack_status")["main", "CHARGING"] == 1.0
    assert sum(each or 0 for each in values(make_told(), "pack_status").values()) == 1.0


def test_every_alarm_and_notice_can_be_asked_for(make_told: Callable[..., Any]) -> None:
    """With 0 while it is not in force: a rule on a name that was never there would never end."""
    found = values(make_told(), "alarm")
    assert len(found) == 2 * (len(AlarmName) + len(NoticeName))
    assert {labels for labels, active in found.items() if active} == {
        ("cell_imbalance", "alarm", "warning"),
        ("low_soc", "notice", "warning"),
    }


def test_of_a_core_that_is_not_heard_nobody_knows_the_alarms(make_told: Callable[..., Any]) -> None:
    """But that it is not heard is one."""
    assert values(make_told("away"), "alarm") == {
        ("core_unreachable", "notice", "warning"): 0.0,
        ("core_unreachable", "notice", "alarm"): 1.0,
    }


def test_energy_is_what_no_restart_takes_back(make_told: Callable[..., Any]) -> None:
    """Of the counters that which is on the disk: one that falls a little would be counted again from 0."""
    told = make_told()
    assert value(told, "battery_charged_joules") == 1000.0 * 3600.0
    assert value(told, "battery_discharged_joules") == 800.0 * 3600.0
    assert value(told, "battery_charged_coulombs") == 20.0 * 3600.0
    assert value(told, "battery_discharged_coulombs") == 16.0 * 3600.0


def test_energy_goes_on_while_the_bms_is_silent(make_told: Callable[..., Any]) -> None:
    """A counter stands; it is not unknown as long as the core tells it."""
    assert value(make_told("silent"), "battery_charged_joules") == 3.6e6
    assert value(make_told("away"), "battery_charged_joules") is None


def test_why_nothing_is_measured_is_told(make_told: Callable[..., Any]) -> None:
    """By state and age of the sample, which goes on growing without a word of the core."""
    for state, freshness in (("starting", "STARTING"), ("hold", "HOLD"), ("silent", "SILENT"), ("away", "SILENT")):
        assert values(make_told(state), "battery_freshness")[freshness,] == 1.0
    assert value(make_told("hold"), "battery_sample_age_seconds") == 20.0
    assert value(make_told("starting"), "battery_sample_age_seconds") is None


def test_what_is_stopped_by_hand(make_told: Callable[..., Any]) -> None:
    """Both directions, whether or not somebody stops them."""
    assert values(make_told(), "inhibited") == {("charge",): 1.0, ("discharge",): 0.0}


def test_who_a_pack_is(make_told: Callable[..., Any]) -> None:
    """Serial number and versions are texts, so they are labels."""
    assert set(values(make_told(), "pack")) == {("main", "0" * 24, "2.3.254", "2.1")}


def test_each_of_several_packs_has_its_part(make_told: Callable[..., Any]) -> None:
    """Shares as ratios, what it bears, its own counters in joules; the battery's are its own, not a sum."""
    told = make_told("three packs")
    assert values(told, "pack_charge_share_ratio") == dict.fromkeys([("port",), ("starboard",), ("spare",)], 0.3)
    assert values(told, "pack_ccl_amperes") == {("port",): 30.0, ("starboard",): 31.0, ("spare",): 32.0}
    assert values(told, "pack_charge_blocked")["starboard",] == 1.0
    assert values(told, "pack_charged_joules")["spare",] == 2000.0 * 3600.0
    assert value(told, "battery_charged_joules") == 1000.0 * 3600.0
    assert [labels for labels, found in values(told, "pack_condition").items() if found] == [
        ("port", "in_use"),
        ("starboard", "in_use"),
        ("spare", "in_use"),
    ]
