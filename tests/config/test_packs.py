from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.battery.snapshot import Ratings
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.limits import effective_on
from tinybms_bridge.config.loader import interpret, parse
from tinybms_bridge.config.models import SeveralPacks
from tinybms_bridge.config.overrides import Overrides, override
from tinybms_bridge.config.packs import PackPort, join_delta_v, pack_ports, with_device
from tinybms_bridge.errors import ConfigError

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

RATINGS = Ratings(
    series_cells=8,
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


def configured(document: dict[str, Any]) -> Configuration:
    """Return the configuration that a document means."""
    return interpret(document, "test").configuration


TWO = configured(
    {
        "hardware": {"uart": {"timeout_ms": 250}},
        "packs": {
            "b": {"uart": {"device": "/dev/ttyUSB1", "timeout_ms": 400}, "serial_number": "ab" * 12},
            "a": {"uart": {"device": "/dev/ttyUSB0"}, "enabled": False},
        },
    }
)


def test_without_names_there_is_one_pack() -> None:
    """The short form means what it always did."""
    config = configured({"hardware": {"uart": {"device": "/dev/ttyACM3", "timeout_ms": 200}}})

    assert pack_ports(config) == {
        "main": PackPort("/dev/ttyACM3", 200, 115_200, "hardware.uart", "hardware.uart.timeout_ms")
    }


def test_packs_with_names_in_the_order_of_the_file() -> None:
    """Those out of service too; what is left out of a line is that of the short form."""
    ports = pack_ports(TWO)

    assert list(ports) == ["b", "a"]
    assert ports["b"] == PackPort(
        "/dev/ttyUSB1", 400, 115_200, "packs.b.uart", "packs.b.uart.timeout_ms", True, "AB" * 12
    )
    assert ports["a"] == PackPort("/dev/ttyUSB0", 250, 115_200, "packs.a.uart", "hardware.uart.timeout_ms", False)


def test_a_pack_moves_to_another_port() -> None:
    """The command line and the search for a BMS put one in, in either form; a pack that is not there is a mistake."""
    assert pack_ports(with_device(Configuration(), "main", "/dev/x"))["main"].device == "/dev/x"
    moved = with_device(TWO, "a", "/dev/x")
    assert (pack_ports(moved)["a"].device, pack_ports(moved)["b"]) == ("/dev/x", pack_ports(TWO)["b"])
    assert list(moved.packs) == ["b", "a"]
    with pytest.raises(KeyError):
        with_device(TWO, "main", "/dev/x")


def test_the_command_line_names_the_port_of_the_only_pack() -> None:
    """In whichever form it is configured; of several nobody could know whose it is."""
    named = configured({"packs": {"a": {"uart": {"device": "/dev/ttyUSB0"}}}})

    assert pack_ports(override(named, Overrides(device="/dev/x")))["a"].device == "/dev/x"
    assert pack_ports(override(Configuration(), Overrides(device="/dev/x")))["main"].device == "/dev/x"
    assert override(TWO, Overrides(log_level="DEBUG")).packs == TWO.packs
    with pytest.raises(ConfigError, match=r"several packs \(b, a\)"):
        override(TWO, Overrides(device="/dev/x"))


def test_a_joining_pack_may_differ_by_so_much_per_cell() -> None:
    """By the number of cells where nothing is set, which the settings page shows."""
    assert join_delta_v(Configuration(), 16) == pytest.approx(0.8)
    assert join_delta_v(replace(Configuration(), battery=SeveralPacks(join_delta_v=0.5)), 16) == 0.5
    assert effective_on(Configuration(), RATINGS).values["battery.join_delta_v"] == pytest.approx(0.4)


def test_the_port_of_the_short_form_has_no_effect_beside_names() -> None:
    """Whoever wonders why it is not opened finds it in a notice."""
    document = {"hardware": {"uart": {"device": "/dev/ttyUSB0"}}, "packs": {"a": {"uart": {"device": "/dev/ttyUSB5"}}}}

    (notice,) = interpret(document, "test").notices

    assert str(notice) == "hardware.uart.device: no effect: the ports of the packs (a) are in packs"


def test_a_slow_line_is_told_at_the_key_that_makes_it_slow() -> None:
    """Once for each key, not once for each pack."""
    slow = {"uart": {"device": "/dev/ttyUSB0", "timeout_ms": 3000}}
    by_short_form = {name: {"uart": {"device": f"/dev/{name}"}} for name in ("b", "c")}
    document = {"hardware": {"uart": {"timeout_ms": 2000}}, "packs": {"a": slow, **by_short_form}}

    paths = [notice.path for notice in interpret(document, "test").notices]

    assert paths == ["packs.a.uart.timeout_ms", "hardware.uart.timeout_ms"]


def test_the_example_of_four_packs() -> None:
    """Four ports that keep their names, one battery."""
    configuration, notices = parse((EXAMPLES / "four-packs.json").read_bytes(), "four-packs.json")

    ports = pack_ports(configuration)
    assert notices == []
    assert len(ports) == len({port.device for port in ports.values()}) == 4
    assert all(port.enabled and port.device.startswith("/dev/serial/by-id/") for port in ports.values())
