"""A log line with the values that matter, from time to time, for terminals without a live view and for the journal."""

import logging

from tinybms_bridge.battery.limits import Limits
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.bus import Bus
from tinybms_bridge.events import LimitsDecided, SampleAccepted
from tinybms_bridge.hal.clock import Clock

__all__ = ["StatusLine", "describe_status"]

log = logging.getLogger(__name__)


def describe_status(snapshot: Snapshot, limits: Limits) -> str:
    """Return one line: what is measured, and what is allowed."""
    pack, cells = snapshot.pack, snapshot.cells
    hottest_c = snapshot.temperatures.hottest_c
    warmth = "" if hottest_c is None else f" {hottest_c:.1f} °C"
    return (
        f"{pack.voltage_v:.2f} V {pack.current_a:+.1f} A SOC {pack.soc_percent:.1f} %{warmth}, "
        f"cells {cells.min_v:.3f} to {cells.max_v:.3f} V | "
        f"CVL {limits.cvl_v:.1f} V CCL {limits.ccl_a:.1f} A DCL {limits.dcl_a:.1f} A {limits.state} {limits.freshness}"
    )


class StatusLine:
    """Writes the line every ``interval_s`` at level INFO."""

    def __init__(self, bus: Bus, clock: Clock, interval_s: float) -> None:
        self.interval_s = interval_s
        """May be replaced at any time."""
        self._bus = bus
        self._clock = clock

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._clock.sleep(self.interval_s)
            sample, decided = self._bus.latest(SampleAccepted), self._bus.latest(LimitsDecided)
            if sample is not None and decided is not None:
                log.info("%s", describe_status(sample.event.snapshot, decided.event.limits))
