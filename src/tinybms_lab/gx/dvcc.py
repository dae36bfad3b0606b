"""A GX with DVCC: how it turns CVL, CCL and DCL into set points for chargers and inverter.

Behaviour from Victron's dvcc.py as told in victron-can.md, 4: a loop of 3 s; solar chargers
regulate at CVL + 0.4 V and without CCL while they feed in; CCL otherwise limits what the chargers give beyond the
loads; in an island DCL is ignored unless it is 0, which switches the inverter off; without limits for 3 s everything
stops.
"""

import math
from dataclasses import dataclass, replace

__all__ = ["BMS_TIMEOUT_S", "FEED_IN_RISE_V", "LOOP_S", "BatteryLimits", "Dvcc", "SetPoints", "SystemPlan"]

LOOP_S = 3.0
BMS_TIMEOUT_S = 3.0
FEED_IN_RISE_V = 0.4
_DEVICE_TIMEOUT_S = 60.0
"""How long chargers and inverter keep the last set points of a GX that is gone. A choice: no document says."""


@dataclass(frozen=True, slots=True)
class BatteryLimits:
    """The three limits as frame 0x351 brings them."""

    cvl_v: float
    ccl_a: float
    dcl_a: float


@dataclass(frozen=True, slots=True)
class SystemPlan:
    """The installation around the battery."""

    feed_in: bool = False
    """Surplus of the panels is sold through the inverter."""
    island: bool = True
    """No grid: the inverter feeds the loads alone."""
    solar_max_a: float = 170.0
    """Largest current of all solar chargers together."""
    inverter_max_w: float = 12_000.0
    export_max_w: float = 10_000.0
    """Most that may be sold."""
    charger_offset_v: float = 0.0
    """Calibration of the solar chargers: reading less truth. Below 0 they overcharge."""
    inverter_offset_v: float = 0.0
    cable_ohm: float = 0.0005
    """Between the battery's terminals and the common bus."""
    charger_cable_ohm: float = 0.0005
    """Between the bus and the solar chargers."""


@dataclass(frozen=True, slots=True)
class SetPoints:
    """What the devices have been told."""

    charge_v: float = 0.0
    """Voltage at which solar chargers regulate."""
    charge_limit_a: float = 0.0
    """Most that all solar chargers together may give."""
    export_above_v: float = math.inf
    """The inverter sells what lifts the battery above this."""
    discharge_limit_a: float = 0.0
    charging: bool = False
    """False: solar chargers stand still."""
    inverting: bool = False
    """False: the inverter is off."""


class Dvcc:
    """The GX device's control of chargers and inverter: with the last frame that arrived, in a loop of its own."""

    def __init__(self, plan: SystemPlan) -> None:
        self._plan = plan
        self._frame: BatteryLimits | None = None
        self._frame_at_s = -math.inf
        self._loop_at_s = -math.inf
        self._points = SetPoints()
        self.running = True
        """False while the GX restarts."""

    def receive(self, frame: BatteryLimits, now_s: float) -> None:
        """Take a frame from the bus; one that comes while the GX restarts is lost."""
        if self.running:
            self._frame, self._frame_at_s = frame, now_s

    def stop(self) -> None:
        """Restart begins: what was received is forgotten; the devices keep their set points for a while."""
        self.running = False
        self._frame = None

    def start(self) -> None:
        """Restart is over: the next step runs the loop."""
        self.running = True

    @property
    def frame(self) -> BatteryLimits | None:
        """The last frame, however old."""
        return self._frame

    def step(self, now_s: float, inverter_a: float) -> SetPoints:
        """Return the set points in force; ``inverter_a`` is what the inverter draws from the bus now."""
        if not self.running:
            if now_s - self._loop_at_s > _DEVICE_TIMEOUT_S:
                self._points = SetPoints()
            return self._points
        if self._frame is None or now_s - self._frame_at_s > BMS_TIMEOUT_S:
            self._points = SetPoints()
            self._loop_at_s = -math.inf  # the first frame of a battery that is back counts at once
        elif now_s - self._loop_at_s >= LOOP_S - 1e-6:
            self._loop_at_s = now_s
            self._points = self._decide(self._frame, inverter_a)
        return self._points

    def _decide(self, frame: BatteryLimits, inverter_a: float) -> SetPoints:
        common = SetPoints(
            charge_v=frame.cvl_v,
            charge_limit_a=min(frame.ccl_a + max(inverter_a, 0.0), self._plan.solar_max_a),
            discharge_limit_a=frame.dcl_a,
            charging=True,
            inverting=True,
        )
        if self._plan.island:
            return replace(common, discharge_limit_a=math.inf, inverting=frame.dcl_a > 0.0)
        if self._plan.feed_in:
            return replace(
                common,
                charge_v=frame.cvl_v + FEED_IN_RISE_V,
                charge_limit_a=self._plan.solar_max_a,
                export_above_v=frame.cvl_v,
            )
        return common
