"""What the commands share: logging, running a coroutine until a signal, ending with one clear line."""

import asyncio
import logging
import os
import selectors
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TextIO, TypeVar

import click

from tinybms_bridge.errors import BridgeError, ConfigError

__all__ = [
    "EXIT_CONFIG",
    "EXIT_FAILURE",
    "EarlyHandler",
    "fail",
    "logging_through",
    "occupy_standard_streams",
    "run_until_signal",
    "set_up_logging",
]

EXIT_FAILURE = 1
EXIT_CONFIG = 2

T = TypeVar("T")


def fail(error: BridgeError | OSError | str) -> NoReturn:
    """End the command with one line for each problem on standard error, and a code other than 0."""
    if isinstance(error, ConfigError):
        for problem in error.problems:
            click.echo(f"error: {error.source + ': ' if error.source else ''}{problem}", err=True)
        sys.exit(EXIT_CONFIG)
    if isinstance(error, OSError) and error.strerror:
        error = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    click.echo(f"error: {error}", err=True)
    sys.exit(EXIT_FAILURE)


class EarlyHandler(logging.StreamHandler[TextIO]):
    """Writes to standard error until a log book takes over."""


def set_up_logging(level: str, handler: logging.Handler | None = None) -> None:
    """Send log lines of this program to standard error, or to ``handler``; libraries only from WARNING up."""
    handler = handler or EarlyHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # An adapter that is gone is reported by the bridge itself, once; python-can repeats it for each call.
    logging.getLogger("can").setLevel(logging.CRITICAL)
    logging.getLogger("tinybms_bridge").setLevel(level)


@contextmanager
def logging_through(handler: logging.Handler) -> Iterator[None]:
    """Let a handler take the log lines of the whole program, in place of the early one, until the block ends."""
    root = logging.getLogger()
    early = [each for each in root.handlers if isinstance(each, EarlyHandler)]
    for each in early:
        root.removeHandler(each)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        for each in early:
            root.addHandler(each)


def occupy_standard_streams() -> None:
    """Open the null device in the place of each standard stream that was closed before the start.

    Otherwise the next port to be opened gets its number, and whatever a library prints goes to the battery.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def run_until_signal(make: Callable[[], Coroutine[Any, Any, T]], *, punctual: bool = False) -> T | None:
    """Run a coroutine until it ends or SIGINT or SIGTERM asks it to; None in the latter case.

    ``punctual``: on an event loop whose timers do not round up to 1 ms, as those of epoll do; it serves few files.
    """

    async def body() -> T | None:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(make())
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return None

    with asyncio.Runner(loop_factory=_punctual_loop if punctual else None) as runner:
        return runner.run(body())


def _punctual_loop() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop(selectors.SelectSelector())
