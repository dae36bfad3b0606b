"""Has a configuration checked by a process of its own: the core loads no checker, and outlives all that fails in it.

The other end is ``config.checker``. Whatever goes wrong there is a ConfigError here, and who has a configuration in
force keeps it.
"""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import asdict, dataclass
from signal import Signals
from typing import Any, TypeAlias

from tinybms_bridge import __version__
from tinybms_bridge.config.battery import check_alone, new_problems
from tinybms_bridge.config.checker import CheckAnswer, CheckRequest
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.values import from_values
from tinybms_bridge.errors import BridgeError, ConfigError, ConfigProblem
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.hal.processes import OWN_GROUP
from tinybms_bridge.link.codec import decoder, printable
from tinybms_bridge.words import message

__all__ = ["CHECK_TIMEOUT_S", "START_TIMEOUT_S", "Checked", "RunChecker", "check_file", "run_checker"]

CHECK_TIMEOUT_S = 30.0
"""Longest time for a check: a Raspberry Pi Zero that does much else takes some seconds to load the checker."""
START_TIMEOUT_S = 120.0
"""The same at a start: who gives up has no bridge at all, and all programs of a machine that was switched on start."""

RunChecker: TypeAlias = Callable[[bytes], Coroutine[Any, Any, bytes]]
"""Runs the checker: a request in, its answer out. Raises BridgeError; cancelled, it leaves no process behind."""

_COMMAND = (sys.executable, "-m", "tinybms_bridge.config.checker")


@dataclass(frozen=True, slots=True)
class Checked:
    """A configuration that may be put in force."""

    configuration: Configuration
    """With the command line's choices in it."""
    answer: CheckAnswer
    """What the checker says about it."""


async def check_file(
    request: CheckRequest,
    clock: Clock,
    *,
    in_force: Configuration | None = None,
    run: RunChecker | None = None,
    timeout_s: float | None = None,
) -> Checked:
    """Return what a file says.

    Raises ConfigError with every problem: those of the file, values that fit no battery unless ``in_force`` has them
    already, or that the check itself failed or took too long.

    Args:
        request: Which file.
        clock: Source of time for the limit.
        in_force: The configuration of a running bridge, which stays when there is no file any more; None at a start,
            where what fits no battery gives a notice.
        run: Runs the checker; None: in a process.
        timeout_s: Longest time for the check; None: the usual one, which is longer at a start.

    """
    if timeout_s is None:
        timeout_s = START_TIMEOUT_S if in_force is None else CHECK_TIMEOUT_S
    try:
        said = await _limited((run or run_checker)(json.dumps(asdict(request)).encode()), clock, timeout_s)
        checked = _read(said)
    except ConfigError:
        raise
    except BridgeError as error:
        problem = ConfigProblem("", None, message("config.not_checked", reason=error.description))
        raise ConfigError([problem], source=request.path or "") from error
    if in_force is not None:
        if checked.answer.digest is None:
            return Checked(in_force, checked.answer)
        problems = new_problems(check_alone(in_force), check_alone(checked.configuration))
        if problems:
            raise ConfigError(problems, source=checked.answer.source)
    return checked


async def run_checker(request: bytes) -> bytes:
    """Run the checker in a process. See ``RunChecker``."""
    try:
        process = await asyncio.create_subprocess_exec(
            *_COMMAND, stdin=PIPE, stdout=PIPE, stderr=PIPE, process_group=OWN_GROUP
        )
    except OSError as error:
        raise BridgeError(f"the checker cannot be started: {error.strerror or error}") from error
    try:
        said, complaint = await process.communicate(request)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        code = await process.wait()
    if code < 0:
        raise BridgeError(f"the checker was ended by {Signals(-code).name}")
    if code:
        lines = complaint.decode(errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "it says nothing")
        raise BridgeError(f"the checker failed with status {code}: {printable(last)}")
    return said


async def _limited(running: Coroutine[Any, Any, bytes], clock: Clock, timeout_s: float) -> bytes:
    """Return what ``running`` returns. Raises BridgeError after ``timeout_s``."""
    task = asyncio.ensure_future(running)

    def end() -> None:
        task.cancel()

    timer = clock.call_later(timeout_s, end)
    try:
        await asyncio.wait((task,))
    finally:
        timer.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
    if task.cancelled():
        raise BridgeError(f"the checker did not answer within {timeout_s:g} s")
    return task.result()


def _read(said: bytes) -> Checked:
    """Return what the checker says. Raises ConfigError where nothing can be used, BridgeError for what is no answer."""
    try:
        answer = decoder(CheckAnswer)(json.loads(said))
    except ValueError as error:
        raise BridgeError(f"the answer of the checker cannot be read: {printable(str(error))}") from None
    if answer.version != __version__:
        other = printable(answer.version)
        raise BridgeError(f"the files of this program {__version__} are those of version {other} now; start it again")
    if answer.values is None:
        raise ConfigError(list(answer.problems), source=answer.source)
    try:
        return Checked(from_values(answer.values), answer)
    except ConfigError as error:
        raise BridgeError(f"the answer of the checker cannot be used: {printable(str(error))}") from None
