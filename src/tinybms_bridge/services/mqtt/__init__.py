"""Service ``mqtt``: the battery at an MQTT broker, in Home Assistant, and commands from there."""

import asyncio
from typing import Protocol

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.blocking import RunBlocking
from tinybms_bridge.hal.storage import Storage
from tinybms_bridge.services.mqtt.announced import load_announced
from tinybms_bridge.services.mqtt.options import MqttOptions
from tinybms_bridge.services.ports import Core
from tinybms_bridge.services.standing import ServiceStanding
from tinybms_bridge.words import Message, message

__all__ = ["MEMORY_FILE", "SPOOL_FOLDER", "MqttOptions", "MqttPublisher", "make_mqtt"]

MEMORY_FILE = "mqtt.json"
"""In the state directory: what has been announced."""
SPOOL_FOLDER = "mqtt-spool"
"""In the state directory: what waits for a broker."""


class MqttPublisher(Protocol):
    """What publishes, or waits until it is wanted."""

    async def run(self) -> None:
        """Publish until cancelled."""
        ...

    async def test(self) -> Message:
        """Try it. Raises BridgeError."""
        ...


class _Off:
    """Nothing is wanted, and nothing is to be taken back: the library is not loaded."""

    def __init__(self, standing: ServiceStanding) -> None:
        self._standing = standing

    async def run(self) -> None:
        """Wait until something else is wanted."""
        self._standing.off()
        await asyncio.Event().wait()

    async def test(self) -> Message:
        """Raise LinkError: there is nothing to try."""
        raise LinkError(message("service.off", service="mqtt"))


def make_mqtt(
    core: Core,
    options: MqttOptions,
    standing: ServiceStanding,
    memory: Storage,
    run_blocking: RunBlocking,
) -> MqttPublisher:
    """Return what publishes as wanted. Blocks; see ``MqttService`` for the arguments."""
    if not options.mqtt.enabled and not load_announced(memory).topics:
        return _Off(standing)

    from tinybms_bridge.services.mqtt.service import MqttService

    return MqttService(core, options, standing, memory, run_blocking)
