"""The command as a process, since its promises are about signals, output and links."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import tinybms_lab.bms
from tinybms_bridge.cli.simulate import simulate_command
from tinybms_bridge.tinybms.frames import (
    CommandCode,
    FloatValue,
    Framer,
    ReadModbus,
    RegistersReply,
    Reply,
    Request,
    SimpleRequest,
)

WAIT_S = 30.0
START = [sys.executable, "-c", "from tinybms_bridge.cli import main; main()", "simulate"]


class Running:
    """A simulator process."""

    def __init__(self, *options: str) -> None:
        pipe = subprocess.PIPE  # without a buffer here, in which a second line would not be seen by ``select``
        self.process = subprocess.Popen([*START, *options], stdout=pipe, stderr=pipe, bufsize=0)
        self.path = self.line()

    def line(self) -> str:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], WAIT_S)
        assert ready
        return self.process.stdout.readline().decode().rstrip("\n")

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, out.decode(), err.decode()


def _ask(path: str, request: Request) -> Reply:
    """Ask until the simulator, which may still be starting, answers."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
    framer = Framer()
    framer.expect(request)
    try:
        os.write(descriptor, request.encode())
        end_s = time.monotonic() + WAIT_S
        while time.monotonic() < end_s and select.select([descriptor], [], [], WAIT_S)[0]:
            for event in framer.feed(os.read(descriptor, 4096)):
                assert isinstance(event, FloatValue | RegistersReply)
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
    voltage = _ask(str(link), SimpleRequest(CommandCode.PACK_VOLTAGE))
    code, out, err = simulator.end(signal.SIGTERM)

    assert isinstance(voltage, FloatValue)
    assert voltage.value == pytest.approx(55.78)
    assert (code, out, err) == (0, "", "")
    assert not os.path.lexists(link)


def test_a_simulated_pack_tells_its_state_and_ends_with_ctrl_c(running: list[Running]) -> None:
    """The options reach the pack; Ctrl-C is a clean end."""
    simulator = Running(
        "--cells", "8", "--chemistry", "lto", "--capacity-ah", "40", "--soc", "30", "--profile", "600:-2",
        "--firmware", "242", "--ambient-c", "5",
    )  # fmt: skip
    running.append(simulator)
    status = simulator.line()
    while " SOC " not in status:  # events of the BMS are told as well
        status = simulator.line()
    settings = _ask(simulator.path, ReadModbus(306, 2))
    version = _ask(simulator.path, ReadModbus(502, 1))
    code, _, err = simulator.end(signal.SIGINT)

    assert "SOC 30.0 %" in status
    assert "17." in status.split(" V")[0]
    assert "5.0 °C" in status
    assert settings == RegistersReply(CommandCode.READ_MODBUS, (4000, 8))
    assert version == RegistersReply(CommandCode.READ_MODBUS, (242,))
    assert (code, err) == (0, "")


def test_a_scenario_plays_and_tells_its_notes_and_events(running: list[Running]) -> None:
    """A cold morning in seconds: notes, events and a state line; its pack is the one that is served."""
    simulator = Running("--scenario", "cold-morning", "--speed", "100")
    running.append(simulator)
    lines = [simulator.line() for _ in range(5)]
    settings = _ask(simulator.path, ReadModbus(306, 2))
    code, out, err = simulator.end(signal.SIGINT)

    assert lines[0].startswith("# cold-morning: A frosty morning")
    assert "# lamps and a kettle: 12 A" in lines
    assert "0:00:00  event 0x37 too cold to charge" in lines
    assert "too cold to charge!" in (lines[-1] + out)
    assert settings == RegistersReply(CommandCode.READ_MODBUS, (10000, 16))
    assert (code, err) == (0, "")


def test_a_scenario_from_a_file_brings_its_bms_and_its_way_of_speaking(tmp_path: Path, running: list[Running]) -> None:
    """The tables for BMS and settings, and nothing printed when that is wished."""
    path = tmp_path / "mine.toml"
    path.write_text(
        'title = "mine"\nduration = "1min"\n[pack]\ncells = 5\n[bms]\nfirmware = 242\n'
        '[settings]\nallowed_disbalance = 0.042\n[[step]]\nat = "0s"\nnote = "unheard"\n',
        encoding="utf-8",
    )
    simulator = Running("--scenario", str(path), "--quiet")
    running.append(simulator)
    seen = [_ask(simulator.path, ReadModbus(address, 1)) for address in (307, 308, 502)]
    code, out, err = simulator.end()

    assert seen == [RegistersReply(CommandCode.READ_MODBUS, (value,)) for value in (5, 42, 242)]
    assert (code, out, err) == (0, "", "")


def test_faults_reach_the_line(running: list[Running]) -> None:
    """Every reply is lost, though every request is counted."""
    simulator = Running("--fault", "silence=1", "--seed", "5")
    running.append(simulator)
    descriptor = os.open(simulator.path, os.O_RDWR | os.O_NOCTTY)
    os.write(descriptor, SimpleRequest(CommandCode.STATUS).encode())
    answered = select.select([descriptor], [], [], 0.5)[0]
    os.close(descriptor)
    code, _, err = simulator.end()

    assert answered == []
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    ("options", "chunk"),
    [([], None), (["--chunk", "64"], 64), (["--scenario", "FILE"], 32), (["--scenario", "FILE", "--chunk", "1"], 1)],
)
def test_the_line_delivers_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], chunk: int | None
) -> None:
    """By option or by scenario; the option wins."""
    path = tmp_path / "mine.toml"
    path.write_text('title = "mine"\nduration = "1min"\n[line]\nchunk = 32\n', encoding="utf-8")
    made: list[int | None] = []

    def make(*_device: object, chunk: int | None, **_others: object) -> None:
        made.append(chunk)
        raise OSError("no terminal")

    monkeypatch.setattr(tinybms_lab.bms, "PtyServer", make)
    result = CliRunner().invoke(simulate_command, [option.replace("FILE", str(path)) for option in options])

    assert result.output == "error: no terminal\n"
    assert made == [chunk]


