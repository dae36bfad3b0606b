"""The live view: what it says in every state, that nothing of it is cut at 80 by 24, and that keys turn its pages."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any

import pytest
from rich.text import Text

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.notices import NoticeMemory, NoticeName, Notices
from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.battery.snapshot import BmsStatus, Cells, PackValues, Ratings, Snapshot, Temperatures
from tinybms_bridge.cli.live import LastLines, LiveView
from tinybms_bridge.cli.live_pages import PAGES
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.core.battery import Battery
from tinybms_bridge.core.bridge import Bridge, Machine
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.hal.can import CanFrame, CanPort
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.link.events import PartState
from tinybms_bridge.link.state import EnergyToday, PartStatus, ServiceCondition, ServicesState, ServiceState
from tinybms_bridge.tinybms.poller import LinkState
from tinybms_bridge.words import message
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.words import said

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
    pack=PackValues(voltage_v=13.25, current_a=12.34, soc_percent=54.32, soh_percent=98.0, status=BmsStatus.CHARGING),
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


class Scene:
    """A view of a bridge that does not run: the test hands it samples."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        machine = Machine(self.clock, no_serial, no_can, MemoryStorage(), run_blocking=in_place)
        self.bridge = Bridge(Configuration(), machine, SavedUnits())
        self.bridge.can.failure = None
        self.lines = LastLines()
        self.services = ServicesState()
        self.view = LiveView(
            lambda: replace(self.bridge.tree(), services=self.services),
            self.clock,
            self.lines,
            "a title",
            quit=self.quit,
        )
        self.ended = 0
        self.number = 0

    def quit(self) -> None:
        """Count what the key q does."""
        self.ended += 1

    async def feed(self, count: int = 3, every_s: float = 0.1, *, cells: int = 4, **changes: Any) -> None:
        """Hand over accepted samples of a battery with so many cells."""
        if cells != SAMPLE.cells.count:
            voltages_v = tuple(3.3 + 0.001 * number for number in range(cells))
            changes = {
                "cells": Cells(voltages_v, (False,) * cells),
                "pack": replace(changes.get("pack", SAMPLE.pack), voltage_v=sum(voltages_v)),
                "ratings": replace(RATINGS, series_cells=cells),
            } | changes
        for _ in range(count):
            await self.clock.advance(every_s)
            self.number += 1
            now_s = self.clock.monotonic()
            image = self.number.to_bytes(8)  # a BMS that lives: something moves with each sample
            sample = replace(SAMPLE, sequence=self.number, taken_at_s=now_s, image=image, **changes)
            assert isinstance(self.bridge.battery, Battery)
            assert self.bridge.battery.accept(sample, now_s)
            self.view.look()
        self.bridge.pack.poller.link = LinkState(up=True)

    async def silence(self, seconds: float) -> None:
        """Let time pass without a sample."""
        await self.clock.advance(seconds)
        self.bridge.battery.tick(self.clock.monotonic())
        self.view.look()

    def hear_gx(self) -> None:
        """Let a GX send its keep-alive."""
        self.bridge.can.gx.on_frame(CanFrame(0x305, bytes(8)))

    def log(self, text: str, level: int = logging.INFO) -> None:
        """Log something."""
        self.lines.handle(logging.makeLogRecord({"msg": text, "levelno": level}))

    def rows(self, width: int = 80, height: int = 24, page: str = "overview") -> list[Text]:
        """Return what is on the screen."""
        self.view.page = page
        return self.view.picture(width, height)

    def text(self, width: int = 80, height: int = 24, page: str = "overview") -> str:
        """Return the words on the screen with single spaces."""
        return " ".join(" ".join(row.plain for row in self.rows(width, height, page)).split())

    def row(self, label: str) -> str:
        """Return the text beside a label, with what goes on below it."""
        rows = [row.plain for row in self.rows()]
        first = next(number for number, row in enumerate(rows) if row.startswith(f"{label} "))
        last = next(
            (number for number in range(first + 1, len(rows)) if not rows[number].startswith("      ")), first + 1
        )
        return " ".join(" ".join(rows[first:last]).split()).removeprefix(label).strip()

    def style_of(self, text: str) -> str:
        """Return the style in which something is shown."""
        for row in self.rows():
            at = row.plain.find(text)
            if at >= 0:
                inside = [str(span.style) for span in row.spans if span.start <= at < span.end]
                return inside[-1] if inside else str(row.style)
        raise AssertionError(f"{text!r} is not shown")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """Run the view until the block ends."""
        task = asyncio.create_task(self.view.run())
        await self.clock.advance(0.0)
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture
async def scene() -> Scene:
    """A view before the first sample."""
    return Scene()


