"""A bridge of several packs whose every side is in the hand of a test: units, ports, GX, disk; in virtual time."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.config.models.packs import PackEntry, PackUart
from tinybms_bridge.config.packs import pack_ports
from tinybms_bridge.core.bridge import Bridge, Machine
from tinybms_bridge.core.event_store import EventStore
from tinybms_bridge.core.persistence import load_state
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.hal.can import CanFrame, CanPort
from tinybms_bridge.hal.serial import OnData, OnLost, SerialOpener, SerialPort
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.hal.watchdog import NullWatchdog
from tinybms_bridge.link.events import Event, Noted
from tinybms_bridge.victron.can.codec import decode_frame
from tinybms_lab.bms import BmsOptions, Responder, SimulatedBms
from tinybms_lab.bms.bank import pack_names
from tinybms_lab.testing.can_memory import MemoryCanBus
from tinybms_lab.testing.virtual_time import LoopClock

__all__ = ["Feeder", "PackRig", "Port", "Unit", "configuration_of", "serial_of"]

KEEP_ALIVE = CanFrame(0x305, bytes(8))


def serial_of(number: int) -> str:
    """Return the serial number of a unit, as its identity tells it."""
    return f"3600{number:020X}"


class Unit:
    """A simulated BMS that may be read wrongly. Implements ``AnsweringDevice``."""

    def __init__(
        self,
        clock: LoopClock,
        number: int,
        *,
        cells: int = 16,
        soc: float = 0.5,
        capacity_ah: float = 100.0,
        serial: str | None = None,
        lifetime_s: int | None = None,
    ) -> None:
        self.serial = serial_of(number) if serial is None else serial
        options = BmsOptions(
            asleep_allowed=False,
            serial=bytes.fromhex(self.serial),
            lifetime_s=100_000 * (number + 1) if lifetime_s is None else lifetime_s,
        )
        self.bms = SimulatedBms.build(clock, cells=cells, soc=soc, capacity_ah=capacity_ah, options=options)
        self.misread: dict[int, int] = {}
        """Registers that are read with another value."""
        self.refused: set[int] = set()
        """Addresses of reads that it refuses."""

    def jump(self, seconds: int) -> None:
        """Let the lifetime counter jump."""
        self.bms.options = replace(self.bms.options, lifetime_s=self.bms.options.lifetime_s + seconds)

    def read(self, address: int, count: int) -> tuple[int, ...] | None:
        """See ``AnsweringDevice``."""
        words = None if address in self.refused else self.bms.read(address, count)
        if words is None:
            return None
        return tuple(self.misread.get(address + index, word) for index, word in enumerate(words))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bms, name)


class Port:
    """An adapter at a path, to which a unit may be plugged; it can be opened more than once, by aliases of the path."""

    def __init__(self, clock: LoopClock, unit: Unit | None) -> None:
        self.present = True
        self.mute = False
        self.opened = 0
        self._clock = clock
        self._open: list[_Opened] = []
        self.unit = unit

    @property
    def is_open(self) -> bool:
        """Whether anybody has it open."""
        return bool(self._open)

    async def open(self, on_data: OnData, on_lost: OnLost) -> SerialPort:
        """Stand in for the opener of serial ports. Raises LinkError without an adapter."""
        if not self.present:
            raise LinkError("the serial port does not exist")
        self.opened += 1
        self._open.append(_Opened(self, self._clock, on_data, on_lost))
        return self._open[-1]

    def pull(self) -> None:
        """Unplug the adapter."""
        self.present = False
        for each in self._open.copy():
            each.lose()

    def reset(self) -> None:
        """Lose the adapter and find it again at once, as when a hub resets."""
        self.pull()
        self.present = True

    def plug(self, unit: Unit | None = None) -> None:
        """Plug the adapter in, with another unit behind it where one is named."""
        self.unit, self.present = unit or self.unit, True

    def forget(self, opened: "_Opened") -> None:
        """Take note that somebody has closed it."""
        with suppress(ValueError):
            self._open.remove(opened)


class _Opened:
    """One opening of a port. Implements ``SerialPort``."""

    def __init__(self, port: Port, clock: LoopClock, on_data: OnData, on_lost: OnLost) -> None:
        self._port = port
        self._clock = clock
        self._on_data: OnData | None = on_data
        self._on_lost = on_lost
        self._answers: tuple[Unit, Responder] | None = None

    def write(self, data: bytes) -> None:
        """Answer as the unit does that is plugged in now."""
        unit = self._port.unit
        if unit is None or self._port.mute:
            return
        if self._answers is None or self._answers[0] is not unit:
            self._answers = unit, Responder(unit, self._clock)
        for reply in self._answers[1].feed(data):
            asyncio.get_running_loop().call_later(0.001, self._deliver, reply.data)

    def expect(self, count: int) -> None:
        """See ``SerialPort.expect``."""

    async def close(self) -> None:
        """Release the port."""
        self._on_data = None
        self._port.forget(self)

    def lose(self) -> None:
        """Vanish."""
        self._on_data = None
        self._port.forget(self)
        self._on_lost(None)

    def _deliver(self, data: bytes) -> None:
        if self._on_data is not None and not self._port.mute:
            self._on_data(data)


def configuration_of(document: Mapping[str, Any]) -> Configuration:
    """Return the configuration of a document with sound packs: those that are there are not looked for."""
    plain = {key: value for key, value in document.items() if key != "packs"}
    packs = {
        name: PackEntry(**{**entry, "uart": PackUart(**entry["uart"])})
        for name, entry in document.get("packs", {}).items()
    }
    return replace(interpret(plain, "test").configuration, packs=packs)


class Feeder(NullWatchdog):
    """A service manager that counts how often it was fed."""

    watches = True

    def __init__(self) -> None:
        self.fed = 0

    def feed(self) -> None:
        """See ``Watchdog.feed``."""
        self.fed += 1


SELDOM = {"poll_interval_ms": 500, "poll_interval_min_ms": 500}
"""Ten readings a second of each pack are tried with one pack; here they would be most of the time of the tests."""


class PackRig:
    """Units ``a``, ``b`` and on at ports ``/dev/a``, ``/dev/b`` and on, the bridge that reads them, and a GX.

    Args:
        count: How many packs there are.
        units: Instead of equal ones.
        loop: Whose time counts; that of the running one where it is not named.

    """

    def __init__(
        self, count: int = 4, units: Mapping[str, Unit] | None = None, *, loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self.clock = LoopClock(loop)
        names = pack_names(count)
        self.units: dict[str, Unit] = {name: Unit(self.clock, number) for number, name in enumerate(names)} | dict(
            units or {}
        )
        self.ports = {f"/dev/{name}": Port(self.clock, unit) for name, unit in self.units.items()}
        self.disk = MemoryStorage()
        self.files: dict[str, MemoryStorage] = {}
        self.bus = MemoryCanBus()
        self.dog = Feeder()
        self.gx = self.bus.open()
        self.heard: list[tuple[float, CanFrame]] = []
        self.gx.subscribe(lambda frame: self.heard.append((self.clock.monotonic(), frame)))
        self.task: asyncio.Task[None] | None = None
        self.events: list[Event] = []
        self.other_packs = 0

    def document(self, **changes: Any) -> dict[str, Any]:
        """Return a configuration with every pack at its port."""
        packs = {name: {"uart": {"device": f"/dev/{name}"}} for name in self.units}
        return {"packs": packs, "tinybms": SELDOM, **changes}

    def configuration(self, **changes: Any) -> Configuration:
        """Return what ``document`` says, without a look at the ports of this machine."""
        return configuration_of(self.document(**changes))

    def start(self, document: dict[str, Any] | None = None) -> Bridge:
        """Run a bridge with what is on the disk."""
        config = configuration_of(self.document() if document is None else document)
        machine = Machine(
            self.clock,
            self._opener("main"),
            self._open_can,
            self.disk,
            self.dog,
            events=EventStore(self.files.setdefault("events", MemoryStorage())),
            stored=lambda name, _mode: self.files.setdefault(name, MemoryStorage()),
            run_blocking=in_place,
            open_pack=self._opener,
        )
        self.bridge = Bridge(config, machine, load_state(self.disk))
        self.bridge.on_other_packs = self._count_other_packs
        self.news = self.bridge.bus.subscribe(depth=1_000_000)
        self.task = asyncio.get_running_loop().create_task(self.bridge.run())
        return self.bridge

    async def started(self, document: dict[str, Any] | None = None) -> Bridge:
        """Run a bridge until it sends, and a little longer."""
        bridge = self.start(document)
        for _ in range(100):
            await asyncio.sleep(0.2)
            if bridge.can.last_frames:
                break
        await asyncio.sleep(2.0)
        self.told()
        return bridge

    async def end(self) -> None:
        """Stop it as a signal does."""
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task
        self.task = None

    async def kill(self) -> None:
        """Stop it as a power cut does: nothing more is saved."""
        kept = self.disk.data, self.disk.previous
        await self.end()
        self.disk.data, self.disk.previous = kept

    def told(self) -> list[tuple[str, str]]:
        """Return code and pack of what was noted since the last call."""
        found = []
        while (envelope := self.news.take()) is not None:
            self.events.append(envelope.event)
            if isinstance(envelope.event, Noted):
                found.append((envelope.event.code, envelope.event.pack))
        return found

    def swap(self, first: str, second: str) -> None:
        """Swap the units of two ports, as a hub does that numbers its ports anew."""
        one, two = self.ports[first], self.ports[second]
        one.pull()
        two.pull()
        one.unit, two.unit = two.unit, one.unit
        one.present = two.present = True

    def last(self, arbitration_id: int) -> dict[str, Any]:
        """Return the fields of the last frame with this id."""
        frame = next(frame for _, frame in reversed(self.heard) if frame.arbitration_id == arbitration_id)
        return decode_frame(frame).values

    def heard_since(self, since_s: float, arbitration_id: int = 0x351) -> list[float]:
        """Return when frames with this id were heard since a moment."""
        return [at_s for at_s, frame in self.heard if at_s >= since_s and frame.arbitration_id == arbitration_id]

    def set_currents_a(self, **currents_a: float) -> None:
        """Let a current flow through each unit that is named."""
        for name, current_a in currents_a.items():
            self.units[name].bms.set_current_a(current_a)

    def _count_other_packs(self) -> None:
        self.other_packs += 1

    def _opener(self, line: str) -> SerialOpener:
        async def opened(on_data: OnData, on_lost: OnLost) -> SerialPort:
            device = pack_ports(self.bridge.config)[line].device
            port = self.ports.get(device)
            if port is None:
                raise LinkError("no such port")
            return await port.open(on_data, on_lost)

        return opened

    async def _open_can(self) -> CanPort:
        return self.bus.open()
