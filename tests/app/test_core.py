"""The core as a process: what it begins with, keeps, says and follows, and how it ends."""

import asyncio
import json
import logging
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tinybms_bridge.cli.live  # noqa: F401 -- the import reads files, which no test may do on an event loop
from tinybms_bridge.app import core
from tinybms_bridge.app.core import CoreStart, Screen, machine_for, open_core, run_core
from tinybms_bridge.app.restart import StartAgain
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import ChargeState, Inhibited
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.battery.snapshot import Ratings
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.config.opening import load_defaults
from tinybms_bridge.config.overrides import Overrides
from tinybms_bridge.config.values import values_of
from tinybms_bridge.core.bridge import Bridge, Machine
from tinybms_bridge.core.control import Control
from tinybms_bridge.errors import BridgeError, ConfigError, LinkError
from tinybms_bridge.hal.blocking import in_place, in_thread
from tinybms_bridge.hal.can import CanFrame, CanPort, CanSettings
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.directory_lock import HOLDER_FILE, DirectoryTakenError
from tinybms_bridge.hal.logs import EarlyHandler, LogLine
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort
from tinybms_bridge.hal.storage import MemoryStorage, Storage
from tinybms_bridge.hal.watchdog import NullWatchdog
from tinybms_bridge.link import commands
from tinybms_bridge.link.client import Connection, open_link
from tinybms_bridge.link.events import ChargeStateChanged, PartState
from tinybms_bridge.link.mirror import Mirror
from tinybms_bridge.link.state import EVENTS, CoreState
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.link_place import PATIENCE_S

LFP_16 = Ratings(16, 3.65, 2.9, 3.75, 2.5, 60.0, 120.0, None, 60.0, 1.0, 100.0)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a working directory of their own, without what the machine of the test has set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "NOTIFY_SOCKET", "TINYBMS_BRIDGE_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TINYBMS_BRIDGE_CONFIG", str(tmp_path / "usual.json"))
    return tmp_path


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """Put the loggers back as they were."""
    names = ("", "can", "tinybms_bridge")
    levels, handlers = {name: logging.getLogger(name).level for name in names}, logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def write(path: Path, document: object) -> str:
    """Write a configuration and return its path."""
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


def configured(document: dict[str, Any]) -> Configuration:
    """Return the configuration that a document means."""
    return interpret(document, "test").configuration


def device(name: str) -> dict[str, Any]:
    """Return a document with one serial port."""
    return {"hardware": {"uart": {"device": name}}}


def lone(config: Configuration | None = None, **options: Any) -> CoreStart:
    """Return a start without services."""
    return CoreStart(config or Configuration(), services=False, **options)