# What is said.


async def test_before_the_first_sample(scene: Scene) -> None:
    """What is missing is said; nothing is shown that is not known."""
    scene.bridge.can.failure = said("cannot open CAN socketcan:can0")
    text = scene.text()
    assert "a title" in text
    assert "Starting: not connected yet; nothing is sent yet." in text
    assert "Nothing reaches the GX: cannot open CAN socketcan:can0." in text
    assert scene.row("Limits") == "none are sent"
    assert "CVL" not in text
    assert "Battery" not in text
    assert "SOC" not in text


async def test_a_battery_that_is_charged(scene: Scene) -> None:
    """State, limits with their reasons, SOC with the time that is left, measurements."""
    scene.hear_gx()
    await scene.feed(150, every_s=1.0)
    scene.hear_gx()
    text = scene.text()
    assert "Charging with 12.3 A (164 W); full in about 3 h 40 min. GX obeys." in text
    assert scene.row("CVL") == "13.6 V charge target of lfp, 3.42 V per cell (register 300 is 3.5 V)"
    assert scene.row("CCL").endswith("cell 2 is at 3.322 V, 97 % is left")
    assert scene.row("DCL").endswith("A the BMS cuts off at 120 A")
    assert scene.row("Alarms") == "none"
    assert scene.row("GX").startswith("present, heard 0.0 s ago; CAN open; BMS answers")
    assert "full in about 3 h 40 min" in scene.row("SOC")
    assert scene.row("Battery") == "13.25 V +12.3 A +164 W 21.5, 22.5 °C SOH 98 % BULK"
    assert scene.row("Cells") == "4 cells, 3.301 V (no. 3) to 3.322 V (no. 2), Δ 21 mV, 1 balancing"
    assert scene.style_of("Charging with") == "bold green"


async def test_hold_says_what_stops_and_since_when(scene: Scene) -> None:
    """Old values are grey with their age; the limits are those that are sent."""
    await scene.feed()
    scene.bridge.pack.poller.link = LinkState(up=False, message=message("said", text="no answer within 300 ms"))
    await scene.silence(5.0)
    text = scene.text()
    assert "Charging is stopped because no good data has come from the BMS for 5 s (no answer within 300 ms)" in text
    assert "What is grey is 5 s old." in text
    assert scene.row("CCL").startswith("0.0 A no good data from the BMS for")
    assert "time left -" in scene.row("SOC")
    assert scene.style_of("13.25 V") == scene.style_of(" 1 3.311") == "bright_black"
    assert scene.style_of("Charging is stopped") == "bold yellow"


async def test_silence_says_that_nothing_is_sent(scene: Scene) -> None:
    """No limits are shown as if they were in force."""
    await scene.feed()
    await scene.silence(65.0)
    text = scene.text()
    assert "Nothing is sent; the GX has lost the BMS. What is grey is 65 s old." in text
    assert scene.row("Limits") == "none are sent"
    assert "CVL" not in text
    assert scene.style_of("Nothing is sent") == "bold red"
    assert scene.style_of("13.25 V") == "bright_black"


