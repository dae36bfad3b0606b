import os
from pathlib import Path

import pytest

from tinybms_bridge.hal.processes import (
    Process,
    own_devices,
    port_holders,
    processes_holding,
    processes_listening,
    running_bridges,
    stop_command,
)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """An empty /proc."""
    folder = tmp_path / "proc"
    folder.mkdir()
    (folder / "uptime").write_text("1.0 1.0")
    return folder


def start(proc: Path, pid: int, *arguments: str, opened: tuple[Path, ...] = ()) -> None:
    """Put a process into a /proc."""
    folder = proc / str(pid)
    (folder / "fd").mkdir(parents=True)
    (folder / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in arguments))
    for number, path in enumerate(opened):
        (folder / "fd" / str(number)).symlink_to(path)


@pytest.mark.parametrize(
    "arguments",
    [
        ("/opt/venv/bin/tinybms-bridge", "run"),
        ("/usr/bin/python3", "/opt/venv/bin/tinybms-bridge", "run", "-c", "bridge.json"),
        ("python3.11", "-m", "tinybms_bridge", "demo"),
        ("/opt/venv/bin/python", "/opt/venv/bin/tinybms-bridge", "run-core"),
        ("python", "-I", "/site/tinybms_bridge/__main__.py", "run"),
        ("/opt/venv/bin/python", "/opt/venv/bin/tinybms-bridge", "run-core", "--socket", "/run/core.sock"),
    ],
)
def test_a_bridge_is_recognised_however_it_was_started(arguments: tuple[str, ...]) -> None:
    """By systemd, from a shell, or with python -m."""
    assert Process(7, arguments).is_bridge


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("/opt/venv/bin/tinybms-bridge", "simulate"),
        ("/opt/venv/bin/tinybms-bridge", "doctor"),
        ("/opt/venv/bin/tinybms-bridge", "run-services"),
        ("timeout", "30", "/opt/venv/bin/tinybms-bridge", "run"),
        ("vi", "tinybms-bridge", "run"),
        ("python3", "script.py", "run"),
        ("python3",),
        ("python3", "-m", "tinybms_bridge", "run-services"),
    ],
)
def test_other_programs_are_no_bridge(arguments: tuple[str, ...]) -> None:
    """The simulator, an editor, or what started the bridge."""
    assert not Process(7, arguments).is_bridge


def test_the_services_of_a_bridge_are_told_from_its_core() -> None:
    """The port of the pages is theirs, the serial port is the core's."""
    arguments = ("/opt/venv/bin/python", "-m", "tinybms_bridge", "run-services", "--socket", "/run/core.sock")

    assert Process(7, arguments).is_services
    assert not Process(7, ("tinybms-bridge", "run-core")).is_services


def test_a_process_is_named_for_people() -> None:
    """Short enough for a line, with the number to end it by."""
    assert str(Process(7, ("minicom", "-D", "/dev/ttyUSB0"))) == "minicom -D /dev/ttyUSB0 (process 7)"
    assert str(Process(7, ())) == "a program (process 7)"
    assert len(str(Process(7, ("x" * 500,)))) < 120


def test_the_holder_of_a_port_is_found_by_its_real_name(proc: Path, tmp_path: Path) -> None:
    """A port is named by a link, and opened by what the link leads to."""
    device, link = tmp_path / "ttyUSB0", tmp_path / "by-id"
    device.touch()
    link.symlink_to(device)
    start(proc, 7, "minicom", opened=(Path("/dev/null"), device))
    start(proc, 8, "other", opened=(Path("/dev/null"),))
    assert [process.pid for process in processes_holding(str(link), proc)] == [7]


def test_what_ends_or_is_forbidden_is_left_out(proc: Path, tmp_path: Path) -> None:
    """Processes end while /proc is read, and those of others show nothing."""
    start(proc, 7, "gone")
    (proc / "7" / "cmdline").unlink()
    (proc / "8").mkdir()
    (proc / "8" / "cmdline").write_bytes(b"hidden\0")
    assert processes_holding(str(tmp_path / "ttyUSB0"), proc) == []


def test_the_other_end_of_a_terminal_is_no_user_of_it(proc: Path) -> None:
    """A simulated BMS keeps its terminal open; a program that uses another one holds that."""
    start(proc, 7, "simulate", opened=(Path("/dev/ptmx"), Path("/dev/pts/3"), Path("/dev/pts/4")))
    (proc / "7" / "fdinfo").mkdir()
    (proc / "7" / "fdinfo" / "0").write_text("pos:\t0\nflags:\t0100002\nmnt_id:\t25\ntty-index:\t3\n")
    assert processes_holding("/dev/pts/3", proc) == []
    assert [each.pid for each in processes_holding("/dev/pts/4", proc)] == [7]


