"""The other end of the link: one connection used once, and a client that connects again until it is stopped.

Services keep a ``LinkClient`` with its ``Mirror`` for as long as they run. A command line opens one ``Connection`` with
``open_link``, which fails at once where no bridge runs.
"""

import asyncio
import errno
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.clock import Clock, Timer
from tinybms_bridge.hal.system_errors import error_words
from tinybms_bridge.link.codec import DecodeError, printable
from tinybms_bridge.link.commands import Command, answer_of, progress_of
from tinybms_bridge.link.failures import error_of
from tinybms_bridge.link.mirror import Mirror
from tinybms_bridge.link.sockets import address_of
from tinybms_bridge.link.wire import (
    FROM_CORE,
    LINK_VERSION,
    MOST_FROM_CLIENT,
    MOST_FROM_CORE,
    MOST_IN_FLIGHT,
    BranchChange,
    Bye,
    Call,
    CallAnswer,
    CallProgress,
    EventMessage,
    EventsLost,
    Hello,
    KeepAlive,
    LinkMessage,
    MessageReader,
    WholeState,
    encode,
    why_incompatible,
)
from tinybms_bridge.words import Message, message

__all__ = ["Backoff", "Connection", "LinkClient", "OnProgress", "open_link"]

log = logging.getLogger(__name__)

S = TypeVar("S")
R = TypeVar("R")

OnProgress = Callable[[Any], None]
"""Called with what the core tells on the way to an answer."""

_KEEP_ALIVE_S = 5.0
_SILENT_S = 30.0
"""How long the core may say nothing: it says that it is there every five seconds."""
_HELLO_S = 10.0
_CALL_S = 30.0
_URGENT = 2
"""How many of the commands under way are kept for urgent ones: to stop charging must not wait for settings."""


@dataclass(slots=True)
class _Pending:
    """A command whose answer is waited for."""

    command: Command[Any]
    answer: "asyncio.Future[Any]"
    on_progress: OnProgress | None


