"""The running bridge on one screen."""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result

import tinybms_bridge.cli.live  # noqa: F401 -- the import reads files, which no test may do on an event loop
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.cli import status
from tinybms_bridge.cli.status import document_of, is_healthy, status_command
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.config.values import values_of
from tinybms_bridge.link.state import (
    CanState,
    ConfigurationState,
    CoreInfo,
    CoreState,
    LogWritten,
    PackDetails,
    ServiceCondition,
    ServicesState,
    ServiceState,
    UartState,
)
from tinybms_bridge.words import message

AT = datetime(2026, 1, 1, tzinfo=UTC)
LONG_S = 1e6
"""Longer than any test takes."""
SECRETS = ("hush of the broker", "setup-token-4711")

Invoke = Callable[..., Result]
Core = Callable[..., Any]
Make = Callable[..., BatteryState]


@pytest.fixture
def healthy(make_state: Make) -> CoreState:
    """A bridge that sends fresh limits, with secrets in its configuration."""
    battery = make_state()
    config = interpret({"mqtt": {"username": "boat", "password": SECRETS[0]}}, "test").configuration
    return CoreState(
        core=CoreInfo(version="9.9", run="run", pid=1, started_s=time.monotonic()),
        battery=replace(battery, made_s=time.monotonic(), live_for_s=LONG_S),
        packs={"main": PackDetails(UartState(up=True, device="/dev/ttyUSB0"))},
        outputs={"can": CanState(up=True, interface="can0", gx_state="present")},
        configuration=ConfigurationState(values=values_of(config), file="/etc/bridge.json", number=3),
        services=ServicesState(4711, "http://boat.local", SECRETS[1]),
    )


def test_one_screen_of_a_healthy_bridge(core: Core, invoke: Invoke, healthy: CoreState) -> None:
    """Battery, limits and the last lines of its log, as plain text where nobody sits; exit status 0."""
    core(healthy, [LogWritten(1, AT, "WARNING", "tinybms_bridge.test", "a line of the core")])
    result = invoke(status_command)
    assert result.exit_code == 0, result.output
    assert "tinybms-bridge status" in result.stdout
    assert "53.12 V" in result.stdout
    assert "100.0 A" in result.stdout
    assert "a line of the core" in result.stdout
    assert "\x1b" not in result.stdout
    assert not result.stdout.endswith("\n\n")


def test_a_service_in_trouble_is_told(core: Core, invoke: Invoke, healthy: CoreState) -> None:
    """By a line with its reason; the battery is well all the same, and programs find it in the tree."""
    why = message("mqtt.no_answer", timeout_s=10.0)
    told = ServiceState("mqtt", ServiceCondition.TROUBLE, AT, "mqtt://boat", why, why, AT, {"published": 3})
    core(replace(healthy, services=replace(healthy.services, services=(told,))))
    result = invoke(status_command)
    assert result.exit_code == 0, result.output
    assert "MQTT does not work: the broker does not answer within 10 s" in result.stdout

    (found,) = json.loads(invoke(status_command, "--json").stdout)["services"]["services"]
    assert (found["condition"], found["message"]["code"]) == ("trouble", "mqtt.no_answer")


UNHEALTHY: list[Callable[[CoreState], CoreState]] = [
    lambda _state: CoreState(),
    lambda state: replace(state, battery=replace(state.battery, freshness=Freshness.HOLD)),
    lambda state: replace(state, battery=replace(state.battery, freshness=Freshness.SILENT, decided=None)),
    lambda state: replace(state, battery=replace(state.battery, made_s=time.monotonic() - 60.0, live_for_s=3.0)),
    lambda state: replace(state, outputs={"can": CanState(up=False, error="no adapter")}),
    lambda state: replace(state, outputs={}),
]
CASES = ["nothing known", "hold", "silent", "core that stands", "no adapter", "no output"]


@pytest.mark.parametrize("change", UNHEALTHY, ids=CASES)
def test_bridge_that_sends_nothing_fresh_is_a_failure(
    core: Core, invoke: Invoke, healthy: CoreState, change: Callable[[CoreState], CoreState]
) -> None:
    """For scripts that watch it; the screen is shown all the same."""
    assert is_healthy(healthy, time.monotonic())
    core(change(healthy))
    result = invoke(status_command)
    assert result.exit_code == 1
    assert "tinybms-bridge status" in result.stdout
    assert invoke(status_command, "--json").exit_code == 1


