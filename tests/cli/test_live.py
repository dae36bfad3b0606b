import asyncio
import io
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.battery.snapshot import BmsStatus, Cells, PackState, Ratings, Snapshot, Temperatures
from tinybms_bridge.bridge import Bridge, Machine
from tinybms_bridge.cli import live
from tinybms_bridge.cli.live import LastLines, LiveView
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.can import CanFrame, CanPort
from tinybms_bridge.hal.clock import FakeClock
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.tinybms.poller import LinkState

RATINGS = Ratings(
    series_cells=4,
    fully_charged_cell_v=3.50,
    fully_discharged_cell_v=2.90,
    over_voltage_cell_v=3.75,
    under_voltage_cell_v=2.50,
    charge_over_current_a=60.0,
    discharge_over_current_a=120.0,
    discharge_peak_current_a=None,
    over_heat_c=60.0,
    low_temperature_charge_c=1.0,
    capacity_ah=100.0,
)

SAMPLE = Snapshot(
    sequence=0,
    taken_at_s=0.0,
    pack=PackState(voltage_v=13.25, current_a=12.34, soc_percent=54.32, soh_percent=98.0, status=BmsStatus.CHARGING),
    cells=Cells((3.311, 3.322, 3.301, 3.316), (False, True, False, False)),
    temperatures=Temperatures(internal_c=30.0, external_1_c=21.5, external_2_c=22.5),
    ratings=RATINGS,
)


async def no_serial(_on_data: OnData, _on_lost: OnLost) -> SerialPort:
    """Stand for a machine without ports."""
    raise LinkError("no port")


async def no_can() -> CanPort:
    """Stand for a machine without an adapter."""
    raise LinkError("no adapter")