class Connection(asyncio.Protocol, Generic[S]):
    """One connection to a core; used once."""

    def __init__(self, mirror: Mirror[S], clock: Clock, who: str, program_version: str) -> None:
        self.mirror = mirror
        """The state of the core."""
        self.core: Hello | None = None
        """What the core said of itself; None before."""
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[str] = loop.create_future()
        """Done when the connection is over, with the reason."""
        self._ready: asyncio.Future[None] = loop.create_future()
        self._clock = clock
        self._who = who
        self._program_version = program_version
        self._reader = MessageReader(FROM_CORE, MOST_FROM_CORE)
        self._transport: asyncio.Transport | None = None
        self._pending: dict[int, _Pending] = {}
        self._next_id = 0
        self._room = asyncio.Semaphore(MOST_IN_FLIGHT - _URGENT)
        self._urgent_room = asyncio.Semaphore(_URGENT)
        self._reason = ""
        self._timer: Timer | None = None
        self._heard_s = 0.0

    async def call(
        self, command: Command[R], *, timeout_s: float = _CALL_S, on_progress: OnProgress | None = None
    ) -> R:
        """Let the core carry out a command, and return its answer; some wait for their turn here.

        A command that has been sent goes on in the core when this is cancelled or takes too long.

        Raises:
            LinkError: No answer, or the core is too busy, or does not know the command.
            Exception: Whatever the core raised; see the command.

        """
        try:
            async with asyncio.timeout(timeout_s), self._urgent_room if command.urgent else self._room:
                return await self._answered(command, on_progress)
        except TimeoutError as error:
            late = message("core.late", command=command.name, seconds=timeout_s)
            raise LinkError(late, hint=message("core.perhaps_done")) from error

    async def ready(self) -> None:
        """Wait until the state is there. Raises LinkError when the core refuses, or says nothing for some seconds."""
        try:
            async with asyncio.timeout(_HELLO_S):
                await asyncio.shield(self._ready)
        except TimeoutError as error:
            self.close("said nothing")
            raise LinkError(message("core.silent"), hint=message("core.hangs")) from error

    def close(self, reason: str = "closed") -> None:
        """End the connection; safe to call twice."""
        self._end(reason)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(Bye()))
            self._transport.close()

    # asyncio's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello."""
        self._transport = cast("asyncio.Transport", transport)
        mirror = self.mirror
        hello = Hello(LINK_VERSION, self._program_version, self._who, mirror.run_id, mirror.sequence)
        self._transport.write(encode(hello))
        self._heard_s = self._clock.awake()
        self._timer = self._clock.call_later(_KEEP_ALIVE_S, self._tick)

    def data_received(self, data: bytes) -> None:
        """Take what the core says, and call who waits once for all of it."""
        self._heard_s = self._clock.awake()
        self.mirror.heard()
        self._reader.feed(data)
        while not self.closed.done() and (taken := self._reader.take()) is not None:
            self._handle(taken)
        if self.core is not None:
            self.mirror.tell_changes()
        if self._reader.broken:
            self.close(f"the bridge sent what is no message: {self._reader.broken}")

    def connection_lost(self, _exc: Exception | None) -> None:
        """End."""
        self._transport = None
        self._end(self._reason or "the bridge has gone")

    def _tick(self) -> None:
        if self._transport is None or self.closed.done():
            return
        if self._clock.awake() - self._heard_s > _SILENT_S:
            self._end(f"the bridge said nothing for {_SILENT_S:.0f} s")
            self._transport.abort()
            return
        self._transport.write(encode(KeepAlive()))
        self._timer = self._clock.call_later(_KEEP_ALIVE_S, self._tick)

    def _end(self, reason: str) -> None:
        """Let nobody wait any longer."""
        if self._timer is not None:
            self._timer.cancel()
        if not self.closed.done():
            self.closed.set_result(reason)
        error = LinkError(reason)
        if not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()  # nobody may be waiting
        pending, self._pending = self._pending, {}
        for each in pending.values():
            if not each.answer.done():
                each.answer.set_exception(LinkError(reason, hint=message("core.perhaps_done")))

    # what the core says

    def _handle(self, message: LinkMessage) -> None:
        if isinstance(message, Bye):
            self._reason = printable(message.reason) or "the bridge closed the connection"
        elif isinstance(message, Hello):
            self._greeted(message)
        elif self.core is None:
            self.close("the bridge said something before hello")
        elif isinstance(message, CallAnswer):
            self._take_answer(message)
        elif isinstance(message, CallProgress):
            self._take_progress(message)
        else:
            self._take_news(message)

    def _greeted(self, hello: Hello) -> None:
        reason = why_incompatible(hello.link_version)
        if reason:
            self.close(f"the bridge cannot be talked to: {reason}")
            return
        self.core = hello
        if hello.resumed:
            self._be_ready()

    def _take_news(self, message: LinkMessage) -> None:
        mirror = self.mirror
        if isinstance(message, WholeState) and self.core is not None:
            mirror.take_state(message, self.core.run)
            self._be_ready()
        elif isinstance(message, BranchChange):
            mirror.take_change(message)
        elif isinstance(message, EventMessage):
            mirror.take_event(message)
        elif isinstance(message, EventsLost):
            mirror.take_lost(message)

    def _be_ready(self) -> None:
        self.mirror.set_connected(True)
        if not self._ready.done():
            self._ready.set_result(None)

    # commands

    async def _answered(self, command: Command[R], on_progress: OnProgress | None) -> R:
        if self._transport is None or self.closed.done():
            raise LinkError(self.closed.result() if self.closed.done() else message("core.not_connected"))
        self._next_id += 1
        call_id = self._next_id
        try:
            frame = encode(Call(call_id, command.name, cast("Any", command)), MOST_FROM_CLIENT)
        except ValueError as error:
            raise LinkError(message("core.too_long", command=command.name, reason=str(error))) from error
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._pending[call_id] = _Pending(command, answer, on_progress)
        self._transport.write(frame)
        try:
            return await answer
        finally:
            self._pending.pop(call_id, None)

    def _take_answer(self, answer: CallAnswer) -> None:
        pending = self._pending.get(answer.id)
        if pending is None or pending.answer.done():
            return
        if answer.failure is not None:
            pending.answer.set_exception(error_of(answer.failure))
            return
        try:
            pending.answer.set_result(answer_of(pending.command, answer.value))
        except DecodeError as error:
            unreadable = message("core.unreadable", command=pending.command.name, reason=str(error))
            pending.answer.set_exception(LinkError(unreadable))

    def _take_progress(self, message: CallProgress) -> None:
        pending = self._pending.get(message.id)
        if pending is None or pending.on_progress is None:
            return
        try:
            pending.on_progress(progress_of(pending.command, message.value))
        except DecodeError:
            log.debug("progress of %s cannot be read", pending.command.name)


