"""Commands and their answers across the link."""

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.inhibits import Direction, Inhibit
from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.errors import ConfigProblem
from tinybms_bridge.hal.can_devices import CanDevice
from tinybms_bridge.hal.devices import FoundDevices, SerialDevice
from tinybms_bridge.link.codec import DecodeError, decoder, from_json, to_json
from tinybms_bridge.link.commands import (
    COMMANDS,
    ActOnDevice,
    ApplyBackup,
    ApplySettings,
    AskDevice,
    Command,
    Configure,
    Configured,
    JudgeConfiguration,
    LinkDialect,
    ListCandidates,
    ListDevices,
    Note,
    PlanBackup,
    PlanSettings,
    ReadEvents,
    ReadLog,
    ReadSettings,
    ReadTrace,
    ReleaseInhibit,
    Reload,
    ReportServices,
    ResetStatistics,
    RestartPart,
    RestartProgram,
    SetInhibit,
    answer_of,
    progress_of,
)
from tinybms_bridge.link.event_list import EventRecord, EventSource
from tinybms_bridge.link.events import ChangeSource
from tinybms_bridge.link.state import EnergyToday, LogWritten, ServicesState, TraceLine
from tinybms_bridge.tinybms.found_units import Candidate, FoundUnit
from tinybms_bridge.tinybms.settings import (
    ActionName,
    ActionResult,
    Backup,
    Outcome,
    Readout,
    Report,
    Result,
    all_settings,
    make_plan,
)
from tinybms_bridge.tinybms.settings.table import OwnTables
from tinybms_bridge.words import message
from tinybms_lab.testing.words import said

WORDS = (
    3600, 2800, 0, 3400, 2000, 180, 10000, 16, 15, 0, 20, 5, 1, 0, 2, 3750, 2500, 150, 100, 60, 1, 80, 1000, 0xFFFF,
    0, 0, 0, 0, 0xFFFF, 0, 1, 0, 5, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0,
)  # fmt: skip
"""Registers 300 to 343 of a 16-cell LFP pack."""
IDENTITY = Identity("2.1", 1, 254, 1, 1, "0123456789abcdef01234567")
READOUT = Readout(WORDS, IDENTITY, high_power=True, own=OwnTables((0,) * 44, (65535,) * 44, WORDS))
BACKUP = Backup("2026-11-30T12:00:00+00:00", IDENTITY, {"series_cells": 16, "load_switch_type": "aido1", "x": None})

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
RECORD = EventRecord(8, AT, EventSource.BRIDGE, Severity.INFO, "link.up", "The BMS answers", parameters={})

EXAMPLES: list[tuple[Command[Any], object]] = [
    (
        SetInhibit(Direction.CHARGE, 3600.0, "cables", "anna"),
        Inhibit(Direction.CHARGE, datetime(2026, 1, 1, tzinfo=UTC), None, "cables", "anna"),
    ),
    (ReleaseInhibit(Direction.DISCHARGE), True),
    (
        Configure({"a": {"b": [1, 2.5, None]}}, "abc", ChangeSource.API),
        Configured(("a.b",), (ConfigProblem("a", 1, said("odd")),)),
    ),
    (Reload(), Configured(())),
    (ReadSettings("main"), READOUT),
    (PlanSettings({"fully_charged_voltage_v": 3.65, "load_switch_type": "aido1", "n": 5}), None),
    (PlanBackup(BACKUP, force=True), None),
    (ApplySettings({"fully_charged_voltage_v": 3.65}, WORDS, confirm=True), None),
    (ApplyBackup(BACKUP, words=WORDS), None),
    (ActOnDevice(ActionName.RESTART), ActionResult(ActionName.RESTART, Outcome.WRITTEN, said("done"))),
    (ActOnDevice(ActionName.SET_STATE_OF_CHARGE, 80.5), ActionResult(ActionName.RESTART, Outcome.REFUSED)),
    (AskDevice(b"\xaa\x03\x00"), b"\xaa\xff"),
    (JudgeConfiguration({"cvl": {"enabled": True}}), None),
    (ReadEvents(7), (RECORD,)),
    (ReadLog(), (LogWritten(1, AT, "INFO", "tinybms_bridge.core", "a line"),)),
    (ReadTrace("main"), (TraceLine(0.5, "tx", "AA 03"),)),
    (
        ListDevices(),
        FoundDevices((SerialDevice("/dev/ttyUSB0", "FTDI"),), (CanDevice("can0", True, "stopped", 500_000),)),
    ),
    (
        ListCandidates(),
        (
            Candidate("/dev/serial/by-id/a", "FTDI", "/dev/ttyUSB0", "a", unit=FoundUnit(IDENTITY, 16, 100.0, 53.2)),
            Candidate("/dev/ttyUSB1", held_by="minicom", message=message("candidate.console")),
        ),
    ),
    (Note(Severity.WARNING, message("unit.no_serial"), "anna"), None),
    (ReportServices(ServicesState(7, "http://localhost:8080/", today=EnergyToday(1.0, 2.0, 3.0))), None),
    (ResetStatistics(), None),
    (RestartPart("mqtt"), None),
    (RestartProgram(by="anna"), None),
]


