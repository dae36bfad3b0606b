"""Setting the BMS's count of the state of charge right, where the owner wants that: register 328."""

import math
from collections.abc import Callable

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import EventCode, Noted
from tinybms_bridge.tinybms.settings import ActionName, BmsSettings
from tinybms_bridge.words import Message, message

__all__ = ["SocWriter"]

_LOOK_S = 600.0
_APART_PERCENT = 2.0
"""Full is found to half a percent, and a write is worth more than that."""
_LEAST_S = 86_400.0
"""A count drifts by some percent a day; what the BMS keeps for good is written no more often."""


class SocWriter:
    """Writes the bridge's count to the BMS when the two are apart; the write is read back, and told.

    Args:
        apart: tells by how many percent the BMS's count is higher; 0 where it is not to be set.
        settings: writes and reads back.
        bus: where it is told.
        clock: source of time.

    """

    def __init__(self, apart: Callable[[], float], settings: BmsSettings, bus: Bus, clock: Clock) -> None:
        self._apart = apart
        self._settings = settings
        self._bus = bus
        self._clock = clock

    async def run(self) -> None:
        """Look now and then until cancelled."""
        tried_s = -math.inf
        while True:
            await self._clock.sleep(_LOOK_S)
            apart = self._apart()
            if abs(apart) >= _APART_PERCENT and self._clock.monotonic() - tried_s >= _LEAST_S:
                tried_s = self._clock.monotonic()
                await self._write(apart)

    async def _write(self, apart: float) -> None:
        failure: Message | None
        try:
            result = await self._settings.perform(ActionName.SET_STATE_OF_CHARGE, confirm=True)
        except BridgeError as error:
            failure = error.description
        else:
            failure = None if result.outcome.good else result.description
        told = Noted(Severity.INFO, message(EventCode.SOC_WRITTEN, apart_percent=apart))
        if failure is not None:
            told = Noted(Severity.WARNING, message(EventCode.SOC_NOT_WRITTEN, reason=failure))
        self._bus.publish(told, "soc-writer")
