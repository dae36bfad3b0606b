"""Pictures of the live view for the documentation, from runs of the real bridge: ``python -m rigs.live_pictures``.

A simulated BMS, the bridge and a simulated GX run in virtual time, without a port and without a wait, so that the same
pictures come out each time. Nothing on them is made up but the weather: 3 kW of sun, a house that takes 400 W.
"""

import argparse
import asyncio
import contextlib
import io
import logging
import os
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tinybms_bridge.app.services import today
from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.cli.live import LastLines, LiveView
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.core.bridge import Bridge, Machine
from tinybms_bridge.core.event_log import EventLog
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.hal.can import CanPort
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.link.state import CoreState, ServicesState
from tinybms_bridge.services.history import History
from tinybms_bridge.tinybms.registers import catalogue
from tinybms_lab.bms import CHEMISTRIES, BmsOptions, SimulatedBms
from tinybms_lab.bms.device import REFRESH_S
from tinybms_lab.bms.line import Line
from tinybms_lab.gx.simulator import GxPlan, GxSimulator
from tinybms_lab.testing.can_memory import MemoryCanBus
from tinybms_lab.testing.virtual_time import LoopClock, VirtualLoop

WIDTH, HEIGHT = 80, 24
_DAWN = datetime(2026, 6, 21, 9, 30, tzinfo=UTC)
_HOT_C = 63.0
"""Above register 319 of the simulated unit, where it switches off."""
_FONT = 'ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace'


