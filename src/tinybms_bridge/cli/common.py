"""What the commands share: logging, running a coroutine until a signal, ending with one clear line."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

import click

from tinybms_bridge.errors import BridgeError, ConfigError

__all__ = ["EXIT_CONFIG", "EXIT_FAILURE", "fail", "run_until_signal", "set_up_logging"]

EXIT_FAILURE = 1
EXIT_CONFIG = 2

T = TypeVar("T")


def fail(error: BridgeError | str) -> NoReturn:
    """End the command with one line for each problem on standard error, and a code other than 0."""
    if isinstance(error, ConfigError):
        for problem in error.problems:
            click.echo(f"error: {error.source + ': ' if error.source else ''}{problem}", err=True)
        sys.exit(EXIT_CONFIG)
    click.echo(f"error: {error}", err=True)
    sys.exit(EXIT_FAILURE)


def set_up_logging(level: str, handler: logging.Handler | None = None) -> None:
    """Send log lines of this program to standard error, or to ``handler``; libraries only from WARNING up."""
    handler = handler or logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # An adapter that is gone is reported by the bridge itself, once; python-can repeats it for each call.
    logging.getLogger("can").setLevel(logging.CRITICAL)
    logging.getLogger("tinybms_bridge").setLevel(level)


def run_until_signal(make: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
    """Run a coroutine until it ends or SIGINT or SIGTERM asks it to; None in the latter case."""

    async def body() -> T | None:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(make())
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return None

    return asyncio.run(body())
