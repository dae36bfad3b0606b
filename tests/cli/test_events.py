import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.bms_events import BmsEvent, DatedEvent
from tinybms_bridge.cli.events import events_command
from tinybms_bridge.core.event_store import EVENTS_FILE, EventStore
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.storage import FileStorage
from tinybms_bridge.link.events import Noted
from tinybms_bridge.words import message
from tinybms_lab.bms import Dump, DumpDevice, real_dump

Invoke = Callable[..., Result]
Serve = Callable[..., str]

AT = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)


def unit(*events: tuple[int, int], status: int = 0x97) -> DumpDevice:
    """Return a unit of age 10 000 s with these events (second, number) in its log."""
    registers = dict(real_dump().registers) | {32: 10_000, 33: 0, 50: status}
    registers |= dict.fromkeys(range(200, 298), 0)
    for slot, (second, number) in enumerate(events):
        registers |= {200 + 2 * slot: second, 201 + 2 * slot: number << 8}
    return DumpDevice(Dump({}, registers), SystemClock())


def test_the_log_of_the_captured_unit_is_told_in_words(serve: Serve, invoke: Invoke) -> None:
    """Oldest first, with time, severity and number."""
    result = invoke(events_command, "--device", serve(DumpDevice(real_dump(), SystemClock())))
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert ["0x65" in lines[1], "0x64" in lines[2], "0x62" in lines[3], "0x65" in lines[4]] == [True] * 4
    assert "The charger is gone" in lines[1]
    assert "Charging started" in lines[3]
    assert lines[-1] == "open: nothing"


def test_json_holds_what_a_program_needs(serve: Serve, invoke_json: Callable[..., Any]) -> None:
    """Second of the counter, calendar time, number, severity, key and words."""
    document = invoke_json(events_command, "--json", "--device", serve(unit((9_000, 0x03), status=0x9B)))
    (event,) = document["events"]
    assert document["lifetime_s"] in range(10_000, 10_060)
    assert (event["lifetime_s"], event["id"], event["severity"], event["key"]) == (9_000, 3, "fault", "over_voltage")
    age = datetime.now(UTC) - datetime.fromisoformat(event["at"])
    assert timedelta(seconds=990) < age < timedelta(seconds=1100)
    assert [each["key"] for each in document["open"]] == ["over_voltage"]
    assert document["open"][0]["advice"]


def test_open_faults_come_with_advice(serve: Serve, invoke: Invoke) -> None:
    """What is wrong now is what a user wants to know first."""
    result = invoke(events_command, "--device", serve(unit((8_000, 0x31), (9_000, 0x03), status=0x9B)))
    found = [line for line in result.stdout.splitlines() if line.startswith("open: ")]
    assert len(found) == 2
    assert found[0].startswith("open: Discharged: a cell is below the lower level, discharging is off. Charge")
    assert "315" in found[1]


def test_a_status_without_fault_closes_what_the_ring_left_open(serve: Serve, invoke: Invoke) -> None:
    """Register 50 knows better than a log that has lost the end of a fault."""
    assert "open: nothing" in invoke(events_command, "--device", serve(unit((9_000, 0x03)))).stdout


def test_an_unknown_status_closes_nothing(serve: Serve, invoke: Invoke) -> None:
    """0x95 is in no document: it must not count as healthy."""
    assert "open: Cell over-voltage" in invoke(events_command, "--device", serve(unit((9_000, 3), status=0x95))).stdout


def test_an_unlisted_event_keeps_its_number(serve: Serve, invoke: Invoke) -> None:
    """A newer firmware may log what nobody has described."""
    assert "do not list: 0x08" in invoke(events_command, "--device", serve(unit((9_000, 0x08)))).stdout


def test_only_the_newest_are_shown_unless_all_are_wanted(serve: Serve, invoke: Invoke) -> None:
    """Twenty fit on a screen; the rest is announced."""
    port = serve(unit(*((1_000 + number, 0x64) for number in range(30))))
    few = invoke(events_command, "--device", port).stdout
    assert few.count("0x64") == 20
    assert "20 of 30 events" in few
    assert invoke(events_command, "--newest", "3", "--device", port).stdout.count("0x64") == 3
    everything = invoke(events_command, "--all", "--device", port).stdout
    assert everything.count("0x64") == 30
    assert "--all" not in everything


