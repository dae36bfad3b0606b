import asyncio
import json
import logging
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tinybms_bridge.cli.live  # noqa: F401 -- the import reads files, which no test may do on an event loop
from tinybms_bridge.app import assembly
from tinybms_bridge.app.assembly import (
    machine_for,
    run_bridge,
)
from tinybms_bridge.app.restart import StartAgain
from tinybms_bridge.app.web_face import WebFace
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import Inhibited
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.battery.snapshot import Ratings
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.config.opening import Opened, load_defaults, open_configuration
from tinybms_bridge.config.overrides import Overrides
from tinybms_bridge.core.bridge import Bridge, Machine
from tinybms_bridge.core.event_log import EventLog
from tinybms_bridge.errors import BridgeError, ConfigError, LinkError
from tinybms_bridge.hal.blocking import in_place, in_thread
from tinybms_bridge.hal.can import CanPort, CanSettings
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.directory_lock import HOLDER_FILE, DirectoryTakenError
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort
from tinybms_bridge.hal.storage import MemoryStorage, Storage
from tinybms_bridge.hal.watchdog import NullWatchdog
from tinybms_bridge.link.events import ConfigChanged, PartState
from tinybms_bridge.services.history import HistorySettings
from tinybms_bridge.services.web.accounts import Account, AccountStore, Role
from tinybms_bridge.services.web.service import WebService
from tinybms_lab.testing.fake_clock import FakeClock

NOTHING = Overrides()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a working directory of their own, without what the machine of the test has set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("STATE_DIRECTORY", "NOTIFY_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TINYBMS_BRIDGE_CONFIG", str(tmp_path / "usual.json"))
    return tmp_path


def write(path: Path, document: object) -> str:
    """Write a configuration and return its path."""
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


def device(name: str) -> dict[str, Any]:
    """Return a document with one serial port."""
    return {"hardware": {"uart": {"device": name}}}


async def test_machine_opens_what_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Port, speed and adapter of the configuration reach the hardware; nobody watches outside of systemd."""
    opened: list[object] = []

    async def fake_serial(device: str, baudrate: int, _data: OnData, _lost: OnLost) -> SerialPort:
        opened.append((device, baudrate))
        raise LinkError("not here")

    async def fake_can(settings: CanSettings) -> CanPort:
        opened.append(settings)
        raise LinkError("not here")

    monkeypatch.setattr(assembly, "open_serial", fake_serial)
    monkeypatch.setattr(assembly, "open_can", fake_can)
    hardware = {"uart": {"device": "/dev/ttyS9", "baudrate": 19_200}, "can": {"channel": "can7"}}
    machine = machine_for(interpret({"hardware": hardware}, "test").configuration, keep=False)
    with pytest.raises(LinkError):
        await machine.open_serial(lambda _data: None, lambda _error: None)
    with pytest.raises(LinkError):
        await machine.open_can()
    assert opened == [
        ("/dev/ttyS9", 115_200),
        CanSettings("socketcan", "can7", 500_000, {}, (0x305, 0x307, 0x351, 0x355, 0x356, 0x35A)),
    ]
    assert isinstance(machine.storage, MemoryStorage), "nothing is kept"
    assert isinstance(machine.clock, SystemClock)
    assert isinstance(machine.watchdog, NullWatchdog)


class Stage:
    """Runs ``run_bridge`` on a machine without ports, and keeps the bridge that it built."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bridges: list[Bridge] = []
        self.task: asyncio.Task[None] | None = None
        self.storage = MemoryStorage()
        self.inhibits = MemoryStorage()
        self.keeps_files = False

    def machine(self, config: Configuration, *, keep: bool) -> Machine:
        """Stand in for ``machine_for``; what is kept goes where the real one keeps it."""
        storage: Storage = machine_for(config, keep=True).storage if keep else self.storage

        async def no_serial(_data: OnData, _lost: OnLost) -> SerialPort:
            raise LinkError("no port")

        async def no_can() -> CanPort:
            raise LinkError("no adapter")

        machine = Machine(self.clock, no_serial, no_can, storage, inhibits=self.inhibits, run_blocking=in_place)
        if self.keeps_files:
            real = machine_for(config, keep=True)
            machine = replace(
                machine, use=real.use, stored=real.stored, folder=real.folder, own=real.own, release=real.release
            )
        return machine

    def build(self, config: Configuration, machine: Machine, saved: SavedUnits) -> Bridge:
        """Stand in for ``Bridge``."""
        self.bridges.append(Bridge(config, machine, saved))
        return self.bridges[-1]

    async def run(self, config: Configuration, remarks: list[str], **options: Any) -> Bridge:
        """Start and wait until the parts run."""
        self.task = asyncio.create_task(run_bridge(config, remarks, **options))
        async with asyncio.timeout(30.0):
            while not self.bridges or self.bridges[0].can.error == "not open yet":
                assert not self.task.done() or self.task.result()
                await asyncio.sleep(0.002)
        return self.bridges[0]

    async def end(self) -> None:
        """Stop as a signal does."""
        assert self.task is not None
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Stage:
    """A machine without ports."""
    caplog.set_level(logging.INFO, "tinybms_bridge")
    stage = Stage()
    monkeypatch.setattr(assembly, "machine_for", stage.machine)
    monkeypatch.setattr(assembly, "Bridge", stage.build)
    return stage