async def test_alarms_and_warnings_by_name(scene: Scene) -> None:
    """Those that are active, the worse ones apart; the sentence begins with them."""
    await scene.feed(40, temperatures=Temperatures(internal_c=62.0))
    assert (
        "ALARM: high temperature. Charging with 12.3 A (164 W); no charging is allowed (a temperature of"
        in scene.text()
    )
    assert scene.row("ALARM") == "high temperature"
    assert scene.style_of("ALARM:") == "bold red"
    await scene.feed(40, temperatures=Temperatures(internal_c=56.0))
    assert scene.row("Warning") == "high temperature"
    assert "ALARM" not in scene.text()
    await scene.feed(40, temperatures=Temperatures(internal_c=44.0))
    assert scene.row("Alarms") == "none"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(1.0, "Waiting for the GX."), (20.0, "No GX is heard: limits are sent, nobody is known to read them.")],
)
async def test_no_gx(scene: Scene, seconds: float, told: str) -> None:
    """One that is not heard from the start is waited for, for as long as a GX may take."""
    await scene.feed(10, every_s=seconds / 10.0)
    assert told in scene.text()
    assert scene.row("GX").startswith("never seen")


async def test_a_gx_that_is_lost(scene: Scene) -> None:
    """Since when it has been silent."""
    scene.hear_gx()
    await scene.feed(30, every_s=1.0)
    scene.bridge.can.gx.check()
    assert "The GX has not been heard for 30 s." in scene.text()
    assert scene.row("GX").startswith("lost, last heard 30 s ago")


async def test_a_gx_that_does_not_obey(scene: Scene) -> None:
    """Longer than its loop takes, more flows in than may: it is not said to obey."""
    wild = replace(SAMPLE.pack, current_a=90.0)
    scene.hear_gx()
    await scene.feed(8, every_s=1.0, pack=wild)
    assert "GX obeys." in scene.text()
    await scene.feed(8, every_s=1.0, pack=wild)
    scene.hear_gx()
    assert "GX present, but 90 A flow in where" in scene.text()


async def test_what_is_wrong_is_said_in_full(scene: Scene) -> None:
    """Reasons come in full, brackets and all: they are text, not markup."""
    scene.bridge.pack.poller.link = LinkState(
        up=False, message=message("said", text="serial port [red]/dev/ttyUSB0[/red] does not exist")
    )
    trouble = "cannot open CAN socketcan:can0: no such device; bring it up with: ip link set can0 up"
    scene.bridge.can.failure = said(trouble)
    assert "serial port [red]/dev/ttyUSB0[/red] does not exist" in scene.text()
    assert trouble in scene.row("GX")


async def test_what_the_unit_does_not_report(scene: Scene) -> None:
    """It is said to be missing; cells are shown also where nothing is known of their balancing."""
    pack = replace(SAMPLE.pack, soh_percent=None)
    await scene.feed(temperatures=Temperatures(), pack=pack)
    assert "no sensor °C" in scene.text()
    assert "SOH not reported" in scene.text()


async def test_energy_of_the_day_is_what_the_services_tell(scene: Scene) -> None:
    """Sums of the local day; none while there are no services, or no history."""
    await scene.feed()
    assert scene.row("SOC").endswith("today -")
    scene.services = ServicesState(today=EnergyToday(3.214, 1.1, 5.0))
    assert scene.row("SOC").endswith("today 3.21 kWh in, 1.10 out")
    scene.services = ServicesState()
    assert scene.row("SOC").endswith("today -")


async def test_a_part_that_failed_says_why(scene: Scene) -> None:
    """A second bridge without its port is understood without a look at a log."""
    scene.services = ServicesState(parts=(PartStatus("web", PartState.FAILED, "port 8080 is in use"),))
    assert "web failed: port 8080 is in use" in scene.text(page="counters")
    scene.services = ServicesState(parts=(PartStatus("web", PartState.RUNNING, "port 8080 is in use"),))
    assert "web running" in scene.text(page="counters")
    assert "port 8080" not in scene.text(page="counters")


async def test_a_service_in_trouble_says_why(scene: Scene) -> None:
    """By its name, beside the battery; what works, starts or is off takes no line."""
    why = message("mqtt.broker_failed", broker="mqtt://boat:1883", reason="connection refused")
    scene.services = ServicesState(
        services=(
            ServiceState("mqtt", ServiceCondition.TROUBLE, message=why, last_error=why),
            ServiceState("mdns", ServiceCondition.WORKING, last_error=why),
            ServiceState("metrics"),
            ServiceState("unheard_of", ServiceCondition.TROUBLE),
        )
    )
    await scene.feed()

    assert [" ".join(row.plain.split()) for row in scene.rows(100, 40) if row.plain.startswith("Service")] == [
        "Service MQTT does not work: mqtt://boat:1883: connection refused",
        "Service unheard_of does not work",
    ]


