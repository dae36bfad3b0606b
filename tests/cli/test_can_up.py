"""``can up``, ``can down`` and ``can forget``: what they run and write, what they refuse, and with which words."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tinybms_bridge.cli.can import can_command
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal import can_devices, can_setup
from tinybms_bridge.hal.can_devices import CanDevice
from tinybms_bridge.hal.can_setup import NetworkdState

DOWN = CanDevice("can0", False, "stopped", kind="can", restart_ms=0, tx_queue_frames=10)
UP = replace(DOWN, up=True, state="error_active", bitrate_bps=500_000, restart_ms=100)


class Machine:
    """A machine with interfaces that a test chooses; commands are noted and not run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.devices: tuple[CanDevice, ...] = (DOWN,)
        self.ran: list[str] = []
        self.networkd = NetworkdState(True, True, True)
        self.uid = 0

    def run(self, command: Sequence[str]) -> str:
        self.ran.append(" ".join(command))
        return ""

    def call(self, *arguments: str) -> Result:
        """Return what a call of the command gives."""
        return CliRunner().invoke(can_command, [*arguments, "--lang", "en"])

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*"))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """With one interface that is down, for root, and without a configuration."""
    made = Machine(tmp_path / "network")
    monkeypatch.setenv("TINYBMS_BRIDGE_CONFIG", str(tmp_path / "none.json"))
    monkeypatch.setattr(can_devices, "can_devices", lambda: made.devices)
    monkeypatch.setattr(can_setup, "run_command", made.run)
    monkeypatch.setattr(can_setup, "find_ip", lambda: "/sbin/ip")
    monkeypatch.setattr(can_setup, "networkd_state", lambda: made.networkd)
    monkeypatch.setattr(can_setup, "reload_networkd", lambda: made.ran.append("reload"))
    monkeypatch.setattr(can_setup, "NETWORK_FOLDER", made.folder)
    monkeypatch.setattr(os, "geteuid", lambda: made.uid)
    return made


def test_up_sets_it_brings_it_up_and_makes_it_last(machine: Machine) -> None:
    """Without any argument: the configured interface and bit rate."""
    result = machine.call("up")
    assert machine.ran == [
        "/sbin/ip link set can0 type can bitrate 500000 restart-ms 100",
        "/sbin/ip link set can0 txqueuelen 10",
        "/sbin/ip link set can0 up",
        "reload",
    ]
    assert machine.files == ["80-tinybms-bridge-can0.network"]
    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        [
            "can0 is up: 500 kbit/s, restart-ms 100, queue 10",
            f"made for each start of the machine: {machine.folder}/80-tinybms-bridge-can0.network",
        ],
    )


def test_once_writes_nothing(machine: Machine) -> None:
    """And says so."""
    result = machine.call("up", "can0", "--bitrate", "250000", "--once")
    assert "until the next start of the machine only" in result.stdout
    assert "bitrate 250000" in machine.ran[0]
    assert machine.files == []


def test_one_that_is_up_as_it_should_be_is_not_disturbed(machine: Machine) -> None:
    """Only the file is written: a bridge that sends goes on."""
    machine.devices = (UP,)
    result = machine.call("up")
    assert machine.ran == ["reload"]
    assert "nothing was changed on it" in result.stdout
    assert machine.files == ["80-tinybms-bridge-can0.network"]


def test_a_dry_run_shows_all_of_it_and_needs_no_root(machine: Machine) -> None:
    """Commands and the content of the file."""
    machine.uid = 1000
    result = machine.call("up", "--dry-run", "--txqueuelen", "50")
    assert (result.exit_code, machine.ran, machine.files) == (0, [], [])
    for text in ("would run: /sbin/ip link set can0 up", "  BitRate=500000", "  TransmitQueueLength=50"):
        assert text in result.stdout


@pytest.mark.parametrize("command", ["up", "down"])
def test_without_root_the_whole_call_is_shown(machine: Machine, command: str) -> None:
    """To be copied, with sudo before it; nothing was tried."""
    machine.uid = 1000
    result = machine.call(command, "can0")
    assert (result.exit_code, machine.ran, machine.files) == (2, [], [])
    assert "error: this needs the rights of root (run: sudo " in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("up", "cann0"), "there is no CAN interface cann0 (did you mean can0?"),
        (("down", "can7"), "there is no CAN interface can7"),
        (("up", "vcan0"), "vcan0 is software and has no bit rate"),
    ],
)
def test_what_cannot_be_set_up_is_refused(machine: Machine, arguments: tuple[str, ...], told: str) -> None:
    """With the nearest name, before anything is touched."""
    machine.devices = (DOWN, CanDevice("vcan0", False, kind="vcan"))
    result = machine.call(*arguments)
    assert (result.exit_code, machine.ran) == (2, [])
    assert f"error: {told}" in result.stderr


def test_a_command_that_fails_ends_it_before_the_file(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file for what does not work would fail again at each start."""

    def fail(_command: Sequence[str]) -> str:
        raise LinkError("ip failed", hint="look")

    monkeypatch.setattr(can_setup, "run_command", fail)
    result = machine.call("up")
    assert (result.exit_code, result.stderr, machine.files) == (1, "error: ip failed (look)\n", [])


def test_a_read_only_etc_is_told_after_it_is_up(machine: Machine) -> None:
    """The interface works until the next start."""
    machine.folder.write_text("in the way")
    result = machine.call("up")
    assert (result.exit_code, machine.ran[-1]) == (1, "/sbin/ip link set can0 up")
    assert "cannot write" in result.stderr
    assert "--once says that this is wanted" in result.stderr


@pytest.mark.parametrize(
    ("networkd", "told"),
    [
        (NetworkdState(True, False), "sudo systemctl enable --now systemd-networkd.service"),
        (NetworkdState(False), "bring the interface up at each start with: sudo "),
    ],
)
def test_what_keeps_it_from_lasting_is_told(machine: Machine, networkd: NetworkdState, told: str) -> None:
    """With the command that helps."""
    machine.networkd = networkd
    assert told in machine.call("up").stdout


def test_down_says_that_it_comes_back(machine: Machine) -> None:
    """Where ``can up`` has made it last."""
    machine.call("up")
    machine.ran.clear()
    result = machine.call("down", "can0")
    assert machine.ran == ["/sbin/ip link set can0 down"]
    assert "tinybms-bridge can forget can0" in result.stdout


def test_forget_removes_what_up_has_made(machine: Machine) -> None:
    """Also when the adapter is gone; a second call has nothing to do and needs no root."""
    machine.call("up")
    machine.devices = ()
    assert "removed" in machine.call("forget", "can0").stdout
    assert machine.files == []
    machine.uid = 1000
    result = machine.call("forget", "can0")
    assert (result.exit_code, result.stdout) == (0, "can up has made nothing last for can0\n")


def test_a_bit_rate_that_no_bus_has_is_refused(machine: Machine) -> None:
    """The kernel would take 999999 for 1000000, and no later check would find it right."""
    result = machine.call("up", "--bitrate", "999999")
    assert (result.exit_code, machine.ran) == (2, [])
    assert "999999 is none of 25000, 50000" in result.stderr
