"""Live data: one encoding for each moment, handed to every client through a slot that holds one message."""

from tinybms_bridge.services.web.live.client import ThrottleSettings
from tinybms_bridge.services.web.live.hub import Client, Hub, HubSettings
from tinybms_bridge.services.web.live.messages import Topic

__all__ = ["Client", "Hub", "HubSettings", "ThrottleSettings", "Topic"]
