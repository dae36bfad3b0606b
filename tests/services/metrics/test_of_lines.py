"""What the metrics say of lines, CAN and GX."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tinybms_bridge.link.state import PackDetails
from tinybms_bridge.services.metrics.family import PREFIX, Picture
from tinybms_bridge.services.metrics.of_lines import LINES

Values = dict[tuple[str, ...], float | None]


def values(told: Any, name: str) -> Values:
    """Return the series of a family by their labels."""
    (family,) = (each for each in LINES if each.name == PREFIX + name)
    return dict(family.read(Picture.take(told)))


def test_a_line_by_its_pack(make_told: Callable[..., Any]) -> None:
    """Counters as they are, times in seconds."""
    told = make_told()
    assert values(told, "line_up") == {("main",): 1.0}
    assert values(told, "line_replies") == {("main",): 990}
    assert values(told, "line_timeouts") == {("main",): 7}
    assert values(told, "line_latency_seconds") == {("main",): 0.014}
    assert values(told, "line_latency_max_seconds") == {("main",): 0.21}
    assert values(told, "line_poll_interval_seconds") == {("main",): 0.1}


def test_a_line_that_is_down_has_counters_but_no_times(make_told: Callable[..., Any]) -> None:
    """Its last latency is one of before."""
    told = make_told("hold")
    assert values(told, "line_up") == {("main",): 0.0}
    assert values(told, "line_errors") == {("main",): 10}
    assert values(told, "line_latency_seconds") == {("main",): None}


def test_what_a_bms_has_counted_itself(make_told: Callable[..., Any]) -> None:
    """Once it was read; before, nothing is claimed."""
    told = make_told()
    assert values(told, "bms_protections")["main", "over_voltage"] == 4
    assert values(told, "bms_charges_completed") == {("main",): 120}
    told.details = {"main": PackDetails()}
    assert values(told, "bms_protections") == values(told, "bms_charges_completed") == {}


def test_a_controller_that_tells(make_told: Callable[..., Any]) -> None:
    """State, level of errors and counters of the driver; faults of the interface each with 0 or 1."""
    told = make_told()
    assert [labels for labels, now in values(told, "can_controller_state").items() if now] == [("can", "error_active")]
    assert values(told, "can_controller_error_level") == {("can", "sent"): 8, ("can", "received"): 0}
    assert values(told, "can_controller_bus_off") == {("can",): 1}
    faults = values(told, "can_fault")
    assert [labels for labels, now in faults.items() if now] == [("can", "can_no_restart")]
    assert len(faults) == 11


def test_an_adapter_without_a_controller_that_tells(make_told: Callable[..., Any]) -> None:
    """slcan, gs_usb without the driver, vcan: what the program counts itself is there all the same."""
    told = make_told()
    told.buses = {"can": replace(told.buses["can"], device=None)}
    assert values(told, "can_controller_state") == values(told, "can_controller_bus_errors") == {}
    assert values(told, "can_frames_sent") == {("can",): 5000}
    told.buses = {"can": replace(told.buses["can"], gx_state="never_seen")}
    assert values(told, "gx_present") == {("can",): 0.0}
    assert values(told, "gx_silent_seconds") == {("can",): None}


def test_each_output_by_its_name(make_told: Callable[..., Any]) -> None:
    """Where there are several one day."""
    told = make_told()
    told.buses = {"can": told.buses["can"], "second": replace(told.buses["can"], up=False, gx_state="lost")}
    assert values(told, "can_up") == {("can",): 1.0, ("second",): 0.0}
    assert values(told, "gx_present") == {("can",): 1.0, ("second",): 0.0}


def test_of_a_core_that_is_not_heard_nobody_knows(make_told: Callable[..., Any]) -> None:
    """Also not that its lines are down."""
    told = make_told("away")
    assert [each.name for each in LINES if list(each.read(Picture.take(told)))] == []
