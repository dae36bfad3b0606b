"""The services that somebody may want or not: made when they are wanted, and made anew for other options."""

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.core.supervisor import Supervisor
from tinybms_bridge.errors import LinkError, described
from tinybms_bridge.hal.blocking import RunBlocking
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.link.state import ServiceState
from tinybms_bridge.services.standing import ServiceStanding
from tinybms_bridge.words import Message, message

__all__ = ["Extra", "ExtraService"]

OptionsT = TypeVar("OptionsT")


class ExtraService(Protocol):
    """A service as it is made for its options."""

    async def run(self) -> None:
        """Serve until cancelled; whatever can pass is waited for and told by its standing."""
        ...

    async def test(self) -> Message:
        """Try it once as configured and return what happened. Raises BridgeError with the reason where it fails."""
        ...


class Extra(Generic[OptionsT]):
    """One such service, wanted or not; a ``WatchedService`` for pages and API.

    Args:
        name: Of the service and of its part.
        supervisor: Starts it again when it fails.
        clock: Source of time.
        run_blocking: Runs what imports the libraries of the service.
        options: Returns what a configuration says of it; None: it is not wanted.
        make: Makes it; called in a thread, so that what it imports holds nothing up.
        testable: Whether a person can have it tried.

    """

    def __init__(
        self,
        name: str,
        supervisor: Supervisor,
        clock: Clock,
        run_blocking: RunBlocking,
        options: Callable[[Configuration], OptionsT | None],
        make: Callable[[OptionsT, ServiceStanding], ExtraService],
        *,
        testable: bool = True,
    ) -> None:
        self.name = name
        self.standing = ServiceStanding(name, clock, testable=testable)
        """How it stands."""
        self._supervisor = supervisor
        self._run_blocking = run_blocking
        self._read = options
        self._make = make
        self._wanted: OptionsT | None = None
        self._running: ExtraService | None = None

    def begin(self, config: Configuration) -> None:
        """Have it run as the configuration says, from the start of the supervisor on."""
        self._wanted = self._read(config)
        self._supervisor.add(self.name, self._run)

    def take_up(self, config: Configuration) -> None:
        """Run as another configuration says: from the beginning where that concerns it."""
        wanted = self._read(config)
        if wanted != self._wanted:
            self._wanted = wanted
            self._supervisor.restart(self.name)

    def state(self) -> ServiceState:
        """Return how it stands."""
        return self.standing.state()

    async def test(self) -> Message:
        """Try it once as configured. Raises BridgeError with the reason where it fails or is off."""
        if self._running is None:
            raise LinkError(message("service.off", service=self.name))
        return await self._running.test()

    async def _run(self) -> None:
        wanted = self._wanted
        if wanted is None:
            self.standing.off()
            await asyncio.Event().wait()
            return
        try:
            self._running = await self._run_blocking(self._make, wanted, self.standing)
            await self._running.run()
        except Exception as error:
            self.standing.trouble(described(error))
            raise
        finally:
            self._running = None