async def _connect(
    paths: Sequence[Path], mirror: Mirror[S], clock: Clock, who: str, program_version: str
) -> Connection[S]:
    """Return a connection to the first socket at which somebody listens. Raises LinkError."""
    loop = asyncio.get_running_loop()
    tried: list[Message] = []
    for path in paths:
        try:
            with address_of(path) as address:
                _, connection = await loop.create_unix_connection(
                    lambda: Connection(mirror, clock, who, program_version), address
                )
        except OSError as error:
            tried.append(_why_not(path, error))
        else:
            return connection
    raise LinkError(message("core.absent"), hint=message("core.tried", places=tried))


def _why_not(path: Path, error: OSError) -> Message:
    if error.errno == errno.ENOENT:
        return message("core.tried.missing", path=path)
    if error.errno == errno.ECONNREFUSED:
        return message("core.tried.refused", path=path)
    if error.errno in (errno.EACCES, errno.EPERM):
        return message("core.tried.forbidden", path=path)
    return message("core.tried.failed", path=path, error=error_words(error))


@asynccontextmanager
async def open_link(
    paths: Iterable[Path], mirror: Mirror[S], clock: Clock, *, who: str, program_version: str = ""
) -> AsyncIterator[Connection[S]]:
    """Give a connection to the bridge that runs here, its state there already.

    Raises LinkError where none runs, naming what was tried, or where its version cannot be talked to.
    """
    connection = await _connect(tuple(paths), mirror, clock, who, program_version)
    try:
        await connection.ready()
        yield connection
    finally:
        connection.close()
        mirror.set_connected(False)


class Backoff:
    """Delays between attempts: growing up to a bound, each a little different."""

    def __init__(
        self, first_s: float = 0.2, most_s: float = 5.0, random_share: Callable[[], float] = random.random
    ) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._random_share = random_share
        self._next_s = first_s

    def delay_s(self) -> float:
        """Return the next delay: half to all of what it is at most."""
        most_s, self._next_s = self._next_s, min(self._next_s * 2, self._most_s)
        return most_s * (1 + self._random_share()) / 2

    def reset(self) -> None:
        """Begin with the first delay again."""
        self._next_s = self._first_s


class LinkClient(Generic[S]):
    """Keeps a mirror of the core, and connects again when the connection is lost.

    Args:
        paths: Where the socket may be.
        mirror: Gets what the core says.
        clock: Source of time.
        who: Name of this program, for the log of the core.
        program_version: Told to the core.
        backoff: Delays between attempts.

    """

    def __init__(
        self,
        paths: Iterable[Path],
        mirror: Mirror[S],
        clock: Clock,
        *,
        who: str,
        program_version: str = "",
        backoff: Backoff | None = None,
    ) -> None:
        self.mirror = mirror
        self._paths = tuple(paths)
        self._clock = clock
        self._who = who
        self._program_version = program_version
        self._backoff = backoff or Backoff()
        self._connection: Connection[S] | None = None
        self._told = ""

    async def run(self) -> None:
        """Follow the core until cancelled."""
        try:
            while True:
                reason = await self._follow()
                self._tell(reason)
                await self._clock.sleep(self._backoff.delay_s())
        finally:
            self._drop()

    async def call(
        self, command: Command[R], *, timeout_s: float = _CALL_S, on_progress: OnProgress | None = None
    ) -> R:
        """Let the core carry out a command; see ``Connection.call``. Raises LinkError at once while it is not there."""
        if self._connection is None or not self.mirror.connected:
            raise LinkError(message("core.not_connected"), hint=self._told or message("core.starts"))
        return await self._connection.call(command, timeout_s=timeout_s, on_progress=on_progress)

    async def _follow(self) -> str:
        """Stay with one connection until it is over, and return why it is."""
        try:
            connection = await _connect(self._paths, self.mirror, self._clock, self._who, self._program_version)
        except LinkError as error:
            return str(error)
        self._connection = connection  # who is told of the connection may call at once
        try:
            await connection.ready()
            self._backoff.reset()
            if self._told:
                log.info("the bridge answers again")
                self._told = ""
            return await asyncio.shield(connection.closed)
        except LinkError as error:
            return str(error)
        finally:
            connection.close()
            self._drop()

    def _drop(self) -> None:
        self._connection = None
        self.mirror.set_connected(False)

    def _tell(self, reason: str) -> None:
        if reason == self._told:
            log.debug("the bridge cannot be reached: %s", reason)
        else:
            log.warning("the bridge cannot be reached: %s; trying again until it answers", reason)
        self._told = reason
