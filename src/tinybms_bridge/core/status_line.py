"""A log line with the values that matter, from time to time, for terminals without a live view and for the journal."""

import logging
from collections.abc import Callable

from tinybms_bridge.battery.limits import Limits
from tinybms_bridge.battery.snapshot import PackValues, Snapshot
from tinybms_bridge.battery.view import View
from tinybms_bridge.hal.clock import Clock

__all__ = ["StatusLine", "describe_status"]

log = logging.getLogger(__name__)


def describe_status(view: View) -> str:
    """Return one line: what is measured or was last, and what is allowed; empty when nothing is known."""
    if view.measured is None and view.last is None:
        return ""
    if view.last is None:
        measured = _measured(view.measured) if view.measured else ""
    else:
        measured = f"old data, {view.last.age_s:.0f} s: {_measured(view.last.snapshot)}"
    allowed = "" if view.limits is None else f"{_allowed(view.limits)} "
    remark = f", {view.remark}" if view.remark else ""
    return f"{measured} | {allowed}{view.freshness}{remark}"


def _measured(snapshot: Snapshot) -> str:
    pack, cells = snapshot.pack, snapshot.cells
    hottest_c = snapshot.temperatures.hottest_c
    warmth = "" if hottest_c is None else f" {hottest_c:.1f} °C"
    return (
        f"{pack.voltage_v:.2f} V {pack.current_a:+.1f} A SOC {pack.soc_percent:.1f} %{_by_the_bms(pack)}{warmth}, "
        f"cells {cells.min_v:.3f} to {cells.max_v:.3f} V"
    )


def _by_the_bms(pack: PackValues) -> str:
    return "" if pack.bms_soc_percent is None else f" (BMS {pack.bms_soc_percent:.1f} %)"


def _allowed(limits: Limits) -> str:
    return f"CVL {limits.cvl_v:.1f} V CCL {limits.ccl_a:.1f} A DCL {limits.dcl_a:.1f} A {limits.state}"


class StatusLine:
    """Writes the line every ``interval_s`` at level INFO, or WARNING while fresh data is not sent."""

    def __init__(self, look: Callable[[], View], clock: Clock, interval_s: float) -> None:
        self.interval_s = interval_s
        """May be replaced at any time."""
        self._look = look
        self._clock = clock

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._clock.sleep(self.interval_s)
            view = self._look()
            line = describe_status(view)
            if line:
                log.log(logging.WARNING if view.last else logging.INFO, "%s", line)
