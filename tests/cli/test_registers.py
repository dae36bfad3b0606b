import asyncio
import json
import os
import signal
import threading
import tty
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tinybms_bridge.cli import cli
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.tinybms.registers import catalogue
from tinybms_lab.bms import AnsweringDevice, BmsOptions, DumpDevice, PtyServer, SimulatedBms, real_dump

GROUPS = ("live", "statistics", "events", "settings", "version")


def registers(*arguments: str) -> Result:
    """Run the command as a user types it."""
    return CliRunner().invoke(cli, ["registers", *arguments])


def rows_of(result: Result) -> list[dict[str, Any]]:
    """Return the rows of a JSON answer."""
    assert result.exit_code == 0, result.output
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


class Reluctant(DumpDevice):
    """A unit that refuses one block, as an old firmware does."""

    refused = 200

    def read(self, address: int, count: int) -> tuple[int, ...] | None:
        """See ``AnsweringDevice.read``."""
        return None if address == self.refused else super().read(address, count)


class Served:
    """A device on a pseudo-terminal, served by a thread with a loop of its own."""

    def __init__(self, device: AnsweringDevice) -> None:
        self.server = PtyServer(device, SystemClock())
        self.server.open()
        self.path = self.server.path
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self._loop.run_until_complete(self.server.run())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def end(self) -> None:
        """Let the device vanish and wait for its thread."""
        self._loop.call_soon_threadsafe(self.server.close)
        self._thread.join(30.0)
        assert not self._thread.is_alive()


@pytest.fixture
def serve() -> Iterator[Callable[[AnsweringDevice], str]]:
    """Return a function that serves a device and gives its port."""
    served: list[Served] = []

    def begin(device: AnsweringDevice) -> str:
        served.append(Served(device))
        return served[-1].path

    yield begin
    for each in served:
        each.end()


@pytest.fixture
def unit(serve: Callable[[AnsweringDevice], str]) -> str:
    """The port of the captured 14-cell unit."""
    return serve(DumpDevice(real_dump(), SystemClock()))


def test_catalogue_shows_every_documented_register() -> None:
    """Without a BMS: one row for each register that has a meaning, none for the reserved ones."""
    rows = rows_of(registers("--json"))
    documented = [register for register in catalogue() if not register.is_reserved]
    assert [row["key"] for row in rows] == [register.key for register in documented]
    assert len(rows) > 100


def test_catalogue_row_says_what_a_setting_takes() -> None:
    """Address, unit, access, and the range in the unit, not in raw steps."""
    rows = {row["key"]: row for row in rows_of(registers("--json"))}
    row = rows["fully_charged_voltage"]
    assert (row["address"], row["unit"], row["access"], row["type"]) == (300, "V", "RW", "u16")
    low_v, high_v = row["range"]
    assert 0.8 <= low_v < 3.0 < high_v <= 4.5
    assert rows["online_status"]["choices"]


@pytest.mark.parametrize("group", GROUPS)
def test_group_shows_only_its_part(group: str) -> None:
    """Each part of the map by name; together they are the whole."""
    shown = {row["key"] for row in rows_of(registers("--json", "--group", group))}
    assert shown == {r.key for r in catalogue() if r.group.split(".")[0] == group and not r.is_reserved}
    assert shown


def test_groups_cover_the_catalogue() -> None:
    """No register is beyond the reach of --group, and --live can read them all."""
    assert {register.group.split(".")[0] for register in catalogue() if not register.is_reserved} == set(GROUPS)


def test_catalogue_as_a_table() -> None:
    """For people: columns with a heading, ranges and choices in words."""
    result = registers("--group", "settings")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].split() == ["Reg", "Key", "Range", "or", "choices", "Unit", "Access"]
    (line,) = [line for line in lines if "fully_charged_voltage" in line]
    assert line.split()[0] == "300"
    assert " to " in line
    assert line.split()[-2:] == ["V", "RW"]
    assert all(len(line) <= 160 for line in lines)


