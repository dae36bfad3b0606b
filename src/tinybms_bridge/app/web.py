"""The web server as a part of the bridge, which follows the configuration."""

import asyncio
import gc
import shlex
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tinybms_bridge.app.restart import own_command
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.paths import state_directory
from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.core.bridge import Bridge
from tinybms_bridge.link.events import ConfigChanged
from tinybms_bridge.services.logs import LogStore

if TYPE_CHECKING:
    from tinybms_bridge.services.web.options import WebOptions
    from tinybms_bridge.services.web.service import WebService, WebState

__all__ = ["add_web", "users_command"]

_WEB_DELAY_S = 5.0
"""Longest wait of the web server for the first frame after the start of the bridge."""


def add_web(
    bridge: Bridge, store: ConfigStore, logs: LogStore, start_again: Callable[[], None], *, live: bool = False
) -> Callable[[], None]:
    """Add the web server, which takes up changes of its section and of its directory; return what ends that.

    It waits for the first frame: the path comes first, and the web stack takes seconds to import on a small board.
    ``live``: a live view has the screen and shows the setup token by ``Bridge.web_state``; nothing is printed.
    """
    part = _WebPart(bridge, lambda: _make_service(bridge, store, logs, start_again, live=live))
    bridge.supervisor.add("web", part.run)
    bridge.supervisor.add("web-watch", part.watch)
    bridge.supervisor.add("web-settings", part.follow)
    store.guards.append(part.check)
    bridge.web_state = part.state
    ending = ExitStack()
    ending.callback(part.close)
    ending.callback(store.guards.remove, part.check)
    return ending.close


class _WebPart:
    """The web server, made when it is first wanted: without it a small board has the memory for something else."""

    def __init__(self, bridge: Bridge, make: "Callable[[], WebService]") -> None:
        self._bridge = bridge
        self._make = make
        self._made = asyncio.Event()
        self._changes = bridge.bus.subscribe(ConfigChanged, name="web")
        self._service: WebService | None = None
        if bridge.config.web_server.enabled:
            self._begin(make())

    async def run(self) -> None:
        """Serve once there is something to serve."""
        await _path_started(self._bridge)
        gc.freeze()  # as the web server does once it is loaded, also where there is none
        await (await self._wanted()).run()

    async def watch(self) -> None:
        """Follow the bridge for the pages."""
        await (await self._wanted()).watch.run()

    async def follow(self) -> None:
        """Take up what the configuration says."""
        async for _ in self._changes:
            config = self._bridge.config
            if self._service is None:
                if config.web_server.enabled:
                    self._begin(await self._bridge.machine.run_blocking(self._make))
                continue
            options = _options_of(self._bridge, config)
            if options != self._service.options:  # the live data reads its own keys at each tick
                self._service.options = options
                self._bridge.supervisor.restart("web")

    def check(self, config: Configuration) -> None:
        """Raise ConfigError if the server could not go on with this configuration. Blocks."""
        if self._service is not None:
            self._service.check(_options_of(self._bridge, config))

    def state(self) -> "WebState | None":
        """Tell how the server is reached."""
        return None if self._service is None else self._service.state

    def close(self) -> None:
        """Follow nothing any more."""
        self._changes.close()
        if self._service is not None:
            self._service.close()

    async def _wanted(self) -> "WebService":
        await self._made.wait()
        assert self._service is not None
        return self._service

    def _begin(self, service: "WebService") -> None:
        self._service = service
        self._made.set()


def _make_service(
    bridge: Bridge, store: ConfigStore, logs: LogStore, start_again: Callable[[], None], *, live: bool
) -> "WebService":
    from tinybms_bridge.app.web_face import WebFace
    from tinybms_bridge.services.web.accounts import USERS_FILE
    from tinybms_bridge.services.web.service import WebService, to_standard_error
    from tinybms_bridge.services.web.tls import CERTIFICATE_FILE, KEY_FILE

    machine = bridge.machine
    for name, mode in ((CERTIFICATE_FILE, 0o644), (KEY_FILE, 0o600)):
        machine.stored(name, mode)  # browsers that trust our own certificate go on trusting it
    face = WebFace(bridge, store, logs, start_again)
    users = machine.stored(USERS_FILE, 0o600)
    return WebService(
        face,
        _options_of(bridge, bridge.config),
        users,
        machine.clock,
        announce=_to_nobody if live else to_standard_error,
        users_command=lambda: users_command(machine.folder()),
    )


def _to_nobody(_text: str) -> None:
    """Print nothing."""


def users_command(folder: Path) -> str:
    """Return how ``tinybms-bridge users`` is called for the users of a state directory."""
    words = [own_command(), "users"]
    if folder != state_directory("", {}):
        words += ["--state-directory", str(folder)]
    return shlex.join(words)


def _options_of(bridge: Bridge, config: Configuration) -> "WebOptions":
    from tinybms_bridge.services.web.options import WebOptions

    return WebOptions.from_config(config.web_server, bridge.machine.folder())


async def _path_started(bridge: Bridge) -> None:
    """Wait for the first frame, but not long where there is no BMS or no CAN: then people need the web pages most."""
    clock = bridge.machine.clock
    end_s = bridge.started_s + _WEB_DELAY_S
    while not bridge.can.last_frames and clock.monotonic() < end_s:
        await clock.sleep(0.1)