class Midsummer(LoopClock):
    """Virtual time on a summer's day."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop())  # the thread of the history asks too, which has no loop
        self._start_s = self.monotonic()

    def wall(self) -> datetime:
        """See ``Clock.wall``."""
        return _DAWN + timedelta(seconds=self.monotonic() - self._start_s)


class Wire:
    """A serial line in memory between the bridge and a simulated BMS; a ``SerialPort``."""

    def __init__(self, device: SimulatedBms, clock: Clock) -> None:
        self.cut = False
        """Whether the cable is pulled."""
        self._line = Line(device, clock)
        self._clock = clock
        self._on_data: OnData = lambda _data: None
        self._work = asyncio.Event()

    async def open(self, on_data: OnData, _on_lost: OnLost) -> SerialPort:
        """Open the line."""
        self._on_data = on_data
        return self

    def write(self, data: bytes) -> None:
        """Send to the BMS."""
        if not self.cut:
            self._line.receive(data)
            self._work.set()

    def expect(self, count: int) -> None:
        """See ``SerialPort.expect``."""

    async def close(self) -> None:
        """Close the line."""
        self._on_data = lambda _data: None

    async def run(self) -> None:
        """Carry what the BMS sends, until cancelled."""
        while True:
            self._work.clear()
            self._line.tick()
            due_s = self._line.next_s
            delay_s = REFRESH_S if due_s is None else min(REFRESH_S, due_s - self._clock.monotonic())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(delay_s, 0.0)):
                    await self._work.wait()
            for piece in self._line.due():
                if not self.cut:
                    self._on_data(piece)


class Plant:
    """Everything that runs, with the view of it."""

    def __init__(self, clock: Clock, bridge: Bridge, wire: Wire, history: History) -> None:
        self.services = ServicesState()
        """What the services tell the view."""
        self.lines = LastLines()
        self._clock = clock
        self._history = history
        self._bridge = bridge
        self._view = LiveView(self._tree, clock, self.lines, "tinybms-bridge")
        self.wire = wire

    def _tree(self) -> CoreState:
        return replace(self._bridge.tree(), services=self.services)

    async def live(self, seconds: float) -> None:
        """Let time pass, with a look at it twice a second, as the view has."""
        for _ in range(round(seconds * 2)):
            await self._clock.sleep(0.5)
            self._view.look()

    async def picture(self) -> list[Text]:
        """Return the screen."""
        deadline_s = time.monotonic() + 30.0
        while self._history.state().waiting_batches:
            if time.monotonic() > deadline_s:
                raise TimeoutError("the history does not write")
            time.sleep(0.01)  # noqa: ASYNC251 -- the history writes in a thread, for which virtual time does not wait
        self.services = ServicesState(today=today(self._history))
        return self._view.picture(WIDTH, HEIGHT)


@contextlib.asynccontextmanager
async def running(*, ambient_c: float = 21.0) -> AsyncIterator[Plant]:
    """Run BMS, bridge and GX until the block ends."""
    clock = Midsummer()
    device = SimulatedBms.build(
        clock,
        chemistry=CHEMISTRIES["lfp"],
        cells=16,
        capacity_ah=100.0,
        soc=0.35,
        ambient_c=ambient_c,
        options=BmsOptions(),
    )
    wire, bus = Wire(device, clock), MemoryCanBus()

    async def open_can() -> CanPort:
        return bus.open()

    history = History()
    machine = Machine(clock, wire.open, open_can, MemoryStorage(), run_blocking=in_place)
    bridge = Bridge(Configuration(), machine, SavedUnits())
    bridge.supervisor.add("log", EventLog(bridge.bus).run)
    bridge.supervisor.add("history", lambda: history.run(bridge.bus, clock, run_blocking=in_place))
    gx = GxSimulator(bus.open(), clock, device, GxPlan(lambda _time_s: 3000.0, lambda _time_s: 400.0))
    plant = Plant(clock, bridge, wire, history)
    logger, factory = logging.getLogger("tinybms_bridge"), logging.getLogRecordFactory()

    def dated(*arguments: object, **more: object) -> logging.LogRecord:
        record = factory(*arguments, **more)
        record.created = clock.wall().timestamp()
        return record

    logging.setLogRecordFactory(dated)
    logger.addHandler(plant.lines)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    tasks = [asyncio.create_task(each) for each in (wire.run(), gx.run(), bridge.run())]
    try:
        yield plant
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        logger.removeHandler(plant.lines)
        logging.setLogRecordFactory(factory)


async def from_sun_to_silence() -> dict[str, list[Text]]:
    """Charging in the sun; then the cable to the BMS is pulled: some seconds later, and more than half a minute."""
    async with running() as plant:
        await plant.live(600.0)
        found = {"live-normal": await plant.picture()}
        plant.wire.cut = True
        await plant.live(8.0)
        found["live-hold"] = await plant.picture()
        await plant.live(60.0)
        found["live-silent"] = await plant.picture()
        return found


async def alarm() -> dict[str, list[Text]]:
    """A battery in a hut that is too hot."""
    async with running(ambient_c=_HOT_C) as plant:
        await plant.live(120.0)
        return {"live-alarm": await plant.picture()}


def as_svg(name: str, rows: list[Text]) -> str:
    """Return a picture that loads nothing from elsewhere: rich's own asks a server for its font."""
    console = Console(record=True, file=io.StringIO(), width=WIDTH, height=HEIGHT, force_terminal=True)
    for row in rows:
        console.print(row, highlight=False)
    svg = console.export_svg(title="tinybms-bridge run", unique_id=name)
    svg = re.sub(r"@font-face\s*{[^}]*}\s*|<!--.*?-->\s*", "", svg)
    return re.sub(r"font-family:\s*(?:Fira Code|arial)[^;]*;", f"font-family: {_FONT};", svg)


def main() -> None:
    """Draw the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder for the pictures")
    parser.add_argument("--text", action="store_true", help="print them as text, and write nothing")
    choice = parser.parse_args()
    os.environ["TZ"] = "UTC"
    time.tzset()
    catalogue()
    for scene in (from_sun_to_silence, alarm):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            pictures = runner.run(scene())
        for name, rows in pictures.items():
            if choice.text:
                print(f"{name}\n", *(row.plain.rstrip() for row in rows), "", sep="\n")
            else:
                (choice.out / f"{name}.svg").write_text(as_svg(name, rows))


if __name__ == "__main__":
    main()