def test_the_scenarios_are_listed() -> None:
    """Name, title and length of each, and nothing is started."""
    result = CliRunner().invoke(simulate_command, ["--list-scenarios"])
    lines = result.output.splitlines()

    assert result.exit_code == 0
    assert len(lines) == 8
    assert lines[0].startswith("cell-failure ")
    assert lines[-1] == "sleep                 Idle for hours: asleep, woken by a load and by a charger (3:00:00)"


def test_every_mistake_in_a_scenario_file_is_told(tmp_path: Path) -> None:
    """One line each, with file, line, key and what is allowed; code 2."""
    path = tmp_path / "bad.toml"
    path.write_text(
        'title = "x"\nduration = "long"\n[pack]\ncells = 3\n[[step]]\nat = "1s"\nwarp = 9\n', encoding="utf-8"
    )
    result = CliRunner().invoke(simulate_command, ["--scenario", str(path)])
    lines = result.output.splitlines()

    assert result.exit_code == 2
    assert lines[0] == (
        f'error: {path}: line 2: duration = \'long\': must be a time such as "90s", "5min", "2h" or "1h 30min"'
    )
    assert lines[1] == f"error: {path}: line 4: pack.cells = 3: must be a whole number of 4 to 16"
    assert lines[2].startswith(f"error: {path}: line 7: step[1].warp: is not known: use at, current_a, charger")
    assert len(lines) == 3


def test_a_scenario_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    """In one line."""
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    result = CliRunner().invoke(simulate_command, ["--scenario", str(path)])

    assert result.exit_code == 1
    assert result.output.startswith("error: ")
    assert result.output.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scenario", "warm-evening"], "warm-evening is neither a file nor one of cell-failure, charge-to-full"),
        (["--scenario", "sleep", "--cells", "4", "--dump", "real"], "leave out --cells, --dump"),
        (["--fault", "bit_flip=2"], "the probability of bit_flip is a number of 0 to 1"),
        (["--fault", "fire=0.1"], "use name=probability with bit_flip, lost_byte"),
        (["--seed", "x"], "--seed"),
        (["--chunk", "0"], "--chunk"),
    ],
)
def test_mistakes_in_the_new_options_are_refused_with_the_usage(options: list[str], message: str) -> None:
    """What is allowed, and code 2."""
    result = CliRunner().invoke(simulate_command, options)

    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


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
    for option in ("cells", "chemistry", "capacity-ah", "soc", "profile", "firmware", "baudrate", "link", "speed",
                   "scenario", "list-scenarios", "fault", "seed", "chunk"):  # fmt: skip
        assert f"--{option}" in output


def test_the_module_is_light() -> None:
    """Listing the commands does not load the simulator."""
    code = "import sys, tinybms_bridge.cli.simulate; print([name for name in sys.modules if 'simulator' in name])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"


def test_several_packs_are_a_folder_of_ports(tmp_path: Path, running: list[Running]) -> None:
    """A port each, with a serial number each; a pack that is pulled and put back has its port under the same name."""
    folder = tmp_path / "packs"
    simulator = Running("--packs", "2", "--link", str(folder), "--profile", "idle", "--quiet")
    running.append(simulator)
    paths = [simulator.path, simulator.line()]
    assert paths == [f"a  {folder}/a", f"b  {folder}/b"]

    serials = []
    for name in "ab":
        reply = _ask(str(folder / name), ReadModbus(504, 6))
        assert isinstance(reply, RegistersReply)
        serials.append(reply.values)
    assert serials[0] != serials[1]

    (folder / "control").write_text("pull b\n")
    _until(lambda: not (folder / "b").is_symlink())
    (folder / "control").write_text("plug b\n")
    _until((folder / "b").exists)
    assert _ask(str(folder / "b"), ReadModbus(504, 6)).values == serials[1]  # type: ignore[union-attr]

    code, out, err = simulator.end()
    assert (code, out, err) == (0, "", "")
    assert list(folder.iterdir()) == []


def _until(condition: Callable[[], bool]) -> None:
    """Wait until something is true."""
    end_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def test_packs_make_their_own_battery() -> None:
    """A scenario, or a capture, is one pack."""
    for other in (["--scenario", "cold-morning"], ["--dump", "real"]):
        result = CliRunner().invoke(simulate_command, ["--packs", "2", *other])

        assert result.exit_code == 2
        assert "--packs makes packs of its own" in result.output


def test_a_place_that_is_taken_is_told(tmp_path: Path) -> None:
    """The folder of the ports is a file, or a file stands where a port should be."""
    taken = tmp_path / "taken"
    taken.write_text("mine")
    (tmp_path / "a").write_text("mine")
    for link in (taken, tmp_path):
        result = CliRunner().invoke(simulate_command, ["--packs", "2", "--link", str(link)])

        assert result.exit_code == 1
        assert "Traceback" not in result.output
    assert not (tmp_path / "control").exists()
