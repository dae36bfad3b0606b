import asyncio
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.config.checker import CheckAnswer, CheckRequest
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.config.notices import Notice
from tinybms_bridge.config.overrides import Overrides
from tinybms_bridge.config.values import values_of
from tinybms_bridge.core import configuration
from tinybms_bridge.core.configuration import CHECK_TIMEOUT_S, START_TIMEOUT_S, RunChecker, check_file, run_checker
from tinybms_bridge.errors import BridgeError, ConfigError, ConfigProblem
from tinybms_bridge.hal.clock import SystemClock
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.words import said

REQUEST = CheckRequest("/etc/bridge.json", Overrides(device="/dev/ttyUSB3"))


def answering(answer: CheckAnswer | bytes) -> RunChecker:
    """Return a checker that always says the same."""

    async def run(_request: bytes) -> bytes:
        return answer if isinstance(answer, bytes) else json.dumps(asdict(answer)).encode()

    return run


def configured(document: dict[str, Any]) -> Configuration:
    """Return the configuration that a document means."""
    return interpret(document, "test").configuration


def good(document: dict[str, Any]) -> CheckAnswer:
    """Return the answer for a document that can be used."""
    return CheckAnswer(
        path="/etc/bridge.json", values=values_of(configured(document)), source="/etc/bridge.json", digest="0"
    )


async def refusal(run: RunChecker, in_force: Configuration | None = None) -> ConfigError:
    """Return why there is no configuration."""
    with pytest.raises(ConfigError) as caught:
        await check_file(REQUEST, FakeClock(), in_force=in_force, run=run)
    return caught.value


async def test_a_good_answer_is_a_configuration() -> None:
    """With all that there is to say about it."""
    answer = replace(
        good({"cvl": {"bulk_soc_threshold": 70}, "mqtt": {"username": "boat", "password": "hush hush"}}),
        remarks=("mqtt: no effect yet",),
        notices=(Notice("mqtt", said("no effect yet")),),
        problems=(ConfigProblem("cvl.bulk", float("inf"), said("unknown key")),),
        fell_back=True,
    )
    checked = await check_file(REQUEST, FakeClock(), run=answering(answer))

    assert checked.configuration.cvl.bulk_soc_threshold == 70.0
    assert checked.configuration.mqtt.password.value == "hush hush"
    assert checked.answer == answer


async def test_the_checker_hears_the_whole_request() -> None:
    """File, command line, and whether a copy may be used."""
    heard: list[Any] = []

    async def run(request: bytes) -> bytes:
        heard.append(json.loads(request))
        return json.dumps(asdict(good({}))).encode()

    await check_file(replace(REQUEST, fall_back=False), FakeClock(), run=run)

    assert heard == [asdict(replace(REQUEST, fall_back=False))]


async def test_problems_of_the_file_are_the_error() -> None:
    """Every one, with path, value and message; not wrapped into another."""
    problems = (
        ConfigProblem("cvl.a", 5, said("must be 6")),
        ConfigProblem("mqtt.b", None, said("must be text")),
    )
    error = await refusal(answering(CheckAnswer(problems=problems, source="/etc/bridge.json")))

    assert (error.problems, error.source) == (list(problems), "/etc/bridge.json")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", "cannot be read"),
        (b"Segmentation fault", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[]", "cannot be read"),
        (b'{"values": 5}', "cannot be read: values"),
        (b'{"fell_back": "no"}', "cannot be read: fell_back"),
        (
            json.dumps(asdict(CheckAnswer(values={"cvl": {"enabled": 1}}))).encode(),
            "cannot be used: configuration values",
        ),
        (json.dumps(asdict(CheckAnswer(values={"cvl": {"new_key": 1}}))).encode(), "cvl.new_key: unknown key"),
        (
            json.dumps(asdict(CheckAnswer(values={}, version="9.9.9"))).encode(),
            "are those of version 9.9.9 now; start it again",
        ),
    ],
)
async def test_what_is_no_answer_is_an_error(said: bytes, reason: str) -> None:
    """One line that says it, and no configuration that is half read."""
    (problem,) = (await refusal(answering(said))).problems

    assert problem.message.text.startswith("could not be checked: ")
    assert reason in problem.message.text
    assert "\n" not in problem.message.text


async def test_a_checker_that_fails_is_an_error() -> None:
    """Whatever kept it from running."""

    async def run(_request: bytes) -> bytes:
        raise BridgeError("the checker cannot be started: no memory")

    error = await refusal(run)

    assert str(error) == (
        "/etc/bridge.json: configuration: could not be checked: the checker cannot be started: no memory"
    )


async def test_a_checker_that_never_answers_is_ended() -> None:
    """At the limit, not before; at a start, where no bridge runs without an answer, that is later."""
    clock, ended = FakeClock(), asyncio.Event()

    async def run(_request: bytes) -> bytes:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()
        return b""

    for in_force, limit_s in ((None, START_TIMEOUT_S), (configured({}), CHECK_TIMEOUT_S)):
        ended.clear()
        check = asyncio.create_task(check_file(REQUEST, clock, in_force=in_force, run=run))
        await clock.advance(limit_s - 0.1)
        assert not check.done()
        await clock.advance(0.2)

        assert ended.is_set()
        with pytest.raises(ConfigError, match=f"the checker did not answer within {limit_s:g} s"):
            await check