def test_an_empty_log_says_so(serve: Serve, invoke: Invoke) -> None:
    """Not an empty table."""
    result = invoke(events_command, "--device", serve(unit()))
    assert result.stdout.splitlines() == ["no events", "open: nothing"]


def test_a_missing_port_is_one_clear_line(invoke: Invoke) -> None:
    """Exit code 1, no traceback."""
    result = invoke(events_command, "--device", "/dev/ttyNOTHERE")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: serial port /dev/ttyNOTHERE does not exist")
    assert len(result.stderr.splitlines()) == 1


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A configuration whose state directory holds a list of two entries."""
    store = EventStore(FileStorage(tmp_path / EVENTS_FILE))
    store.add_bms([DatedEvent(BmsEvent(5_000, 0x03), None)])
    store.add(Noted(Severity.WARNING, message("link.down", reason="unplugged")), AT)
    store.save_quietly()
    path = tmp_path / "bridge.json"
    path.write_text(json.dumps({"advanced": {"state_directory": str(tmp_path)}}))
    return str(path)


def test_the_list_of_the_bridge_needs_no_port(config: str, invoke: Invoke) -> None:
    """A running bridge holds the port; its list holds events of both."""
    result = invoke(events_command, "--recorded", "-c", config)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "time unknown" in lines[1]
    assert "bms" in lines[1]
    assert "Cell over-voltage" in lines[1]
    assert "No contact with the BMS: unplugged" in lines[2]


def test_the_list_of_the_bridge_as_json(config: str, invoke_json: Callable[..., Any]) -> None:
    """The entries as they are in the file, the newest as asked for."""
    (entry,) = invoke_json(events_command, "--recorded", "-c", config, "--json", "--newest", "1")
    assert (entry["number"], entry["source"], entry["at"]) == (2, "bridge", "2026-07-01T12:00:00+00:00")


def test_a_bridge_that_never_ran_has_no_events(tmp_path: Path, invoke: Invoke) -> None:
    """No file is no error."""
    path = tmp_path / "bridge.json"
    path.write_text(json.dumps({"advanced": {"state_directory": str(tmp_path / "nowhere")}}))
    result = invoke(events_command, "--recorded", "-c", str(path))
    assert (result.exit_code, result.stdout) == (0, "no events\n")


def test_a_wrong_configuration_is_told(tmp_path: Path, invoke: Invoke) -> None:
    """With --recorded the configuration says where the list is."""
    result = invoke(events_command, "--recorded", "-c", str(tmp_path / "missing.json"))
    assert result.exit_code == 2
    assert "the file does not exist" in result.stderr


def test_the_list_in_french(config: str, invoke: Invoke) -> None:
    """What the bridge noticed and what the BMS logged; --json stays English."""
    shown = invoke(events_command, "--recorded", "-c", config, "--lang", "fr").stdout
    document = json.loads(invoke(events_command, "--recorded", "-c", config, "--lang", "fr", "--json").stdout)

    head, fault, link = shown.splitlines()
    assert "Gravité" in head
    assert "heure inconnue" in fault
    assert "Surtension de cellule : une cellule est au-dessus de la coupure, la charge est coupée" in fault
    assert "Pas de contact avec le BMS : unplugged" in link
    assert document[1]["text"] == "No contact with the BMS: unplugged"
    assert document[1]["parameters"] == {"reason": "unplugged"}


def test_open_faults_in_french(serve: Serve, invoke: Invoke) -> None:
    """With what to do, in the same language."""
    shown = invoke(events_command, "--device", serve(unit((9_000, 0x31))), "--lang", "fr").stdout

    assert (
        "ouvert : Déchargée : une cellule est sous le niveau bas, la décharge est coupée. Chargez la batterie" in shown
    )
    assert invoke(events_command, "--device", serve(unit()), "--lang", "fr").stdout.splitlines() == [
        "aucun événement",
        "ouvert : rien",
    ]
