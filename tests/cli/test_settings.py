"""The commands against a simulated BMS on a pseudo-terminal, which runs in a thread as in another terminal."""

import asyncio
import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tinybms_bridge.battery.advice import advise
from tinybms_bridge.battery.limits import Chemistry
from tinybms_bridge.cli import settings as module
from tinybms_bridge.cli.common import run_until_signal
from tinybms_bridge.cli.settings import settings_command
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.tinybms.live import decode_ratings
from tinybms_bridge.tinybms.settings import all_settings
from tinybms_lab.bms import Dump, DumpDevice, PtyServer, SimulatedBms, real_dump

Run = Callable[..., Result]


SERIAL = {504 + i: 0x4D00 + i for i in range(6)}
REGISTERS = {
    **dict.fromkeys(range(16), 33000), 40: 3300, 41: 3300, 42: 0x8000, 43: 0x8000, 48: 250, 50: 0x97, 53: 16,
    300: 3600, 301: 2800, 303: 3400, 304: 2000, 305: 180, 306: 10000, 307: 16, 308: 15, 310: 20, 311: 5, 312: 1, 314: 2,
    315: 3750, 316: 2500, 317: 150, 318: 30, 319: 60, 320: 1, 321: 80, 322: 1000, 323: 0xFFFF, 328: 0xFFFF, 330: 1,
    332: 5, 333: 1, 335: 1, 500: 0x0102, 501: 0x0301, 502: 254, 503: 0x0518, **SERIAL,
}  # fmt: skip
"""A rested 16-cell LFP battery of 100 Ah on a high-power board with firmware 254."""


class Unit:
    """A BMS on a port. ``spoil`` maps the number of a write, from 1, to ``refuse``, ``ignore`` or ``silence``."""

    def __init__(self, device: SimulatedBms | DumpDevice) -> None:
        self.device = device
        self.written: list[int] = []
        self.spoil: dict[int, str] = {}
        self.silent = False
        self._write, self._hear = device.write, device.hear
        setattr(device, "write", self._spoiled_write)  # noqa: B010 -- mypy forbids to assign to a method
        setattr(device, "hear", lambda: not self.silent and self._hear())  # noqa: B010
        self._server = PtyServer(device, SystemClock())
        self._server.open()
        self.path = self._server.path
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(30.0)

    def _spoiled_write(self, pairs: Sequence[tuple[int, int]]) -> bool:
        self.written.append(pairs[0][0])
        how = self.spoil.get(len(self.written))
        self.silent = how == "silence"
        return how == "ignore" or (how != "refuse" and self._write(pairs))

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._ready.set)
        await self._server.run()

    def close(self) -> None:
        """Unplug it."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._server.close)
        self._thread.join(30.0)


@pytest.fixture
def plug() -> Iterator[Callable[[SimulatedBms | DumpDevice], Unit]]:
    """Return a function that plugs a device in; all are unplugged at the end."""
    units: list[Unit] = []

    def make(device: SimulatedBms | DumpDevice) -> Unit:
        units.append(Unit(device))
        return units[-1]

    yield make
    for unit in units:
        unit.close()


@pytest.fixture
def unit(plug: Callable[[DumpDevice], Unit]) -> Unit:
    """The unit of most tests."""
    return plug(DumpDevice(Dump({}, REGISTERS), SystemClock(), asleep_allowed=False))


@pytest.fixture
def run(unit: Unit) -> Run:
    """Return a function that runs a command on the port of the unit."""

    def invoke(*arguments: str, answer: str = "") -> Result:
        command, *rest = arguments
        extra = ["--settle-s", "0.05"] if command in {"set", "restore", "action"} else []
        return CliRunner().invoke(settings_command, [command, "--device", unit.path, *extra, *rest], input=answer)

    return invoke


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody sits at the keyboard."""

    class Keyboard:
        def __getattr__(self, name: str) -> Any:
            return (lambda: True) if name == "isatty" else getattr(sys.stdin, name)

    class System:
        stdin = Keyboard()

        def __getattr__(self, name: str) -> Any:
            return getattr(sys, name)

    monkeypatch.setattr(module, "sys", System())


