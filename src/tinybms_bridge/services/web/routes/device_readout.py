"""The last reading of the settings of the BMS, so that looking at them does not load the line."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

from starlette.applications import Starlette

from tinybms_bridge.errors import DeviceRefused, LinkError
from tinybms_bridge.services.web.face import BridgeFace
from tinybms_bridge.tinybms.settings import Readout

__all__ = ["Reading", "ReadoutCache", "cache_of"]

_REST_S = 5.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of the settings."""

    readout: Readout | None
    at: datetime | None
    error: str = ""
    """Why there is nothing newer; empty when the last reading worked."""


class ReadoutCache:
    """Keeps one reading."""

    def __init__(self, face: BridgeFace) -> None:
        self._face = face
        self._reading = Reading(None, None)
        self._tried_at_s = float("-inf")
        self._current = False
        self._lock = asyncio.Lock()

    async def get(self, *, refresh: bool) -> Reading:
        """Return the kept reading, or a new one when there is none or ``refresh`` asks for it; never raises.

        The BMS is not asked twice within some seconds, whether or not it answered.
        """
        async with self._lock:
            rested = self._face.clock.monotonic() - self._tried_at_s >= _REST_S
            if rested and (refresh or not self._current):
                await self._read()
        return self._reading

    def forget(self) -> None:
        """Let the next ``get`` read anew: something was written."""
        self._current, self._tried_at_s = False, float("-inf")

    async def _read(self) -> None:
        self._tried_at_s = self._face.clock.monotonic()
        try:
            readout = await self._face.device_settings.read()
        except (LinkError, DeviceRefused) as error:
            self._reading = replace(self._reading, error=str(error))
            return
        self._current = True
        self._reading = Reading(readout, self._face.clock.wall())


def cache_of(app: Starlette) -> ReadoutCache:
    """Return the cache of an application; the first call makes it."""
    if not hasattr(app.state, "device_readout"):
        app.state.device_readout = ReadoutCache(app.state.face)
    cache: ReadoutCache = app.state.device_readout
    return cache
