"""Several packs: each examined as one is today, and compared."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tinybms_bridge.cli.doctor import doctor_command
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.config.values import values_of
from tinybms_bridge.doctor import bms as doctor_bms
from tinybms_bridge.doctor import machine as doctor_machine
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.link.commands import AskDevice
from tinybms_bridge.link.state import ConfigurationState, CoreState, PackDetails, UartState
from tinybms_bridge.services.web import service as web_service
from tinybms_bridge.words import message
from tinybms_lab.bms import Dump, DumpDevice, real_dump

Invoke = Callable[..., Result]
Serve = Callable[..., str]
Examine = Callable[..., list[dict[str, Any]]]

LAST_OF_SERIAL = 509


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that is fine, and few polls."""
    monkeypatch.setattr(web_service, "bind", lambda _address, _port: socket.socket())
    monkeypatch.setattr(doctor_machine, "clock_is_synchronised", lambda: True)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setattr(doctor_bms, "_POLLS", 1)
    monkeypatch.setattr(doctor_bms, "_POLL_INTERVAL_S", 0.0)


@pytest.fixture
def unit(serve: Serve) -> Callable[[int], str]:
    """Serve a BMS with a serial number that ends so, and return its port."""
    return lambda number: serve(DumpDevice(Dump({}, {**real_dump().registers, LAST_OF_SERIAL: number}), SystemClock()))


@pytest.fixture
def examine(tmp_path: Path, invoke: Invoke) -> Examine:
    """Examine by a file with packs, and return the findings that are not on the machine."""

    def run(packs: dict[str, Any], *arguments: str) -> list[dict[str, Any]]:
        path = tmp_path / "bridge.json"
        can = {"interface": "virtual", "channel": "doctor of packs"}
        path.write_text(json.dumps({"packs": packs, "hardware": {"can": can}}))
        result = invoke(doctor_command, "-c", str(path), "--listen", "0.1", "--json", *arguments)
        assert "Traceback" not in result.output
        findings: list[dict[str, Any]] = json.loads(result.stdout)["findings"]
        of_machine = ("configuration", "web port", "state directory", "clock", "CAN", "GX")
        return [each for each in findings if each["check"] not in of_machine]

    return run


def texts(findings: list[dict[str, Any]], check: str) -> list[str]:
    """Return what was said of a check."""
    return [each["text"] for each in findings if each["check"] == check]


def test_each_pack_is_examined_and_named(unit: Callable[[int], str], examine: Examine) -> None:
    """In the order of the file; one out of service is left out, one whose port is missing keeps nobody else from it."""
    a, b = unit(1), unit(2)
    found = examine(
        {
            "a": {"uart": {"device": a}},
            "gone": {"uart": {"device": "/dev/ttyNOTHERE"}},
            "b": {"uart": {"device": b}},
            "off": {"uart": {"device": "/dev/ttyELSEWHERE"}, "enabled": False},
        }
    )

    assert texts(found, "link") == ["pack a: the BMS answers", "pack b: the BMS answers"]
    assert texts(found, "serial port")[0] == f"pack a: {a} is open"
    assert texts(found, "serial port")[1].startswith("pack gone: serial port /dev/ttyNOTHERE does not exist")
    assert texts(found, "BMS") == [
        "pack gone: not examined, because its port could not be opened",
        "pack off: out of service, so it is not examined",
    ]
    assert {each["check"] for each in found} >= {"identity", "settings", "polling", "state", "events", "history"}
    assert texts(found, "packs") == ["2 different BMS answer for a and b"]


def test_two_packs_that_are_one_unit_are_named(unit: Callable[[int], str], examine: Examine) -> None:
    """Two adapters on one BMS, or one number given twice: told with both names."""
    found = examine({"a": {"uart": {"device": unit(7)}}, "b": {"uart": {"device": unit(7)}}})
    (told,) = [each for each in found if each["check"] == "packs"]

    assert told["verdict"] == "problem"
    assert told["parameters"]["packs"] == ["a", "b"]


def test_a_unit_that_is_at_another_port_is_told(unit: Callable[[int], str], examine: Examine) -> None:
    """After two plugs were exchanged."""
    a, b = unit(1), unit(2)
    serials = [
        each["parameters"]["cause"]["parameters"]["serial"]
        for each in examine({"a": {"uart": {"device": a}}, "b": {"uart": {"device": b}}})
        if each["check"] == "identity"
    ]
    swapped = {
        "a": {"uart": {"device": a}, "serial_number": serials[1]},
        "b": {"uart": {"device": b}, "serial_number": serials[0]},
    }

    told = [each for each in examine(swapped) if each["check"] == "packs"]
    assert [each["verdict"] for each in told] == ["warning", "warning"]
    assert [each["parameters"]["belongs"] for each in told] == ["b", "a"]


def test_one_of_them_can_be_examined(unit: Callable[[int], str], examine: Examine) -> None:
    """The others are not opened; a name that there is not is a problem with those that there are."""
    packs = {"a": {"uart": {"device": unit(1)}}, "b": {"uart": {"device": "/dev/ttyNOTHERE"}}}

    found = examine(packs, "--pack", "a")
    assert texts(found, "link") == ["pack a: the BMS answers"]
    assert "NOTHERE" not in json.dumps(found)
    (wrong,) = examine(packs, "--pack", "c")
    assert (wrong["check"], wrong["verdict"], wrong["text"]) == ("packs", "problem", "c is none of the packs (a, b)")


def test_a_port_can_be_named_beside_several_packs(unit: Callable[[int], str], examine: Examine) -> None:
    """For a BMS that is to become one of them: examined as it is, or as the pack that is named."""
    packs = {name: {"uart": {"device": f"/dev/ttyNOTHERE{name}"}} for name in ("a", "b")}
    port = unit(1)

    found = examine(packs, "--device", port)
    assert texts(found, "link") == ["the BMS answers"]
    found = examine(packs, "--device", port, "--pack", "b")
    assert texts(found, "link") == ["pack b: the BMS answers"]


def test_the_only_pack_is_told_without_its_name(unit: Callable[[int], str], examine: Examine) -> None:
    """As with the short form."""
    found = examine({"a": {"uart": {"device": unit(1)}}})
    assert texts(found, "link") == ["the BMS answers"]
    assert texts(found, "packs") == []


def test_beside_a_running_bridge_each_pack_is_asked_through_it(core: Callable[..., Any], invoke: Invoke) -> None:
    """By its name: the ports are the bridge's."""
    packs = {name: {"uart": {"device": f"/dev/{name}"}} for name in ("a", "b")}
    document = {"packs": packs, "hardware": {"can": {"interface": "virtual", "channel": "doctor beside packs"}}}
    config = interpret(document, "test").configuration
    lines = {name: PackDetails(UartState(True, device=f"/dev/{name}")) for name in packs}
    served = core(
        CoreState(packs=lines, configuration=ConfigurationState(values_of(config))),
        **{"device.ask": LinkError(message("device.no_answer", timeout_ms=300))},
    )

    result = invoke(doctor_command, "--listen", "0.1", "--json")
    found = json.loads(result.stdout)["findings"]

    assert texts(found, "serial port") == [
        f"pack {name}: /dev/{name} is in use by the running bridge, as it should be; it asks the BMS" for name in packs
    ]
    assert [each.pack for each in served.asked if isinstance(each, AskDevice)] == ["a", "b"]