def register(unit: Unit, address: int) -> int:
    """Return a register of the unit."""
    words = unit.device.read(address, 1)
    assert words is not None
    return words[0]


def test_show_lists_every_setting(run: Run) -> None:
    """With register, value and unit; the unit is named."""
    result = run("show")

    assert result.exit_code == 0
    assert "firmware 2.3.254, 16 cells" in result.output
    for name in all_settings():
        assert f" {name} " in result.output
    assert "3.75" in result.output


def test_show_with_limits_tells_whose_they_are(run: Run) -> None:
    """Allowed values and defaults."""
    result = run("show", "--limits")

    assert result.exit_code == 0
    row = next(line for line in result.output.splitlines() if " series_cells " in line)
    assert row.split() == ["307", "series_cells", "16", "cells", "4", "to", "16", "bms", "16"]


def test_show_as_json_is_for_programs(run: Run) -> None:
    """One object on standard output."""
    document = json.loads(run("show", "--json").output)

    assert document["identity"]["firmware_internal"] == 254
    assert {entry["name"]: entry["value"] for entry in document["settings"]}["over_voltage_cutoff_v"] == 3.75


def test_set_shows_writes_and_reports(unit: Unit, run: Run) -> None:
    """Old and new, progress for each register, the outcome of each."""
    result = run("set", "over_voltage_cutoff_v=3.7", "fully_charged_voltage_v=3.5", "series_cells=16", "--yes")

    assert result.exit_code == 0
    assert "order of registers: 315, 300" in result.stdout
    assert "1 more hold the wanted value already" in result.stdout
    assert result.stderr.splitlines() == ["over_voltage_cutoff_v: written", "fully_charged_voltage_v: written"]
    rows = [
        line.split() for line in result.stdout.splitlines() if line.endswith("written") or "written" in line.split()
    ]
    assert ["300", "fully_charged_voltage_v", "3.6", "3.5", "V", "written"] in rows
    assert (register(unit, 300), register(unit, 315)) == (3500, 3700)
    assert unit.written == [315, 300]


def test_a_dry_run_writes_nothing(unit: Unit, run: Run) -> None:
    """All is checked and shown."""
    result = run("set", "over_voltage_cutoff_v=3.7", "operation_mode=single_port", "--dry-run")

    assert result.exit_code == 0
    assert "dry run: nothing was written" in result.stdout
    assert "WARNING: operation_mode: the BMS restarts by itself" in result.stderr
    assert unit.written == []


def test_setting_what_is_there_writes_nothing(unit: Unit, run: Run) -> None:
    """And asks nothing."""
    result = run("set", "over_voltage_cutoff_v=3.75")

    assert result.exit_code == 0
    assert "nothing to write" in result.stdout
    assert unit.written == []


def test_mistakes_that_need_no_bms_are_told_without_one() -> None:
    """All of them, and the exit status 2; no port is opened."""
    words = ["foo", "over_voltage_cutoff=3", "over_voltage_cutoff_v=x", "pack_voltage=1", "ignition=a", "ignition=b"]
    result = CliRunner().invoke(settings_command, ["set", "--device", "/dev/does-not-exist", *words])

    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "error: foo: is not of the form NAME=VALUE",
        "error: over_voltage_cutoff = '3': the name with its unit is over_voltage_cutoff_v",
        "error: over_voltage_cutoff_v = x: is not a number in V, without the unit",
        "error: pack_voltage = '1': register 36 can only be read",
        "error: ignition = b: is given more than once",
        "nothing was written",
    ]


