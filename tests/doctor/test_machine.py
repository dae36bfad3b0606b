import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.config.models import WebServer
from tinybms_bridge.doctor import machine as doctor_machine
from tinybms_bridge.doctor.findings import Verdict
from tinybms_bridge.doctor.machine import examine_machine, judge_clock, judge_state_directory, judge_web_port
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.directory_lock import DirectoryLock
from tinybms_bridge.hal.processes import Process
from tinybms_bridge.services.web.service import bind

BRIDGE = Process(7, ("tinybms-bridge", "run"))
SERVICES = Process(9, ("/usr/bin/python3", "-m", "tinybms_bridge", "run-services", "--socket", "/run/core.sock"))
OTHER = Process(8, ("/usr/bin/nginx",))
NOW = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)


def configured(document: dict[str, Any]) -> Configuration:
    """Return the configuration that a document means."""
    return interpret(document, "test").configuration


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of the loopback interface on which this very process listens, so that no other is seen to hold it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def web(taken: int) -> WebServer:
    """A web server that wants that port."""
    return WebServer(port=taken, listen_address="127.0.0.1")


def holders(monkeypatch: pytest.MonkeyPatch, *processes: Process) -> None:
    """Let these processes be seen to listen."""
    monkeypatch.setattr(doctor_machine, "processes_listening", lambda _: list(processes))


def test_a_free_port_is_fine() -> None:
    """And free again at once: a bridge may start while the doctor looks."""
    with socket.socket() as held:  # it does not listen, but the system gives its port to nobody else
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        findings = [judge_web_port(WebServer(port=port, listen_address="127.0.0.1"), (), bind) for _ in range(2)]

    assert [(each.verdict, each.text) for each in findings] == [(Verdict.OK, f"port {port} is free")] * 2


def test_a_port_of_another_program_is_a_warning_that_names_it(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The battery works without the pages."""
    holders(monkeypatch, OTHER)

    finding = judge_web_port(web, [BRIDGE], bind)

    assert finding.verdict is Verdict.WARNING
    assert finding.text == f"port {web.port} is in use by /usr/bin/nginx (process 8)"
    assert "web_server.port" in finding.advice


def test_a_port_whose_holder_cannot_be_seen_is_told_with_the_command_that_can(web: WebServer) -> None:
    """Programs of other users hide their files from whoever is not root."""
    assert f"sudo ss -ltnp 'sport = :{web.port}'" in judge_web_port(web, (), bind).text


@pytest.mark.parametrize(("seen", "pid"), [((BRIDGE,), 7), ((SERVICES,), 9), ((), 7)])
def test_a_port_of_the_running_bridge_is_as_it_should_be(
    seen: tuple[Process, ...], pid: int, web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its services have it; also where the doctor may not see whose it is, since the service has a user of its own."""
    holders(monkeypatch, *seen)

    finding = judge_web_port(web, [BRIDGE], bind)

    assert (finding.verdict, f"running bridge (process {pid})" in finding.text) == (Verdict.OK, True)


def test_a_port_that_needs_a_right_is_a_warning_with_the_right() -> None:
    """As the server itself tells it; root may have every port, so the refusal is given here."""

    def refuse(_address: str, port: int) -> socket.socket:
        raise LinkError(f"port {port} is not permitted", hint="give the service the right CAP_NET_BIND_SERVICE")

    finding = judge_web_port(WebServer(port=80), (), refuse)

    assert (finding.verdict, finding.text) == (Verdict.WARNING, "port 80 is not permitted")
    assert finding.advice == "Give the service the right CAP_NET_BIND_SERVICE."


def test_an_address_of_another_machine_is_a_warning() -> None:
    """The server could not listen there."""
    finding = judge_web_port(WebServer(port=8080, listen_address="192.0.2.1"), (), bind)

    assert finding.verdict is Verdict.WARNING
    assert "does not have the address 192.0.2.1" in finding.text


def test_a_web_server_that_is_off_needs_no_port(web: WebServer) -> None:
    """Nothing to complain of."""
    assert judge_web_port(replace(web, enabled=False), (), bind).verdict is Verdict.SKIPPED


def test_a_state_directory_that_can_be_written_is_fine(tmp_path: Path) -> None:
    """Looking leaves nothing behind in it."""
    finding = judge_state_directory(tmp_path, ())

    assert finding.verdict is Verdict.OK, finding
    assert f"{tmp_path} can be written" in finding.text
    assert list(tmp_path.iterdir()) == []


def test_a_state_directory_that_is_not_there_yet_is_fine_and_not_made(tmp_path: Path) -> None:
    """The bridge makes it when it starts."""
    finding = judge_state_directory(tmp_path / "a" / "b", ())

    assert (finding.verdict, "does not exist yet and can be made" in finding.text) == (Verdict.OK, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "words"), [("", "no permission to write in"), ("new", "cannot be made")])
