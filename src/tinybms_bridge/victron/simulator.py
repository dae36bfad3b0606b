"""A simulated GX with inverter/charger, solar charger, loads and grid, which obeys CVL, CCL and DCL.

A base for tests and the demonstration: it follows the limits as a well-behaved system does and leaves out what dvcc.py
adds to them (0.4 V for feed-in, sharing of CCL between chargers, quirks of makers).
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum

from tinybms_bridge.hal.can import CanFrame, CanPort
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.victron.codec import DecodedFrame, decode_frame
from tinybms_bridge.victron.gx import IDENTIFICATION, IDENTIFICATION_ID, KEEP_ALIVE_ID
from tinybms_bridge.victron.plant import BatteryTerminals, GxPlan, VoltageRegulator

__all__ = ["BatteryTerminals", "GxMode", "GxPlan", "GxSimulator", "GxView"]

_BMS_TIMEOUT_S = 3.0
_KEEP_ALIVE_PERIOD_S = 1.0
_LONGEST_STEP_S = 1.0
_UNDERSTOOD = (0x351, 0x355, 0x356, 0x35A, 0x35E, 0x370, 0x371)


class GxMode(StrEnum):
    """What the system does with the battery."""

    WAITING = "WAITING"
    """No battery recognised yet: 0x35A or 0x351 was never seen."""
    BMS_LOST = "BMS_LOST"
    """0x351 is missing: no charge, no discharge."""
    IDLE = "IDLE"
    CHARGING = "CHARGING"
    """As much as sun and CCL allow."""
    VOLTAGE_LIMITED = "VOLTAGE_LIMITED"
    """CVL is reached; the current tapers."""
    DISCHARGING = "DISCHARGING"


@dataclass(frozen=True, slots=True)
class GxView:
    """What a display of the GX shows now."""

    mode: GxMode = GxMode.WAITING
    battery_name: str = ""
    cvl_v: float | None = None
    ccl_a: float | None = None
    dcl_a: float | None = None
    battery_voltage_v: float | None = None
    battery_current_a: float | None = None
    temperature_c: float | None = None
    soc_percent: float | None = None
    alarms: tuple[str, ...] = ()
    """Names of the active alarms, then of the active warnings, as in ``victron_bms.dbc``."""
    current_a: float = 0.0
    """What the system makes flow; positive charges."""
    solar_available_w: float = 0.0
    solar_w: float = 0.0
    """What is taken of it."""
    load_w: float = 0.0
    grid_w: float = 0.0
    """Taken from the grid to serve the loads."""


@dataclass(slots=True)
class _Received:
    """The last frames of the battery."""

    limits_at_s: float = -math.inf
    frames: dict[int, DecodedFrame] = field(default_factory=dict)

    def number(self, arbitration_id: int, name: str) -> float | None:
        frame = self.frames.get(arbitration_id)
        return frame.number(name) if frame else None

    def text(self, arbitration_id: int) -> str:
        frame = self.frames.get(arbitration_id)
        return str(frame.values["text"]) if frame else ""

    @property
    def battery_name(self) -> str:
        """Name as a GX chooses it: 0x370 with 0x371, else 0x35E, else a general one."""
        name = self.text(0x370) + self.text(0x371) if 0x370 in self.frames and 0x371 in self.frames else ""
        return name or self.text(0x35E) or ("CAN-bus BMS battery" if self.frames else "")

    @property
    def active_alarms(self) -> tuple[str, ...]:
        frame = self.frames.get(0x35A)
        return tuple(name for name, value in frame.values.items() if value == "active") if frame else ()


class GxSimulator:
    """The GX and all behind it, on a CAN port and on the terminals of a battery."""

    def __init__(
        self,
        port: CanPort,
        clock: Clock,
        terminals: BatteryTerminals,
        plan: GxPlan | None = None,
        *,
        step_s: float = 0.25,
    ) -> None:
        self.plan = plan or GxPlan()
        self.step_s = step_s
        """0.1 to 1 s between two decisions about the current."""
        self._port = port
        self._clock = clock
        self._terminals = terminals
        self._started_s = clock.monotonic()
        self._keep_alive_due_s = self._started_s
        self._received = _Received()
        self._regulator = VoltageRegulator()
        self._view = GxView()

    async def run(self) -> None:
        """Run until cancelled; then no current flows."""
        unsubscribe = self._port.subscribe(self.on_frame)
        last_s = self._clock.monotonic()
        try:
            while True:
                now_s = self._clock.monotonic()
                self.step(now_s - last_s)
                last_s = now_s
                await self._clock.sleep(self.step_s)
        finally:
            unsubscribe()
            self._terminals.set_current_a(0.0)

    def on_frame(self, frame: CanFrame) -> None:
        """Take a frame of the battery; others are ignored."""
        if frame.arbitration_id not in _UNDERSTOOD:
            return
        decoded = decode_frame(frame)
        if frame.arbitration_id == 0x351:
            if decoded.number("discharge_current_limit") is None:  # too short to carry all three limits
                return
            self._received.limits_at_s = self._clock.monotonic()
        self._received.frames[frame.arbitration_id] = decoded

    def step(self, elapsed_s: float) -> None:
        """Send what is due, and choose the battery current for the time until the next step."""
        now_s = self._clock.monotonic()
        if now_s >= self._keep_alive_due_s:
            self._keep_alive_due_s = now_s + _KEEP_ALIVE_PERIOD_S
            self._port.send(CanFrame(KEEP_ALIVE_ID, bytes(8)))
            self._port.send(CanFrame(IDENTIFICATION_ID, IDENTIFICATION))
        time_s = now_s - self._started_s
        solar_w = max(self.plan.solar_power_w(time_s), 0.0)
        load_w = max(self.plan.load_power_w(time_s), 0.0)
        mode, current_a = self._decide(solar_w, load_w, min(elapsed_s, _LONGEST_STEP_S))
        self._terminals.set_current_a(current_a)
        self._view = self._look(mode, current_a, solar_w, load_w)

    def view(self) -> GxView:
        """Return what a display shows, as of the last step."""
        return self._view

    def _decide(self, solar_w: float, load_w: float, elapsed_s: float) -> tuple[GxMode, float]:
        mode = self._absence()
        voltage_v = self._terminals.voltage_v
        if mode is not None or voltage_v <= 0.0:
            self._regulator.reset()
            return mode or GxMode.IDLE, 0.0
        cvl_v, ccl_a, dcl_a = (self._limit(name) for name in ("charge_voltage", "charge_current", "discharge_current"))
        tapered_a = self._regulator.step(cvl_v - voltage_v, ccl_a, self._view.current_a, elapsed_s)
        wanted_a = (solar_w - load_w) / voltage_v
        current_a = max(-dcl_a, min(wanted_a, tapered_a))
        if current_a < 0.0:
            return GxMode.DISCHARGING, current_a
        if self._regulator.limiting and wanted_a > current_a:
            return GxMode.VOLTAGE_LIMITED, current_a
        return (GxMode.CHARGING, current_a) if current_a > 0.0 else (GxMode.IDLE, 0.0)

    def _absence(self) -> GxMode | None:
        """Return why the battery may not be used, or None."""
        if 0x351 not in self._received.frames or 0x35A not in self._received.frames:
            return GxMode.WAITING
        lost = self._clock.monotonic() - self._received.limits_at_s > _BMS_TIMEOUT_S
        return GxMode.BMS_LOST if lost else None

    def _limit(self, name: str) -> float:
        return self._received.number(0x351, f"{name}_limit") or 0.0

    def _look(self, mode: GxMode, current_a: float, solar_available_w: float, load_w: float) -> GxView:
        received = self._received
        battery_w = current_a * self._terminals.voltage_v
        stopped = mode in (GxMode.WAITING, GxMode.BMS_LOST)
        solar_w = 0.0 if stopped else min(solar_available_w, max(load_w + battery_w, 0.0))
        return GxView(
            mode=mode,
            battery_name=received.battery_name,
            cvl_v=received.number(0x351, "charge_voltage_limit"),
            ccl_a=received.number(0x351, "charge_current_limit"),
            dcl_a=received.number(0x351, "discharge_current_limit"),
            battery_voltage_v=received.number(0x356, "voltage"),
            battery_current_a=received.number(0x356, "current"),
            temperature_c=received.number(0x356, "temperature"),
            soc_percent=received.number(0x355, "soc_high_resolution") or received.number(0x355, "soc"),
            alarms=received.active_alarms,
            current_a=current_a,
            solar_available_w=solar_available_w,
            solar_w=solar_w,
            load_w=load_w,
            grid_w=max(load_w + battery_w - solar_w, 0.0),
        )