async def test_the_setup_token_stays_until_it_is_used(scene: Scene) -> None:
    """It does not scroll away, and it stands beside how else an administrator is made; afterwards, only the address."""
    token, users = "1f3a90-2b4c6d-8e0f12-345678", ".venv/bin/tinybms-bridge users"
    scene.services = ServicesState(1, "http://localhost:8080/", token, users)
    await scene.feed(cells=16)
    for _ in range(30):
        scene.log(LONG)
    assert scene.row("Web") == (
        f"http://localhost:8080/ setup token until it is used: {token} or {users} add NAME --role admin"
    )
    scene.services = ServicesState(1, "http://localhost:8080/", "", users)
    assert scene.row("Web") == "http://localhost:8080/"
    named = ServiceState("mdns", ServiceCondition.WORKING, where="http://tinybms-bridge-2.local:8080/")
    scene.services = ServicesState(1, "http://localhost:8080/", "", users, services=(named,))
    assert scene.row("Web") == "http://localhost:8080/ or http://tinybms-bridge-2.local:8080/"
    waiting = replace(named, condition=ServiceCondition.STARTING)
    scene.services = ServicesState(1, "http://localhost:8080/", "", users, services=(waiting,))
    assert scene.row("Web") == "http://localhost:8080/"
    scene.services = ServicesState(1, "", token, users)
    assert token not in scene.text(), "nobody could use it while the server does not listen"


async def test_log_lines_are_the_newest_and_are_text(scene: Scene) -> None:
    """Oldest first, in colours by their level; markup, line ends and escape sequences in them do nothing."""
    for number in range(300):
        scene.log(f"[bold]line {number}")
    scene.log("a warning", logging.WARNING)
    scene.log("two\nlines \x1b[2Jand a bell\x07", logging.ERROR)
    text = scene.text()
    assert "[bold]line 299" in text
    assert "line 3 " not in text
    assert text.index("line 298") < text.index("line 299") < text.index("a warning")
    assert "two lines [2Jand a bell" in text
    assert scene.style_of("a warning") == "yellow"
    assert scene.style_of("two lines") == "red"
    assert len(scene.lines.lines()) == 200


