"""The packs of the bridge: the line of each, which unit is at which line, and what belongs to that unit.

A unit is known by its serial number. Its counters, and what was learned of it, follow it; and where there are several
packs, so does its name: units whose ports were swapped keep their names, and the swap is told. A unit without a serial
number of its own has the name of its line.
"""

from collections.abc import Callable

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.bms_events import DatedEvent
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.saved_units import NO_SERIAL, SavedUnits, key_by_name, unit_key
from tinybms_bridge.battery.snapshot import Identity, Snapshot
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.packs import pack_ports
from tinybms_bridge.core.advisor import Advisor
from tinybms_bridge.core.battery import Battery
from tinybms_bridge.core.pack import Pack
from tinybms_bridge.core.parallel import ParallelBattery
from tinybms_bridge.core.unit import Unit
from tinybms_bridge.hal.blocking import RunBlocking
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.hal.serial import SerialOpener
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import EventCode, Noted
from tinybms_bridge.words import message

__all__ = ["Packs"]

_SAME_COUNTER_S = 3
"""One unit that is heard twice tells the same lifetime counter; of two units with one number it is not the same."""


class Packs:
    """Every pack, and which unit each of them is.

    Args:
        config: The configuration in force.
        open_serial: Returns what opens the port of a line that the configuration in force names.
        clock: Source of time.
        bus: Where changes are published.
        battery: What the packs make up.
        saved: What is kept of units.
        known_events: Events of the BMS that an earlier run recorded.
        run_blocking: Runs what blocks.
        on_taken: Called after each sample, with whether it was believed.

    """

    def __init__(
        self,
        config: Configuration,
        open_serial: Callable[[str], SerialOpener],
        clock: Clock,
        bus: Bus,
        battery: Battery | ParallelBattery,
        saved: SavedUnits,
        *,
        known_events: tuple[DatedEvent, ...],
        run_blocking: RunBlocking,
        on_taken: Callable[[bool], None],
    ) -> None:
        self._battery = battery
        self._bus = bus
        self._clock = clock
        self._units = saved
        self._on_taken = on_taken
        self._met: dict[str, Identity] = {}
        self._told_double: set[str] = set()
        self._several = isinstance(battery, ParallelBattery)
        self.lines: dict[str, Pack] = {}
        """Every pack by the name of its line in the configuration."""
        self._names = {line: line for line in pack_ports(config)}
        """Which pack is at which line: they differ where units were swapped."""
        for line in self._names:
            self.lines[line] = Pack(
                config,
                open_serial(line),
                clock,
                bus,
                _Line(self, line),
                line=line,
                known_events=known_events,
                run_blocking=run_blocking,
            )
        self.advisors = {line: Advisor(config, self._unit(line), bus, self._identity_at(line)) for line in self._names}
        """What is to be said of the settings of each BMS, by line."""
        self._begin()

    def _begin(self) -> None:
        """Give each pack what is kept of its unit, and its name."""
        for line, pack in self.lines.items():
            pack.name = line if self._several else ""
        if isinstance(self._battery, ParallelBattery):
            for name, unit in self._battery.units.items():
                unit.begin_with(self._units.of_pack(name))

    @property
    def by_name(self) -> dict[str, Pack]:
        """Every pack by its name, in the order of the configuration."""
        if not self._several:
            return self.lines
        at = {name: line for line, name in self._names.items()}
        return {name: self.lines[at[name]] for name in self.lines}

    def advisor(self, name: str) -> Advisor:
        """Return what is to be said of the settings of the BMS of a pack."""
        return self.advisors[self._line_of(name)]

    def apply(self, config: Configuration) -> list[str]:
        """Put a configuration in force; return the lines whose port has to be opened again, or is to be left."""
        reopen = [line for line, pack in self.lines.items() if pack.apply(config)]
        if isinstance(self._battery, ParallelBattery):
            enabled = [name for name, port in pack_ports(config).items() if port.enabled]
            before = set(self._battery.enabled)
            self._battery.enabled = tuple(name for name in self.lines if name in enabled)
            for name in self.lines:
                if (name in before) is not (name in enabled):
                    code = EventCode.IN_SERVICE if name in enabled else EventCode.OUT_OF_SERVICE
                    self._bus.publish(Noted(Severity.WARNING, message(code, pack=name), pack=name), "bridge")
                    reopen += [self._line_of(name)]
        for line, advisor in self.advisors.items():
            advisor.apply(config, self.lines[line].ratings)
        return list(dict.fromkeys(reopen))

    def saved_units(self) -> SavedUnits:
        """Return what must survive a restart, of every unit."""
        battery = self._battery
        if isinstance(battery, ParallelBattery):
            states = {name: unit.saved_state() for name, unit in battery.units.items()}
            return self._units.with_packs(states, battery.saved_state())
        return self._units.with_state(battery.saved_state())

    @property
    def current(self) -> str | None:
        """Key of the only unit; None before it was met."""
        return self._units.current

    def take(self, line: str, snapshot: Snapshot) -> bool:
        """Decide from a new snapshot; return whether a reading has to be confirmed by another one at once."""
        battery, now_s, pack = self._battery, self._clock.monotonic(), self.lines[line]
        if isinstance(battery, ParallelBattery):
            name = self._names[line]
            if name not in battery.enabled:
                return False
            self._look_for_doubles(line, snapshot)
            accepted = battery.accept(name, snapshot, now_s)
        else:
            accepted = battery.accept(snapshot, now_s)
        if not accepted:
            return False
        pack.announce_identity()
        self.advisors[line].look(snapshot.ratings)
        self._on_taken(True)
        return self._unit(line).readings.read_again

    def meet(self, line: str, identity: Identity) -> None:
        """Take the counters and the memory of the unit that answers; they belong to its serial number.

        One that tells nothing of itself is taken for the last one.
        """
        if identity in (self._met.get(line), Identity()):
            return
        self._met[line] = identity
        key = unit_key(identity.serial_number)
        if isinstance(self._battery, ParallelBattery):
            self._meet_one_of_several(self._battery, line, key)
        else:
            self._meet_the_only_one(self._battery, key)

    def dead_since_s(self, line: str, last_heard_s: float) -> float | None:
        """Return since when a line has given nothing new; None while its data is fresh."""
        unit = self._unit(line)
        if unit.freshness is Freshness.FRESH:
            return None
        frozen_since_s = unit.frozen_since_s
        return last_heard_s if frozen_since_s is None else frozen_since_s

    def unit(self, line: str) -> Unit:
        """Return what is known of the unit at a line."""
        return self._unit(line)

    def _unit(self, line: str) -> Unit:
        return self._battery.units[self._names[line]]

    def _line_of(self, name: str) -> str:
        return next(line for line, each in self._names.items() if each == name)

    def _identity_at(self, line: str) -> Callable[[], Identity | None]:
        return lambda: self.lines[line].identity

    def _meet_the_only_one(self, battery: Battery, key: str) -> None:
        before = self.saved_units()
        self._units = before.meet(key)
        if key == NO_SERIAL:
            self._bus.publish(Noted(Severity.WARNING, message(EventCode.UNIT_WITHOUT_SERIAL)), "uart")
        if self._units.state is before.state:
            return
        battery.begin_with(self._units.state)
        told = message(EventCode.UNIT_CHANGED, serial=key, before=before.current, new=key not in before.units)
        self._bus.publish(Noted(Severity.WARNING, told), "uart")

    def _meet_one_of_several(self, battery: ParallelBattery, line: str, key: str) -> None:
        """Give a unit that answers at a line the name of its pack, and the pack what is kept of the unit."""
        before = self.saved_units()
        other = next((name for name, known in before.packs.items() if known == key and name in self.lines), None)
        if key == NO_SERIAL:
            told = message(EventCode.UNIT_WITHOUT_SERIAL)
            self._bus.publish(Noted(Severity.WARNING, told, pack=self._names[line]), "uart")
            key = key_by_name(self._names[line])
        elif other is not None and other != self._names[line]:
            if self._shows(self._line_of(other), key):
                return  # heard twice, or two with one number: a sample tells which
            self._follow(line, other)
        name = self._names[line]
        self._units = before.meet_as(name, key)
        if before.packs.get(name) == key:
            return
        battery.begin_with(name, self._units.of_pack(name))
        replaced = before.packs.get(name)
        if replaced is not None:
            told = message(EventCode.UNIT_CHANGED, serial=key, before=replaced, new=key not in before.units)
            self._bus.publish(Noted(Severity.WARNING, told, pack=name), "uart")

    def _follow(self, line: str, name: str) -> None:
        """Note that the unit of a pack is at another line now; who was there takes the line that it has left."""
        left = self._line_of(name)
        self._names[left], self._names[line] = self._names[line], name
        for each, pack in self.lines.items():
            pack.name = self._names[each]
        self._met.pop(left, None)
        self.advisors[line].watch(self._unit(line))
        self.advisors[left].watch(self._unit(left))
        told = message(EventCode.PORTS_SWAPPED, pack=name, device=self.lines[line].device)
        self._bus.publish(Noted(Severity.WARNING, told, pack=name), "uart")

    def _shows(self, line: str, key: str) -> bool:
        """Return whether a line answers now with this unit."""
        pack = self.lines[line]
        return pack.answers and pack.identity is not None and unit_key(pack.identity.serial_number) == key

    def _look_for_doubles(self, line: str, snapshot: Snapshot) -> None:
        """Find out whether another line shows the same unit: then this one is no pack of its own.

        Two units with one number differ in their counters. They are two packs, known by their names.
        """
        battery, pack = self._battery, self.lines[line]
        assert isinstance(battery, ParallelBattery)
        name, identity = self._names[line], pack.identity
        key = NO_SERIAL if identity is None else unit_key(identity.serial_number)
        twin = None
        if key != NO_SERIAL:
            earlier = list(self.lines)[: list(self.lines).index(line)]
            twin = next((each for each in earlier if self._shows(each, key)), None)
        seen = None if twin is None else self._unit(twin).snapshot
        if twin is None or seen is None:
            doubled = {each: device for each, device in battery.doubled.items() if each != name}
        elif self._is_same(seen, snapshot):
            doubled = {**battery.doubled, name: self.lines[twin].device}
        else:
            doubled = {each: device for each, device in battery.doubled.items() if each != name}
            if name not in self._told_double:
                self._told_double.add(name)
                self._units = self.saved_units().meet_as(name, key_by_name(name))
                battery.begin_with(name, self._units.of_pack(name))
                told = message(EventCode.SERIAL_DOUBLE, pack=name)
                self._bus.publish(Noted(Severity.WARNING, told, pack=name), "uart")
        if doubled != battery.doubled:
            battery.doubled = doubled

    @staticmethod
    def _is_same(first: Snapshot, second: Snapshot) -> bool:
        """Return whether two samples are of one unit: its counter is one, and so are its cells."""
        apart_s = second.pack.lifetime_s - first.pack.lifetime_s - (second.taken_at_s - first.taken_at_s)
        return abs(apart_s) <= _SAME_COUNTER_S and first.cells.count == second.cells.count


class _Line:
    """One line, as its pack knows it (``core.pack.Reader``)."""

    def __init__(self, packs: Packs, line: str) -> None:
        self._packs = packs
        self._line = line

    def take(self, snapshot: Snapshot) -> bool:
        """See ``Reader``."""
        return self._packs.take(self._line, snapshot)

    def meet(self, identity: Identity) -> None:
        """See ``Reader``."""
        self._packs.meet(self._line, identity)

    def dead_since_s(self, last_heard_s: float) -> float | None:
        """See ``Reader``."""
        return self._packs.dead_since_s(self._line, last_heard_s)

    @property
    def soc_percent(self) -> float | None:
        """See ``Reader``."""
        return self._packs.unit(self._line).soc_percent

    def set_soc(self, percent: float) -> None:
        """See ``Reader``."""
        self._packs.unit(self._line).set_soc(percent)
