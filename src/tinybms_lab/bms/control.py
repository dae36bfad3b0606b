"""Control of a running simulation from outside: what a technician, a season or a defect does to the battery."""

from abc import ABC, abstractmethod

from tinybms_lab.bms.environment import Charger
from tinybms_lab.bms.model import BatteryModel
from tinybms_lab.bms.pack import PackCell

__all__ = ["OutsideControl"]


class OutsideControl(ABC):
    """The part of a simulated BMS that scenarios and tests turn; each change holds from the moment of the call."""

    @property
    def voltage_v(self) -> float:
        """True voltage of the pack now; see ``Terminals``."""
        return self._settled().pack.voltage_v

    def set_current_a(self, current_a: float) -> None:
        """Drive a current from now on, in place of the profile; see ``Terminals``.

        The BMS lets through what its switches allow: a positive current is that of a charger, unless one was
        connected or disconnected by name, and a negative one is that of a load.

        Raises:
            ValueError: the current is not finite.

        """
        self._settled().environment.drive(current_a)

    def connect_charger(self, current_a: float, voltage_v: float | None = None) -> None:
        """Connect a charger that gives ``current_a`` until the pack reaches ``voltage_v``.

        From now on a current that is driven besides flows through the load terminal: positive is regeneration.

        Raises:
            ValueError: a value that is negative or not finite.

        """
        self._settled().environment.connect_charger(Charger(current_a, voltage_v))

    def disconnect_charger(self) -> None:
        """Take the charger away; a positive current that is driven from now on is regeneration."""
        self._settled().environment.connect_charger(None)

    def charger_follows_current(self) -> None:
        """Take each positive current for that of a charger again, as at the start."""
        self._settled().environment.charger_follows_current()

    def set_ambient_c(self, ambient_c: float) -> None:
        """Set the temperature of the room; cells and board follow slowly."""
        self._settled().pack.ambient_c = ambient_c

    def set_cell_soc(self, cell: int, soc: float) -> None:
        """Set the true state of charge, 0..1, of a cell, counted from 1.

        Raises:
            ValueError: there is no such cell, or the state of charge is out of range.

        """
        if not 0.0 <= soc <= 1.0:
            raise ValueError(f"state of charge must be 0..1, got {soc}")
        self._cell(cell).soc = soc

    def set_cell_leak_a(self, cell: int, leak_a: float) -> None:
        """Let a fault inside a cell, counted from 1, drain it with this current.

        Raises:
            ValueError: there is no such cell, or the current is negative.

        """
        if not 0.0 <= leak_a <= 1000.0:
            raise ValueError(f"a leak is 0 to 1000 A, got {leak_a}")
        self._cell(cell).leak_a = leak_a

    def break_wire(self, wire: int) -> None:
        """Open a sense wire: n leads to the upper end of cell n, 0 to the lower end of the pack.

        Raises:
            ValueError: there is no such wire.

        """
        self._wires(wire).add(wire)

    def mend_wire(self, wire: int) -> None:
        """Close a sense wire again. Raises as ``break_wire``."""
        self._wires(wire).discard(wire)

    def plug_sensor(self, sensor: int, *, connected: bool = True) -> None:
        """Connect external temperature sensor 1 or 2, or disconnect it.

        Raises:
            ValueError: another number.

        """
        if sensor not in (1, 2):
            raise ValueError(f"external temperature sensors are 1 and 2, got {sensor}")
        self._settled().environment.wiring.temperature_sensors[sensor - 1] = connected

    def unplug_sensor(self, sensor: int) -> None:
        """Disconnect external temperature sensor 1 or 2. Raises as ``plug_sensor``."""
        self.plug_sensor(sensor, connected=False)

    def plug_current_sensor(self, *, connected: bool = True) -> None:
        """Plug the external current sensor in, or pull it; the BMS looks for it only when it starts."""
        self._settled().environment.wiring.external_current_sensor = connected

    def set_ignition(self, on: bool) -> None:
        """Set the level of the ignition input; it matters where register 334 names one."""
        self._settled().environment.wiring.ignition = on

    def stick_switches(self, *, load: bool = False, charger: bool = False) -> None:
        """Let switches conduct although they are off; in single-port mode ``load`` is the one switch."""
        wiring = self._settled().environment.wiring
        wiring.stuck_load, wiring.stuck_charger = load, charger

    @abstractmethod
    def _settled(self) -> BatteryModel:
        """Return the battery, brought up to the present."""

    def _cell(self, number: int) -> PackCell:
        cells = self._settled().pack.cells
        if not 1 <= number <= len(cells):
            raise ValueError(f"cells are 1 to {len(cells)}, got {number}")
        return cells[number - 1]

    def _wires(self, wire: int) -> set[int]:
        model = self._settled()
        if not 0 <= wire <= len(model.pack.cells):
            raise ValueError(f"sense wires are 0 to {len(model.pack.cells)}, got {wire}")
        return model.environment.wiring.broken_wires