async def test_an_answer_in_time_is_not_disturbed_later() -> None:
    """The limit is forgotten with the answer."""
    clock = FakeClock()
    checked = await check_file(REQUEST, clock, run=answering(good({})))
    await clock.advance(2 * START_TIMEOUT_S)

    assert checked.configuration == Configuration()


async def test_a_check_that_is_cancelled_leaves_nothing_behind() -> None:
    """The core ends while a file is checked."""
    ended = asyncio.Event()

    async def run(_request: bytes) -> bytes:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()
        return b""

    check = asyncio.create_task(check_file(REQUEST, FakeClock(), run=run))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    check.cancel()
    with pytest.raises(asyncio.CancelledError):
        await check

    assert ended.is_set()


async def test_what_fits_no_battery_is_refused_while_one_is_in_force() -> None:
    """A voltage per cell in place of that of the pack; what was there at the start keeps from no other change."""
    answer = good({"victron": {"thresholds": {"overvoltage_v": 3.65}}, "cvl": {"bulk_soc_threshold": 70}})

    error = await refusal(answering(answer), in_force=Configuration())
    assert [problem.path for problem in error.problems] == ["victron.thresholds.overvoltage_v"]
    at_start = (await check_file(REQUEST, FakeClock(), run=answering(answer))).configuration
    again = good({"victron": {"thresholds": {"overvoltage_v": 3.65}}})
    assert (await check_file(REQUEST, FakeClock(), in_force=at_start, run=answering(again))).answer == again


async def test_a_file_that_is_gone_leaves_what_is_in_force() -> None:
    """Not the defaults, which an answer without a file has."""
    in_force = configured({"victron": {"max_charge_current_a": 20}})
    checked = await check_file(REQUEST, FakeClock(), in_force=in_force, run=answering(replace(good({}), digest=None)))

    assert checked.configuration is in_force


async def test_a_file_is_checked_by_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the file to the configuration in force, with nothing but the real parts."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    path = tmp_path / "a.json"
    path.write_text('{"cvl": {"bulk_soc_threshold": 70}}')
    request = CheckRequest(str(path), Overrides(device="/dev/ttyUSB3"))
    checked = await check_file(request, SystemClock(), timeout_s=250.0)

    assert checked.configuration == replace(
        configured({"cvl": {"bulk_soc_threshold": 70}, "hardware": {"uart": {"device": "/dev/ttyUSB3"}}}),
    )
    path.write_text('{"cvl": {"bulk_soc_threshold": 700}}')
    with pytest.raises(ConfigError, match="must be a number from 0 to 100 %"):
        await check_file(replace(request, fall_back=False), SystemClock(), timeout_s=250.0)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let another program stand in for the checker."""

    def use(code: str) -> None:
        monkeypatch.setattr(configuration, "_COMMAND", (sys.executable, "-c", code))

    return use


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os; os.kill(os.getpid(), 9)", "the checker was ended by SIGKILL"),
        ("import sys; sys.exit(3)", "the checker failed with status 3: it says nothing"),
        ("raise MemoryError('all is full')", "the checker failed with status 1: MemoryError: all is full"),
        ("import os; os.close(0); os._exit(4)", "the checker failed with status 4: it says nothing"),
    ],
)
async def test_a_process_that_dies_says_how(command: Callable[[str], None], code: str, reason: str) -> None:
    """Killed for want of memory, broken, gone without a word."""
    command(code)
    with pytest.raises(BridgeError) as caught:
        await run_checker(b"{}" * 100_000)

    assert str(caught.value) == reason


async def test_a_program_that_is_not_there_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an update that went wrong."""
    monkeypatch.setattr(configuration, "_COMMAND", ("/nowhere/python",))
    with pytest.raises(BridgeError, match="the checker cannot be started: No such file or directory"):
        await run_checker(b"{}")


async def test_what_is_typed_at_a_terminal_does_not_reach_the_process(command: Callable[[str], None]) -> None:
    """Ctrl-C is for the bridge: in a group of its own the checker ends with the bridge, not before and with a text."""
    command("import os; print(os.getpgrp())")

    assert int(await run_checker(b"{}")) != os.getpgrp()


async def test_a_process_that_hangs_is_killed(command: Callable[[str], None], tmp_path: Path) -> None:
    """It is gone when the error is there."""
    sign, clock = tmp_path / "pid", FakeClock()
    command(
        f"import os, time; open({str(sign)!r} + '~', 'w').write(str(os.getpid())); "
        f"os.rename({str(sign)!r} + '~', {str(sign)!r}); time.sleep(3600)"
    )
    check = asyncio.create_task(check_file(REQUEST, clock))
    while not os.path.exists(sign):  # noqa: ASYNC240 -- a file of this test
        await asyncio.sleep(0.01)
    await clock.advance(START_TIMEOUT_S + 0.1)
    with pytest.raises(ConfigError, match="did not answer within 120 s"):
        await check

    with pytest.raises(ProcessLookupError):
        os.kill(int(await asyncio.to_thread(sign.read_text)), 0)