def test_mistakes_that_the_bms_knows_are_told_together(unit: Unit, run: Run) -> None:
    """Ranges, choices and rules; nothing is written."""
    result = run("set", "series_cells=17", "distance_unit=furlong", "fully_charged_voltage_v=3.745", "--yes")

    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "error: series_cells = 17: allowed by the BMS are whole numbers 4 to 16 cells",
        "error: distance_unit = furlong: allowed by the BMS are meter, kilometer, feet, mile, yard",
        "error: fully_charged_voltage_v (3.745 V) must be at least 10 mV below over_voltage_cutoff_v (3.75 V)",
        "nothing was written",
    ]
    assert unit.written == []


def test_nobody_to_ask_means_no(unit: Unit, run: Run) -> None:
    """A script must say --yes, and --confirm for what cuts power."""
    plain = run("set", "battery_capacity_ah=50")
    grave = run("set", "load_switch_type=aido1", "--yes")
    both = run("set", "load_switch_type=aido1")

    assert [result.exit_code for result in (plain, grave, both)] == [2, 2, 2]
    assert "this needs --yes, because nobody can be asked here" in plain.stderr
    assert "this needs --confirm, because nobody can be asked here" in grave.stderr
    assert "this needs --yes and --confirm, because" in both.stderr
    assert unit.written == []
    assert run("set", "load_switch_type=aido1", "--yes", "--confirm").exit_code == 0
    assert unit.written == [331]


@pytest.mark.parametrize(
    ("answers", "code", "written"),
    [("y\ny\n", 0, [331]), ("n\n", 1, []), ("y\nn\n", 1, []), ("", 1, [])],
    ids=["yes twice", "no", "yes and no", "end of input"],
)
def test_questions_at_a_terminal(
    unit: Unit, run: Run, terminal: None, answers: str, code: int, written: list[int]
) -> None:
    """What cuts power is asked a second time, with what it does."""
    result = run("set", "load_switch_type=aido1", answer=answers)

    assert result.exit_code == code
    assert "Write 1 setting(s) to the BMS?" in result.stderr
    assert ("the load is switched through another output" in result.stderr.partition("second yes")[2]) == (
        answers.startswith("y")
    )
    assert unit.written == written


@pytest.mark.usefixtures("soon_silent")
@pytest.mark.parametrize(("how", "outcome"), [("refuse", "refused"), ("ignore", "differs"), ("silence", "no answer")])
def test_a_failure_is_reported_per_register_and_can_be_made_good(unit: Unit, run: Run, how: str, outcome: str) -> None:
    """Exit status 1, the rest untouched; the same command again completes the job."""
    words = ("battery_capacity_ah=50", "over_voltage_cutoff_v=3.7", "ignition=dido1", "--yes")
    unit.spoil = {2: how}
    first = run("set", *words)
    unit.silent, unit.spoil = False, {}

    assert first.exit_code == 1
    lines = first.stderr.splitlines()
    assert "battery_capacity_ah: written" in lines
    assert any(line.startswith(f"over_voltage_cutoff_v: {outcome}") for line in lines)
    assert "ignition: not tried: something before it failed" in lines
    assert "not complete; the same command again does what is left" in lines
    assert unit.written == [306, 315]
    assert register(unit, 334) == 0

    second = run("set", *words)

    assert second.exit_code == 0
    assert (register(unit, 306), register(unit, 315), register(unit, 334)) == (5000, 3700, 3)
    assert 306 not in unit.written[2:]


