"""The web server as a service of the bridge; the web framework is imported by ``run``, in a thread."""

import asyncio
import contextlib
import errno
import logging
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Never

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.errors import BridgeError, ConfigError, ConfigProblem, LinkError
from tinybms_bridge.hal.clock import Clock, until_tick_s
from tinybms_bridge.hal.interpreter import keep_what_is_loaded
from tinybms_bridge.hal.leave_out import leave_out
from tinybms_bridge.hal.storage import Storage
from tinybms_bridge.hal.system_errors import error_words
from tinybms_bridge.link.events import EventCode, Noted
from tinybms_bridge.services.ports import Core, Pages
from tinybms_bridge.services.web.live.watch import Watch
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.services.web.tls import tls_context
from tinybms_bridge.words import message

if TYPE_CHECKING:
    from tinybms_bridge.services.web.security.gate import Gate
    from tinybms_bridge.services.web.server import EmbeddedServer

__all__ = ["WebService", "WebState", "bind", "to_standard_error"]

log = logging.getLogger(__name__)

_REFRESH_S = 2.0
"""How soon a change that the command line made to the users is seen."""
_STOP_TIMEOUT_S = 2.0


def to_standard_error(text: str) -> None:
    """Tell whoever can read the output of this machine."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class WebState:
    """How the web server is reached, for whoever sits at the terminal: never for the log or an answer."""

    address: str = ""
    """URL on this machine; empty while the server does not listen."""
    setup_token: str = ""
    """Makes the first administrator; empty once there is one."""
    users_command: str = ""
    """How ``tinybms-bridge users`` is called here to work on the same users."""


class WebService:
    """The web server of one bridge; ``run`` may be called again after it failed or was cancelled."""

    def __init__(
        self,
        core: Core,
        options: WebOptions,
        storage: Storage,
        clock: Clock,
        *,
        announce: Callable[[str], None] = to_standard_error,
        users_command: Callable[[], str] = lambda: "tinybms-bridge users",
    ) -> None:
        self.options = options
        """May be replaced; the next ``run`` takes it up."""
        self.port: int | None = None
        """The port in use while the server listens."""
        self.watch = Watch(core)
        """Follows the bridge from the beginning, over every start of the server."""
        self._core = core
        self._storage = storage
        self._clock = clock
        self._announce = announce  # not the log: that can be read without a login
        self._users_command = users_command  # that reaches the same users
        self._gate: Gate | None = None
        self._worked: WebOptions | None = None
        self._address = ""
        self._setup_shown = ""
        self._unsaved = ""

    async def run(self) -> None:
        """Serve until cancelled, with the last options that worked if the present ones cannot be used.

        Raises LinkError when the port cannot be had, ConfigError for a wrong certificate.
        """
        wanted, worked = self.options, self._worked
        if not wanted.enabled:
            log.info("web server is off (web_server.enabled)")
            await asyncio.Event().wait()
        try:
            await self._run(wanted)
        except (LinkError, ConfigError) as error:
            if worked is None or wanted in (worked, self._worked):
                raise
            told = message(EventCode.WEB_SETTINGS, error=error.description)
            self._core.note(Noted(Severity.FAULT, told))
            fallback = worked
        await self._run(fallback)

    @property
    def state(self) -> WebState:
        """How the server is reached now."""
        address = "" if self.port is None else self._address
        setup_token = "" if self._gate is None else self._gate.accounts.registry.setup_token
        return WebState(address, setup_token, self._users_command())

    @property
    def pages(self) -> Pages | None:
        """Where it listens; None while it does not."""
        if self.port is None or self._worked is None:
            return None
        return Pages(self._worked.listen_address, self.port, self._worked.encrypted)

    def check(self, wanted: WebOptions) -> None:
        """Raise ConfigError if the server could not go on with these options. Blocks; not for the event loop."""
        present = self.options
        if wanted == present or not wanted.enabled:
            return
        if (wanted.listen_address, wanted.port) != (present.listen_address, present.port):
            self._check_address(wanted)
        tls_context(wanted)

    def _check_address(self, wanted: WebOptions) -> None:
        try:
            bind(wanted.listen_address, 0 if wanted.port == self.port else wanted.port).close()
        except LinkError as error:
            key = "port" if wanted.port != self.options.port else "listen_address"
            problem = ConfigProblem(f"web_server.{key}", getattr(wanted, key), error.description)
            raise ConfigError([problem]) from error

    def close(self) -> None:
        """End what outlives ``run``; safe to call twice."""
        self.watch.close()

    async def _run(self, options: WebOptions) -> Never:
        with bind(options.listen_address, options.port) as listener:  # first: a retry must cost next to nothing
            server, gate = await asyncio.to_thread(self._prepare, options)
            await gate.accounts.refresh()
            self._worked = options
            port = listener.getsockname()[1]
            self._address = _url(options, port)
            log.info("web server listens on %s", _url(options, port, everywhere="*"))
            await self._offer_setup(gate)
            self.port = port
            try:
                await self._serve(server, gate, listener)
            finally:
                self.port = None

    def _prepare(self, options: WebOptions) -> "tuple[EmbeddedServer, Gate]":
        """Import the web stack and build the application. Blocks for up to some seconds on a small machine."""
        context = tls_context(options)
        leave_out("pydantic.v1")  # FastAPI asks whether a model is one of that; none is

        from tinybms_bridge.services.web.accounts import Accounts
        from tinybms_bridge.services.web.app import create_app
        from tinybms_bridge.services.web.security.gate import Gate
        from tinybms_bridge.services.web.server import build_server

        if self._gate is None:
            self._gate = Gate(Accounts(self._storage), self._clock, options)
        self._gate.near.refresh()
        self._gate.options = options  # sessions outlive a change of the port
        app = create_app(self._core, options, gate=self._gate, watch=self.watch)
        server = build_server(app, options, context)
        keep_what_is_loaded()
        return server, self._gate

    async def _serve(self, server: "EmbeddedServer", gate: "Gate", listener: socket.socket) -> Never:
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="web server")
        watching = asyncio.create_task(self._watch_users(gate), name="web users")
        try:
            await asyncio.wait([serving, watching], return_when=asyncio.FIRST_COMPLETED)
        finally:
            watching.cancel()
            server.stop()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STOP_TIMEOUT_S):
                    await asyncio.wait([serving])
            server.abort()
            serving.cancel()
            await asyncio.gather(serving, watching, return_exceptions=True)
        for task in (serving, watching):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        raise LinkError("the web server ended on its own")

    async def _watch_users(self, gate: "Gate") -> None:
        """Take up what the command line changes, and interfaces that come and go."""
        told = ""
        while True:
            await self._clock.sleep(until_tick_s(self._clock, _REFRESH_S))
            await asyncio.to_thread(gate.near.refresh)
            try:
                await gate.accounts.refresh()
                told = ""
            except BridgeError as error:
                if str(error) != told:
                    log.warning("%s; the users known so far stay", error)
                told = str(error)
            await self._offer_setup(gate)

    async def _offer_setup(self, gate: "Gate") -> None:
        """Have a setup token while there is no administrator, and show each one once."""
        try:
            await gate.accounts.offer_setup()
            self._unsaved = ""
        except BridgeError as error:
            if str(error) != self._unsaved:
                log.warning("there is no administrator, and none can be made: %s", error)
            self._unsaved = str(error)
        token = gate.accounts.registry.setup_token
        if token and token != self._setup_shown:
            self._setup_shown = token
            self._announce(
                f"There is no administrator yet. One-time setup token of the web server: {token}\n"
                f"Make one: {self.state.users_command} add NAME --role admin\n"
                f"or with the token, as {self._address} says."
            )


def _url(options: WebOptions, port: int, everywhere: str = "localhost") -> str:
    """Return the address of the first page; ``everywhere`` is the name for all interfaces."""
    host = options.listen_address or everywhere
    return f"{'https' if options.encrypted else 'http'}://{f'[{host}]' if ':' in host else host}:{port}/"


def bind(address: str, port: int) -> socket.socket:
    """Return a socket that is bound; an empty address means every interface. Raises LinkError that says what to do."""
    everywhere = not address
    both = everywhere and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in address else socket.AF_INET
    host = address or ("::" if both else "0.0.0.0")  # noqa: S104 - all interfaces is what an empty address means
    try:
        listener = socket.create_server((host, port), family=family, dualstack_ipv6=both)
    except OSError as error:
        raise _bind_error(error, address, port) from error
    # Connections inherit it. asyncio sets it only where the protocol number is given, and without it each answer
    # waits up to 40 ms for the client's acknowledgement of its head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _bind_error(error: OSError, address: str, port: int) -> LinkError:
    match error.errno:
        case errno.EADDRINUSE:
            return LinkError(message("web.port_in_use", port=port), hint=message("web.choose_port"))
        case errno.EACCES | errno.EPERM:
            return LinkError(message("web.port_forbidden", port=port), hint=message("web.choose_high_port"))
        case errno.EADDRNOTAVAIL:
            return LinkError(message("web.no_address", address=address), hint=message("web.correct_address"))
    return LinkError(message("web.port_closed", port=port, reason=error_words(error)), hint=message("web.see_port"))