class Screen:
    """A view of a bridge that does not run: the test hands it samples."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bridge = Bridge(Configuration(), Machine(self.clock, no_serial, no_can, MemoryStorage()), SavedUnits())
        self.lines = LastLines()
        self.number = 0

    def view(self, extra: Callable[[], Text] | None = None) -> LiveView:
        """Return the view."""
        return LiveView(self.bridge, self.clock, self.lines, "a title", extra)

    async def feed(self, count: int = 3, every_s: float = 0.1, **changes: Any) -> None:
        """Hand over accepted samples."""
        for _ in range(count):
            await self.clock.advance(every_s)
            self.number += 1
            now_s = self.clock.monotonic()
            image = self.number.to_bytes(8)  # a BMS that lives: something moves with each sample
            sample = replace(SAMPLE, sequence=self.number, taken_at_s=now_s, image=image, **changes)
            assert self.bridge.pipeline.accept(sample, now_s)
        self.bridge.poller.link = LinkState(up=True)

    async def silence(self, seconds: float) -> None:
        """Let time pass without a sample."""
        await self.clock.advance(seconds)
        self.bridge.pipeline.tick(self.clock.monotonic())

    def greyed(self, text: str) -> bool:
        """Return whether something on the screen is grey."""
        console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system="standard", record=True)
        console.print(self.view().render())
        return f"\x1b[90m{text}" in console.export_text(styles=True)

    def text(self, width: int = 120, extra: Callable[[], Text] | None = None) -> str:
        """Return what is on the screen."""
        console = Console(file=io.StringIO(), width=width, force_terminal=False)
        console.print(self.view(extra).render())
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()


def words(text: str) -> str:
    """Return the words of a screen with single spaces, without its frame."""
    return " ".join(text.replace("│", " ").split())


@pytest.fixture
async def screen() -> Screen:
    """A screen before the first sample."""
    return Screen()


async def test_screen_before_the_first_sample(screen: Screen) -> None:
    """What is missing is said; nothing is shown that is not known."""
    text = screen.text()
    assert "a title" in text
    assert "BMS not connected yet" in text
    assert "data STARTING" in text
    assert "CAN not open yet" in text
    assert "GX never seen" in text
    assert "CVL" not in text
    assert "Voltage" not in text


async def test_screen_with_fresh_data(screen: Screen) -> None:
    """Measurements, cells, statistics, and each limit, risen to its target, with its reason."""
    await screen.feed(150, every_s=1.0)
    screen.bridge.can_error = ""
    text = screen.text()
    assert "BMS answers" in text
    assert "data FRESH" in text
    assert "CAN open" in text
    for value in ("13.25 V", "+12.3 A", "+164 W", "54.32 %", "98.0 %", "charging", "21.5, 22.5 °C"):
        assert value in text
    assert "4: 3.301 to 3.322 V, Δ 21 mV" in text
    assert "2 3.322*" in text, "the star marks a cell that is bled"
    assert "1 3.311 " in text
    assert "CVL 13.6 V charge target of lfp, 3.42 V per cell" in words(text)
    assert "cell 2 is at 3.322 V, 97 % is left" in text
    assert "BULK" in text
    assert "Alarms" not in text


@pytest.mark.parametrize(
    ("seconds", "freshness"), [(0.0, Freshness.FRESH), (5.0, Freshness.HOLD), (60.0, Freshness.SILENT)]
)
async def test_screen_shows_how_old_data_is(screen: Screen, seconds: float, freshness: Freshness) -> None:
    """Each state by its name; old values stay on the screen in grey with their age, and the limits are those sent."""
    await screen.feed()
    await screen.silence(seconds)
    text, old = words(screen.text()), freshness is not Freshness.FRESH
    assert f"data {freshness}" in text
    assert "13.25 V" in text
    assert (f"The values below are {seconds:.0f} s old." in text) is old
    assert ("Charging is stopped because no good data has come" in text) is (freshness is Freshness.HOLD)
    assert ("Nothing is sent; the GX has lost the BMS" in text) is (freshness is Freshness.SILENT)
    assert ("CVL" in text) is not (freshness is Freshness.SILENT)
    assert screen.greyed("13.25 V") is old
    assert screen.greyed(" 2 3.322*") is old


async def test_screen_shows_alarms(screen: Screen) -> None:
    """Active alarms in words with their level, and only those."""
    await screen.feed(40, temperatures=Temperatures(internal_c=62.0))
    assert "Alarms: high temperature (alarm) Voltage" in words(screen.text())
    await screen.feed(40, temperatures=Temperatures(internal_c=58.5))
    assert "high temperature (alarm)" in screen.text()
    await screen.feed(40, temperatures=Temperatures(internal_c=56.0))
    assert "high temperature (warning)" in screen.text()
    await screen.feed(40, temperatures=Temperatures(internal_c=44.0))
    assert "Alarms" not in screen.text()


async def test_screen_shows_what_is_wrong(screen: Screen) -> None:
    """Reasons come in full, brackets and all: they are text, not markup."""
    screen.bridge.poller.link = LinkState(up=False, reason="serial port [red]/dev/ttyUSB0[/red] does not exist")
    screen.bridge.can_error = "cannot open CAN socketcan:can0"
    text = screen.text(200)
    assert "serial port [red]/dev/ttyUSB0[/red] does not exist" in text
    assert "CAN cannot open CAN socketcan:can0" in text


async def test_screen_follows_the_gx(screen: Screen) -> None:
    """Present once it is heard."""
    screen.bridge.gx.on_frame(CanFrame(0x305, bytes(8)))
    assert "GX present" in screen.text()


async def test_screen_without_sensor_and_health(screen: Screen) -> None:
    """What the unit does not report is said to be missing."""
    await screen.feed(temperatures=Temperatures(), pack=replace(SAMPLE.pack, soh_percent=None))
    text = screen.text()
    assert "no sensor" in text
    assert "not reported" in text


async def test_screen_without_balancing_data(screen: Screen) -> None:
    """Cells are shown also where nothing is known of their balancing."""
    await screen.feed(cells=Cells(SAMPLE.cells.voltages_v))
    assert "2 3.322" in screen.text()
    assert "3.322*" not in screen.text()


async def test_screen_fits_a_narrow_terminal(screen: Screen) -> None:
    """80 columns: no line is longer, nothing fails."""
    await screen.feed()
    screen.lines.handle(logging.makeLogRecord({"msg": "x" * 300}))
    for width in (80, 40):
        assert max(len(line) for line in screen.text(width).splitlines()) <= width


async def test_screen_has_room_for_more(screen: Screen) -> None:
    """The demonstration adds its own part below the limits."""
    assert "the sun shines" in screen.text(extra=lambda: Text("the sun shines"))


async def test_screen_shows_the_last_log_lines(screen: Screen) -> None:
    """The newest lines, oldest first, and no more than there is room for; markup in them is text."""
    for number in range(9):
        screen.lines.handle(logging.makeLogRecord({"msg": "[bold]line %d", "args": (number,)}))
    assert screen.lines.lines() == [f"[bold]line {number}" for number in range(3, 9)]
    text = screen.text()
    assert "[bold]line 8" in text
    assert "line 2" not in text
    assert text.index("line 3") < text.index("line 8")


def test_number_of_kept_lines_is_a_choice() -> None:
    """A small screen keeps fewer."""
    lines = LastLines(2)
    for number in range(5):
        lines.handle(logging.makeLogRecord({"msg": str(number)}))
    assert lines.lines() == ["3", "4"]


async def test_view_is_drawn_again_and_again(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice a second until it is stopped; the last picture stays."""
    out = io.StringIO()
    monkeypatch.setattr(live, "Console", lambda: Console(file=out, width=100, force_terminal=True))
    task = asyncio.create_task(screen.view().run())
    await screen.clock.advance(0.1)
    await screen.feed()
    assert "13.25 V" not in out.getvalue()
    await screen.clock.advance(0.5)
    assert out.getvalue().count("13.25 V") == 1
    await screen.clock.advance(1.0)
    assert out.getvalue().count("13.25 V") == 3
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    drawn = out.getvalue()
    assert drawn.count("13.25 V") >= 3
    await screen.clock.advance(2.0)
    assert out.getvalue() == drawn