def test_backup_diff_and_restore(unit: Unit, run: Run, tmp_path: Path) -> None:
    """The round trip of a user: save, change, compare, bring back."""
    file = tmp_path / "pack.json"
    saved = run("backup", str(file))
    same = run("diff", str(file))
    run("set", "over_voltage_cutoff_v=3.7", "ignition=dido1", "--yes")
    differs = run("diff", str(file))
    restored = run("restore", str(file), "--yes")
    again = run("restore", str(file), "--yes")

    assert saved.exit_code == 0
    assert "38 settings of serial number" in saved.stdout
    assert json.loads(file.read_text(encoding="utf-8"))["settings"]["over_voltage_cutoff_v"] == 3.75
    assert same.stdout.splitlines()[-1] == "no difference"
    assert differs.exit_code == 0
    rows = [line.split() for line in differs.stdout.splitlines()]
    assert ["315", "over_voltage_cutoff_v", "3.7", "3.75", "V"] in rows
    assert ["334", "ignition", "dido1", "disabled"] in rows
    assert restored.exit_code == 0
    assert (register(unit, 315), register(unit, 334)) == (3750, 0)
    assert "nothing to write" in again.stdout


def test_a_second_backup_keeps_the_first(run: Run, tmp_path: Path) -> None:
    """As FILE.bak."""
    file = tmp_path / "pack.json"
    run("backup", str(file))
    run("set", "battery_capacity_ah=50", "--yes")
    run("backup", str(file))

    values = [json.loads(path.read_text(encoding="utf-8"))["settings"] for path in (file, tmp_path / "pack.json.bak")]
    assert [each["battery_capacity_ah"] for each in values] == [50, 100]


def test_a_backup_of_another_battery_needs_force(
    unit: Unit, run: Run, plug: Callable[[DumpDevice], Unit], tmp_path: Path
) -> None:
    """The 14-cell unit of the capture onto the 16-cell one: firmware and cells differ."""
    file = tmp_path / "other.json"
    other = plug(DumpDevice(real_dump(), SystemClock()))
    CliRunner().invoke(settings_command, ["backup", "--device", other.path, str(file)])

    refused = run("restore", str(file), "--yes")
    shown = run("restore", str(file), "--force", "--dry-run")

    assert refused.exit_code == 2
    assert "the backup is of 14 cells in series, this BMS is set to 16; nothing is written unless" in refused.stderr
    assert shown.exit_code == 0
    assert "the backup is of another unit" in shown.stderr
    assert "the backup is of firmware 2.3.242, this BMS has firmware 2.3.254" in shown.stderr
    assert "WARNING: series_cells" in shown.stderr
    assert unit.written == []


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        (None, ["cannot be read: No such file or directory"]),
        ("{}", ['is no backup: "format" must be "tinybms-settings"']),
        (
            '{"format": "tinybms-settings", "version": 1, "created": "", "identity": {}, "settings": {"x": 1}}',
            [
                "identity.hardware_version: must be a text",
                "x = 1: no setting has this name",
                "series_cells: is missing",
            ],
        ),
    ],
)
@pytest.mark.parametrize("command", ["diff", "restore"])
def test_a_bad_file_is_told_before_a_port_is_opened(
    command: str, content: str | None, messages: list[str], tmp_path: Path
) -> None:
    """Every mistake, with the file's name, and exit status 2."""
    file = tmp_path / "pack.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    result = CliRunner().invoke(settings_command, [command, str(file), "--device", "/dev/does-not-exist"])

    assert result.exit_code == 2
    for message in messages:
        assert f"error: {file}" in result.stderr
        assert message in result.stderr


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing/pack.json", "the folder {0}/missing does not exist; make it with: mkdir -p {0}/missing"),
        ("file/pack.json", "{0}/file is no folder"),
        ("pipe", "it is no regular file"),
    ],
)
def test_a_backup_that_cannot_be_written_is_refused_before_the_bms_is_read(
    name: str, reason: str, tmp_path: Path
) -> None:
    """Reading takes seconds, and a folder that a typo names is not made."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    os.mkfifo(tmp_path / "pipe")

    result = CliRunner().invoke(settings_command, ["backup", str(tmp_path / name), "--device", "/dev/does-not-exist"])

    assert result.exit_code == 2
    assert result.stderr == f"error: {tmp_path / name} cannot be written: {reason.format(tmp_path)}\n"
    assert not (tmp_path / "missing").exists()


def test_a_backup_into_a_folder_is_a_mistake_of_the_command_line(tmp_path: Path) -> None:
    """Click says so itself, with the usage."""
    result = CliRunner().invoke(settings_command, ["backup", str(tmp_path)])

    assert result.exit_code == 2
    assert f"File '{tmp_path}' is a directory." in result.stderr


def test_a_disk_that_is_full_is_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be known before: it was tried and failed."""
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))

    result = run("backup", str(tmp_path / "pack.json"))

    assert result.exit_code == 1
    assert result.stderr == f"error: {tmp_path / 'pack.json'} cannot be written: No space left on device\n"
    assert list(tmp_path.iterdir()) == []