def test_a_state_directory_without_permission_is_told(
    name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that makes one, and what is lost without it."""
    monkeypatch.setattr(os, "access", lambda *_: False)

    finding = judge_state_directory(tmp_path / name, ())

    assert finding.verdict is Verdict.WARNING
    assert words in finding.text
    assert f"sudo install -d -o $USER {tmp_path / name}" in finding.advice
    assert "do not survive a restart" in finding.advice


def test_a_file_in_the_place_of_the_state_directory_is_told(tmp_path: Path) -> None:
    """Nothing can be kept in it."""
    (tmp_path / "state").touch()

    assert judge_state_directory(tmp_path / "state", ()).text == f"{tmp_path / 'state'} is no directory"


def test_a_state_directory_whose_name_is_too_long_is_told(tmp_path: Path) -> None:
    """Whatever the system says becomes a finding, never a traceback."""
    finding = judge_state_directory(tmp_path / ("x" * 300), ())

    assert (finding.verdict, "File name too long" in finding.text) == (Verdict.WARNING, True)


def test_a_disk_that_is_full_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first event is lost."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3_200_000))

    finding = judge_state_directory(tmp_path, ())

    assert (finding.verdict, finding.text) == (Verdict.WARNING, f"only 3.2 MB are free for {tmp_path}")


@pytest.mark.parametrize(("bridges", "verdict"), [((BRIDGE,), Verdict.OK), ((), Verdict.WARNING)])
def test_a_state_directory_that_is_held_is_told_with_its_holder(
    bridges: tuple[Process, ...], verdict: Verdict, tmp_path: Path
) -> None:
    """By the running bridge it is as it should be; a second one there would end at once."""
    lock = DirectoryLock(tmp_path)
    try:
        finding = judge_state_directory(tmp_path, bridges)
    finally:
        lock.release()

    assert finding.verdict is verdict
    assert f"belongs to process {os.getpid()}" in finding.text
    assert judge_state_directory(tmp_path, bridges).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("now", "synchronised", "verdict", "words"),
    [
        (NOW, True, Verdict.OK, "synchronised"),
        (NOW, None, Verdict.OK, "2026-11-30"),
        (NOW, False, Verdict.WARNING, "is not synchronised, so that it may be wrong"),
        (datetime(1970, 1, 1, 0, 3, tzinfo=UTC), False, Verdict.WARNING, "before this program was written"),
        (datetime(2024, 12, 30, tzinfo=UTC), True, Verdict.WARNING, "before this program was written"),
    ],
)
def test_the_clock_is_judged(now: datetime, synchronised: bool | None, verdict: Verdict, words: str) -> None:
    """A machine without a clock of its own starts in the past; what suffers from it is told."""
    finding = judge_clock(now, synchronised)

    assert (finding.verdict, words in finding.text) == (verdict, True)
    if verdict is Verdict.WARNING:
        for what in ("history", "certificate", "logins and tokens", "timedatectl set-ntp true"):
            assert what in finding.advice


def test_everything_is_looked_at_where_the_configuration_says(tmp_path: Path, web: WebServer) -> None:
    """The port and the directory of this bridge, not those of another one."""
    findings = {each.check: each for each in examine_machine(web, tmp_path, (), bind)}

    assert list(findings) == ["web port", "state directory", "clock"]
    assert str(web.port) in findings["web port"].text
    assert str(tmp_path) in findings["state directory"].text
