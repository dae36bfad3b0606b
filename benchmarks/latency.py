"""How soon a cut or another value reaches the GX: from its first reading, at the end of a reply, to the CAN port.

The simulated BMS stands on a pseudo-terminal in this process, and the bus is in memory; what a cell or the status shows
is changed at a random moment. Prints one table.
"""

import asyncio
import contextlib
import random
import statistics
from dataclasses import dataclass, field
from typing import Any

from benchmarks.parts import Row, print_table

from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.core.battery import Battery
from tinybms_bridge.core.bridge import Bridge, Machine
from tinybms_bridge.hal.can import CanFrame, CanPort
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort, open_serial
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.tinybms.frames import from_float
from tinybms_bridge.tinybms.live import LIVE_ADDRESS, LIVE_COUNT
from tinybms_bridge.victron.can.codec import decode_frame
from tinybms_lab.bms import PtyServer, SimulatedBms
from tinybms_lab.testing.can_memory import MemoryCanBus

SETTLE_S = 10.0
"""Time for limits and window to be as before."""
WATCH_S = 2.5
CELL = 7
CUT = 0.95
"""A limit at this share of what it was before is cut; noise of the measurement is not meant."""
FAULT = {50: 0x9B}


class Changeable(SimulatedBms):
    """A BMS of which some registers show what the measurement wants."""

    shown: dict[int, int]

    def read(self, address: int, count: int) -> tuple[int, ...] | None:
        """Return registers; see ``Device``."""
        words = super().read(address, count)
        if words is None:
            return None
        shown = dict(getattr(self, "shown", {}))
        if CELL in shown and (address, count) == (LIVE_ADDRESS, LIVE_COUNT):
            cells = [shown.get(cell, words[cell]) for cell in range(16)]
            shown |= dict(zip((36, 37), from_float(sum(cells) / 10_000), strict=True))
        return tuple(shown.get(address + index, word) for index, word in enumerate(words))


@dataclass
class Watch:
    """When a changed reading first came, and when a lower limit went out."""

    changed_s: float | None = None
    readings: int = 0
    cut_s: float | None = None
    before: dict[str, float] = field(default_factory=dict)


class Rig:
    """The bridge between the simulated BMS and a bus in memory."""

    def __init__(self, poll_ms: int) -> None:
        self.clock = SystemClock()
        device = Changeable.build(self.clock, cells=16, soc=0.6, capacity_ah=100.0)
        assert isinstance(device, Changeable)
        self.bms = device
        self.bms.shown = {}
        self.server = PtyServer(self.bms, self.clock)
        self.server.open()
        self.bus = MemoryCanBus()
        times = {"poll_interval_ms": poll_ms, "poll_interval_min_ms": poll_ms, "poll_interval_max_ms": 1000}
        config = interpret({"tinybms": times}, "benchmark").configuration
        machine = Machine(self.clock, self._open_serial, self._open_can, MemoryStorage())
        self.bridge = Bridge(config, machine, SavedUnits())
        self.watch = Watch()
        assert isinstance(self.bridge.battery, Battery)
        accept = self.bridge.battery.accept

        def noted(snapshot: Snapshot, now_s: float) -> bool:
            if self.bms.shown and self._shows(snapshot):
                self.watch.readings += 1
                self.watch.changed_s = self.watch.changed_s or snapshot.taken_at_s
                if self.watch.readings >= self.most:
                    self.bms.shown = {}
            return accept(snapshot, now_s)

        self.most = 1_000_000
        self.bridge.battery.accept = noted  # type: ignore[method-assign]
        self.bus.open().subscribe(self._on_frame)

    def _shows(self, snapshot: Snapshot) -> bool:
        status = self.bms.shown.get(50)
        cell = self.bms.shown.get(CELL)
        if status is not None and snapshot.pack.status_raw != status:
            return False
        return cell is None or abs(snapshot.cells.voltages_v[CELL] - cell / 10_000) < 1e-3

    async def _open_serial(self, on_data: OnData, on_lost: OnLost) -> SerialPort:
        return await open_serial(self.server.path, 115200, on_data, on_lost)

    async def _open_can(self) -> CanPort:
        return self.bus.open()

    def _on_frame(self, frame: CanFrame) -> None:
        if frame.arbitration_id != 0x351:
            return
        values: dict[str, Any] = dict(decode_frame(frame).values)
        lower = any(values[name] < CUT * self.watch.before.get(name, 0.0) for name in LIMITS)
        if self.watch.changed_s is not None and self.watch.cut_s is None and lower:
            self.watch.cut_s = self.clock.monotonic()
        if self.watch.changed_s is None:
            self.watch.before = {name: values[name] for name in LIMITS}

    async def cut(self, shown: dict[int, int], readings: int = 1_000_000) -> float | None:
        """Show something else from a random moment on; return the seconds to the lower limit, None for never."""
        while True:
            await self._try_cut(shown, readings)
            watch = self.watch
            if watch.changed_s is not None:
                return None if watch.cut_s is None else watch.cut_s - watch.changed_s

    async def _try_cut(self, shown: dict[int, int], readings: int) -> None:
        await asyncio.sleep(SETTLE_S + random.random())
        self.watch, self.most = Watch(before=self.watch.before), readings
        self.bms.shown = shown
        await asyncio.sleep(WATCH_S)
        self.bms.shown = {}