def test_the_real_proc_tells_the_other_end_of_a_terminal() -> None:
    """The format is the kernel's."""
    master, slave = os.openpty()
    try:
        path = os.ttyname(slave)
        assert path not in own_devices()
        assert processes_holding(path) == []
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize("content", ["        42\n", "42"])
def test_who_locks_a_port_uses_it(proc: Path, tmp_path: Path, content: str) -> None:
    """Terminal programs of other users show no open files, but a lock file that everybody may read."""
    locks = tmp_path / "lock"
    locks.mkdir()
    (locks / "LCK..ttyUSB0").write_text(content)
    start(proc, 42, "/usr/bin/minicom", "-D", "/dev/ttyUSB0")
    (proc / "42" / "fd").chmod(0)

    found = port_holders(["/dev/ttyUSB0", "/dev/ttyUSB1"], proc, locks)
    assert {port: [each.name for each in holders] for port, holders in found.items()} == {
        "/dev/ttyUSB0": ["minicom"],
        "/dev/ttyUSB1": [],
    }


@pytest.mark.parametrize("content", [b"", b"no number", b"\xff" * 200, b"999999", b"-1"])
def test_a_lock_that_names_nobody_is_none(proc: Path, tmp_path: Path, content: bytes) -> None:
    """It was left by a program that is gone, or is no lock file."""
    (tmp_path / "LCK..ttyUSB0").write_bytes(content)
    start(proc, 7, "other")

    assert port_holders(["/dev/ttyUSB0"], proc, tmp_path) == {"/dev/ttyUSB0": []}


def test_this_process_is_left_out(proc: Path, tmp_path: Path) -> None:
    """Who asks is not the one to be told about."""
    device = tmp_path / "ttyUSB0"
    start(proc, os.getpid(), "tinybms-bridge", "run", opened=(device,))
    assert processes_holding(str(device), proc) == []
    assert running_bridges(proc) == []


def test_running_bridges_are_found(proc: Path) -> None:
    """Their frames on the CAN bus are no surprise then."""
    start(proc, 7, "tinybms-bridge", "run")
    start(proc, 8, "tinybms-bridge", "simulate")
    start(proc, 9, "")
    assert [process.pid for process in running_bridges(proc)] == [7]


def test_the_real_proc_can_be_read() -> None:
    """The format is the kernel's: at least the first process is there for everybody."""
    assert all(process.pid != os.getpid() for process in processes_holding("/dev/null"))


def listen(proc: Path, table: str, *rows: str) -> None:
    """Put a table of sockets into a /proc, as proc(5) describes it."""
    (proc / "net").mkdir(exist_ok=True)
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
    (proc / "net" / table).write_text("\n".join([head, *rows, ""]))


def row(address: str, state: str, inode: int) -> str:
    """Return one row of such a table."""
    return f"   0: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  1000        0 {inode} 1 0"


def test_who_listens_on_a_port_is_found(proc: Path) -> None:
    """Over IPv4 and IPv6; a connection to such a port, and another port, are not meant."""
    listen(proc, "tcp", row("00000000:1F90", "0A", 11), row("0100007F:1F90", "01", 12), row("00000000:1F91", "0A", 13))
    listen(proc, "tcp6", row("00000000000000000000000000000000:1F90", "0A", 14))
    for pid, inode in ((101, 11), (102, 12), (103, 13), (104, 14)):
        start(proc, pid, f"program{pid}", opened=(Path(f"socket:[{inode}]"),))

    assert sorted(each.pid for each in processes_listening(8080, proc)) == [101, 104]


def test_a_kernel_without_ipv6_has_no_such_table(proc: Path) -> None:
    """The other one is read all the same; half a row says nothing."""
    listen(proc, "tcp", row("00000000:1F90", "0A", 11), "   1: 00000000:1F90")
    start(proc, 101, "nginx", opened=(Path("socket:[11]"),))

    assert [str(each) for each in processes_listening(8080, proc)] == ["nginx (process 101)"]
    assert processes_listening(81, proc) == []


@pytest.mark.parametrize(
    ("cgroup", "command"),
    [
        ("0::/system.slice/bridge.service\n", "sudo systemctl stop bridge.service"),
        ("12:cpu:/\n1:name=systemd:/system.slice/my.service\n", "sudo systemctl stop my.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/b.service\n", "systemctl --user stop b.service"),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", "kill 101"),
        ("0::/user.slice/user-1000.slice/user@1000.service\n", "kill 101"),
        ("0::/\n", "kill 101"),
        (None, "kill 101"),
    ],
)
def test_how_to_stop_a_bridge_is_told_as_it_was_started(proc: Path, cgroup: str | None, command: str) -> None:
    """A service that is only killed is started again; a unit that does not exist cannot be stopped."""
    start(proc, 101, "tinybms-bridge", "run")
    if cgroup is not None:
        (proc / "101" / "cgroup").write_text(cgroup)

    assert stop_command(Process(101, ("tinybms-bridge", "run")), proc) == command