def test_programs_get_the_state_without_secrets(core: Core, invoke: Invoke, healthy: CoreState) -> None:
    """The tree of the core, without the values of the configuration and without the token of the first login."""
    core(healthy)
    result = invoke(status_command, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document == document_of(healthy)
    assert document["battery"]["decided"]["ccl_a"] == 100.0
    assert document["battery"]["freshness"] == "FRESH"
    assert document["outputs"]["can"]["up"] is True
    assert document["configuration"]["file"] == "/etc/bridge.json"
    assert document["services"]["web_address"] == "http://boat.local"
    assert "values" not in document["configuration"]
    assert "image" not in document["battery"]["packs"]["main"]["latest"]
    for secret in SECRETS:
        assert secret not in result.output


def test_state_of_a_bridge_without_a_battery_is_a_document(core: Core, invoke: Invoke) -> None:
    """Nothing is left out because nothing is known."""
    core(CoreState())
    document = json.loads(invoke(status_command, "--json").stdout)
    assert document["battery"]["decided"] is None
    assert document["battery"]["packs"] == {}


def test_no_bridge_is_told(invoke: Invoke, tmp_path: Any) -> None:
    """With what was tried, and one line of JSON for programs."""
    nowhere = str(tmp_path / "none.sock")
    result = invoke(status_command, "--socket", nowhere)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert nowhere in result.stderr
    result = invoke(status_command, "--socket", nowhere, "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert json.loads(result.stderr)["exit_status"] == 1


@pytest.mark.parametrize("arguments", [("--watch", "--json"), ("--watch",)])
def test_watching_needs_a_terminal(core: Core, invoke: Invoke, arguments: tuple[str, ...]) -> None:
    """In a pipe nobody sees the pages turn."""
    served = core()
    result = invoke(status_command, *arguments)
    assert result.exit_code == 2
    assert "--watch draws on a terminal" in result.stderr
    assert served.asked == []


class View:
    """A view that is not drawn; it asks to end, or stays."""

    made: list["View"]
    quits = False

    def __init__(self, state: Callable[[], CoreState], _clock: object, lines: Any, title: str, **options: Any) -> None:
        self.state, self.lines, self.title = state, lines, title
        self._quit = options["quit"]
        View.made.append(self)
        self.ended = False

    async def run(self) -> None:
        """Show nothing."""
        try:
            if View.quits:
                self._quit()
            shown.set()
            await asyncio.Event().wait()
        finally:
            self.ended = True


shown = threading.Event()


@pytest.fixture
def view(monkeypatch: pytest.MonkeyPatch) -> type[View]:
    """A terminal, and views in memory."""
    monkeypatch.setattr("tinybms_bridge.cli.live.LiveView", View)
    monkeypatch.setattr("tinybms_bridge.cli.terminal.is_terminal", lambda _stream: True)
    monkeypatch.setattr(View, "made", [], raising=False)
    monkeypatch.setattr(View, "quits", False)
    shown.clear()
    return View


def test_watching_ends_with_q(core: Core, invoke: Invoke, healthy: CoreState, view: type[View]) -> None:
    """In order, and with exit status 0; it has shown the state and the log of the core."""
    view.quits = True
    served = core(healthy, [LogWritten(1, AT, "INFO", "tinybms_bridge.test", "a line of the core")])
    result = invoke(status_command, "--watch")
    assert (result.exit_code, result.output) == (0, "")
    (made,) = view.made
    assert made.ended
    assert made.state().core == healthy.core
    assert len(served.asked) == 1


def test_watching_ends_with_the_bridge(core: Core, invoke: Invoke, healthy: CoreState, view: type[View]) -> None:
    """It says so, and does not show old values for ever."""
    served = core(healthy)

    def leave() -> None:
        shown.wait(30.0)
        served.end()

    leaving = threading.Thread(target=leave)
    leaving.start()
    result = invoke(status_command, "--watch")
    leaving.join()
    assert result.exit_code == 1
    assert result.stderr.startswith("error: the bridge ends")
    assert view.made[0].ended


def test_terminal_gets_colours(core: Core, invoke: Invoke, healthy: CoreState, monkeypatch: pytest.MonkeyPatch) -> None:
    """One screen of it, as high as it is."""

    class Terminal:
        """Standard output of a terminal."""

        def isatty(self) -> bool:
            """Tell that it is one."""
            return True

    monkeypatch.setattr(status, "sys", SimpleNamespace(stdout=Terminal(), exit=sys.exit))
    core(healthy)
    result = invoke(status_command)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) <= 24
    assert "tinybms-bridge status" in result.stdout