def answer_type(command: Command[Any]) -> object:
    """Return the type of the answer."""
    (base,) = type(command).__orig_bases__  # type: ignore[attr-defined]
    return get_args(base)[0]


def crossed(value: object) -> object:
    """Return a value as the other side parses it."""
    return from_json(to_json(value))


@pytest.mark.parametrize("command", [command for command, _ in EXAMPLES], ids=lambda command: command.name)
def test_command_arrives_as_it_was_sent(command: Command[Any]) -> None:
    """By its name and its arguments the core makes an equal one."""
    assert decoder(COMMANDS[command.name], LinkDialect)(crossed(command)) == command


@pytest.mark.parametrize(("command", "answer"), EXAMPLES, ids=lambda each: getattr(each, "name", ""))
def test_answer_arrives_as_it_was_given(command: Command[Any], answer: object) -> None:
    """The type of the answer follows from the command."""
    if answer is not None or answer_type(command) is type(None):
        assert answer_of(command, crossed(answer)) == answer
    else:
        with pytest.raises(DecodeError):
            answer_of(command, None)


def test_every_command_has_an_example_and_a_name_of_its_own() -> None:
    """A command that is not in the table cannot be called."""
    assert {type(command) for command, _ in EXAMPLES} == set(COMMANDS.values())
    assert len({kind.name for kind in COMMANDS.values()}) == len(COMMANDS)


def test_plan_and_report_carry_the_settings_of_the_catalogue() -> None:
    """A setting of an answer is the very one of this program, so that it can be asked for its unit and place."""
    plan = make_plan(READOUT, {"fully_charged_voltage_v": 3.61})
    result = Result(plan.changes[0], Outcome.WRITTEN, 3.61)
    report = Report((result,), side_effects=plan.changes, unverified=said("x"))

    plan_back = answer_of(PlanSettings({}), crossed(plan))
    report_back = answer_of(ApplySettings({}), crossed(report))

    assert plan_back == plan
    assert plan_back.changes[0].setting is all_settings()["fully_charged_voltage_v"]
    assert plan_back.steps[0].restarts is plan.steps[0].restarts
    assert report_back == report
    assert progress_of(ApplySettings({}), crossed(result)) == result


def test_setting_that_is_not_known_is_no_answer() -> None:
    """A newer core may have more settings; a plan that cannot be read whole is not read."""
    document: Any = crossed(make_plan(READOUT, {"fully_charged_voltage_v": 3.61}))
    document["changes"][0]["setting"]["name"] = "novelty_v"

    with pytest.raises(DecodeError, match=r"changes\.setting: is no setting of the BMS that this program knows"):
        answer_of(PlanSettings({}), document)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("inhibit", {}, "direction: is missing"),
        ("inhibit", {"direction": "both"}, "direction: must be one of charge, discharge"),
        ("inhibit", {"direction": "charge", "duration_s": 0.5}, "duration_s: must be 1 to 604800"),
        ("inhibit", {"direction": "charge", "duration_s": 1e9}, "duration_s: must be 1 to 604800"),
        ("inhibit", {"direction": "charge", "duration_s": "60"}, "duration_s: must be a number"),
        ("inhibit", {"direction": "charge", "reason": "x" * 201}, "reason: must have at most 200 characters"),
        ("inhibit", {"direction": "charge", "by": "x" * 65}, "by: must have at most 64 characters"),
        ("device.apply", {"wanted": {"a": [1]}}, "wanted: is not of the expected form"),
        ("device.apply", {"wanted": {"a": True}}, "wanted: is not of the expected form"),
        ("device.apply", {"wanted": {}, "confirm": "yes"}, "confirm: must be true or false"),
        ("device.apply", {"wanted": {}, "words": [1.5]}, "words: must be a whole number"),
        ("device.action", {"action": "explode"}, "action: must be one of set_state_of_charge, "),
        ("device.ask", {"request": ""}, "request: must have 1 to 300 bytes"),
        ("device.ask", {"request": "é"}, "request: must be bytes in base64"),
        ("part.restart", {"part": None}, "part: must be a text"),
        ("configure", {"values": []}, "values: is not of the expected form"),
    ],
)
def test_wrong_argument_is_named(name: str, arguments: dict[str, Any], message: str) -> None:
    """The core believes no client, and says which argument it does not take."""
    with pytest.raises(DecodeError) as caught:
        decoder(COMMANDS[name], LinkDialect)(arguments)

    assert str(caught.value).startswith(message)