def test_unknown_group_names_the_known_ones() -> None:
    """A typo shows what there is."""
    result = registers("--group", "setings")
    assert result.exit_code == 2
    assert all(group in result.output for group in GROUPS)


def test_live_values_are_in_units(unit: str) -> None:
    """The capture of a real unit: typed values, texts for states, null where there is no sensor, and the raw words."""
    rows = {row["key"]: row for row in rows_of(registers("--live", "--json", "--device", unit))}
    assert rows["pack_voltage"]["value"] == pytest.approx(55.78, abs=0.005)
    assert len(rows["pack_voltage"]["raw"]) == 2
    assert rows["state_of_charge"]["value"] == pytest.approx(83.554824)
    assert rows["online_status"]["value"] == "idle"
    assert rows["external_temperature_1"]["value"] is None
    assert {row["address"] // 100 for row in rows.values()} == {0, 1, 2, 3, 5}


def test_live_reads_only_the_group_asked_for(serve: Callable[[AnsweringDevice], str]) -> None:
    """One block of settings is one request: nothing else is asked of a unit that works."""
    device = SimulatedBms.build(SystemClock(), cells=8, options=BmsOptions(asleep_allowed=False))
    rows = rows_of(registers("--live", "--json", "--group", "settings", "--device", serve(device)))
    values = {row["key"]: row["value"] for row in rows}
    assert values["series_cells"] == 8
    assert {row["address"] for row in rows} <= set(range(300, 344))


def test_live_table_is_for_people(unit: str) -> None:
    """A value and its unit on each line; what has no value is a dash."""
    result = registers("--live", "--group", "live", "--device", unit)
    assert result.exit_code == 0
    lines = {line.split()[1]: line.split() for line in result.output.splitlines()}
    assert lines["pack_voltage"] == ["36", "pack_voltage", "55.78", "V", "R"]
    assert "-" in lines["external_temperature_1"]


def test_refused_block_is_told_and_the_others_are_shown(serve: Callable[[AnsweringDevice], str]) -> None:
    """An old firmware without one block still shows the others; standard output stays pure JSON."""
    result = registers("--live", "--json", "--device", serve(Reluctant(real_dump(), SystemClock())))
    rows = rows_of(result)
    assert {row["address"] // 100 for row in rows} == {0, 1, 3, 5}
    (line,) = result.stderr.splitlines()
    assert line.startswith("registers 200 to 297: the BMS refused command 0x03")


def test_a_unit_that_refuses_everything_is_a_failure(serve: Callable[[AnsweringDevice], str]) -> None:
    """No value was read: exit code 1 with the refusal, never an empty table that a script takes for an answer."""
    result = registers(
        "--live", "--json", "--group", "events", "--device", serve(Reluctant(real_dump(), SystemClock()))
    )
    assert (result.exit_code, result.stdout) == (1, "")
    assert json.loads(result.stderr.splitlines()[-1])["error"].startswith("the BMS refused command 0x03")


def test_port_may_be_used_again(unit: str) -> None:
    """The command releases the port when it is done."""
    first = rows_of(registers("--live", "--json", "--group", "version", "--device", unit))
    assert rows_of(registers("--live", "--json", "--group", "version", "--device", unit)) == first


def test_missing_port_is_one_line() -> None:
    """Exit code 1, the name of the port, nothing on standard output."""
    result = registers("--live", "--device", "/dev/ttyNOTHERE")
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: serial port /dev/ttyNOTHERE does not exist")


def test_stopped_reading_is_not_an_empty_unit() -> None:
    """Ctrl-C while a silent unit is asked: a failure that is told, never an empty list that a script takes for true."""
    master, slave = os.openpty()
    tty.setraw(slave)

    def stop_at_the_first_request() -> None:
        os.read(master, 1)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=stop_at_the_first_request)
    thread.start()
    try:
        result = registers("--live", "--json", "--device", os.ttyname(slave))
    finally:
        thread.join(30.0)
        os.close(master)
        os.close(slave)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == '{"error": "interrupted before everything was read", "exit_status": 1}\n'
