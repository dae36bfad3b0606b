"""The command as a whole: every check in its order, its words, its JSON and its exit status."""

import json
import math
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tinybms_bridge.cli.doctor import doctor_command
from tinybms_bridge.cli.doctor import port as doctor_port
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.models.hardware import Can, Hardware
from tinybms_bridge.config.values import values_of
from tinybms_bridge.doctor import bms as doctor_bms
from tinybms_bridge.doctor import machine as doctor_machine
from tinybms_bridge.doctor.findings import Finding
from tinybms_bridge.doctor.verdicts import Polls, judge_polling
from tinybms_bridge.hal.clock import Clock, SystemClock
from tinybms_bridge.hal.serial import SerialOpener
from tinybms_bridge.link.state import ConfigurationState, CoreInfo, CoreState
from tinybms_bridge.services.web import service as web_service
from tinybms_bridge.tinybms import client
from tinybms_bridge.tinybms.client import ClientSettings, TinyBmsClient
from tinybms_bridge.words import message
from tinybms_lab.bms import Dump, DumpDevice, real_dump

Invoke = Callable[..., Result]
Serve = Callable[..., str]

CAN = ("--can-interface", "virtual", "--can-channel", "doctor", "--listen", "0.1")
"""A bus of python-can within this process: nobody is there."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without a configuration, whose web port is free and whose clock is right, and few polls."""
    monkeypatch.setattr(web_service, "bind", lambda _address, _port: socket.socket())
    monkeypatch.setattr(doctor_machine, "clock_is_synchronised", lambda: True)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setattr(doctor_bms, "_POLLS", 3)
    monkeypatch.setattr(doctor_bms, "_POLL_INTERVAL_S", 0.01)
    monkeypatch.setenv("TINYBMS_BRIDGE_CONFIG", str(tmp_path / "none.json"))