def test_a_backup_keeps_the_one_before(run: Run, tmp_path: Path) -> None:
    """The same name twice overwrites nothing that was not kept."""
    (tmp_path / "pack.json").write_text("mine", encoding="utf-8")

    assert run("backup", str(tmp_path / "pack.json")).exit_code == 0
    assert (tmp_path / "pack.json.bak").read_text(encoding="utf-8") == "mine"


def test_actions_are_listed_with_their_consequences() -> None:
    """Without a name, and without a port."""
    result = CliRunner().invoke(settings_command, ["action"])

    assert result.exit_code == 0
    for word in ("set_state_of_charge", "restart", "clear_events", "the power of the load is cut"):
        assert word in result.output


def test_an_action_needs_confirmation(plug: Callable[[SimulatedBms], Unit]) -> None:
    """Nobody to ask: refused with the consequence; with --confirm it is done and read back."""
    unit = plug(SimulatedBms.build(SystemClock()))
    words = ["action", "set_state_of_charge", "33", "--device", unit.path, "--settle-s", "0.3"]
    refused = CliRunner().invoke(settings_command, words)
    done = CliRunner().invoke(settings_command, [*words, "--confirm"])

    assert refused.exit_code == 2
    assert "replaces the counted state of charge" in refused.stderr
    assert (done.exit_code, done.stdout) == (0, "set_state_of_charge: written\n")
    assert unit.written == [328]


def test_an_action_is_asked_for_at_a_terminal(unit: Unit, run: Run, terminal: None) -> None:
    """Yes does it, no leaves it."""
    no = run("action", "clear_events", answer="n\n")
    yes = run("action", "clear_events", answer="y\n")

    assert (no.exit_code, yes.exit_code) == (1, 0)
    assert "the BMS forgets its events for good" in yes.stderr
    assert yes.stdout.endswith("clear_events: written\n")


def test_an_action_that_fails_is_told(unit: Unit, run: Run) -> None:
    """Exit status 1 and what the BMS shows instead."""
    unit.spoil = {1: "refuse"}
    result = run("action", "set_state_of_charge", "33", "--confirm")

    assert result.exit_code == 1
    assert "set_state_of_charge: refused (the BMS refused command 0x10" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["launch"], "no action is called 'launch'; there are set_state_of_charge"),
        (["set_state_of_charge", "101", "--confirm"], "allowed are numbers 0 to 100 %"),
        (["set_operation_mode", "--confirm"], "needs a value: dual_port or single_port"),
        (["set_state_of_charge", "--confirm"], "needs a value: percent, 0 to 100"),
        (["set_state_of_health"], "needs a value: percent, 0 to 100"),
        (["clear_events", "5", "--confirm"], "takes no value"),
    ],
)
def test_a_wrong_action_is_refused(unit: Unit, run: Run, words: list[str], message: str) -> None:
    """Exit status 2, nothing sent."""
    result = run("action", *words)

    assert result.exit_code == 2
    assert message in result.stderr
    assert unit.written == []


def test_a_missing_port_is_one_clear_line() -> None:
    """Exit status 1 and what is there instead."""
    result = CliRunner().invoke(settings_command, ["show", "--device", "/dev/does-not-exist"])

    assert result.exit_code == 1
    assert "serial port /dev/does-not-exist does not exist" in result.stderr
    assert result.stderr.count("\n") == 1


