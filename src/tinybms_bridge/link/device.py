"""A BMS behind a running core: reads it in the place of a client of the line, which the core alone may hold.

Whatever only sends requests that read works the same with both: event log, statistics, registers. Settings and actions
have commands of their own, which the core judges.
"""

from typing import Protocol, TypeVar

from tinybms_bridge.errors import LinkError
from tinybms_bridge.link.commands import AskDevice, Command
from tinybms_bridge.tinybms.frames import CrcMismatch, Framer, Garbage, Reply, Request

__all__ = ["Calls", "LinkedDevice"]

R = TypeVar("R")

_TIMEOUT_S = 30.0
"""For one request: the core may be writing settings, or waking the BMS."""


class Calls(Protocol):
    """A connection to a core."""

    async def call(self, command: Command[R], *, timeout_s: float) -> R:
        """Let the core carry out a command; see ``Connection.call``."""
        ...


class LinkedDevice:
    """Sends requests to a BMS through the core, which puts them between its own polls.

    Args:
        link: The connection to the core.
        pack: Which BMS; needless while there is one.

    """

    def __init__(self, link: Calls, pack: str = "") -> None:
        self._link = link
        self._pack = pack

    async def request(self, request: Request, *, attempts: int | None = None) -> Reply:  # noqa: ARG002 -- the core's own
        """Send a request that only reads, and return its reply; the core repeats it as often as its own.

        Raises DeviceRefused, LinkError, or ValueError for a request that does not only read.
        """
        data = await self._link.call(AskDevice(request.encode(), self._pack), timeout_s=_TIMEOUT_S)
        framer = Framer(max_buffer=len(data) + 1024)
        framer.expect(request)
        found = framer.feed(data)
        if len(found) == 1 and not isinstance(found[0], Garbage | CrcMismatch):
            return found[0]
        raise LinkError("the bridge gave a reply that does not belong to the request", hint="restart the bridge")
