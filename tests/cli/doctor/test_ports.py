"""``doctor --ports``: what answers on which port, through the bridge or here."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.cli.doctor import doctor_command
from tinybms_bridge.cli.doctor.ports import lines_of
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.devices import SerialDevice
from tinybms_bridge.hal.processes import Process
from tinybms_bridge.link.commands import ListCandidates
from tinybms_bridge.tinybms import candidates
from tinybms_bridge.tinybms.found_units import Candidate, FoundUnit
from tinybms_bridge.words import message
from tinybms_lab.bms import DumpDevice, real_dump

Invoke = Callable[..., Result]
Serve = Callable[..., str]

SERIAL = "0123456789ABCDEF01234567"
FOUND = (
    Candidate(
        "/dev/tinybms-A1",
        "FTDI",
        "/dev/ttyUSB0",
        "a",
        unit=FoundUnit(Identity("2.1", 3, 254, 1, 1, SERIAL), 16, 100.0, 53.214),
    ),
    Candidate("/dev/ttyUSB1", device="/dev/ttyUSB1", held_by="minicom", message=message("candidate.console")),
)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Return what decides which ports this machine has; there is no configuration."""
    monkeypatch.setenv("TINYBMS_BRIDGE_CONFIG", str(tmp_path / "none.json"))
    monkeypatch.setenv("TINYBMS_BRIDGE_SOCKET", str(tmp_path / "core.sock"))

    def has(*ports: str) -> None:
        class Machine:
            def ports(self) -> Sequence[SerialDevice]:
                return [SerialDevice(port) for port in ports]

            def consoles(self) -> frozenset[str]:
                return frozenset()

            own = consoles

            def holders(self, paths: Sequence[str]) -> Mapping[str, Sequence[Process]]:
                return {path: [] for path in paths}

        monkeypatch.setattr(candidates, "_Machine", Machine)

    return has


def test_the_running_bridge_is_asked(core: Callable[..., Any], invoke: Invoke) -> None:
    """It has ports of its own, which nobody else can open."""
    served = core(candidates=FOUND)
    result = invoke(doctor_command, "--ports")

    assert result.exit_code == 0
    assert served.asked == [ListCandidates()]
    assert result.stdout.splitlines() == [
        "/dev/tinybms-A1  (/dev/ttyUSB0, FTDI)  pack a",
        f"    TinyBMS {SERIAL}, hardware 2.1, firmware 2.3.254, 16 cells, 100 Ah, 53.21 V",
        "/dev/ttyUSB1",
        "    the console of this machine: it was not asked",
    ]


def test_the_same_as_json(core: Callable[..., Any], invoke: Invoke) -> None:
    """One object, with codes."""
    core(candidates=FOUND)
    mine, other = json.loads(invoke(doctor_command, "--ports", "--json").stdout)["candidates"]

    assert (mine["pack"], mine["unit"]["identity"]["serial_number"], mine["unit"]["voltage_v"]) == ("a", SERIAL, 53.214)
    assert (other["unit"], other["message"]["code"]) == (None, "candidate.console")


def test_without_a_bridge_the_ports_are_asked_here(
    machine: Callable[..., None], serve: Serve, invoke: Invoke, tmp_path: Path
) -> None:
    """Those that the configuration names are told with their pack, and those that do not open with the reason."""
    port = serve(DumpDevice(real_dump(), SystemClock()))
    machine(port, "/dev/ttyNOTHERE")
    path = tmp_path / "bridge.json"
    path.write_text(json.dumps({"packs": {"a": {"uart": {"device": port}}}}))
    lines = invoke(doctor_command, "--ports", "-c", str(path)).stdout.splitlines()

    assert lines[0] == f"{port}  pack a"
    assert "14 cells" in lines[1]
    assert lines[2] == "/dev/ttyNOTHERE"
    assert "does not exist" in lines[3]


def test_a_machine_without_ports(machine: Callable[..., None], invoke: Invoke) -> None:
    """Said in a line, in either language."""
    machine()
    assert invoke(doctor_command, "--ports").stdout == "no serial port found\n"
    assert invoke(doctor_command, "--ports", "--lang", "fr").stdout == "aucun port série trouvé\n"


def test_a_file_with_mistakes_keeps_nobody_from_asking(
    machine: Callable[..., None], invoke: Invoke, tmp_path: Path
) -> None:
    """Who is looking for the right ports has not finished the file."""
    machine("/dev/ttyNOTHERE")
    path = tmp_path / "bridge.json"
    path.write_text('{"packs": {"a": {}}}')
    result = invoke(doctor_command, "--ports", "-c", str(path))

    assert result.exit_code == 0
    assert result.stdout.startswith("/dev/ttyNOTHERE\n")


@pytest.mark.parametrize("more", [("--pack", "a"), ("--device", "/dev/ttyUSB0")])
def test_what_chooses_one_port_does_not_go_with_it(invoke: Invoke, more: tuple[str, str]) -> None:
    """It is about every port."""
    assert invoke(doctor_command, "--ports", *more).exit_code == 2


def test_a_unit_that_tells_little_is_told_so_far() -> None:
    """Old firmware has no serial number; the line has no empty places."""
    silent = Candidate("auto", pack="main", message=message("candidate.not_read_yet"))
    bare = Candidate("/dev/ttyUSB0", device="/dev/ttyUSB0", unit=FoundUnit(Identity()))

    assert lines_of([silent, bare], "fr") == [
        "auto  pack main",
        "    le pont n'a pas encore lu son BMS",
        "/dev/ttyUSB0",
        "    TinyBMS",
    ]