def test_broken_rules_of_the_unit_are_shown(plug: Callable[[DumpDevice], Unit]) -> None:
    """A unit that holds a forbidden combination says so in its list."""
    device = DumpDevice(Dump({}, REGISTERS | {300: 3750}), SystemClock())
    result = CliRunner().invoke(settings_command, ["show", "--device", plug(device).path])

    assert result.exit_code == 0
    assert "warning: fully_charged_voltage_v (3.75 V) must be at least 10 mV below" in result.stderr


def test_an_interrupted_command_says_how_to_go_on(unit: Unit, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the BMS is being read."""
    monkeypatch.setattr(module, "run_until_signal", lambda _make: None)
    result = run("show")

    assert result.exit_code == 1
    assert "interrupted; the same command again does what is left" in result.stderr


def test_an_interrupted_write_shows_the_table_so_far(unit: Unit, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while registers are written: the user must know which one was in work."""

    def interrupt(make: Callable[[], Any]) -> Any:
        async def body() -> Any:
            task = asyncio.ensure_future(make())
            while len(unit.written) < 2 and not task.done():
                await asyncio.sleep(0.002)
            task.cancel()
            return await task

        try:
            return run_until_signal(body)
        except asyncio.CancelledError:
            return None

    monkeypatch.setattr(module, "run_until_signal", interrupt)
    monkeypatch.setattr(module, "_ask_what_is_open", lambda *_args, **_kwargs: None)
    result = run("set", "over_voltage_cutoff_v=3.7", "fully_charged_voltage_v=3.5", "ignition=dido1")

    assert result.exit_code == 1
    rows = {line.split()[1]: line for line in result.stdout.splitlines() if line[:3] in {"300", "315", "334"}}
    assert rows["over_voltage_cutoff_v"].rstrip().endswith("written")
    assert "interrupted at register 300" in result.stdout
    assert "not tried" in rows["ignition"]
    assert "interrupted; the same command again does what is left" in result.stderr


@pytest.mark.usefixtures("soon_silent")
def test_a_silent_port_points_to_the_doctor(unit: Unit, run: Run) -> None:
    """The next step, in the same line."""
    unit.silent = True
    result = run("show")

    assert result.exit_code == 1
    assert f"(tinybms-bridge doctor --device {unit.path} looks for the cause)" in result.stderr


def test_the_help_says_what_a_user_must_know() -> None:
    """A bridge that runs is asked; names, dry run, exit status."""
    output = CliRunner().invoke(settings_command, ["--help"]).output
    for word in ("A bridge that runs on this machine is asked", "--dry-run", "backup", "restore", "Exit status: 0"):
        assert word in output
    for command in ("set", "restore"):
        help_text = CliRunner().invoke(settings_command, [command, "--help"]).output
        assert "--confirm" in help_text
        assert "--yes" in help_text


def test_the_module_is_light() -> None:
    """Listing the commands does not load the codec, the client or a table printer."""
    code = (
        "import sys, tinybms_bridge.cli.settings; "
        "print([m for m in sys.modules if 'tinybms.settings' in m or m in ('rich', 'serialx', 'pydantic')])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"


def test_the_commands_that_are_advised_do_what_they_say(
    plug: Callable[[SimulatedBms | DumpDevice], Unit],
) -> None:
    """Each command of the advice on a unit with every bad value is taken as printed, and then none is left."""
    bad = {303: 3200, 308: 15, 318: 110, 320: 0x10000 - 20, 329: 0b010}
    unit = plug(DumpDevice(Dump({}, {**REGISTERS, **bad}), SystemClock(), asleep_allowed=False))

    def advised() -> list[str]:
        ratings = decode_ratings(unit.device.read(300, 44) or ())
        return [each.command for each in advise(ratings, Chemistry.LFP, firmware=254) if each.command]

    commands = advised()
    assert len(commands) == 5
    for command in commands:
        program, group, *arguments = shlex.split(command)
        assert (program, group) == ("tinybms-bridge", "settings")
        result = CliRunner().invoke(
            settings_command, [*arguments, "--device", unit.path, "--settle-s", "0.05", "--yes"]
        )
        assert result.exit_code == 0, result.output
    assert advised() == []
    assert register(unit, 329) == 0b110


def test_json_of_the_commands_that_write(run: Run, unit: Unit, tmp_path: Path) -> None:
    """A dry run tells the plan, a run what became of it; nothing else is on standard output."""
    dry = json.loads(run("set", "--json", "--dry-run", "allowed_disbalance_v=0.02").stdout)
    done = run("set", "--json", "--yes", "allowed_disbalance_v=0.02")
    again = json.loads(run("set", "--json", "allowed_disbalance_v=0.02").stdout)

    change = {"name": "allowed_disbalance_v", "register": 308, "unit": "V", "old": 0.015, "new": 0.02}
    assert (dry["dry_run"], dry["changes"], "results" in dry) == (True, [change], False)
    assert (done.exit_code, done.stderr) == (0, "")
    written = json.loads(done.stdout)
    assert (written["good"], written["results"][0]["outcome"]) == (True, "written")
    assert (again["changes"], again["unchanged"]) == ([], ["allowed_disbalance_v"])


def test_json_of_a_write_that_fails(run: Run, unit: Unit) -> None:
    """The result is on standard output, and the exit status tells that it is not good."""
    unit.spoil[1] = "refuse"

    result = run("set", "--json", "--yes", "allowed_disbalance_v=0.02")

    document = json.loads(result.stdout)
    assert (result.exit_code, document["good"], document["results"][0]["outcome"]) == (1, False, "refused")


def test_json_of_a_request_that_is_refused(run: Run) -> None:
    """Every mistake by itself, on standard error; nothing on standard output."""
    result = run("set", "--json", "over_voltage_cutof_v=3.7", "series_cells")

    document = json.loads(result.stderr)
    assert (result.exit_code, result.stdout, document["exit_status"]) == (2, "", 2)
    assert [each["path"] for each in document["problems"]] == ["over_voltage_cutof_v", "series_cells"]
    assert "did you mean over_voltage_cutoff_v" in document["problems"][0]["message"]


def test_json_of_backup_and_diff(run: Run, tmp_path: Path) -> None:
    """What was saved, and what differs since."""
    file = str(tmp_path / "pack.json")
    saved = json.loads(run("backup", "--json", file).stdout)
    run("set", "--yes", "allowed_disbalance_v=0.02")
    found = json.loads(run("diff", "--json", file).stdout)

    assert (saved["file"], saved["identity"]["firmware_internal"]) == (file, 254)
    assert saved["settings"] == len(json.loads(Path(file).read_text(encoding="utf-8"))["settings"])
    assert found["differences"] == [
        {"name": "allowed_disbalance_v", "register": 308, "unit": "V", "bms": 0.02, "backup": 0.015}
    ]


def test_json_of_actions(run: Run) -> None:
    """The list without a name, and what became of one."""
    listed = json.loads(CliRunner().invoke(settings_command, ["action", "--json"]).stdout)
    done = run("action", "--json", "--confirm", "set_state_of_charge", "80")

    assert "set_state_of_charge" in [each["action"] for each in listed]
    assert json.loads(done.stdout)["action"] == "set_state_of_charge"
    assert json.loads(done.stdout)["good"] is (done.exit_code == 0)


def test_an_unknown_action_is_refused_with_the_nearest() -> None:
    """Before a port is opened."""
    result = CliRunner().invoke(settings_command, ["action", "set_state_of_chage", "80"])

    assert result.exit_code == 2
    assert result.stderr.endswith("; did you mean set_state_of_charge?\n")