class Stage:
    """Runs ``run_core`` on a machine without ports, and keeps the bridge that it built."""

    def __init__(self, home: Path) -> None:
        self.clock = FakeClock()
        self.bridges: list[Bridge] = []
        self.task: asyncio.Task[None] | None = None
        self.storage = MemoryStorage()
        self.inhibits = MemoryStorage()
        self.socket = home / "core.sock"
        self.real_files = False

    def machine(self, config: Configuration, *, keep: bool) -> Machine:
        """Stand in for ``machine_for``; what is kept goes where the real one keeps it."""
        real = machine_for(config, keep=True)
        storage: Storage = real.storage if keep else self.storage

        async def no_serial(_data: OnData, _lost: OnLost) -> SerialPort:
            raise LinkError("no port")

        async def no_can() -> CanPort:
            raise LinkError("no adapter")

        machine = Machine(self.clock, no_serial, no_can, storage, inhibits=self.inhibits, run_blocking=in_place)
        if self.real_files:
            machine = replace(
                machine, use=real.use, stored=real.stored, folder=real.folder, own=real.own, release=real.release
            )
        return machine

    def build(self, config: Configuration, machine: Machine, saved: SavedUnits) -> Bridge:
        """Stand in for ``Bridge``."""
        self.bridges.append(Bridge(config, machine, saved))
        return self.bridges[-1]

    async def run(self, start: CoreStart, **options: Any) -> Bridge:
        """Start and wait until the parts run."""
        start = replace(start, socket=str(self.socket))
        self.task = asyncio.create_task(run_core(start, **options))
        await self.until(
            lambda: self.bridges and self.bridges[-1].can.state().error != "not open yet" and self.listens()
        )
        return self.bridges[-1]

    def _tried(self) -> bool:
        return self.bridges[-1].can.state().error != "not open yet"

    def listens(self) -> bool:
        """Tell whether clients can connect."""
        return self.socket.is_socket()

    async def until(self, condition: Callable[[], object]) -> None:
        """Let time pass until something holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                assert self.task is not None
                assert not self.task.done() or self.task.result()
                await self.clock.advance(0.05)
                await asyncio.sleep(0.001)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Connection[CoreState]]:
        """Give a connection to the core."""
        mirror = Mirror(CoreState, EVENTS, self.clock.monotonic)
        async with open_link([self.socket], mirror, self.clock, who="test", program_version="9.9") as connection:
            yield connection

    async def end(self) -> None:
        """Stop as a signal does."""
        assert self.task is not None
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


@pytest.fixture
def stage(checks_here: None, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Stage:
    """A machine without ports, on which a file is checked here and not in a process."""
    caplog.set_level(logging.INFO, "tinybms_bridge")
    stage = Stage(home)

    monkeypatch.setattr(core, "machine_for", stage.machine)
    monkeypatch.setattr(core, "Bridge", stage.build)
    return stage


# the machine


async def test_machine_opens_what_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Port, speed and adapter of the configuration reach the hardware; nobody watches outside of systemd."""
    opened: list[object] = []

    async def fake_serial(device: str, baudrate: int, _data: OnData, _lost: OnLost) -> SerialPort:
        opened.append((device, baudrate))
        raise LinkError("not here")

    async def fake_can(settings: CanSettings) -> CanPort:
        opened.append(settings)
        raise LinkError("not here")

    monkeypatch.setattr(core, "open_serial", fake_serial)
    monkeypatch.setattr(core, "open_can", fake_can)
    hardware = {"uart": {"device": "/dev/ttyS9", "baudrate": 19_200}, "can": {"channel": "can7"}}
    machine = machine_for(configured({"hardware": hardware}), keep=False)
    with pytest.raises(LinkError):
        await machine.open_serial(lambda _data: None, lambda _error: None)
    with pytest.raises(LinkError):
        await machine.open_can()
    assert opened == [
        ("/dev/ttyS9", 115_200),
        CanSettings("socketcan", "can7", 500_000, {}, (0x305, 0x307, 0x351, 0x355, 0x356, 0x35A)),
    ]
    assert isinstance(machine.storage, MemoryStorage), "nothing is kept"
    assert not machine.keeps
    assert isinstance(machine.clock, SystemClock)
    assert isinstance(machine.watchdog, NullWatchdog)
    assert machine.cpu_s is time.process_time


