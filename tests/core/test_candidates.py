"""What the core knows of its own ports, without asking there."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.snapshot import Identity, Ratings, Snapshot
from tinybms_bridge.battery.state import BatteryState, PackState
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.core.candidates import known_ports
from tinybms_bridge.link.state import CoreState, PackDetails, UartState
from tinybms_bridge.tinybms.found_units import FoundUnit, KnownPort, unit_of
from tinybms_bridge.words import message

WHO = Identity("2.1", 1, 254, 1, 1, "0123456789ABCDEF01234567")
RATINGS = Ratings(
    series_cells=16,
    fully_charged_cell_v=3.6,
    fully_discharged_cell_v=2.8,
    over_voltage_cell_v=3.7,
    under_voltage_cell_v=2.7,
    charge_over_current_a=100.0,
    discharge_over_current_a=150.0,
    discharge_peak_current_a=None,
    over_heat_c=60.0,
    low_temperature_charge_c=0.0,
    capacity_ah=100.0,
)
SILENT = message("link_failure.silence", error=message("device.no_answer", timeout_ms=300))


def configured(document: dict[str, Any]) -> Configuration:
    """Return the configuration that a document means."""
    return interpret(document, "test").configuration


THREE = configured(
    {
        "packs": {
            "a": {"uart": {"device": "/dev/a"}},
            "b": {"uart": {"device": "/dev/b"}, "enabled": False},
            "c": {"uart": {"device": "/dev/c"}},
        },
        "hardware": {"can": {"interface": "slcan", "channel": "/dev/ttyACM0"}},
    }
)


@pytest.fixture
def snapshot(make_snapshot: Callable[..., Snapshot]) -> Snapshot:
    """A sample with the settings of its BMS."""
    return replace(make_snapshot(hottest_c=20.0), taken_at_s=100.0, ratings=RATINGS)


def tree(freshness: Freshness, snapshot: Snapshot, up: bool = True) -> CoreState:
    """Return the state of a core that has read pack a, and nothing of the others."""
    packs = {"a": PackState(snapshot, WHO, freshness=freshness), "c": PackState(freshness=Freshness.STARTING)}
    lines = {
        "a": PackDetails(UartState(up=up, message=None if up else SILENT)),
        "c": PackDetails(UartState(up=False, message=SILENT)),
    }
    return CoreState(battery=BatteryState(made_s=100.0, packs=packs, freshness=freshness), packs=lines)


def test_each_pack_is_told_by_what_is_known_of_it(snapshot: Snapshot) -> None:
    """One that answers, one out of service whose port is free, one that is silent; and the port of a CAN adapter."""
    known = known_ports(THREE, tree(Freshness.FRESH, snapshot), 100.5)

    assert known == [
        KnownPort("/dev/a", "a", unit=FoundUnit(WHO, 16, 100.0, snapshot.pack.voltage_v)),
        KnownPort("/dev/b", "b", free=True),
        KnownPort("/dev/c", "c", message=SILENT),
        KnownPort("/dev/ttyACM0"),
    ]


def test_an_old_voltage_is_not_told_as_present(snapshot: Snapshot) -> None:
    """Who the BMS is stays true; what it measured does not. Why it does not answer is told beside it."""
    mine, *_ = known_ports(THREE, tree(Freshness.SILENT, snapshot, up=False), 500.0)

    assert mine.unit is not None
    assert (mine.unit.identity, mine.unit.voltage_v, mine.message) == (WHO, None, SILENT)


def test_before_anything_was_read_there_is_a_reason() -> None:
    """A core that has just started knows neither units nor lines."""
    (mine,) = known_ports(Configuration(), CoreState(), 1.0)

    assert mine == KnownPort("/dev/ttyUSB0", "main", message=message("candidate.not_read_yet"))


def test_the_channel_of_other_adapters_is_no_port() -> None:
    """``can0`` is an interface of the kernel."""
    config = configured({"hardware": {"can": {"channel": "can0"}}})
    assert [each.pack for each in known_ports(config, CoreState(), 1.0)] == ["main"]


@pytest.mark.parametrize("voltage_v", [float("nan"), float("inf"), -1.0, 1e9])
def test_what_cannot_be_true_is_not_told(voltage_v: float) -> None:
    """A device that only looks like a TinyBMS, or one whose registers are garbled."""
    odd = replace(RATINGS, series_cells=77)

    assert unit_of(WHO, odd, voltage_v) == FoundUnit(WHO)
    assert unit_of(WHO, None, None) == FoundUnit(WHO)
