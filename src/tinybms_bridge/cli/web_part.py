"""The web server as a part of the bridge, which follows the configuration."""

from collections.abc import Callable
from contextlib import ExitStack

from tinybms_bridge.bridge import Bridge
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.events import ConfigChanged
from tinybms_bridge.services.logs import LogBook

__all__ = ["add_web"]

_WEB_DELAY_S = 5.0
"""Longest wait of the web server for the first frame after the start of the bridge."""


def add_web(
    bridge: Bridge, store: ConfigStore, book: LogBook, start_again: Callable[[], None], *, keep: bool
) -> Callable[[], None]:
    """Add the web server, which takes up changes of its section and of its directory; return what ends that.

    It waits for the first frame: the path comes first, and the web stack takes seconds to import on a small board.
    """
    from tinybms_bridge.services.web.accounts import USERS_FILE
    from tinybms_bridge.services.web.options import WebOptions
    from tinybms_bridge.services.web.service import WebService
    from tinybms_bridge.services.web.tls import CERTIFICATE_FILE, KEY_FILE
    from tinybms_bridge.web_face import WebFace

    machine = bridge.machine
    for name, mode in ((CERTIFICATE_FILE, 0o644), (KEY_FILE, 0o600)):
        machine.stored(name, mode)  # browsers that trust our own certificate go on trusting it

    def options_of(config: Configuration) -> WebOptions:
        return WebOptions.from_config(config.web_server, machine.folder())

    face = WebFace(bridge, store, book, start_again)
    users = machine.stored(USERS_FILE, 0o600)
    service = WebService(face, options_of(bridge.config), users, machine.clock, command_line=keep)
    changes = bridge.bus.subscribe(ConfigChanged, name="web")

    async def run() -> None:
        await _path_started(bridge)
        await service.run()

    async def follow() -> None:
        async for _ in changes:
            options = options_of(bridge.config)
            if options != service.options:  # the live data reads its own keys at each tick
                service.options = options
                bridge.supervisor.restart("web")

    bridge.supervisor.add("web", run)
    bridge.supervisor.add("web watch", service.watch.run)
    bridge.supervisor.add("web settings", follow)

    def guard(config: Configuration) -> None:
        service.check(options_of(config))

    store.guards.append(guard)
    ending = ExitStack()
    ending.callback(service.close)
    ending.callback(changes.close)
    ending.callback(store.guards.remove, guard)
    return ending.close


async def _path_started(bridge: Bridge) -> None:
    """Wait for the first frame, but not long where there is no BMS or no CAN: then people need the web pages most."""
    clock = bridge.machine.clock
    end_s = bridge.started_s + _WEB_DELAY_S
    while not bridge.last_frames and clock.monotonic() < end_s:
        await clock.sleep(0.1)
