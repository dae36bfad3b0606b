"""What follows the bridge for the web pages, whether the server listens or not: alarms, recent changes, live data.

All of it is kept from the bus without a task of its own, and looked at when somebody asks.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from tinybms_bridge.config.models import WebServer
from tinybms_bridge.hal.clock import until_tick_s
from tinybms_bridge.link.bus import Bus, Envelope
from tinybms_bridge.link.events import ChargeStateChanged, Event, FreshnessChanged, GxChanged, LinkChanged
from tinybms_bridge.services.ports import Core
from tinybms_bridge.services.web.live.alarms import AlarmTracker
from tinybms_bridge.services.web.live.broadcaster import Broadcaster, BroadcasterSettings
from tinybms_bridge.services.web.live.client import ThrottleSettings
from tinybms_bridge.services.web.live.overview import Overview
from tinybms_bridge.words import Message

__all__ = ["Change", "Changes", "Watch", "broadcaster_settings"]

_DEPTH = 256


@dataclass(frozen=True, slots=True)
class Change:
    """One change."""

    at: datetime
    kind: str
    """``freshness``, ``link``, ``gx`` or ``charge_state``."""
    value: str
    detail: str = ""
    """Of a line that is down: why, in English."""
    message: Message | None = None
    """The same by code, where it is known."""

    def why(self) -> Message | None:
        """Return why a line is down, by code."""
        return self.message


class Changes:
    """The last changes of freshness, link, GX and charge state since this was made."""

    def __init__(self, bus: Bus, keep: int = 100) -> None:
        types: tuple[type[Event], ...] = (FreshnessChanged, LinkChanged, GxChanged, ChargeStateChanged)
        self._subscription = bus.subscribe(*types, depth=_DEPTH, name="web changes")
        self._kept: deque[Change] = deque(maxlen=keep)

    def recent(self) -> tuple[Change, ...]:
        """Return the kept changes, oldest first."""
        self.drain()
        return tuple(self._kept)

    def drain(self) -> None:
        """Take what the bus has told since the last look."""
        while (envelope := self._subscription.take()) is not None:
            self._kept.append(_change(envelope))

    def close(self) -> None:
        """Follow the bus no more; safe to call twice."""
        self._subscription.close()


def _change(envelope: Envelope[Event]) -> Change:
    match envelope.event:
        case FreshnessChanged(new=new):
            return Change(envelope.wall, "freshness", new.value)
        case LinkChanged(up=up, reason=reason, message=known):
            return Change(envelope.wall, "link", "up" if up else "down", reason, known)
        case GxChanged(state=state):
            return Change(envelope.wall, "gx", state.lower())
        case ChargeStateChanged(new=state_now):
            return Change(envelope.wall, "charge_state", state_now.value)
        case other:
            return Change(envelope.wall, type(other).__name__, "")


_LOOK_INTERVAL_S = 2.0
"""Some thirty currents in the minute that the time left is told from."""


class Watch:
    """One for the life of the program; each start of the server uses the same."""

    def __init__(self, core: Core) -> None:
        self.alarms = AlarmTracker(core.bus)
        self.changes = Changes(core.bus)
        self.overview = Overview(core, self.alarms)
        self.broadcaster = Broadcaster(
            core, lambda: broadcaster_settings(core.store.configuration.web_server), self.overview
        )
        self._clock = core.clock

    async def run(self) -> None:
        """Take what the bus has told and how much flows, until cancelled: who comes finds what went before."""
        while True:
            self.alarms.drain()
            self.changes.drain()
            self.overview.look()
            await self._clock.sleep(until_tick_s(self._clock, _LOOK_INTERVAL_S))

    def close(self) -> None:
        """Follow nothing any more; safe to call twice."""
        self.alarms.close()
        self.changes.close()


def broadcaster_settings(web: WebServer) -> BroadcasterSettings:
    """Return the bounds of the live data that a configuration asks for."""
    return BroadcasterSettings(
        max_clients=web.max_ws_clients,
        interval_s=web.websocket_update_interval_ms / 1000.0,
        throttle=ThrottleSettings(
            min_interval_s=web.websocket_min_interval_ms / 1000.0,
            burst_window_s=web.websocket_burst_window_ms / 1000.0,
            burst_max=web.websocket_burst_max,
            max_payload_bytes=web.websocket_max_payload_bytes,
        ),
    )
