"""Stopping charging or discharging by hand, through the running bridge."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import Result

from tinybms_bridge.battery.inhibits import Direction, Inhibit
from tinybms_bridge.cli.inhibit import inhibit_command, release_command
from tinybms_bridge.link.commands import ReleaseInhibit, SetInhibit

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)

Invoke = Callable[..., Result]
Core = Callable[..., Any]


@pytest.fixture(autouse=True)
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks."""
    monkeypatch.setattr("getpass.getuser", lambda: "anna")


def granted(command: SetInhibit) -> Inhibit:
    """Answer as the core does."""
    ends_at = None if command.duration_s is None else NOW + timedelta(seconds=command.duration_s)
    return Inhibit(command.direction, NOW, ends_at, command.reason, command.by)


@pytest.mark.parametrize(
    ("time", "duration_s"),
    [
        ("90", 90.0),
        ("90s", 90.0),
        ("15min", 900.0),
        ("2h", 7200.0),
        ("1.5 h", 5400.0),
        ("1d", 86_400.0),
        ("7d", 604_800.0),
        ("1s", 1.0),
    ],
)
def test_time_is_understood(core: Core, invoke: Invoke, time: str, duration_s: float) -> None:
    """As people write it; the core is asked for seconds."""
    served = core(inhibit=granted)
    result = invoke(inhibit_command, "charge", "--for", time, "--reason", "work on the cables")
    assert result.exit_code == 0, result.output
    assert served.asked == [SetInhibit(Direction.CHARGE, duration_s, "work on the cables", "anna (command line)")]
    until = NOW + timedelta(seconds=duration_s)
    assert result.stdout == f"charge is inhibited until {until:%Y-%m-%d %H:%M:%S} UTC\n"


@pytest.mark.parametrize("time", ["", "soon", "-5", "2 weeks", "h", "1h30min", "nan", "inf", "2H", "0x10"])
def test_what_is_no_time_is_refused(core: Core, invoke: Invoke, time: str) -> None:
    """With examples of what is; nothing is asked of the bridge."""
    served = core(inhibit=granted)
    result = invoke(inhibit_command, "discharge", f"--for={time}")
    assert result.exit_code == 2
    assert "is no time; write for example 90s, 15min, 2h or 1d" in result.stderr
    assert served.asked == []


@pytest.mark.parametrize("time", ["0", "0.5s", "8d", "604801", "1000000h"])
def test_time_that_the_bridge_would_not_take_is_refused(core: Core, invoke: Invoke, time: str) -> None:
    """By the command itself, in one line."""
    served = core(inhibit=granted)
    result = invoke(inhibit_command, "discharge", "--for", time)
    assert result.exit_code == 2
    assert f"'{time}' is not between a second and a week" in result.stderr
    assert served.asked == []


def test_reason_that_is_too_long_is_refused(core: Core, invoke: Invoke) -> None:
    """It is shown on pages and screens."""
    served = core(inhibit=granted)
    result = invoke(inhibit_command, "charge", "--reason", "x" * 201)
    assert result.exit_code == 2
    assert "may have 200 characters, and has 201" in result.stderr
    assert served.asked == []
    assert invoke(inhibit_command, "charge", "--reason", "x" * 200).exit_code == 0


def test_without_a_time_it_lasts(core: Core, invoke: Invoke) -> None:
    """Until somebody releases it."""
    served = core(inhibit=granted)
    result = invoke(inhibit_command, "discharge")
    assert (result.exit_code, result.stdout) == (0, "discharge is inhibited until it is released\n")
    assert served.asked == [SetInhibit(Direction.DISCHARGE, None, "", "anna (command line)")]


def test_programs_get_one_document(core: Core, invoke: Invoke) -> None:
    """Direction, beginning, end and reason."""
    core(inhibit=granted, release=True)
    result = invoke(inhibit_command, "charge", "--for", "2h", "--reason", "câbles", "--json")
    assert json.loads(result.stdout) == {
        "direction": "charge",
        "since": "2026-03-04T05:06:07+00:00",
        "expires_at": "2026-03-04T07:06:07+00:00",
        "reason": "câbles",
    }
    assert json.loads(invoke(inhibit_command, "charge", "--json").stdout)["expires_at"] is None
    result = invoke(release_command, "charge", "--json")
    assert json.loads(result.stdout) == {"direction": "charge", "released": True}


@pytest.mark.parametrize(("there_was", "said"), [(True, "charge released"), (False, "charge was not inhibited")])
def test_release_is_fine_with_and_without_an_inhibit(core: Core, invoke: Invoke, there_was: bool, said: str) -> None:
    """Both are what was wanted."""
    served = core(release=there_was)
    result = invoke(release_command, "charge")
    assert (result.exit_code, result.stdout) == (0, f"{said}\n")
    assert served.asked == [ReleaseInhibit(Direction.CHARGE, "anna (command line)")]


def test_inhibit_that_could_not_be_saved_fails(core: Core, invoke: Invoke) -> None:
    """It is in force, but gone after a restart: whoever relies on it has to know."""
    full = OSError(28, "No space left on device", "/state/stops.json")
    core(inhibit=full, release=full)
    for command in (inhibit_command, release_command):
        result = invoke(command, "charge")
        assert result.exit_code == 1
        assert result.stderr == "error: /state/stops.json: No space left on device\n"
        assert result.stdout == ""


def test_without_a_bridge_nothing_is_inhibited(invoke: Invoke, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said, with what was tried; programs get one line of JSON."""
    monkeypatch.delenv("TINYBMS_BRIDGE_SOCKET", raising=False)
    nowhere = str(tmp_path / "none.sock")
    for command in (inhibit_command, release_command):
        result = invoke(command, "charge", "--socket", nowhere)
        assert result.exit_code == 1
        assert result.stderr.startswith("error: ")
        assert nowhere in result.stderr
        result = invoke(command, "charge", "--socket", nowhere, "--json")
        assert json.loads(result.stderr)["exit_status"] == 1


def test_direction_has_to_be_one(invoke: Invoke) -> None:
    """There are two."""
    result = invoke(inhibit_command, "both")
    assert result.exit_code == 2
    assert "'both' is not one of 'charge', 'discharge'" in result.stderr


def test_user_with_a_long_name_may_ask(core: Core, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of a directory service may be long; the core bounds what it stores."""
    monkeypatch.setattr("getpass.getuser", lambda: "a" * 200)
    served = core(inhibit=granted)
    assert invoke(inhibit_command, "charge").exit_code == 0
    assert served.asked[0].by == f"{'a' * 48} (command line)"


def test_user_without_a_name_may_ask(core: Core, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr("getpass.getuser", nobody)
    served = core(inhibit=granted)
    assert invoke(inhibit_command, "charge").exit_code == 0
    assert served.asked[0].by == "command line"