@pytest.fixture
def loggers() -> Iterator[None]:
    """Put the loggers back as they were."""
    names = ("", "can", "tinybms_bridge")
    levels, handlers = {name: logging.getLogger(name).level for name in names}, logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


async def test_run_tells_its_remarks_and_what_happens(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """Remarks on the configuration come first, then the events, as log lines."""
    bridge = await stage.run(Configuration(), ["a remark"], live=False, keep=False)
    assert caplog.records[0].getMessage() == "a remark"
    assert caplog.records[0].levelno == logging.WARNING
    assert set(caplog.messages) >= {"BMS link down: no port", "CAN: no adapter"}
    assert set(bridge.supervisor.parts) == {
        "uart",
        "decide",
        "soc-writer",
        "can",
        "state",
        "inhibits",
        "event-list",
        "garbage-collection",
        "history",
        "log",
        "log-counts",
        "status-line",
    }
    assert not any(part.critical for name, part in bridge.supervisor.parts.items() if name in ("log", "status-line"))
    await stage.end()


async def test_run_takes_over_and_saves_the_state(stage: Stage) -> None:
    """What the last run counted is where this one begins, and it is saved at the end."""
    saved = SavedState(EnergyTotals(charged_wh=77.0))
    storage = stage.storage = MemoryStorage(json.dumps(saved.to_document()).encode())
    bridge = await stage.run(Configuration(), [], live=False, keep=False)
    assert bridge.battery.energy.charged_wh == 77.0
    await stage.end()
    assert SavedUnits.from_document(json.loads(storage.data or b"")).state == saved
    assert storage.writes == 2, "once more beside the file that was there, and at the end"


async def test_a_state_that_cannot_be_used_is_told_in_log_and_event_list(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Counters that begin at 0 need a reason that somebody finds weeks later, too."""
    stage.storage = MemoryStorage(b"[" * 100_000)
    bridge = await stage.run(Configuration(), [], live=False, keep=False)
    text = "the state in memory cannot be read: it is nested too deeply; it is kept as memory.unusable-1"
    assert text in caplog.messages
    (record,) = [record for record in bridge.events.records() if record.code == "state_file"]
    assert record.text == text.capitalize()
    await stage.end()


@pytest.mark.parametrize("configured", [True, False])
async def test_state_is_kept_in_a_file(stage: Stage, home: Path, configured: bool) -> None:
    """In the configured directory, else in the user's; readable for backups, since it holds no secret."""
    document = {"advanced": {"state_directory": str(home / "kept")}} if configured else {}
    await stage.run(interpret(document, "test").configuration, [], live=False)
    await stage.end()
    folder = home / "kept" if configured else home / ".local" / "state" / "tinybms-bridge"

    def look() -> tuple[int, SavedUnits]:
        file = folder / "state.json"
        return stat.S_IMODE(file.stat().st_mode), SavedUnits.from_document(json.loads(file.read_text()))

    assert await asyncio.to_thread(look) == (0o644, SavedUnits(unclaimed=SavedState()))


@pytest.mark.usefixtures("loggers")
@pytest.mark.parametrize(("level", "shown"), [(None, True), ("ERROR", False)])
async def test_live_view_takes_the_lines(
    stage: Stage, capfd: pytest.CaptureFixture[str], level: str | None, shown: bool
) -> None:
    """In a terminal the view replaces the status line and shows the last log lines, from the chosen level up."""
    config = load_defaults(Overrides(log_level=level))
    bridge = await stage.run(config, ["a remark"], live=True, keep=False, title="on stage")
    await stage.clock.advance(1.0)
    await stage.end()
    assert "view" in bridge.supervisor.parts
    assert "status-line" not in bridge.supervisor.parts
    out, err = capfd.readouterr()
    assert "on stage" in out
    assert ("a remark" in out) is shown
    assert "CAN: no adapter" in out
    assert err == "", "nobody else writes on the screen"


@pytest.mark.usefixtures("loggers")
async def test_q_in_the_live_view_ends_the_bridge_in_order(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
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
    bridge = await stage.run(Configuration(), [], live=True, keep=False)
    made[0]()
    assert stage.task is not None
    with suppress(asyncio.CancelledError):
        await stage.task
    assert stage.task.cancelled()
    assert not bridge.starts_again


async def test_charge_state_lines_follow_the_configuration(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key log_cvl_changes reaches the event log."""
    asked: list[bool] = []

    def remember(bus: Any, *, log_charge_states: bool) -> Any:
        asked.append(log_charge_states)
        return EventLog(bus, log_charge_states=log_charge_states)

    monkeypatch.setattr(assembly, "EventLog", remember)
    config = interpret({"logging": {"log_cvl_changes": False}}, "test").configuration
    await stage.run(config, [], live=False, keep=False)
    await stage.end()
    assert asked == [False]


async def test_machine_follows_the_configuration(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next port is opened as the new configuration says, and the files move to the new directory."""
    opened: list[object] = []

    async def fake_serial(device: str, baudrate: int, _data: OnData, _lost: OnLost) -> SerialPort:
        opened.append((device, baudrate))
        raise LinkError("not here")

    monkeypatch.setattr(assembly, "open_serial", fake_serial)

    def exchange() -> Machine:
        machine = machine_for(load_defaults(Overrides(device="/dev/ttyS1")), keep=True)
        machine.storage.write(b"counters")
        document = {**device("/dev/ttyS2"), "advanced": {"state_directory": str(home / "new")}}
        machine.use(interpret(document, "test").configuration)
        assert (home / "new" / "state.json").read_bytes() == b"counters"
        assert machine.storage.name == str(home / "new" / "state.json")
        assert machine.events.name == str(home / "new" / "events.jsonl")
        assert machine.history.state().path == str(home / "new" / "history.db")
        return machine

    machine = await asyncio.to_thread(exchange)
    with pytest.raises(LinkError):
        await machine.open_serial(lambda _data: None, lambda _error: None)
    assert opened == [("/dev/ttyS2", 115_200)]


async def change(stage: Stage, opened: Opened, patch: dict[str, Any], done: Callable[[], object]) -> None:
    """Change the configuration as the API does and let time pass until that is seen."""
    await asyncio.to_thread(opened.store.update, patch)
    async with asyncio.timeout(30.0):
        while not done():
            await stage.clock.advance(0.1)
            await asyncio.sleep(0.002)


@pytest.mark.usefixtures("loggers")
async def test_logins_and_certificate_follow_the_state_directory(stage: Stage, home: Path, web: Any) -> None:
    """After a change of the directory and a restart the same people can log in, over the same certificate."""
    document = {"web_server": {"tls_self_signed": True}, "advanced": {"state_directory": str(home / "old")}}
    opened = await asyncio.to_thread(open_configuration, write(home / "a.json", document), NOTHING)
    stage.keeps_files = True
    bridge = await stage.run(opened.config, [], live=False, opened=opened)
    await stage.clock.advance(6.0)
    boss = Account("boss", Role.ADMIN, "hash")

    def prepare() -> None:
        AccountStore(web.users).update(lambda book: book.with_account(boss))
        (home / "old" / "web-certificate.pem").write_text("certificate")
        (home / "old" / "web-key.pem").write_text("key")

    await asyncio.to_thread(prepare)
    await change(stage, opened, {"advanced": {"state_directory": str(home / "new")}}, lambda: len(web.runs) == 2)
    await stage.end()

    def look() -> None:
        new = home / "new"
        assert [options.certificate_directory for options in web.runs] == [home / "old", new]
        again = AccountStore(machine_for(bridge.config, keep=True).stored("users.json", 0o600))
        assert again.read().accounts == (boss,)
        assert (new / "web-certificate.pem").read_text() == "certificate"
        modes = {name: stat.S_IMODE((new / name).stat().st_mode) for name in ("users.json", "web-key.pem")}
        assert modes == {"users.json": 0o600, "web-key.pem": 0o600}

    await asyncio.to_thread(look)


@pytest.mark.parametrize("keep", [True, False])
def test_history_follows_the_configuration(home: Path, keep: bool) -> None:
    """Its switch and its retention reach the history, which is in the state directory or in none."""
    machine = machine_for(interpret({"advanced": {"history_days_1min": 7}}, "test").configuration, keep=keep)
    assert machine.history.settings == HistorySettings(days=(2, 7, 730))
    assert machine.history.state().path == (str(home / ".local/state/tinybms-bridge/history.db") if keep else "")
    wanted = {"history_enabled": False, "history_days_10s": 5, "history_days_15min": 60}
    machine.use(interpret({"advanced": wanted}, "test").configuration)
    assert machine.history.settings == HistorySettings(enabled=False, days=(5, 14, 60))


def test_directory_that_cannot_be_used_leaves_the_files(home: Path) -> None:
    """The counters stay where they are; the ports follow all the same."""
    machine = machine_for(Configuration(), keep=True)
    machine.storage.write(b"counters")
    name = machine.storage.name
    document = {"advanced": {"state_directory": write(home / "file", "in the way") + "/state"}}
    with pytest.raises(OSError, match="file"):
        machine.use(interpret(document, "test").configuration)
    assert (machine.storage.name, machine.storage.read()) == (name, b"counters")
    assert machine.history.state().path == str(Path(name).with_name("history.db"))


async def test_a_second_bridge_in_one_directory_is_told_who_holds_it(
    stage: Stage, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with one line before it touches a file; read-only commands ask nobody."""
    monkeypatch.setattr(assembly, "machine_for", machine_for)
    first = machine_for(Configuration(), keep=True)
    await in_thread(first.own)
    with pytest.raises(BridgeError, match=rf"state/tinybms-bridge belongs to process {os.getpid()} "):
        await run_bridge(Configuration(), [], live=False)
    assert await in_thread(os.listdir, first.folder()) == [HOLDER_FILE]
    first.release()
    assert stage.bridges == []


async def test_the_directory_is_free_after_the_end(stage: Stage, home: Path) -> None:
    """Whatever ended the run."""
    stage.keeps_files = True
    await stage.run(Configuration(), [], live=False)
    machine = machine_for(Configuration(), keep=True)
    with pytest.raises(DirectoryTakenError):
        await in_thread(machine.own)
    await stage.end()
    await in_thread(machine.own)
    machine.release()


@pytest.mark.usefixtures("loggers")
async def test_run_follows_its_file(stage: Stage, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An edited file is in force within two looks, with the command line's level; SIGHUP is free again at the end."""
    path = write(home / "a.json", {})
    opened = await asyncio.to_thread(open_configuration, path, Overrides(log_level="WARNING"))
    bridge = await stage.run(opened.config, [], live=False, keep=False, opened=opened)
    await asyncio.to_thread(write, home / "a.json", {"victron": {"stale_hold_s": 4}, "logging": {"log_level": "DEBUG"}})
    async with asyncio.timeout(30.0):
        while bridge.config.victron.stale_hold_s != 4:
            await stage.clock.advance(0.5)
            await asyncio.sleep(0.005)
    assert bridge.config.logging.log_level == "WARNING"
    assert {"settings", "config-watch"} <= bridge.supervisor.parts.keys()
    assert signal.getsignal(signal.SIGHUP) not in (signal.SIG_DFL, None)
    await stage.end()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


@pytest.mark.usefixtures("loggers")
async def test_the_battery_judges_changes_and_edits(stage: Stage, home: Path) -> None:
    """What does not fit the BMS is refused by API and hot reload, also where the command line has named the port."""
    path = write(home / "a.json", {})
    opened = await asyncio.to_thread(open_configuration, path, Overrides(device="/dev/ttyUSB3"))
    bridge = await stage.run(opened.config, [], live=False, keep=False, opened=opened)
    bridge.pack.poller.ratings = Ratings(16, 3.65, 2.9, 3.75, 2.5, 60.0, 120.0, None, 60.0, 1.0, 100.0)
    with pytest.raises(ConfigError, match="contradicts the BMS"):
        await asyncio.to_thread(opened.store.update, {"cvl": {"chemistry": "lto"}})
    await asyncio.to_thread(write, home / "a.json", {"cvl": {"chemistry": "li-ion"}})
    async with asyncio.timeout(30.0):
        while opened.store.error is None:
            await stage.clock.advance(0.5)
            await asyncio.sleep(0.005)
    assert "contradicts the BMS" in str(opened.store.error)
    assert bridge.config.cvl.chemistry == "auto"
    assert not bridge.file_usable()
    await stage.end()
    assert opened.store.judges == []


async def test_an_inhibit_is_in_force_before_anything_runs(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """What was stopped before a restart is read, applied and told before the BMS is asked for the first time."""
    seen: list[str] = []

    class Watched(MemoryStorage):
        def read(self) -> bytes | None:
            seen.append(stage.bridges[0].can.error)
            return super().read()

    stage.inhibits = Watched(b'{"stops": [{"direction": "charge", "reason": "cables", "by": "boss"}]}')
    bridge = await stage.run(Configuration(), [], live=False, keep=False)
    await stage.end()
    assert seen == ["not open yet"]
    assert bridge.battery.inhibited == Inhibited(charge=True)
    assert caplog.messages[0] == "charging is stopped by hand, until released: cables"


def test_inhibits_are_kept_with_the_other_files(home: Path) -> None:
    """In the state directory, readable for nobody else, since they name users; and they move along."""
    machine = machine_for(Configuration(), keep=True)
    machine.inhibits.write(b"{}")
    path = home / ".local" / "state" / "tinybms-bridge" / "stops.json"
    assert (path.read_bytes(), machine.inhibits.name) == (b"{}", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    machine.use(interpret({"advanced": {"state_directory": str(home / "new")}}, "test").configuration)
    assert (home / "new" / "stops.json").read_bytes() == b"{}"
    assert stat.S_IMODE((home / "new" / "stops.json").stat().st_mode) == 0o600


@pytest.mark.usefixtures("loggers")
async def test_bridge_knows_whether_its_file_is_usable(stage: Stage, home: Path) -> None:
    """From the start on the last good copy, through a mended file, to one that was spoilt while running."""
    path = home / "a.json"
    await asyncio.to_thread(open_configuration, write(path, {}), NOTHING)
    opened = await asyncio.to_thread(open_configuration, write(path, "{"), NOTHING)
    bridge = await stage.run(opened.config, [], live=False, keep=False, opened=opened)
    for text, usable in (("{", False), ("{}", True), ("[]", False)):
        await asyncio.to_thread(write, path, text)
        async with asyncio.timeout(30.0):
            while bridge.file_usable() is not usable:
                await stage.clock.advance(0.5)
                await asyncio.sleep(0.005)
    await stage.end()


@pytest.mark.usefixtures("loggers")
async def test_a_web_server_that_is_off_is_made_when_it_is_wanted(stage: Stage, home: Path, web: Any) -> None:
    """Off at the start it costs nothing; switched on in the file it serves without a restart of the program."""
    opened = await asyncio.to_thread(
        open_configuration, write(home / "a.json", {"web_server": {"enabled": False}}), NOTHING
    )
    await stage.run(opened.config, [], live=False, keep=False, opened=opened)
    await stage.clock.advance(6.0)
    assert web.runs == []
    await change(stage, opened, {"web_server": {"enabled": True}}, lambda: len(web.runs) == 1)
    await stage.end()


def test_the_bare_program_loads_no_service() -> None:
    """Neither the web server nor SQLite takes memory before it is wanted."""
    code = "import sys, tinybms_bridge.app.assembly; sys.exit(any('sqlite3' in m or '.web.' in m for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.usefixtures("loggers")
async def test_log_is_kept_in_a_file_unless_nothing_is(stage: Stage, home: Path) -> None:
    """`run` keeps its log in the state directory; `demo` leaves no trace."""
    file = home / ".local" / "state" / "tinybms-bridge" / "bridge.log"
    await stage.run(Configuration(), ["a remark"], live=False, keep=False)
    await stage.end()
    assert not await asyncio.to_thread(file.exists)
    stage.bridges.clear()
    await stage.run(Configuration(), ["a remark"], live=False)
    await stage.end()
    assert "a remark" in await asyncio.to_thread(file.read_text)


@pytest.mark.usefixtures("loggers")
@pytest.mark.parametrize(
    ("keys", "restarts"),
    [
        ({"websocket_update_interval_ms": 500, "max_ws_clients": 9}, 0),
        ({"port": 8081}, 1),
        ({"enable_auth": True}, 1),
    ],
)
async def test_web_server_restarts_only_for_what_it_cannot_change_at_once(
    stage: Stage, home: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any], restarts: int
) -> None:
    """Keys that the live data reads at each tick cut no browser off; nothing that the bus feeds is left behind."""
    serving = 0

    async def serve(_: WebService) -> None:
        nonlocal serving
        serving += 1
        await asyncio.Event().wait()

    monkeypatch.setattr(WebService, "run", serve)
    monkeypatch.setattr(WebService, "check", lambda *_: None)
    opened = await asyncio.to_thread(open_configuration, write(home / "a.json", {}), NOTHING)
    bridge = await stage.run(opened.config, [], live=False, keep=False, opened=opened)
    await stage.clock.advance(6.0)
    subscribers = bridge.bus.statistics().subscribers
    await asyncio.to_thread(opened.store.update, {"web_server": keys})
    async with asyncio.timeout(30.0):  # the clock stands still: only the first start waits for the first frame
        while bridge.bus.latest(ConfigChanged) is None or serving <= restarts:
            await asyncio.sleep(0.002)
    await stage.clock.advance(0.0)
    assert serving == 1 + restarts
    assert bridge.supervisor.parts["web"].restarts == restarts
    assert bridge.bus.statistics().subscribers == subscribers
    await stage.end()
    assert all(subscription.name not in ("web alarms", "web changes") for subscription in bridge.bus._subscriptions)


@pytest.mark.usefixtures("loggers")
async def test_settings_that_the_web_server_cannot_use_are_refused(
    stage: Stage, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that is not there is told in the answer, not by a server that never comes back."""
    monkeypatch.setattr(WebService, "run", lambda _: asyncio.Event().wait())
    opened = await asyncio.to_thread(open_configuration, write(home / "a.json", {}), NOTHING)
    await stage.run(opened.config, [], live=False, keep=False, opened=opened)
    tls = {"tls_certificate": "/nowhere", "tls_key": "/nowhere"}
    with pytest.raises(ConfigError, match=r"web_server\.tls_certificate"):
        await asyncio.to_thread(opened.store.update, {"web_server": tls})
    assert opened.store.configuration.web_server.tls_certificate == ""
    await stage.end()


@pytest.mark.usefixtures("loggers")
@pytest.mark.parametrize("signalled", [False, True])
async def test_new_start_comes_after_an_orderly_end(
    stage: Stage, home: Path, monkeypatch: pytest.MonkeyPatch, signalled: bool
) -> None:
    """State is saved and parts have ended; a signal that comes at the same time wins."""
    faces: list[WebFace] = []
    make = WebFace.__init__

    def remember(face: WebFace, *arguments: Any) -> None:
        make(face, *arguments)
        faces.append(face)

    monkeypatch.setattr(WebFace, "__init__", remember)
    monkeypatch.setattr(WebService, "run", lambda _: asyncio.Event().wait())
    opened = await asyncio.to_thread(open_configuration, write(home / "a.json", {}), NOTHING)
    bridge = await stage.run(opened.config, [], live=False, keep=False, opened=opened)
    assert stage.task is not None
    if signalled:
        stage.task.cancel()
    faces[0].restart(None)
    faces[0].restart(None)
    with pytest.raises(asyncio.CancelledError if signalled else StartAgain):
        await stage.task
    assert stage.storage.writes == 1
    assert {part.state for part in bridge.supervisor.parts.values()} == {PartState.STOPPED}
