"""``can list`` and ``can check``: what they show of interfaces and adapters, for people and for programs."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tinybms_bridge.cli.can import can_command
from tinybms_bridge.hal import can_devices, can_usb
from tinybms_bridge.hal.can_devices import CanCounters, CanDevice
from tinybms_bridge.hal.can_usb import CanAdapter

COUNTED = CanCounters(bus_errors=7, tx_errors=2, bus_offs=3)
CAN0 = CanDevice(
    "can0", True, "error_passive", 500_000, kind="can", restart_ms=100, tx_queue_frames=10, counters=COUNTED
)
VCAN0 = CanDevice("vcan0", True, kind="vcan", tx_queue_frames=1000)


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two interfaces and an adapter on a serial port."""
    monkeypatch.setenv("TINYBMS_BRIDGE_CONFIG", str(tmp_path / "none.json"))
    monkeypatch.setattr(can_devices, "can_devices", lambda: (CAN0, VCAN0))
    monkeypatch.setattr(can_usb, "driver_of", lambda name: {"can0": "mcp251x"}.get(name, ""))
    canable = CanAdapter("slcan", "CANable", "ad50:60c4", port="/dev/ttyACM0")
    monkeypatch.setattr(can_usb, "find_can_adapters", lambda: (canable,))


def call(*arguments: str) -> Result:
    """Return what a call of the command gives."""
    return CliRunner().invoke(can_command, [*arguments, "--lang", "en"])


def test_the_list_shows_each_interface_in_a_line() -> None:
    """What a person compares: rate, state, restart, errors; and what to do with an adapter that is none."""
    lines = [line.split() for line in call("list").stdout.splitlines()]
    assert lines[0] == ["Interface", "Adapter", "Up", "kbit/s", "State", "restart-ms", "Queue", "Errors", "Bus-off"]
    assert lines[1] == ["can0", "mcp251x", "yes", "500", "error-passive", "100", "10", "9", "3"]
    assert lines[2][:3] == ["vcan0", "vcan", "(software)"]
    assert "Use it with hardware.can.interface slcan" in call("list").stdout


def test_the_list_for_programs_has_everything() -> None:
    """With the names of the API."""
    document = json.loads(call("list", "--json").stdout)
    can0, _ = document["interfaces"]
    assert (can0["bitrate_bps"], can0["counters"]["bus_offs"], can0["driver"]) == (500_000, 3, "mcp251x")
    assert document["adapters"][0]["port"] == "/dev/ttyACM0"


def test_nothing_at_all_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty table would leave people alone."""
    monkeypatch.setattr(can_devices, "can_devices", lambda: ())
    monkeypatch.setattr(can_usb, "find_can_adapters", lambda: ())
    assert call("list").stdout.startswith("No CAN interface and no CAN adapter was found.\nPlug the adapter in")


def test_a_check_ends_with_1_when_no_frame_can_reach_a_gx() -> None:
    """A warning alone is 0; each finding has its remedy below."""
    warned, wrong = call("check"), call("check", "can0", "--bitrate", "250000")
    assert (warned.exit_code, wrong.exit_code) == (0, 1)
    assert " WARNING  can0 is error-passive" in warned.stdout
    assert "can up can0 --bitrate 250000" in wrong.stdout


def test_a_check_for_programs_has_the_codes() -> None:
    """As those of the doctor."""
    document = json.loads(call("check", "can0", "--json").stdout)
    assert document["verdict"] == "warning"
    assert [each["code"] for each in document["findings"]] == ["can_fault.error_passive", "doctor.can_serial_adapter"]


def test_an_adapter_beside_the_kernel_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no interface to look at, which is no fault."""
    path = tmp_path / "bridge.json"
    path.write_text('{"hardware": {"can": {"interface": "slcan", "channel": "/dev/ttyACM0"}}}')
    result = call("check", "-c", str(path))
    assert (result.exit_code, "slcan:/dev/ttyACM0 is no interface of the kernel" in result.stdout) == (0, True)


def test_a_configuration_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """It says which interface is meant."""
    path = tmp_path / "bridge.json"
    path.write_text("{")
    assert call("check", "-c", str(path)).exit_code == 2
