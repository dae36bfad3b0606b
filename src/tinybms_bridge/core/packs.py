"""The packs of the bridge: the line of each, which unit is at which line, and what belongs to that unit.

A unit is known by its serial number. Its counters, and what was learned of it, follow it; and where there are several
packs, so does its name: units whose ports were swapped keep their names, and the swap is told. A unit without a serial
number of its own has the name of its line, and so have units that share one number.

Where a unit seems to be at two lines, samples tell what is so: who answers at both with one counter is one unit, which
counts once, at the line where it was first; two counters are two units; and a line that only has not noticed yet that
its unit is gone falls silent soon. Until that is known nothing of the second line counts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

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
from tinybms_bridge.words import Message, message

__all__ = ["Packs"]

_SAME_COUNTER_S = 3
"""One unit that is heard twice tells the same lifetime counter; of two units with one number it is not the same."""

_ASK_AGAIN_S = 60.0
"""A counter that jumps may be that of another unit; one that jumps all the time is no reason to ask all the time."""

_TELL_AGAIN_S = 600.0
"""Who swaps ports all the time is told of it only now and then."""


@dataclass(slots=True)
class _Seen:
    """What is known of the unit at a line."""

    identity: Identity | None = None
    serial: str = NO_SERIAL
    claimed_s: float | None = None
    """Since when its serial number is that of a pack at another line; None: it is not."""
    shared: bool = False
    """Whether several units are known to have its serial number."""
    refused: bool = False
    """Whether the pack has to have another unit."""
    counter: tuple[float, int, int] | None = None
    """Time and lifetime counter of the last sample, and how often the port had been opened."""
    asked_s: float | None = None
    """When it was asked again who it is."""


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
        self._told_s: dict[tuple[str, str], float] = {}
        self._several = isinstance(battery, ParallelBattery)
        self.lines: dict[str, Pack] = {}
        """Every pack by the name of its line in the configuration."""
        ports = pack_ports(config)
        self._names = {line: line for line in ports}
        """Which pack is at which line: they differ where units were swapped."""
        self._seen = {line: _Seen() for line in ports}
        self._pinned = _pinned(config)
        for line in ports:
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
        self.by_name: Mapping[str, Pack] = self.lines
        """Every pack by its name, in the order of the configuration."""
        self.advisors = {line: Advisor(config, self._unit(line), bus, self._identity_at(line)) for line in ports}
        """What is to be said of the settings of each BMS, by line."""
        self._name_packs()
        if isinstance(battery, ParallelBattery):
            for name, unit in battery.units.items():
                unit.begin_with(saved.of_pack(name))

    def advisor(self, name: str) -> Advisor:
        """Return what is to be said of the settings of the BMS of a pack."""
        return self.advisors[self._line_of(name)]

    @property
    def in_conflict(self) -> bool:
        """Whether the configuration does not fit a unit that is in service."""
        return any(self.lines[line].in_service and each.conflicts for line, each in self.advisors.items())

    @property
    def answer(self) -> bool:
        """Whether the BMS of every pack in service answers; one that comes and goes all the time does not."""
        if isinstance(self._battery, ParallelBattery) and self._battery.any_silent:
            return False
        answers = [pack.answers for pack in self.lines.values() if pack.in_service]
        return any(answers) if self._several else all(answers)

    def apply(self, config: Configuration) -> list[str]:
        """Put a configuration in force; return the lines whose port has to be opened again, or is to be left."""
        reopen = [line for line, pack in self.lines.items() if pack.apply(config)]
        ports = pack_ports(config)
        for name, pack in self.by_name.items():
            enabled = ports[name].enabled
            if enabled is not pack.in_service:
                pack.in_service = enabled
                reopen.append(pack.line)
                code = EventCode.IN_SERVICE if enabled else EventCode.OUT_OF_SERVICE
                severity = Severity.INFO if enabled else Severity.WARNING
                self._bus.publish(Noted(severity, message(code, pack=name), pack=name), "bridge")
        if isinstance(self._battery, ParallelBattery):
            before = self._battery.enabled
            self._battery.enabled = tuple(name for name, pack in self.by_name.items() if pack.in_service)
            self._double({name: at for name, at in self._battery.doubled.items() if name in self._battery.enabled})
            if self._battery.enabled != before:
                self._battery.tick(self._clock.monotonic())
        pinned = _pinned(config)
        if pinned != self._pinned:
            self._pinned = pinned
            for seen in self._seen.values():  # who is there is judged again with the next sample
                seen.identity, seen.refused = None, False
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
            if not pack.in_service or not self._is_own(battery, line, snapshot):
                return False
            accepted = battery.accept(self._names[line], snapshot, now_s)
        elif self._seen[line].refused:
            return False
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
        seen, before = self._seen[line], self._seen[line].identity
        if identity == before:
            return
        if isinstance(self._battery, ParallelBattery):
            known = before is not None or self._names[line] in self._units.packs
            if identity != Identity() or not known:
                late, name = before == Identity(), self._names[line]
                self._double({each: at for each, at in self._battery.doubled.items() if each != name})
                self._seen[line] = _Seen(identity, unit_key(identity.serial_number), counter=seen.counter)
                self._settle(self._battery, line, late=late)
        elif identity != Identity():
            seen.identity, seen.serial = identity, unit_key(identity.serial_number)
            if not self._is_refused(line):
                self._meet_the_only_one(self._battery, seen.serial)

    def look(self) -> None:
        """Take note of lines that have fallen silent; call it now and then."""
        if isinstance(self._battery, ParallelBattery) and self._battery.doubled:
            doubled = self._battery.doubled.items()
            self._double({name: at for name, at in doubled if self.by_name[name].answers})

    def dead_since_s(self, line: str, last_heard_s: float) -> float | None:
        """Return since when a line has given nothing new; None while its data is fresh, or would not count."""
        idle = self._seen[line].refused or (self._several and self._counts_elsewhere(line))
        if idle and self.lines[line].answers:
            return None
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
        return self.by_name[name].line

    def _identity_at(self, line: str) -> Callable[[], Identity | None]:
        return lambda: self.lines[line].identity

    def _name_packs(self) -> None:
        """Let each pack know its name; the only one needs none."""
        if not self._several:
            return
        at = {name: line for line, name in self._names.items()}
        self.by_name = {name: self.lines[at[name]] for name in self.lines}
        for line, pack in self.lines.items():
            pack.name = self._names[line]

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

    def _settle(self, battery: ParallelBattery, line: str, *, late: bool = False) -> None:
        """Find out which pack the unit at a line is, as far as its serial number tells.

        ``late``: it is the unit that was there, and has told its number only now.
        """
        seen, serial, name = self._seen[line], self._seen[line].serial, self._names[line]
        seen.shared, seen.claimed_s = self._units.is_double(serial), None
        if serial == NO_SERIAL:
            key = key_by_name(name)
            self._tell(EventCode.UNIT_WITHOUT_SERIAL, name, message(EventCode.UNIT_WITHOUT_SERIAL))
        elif seen.shared:
            key = key_by_name(name, serial)
        else:
            key, owner = serial, self._owner_of(battery, serial)
            if owner is not None and owner != name:
                if self._shows(self._line_of(owner), serial):
                    seen.claimed_s = self._clock.monotonic()
                    return
                self._follow(battery, line, owner)
        self._be(battery, line, key, late=late)

    def _be(self, battery: ParallelBattery, line: str, key: str, *, late: bool = False) -> None:
        """Take the unit at a line for its pack, and give the pack what is kept of the unit."""
        if self._is_refused(line):
            return
        name = self._names[line]
        before = self.saved_units()
        self._units = before.meet_as(name, key, same=late)
        replaced = before.packs.get(name)
        if replaced == key:
            return
        battery.begin_with(name, self._units.of_pack(name))
        if replaced is not None and not late:
            told = message(EventCode.UNIT_CHANGED, serial=key, before=replaced, new=key not in before.units)
            self._bus.publish(Noted(Severity.WARNING, told, pack=name), "uart")

    def _is_refused(self, line: str) -> bool:
        """Return whether the pack at a line has to have another unit than that which answers, which is told."""
        seen, name = self._seen[line], self._names[line]
        expected = self._pinned.get(name, seen.serial)
        seen.refused = seen.serial != expected
        if seen.refused:
            told = message(EventCode.OTHER_UNIT, pack=name, serial=seen.serial, expected=expected)
            self._tell(EventCode.OTHER_UNIT, name, told, Severity.FAULT)
        return seen.refused

    def _owner_of(self, battery: ParallelBattery, serial: str) -> str | None:
        """Return which pack in service has a unit."""
        owner = next((name for name, pinned in self._pinned.items() if pinned == serial), None)
        if owner is None:
            owner = next((name for name, key in self._units.packs.items() if key == serial), None)
        return owner if owner in battery.enabled else None

    def _follow(self, battery: ParallelBattery, line: str, name: str) -> None:
        """Note that the unit of a pack is at another line now; who was there takes the line that it has left."""
        left = self._line_of(name)
        self._names[left], self._names[line] = self._names[line], name
        self._name_packs()
        self._double({each: at for each, at in battery.doubled.items() if each not in self._names.values()})
        self._seen[left] = _Seen(counter=self._seen[left].counter)
        self.advisors[line].watch(self._unit(line))
        self.advisors[left].watch(self._unit(left))
        told = message(EventCode.PORTS_SWAPPED, pack=name, device=self.lines[line].device)
        self._tell(EventCode.PORTS_SWAPPED, name, told)

    def _shows(self, line: str, serial: str) -> bool:
        """Return whether a line answers now with this unit."""
        pack = self.lines[line]
        if not (pack.in_service and pack.answers) or pack.identity is None:
            return False
        return unit_key(pack.identity.serial_number) == serial

    def _counts_elsewhere(self, line: str) -> bool:
        """Return whether the unit at a line is, or seems to be, at another one too, which counts."""
        battery = self._battery
        assert isinstance(battery, ParallelBattery)
        return self._seen[line].claimed_s is not None or self._names[line] in battery.doubled

    def _is_own(self, battery: ParallelBattery, line: str, snapshot: Snapshot) -> bool:
        """Return whether a sample is one of the pack at a line, which it may find out."""
        seen = self._seen[line]
        if seen.refused or self._is_doubtful(line, snapshot):
            return False
        if seen.claimed_s is None and not seen.shared:
            return True
        name, claimed_s = self._names[line], seen.claimed_s
        others = [each for each in self.lines if each != line and self._shows(each, seen.serial)]
        first = {each: self._unit(each).snapshot for each in others if not self._counts_elsewhere(each)}
        known = {each: sample for each, sample in first.items() if sample is not None}
        twin = next((each for each, sample in known.items() if _is_same(sample, snapshot)), None)
        if claimed_s is not None:
            if not first:
                if name in battery.doubled and self._is_heard(battery, seen.serial):
                    return False  # the other line is only being opened again
                self._settle(battery, line)
                return self._seen[line].claimed_s is None and not self._seen[line].refused
            if not any(sample.taken_at_s > claimed_s for sample in known.values()):
                return False  # whether it still answers there is not known yet
        if twin is not None:
            self._double({**battery.doubled, name: self.lines[twin].device})
            return False
        self._double({each: at for each, at in battery.doubled.items() if each != name})
        if claimed_s is not None:
            self._tell_apart(battery, line)
        return True

    def _is_heard(self, battery: ParallelBattery, serial: str) -> bool:
        owner = self._owner_of(battery, serial)
        return owner is not None and battery.units[owner].freshness is Freshness.FRESH

    def _is_doubtful(self, line: str, snapshot: Snapshot) -> bool:
        """Return whether another unit may answer than before, which is asked then: its counter has jumped."""
        seen, pack, at_s = self._seen[line], self.lines[line], snapshot.taken_at_s
        before, seen.counter = seen.counter, (at_s, snapshot.pack.lifetime_s, pack.connects)
        if before is None or before[2] != pack.connects:
            return False
        if abs(snapshot.pack.lifetime_s - before[1] - (at_s - before[0])) <= _SAME_COUNTER_S:
            return False
        if seen.asked_s is not None and at_s - seen.asked_s < _ASK_AGAIN_S:
            return False
        seen.asked_s = at_s
        pack.identify_again()
        return True

    def _tell_apart(self, battery: ParallelBattery, line: str) -> None:
        """Take the unit at a line for another one than that of the pack with the same serial number."""
        serial, name = self._seen[line].serial, self._names[line]
        owner = self._owner_of(battery, serial)
        if owner is not None:
            self._units = self.saved_units().with_double(serial, owner)
            self._seen[self._line_of(owner)].shared = True
        self._seen[line].shared, self._seen[line].claimed_s = True, None
        told = message(EventCode.SERIAL_DOUBLE, pack=name)
        self._tell(EventCode.SERIAL_DOUBLE, name, told)
        self._be(battery, line, key_by_name(name, serial))

    def _double(self, doubled: dict[str, str]) -> None:
        """Note which packs show the unit of another one, with the port of that."""
        if isinstance(self._battery, ParallelBattery) and doubled != self._battery.doubled:
            self._battery.doubled = doubled

    def _tell(self, code: EventCode, name: str, told: Message, severity: Severity = Severity.WARNING) -> None:
        """Say something of a pack, and the same not again and again."""
        now_s = self._clock.monotonic()
        last_s = self._told_s.get((code, name))
        if last_s is None or now_s - last_s >= _TELL_AGAIN_S:
            self._told_s[code, name] = now_s
            self._bus.publish(Noted(severity, told, pack=name if self._several else ""), "uart")


def _pinned(config: Configuration) -> dict[str, str]:
    """Return which unit a pack has to have, by the name of the pack."""
    return {name: unit_key(port.serial_number) for name, port in pack_ports(config).items() if port.serial_number}


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