@pytest.fixture
def bms(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> str:
    """A port with a BMS that is never too slow, however busy the machine is: how fast it is has tests of its own."""

    def patient(open_port: SerialOpener, clock: Clock) -> TinyBmsClient:
        return TinyBmsClient(open_port, clock, ClientSettings(timeout_s=60.0))

    def judged(polls: Polls, _slow_ms: float) -> Finding:
        return judge_polling(polls, math.inf)

    monkeypatch.setattr(client, "TinyBmsClient", patient)
    monkeypatch.setattr(doctor_bms, "judge_polling", judged)
    return serve(DumpDevice(real_dump(), SystemClock()))


def verdicts(document: Any) -> dict[str, str]:
    """Return the last verdict of each check."""
    return {finding["check"]: finding["verdict"] for finding in document["findings"]}


def test_a_machine_that_is_ready_but_for_the_gx(bms: str, invoke: Invoke) -> None:
    """Each finding is a line with its advice below; warnings do not fail."""
    result = invoke(doctor_command, "--device", bms, *CAN)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "      ok  configuration: usable"
    assert f"      ok  serial port: {bms} is open" in lines
    assert " WARNING  GX: no GX was heard in 0.1 s" in lines
    assert lines[lines.index(" WARNING  GX: no GX was heard in 0.1 s") + 1].startswith("          → Check the cable")
    assert lines[-1] == "A bridge can work; 1 to look at."


def test_json_is_one_object_and_nothing_else(bms: str, invoke: Invoke) -> None:
    """For other programs."""
    result = invoke(doctor_command, "--device", bms, "--json", *CAN)
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["verdict"] == "warning"
    assert verdicts(document) == {
        "configuration": "ok",
        "serial port": "ok",
        "link": "ok",
        "identity": "ok",
        "settings": "ok",
        "advice": "ok",
        "polling": "ok",
        "plausibility": "ok",
        "state": "ok",
        "events": "ok",
        "history": "ok",
        "web port": "ok",
        "state directory": "ok",
        "clock": "ok",
        "CAN": "ok",
        "GX": "warning",
    }


def test_a_machine_without_anything_gets_clear_words(monkeypatch: pytest.MonkeyPatch, invoke: Invoke) -> None:
    """No adapter at all: what to plug in, and exit code 1."""
    monkeypatch.setattr(doctor_port, "find_ports", list)
    result = invoke(doctor_command, "--can-interface", "gs_usb", "--can-channel", "0", "--listen", "0.1")
    assert result.exit_code == 1
    assert " PROBLEM  serial port: no USB serial adapter was found" in result.stdout
    assert " skipped  BMS: not examined, because its port is not known" in result.stdout
    assert " PROBLEM  CAN: " in result.stdout
    assert "2 to solve before a bridge can work" in result.stdout
    assert "Traceback" not in result.output


def test_beside_a_running_bridge_its_own_configuration_and_directory_count(
    bms: str, tmp_path: Path, core: Callable[..., Any], invoke: Invoke
) -> None:
    """What it was started with may stand in no file of this user; a file that is named is examined as it is."""
    kept = tmp_path / "of the service"
    can = Can(interface="virtual", channel="of the bridge")
    config = replace(Configuration(), hardware=Hardware(can=can))
    core(CoreState(CoreInfo(state_directory=str(kept)), configuration=ConfigurationState(values_of(config))))

    shown = invoke(doctor_command, "--device", bms, "--listen", "0.1").stdout

    assert "      ok  configuration: usable" in shown
    assert "      ok  CAN: virtual:of the bridge is open" in shown
    assert f"      ok  state directory: {kept} does not exist yet" in shown
    file = tmp_path / "other.json"
    file.write_text('{"hardware": {"can": {"interface": "virtual", "channel": "of the file"}}}')
    shown = invoke(doctor_command, "-c", str(file), "--device", bms, "--listen", "0.1").stdout
    assert "      ok  CAN: virtual:of the file is open" in shown
    assert str(kept) not in shown


def test_the_file_of_a_running_bridge_is_judged(
    bms: str, tmp_path: Path, core: Callable[..., Any], invoke: Invoke
) -> None:
    """A mistake in it is told although the bridge goes on with what it had."""
    file = tmp_path / "broken.json"
    file.write_text('{"cvl": {"enabled": 3}}')
    core(CoreState(configuration=ConfigurationState(values_of(Configuration()), str(file), usable=False)))

    shown = invoke(doctor_command, "--device", bms, *CAN).stdout

    assert " PROBLEM  configuration: " in shown
    assert "cvl.enabled" in shown


def test_a_missing_port_is_a_problem_and_the_bus_is_still_examined(invoke: Invoke) -> None:
    """One look at everything, not one problem a day."""
    result = invoke(doctor_command, "--device", "/dev/ttyNOTHERE", "--json", *CAN)
    assert result.exit_code == 1
    found = verdicts(json.loads(result.stdout))
    assert (found["serial port"], found["BMS"], found["CAN"]) == ("problem", "skipped", "ok")


def test_a_fault_of_the_battery_ends_with_1(serve: Serve, invoke: Invoke) -> None:
    """Other programs ask for the exit code only."""
    port = serve(DumpDevice(Dump({}, {**real_dump().registers, 50: 0x9B}), SystemClock()))
    assert invoke(doctor_command, "--device", port, *CAN).exit_code == 1


def test_a_wrong_configuration_is_told_and_the_rest_examined(bms: str, tmp_path: Path, invoke: Invoke) -> None:
    """Each mistake is a problem of its own; with the defaults in its place the machine can be looked at."""
    path = tmp_path / "bridge.json"
    path.write_text('{"hardware": {"uart": {"baudrate": 7}}, "cvl": {"enabled": 3}}')
    document = json.loads(invoke(doctor_command, "-c", str(path), "--device", bms, "--json", *CAN).stdout)
    mistakes = [finding for finding in document["findings"] if finding["check"] == "configuration"]
    assert [finding["verdict"] for finding in mistakes] == ["problem", "problem"]
    assert "baudrate" in mistakes[0]["text"]
    assert verdicts(document)["link"] == "ok"


def test_a_wrong_choice_on_the_command_line_is_told(bms: str, invoke: Invoke) -> None:
    """Not a traceback."""
    result = invoke(doctor_command, "--device", bms, "--can-interface", "carrier-pigeon", "--listen", "0.1", "--json")
    mistakes = [each for each in json.loads(result.stdout)["findings"] if each["check"] == "configuration"]
    assert result.exit_code == 1
    assert mistakes[-1]["verdict"] == "problem"
    assert mistakes[-1]["text"].startswith("command line: hardware.can.interface = 'carrier-pigeon'")


def test_remarks_on_the_configuration_are_warnings(bms: str, tmp_path: Path, invoke: Invoke) -> None:
    """A key without effect is worth a look."""
    path = tmp_path / "bridge.json"
    path.write_text('{"hardware": {"uart": {"rx_pin": 4}}}')
    document = json.loads(invoke(doctor_command, "-c", str(path), "--device", bms, "--json", *CAN).stdout)
    assert verdicts(document)["configuration"] == "warning"


def test_the_port_of_the_configuration_is_examined(bms: str, tmp_path: Path, invoke: Invoke) -> None:
    """Without --device the file decides, as for the bridge."""
    path = tmp_path / "bridge.json"
    path.write_text(json.dumps({"hardware": {"uart": {"device": bms}}}))
    document = json.loads(invoke(doctor_command, "-c", str(path), "--json", *CAN).stdout)
    assert f"{bms} is open" in [finding["text"] for finding in document["findings"]]


@pytest.mark.parametrize(("count", "words"), [((0, 0), "All is well."), ((0, 2), "A bridge can work; 2 to look at.")])
def test_the_last_line_sums_up(count: Sequence[int], words: str) -> None:
    """What a hurried reader looks at."""
    from tinybms_bridge.cli.doctor.command import _summary
    from tinybms_bridge.doctor.findings import ok, warning

    found = message("doctor.usable")
    findings = [ok("a", found), *(warning("b", found) for _ in range(count[1]))]
    assert _summary(findings).strip() == words


def test_everything_is_told_in_french(monkeypatch: pytest.MonkeyPatch, invoke: Invoke) -> None:
    """By choice or by the environment: verdicts, checks, what was found and what to do; no check stays English."""
    monkeypatch.setattr(doctor_port, "find_ports", list)
    arguments = ("--can-interface", "gs_usb", "--can-channel", "0", "--listen", "0.1")
    chosen = invoke(doctor_command, "--lang", "fr", *arguments)
    monkeypatch.setenv("LC_ALL", "fr_FR.UTF-8")
    inherited = invoke(doctor_command, *arguments)
    as_json = invoke(doctor_command, "--json", *arguments)

    for result in (chosen, inherited):
        assert "PROBLÈME  port série : aucun adaptateur série USB trouvé" in result.stdout
        assert "          → Branchez l'adaptateur du BMS, ou nommez le port avec --device" in result.stdout
        assert "   omis  BMS : non examiné, car son port n'est pas connu" in result.stdout
        assert "à résoudre avant qu'un pont puisse marcher" in result.stdout
    found = {each["code"]: each for each in json.loads(as_json.stdout)["findings"]}
    assert found["doctor.no_adapter"]["text"] == "no USB serial adapter was found"


def test_a_bms_is_told_in_french(bms: str, invoke: Invoke) -> None:
    """Decimals with a comma, and the advice with its command as it is typed."""
    result = invoke(doctor_command, "--device", bms, "--lang", "fr", *CAN)

    assert "      ok  liaison : le BMS répond" in result.stdout
    assert re.search(r"ok {2}état : \S.*: \d+,\d\d V [+-]\d+,\d A, SOC \d+,\d %", result.stdout)
    assert re.search(r"tinybms-bridge settings set \w+=", result.stdout)
