"""The services as a child of the core: how it is started, ended, and started again."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tinybms_bridge.app import child
from tinybms_bridge.app.child import ServicesChild
from tinybms_bridge.core.supervisor import RestartSettings, Supervisor
from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.link.events import PartState
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.link_place import PATIENCE_S

SOCKET = Path("/run/bridge/core.sock")

Program = Callable[[str], Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return what lets a few lines of Python stand in for the services; ``sign`` is a file that they may write."""

    def use(body: str) -> Path:
        script, sign = tmp_path / "services", tmp_path / "sign"
        head = f"#!{sys.executable}\nimport json, os, signal, sys, time\n"
        beside, there = f"{sign}~", str(sign)
        tell = f"def tell(text):\n    open({beside!r}, 'w').write(text)\n    os.rename({beside!r}, {there!r})\n"
        script.write_text(head + tell + body)
        script.chmod(0o755)
        monkeypatch.setattr("tinybms_bridge.app.child.sys.executable", str(script))
        return sign

    return use


def services(clock: FakeClock, *, ready: Callable[[], bool] = lambda: True, quiet: bool = False) -> ServicesChild:
    """Return services that may be started at once."""
    return ServicesChild(SOCKET, clock, ready=ready, quiet=quiet)


async def appears(sign: Path) -> str:
    """Wait until a process has told something, and return it."""
    async with asyncio.timeout(PATIENCE_S):
        while not await in_place(sign.exists):
            await asyncio.sleep(0.005)
    return await in_place(sign.read_text)


@pytest.mark.parametrize("quiet", [False, True])
async def test_child_is_told_where_and_whose_it_is(program: Program, clock: FakeClock, quiet: bool) -> None:
    """Socket and parent; quiet where a live view has the terminal; neither text nor Ctrl-C comes from the keyboard."""
    sign = program("tell(json.dumps([sys.argv[1:], sys.stdin.read(), os.getpgrp() == os.getpid()]))\n")
    with pytest.raises(BridgeError, match="the services process ended: exit status 0"):
        await services(clock, quiet=quiet).run()
    arguments, typed, alone = json.loads(await in_place(sign.read_text))
    assert arguments == [
        *("-m", "tinybms_bridge", "run-services", "--socket", str(SOCKET), "--parent", str(os.getpid())),
        *(["--quiet"] if quiet else []),
    ]
    assert typed == ""
    assert alone


@pytest.mark.parametrize(
    ("body", "how"),
    [
        ("sys.exit(3)", "exit status 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGRTMIN + 1)", "killed by signal 35"),
    ],
)
async def test_end_of_the_child_says_how(program: Program, clock: FakeClock, body: str, how: str) -> None:
    """For the log, the event list and the parts on the pages."""
    program(body)
    with pytest.raises(BridgeError) as caught:
        await services(clock).run()
    assert str(caught.value) == f"the services process ended: {how}"


async def test_program_that_is_not_there_is_an_error(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an update that went wrong: the core goes on."""
    monkeypatch.setattr("tinybms_bridge.app.child.sys.executable", "/nowhere/python")
    with pytest.raises(BridgeError, match="the services cannot be started: No such file or directory"):
        await services(clock).run()


async def test_child_ends_with_its_part(program: Program, clock: FakeClock) -> None:
    """As a signal ends it, so that it writes what waits."""
    sign = program(
        "def end(*_):\n    tell('written'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\ntell(str(os.getpid()))\ntime.sleep(3600)\n"
    )
    running = asyncio.create_task(services(clock).run())
    pid = int(await appears(sign))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await in_place(sign.read_text) == "written"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_child_that_does_not_end_is_killed(
    program: Program, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing that hangs in the services keeps the core from its end."""
    monkeypatch.setattr(child, "_END_S", 0.05)
    sign = program("signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntell(str(os.getpid()))\ntime.sleep(3600)\n")
    running = asyncio.create_task(services(clock).run())
    pid = int(await appears(sign))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert any("did not end" in line and "is killed" in line for line in caplog.messages)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


class Started:
    """Processes that end when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
        self.at_s: list[float] = []
        self.ends: list[asyncio.Future[int]] = []
        self.signals: list[int] = []
        self._clock = clock
        monkeypatch.setattr(asyncio, "create_subprocess_exec", self._start)

    async def _start(self, *_words: str, **_options: object) -> Any:
        self.at_s.append(self._clock.monotonic())
        end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.ends.append(end)

        async def wait() -> int:
            return await asyncio.shield(end)

        def signalled(number: int) -> None:
            raise ProcessLookupError(number)  # it has ended at this moment, and nobody knows yet

        return SimpleNamespace(wait=wait, send_signal=signalled, kill=lambda: signalled(9))


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> Started:
    """Processes in memory."""
    return Started(monkeypatch, clock)


async def test_child_waits_for_the_first_frame(started: Started, clock: FakeClock) -> None:
    """It takes seconds of a small board's processor, which the path needs first."""
    sent = False
    running = asyncio.create_task(services(clock, ready=lambda: sent).run())
    await clock.advance(3.0)
    assert started.at_s == []
    sent = True
    await clock.advance(0.2)
    assert len(started.at_s) == 1
    started.ends[0].set_result(0)
    with pytest.raises(BridgeError):
        await running


async def test_child_does_not_wait_for_a_bms_that_is_missing(started: Started, clock: FakeClock) -> None:
    """Then people need the pages most."""
    begun_s = clock.monotonic()
    running = asyncio.create_task(services(clock, ready=lambda: False).run())
    await clock.advance(10.0)
    assert [at_s - begun_s for at_s in started.at_s] == [pytest.approx(child.PATH_FIRST_S, abs=0.2)]
    started.ends[0].set_result(0)
    with pytest.raises(BridgeError):
        await running


async def test_child_that_has_just_ended_can_be_ended(started: Started, clock: FakeClock) -> None:
    """There is no process to signal any more, and that is no failure."""
    running = asyncio.create_task(services(clock).run())
    await clock.advance(0.1)
    running.cancel()
    await clock.advance(0.1)
    started.ends[0].set_result(1)
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_child_is_started_again_with_growing_pauses(
    started: Started, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A services process that cannot run costs the core next to nothing, and is told once."""
    caplog.set_level(logging.INFO, "tinybms_bridge")
    supervisor = Supervisor(clock, settings=RestartSettings(jitter=0.0))
    supervisor.add("services", services(clock).run)
    running = asyncio.create_task(supervisor.run())
    for number in range(8):
        while len(started.ends) <= number:
            await clock.advance(0.1)
        started.ends[number].set_result(1)
        await clock.advance(0.0)
    pauses = [later - before for before, later in pairwise(started.at_s)]
    assert pauses == [pytest.approx(pause_s, abs=0.15) for pause_s in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)]
    assert [line for line in caplog.messages if line.startswith("services failed")] == [
        "services failed: the services process ended: exit status 1; it is started again"
    ]
    assert supervisor.parts["services"].state is PartState.FAILED
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
