"""Bringing a CAN interface up: the commands, the files, and what keeps either from working."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal import can_setup
from tinybms_bridge.hal.can_devices import CanDevice
from tinybms_bridge.hal.can_setup import (
    NetworkdState,
    WantedLink,
    choose_device,
    find_ip,
    forget_files,
    made_files,
    networkd_state,
    plan_up,
    run_command,
    write_files,
)

DOWN = CanDevice("can0", False, "stopped", kind="can", restart_ms=0, tx_queue_frames=10)
UP = replace(DOWN, up=True, state="error_active", bitrate_bps=500_000, restart_ms=100)
VCAN = CanDevice("vcan0", True, kind="vcan")


def words(plan: can_setup.LinkPlan) -> list[str]:
    """Return the commands as a person types them."""
    return [" ".join(command) for command in plan.commands]


def test_an_interface_that_is_down_is_set_and_brought_up() -> None:
    """In the order that the kernel wants: what concerns the controller only while it is down."""
    assert words(plan_up(DOWN, WantedLink())) == [
        "ip link set can0 type can bitrate 500000 restart-ms 100",
        "ip link set can0 txqueuelen 10",
        "ip link set can0 up",
    ]


def test_one_that_is_up_and_wrong_goes_down_first() -> None:
    """And modes in which nothing is sent are switched off."""
    wrong = replace(UP, bitrate_bps=250_000, modes=("listen_only", "one_shot", "bus_error_reporting"))
    assert words(plan_up(wrong, WantedLink(queue_frames=50))) == [
        "ip link set can0 down",
        "ip link set can0 type can bitrate 500000 restart-ms 100 listen-only off one-shot off",
        "ip link set can0 txqueuelen 50",
        "ip link set can0 up",
    ]


@pytest.mark.parametrize(
    "device",
    [
        replace(UP, state="bus_off"),
        replace(UP, restart_ms=0),
        replace(UP, tx_queue_frames=1000),
        replace(UP, modes=("loopback",)),
        replace(UP, up=False),
    ],
)
def test_only_what_is_as_it_should_be_is_left_alone(device: CanDevice) -> None:
    """A bridge that sends is not disturbed; a controller that is bus-off is started anew."""
    assert plan_up(UP, WantedLink()).commands == ()
    assert plan_up(device, WantedLink()).commands


def test_software_has_no_bit_rate() -> None:
    """The hint has the command for it."""
    with pytest.raises(LinkError, match=r"vcan0 is software and has no bit rate \(bring it up with: sudo ip link"):
        plan_up(VCAN, WantedLink())


def test_the_file_of_networkd_has_the_same_settings(tmp_path: Path) -> None:
    """And keeps nobody waiting for a network at the start; another queue needs a file of udev."""
    assert plan_up(DOWN, WantedLink(), lasting=False).files == {}
    ((path, content),) = plan_up(DOWN, WantedLink(), folder=tmp_path).files.items()
    assert path == tmp_path / "80-tinybms-bridge-can0.network"
    assert content == (
        "# Made by: tinybms-bridge can up. Removed by: tinybms-bridge can forget.\n"
        "[Match]\nName=can0\n\n[Link]\nRequiredForOnline=no\n\n[CAN]\nBitRate=500000\nRestartSec=100ms\n"
    )
    files = plan_up(DOWN, WantedLink(250_000, 50, 40), folder=tmp_path).files
    text = "".join(files.values())
    assert [path.name for path in files] == ["80-tinybms-bridge-can0.network", "60-tinybms-bridge-can0.link"]
    assert all(line in text for line in ("BitRate=250000", "RestartSec=50ms", "TransmitQueueLength=40"))


def test_files_are_written_replaced_and_forgotten(tmp_path: Path) -> None:
    """What an earlier call made and this one does not need goes; files of others stay."""
    folder = tmp_path / "systemd" / "network"
    write_files("can0", plan_up(DOWN, WantedLink(queue_frames=40), folder=folder).files, folder)
    assert len(made_files("can0", folder)) == 2
    files = plan_up(DOWN, WantedLink(), folder=folder).files
    (folder / "10-eth0.network").touch()

    write_files("can0", files, folder)

    assert {path: path.read_text() for path in made_files("can0", folder)} == files
    assert made_files("can1", folder) == []
    assert forget_files("can0", folder) == list(files)
    assert forget_files("can0", folder) == []
    assert [path.name for path in folder.iterdir()] == ["10-eth0.network"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """As a read-only root: what stands, and that the interface is up only until the next start."""
    (tmp_path / "network").write_text("no folder")
    folder = tmp_path / "network"
    with pytest.raises(LinkError, match=r"cannot write .*80-tinybms-bridge-can0.network: .*\(the interface is up, but"):
        write_files("can0", plan_up(DOWN, WantedLink(), folder=folder).files, folder)


def test_the_interface_that_is_meant_is_found() -> None:
    """By name, by configuration, or because there is no other."""
    can1 = replace(UP, name="can1")
    assert choose_device("vcan0", "can0", [UP, VCAN]) is VCAN
    assert choose_device(None, "can1", [UP, can1]) is can1
    assert choose_device(None, "", [UP, VCAN]) is UP
    with pytest.raises(LinkError, match=r"there is no CAN interface cann0 \(did you mean can0\? there are can0, vcan0"):
        choose_device("cann0", "", [UP, VCAN])
    with pytest.raises(LinkError, match=r"there are several CAN interfaces \(name one of can0, can1\)"):
        choose_device(None, "can7", [UP, can1, VCAN])
    with pytest.raises(LinkError, match=r"there is no CAN interface \(tinybms-bridge can list"):
        choose_device(None, "can0", [])


def test_a_machine_without_iproute2_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the package that has it."""
    monkeypatch.setattr(shutil, "which", lambda *_args, **_options: None)
    with pytest.raises(
        LinkError, match=r"the program ip is not installed \(install it with: sudo apt install iproute2\)"
    ):
        find_ip()


def test_what_a_command_says_when_it_fails_is_told() -> None:
    """In its own words, in one line; a bit rate is the usual reason for a refusal."""
    program = "import sys; print('RTNETLINK answers:\\nInvalid argument', file=sys.stderr); sys.exit(2)"
    with pytest.raises(LinkError, match=r"failed: RTNETLINK answers: Invalid argument \(the controller may not"):
        run_command((sys.executable, "-c", program, "bitrate"))
    with pytest.raises(LinkError, match="no_such_program failed: No such file"):
        run_command(("no_such_program",))
    assert run_command((sys.executable, "-c", "print('done')")) == "done\n"


def test_a_command_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's network lock may be held for ever by a driver that fails."""

    def hang(command: tuple[str, ...], **_options: object) -> None:
        raise subprocess.TimeoutExpired(command, 20.0)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(LinkError, match="ip link failed: no answer in 20 s"):
        run_command(("ip", "link"))


@pytest.mark.parametrize(
    ("enabled", "active", "state"),
    [
        ("enabled", "active", NetworkdState(True, True, True)),
        ("disabled", "inactive", NetworkdState(True, False, False)),
        ("masked", "inactive", NetworkdState(True, False, False)),
        ("not-found", "inactive", NetworkdState(False)),
        ("", "", NetworkdState(False)),
    ],
)
def test_whether_networkd_brings_it_up_is_known(
    tmp_path: Path, enabled: str, active: str, state: NetworkdState
) -> None:
    """A file has no effect where nobody reads it."""
    answers = {"is-enabled": enabled, "is-active": active}
    assert networkd_state(answers.__getitem__, tmp_path) == state
    assert networkd_state(answers.__getitem__, tmp_path / "none") == NetworkdState(False)