async def test_a_wrong_log_call_ends_nothing(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """As with every handler of the standard library."""
    scene.lines.handle(logging.makeLogRecord({"msg": "%d", "args": ("no number",)}))
    assert scene.lines.lines() == []
    assert "Logging error" in capsys.readouterr().err


# Nothing is cut.


LONG = "a line of the log that is longer than a terminal is wide and goes on until everything has been said, 日本語も"


async def calm(_scene: Scene) -> None:
    """Nothing yet."""


async def charged(scene: Scene) -> None:
    """A battery of four cells with a GX."""
    scene.hear_gx()
    await scene.feed(100, every_s=1.0)
    scene.hear_gx()


async def sixteen(scene: Scene) -> None:
    """A battery of sixteen cells without a GX."""
    await scene.feed(100, every_s=1.0, cells=16)


async def alarmed(scene: Scene) -> None:
    """Every alarm and every notice there is."""
    await scene.feed(40, cells=16, temperatures=Temperatures(internal_c=62.0))
    levels = {name: AlarmLevel.ALARM if number % 3 else AlarmLevel.WARNING for number, name in enumerate(AlarmName)}
    unit = scene.bridge.battery.units["main"]
    unit.alarm_memory = replace(unit.alarm_memory, alarms=Alarms(levels))
    scene.bridge.battery._notices = NoticeMemory(Notices(dict.fromkeys(NoticeName, AlarmLevel.WARNING)))


async def held(scene: Scene) -> None:
    """No data for a moment."""
    await scene.feed(10, cells=16)
    await scene.silence(5.0)


async def silent(scene: Scene) -> None:
    """No data for long."""
    await scene.feed(10, cells=16)
    await scene.silence(65.0)


STATES = [calm, charged, sixteen, alarmed, held, silent]


@pytest.mark.parametrize("state", STATES)
async def test_a_terminal_of_80_by_24_shows_all_that_matters(
    scene: Scene, emulator: Any, state: Callable[[Scene], Any]
) -> None:
    """By an independent emulator, with long log lines and wide letters: what matters is there, and no row is cut."""
    await state(scene)
    scene.view._extra = lambda: Text("Simulated GX charging\n  sun 4000 of 4000 W\nWatch the frames: decode --live")
    for _ in range(30):
        scene.log(LONG)
    expected = [row.plain.rstrip() for row in scene.rows()]
    async with scene.running():
        await emulator.until(lambda: "q quit" in emulator.screen.display[23])
        shown = [row.rstrip() for row in emulator.screen.display]
    assert shown == expected
    assert len(expected) == 24
    cut = [row for row in shown if row.endswith("…")]
    assert [row for row in cut if state is not alarmed or not row.startswith("  sun ")] == [], "the least that matters"
    limits = ("CVL", "CCL", "DCL") if scene.bridge.view().limits else ("Limits",)
    for label in (*limits, "GX"):
        assert [row for row in shown if row.startswith(label)], label
    assert [row for row in shown if row.startswith(("Alarms", "ALARM", "Warning"))]
    if state is alarmed:
        words = " ".join(" ".join(shown).split())
        names = [name.replace("_", " ") for name in (*AlarmName, *NoticeName)]
        assert [name for name in names if name not in words] == []
    else:
        assert "日本語も" in " ".join(shown)
        assert "Watch the frames: decode --live" in shown


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("page", [*PAGES, "help"])
async def test_every_size_is_filled_and_never_exceeded(scene: Scene, state: Callable[[Scene], Any], page: str) -> None:
    """From two columns to a large window: no exception, no row too wide, no row too many."""
    await state(scene)
    scene.log(LONG)
    for width in (1, 5, 21, 59, 80, 250):
        for height in (1, 3, 5, 24, 100):
            rows = scene.rows(width, height, page)
            assert len(rows) <= height
            encoded = scene.view.encoded(rows, width)
            assert len(encoded) == len(rows)
            if width >= 2:
                assert max((row.cell_len for row in rows), default=0) <= max(width, 2), (width, height)


@pytest.mark.parametrize("state", [charged, held, silent, alarmed])
async def test_a_small_terminal_keeps_the_sentence_limits_and_alarms(
    scene: Scene, state: Callable[[Scene], Any]
) -> None:
    """40 by 10 of a telephone: what matters least is left out, title and keys among it."""
    await state(scene)
    rows = [row.plain for row in scene.rows(40, 10)]
    limits = ("CVL", "CCL", "DCL") if scene.bridge.view().limits else ("Limits",)
    for label in limits:
        assert [row for row in rows if row.startswith(label)], label
    assert [row for row in rows if row.startswith(("Alarms", "ALARM", "Warning"))]
    tiny = [row.plain for row in scene.rows(40, 4)]
    assert not tiny[0].startswith(" a title")


async def test_a_large_terminal_shows_more_at_once(scene: Scene) -> None:
    """Cells and counters below the log, in this order."""
    await scene.feed(100, every_s=1.0, cells=16)
    for _ in range(30):
        scene.log(LONG)
    rows = [row.plain for row in scene.rows(100, 50)]
    log, grid, counters = (
        max(number for number, row in enumerate(rows) if words in row)
        for words in ("goes on", "16 3.315", "frames sent")
    )
    assert log < grid < counters


@pytest.mark.parametrize("page", [page for page in PAGES if page != "packs"])
async def test_pages_say_what_they_are_for(scene: Scene, page: str) -> None:
    """Each of them, at 80 by 24."""
    await scene.feed(100, every_s=1.0, cells=16)
    scene.log("something happened")
    wanted = {
        "overview": "Alarms none",
        "cells": "16 3.3150 V",
        "counters": "Parts uart starting",
        "log": "something happened",
    }[page]
    assert wanted in scene.text(page=page)


async def test_the_help_explains_every_abbreviation_at_80_by_24(scene: Scene) -> None:
    """Whatever the overview says without a word of explanation."""
    text = scene.text(page="help")
    for word in ("CVL", "CCL", "DCL", "SOC", "SOH", "BMS", "GX", "CAN", "Δ", "BULK", "FLOAT", "HOLD", "SILENT", "Tab"):
        assert word in text
    assert "…" not in text


async def test_pages_without_data(scene: Scene) -> None:
    """Said, instead of an empty page."""
    assert "No cell has been read yet." in scene.text(page="cells")
    assert "Nothing has been logged yet." in scene.text(page="log")


# Keys and drawing.


class NoTerminal:
    """A terminal that keeps what it is shown."""

    shown: list[list[str]]

    def __init__(self, on_key: Callable[[str], None], *_: object) -> None:
        self.press = on_key
        self.has_keys = True
        self.size = (80, 24)
        self.redrawn = 0
        type(self).shown = []

    def opened(self) -> Any:
        """Open nothing."""
        return nullcontext()

    def show(self, rows: list[str]) -> None:
        """Keep a picture."""
        self.shown.append(rows)

    def redraw(self) -> None:
        """Count."""
        self.redrawn += 1


async def test_keys_turn_the_pages(scene: Scene) -> None:
    """Tab goes round, Shift-Tab back, the question mark to the help and back; other keys do nothing."""
    seen = []
    for key in ("\t", "\t", "\t", "\t", "back", "\t", "?", "\t", "?", "?", "x", "\x1b", ""):
        scene.view.key(key)
        seen.append(scene.view.page)
    assert seen[:6] == ["cells", "counters", "log", "overview", "log", "overview"]
    assert seen[6:] == ["help", "overview", "help", "overview", "overview", "overview", "overview"]
    assert scene.ended == 0


@pytest.mark.parametrize("key", ["q", "Q"])
async def test_q_ends_the_program(scene: Scene, key: str) -> None:
    """As Ctrl-C does."""
    scene.view.key(key)
    assert scene.ended == 1


async def test_without_keys_the_way_out_is_said(scene: Scene) -> None:
    """Where standard input is no terminal."""
    assert scene.view.picture(80, 24, keys=False)[-1].plain == "Ctrl-C ends"


async def test_it_is_drawn_twice_a_second_and_at_a_key(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no more often: it shares the processor with the frames."""
    monkeypatch.setattr("tinybms_bridge.cli.live.Terminal", NoTerminal)
    async with scene.running():
        assert len(NoTerminal.shown) == 1
        await scene.clock.advance(2.0)
        assert len(NoTerminal.shown) == 5
        scene.view.key("\t")
        assert len(NoTerminal.shown) == 6
        scene.view.key("x")
        assert len(NoTerminal.shown) == 6
        scene.view.key("\x0c")
        assert len(NoTerminal.shown) == 7
    await scene.clock.advance(2.0)
    assert len(NoTerminal.shown) == 7


async def test_the_keys_of_a_real_terminal(scene: Scene, emulator: Any) -> None:
    """Typed at one end, seen at the other; q ends the view, and the terminal is as before."""
    before = emulator.modes()
    await scene.feed(cells=16)
    async with scene.running() as task:
        await emulator.until(lambda: "Alarms" in "".join(emulator.screen.display))
        emulator.type(b"\t")
        await emulator.until(lambda: "3.3150 V" in "".join(emulator.screen.display))
        emulator.type(b"?")
        await emulator.until(lambda: "charge voltage limit" in "".join(emulator.screen.display))
        scene.view._quit = task.cancel
        emulator.type(b"q")
        with suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
    assert emulator.modes() == before


async def test_a_terminal_in_no_hurry_gets_the_rest_later(scene: Scene, emulator: Any) -> None:
    """A first picture that is larger than the buffer of the kernel arrives without another turn of the clock."""
    emulator.resize(250, 100)
    emulator.screen.resize(100, 250)
    await scene.feed(cells=16)
    for number in range(200):
        scene.log(f"{number} {LONG}")
    async with scene.running():
        await emulator.until(lambda: "q quit" in emulator.screen.display[99])