async def test_machine_follows_the_configuration(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next port is opened as the new configuration says, and the files move to the new directory."""
    opened: list[object] = []

    async def fake_serial(device: str, baudrate: int, _data: OnData, _lost: OnLost) -> SerialPort:
        opened.append((device, baudrate))
        raise LinkError("not here")

    monkeypatch.setattr(core, "open_serial", fake_serial)

    def exchange() -> Machine:
        machine = machine_for(load_defaults(Overrides(device="/dev/ttyS1")), keep=True)
        machine.storage.write(b"counters")
        document = {**device("/dev/ttyS2"), "advanced": {"state_directory": str(home / "new")}}
        machine.use(configured(document))
        assert (home / "new" / "state.json").read_bytes() == b"counters"
        assert machine.storage.name == str(home / "new" / "state.json")
        assert machine.events.name == str(home / "new" / "events.jsonl")
        assert machine.folder() == home / "new"
        return machine

    machine = await in_thread(exchange)
    with pytest.raises(LinkError):
        await machine.open_serial(lambda _data: None, lambda _error: None)
    assert opened == [("/dev/ttyS2", 115_200)]


def test_directory_that_cannot_be_used_leaves_the_files(home: Path) -> None:
    """The counters stay where they are; the ports follow all the same."""
    machine = machine_for(Configuration(), keep=True)
    machine.storage.write(b"counters")
    name = machine.storage.name
    with pytest.raises(OSError, match="file"):
        machine.use(configured({"advanced": {"state_directory": write(home / "file", "in the way") + "/state"}}))
    assert (machine.storage.name, machine.storage.read()) == (name, b"counters")
    assert machine.folder() == Path(name).parent


def test_inhibits_are_kept_with_the_other_files(home: Path) -> None:
    """In the state directory, readable for nobody else, since they name users; and they move along."""
    machine = machine_for(Configuration(), keep=True)
    machine.inhibits.write(b"{}")
    path = home / ".local" / "state" / "tinybms-bridge" / "stops.json"
    assert (path.read_bytes(), machine.inhibits.name) == (b"{}", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    machine.use(configured({"advanced": {"state_directory": str(home / "new")}}))
    assert (home / "new" / "stops.json").read_bytes() == b"{}"
    assert stat.S_IMODE((home / "new" / "stops.json").stat().st_mode) == 0o600


async def test_a_second_core_in_one_directory_is_told_who_holds_it(
    stage: Stage, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with one line before it touches a file; read-only commands ask nobody."""
    monkeypatch.setattr(core, "machine_for", machine_for)
    first = machine_for(Configuration(), keep=True)
    await in_thread(first.own)
    with pytest.raises(BridgeError, match=rf"state/tinybms-bridge belongs to process {os.getpid()} "):
        await run_core(lone())
    assert await in_thread(os.listdir, first.folder()) == [HOLDER_FILE]
    first.release()
    assert stage.bridges == []


async def test_the_directory_is_free_after_the_end(stage: Stage) -> None:
    """Whatever ended the run."""
    stage.real_files = True
    await stage.run(lone())
    machine = machine_for(Configuration(), keep=True)
    with pytest.raises(DirectoryTakenError):
        await in_thread(machine.own)
    await stage.end()
    await in_thread(machine.own)
    machine.release()


# the start


async def test_run_tells_its_remarks_and_what_happens(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """Remarks on the configuration come first, then the events, as log lines."""
    bridge = await stage.run(lone(remarks=("a remark",)), keep=False)
    assert caplog.records[0].getMessage() == "a remark"
    assert caplog.records[0].levelno == logging.WARNING
    await stage.until(lambda: {"BMS link down: no port", "CAN: no adapter"} <= set(caplog.messages))
    assert set(bridge.supervisor.parts) == {
        "uart",
        "decide",
        "soc-writer",
        "can",
        "state",
        "inhibits",
        "run-record",
        "event-list",
        "garbage-collection",
        "log",
        "log-counts",
        "link",
        "configuration",
        "status-line",
    }
    assert {name for name, part in bridge.supervisor.parts.items() if part.critical} == {"uart", "decide", "can"}
    await stage.end()


async def test_services_are_a_part_where_they_are_wanted(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` starts them beside the core, at its socket, and is quiet below a live view; `run-core` does not."""
    made: list[tuple[Path, bool]] = []

    class Child:
        """Services that run for ever."""

        def __init__(self, socket: Path, _clock: object, *, ready: Callable[[], bool], quiet: bool) -> None:
            made.append((socket, quiet))
            self.ready = ready

        async def run(self) -> None:
            """Wait for the first frame, which never comes here."""
            assert not self.ready()
            await asyncio.Event().wait()

    monkeypatch.setattr(core, "ServicesChild", Child)
    bridge = await stage.run(CoreStart(Configuration()), keep=False)
    assert bridge.supervisor.parts["services"].state is PartState.RUNNING
    assert not bridge.supervisor.parts["services"].critical, "whatever fails there costs the battery nothing"
    await stage.end()
    assert made == [(stage.socket, False)]


async def test_run_takes_over_and_saves_the_state(stage: Stage) -> None:
    """What the last run counted is where this one begins, and it is saved at the end."""
    saved = SavedState(EnergyTotals(charged_wh=77.0))
    storage = stage.storage = MemoryStorage(json.dumps(saved.to_document()).encode())
    bridge = await stage.run(lone(), keep=False)
    assert bridge.battery.energy.charged_wh == 77.0
    await stage.end()
    assert SavedUnits.from_document(json.loads(storage.data or b"")).state == saved
    assert storage.writes == 2, "once more beside the file that was there, and at the end"


async def test_a_state_that_cannot_be_used_is_told_in_log_and_event_list(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Counters that begin at 0 need a reason that somebody finds weeks later, too."""
    stage.storage = MemoryStorage(b"[" * 100_000)
    bridge = await stage.run(lone(), keep=False)
    text = "the state in memory cannot be read: it is nested too deeply; it is kept as memory.unusable-1"
    assert text in caplog.messages
    (record,) = [record for record in bridge.events.records() if record.code == "state_file"]
    assert record.text == text.capitalize()
    await stage.end()


@pytest.mark.parametrize("named", [True, False])
async def test_state_is_kept_in_a_file(stage: Stage, home: Path, named: bool) -> None:
    """In the configured directory, else in the user's; readable for backups, since it holds no secret."""
    document = {"advanced": {"state_directory": str(home / "kept")}} if named else {}
    await stage.run(lone(configured(document)))
    await stage.end()
    folder = home / "kept" if named else home / ".local" / "state" / "tinybms-bridge"

    def look() -> tuple[int, SavedUnits]:
        file = folder / "state.json"
        return stat.S_IMODE(file.stat().st_mode), SavedUnits.from_document(json.loads(file.read_text()))

    assert await in_thread(look) == (0o644, SavedUnits(unclaimed=SavedState()))


async def test_an_inhibit_is_in_force_before_anything_runs(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """What was stopped before a restart is read, applied and told before the BMS is asked for the first time."""
    seen: list[str] = []

    class Watched(MemoryStorage):
        def read(self) -> bytes | None:
            seen.append(stage.bridges[0].can.state().error)
            return super().read()

    stage.inhibits = Watched(b'{"stops": [{"direction": "charge", "reason": "cables", "by": "boss"}]}')
    bridge = await stage.run(lone(), keep=False)
    assert bridge.battery.inhibited == Inhibited(charge=True)
    await stage.end()
    assert seen == ["not open yet"]
    assert caplog.messages[0] == "charging is stopped by hand, until released: cables"


async def test_start_is_what_the_checker_says(stage: Stage, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File, command line and remarks; a bad file gives way to its last good copy, and says why; none to an error."""
    overrides = Overrides(device="/dev/ttyUSB3")
    path = await in_thread(write, home / "a.json", {"victron": {"stale_hold_s": 4}})
    start = await open_core("a.json", overrides, socket="/run/x.sock", services=False)
    assert start.path == home / "a.json", "it is found from any directory"
    assert (start.config.victron.stale_hold_s, start.config.hardware.uart.device) == (4, "/dev/ttyUSB3")
    assert (start.overrides, start.socket, start.services) == (overrides, "/run/x.sock", False)
    assert (start.fell_back, start.problems) == (False, ())
    good = start.digest
    await in_thread(write, home / "a.json", "{")
    start = await open_core(path, overrides)
    assert (start.fell_back, start.config.victron.stale_hold_s) == (True, 4)
    assert start.problems
    assert any("last good configuration" in remark for remark in start.remarks)
    assert start.digest != good
    with pytest.raises(ConfigError, match="does not exist"):
        await open_core(str(home / "other.json"), overrides)


def test_the_core_loads_no_service() -> None:
    """Neither the web server, SQLite nor the checker takes memory in the process that may not fail."""
    code = (
        "import sys, tinybms_bridge.app.core; "
        "sys.exit(any(name in ('sqlite3', 'fastapi', 'pydantic', 'can', 'cantools') or '.services.' in name "
        "for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# while it runs


async def test_clients_reach_the_core(stage: Stage) -> None:
    """State and commands over its socket, which is gone with it."""
    await stage.run(lone(), keep=False)
    async with stage.client() as client:
        assert client.mirror.state.configuration.values == values_of(Configuration())
        assert client.mirror.state.core.state_directory == ""
        asked = asyncio.create_task(client.call(commands.RestartPart("state")))
        await stage.until(asked.done)
    await stage.end()
    assert stage.bridges[0].supervisor.parts["state"].restarts == 1
    assert not stage.listens()


async def test_log_lines_are_kept_for_the_services(stage: Stage) -> None:
    """From the first remark on, of any thread, each once; then the console is as it was."""
    before = logging.getLogger().handlers[:]
    await stage.run(lone(remarks=("a remark",)), keep=False)
    await in_thread(logging.getLogger("tinybms_bridge.elsewhere").warning, "from %s", "a thread")
    async with stage.client() as client:
        await stage.until(lambda: client.mirror.state.parts)
        asked = asyncio.create_task(client.call(commands.ReadLog()))
        await stage.until(asked.done)
        texts = [line.text for line in asked.result()]
    assert texts[0] == "a remark"
    assert texts.count("from a thread") == 1
    assert "CAN: no adapter" in texts
    await stage.end()
    assert logging.getLogger().handlers == before


class Console:
    """A terminal that remembers its lines."""

    made: list["Console"]

    def __init__(self, _make: object, *, name: str) -> None:
        assert name == "console"
        self.lines: list[str] = []
        self.stopped = False
        Console.made.append(self)

    def offer(self, line: LogLine) -> None:
        """Take a line."""
        self.lines.append(line.text)

    def stop(self) -> None:
        """End."""
        self.stopped = True

    def join(self, _timeout_s: float) -> None:
        """Wait for the end."""
        assert self.stopped


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> type[Console]:
    """Terminals in memory."""
    monkeypatch.setattr(Console, "made", [], raising=False)
    monkeypatch.setattr(core, "LogOutput", Console)
    return Console


async def test_lines_go_to_the_console_while_that_is_wanted(stage: Stage, home: Path, console: type[Console]) -> None:
    """`logging.output_serial` takes effect at once, in both directions; the early handler does not say it twice."""
    early = EarlyHandler()
    logging.getLogger().addHandler(early)
    path = Path(await in_thread(write, home / "a.json", {}))
    await stage.run(lone(remarks=("a remark",), path=path), keep=False)
    assert early not in logging.getLogger().handlers
    assert console.made[0].lines[0] == "a remark"
    for number, wanted in enumerate((False, True)):
        await in_thread(write, path, {"logging": {"output_serial": wanted}})
        await stage.until(lambda wanted=wanted: stage.bridges[0].config.logging.output_serial is wanted)  # type: ignore[misc]
        assert console.made[0].stopped
        assert len(console.made) == 1 + number
    await stage.end()
    assert all(each.stopped for each in console.made)
    assert early in logging.getLogger().handlers


async def test_run_follows_its_file(stage: Stage, home: Path) -> None:
    """An edited file is in force within two looks, with the command line's level; SIGHUP is free again at the end."""
    path = Path(await in_thread(write, home / "a.json", {}))
    overrides = Overrides(log_level="WARNING")
    bridge = await stage.run(lone(load_defaults(overrides), path=path, overrides=overrides), keep=False)
    await in_thread(write, path, {"victron": {"stale_hold_s": 4}, "logging": {"log_level": "DEBUG"}})
    await stage.until(lambda: bridge.config.victron.stale_hold_s == 4)
    assert bridge.config.logging.log_level == "WARNING"
    assert logging.getLogger("tinybms_bridge").level == logging.WARNING
    assert signal.getsignal(signal.SIGHUP) not in (signal.SIG_DFL, None)
    await stage.end()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


async def test_hangup_reads_the_file_without_waiting(stage: Stage, home: Path) -> None:
    """Also one whose times have not changed."""
    path = Path(await in_thread(write, home / "a.json", {}))
    bridge = await stage.run(lone(path=path), keep=False)
    status = await in_thread(path.stat)
    await in_thread(write, path, {"victron": {"stale_hold_s": 4}})
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    begun_s = stage.clock.monotonic()
    os.kill(os.getpid(), signal.SIGHUP)
    async with asyncio.timeout(PATIENCE_S):
        while bridge.config.victron.stale_hold_s != 4:  # the clock stands
            await stage.clock.advance(0.0)
            await asyncio.sleep(0.001)
    assert stage.clock.monotonic() == begun_s
    await stage.end()


async def test_the_battery_judges_an_edit(stage: Stage, home: Path) -> None:
    """What does not fit the BMS is refused, also where the command line has named the port; everybody sees it."""
    path = Path(await in_thread(write, home / "a.json", {}))
    overrides = Overrides(device="/dev/ttyUSB3")
    bridge = await stage.run(lone(load_defaults(overrides), path=path, overrides=overrides), keep=False)
    bridge.pack.poller.ratings = LFP_16
    await in_thread(write, path, {"cvl": {"chemistry": "li-ion"}})
    await stage.until(lambda: not bridge.file_usable())
    assert bridge.config.cvl.chemistry == "auto"
    async with stage.client() as client:
        await stage.until(lambda: client.mirror.state.configuration.problems)
        (problem,) = client.mirror.state.configuration.problems
        assert (problem.path, problem.message.code) == ("cvl.chemistry", "config.not_what_bms_does")
    await stage.end()


async def test_bridge_knows_whether_its_file_is_usable(stage: Stage, home: Path) -> None:
    """From the start on the last good copy, through a mended file, to one that was spoilt while running."""
    path = home / "a.json"
    await in_thread(write, path, {})
    await open_core(str(path), Overrides())
    await in_thread(write, path, "{")
    start = await open_core(str(path), Overrides(), services=False)
    bridge = await stage.run(replace(start, real_time=False), keep=False)
    for text, usable in (("{", False), ("{}", True), ("[]", False)):
        await in_thread(write, path, text)
        await stage.until(lambda usable=usable: bridge.file_usable() is usable)  # type: ignore[misc]
    await stage.end()


async def test_logging_keys_take_effect_at_once(stage: Stage, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Level, charge states, and the traffic of the CAN bus, switched on and off in the file."""
    caplog.handler.setLevel(logging.DEBUG)
    path = Path(await in_thread(write, home / "a.json", {"logging": {"log_cvl_changes": False}}))
    bridge = await stage.run(lone(configured({"logging": {"log_cvl_changes": False}}), path=path), keep=False)

    async def said() -> list[bool]:
        caplog.clear()
        bridge.bus.publish(ChargeStateChanged(ChargeState.BULK, ChargeState.FLOAT), "test")
        bridge.can._on_frame(CanFrame(0x305, bytes(8)))
        await stage.clock.advance(0.1)
        return [any(words in line for line in caplog.messages) for words in ("charge state", "CAN rx 305")]

    assert await said() == [False, False]
    await in_thread(write, path, {"logging": {"log_can_traffic": True, "log_level": "DEBUG"}})
    await stage.until(lambda: bridge.config.logging.log_level == "DEBUG")
    assert await said() == [True, True]
    assert logging.getLogger("tinybms_bridge").level == logging.DEBUG
    await in_thread(write, path, {})
    await stage.until(lambda: bridge.config.logging.log_level != "DEBUG")
    assert await said() == [True, False]
    await stage.end()


async def test_state_directory_moves_while_the_core_runs(stage: Stage, home: Path) -> None:
    """With what has been counted; the services are told where, and the old directory is free."""
    stage.real_files = True
    path = Path(await in_thread(write, home / "a.json", {}))
    await stage.run(lone(path=path))
    await in_thread(write, path, {"advanced": {"state_directory": str(home / "new")}})
    await stage.until(lambda: stage.bridges[0].config.advanced.state_directory)
    assert stage.bridges[0].machine.folder() == home / "new"
    await stage.end()
    assert await in_thread(lambda: (home / "new").is_dir())


# the screen and the end


@pytest.mark.parametrize(("level", "shown"), [(None, True), ("ERROR", False)])
async def test_live_view_takes_the_lines(
    stage: Stage, capfd: pytest.CaptureFixture[str], level: str | None, shown: bool
) -> None:
    """In a terminal the view replaces the status line and shows the last log lines, from the chosen level up."""
    start = lone(load_defaults(Overrides(log_level=level)), remarks=("a remark",))
    bridge = await stage.run(start, keep=False, screen=Screen("on stage"))
    await stage.clock.advance(1.0)
    await stage.end()
    assert "view" in bridge.supervisor.parts
    assert "status-line" not in bridge.supervisor.parts
    out, err = capfd.readouterr()
    assert "on stage" in out
    assert ("a remark" in out) is shown
    assert "CAN: no adapter" in out
    assert err == "", "nobody else writes on the screen"


async def test_q_in_the_live_view_ends_the_core_in_order(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """As SIGINT does: what is under way is finished, and the exit code is 0."""
    made: list[Any] = []

    class View:
        """A view that is not drawn."""

        def __init__(self, *_: object, quit: Callable[[], object], **__: object) -> None:
            made.append(quit)

        async def run(self) -> None:
            """Show nothing."""
            await asyncio.Event().wait()

    monkeypatch.setattr("tinybms_bridge.cli.live.LiveView", View)
    bridge = await stage.run(lone(), keep=False, screen=Screen())
    made[0]()
    assert stage.task is not None
    with suppress(asyncio.CancelledError):
        await stage.task
    assert stage.task.cancelled()
    assert not bridge.starts_again


@pytest.mark.parametrize("signalled", [False, True])
async def test_new_start_comes_after_an_orderly_end(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, signalled: bool
) -> None:
    """State is saved and parts have ended; a signal that comes at the same time wins; asked twice it is one."""
    made: list[Callable[[], None]] = []
    make = Control

    def remember(bridge: Any, server: Any, configuration: Any, start_again: Callable[[], None]) -> Any:
        made.append(start_again)
        return make(bridge, server, configuration, start_again)

    monkeypatch.setattr(core, "Control", remember)
    bridge = await stage.run(lone(), keep=False)
    assert stage.task is not None
    if signalled:
        stage.task.cancel()
    made[0]()
    made[0]()
    with pytest.raises(asyncio.CancelledError if signalled else StartAgain):
        await stage.task
    assert stage.storage.writes == 1
    assert {part.state for part in bridge.supervisor.parts.values()} == {PartState.STOPPED}


async def test_new_start_can_be_asked_for_over_the_link(stage: Stage) -> None:
    """It is answered first."""
    await stage.run(lone(), keep=False)
    async with stage.client() as client:
        asked = asyncio.create_task(client.call(commands.RestartProgram()))
        await stage.until(asked.done)
    assert stage.task is not None
    with pytest.raises(StartAgain):
        async with asyncio.timeout(PATIENCE_S):
            await stage.task
