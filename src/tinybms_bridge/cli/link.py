"""What the commands share that speak to a running bridge: where it listens, and one connection to it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tinybms_bridge.link.client import Connection
    from tinybms_bridge.link.state import CoreState

__all__ = ["linked", "socket_option", "user_name"]

_LONGEST_USER = 48
"""Of the 64 characters that the core takes."""

socket_option: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--socket",
    metavar="PATH",
    default="",
    envvar="TINYBMS_BRIDGE_SOCKET",
    help="Where the running bridge listens.  [default: in its runtime or state directory]",
)
"""Adds ``--socket`` to a command."""


@asynccontextmanager
async def linked(socket: str) -> "AsyncIterator[Connection[CoreState]]":
    """Give a connection to the bridge that runs here, its state there already. Raises LinkError where none runs."""
    from tinybms_bridge import __version__
    from tinybms_bridge.config.paths import state_directory
    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_bridge.link.client import open_link
    from tinybms_bridge.link.mirror import Mirror
    from tinybms_bridge.link.path import client_paths
    from tinybms_bridge.link.state import EVENTS, CoreState

    clock = SystemClock()
    mirror = Mirror(CoreState, EVENTS, clock.monotonic)
    paths = client_paths(socket, Path(state_directory("")))
    async with open_link(paths, mirror, clock, who="command line", program_version=__version__) as connection:
        yield connection


def user_name() -> str:
    """Return who asks, for the event list."""
    import getpass

    try:
        return f"{getpass.getuser()[:_LONGEST_USER]} (command line)"
    except (OSError, KeyError):  # a user without a name
        return "command line"