LIMITS = ("charge_voltage_limit", "charge_current_limit", "discharge_current_limit")


async def measure(poll_ms: int, rounds: int) -> list[Row]:
    """Return the figures at one pace of polling."""
    rig = Rig(poll_ms)
    serving, running = asyncio.create_task(rig.server.run()), asyncio.create_task(rig.bridge.run())
    rows: list[Row] = []
    most_s = 0.4 if poll_ms <= 100 else 0.8
    try:
        await asyncio.sleep(45.0)  # CCL and DCL have risen
        kinds = (
            ("cell empty", {CELL: 25100}, 1_000_000, f"<= {most_s} s"),
            ("cell full, one reading", {CELL: 37400}, 1, "never"),
            ("fault of the BMS", FAULT, 1_000_000, "<= 0.1 s"),
            ("cell full", {CELL: 37400}, 1_000_000, f"<= {most_s} s"),  # last: it keeps CCL down for long
        )
        for name, shown, readings, aim in kinds:
            took_s = [await rig.cut(shown, readings) for _ in range(rounds)]
            known_s = [each for each in took_s if each is not None]
            rows.append((f"{1000 / poll_ms:.0f} Hz: {name}", _spread(known_s, rounds), aim))
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        rig.server.close()
        await serving
    return rows


async def measure_values(rounds: int) -> list[Row]:
    """Return how soon a cell's voltage and the current, which are no limits, are in their frames, polled at 10 Hz."""
    rig = Rig(100)
    serving, running = asyncio.create_task(rig.server.run()), asyncio.create_task(rig.bridge.run())
    wanted: dict[int, tuple[str, float]] = {}
    seen_s: dict[int, float] = {}
    took_s: dict[int, list[float]] = {0x356: [], 0x373: []}

    def on_frame(frame: CanFrame) -> None:
        if frame.arbitration_id in wanted:
            name, value = wanted[frame.arbitration_id]
            number = decode_frame(frame).number(name)
            if number is not None and abs(number - value) < 1e-6:
                seen_s.setdefault(frame.arbitration_id, rig.clock.monotonic())

    rig.bus.open().subscribe(on_frame)
    try:
        await asyncio.sleep(5.0)
        for number in range(rounds):
            cell_v, current_a = (3.36, 3.0) if number % 2 else (3.38, -3.0)
            await asyncio.sleep(random.random())
            seen_s.clear()
            rig.watch = Watch()
            wanted.update({0x356: ("current", current_a), 0x373: ("highest_cell_voltage", 1000.0 * cell_v)})
            rig.bms.shown = {CELL: round(10_000 * cell_v), **dict(zip((38, 39), from_float(current_a), strict=True))}
            await asyncio.sleep(WATCH_S)
            for identifier, at_s in seen_s.items():
                took_s[identifier].append(at_s - (rig.watch.changed_s or at_s))
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        rig.server.close()
        await serving
    return [
        (f"10 Hz: {name} in 0x{identifier:03X}", _spread(took_s[identifier], rounds), "<= 0.6 s, max 1.05")
        for identifier, name in ((0x356, "another current"), (0x373, "another cell voltage"))
    ]


def _spread(took_s: list[float], rounds: int) -> str:
    missed = "" if len(took_s) == rounds else f", {rounds - len(took_s)} never"
    return f"{statistics.median(took_s):.3f} s, max {max(took_s):.3f} s{missed}" if took_s else f"never in {rounds}"


async def main(rounds: int = 10) -> None:
    """Measure and print."""
    found = await asyncio.gather(measure(100, rounds), measure(1000, rounds), measure_values(4 * rounds))
    print_table([row for rows in found for row in rows])


if __name__ == "__main__":
    asyncio.run(main())
