"""Live data: one encoding for each moment, handed to every client through a slot that holds one message."""

from tinybms_bridge.services.web.live.broadcaster import Broadcaster, BroadcasterSettings, Client
from tinybms_bridge.services.web.live.client import ThrottleSettings
from tinybms_bridge.services.web.live.messages import Topic

__all__ = ["Broadcaster", "BroadcasterSettings", "Client", "ThrottleSettings", "Topic"]
