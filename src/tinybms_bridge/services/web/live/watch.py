"""What follows the bridge for the web pages, whether the server listens or not: alarms, recent changes, live data."""

from tinybms_bridge.config.models import WebServer
from tinybms_bridge.services.web.face import BridgeFace
from tinybms_bridge.services.web.live.alarm_desk import AlarmDesk
from tinybms_bridge.services.web.live.changes import Changes
from tinybms_bridge.services.web.live.hub import Hub, HubSettings
from tinybms_bridge.services.web.live.throttle import ThrottleSettings

__all__ = ["Watch", "hub_settings"]

_DRAIN_INTERVAL_S = 10.0


class Watch:
    """One for the life of the program; each start of the server uses the same."""

    def __init__(self, face: BridgeFace) -> None:
        self.alarms = AlarmDesk(face.bus)
        self.changes = Changes(face.bus)
        self.hub = Hub(face, lambda: hub_settings(face.store.configuration.web_server))
        self._clock = face.clock

    async def run(self) -> None:
        """Take what the bus has told, until cancelled, so that nothing is lost while nobody looks."""
        while True:
            self.alarms.drain()
            self.changes.drain()
            await self._clock.sleep(_DRAIN_INTERVAL_S)

    def close(self) -> None:
        """Follow nothing any more; safe to call twice."""
        self.alarms.close()
        self.changes.close()


def hub_settings(web: WebServer) -> HubSettings:
    """Return the bounds of the live data that a configuration asks for."""
    return HubSettings(
        max_clients=web.max_ws_clients,
        interval_s=web.websocket_update_interval_ms / 1000.0,
        throttle=ThrottleSettings(
            min_interval_s=web.websocket_min_interval_ms / 1000.0,
            burst_window_s=web.websocket_burst_window_ms / 1000.0,
            burst_max=web.websocket_burst_max,
            max_payload_bytes=web.websocket_max_payload_bytes,
        ),
    )
