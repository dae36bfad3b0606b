"""The core's end of the link: tells every client the state of the bridge and carries out their commands.

Whoever publishes waits for nothing: a value is kept, and told at the end of the event loop's turn to the clients that
take it. While nobody is connected nothing is encoded.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from tinybms_bridge.hal.blocking import RunBlocking, in_thread
from tinybms_bridge.hal.clock import Clock, Timer
from tinybms_bridge.link.commands import Command
from tinybms_bridge.link.outbox import Branches, EventRing, Outbox, QueuedMessage
from tinybms_bridge.link.session import Budget, Caller, ClientSession, Handler, SessionBounds, Traffic
from tinybms_bridge.link.sockets import ListeningSocket, Peer, listen, peer_of
from tinybms_bridge.link.wire import (
    FROM_CLIENT,
    LINK_VERSION,
    BranchChange,
    Bye,
    EventMessage,
    Hello,
    WholeState,
    encode,
    prepare,
)

__all__ = ["CONNECTIONS_AT_ONCE", "CONNECTIONS_PER_S", "MOST_CLIENTS", "MOST_OF_A_PROCESS", "LinkServer"]

log = logging.getLogger(__name__)

C = TypeVar("C", bound=Command[Any])

_TICK_S = 5.0
MOST_CLIENTS = 16
MOST_OF_A_PROCESS = 6
CONNECTIONS_PER_S = 4.0
CONNECTIONS_AT_ONCE = 12.0
_ACCEPT_AGAIN_S = 1.0
"""Pause after the system refused to take a connection, for want of descriptors for example."""
_MOST_BUDGETS = 64
_MOST_WARNED = 64


class LinkServer:
    """Listens at a socket for services and command lines.

    Args:
        path: Where; see ``link.path``.
        clock: Source of time.
        branches: Names of the fields of the state tree.
        program_version: Told to the clients.
        bounds: How much one client may cost.
        run_blocking: Runs what reads and writes files.

    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        branches: Collection[str],
        *,
        program_version: str = "",
        bounds: SessionBounds | None = None,
        run_blocking: RunBlocking = in_thread,
    ) -> None:
        self.path = path
        self.run_id = os.urandom(8).hex()
        """Names this run: numbers of another one mean nothing."""
        self._handlers: dict[str, Handler] = {}
        self.before_greeting: Callable[[], None] = lambda: None
        """Called before a client is told the state: what nobody listened to need not have been published."""
        self.traffic = Traffic()
        self._clock = clock
        self._names = frozenset(branches)
        self._program_version = program_version
        self._bounds = bounds or SessionBounds()
        self._run_blocking = run_blocking
        self._sequence = 0
        self._branches = Branches()
        self._events = EventRing()
        self._listening: ListeningSocket | None = None
        self._sessions: set[ClientSession] = set()
        self._budgets: dict[int, Budget] = {}
        self._accepting = Budget(CONNECTIONS_PER_S, CONNECTIONS_AT_ONCE, clock.awake())
        self._accepts: set[asyncio.Task[None]] = set()
        self._left_over: set[asyncio.Task[None]] = set()
        self._flushing = False
        self._ticking: Timer | None = None
        self._accept_later: Timer | None = None
        self._warned: set[tuple[str, str]] = set()

    # what the core says

    def publish(self, branch: str, value: object) -> None:
        """Put another value of a branch in force: a field of the state tree, or ``field.key`` for one entry of a map.

        The value must not be changed afterwards. Raises ValueError for a branch that there is not.
        """
        if branch.partition(".")[0] not in self._names:
            raise ValueError(f"the state has no branch {branch!r}")
        self.traffic.changes += 1
        entry = QueuedMessage(BranchChange(self._next(), branch, value))
        self._branches.put(branch, entry)
        for session in self._sessions:
            if session.greeted:
                session.outbox.put_branch(branch, entry)
        self._flush_soon()

    def publish_event(self, kind: str, event: object) -> None:
        """Tell an event; one that a client does not take in time is lost to it, and that is told."""
        self.traffic.events += 1
        entry = QueuedMessage(EventMessage(self._next(), kind, event))
        self._events.put(entry)
        for session in self._sessions:
            if session.greeted:
                session.outbox.put_event(entry)
        self._flush_soon()

    def handle(
        self, command: type[C], carry_out: Callable[[C, Caller], Awaitable[object]], *, ends_with_client: bool = False
    ) -> None:
        """Carry out a command with a coroutine, which may raise any error of the program.

        Args:
            command: What it is for.
            carry_out: Called with the checked command and who sent it; its result is the answer.
            ends_with_client: Whether to cancel it when the client goes; never for what writes to a device.

        """
        self._handlers[command.name] = Handler(command, carry_out, ends_with_client)

    # its life

    async def run(self) -> None:
        """Serve until cancelled. Raises LinkError when no socket can be made, or another process listens there."""
        await self.start()
        try:
            await asyncio.Event().wait()
        finally:
            await self.close()

    async def start(self) -> None:
        """Listen. Raises LinkError."""
        self._listening = await self._run_blocking(_prepared, self.path)
        self._accept_on()
        log.info("listening for services and commands at %s", self.path)

    async def close(self) -> None:
        """Listen no more, say good-bye, and end the commands that are under way; safe to call twice."""
        listening, self._listening = self._listening, None
        for timer in (self._ticking, self._accept_later):
            if timer is not None:
                timer.cancel()
        self._ticking = self._accept_later = None
        if listening is not None:
            asyncio.get_running_loop().remove_reader(listening.socket)
        tasks = {*self._accepts, *self._left_over}
        for session in list(self._sessions):
            tasks.update(session.busy)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for session in list(self._sessions):
            session.flush()
            session.close("the bridge ends")
        if listening is not None:
            await self._run_blocking(listening.close)

    def statistics(self) -> Traffic:
        """Return what went over the link since the start or the last reset."""
        lost, merged = self._lost_and_merged()
        return replace(self.traffic, events_lost=self.traffic.events_lost + lost, merged=self.traffic.merged + merged)

    @property
    def clients(self) -> int:
        """How many clients are connected."""
        return sum(session.greeted for session in self._sessions)

    def reset_statistics(self) -> None:
        """Begin counting again."""
        lost, merged = self._lost_and_merged()
        self.traffic = Traffic(events_lost=-lost, merged=-merged)

    def _lost_and_merged(self) -> tuple[int, int]:
        boxes = [session.outbox for session in self._sessions]
        return sum(box.events_lost for box in boxes), sum(box.merged for box in boxes)

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _flush_soon(self) -> None:
        if self._sessions and not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        for session in list(self._sessions):
            session.flush()

    # who connects

    def _accept_on(self) -> None:
        self._accept_later = None
        if self._listening is not None:
            asyncio.get_running_loop().add_reader(self._listening.socket, self._accept)

    def _accept_rest(self, delay_s: float) -> None:
        assert self._listening is not None
        asyncio.get_running_loop().remove_reader(self._listening.socket)
        self._accept_later = self._clock.call_later(delay_s, self._accept_on)

    def _accept(self) -> None:
        """Take one connection, or none while there are too many in a short time: they wait with the kernel."""
        assert self._listening is not None
        now_s = self._clock.awake()
        wait_s = self._accepting.wait_s(now_s)
        if wait_s > 0:
            self._accept_rest(wait_s)
            return
        try:
            connection, _ = self._listening.socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            self.warn("accept", "", f"no connection can be taken: {error.strerror or error}")
            self._accept_rest(_ACCEPT_AGAIN_S)
            return
        self._accepting.take(1.0)
        connection.setblocking(False)
        peer = peer_of(connection)
        reason = self._why_not(peer)
        if reason:
            self.traffic.refused += 1
            self.warn("many", str(peer.pid), f"{peer} is not served: {reason}")
            _send_off(connection, reason)
        else:
            self._take(connection, peer, now_s)

    def _why_not(self, peer: Peer) -> str:
        if len(self._sessions) >= MOST_CLIENTS:
            return f"{MOST_CLIENTS} clients are connected, and there may be no more"
        own = sum(session.peer.pid == peer.pid for session in self._sessions)
        if peer.pid and peer.pid != os.getpid() and own >= MOST_OF_A_PROCESS:
            return f"it has {own} connections, and may have no more"
        return ""

    def _take(self, connection: socket.socket, peer: Peer, now_s: float) -> None:
        self.traffic.connections += 1
        session = ClientSession(self, peer, self._budget_of(peer, now_s), self._clock, self._bounds)
        self._sessions.add(session)
        task = asyncio.get_running_loop().create_task(self._connect(session, connection), name="link connection")
        self._accepts.add(task)
        task.add_done_callback(self._accepts.discard)
        if self._ticking is None:
            self._ticking = self._clock.call_later(_TICK_S, self._tick)

    async def _connect(self, session: ClientSession, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: session, connection)
        except BaseException:
            connection.close()
            self._sessions.discard(session)
            raise

    def _budget_of(self, peer: Peer, now_s: float) -> Budget:
        """Return the budget of a process, which is no larger for one that connects again and again."""
        if len(self._budgets) >= _MOST_BUDGETS:
            self._budgets = {pid: each for pid, each in self._budgets.items() if not each.full(now_s)}
        budget = self._budgets.get(peer.pid)
        if budget is None:
            budget = Budget(self._bounds.messages_per_s, self._bounds.burst, now_s)
            self._budgets[peer.pid] = budget
        return budget

    def _tick(self) -> None:
        self._ticking = None
        for session in list(self._sessions):
            session.tick()
        if self._sessions:
            self._ticking = self._clock.call_later(_TICK_S, self._tick)

    # what a session asks for

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """See ``Host.handlers``."""
        return self._handlers

    def greeting(self, hello: Hello, outbox: Outbox) -> tuple[Hello, WholeState | None]:
        """See ``Host.greeting``."""
        self.before_greeting()
        events = self._events.since(hello.sequence)
        known = hello.run == self.run_id and hello.sequence <= self._sequence
        resumed = known and events is not None
        answer = Hello(LINK_VERSION, self._program_version, "core", self.run_id, self._sequence, resumed)
        if not resumed or events is None:
            branches = {name: entry.message.value for name, entry in self._branches.since(0)}
            return answer, WholeState(self._sequence, branches)
        for name, entry in self._branches.since(hello.sequence):
            outbox.put_branch(name, entry)
        for entry in events:
            outbox.put_event(entry)
        return answer, None

    def warn(self, kind: str, who: str, text: str) -> None:
        """See ``Host.warn``."""
        if (kind, who) in self._warned:
            log.debug("%s", text)
            return
        if len(self._warned) >= _MOST_WARNED:
            self._warned.clear()
        self._warned.add((kind, who))
        log.warning("%s", text)

    def gone(self, session: ClientSession) -> None:
        """See ``Host.gone``."""
        self._sessions.discard(session)
        self.traffic.events_lost += session.outbox.events_lost
        self.traffic.merged += session.outbox.merged
        for task in session.busy:
            self._left_over.add(task)
            task.add_done_callback(self._left_over.discard)


def _prepared(path: Path) -> ListeningSocket:
    prepare(FROM_CLIENT)
    return listen(path)


def _send_off(connection: socket.socket, reason: str) -> None:
    """Say why, as far as the kernel takes it at once, and close."""
    with connection:
        try:
            connection.send(encode(Bye(reason)))
        except OSError:
            log.debug("a client that is not served has gone before it was told why")
