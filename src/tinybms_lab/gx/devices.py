"""Solar chargers and inverter on the bus of the battery: each regulates its own reading of the voltage, with a lag."""

import math
from dataclasses import dataclass

from tinybms_lab.gx.dvcc import SetPoints, SystemPlan

__all__ = ["INVERTER_EFFICIENCY", "BatterySource", "Devices", "PowerFlow"]

INVERTER_EFFICIENCY = 0.94
_CHARGER_LAG_S = 0.7
_CHARGER_RISE_S = 3.0
"""A solar charger that was limited needs this long to find the power of the panels again."""
_EXPORT_LAG_S = 4.0
"""The inverter's answer to a rising battery voltage; slower than the chargers, so that they do not fight."""
_LOWEST_BUS_V = 1.0


@dataclass(frozen=True, slots=True)
class BatterySource:
    """The battery as a source: electromotive force behind a resistance, and the current of the last step."""

    emf_v: float
    ohm: float
    current_a: float
    """Positive charges."""
    takes: bool = True
    """False while the BMS lets no current in."""
    gives: bool = True
    """False while the BMS lets no current out."""


@dataclass(frozen=True, slots=True)
class PowerFlow:
    """What flows during a step."""

    battery_a: float
    """Into the battery."""
    solar_w: float
    inverter_a: float
    """From the bus into the inverter."""
    served_w: float
    """Of the loads."""
    offered_a: float = 0.0
    """What the chargers would give to the battery if its BMS let them."""


class Devices:
    """State of the devices between two steps."""

    def __init__(self, plan: SystemPlan) -> None:
        self._plan = plan
        self.solar_a = 0.0
        """Of all solar chargers."""
        self.export_a = 0.0
        """What the inverter takes from the bus in order to sell it."""
        self.inverter_a = 0.0

    def step(self, dt_s: float, battery: BatterySource, sun_w: float, load_w: float, points: SetPoints) -> PowerFlow:
        """Return the flows of the next ``dt_s`` seconds. What the devices see is the end of the step before."""
        bus_v = max(battery.emf_v + battery.current_a * (battery.ohm + self._plan.cable_ohm), _LOWEST_BUS_V)
        self.solar_a = self._solar(dt_s, battery, bus_v, sun_w, points)
        load_a, served_w = self._loads(bus_v, load_w, points)
        self.export_a = self._export(dt_s, battery, bus_v, load_a, points) if points.inverting else 0.0
        if not battery.takes and (points.charge_v > battery.emf_v or not battery.gives):
            self._let_go(load_a, bus_v, sun_w, points)
        elif not battery.takes:  # whose voltage is above that of the chargers, so it serves the loads
            self.solar_a = min(self.solar_a, load_a + self.export_a)
        self.inverter_a = load_a + self.export_a
        offered_a = max(min(sun_w / bus_v, points.charge_limit_a) - load_a, 0.0) if points.charging else 0.0
        if points.charge_v <= battery.emf_v:
            offered_a = 0.0
        if not battery.gives and self.inverter_a > self.solar_a:
            served_w *= self.solar_a / self.inverter_a
            self.export_a *= self.solar_a / self.inverter_a
            self.inverter_a = self.solar_a
        return PowerFlow(self.solar_a - self.inverter_a, self.solar_a * bus_v, self.inverter_a, served_w, offered_a)

    def sold_w(self, bus_v: float) -> float:
        """Return the power that is sold, at this voltage of the bus."""
        return self.export_a * INVERTER_EFFICIENCY * bus_v

    def _let_go(self, load_a: float, bus_v: float, sun_w: float, points: SetPoints) -> None:
        """Leave the battery out: chargers lift the bus to their own target, where the inverter sells what comes."""
        sold_a = 0.0
        if points.inverting and points.charge_v > points.export_above_v:
            sold_a = self._most_export_a(bus_v, load_a)
        offered_a = min(sun_w / bus_v, points.charge_limit_a) if points.charging else 0.0
        self.solar_a = min(offered_a, load_a + sold_a)
        self.export_a = max(self.solar_a - load_a, 0.0)

    def _solar(self, dt_s: float, battery: BatterySource, bus_v: float, sun_w: float, points: SetPoints) -> float:
        if not points.charging:
            return 0.0
        own_ohm = self._plan.charger_cable_ohm
        read_v = bus_v + self.solar_a * own_ohm + self._plan.charger_offset_v
        ohm = battery.ohm + self._plan.cable_ohm + own_ohm
        wanted_a = self.solar_a + (points.charge_v - read_v) / ohm * _share(dt_s, _CHARGER_LAG_S)
        found_a = max(self.solar_a, 0.0) + max(sun_w / bus_v - self.solar_a, 0.0) * _share(dt_s, _CHARGER_RISE_S)
        return max(0.0, min(wanted_a, found_a, sun_w / bus_v, points.charge_limit_a))

    def _loads(self, bus_v: float, load_w: float, points: SetPoints) -> tuple[float, float]:
        """Return the current for the loads and the power served from the bus; a grid serves the rest."""
        if not points.inverting:
            return 0.0, 0.0
        wanted_a = min(load_w, self._plan.inverter_max_w) / (INVERTER_EFFICIENCY * bus_v)
        load_a = min(wanted_a, self.solar_a + points.discharge_limit_a)
        return load_a, load_a * INVERTER_EFFICIENCY * bus_v

    def _export(self, dt_s: float, battery: BatterySource, bus_v: float, load_a: float, points: SetPoints) -> float:
        if math.isinf(points.export_above_v):
            return 0.0
        read_v = bus_v + self._plan.inverter_offset_v
        step_a = (read_v - points.export_above_v) / (battery.ohm + self._plan.cable_ohm)
        wanted_a = self.export_a + step_a * _share(dt_s, _EXPORT_LAG_S)
        spare_a = self.solar_a + points.discharge_limit_a - load_a
        return max(0.0, min(wanted_a, self._most_export_a(bus_v, load_a), spare_a))

    def _most_export_a(self, bus_v: float, load_a: float) -> float:
        """Return what may be sold and what the inverter still can after the loads, whichever is less."""
        ac_v = INVERTER_EFFICIENCY * bus_v
        return max(min(self._plan.export_max_w / ac_v, self._plan.inverter_max_w / ac_v - load_a), 0.0)


def _share(dt_s: float, lag_s: float) -> float:
    """Return the part of the way that a first-order lag goes in a step."""
    return 1.0 - math.exp(-dt_s / lag_s)
