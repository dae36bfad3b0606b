"""What the protocol side needs of a simulated device, and what a simulated charger needs of its terminals."""

from collections.abc import Sequence
from typing import Protocol

from tinybms_bridge.tinybms.frames import Action, SettingsTable
from tinybms_bridge.tinybms.simulator.switches import Switches

__all__ = ["Device", "Terminals"]


class Device(Protocol):
    """A device that answers over a UART."""

    @property
    def silent(self) -> bool:
        """Whether it would send nothing now: asleep, restarting or busy."""
        ...

    @property
    def switches(self) -> Switches:
        """Its switches, which only its broadcast text tells."""
        ...

    def refresh(self) -> None:
        """Bring the data up to the present."""
        ...

    def hear(self) -> bool:
        """Take in one frame; False when the frame is lost on a device that sleeps, restarts or is busy."""
        ...

    def read(self, address: int, count: int) -> tuple[int, ...] | None:
        """Return consecutive registers, or None to refuse."""
        ...

    def write(self, pairs: Sequence[tuple[int, int]]) -> bool:
        """Write ``(address, raw value)`` pairs in order; False when one is refused."""
        ...

    def act(self, action: Action) -> bool:
        """Carry out an option of command 0x02; False when refused."""
        ...

    def settings_table(self, table: SettingsTable, count: int) -> tuple[int, ...]:
        """Return ``count`` values of command 0x1D, from register 300."""
        ...

    def crash(self) -> None:
        """Restart unasked, as by a watchdog."""
        ...


class Terminals(Protocol):
    """The two poles of a battery."""

    @property
    def voltage_v(self) -> float:
        """Voltage between them now."""
        ...

    def set_current_a(self, current_a: float) -> None:
        """Drive a current from now on; positive = into the battery."""
        ...
