"""A simulated GX with inverter, solar chargers, loads and grid on a CAN port, for tests and the demonstration.

What it makes of CVL, CCL and DCL is ``dvcc.py``, what flows then is ``devices.py``; the bench uses the same.
"""

from tinybms_bridge.hal.can import CanFrame, CanPort
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.victron.can.codec import decode_frame
from tinybms_bridge.victron.can.gx import IDENTIFICATION, IDENTIFICATION_ID, KEEP_ALIVE_ID
from tinybms_lab.gx.devices import BatterySource, Devices, PowerFlow
from tinybms_lab.gx.dvcc import BMS_TIMEOUT_S, Dvcc, SetPoints
from tinybms_lab.gx.gx_view import GxMode, GxView, Received
from tinybms_lab.gx.plant import BatteryTerminals, GxPlan

__all__ = ["BatteryTerminals", "GxMode", "GxPlan", "GxSimulator", "GxView"]

_KEEP_ALIVE_PERIOD_S = 1.0
_LONGEST_STEP_S = 1.0
_BATTERY_OHM = 0.03
"""The devices' idea of the battery, by which they judge how much current moves its voltage: a guess, as in life."""
_AT_TARGET_V = 0.1
_HALF_STEP_A = 0.05
_UNDERSTOOD = (0x351, 0x355, 0x356, 0x35A, 0x35E, 0x370, 0x371)


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
        self._received = Received()
        self._dvcc = Dvcc(self.plan.system)
        self._devices = Devices(self.plan.system)
        self._current_a = 0.0
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
        if frame.arbitration_id == 0x351 and decoded.number("discharge_current_limit") is None:
            return  # too short to carry all three limits
        self._received.frames[frame.arbitration_id] = decoded
        if frame.arbitration_id == 0x351:
            self._received.limits_at_s = self._clock.monotonic()
        if self._received.recognised:
            self._dvcc.receive(self._received.limits, self._received.limits_at_s)

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
        points = self._dvcc.step(now_s, self._devices.inverter_a)
        voltage_v = self._terminals.voltage_v
        if voltage_v <= 0.0:
            points = SetPoints()
        flow = self._flow(voltage_v, solar_w, load_w, points, min(elapsed_s, _LONGEST_STEP_S))
        self._current_a = flow.battery_a
        self._terminals.set_current_a(flow.battery_a)
        self._view = self._look(self._mode(flow, solar_w, points), flow, solar_w, load_w)

    def view(self) -> GxView:
        """Return what a display shows, as of the last step."""
        return self._view

    def _flow(self, voltage_v: float, solar_w: float, load_w: float, points: SetPoints, elapsed_s: float) -> PowerFlow:
        battery = BatterySource(voltage_v - self._current_a * _BATTERY_OHM, _BATTERY_OHM, self._current_a)
        return self._devices.step(elapsed_s, battery, solar_w, load_w, points)

    def _mode(self, flow: PowerFlow, solar_w: float, points: SetPoints) -> GxMode:
        """Return what the system does; the more telling word where two fit."""
        absence = self._absence()
        if absence is not None:
            return absence
        if points.charging and not points.inverting:
            return GxMode.DARK
        if self._devices.export_a > _HALF_STEP_A:
            return GxMode.FEEDING_IN
        at_target = self._terminals.voltage_v > points.charge_v - _AT_TARGET_V
        if at_target and flow.battery_a >= 0.0 and flow.solar_w < 0.99 * solar_w:
            return GxMode.VOLTAGE_LIMITED
        if abs(flow.battery_a) < _HALF_STEP_A:
            return GxMode.IDLE
        return GxMode.CHARGING if flow.battery_a > 0.0 else GxMode.DISCHARGING

    def _absence(self) -> GxMode | None:
        """Return why the battery may not be used, or None."""
        if not self._received.recognised:
            return GxMode.WAITING
        lost = self._clock.monotonic() - self._received.limits_at_s > BMS_TIMEOUT_S
        return GxMode.BMS_LOST if lost else None

    def _look(self, mode: GxMode, flow: PowerFlow, solar_available_w: float, load_w: float) -> GxView:
        received = self._received
        from_grid = not self.plan.system.island
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
            current_a=flow.battery_a,
            solar_available_w=solar_available_w,
            solar_w=flow.solar_w,
            load_w=load_w,
            served_w=load_w if from_grid else flow.served_w,
            grid_w=max(load_w - flow.served_w, 0.0) if from_grid else 0.0,
            sold_w=self._devices.sold_w(self._terminals.voltage_v),
        )
