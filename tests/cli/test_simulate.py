"""The command as a process, since its promises are about signals, output and links."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tinybms_bridge.cli.simulate import simulate_command
from tinybms_bridge.tinybms.frames import (
    Command,
    FloatValue,
    Framer,
    ReadModbus,
    Registers,
    Reply,
    Request,
    SimpleRequest,
)

WAIT_S = 20.0
START = [sys.executable, "-c", "from tinybms_bridge.cli import main; main()", "simulate"]


class Running:
    """A simulator process."""

    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen([*START, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.path = self.line()

    def line(self) -> str:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], WAIT_S)
        assert ready
        return self.process.stdout.readline().rstrip("\n")

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, out, err


def _ask(path: str, request: Request) -> Reply:
    """Ask until the simulator, which may still be starting, answers."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
    framer = Framer()
    framer.expect(request)
    try:
        os.write(descriptor, request.encode())
        end_s = time.monotonic() + WAIT_S
        while time.monotonic() < end_s and select.select([descriptor], [], [], 1.0)[0]:
            for event in framer.feed(os.read(descriptor, 4096)):
                assert isinstance(event, FloatValue | Registers)
                return event
    finally:
        os.close(descriptor)
    raise AssertionError("the simulator did not answer")


@pytest.fixture
def running() -> Iterator[list[Running]]:
    """Processes that are ended whatever happens."""
    processes: list[Running] = []
    yield processes
    for running in processes:
        if running.process.poll() is None:
            running.process.kill()
            running.process.communicate()


def test_the_capture_is_served_through_the_link_and_ended_by_a_signal(tmp_path: Path, running: list[Running]) -> None:
    """55.78 V from the real unit; SIGTERM ends it with 0 and takes the link away."""
    link = tmp_path / "tinybms"
    simulator = Running("--dump", "real", "--link", str(link), "--quiet")
    running.append(simulator)

    assert simulator.path.startswith("/dev/")
    assert str(link.readlink()) == simulator.path
    voltage = _ask(str(link), SimpleRequest(Command.PACK_VOLTAGE))
    code, out, err = simulator.end(signal.SIGTERM)

    assert isinstance(voltage, FloatValue)
    assert voltage.value == pytest.approx(55.78)
    assert (code, out, err) == (0, "", "")
    assert not os.path.lexists(link)


def test_a_simulated_pack_tells_its_state_and_ends_with_ctrl_c(running: list[Running]) -> None:
    """The options reach the pack; Ctrl-C is a clean end."""
    simulator = Running(
        "--cells", "8", "--chemistry", "lto", "--capacity-ah", "40", "--soc", "30", "--profile", "600:-20",
        "--firmware", "242", "--ambient-c", "5",
    )  # fmt: skip
    running.append(simulator)
    status = simulator.line()
    settings = _ask(simulator.path, ReadModbus(306, 2))
    version = _ask(simulator.path, ReadModbus(502, 1))
    code, _, err = simulator.end(signal.SIGINT)

    assert "SOC 30.0 %" in status
    assert "17." in status.split(" V")[0]
    assert "5.0 °C" in status
    assert settings == Registers(Command.READ_MODBUS, (4000, 8))
    assert version == Registers(Command.READ_MODBUS, (242,))
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--profile", "fast"], "use idle, cycle, charge, discharge, or seconds:amperes"),
        (["--baudrate", "115201"], "115201 baud is not a speed of this system"),
        (["--dump", "does-not-exist.json"], "No such file"),
    ],
)
def test_a_mistake_is_one_clear_line(options: list[str], message: str) -> None:
    """No traceback, and a code other than 0."""
    result = CliRunner().invoke(simulate_command, options)

    assert result.exit_code == 1
    assert result.output.startswith("error: ")
    assert message in result.output
    assert result.output.count("\n") == 1


@pytest.mark.parametrize(
    "options", [["--cells", "3"], ["--cells", "17"], ["--soc", "101"], ["--firmware", "255"], ["--chemistry", "lead"]]
)
def test_options_out_of_range_are_refused_with_the_usage(options: list[str]) -> None:
    """Click names the option and the range."""
    result = CliRunner().invoke(simulate_command, options)

    assert result.exit_code == 2
    assert options[0] in result.output


def test_a_broken_dump_is_told(tmp_path: Path) -> None:
    """The register at fault is named."""
    path = tmp_path / "unit.json"
    path.write_text('{"registers": {"36": 70000}}', encoding="utf-8")

    result = CliRunner().invoke(simulate_command, ["--dump", str(path)])

    assert result.exit_code == 1
    assert "register 36 = 70000" in result.output


def test_a_file_in_place_of_the_link_is_kept(tmp_path: Path) -> None:
    """A typing mistake costs nobody a file."""
    path = tmp_path / "notes.txt"
    path.write_text("mine", encoding="utf-8")

    result = CliRunner().invoke(simulate_command, ["--link", str(path)])

    assert result.exit_code == 1
    assert "not a symbolic link" in result.output
    assert path.read_text(encoding="utf-8") == "mine"


def test_the_help_shows_how_to_connect() -> None:
    """Someone without hardware gets from here to a running bridge."""
    output = CliRunner().invoke(simulate_command, ["--help"]).output

    assert "tinybms-bridge run --device" in output
    assert "--dump real" in output
    for option in ("cells", "chemistry", "capacity-ah", "soc", "profile", "firmware", "baudrate", "link", "speed"):
        assert f"--{option}" in output


def test_the_module_is_light() -> None:
    """Listing the commands does not load the simulator."""
    code = "import sys, tinybms_bridge.cli.simulate; print([name for name in sys.modules if 'simulator' in name])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"
