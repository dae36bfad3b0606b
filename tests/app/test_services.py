"""The services process over a real socket to a core: what it takes over, passes on, and survives."""

import asyncio
import json
import logging
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.app.restart import StartAgain
from tinybms_bridge.app.services import (
    Services,
    ServicesOptions,
    history_settings,
    open_store,
    run_services,
    users_command,
)
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.config.overrides import Overrides
from tinybms_bridge.errors import BridgeError, ConfigError
from tinybms_bridge.hal.blocking import in_thread
from tinybms_bridge.hal.logs import LogLine
from tinybms_bridge.link.client import LinkClient
from tinybms_bridge.link.events import ConfigChanged, EventCode, Noted
from tinybms_bridge.link.mirror import Mirror
from tinybms_bridge.link.state import EVENTS, ConfigurationState, CoreState, ServiceCondition
from tinybms_bridge.services.history import HistorySettings
from tinybms_bridge.services.web.accounts import Account, AccountStore, Role
from tinybms_bridge.words import message
from tinybms_lab.testing.fake_clock import FakeClock

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """Put the loggers back as they were."""
    names = ("", "tinybms_bridge")
    levels, handlers = {name: logging.getLogger(name).level for name in names}, logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a working directory of their own, without what the machine of the test has set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("STATE_DIRECTORY", "LOGS_DIRECTORY", "NOTIFY_SOCKET", "RUNTIME_DIRECTORY", "TINYBMS_BRIDGE_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what waits for the log be written at the end, however slow the disk is."""
    monkeypatch.setattr("tinybms_bridge.services.logs.store._CLOSE_S", 60.0)


def write(path: Path, document: object) -> Path:
    """Write a configuration and return its path."""
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


class Joined:
    """Services joined to a core."""

    def __init__(self, core: Any) -> None:
        self.running = core
        self.clock: FakeClock = core.clock
        self.mirror = Mirror(CoreState, EVENTS, self.clock.monotonic)
        self.link = LinkClient([core.socket], self.mirror, self.clock, who="services", program_version="9.9")
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> Services:
        """Run until every part does."""
        self._tasks.append(asyncio.create_task(self.link.run()))
        await self.until(lambda: self.mirror.state.core.version)
        store = await in_thread(open_store, self.mirror.state.configuration)
        self.services = Services(self.link, self.mirror, self.clock, store, quiet=True)
        self.changes = self.services.bus.subscribe(ConfigChanged, depth=100)
        self._tasks.append(asyncio.create_task(self.services.run()))
        await self.until(lambda: self.mirror.state.services.pid)
        return self.services

    async def until(self, condition: Callable[[], object]) -> None:
        """Let time pass until something holds."""
        await self.running.until(condition)
        for task in self._tasks:
            assert not task.done() or task.result() is None

    async def result(self, work: Any) -> Any:
        """Return what a coroutine returns while time passes."""
        return await self.running.result(work)

    async def update(self, patch: dict[str, Any]) -> Any:
        """Change the configuration as the API does."""
        return await self.result(asyncio.to_thread(self.services.store.update, patch))

    async def replace(self, core: Any) -> None:
        """Put another run of the core in the place of the one that ends."""
        await self.running.end()
        self.running = core
        await core.start()

    def lines(self) -> list[str]:
        """Return the lines of the log that the core of the test has written."""
        return [line.text for line in self.services.logs.read(1000).lines if line.source == "core.test"]

    def log(self, text: str) -> None:
        """Let the core write a line, each a millisecond after the one before."""
        self.running.log_at += timedelta(milliseconds=1)
        self.running.control.write_log(LogLine(self.running.log_at, "WARNING", "core.test", text))

    async def end(self) -> None:
        """Stop as a signal does."""
        for task in reversed(self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


Join = Callable[..., Any]


@pytest.fixture
async def join(new_core: Callable[..., Any], web: Any, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Join]:
    """Return what joins services to a new core, or to one that runs."""
    caplog.set_level(logging.INFO, "tinybms_bridge")
    made: list[Joined] = []

    async def begin(core: Any = None, **options: Any) -> Joined:
        if core is None:
            core = new_core(**{"bms": False, **options})
            core.log_at = AT
            await core.start()
        made.append(Joined(core))
        await made[-1].start()
        return made[-1]

    yield begin
    for each in made:
        await each.end()


# start and report


async def test_services_report_how_they_are(join: Join) -> None:
    """Process, parts and pages, for who looks at the core only; the part names are none of the core."""
    joined: Joined = await join()
    told = joined.mirror.state.services
    assert told.pid > 0
    assert {part.name for part in told.parts} == {
        "history",
        "services-log-counts",
        "web",
        "web-watch",
        "web-settings",
        "report",
        *(extra.name for extra in joined.services.extras),
    }
    assert [each.name for each in told.services] == [extra.name for extra in joined.services.extras]
    assert not {part.name for part in told.parts} & {part.name for part in joined.mirror.state.parts}
    assert joined.running.control.services == told


async def test_another_run_of_the_core_hears_the_report_again(join: Join, new_core: Callable[..., Any]) -> None:
    """A core that was restarted knows nothing of services that went on."""
    joined: Joined = await join()
    await joined.replace(new_core(bms=False))
    await joined.until(lambda: joined.running.control.services.pid)
    assert joined.running.control.services == joined.mirror.state.services


async def test_a_web_server_that_is_off_is_made_when_it_is_wanted(join: Join, home: Path, web: Any) -> None:
    """Off at the start it costs nothing; switched on in the file it serves without a restart of the program."""
    file = await in_thread(write, home / "a.json", {"web_server": {"enabled": False}})
    joined: Joined = await join(document={"web_server": {"enabled": False}}, file=file)
    for _ in range(80):
        await joined.clock.advance(0.1)
    assert web.runs == []
    await in_thread(write, file, {"web_server": {"enabled": True}})
    await joined.until(lambda: len(web.runs) == 1)


async def test_metrics_are_there_while_they_are_wanted(join: Join, home: Path) -> None:
    """With the web server, by default; a switch and another token count at once, and the counters go on."""
    joined: Joined = await join(file=await in_thread(write, home / "a.json", {}))
    core = joined.services.core
    await joined.until(lambda: core.metrics is not None)
    assert core.metrics is not None
    assert not core.metrics.has_token
    core.metrics.refused()

    await joined.update({"metrics": {"token": "a-token-of-32-characters-in-all-1"}})
    await joined.until(lambda: core.metrics is not None and core.metrics.has_token)
    assert core.metrics.admits("a-token-of-32-characters-in-all-1")
    state = core.services()["metrics"].state()
    assert (state.condition, state.counters["refused"]) == (ServiceCondition.WORKING, 1)
    assert "a-token" not in repr(joined.mirror.state.services)

    for off in ({"metrics": {"enabled": False}}, {"web_server": {"enabled": False}}):
        await joined.update(off)
        await joined.until(lambda: core.metrics is None)
        await joined.until(lambda: core.services()["metrics"].state().condition is ServiceCondition.OFF)
        await joined.update({name: {"enabled": True} for name in off})
        await joined.until(lambda: core.metrics is not None)


@pytest.mark.parametrize(
    ("keys", "restarts"),
    [
        ({"websocket_update_interval_ms": 500, "max_ws_clients": 9}, 0),
        ({"port": 8081}, 1),
        ({"enable_auth": True, "password": "secret word and more"}, 1),
    ],
)
async def test_web_server_restarts_only_for_what_it_cannot_change_at_once(
    join: Join, home: Path, web: Any, keys: dict[str, Any], restarts: int
) -> None:
    """Keys that the live data reads at each tick cut no browser off; nothing that the bus feeds is left behind."""
    joined: Joined = await join(file=await in_thread(write, home / "a.json", {}))
    await joined.until(lambda: web.runs)
    subscribers = joined.services.bus.statistics().subscribers
    await joined.update({"web_server": keys})
    await joined.until(lambda: len(joined.changes) and len(web.runs) == 1 + restarts)
    assert joined.services.supervisor.parts["web"].restarts == restarts
    assert joined.services.bus.statistics().subscribers == subscribers


async def test_settings_that_the_web_server_cannot_use_are_refused(
    join: Join, home: Path, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that is not there is told in the answer, not by a server that never comes back."""
    joined: Joined = await join(file=await in_thread(write, home / "a.json", {}))
    await joined.until(lambda: web.runs)
    refused: list[Any] = []

    def refuse(_server: object, wanted: Any) -> None:
        refused.append(wanted)
        raise ConfigError([], source="no such certificate")

    monkeypatch.setattr(web, "check", refuse)
    with pytest.raises(ConfigError):
        await joined.update({"web_server": {"port": 8443}})
    assert [options.port for options in refused] == [8443]
    assert joined.services.store.configuration.web_server.port == joined.running.bridge.config.web_server.port != 8443


# the configuration


async def test_what_is_saved_is_in_force_in_the_core_before_the_answer(join: Join, home: Path) -> None:
    """In the file, in the core, and then in the services; once, and nobody takes it for an edit of the file."""
    file = await in_thread(write, home / "a.json", {})
    joined: Joined = await join(file=file)
    change = await joined.update({"victron": {"stale_hold_s": 7}, "logging": {"log_level": "WARNING"}})
    assert set(change.changed_paths) == {"victron.stale_hold_s", "logging.log_level"}
    assert joined.running.bridge.config.victron.stale_hold_s == 7
    assert json.loads(await in_thread(file.read_text))["victron"] == {"stale_hold_s": 7}
    await joined.until(lambda: joined.services.config.victron.stale_hold_s == 7)
    assert joined.services.logs.settings.level == "WARNING"
    for _ in range(60):
        await joined.clock.advance(0.1)
        await asyncio.sleep(0.001)
    assert joined.mirror.state.configuration.number == 1
    assert len(joined.changes) == 1


async def test_what_the_core_refuses_is_not_saved(join: Join, home: Path) -> None:
    """It knows the BMS: the problems are those that the API answers, and the file stays as it is."""
    file = await in_thread(write, home / "a.json", {})
    joined: Joined = await join(file=file, bms=True)
    await joined.until(lambda: joined.running.bridge.pack.ratings is not None)
    with pytest.raises(ConfigError, match="contradicts the BMS") as caught:
        await joined.update({"cvl": {"chemistry": "lto"}})
    assert [problem.path for problem in caught.value.problems] == ["cvl.chemistry"]
    assert await in_thread(file.read_text) == "{}"
    assert joined.running.bridge.config.cvl.chemistry == joined.services.store.configuration.cvl.chemistry == "auto"


async def test_edit_of_the_file_reaches_the_store(join: Join, home: Path) -> None:
    """The core follows it; API and pages show what is in force, and nobody is told twice."""
    file = await in_thread(write, home / "a.json", {})
    joined: Joined = await join(file=file)
    await in_thread(write, file, {"victron": {"stale_hold_s": 9}, "advanced": {"history_days_1min": 5}})
    await joined.until(lambda: joined.services.store.configuration.victron.stale_hold_s == 9)
    assert joined.running.bridge.config.victron.stale_hold_s == 9
    assert joined.services.history.settings.days[1] == 5
    await joined.until(lambda: len(joined.changes) == 1)
    assert joined.mirror.state.configuration.number == 1


async def test_file_that_cannot_be_used_is_shown(join: Join, home: Path) -> None:
    """The diagnostics name every mistake, while what was in force stays; a mended file ends that."""
    file = await in_thread(write, home / "a.json", {})
    joined: Joined = await join(file=file)
    store = joined.services.store
    await in_thread(write, file, {"victron": {"stale_hold_s": 999}})
    await joined.until(lambda: store.error is not None)
    assert store.error is not None
    assert [problem.path for problem in store.error.problems] == ["victron.stale_hold_s"]
    assert store.configuration.victron.stale_hold_s != 999
    await in_thread(write, file, {"victron": {"stale_hold_s": 9}})
    await joined.until(lambda: store.error is None and store.configuration.victron.stale_hold_s == 9)


async def test_edit_that_the_battery_refuses_is_shown(join: Join, home: Path) -> None:
    """Judged by the core, with the reason in the store of the services."""
    file = await in_thread(write, home / "a.json", {})
    joined: Joined = await join(file=file, bms=True)
    await joined.until(lambda: joined.running.bridge.pack.ratings is not None)
    await in_thread(write, file, {"cvl": {"chemistry": "lto"}})
    await joined.until(lambda: joined.services.store.error is not None)
    assert "contradicts the BMS" in str(joined.services.store.error)
    assert joined.running.bridge.config.cvl.chemistry == "auto"


async def test_command_line_of_the_core_wins(join: Join, home: Path) -> None:
    """What it says in place of the file is in force in both processes, and is never saved into the file."""
    file = await in_thread(write, home / "a.json", {"logging": {"log_level": "DEBUG"}})
    joined: Joined = await join(file=file, overrides=Overrides(log_level="ERROR", device="/dev/ttyUSB3"))
    assert joined.services.logs.settings.level == "ERROR"
    assert joined.services.store.in_force.hardware.uart.device == "/dev/ttyUSB3"
    await joined.update({"victron": {"stale_hold_s": 7}})
    assert joined.running.bridge.config.hardware.uart.device == "/dev/ttyUSB3"
    assert joined.running.bridge.config.logging.log_level == "ERROR"
    assert "hardware" not in json.loads(await in_thread(file.read_text))


async def test_configuration_without_a_file_can_be_changed(join: Join) -> None:
    """That of a demonstration; it is forgotten at the end."""
    joined: Joined = await join(document={"victron": {"stale_hold_s": 5}})
    assert joined.services.store.configuration.victron.stale_hold_s == 5
    await joined.update({"victron": {"stale_hold_s": 7}})
    assert joined.running.bridge.config.victron.stale_hold_s == 7


async def test_change_while_the_services_start_is_not_lost(new_core: Callable[..., Any], web: Any, home: Path) -> None:
    """Between the first state and the moment at which they listen."""
    core = new_core(bms=False, file=await in_thread(write, home / "a.json", {}))
    await core.start()
    joined = Joined(core)
    joined._tasks.append(asyncio.create_task(joined.link.run()))
    await joined.until(lambda: joined.mirror.state.core.version)
    store = await in_thread(open_store, joined.mirror.state.configuration)
    made = Services(joined.link, joined.mirror, joined.clock, store, quiet=True)
    await in_thread(write, home / "a.json", {"victron": {"stale_hold_s": 9}})
    await joined.until(lambda: joined.mirror.state.configuration.number == 1)
    joined._tasks.append(asyncio.create_task(made.run()))
    await joined.until(lambda: made.config.victron.stale_hold_s == store.configuration.victron.stale_hold_s == 9)
    await joined.end()


# another core


async def test_services_go_on_while_the_core_is_away(join: Join, new_core: Callable[..., Any], home: Path) -> None:
    """Nothing ends and nothing is forgotten; with the next run they have its configuration, events and lines."""
    file = await in_thread(write, home / "a.json", {})
    joined: Joined = await join(file=file)
    for number in range(3):
        joined.log(f"first {number}")
    await joined.until(lambda: len(joined.lines()) == 3)
    tasks = [part.task for part in joined.services.supervisor.parts.values()]
    await joined.running.end()
    for _ in range(600):
        await joined.clock.advance(0.1)
    assert not joined.mirror.connected
    assert all(task is not None and not task.done() for task in tasks)
    await asyncio.to_thread(joined.services.store.update, {"victron": {"stale_hold_s": 8}})
    again = new_core({"victron": {"stale_hold_s": 8}}, bms=False, file=file)
    again.log_at = AT + timedelta(hours=1)
    joined.running = again
    for number in range(2):  # with numbers that the run before had, too
        joined.log(f"second {number}")
    await again.start()
    await joined.until(lambda: len(joined.lines()) >= 5)
    joined.log("second 2")
    await joined.until(lambda: "second 2" in joined.lines())
    assert joined.lines() == ["first 0", "first 1", "first 2", "second 0", "second 1", "second 2"]
    assert joined.services.config.victron.stale_hold_s == 8


@pytest.mark.parametrize("signalled", [False, True])
async def test_core_with_another_file_makes_the_services_start_again(
    new_core: Callable[..., Any],
    web: Any,
    clock: FakeClock,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    signalled: bool,
) -> None:
    """Else settings are saved in the old file and logins move to another bridge. A signal that comes too wins."""
    one, other = await in_thread(write, home / "a.json", {}), await in_thread(write, home / "b.json", {})
    folders = [home / "one", home / "other"]
    first = new_core(bms=False, file=one, folder=lambda: folders[0])
    await first.start()
    running = asyncio.create_task(run_services(ServicesOptions((first.socket,), quiet=True), clock))
    await first.until(lambda: web.runs and first.control.services.pid)
    await in_thread(web.users.write, b"logins")
    await first.end()
    if signalled:
        monkeypatch.setattr("tinybms_bridge.app.services.log.warning", lambda *_: running.cancel())
    second = new_core(bms=False, file=other, folder=lambda: folders[1])
    await second.start()
    await second.until(running.done)
    with pytest.raises(asyncio.CancelledError if signalled else StartAgain):
        await running
    assert await asyncio.to_thread(lambda: [*home.rglob("users.json")]) == [folders[0] / "users.json"]


# the log


async def test_lines_from_before_are_in_the_log_once(join: Join, home: Path) -> None:
    """Those of the core's start reach services that come later; services that start again do not write them twice."""
    core_folder = home / "state"
    joined: Joined = await join(folder=lambda: core_folder)
    for number in range(3):
        joined.log(f"line {number}")
    await joined.until(lambda: len(joined.lines()) == 3)
    await joined.end()
    joined.log("while no services ran")
    again: Joined = await join(joined.running)
    await again.until(lambda: len(again.lines()) >= 4)
    again.log("later")
    await again.until(lambda: "later" in again.lines())
    expected = ["line 0", "line 1", "line 2", "while no services ran", "later"]
    assert again.lines() == expected
    await again.end()
    text = await in_thread((core_folder / "bridge.log").read_text)
    assert [line.rpartition(": ")[2] for line in text.splitlines() if " core.test: " in line] == expected


async def test_log_of_a_service_is_where_systemd_says(join: Join, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the logs of the machine; all else stays in the state directory."""
    monkeypatch.setenv("LOGS_DIRECTORY", str(home / "logs"))
    joined: Joined = await join(folder=lambda: home / "state")
    joined.log("a line")
    await joined.until(lambda: joined.lines() == ["a line"])
    await joined.end()
    assert "a line" in await in_thread((home / "logs" / "bridge.log").read_text)
    assert not await in_thread((home / "state" / "bridge.log").exists)


async def test_log_is_kept_in_a_file_only_where_something_is(join: Join, home: Path) -> None:
    """`run` keeps its log in the state directory of the core; `demo` leaves no trace."""
    joined: Joined = await join()
    joined.log("a remark")
    await joined.until(lambda: joined.lines() == ["a remark"])
    await joined.end()
    assert await in_thread(lambda: list(home.rglob("bridge.log"))) == []


async def test_lines_of_both_processes_are_in_the_log(join: Join) -> None:
    """Who reads it need not know which process said what."""
    joined: Joined = await join()
    joined.log("of the core")
    logging.getLogger("tinybms_bridge.somewhere").warning("of the services")
    await joined.until(lambda: joined.lines())
    texts = [line.text for line in joined.services.logs.read(1000).lines]
    assert {"of the core", "of the services"} <= set(texts)


# the state directory


async def test_logins_certificate_and_history_follow_the_state_directory(
    join: Join, home: Path, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a change of the directory the same people can log in, over the same certificate."""
    where = [home / "old"]

    def move(folder: Path) -> None:
        if str(folder) != ".":
            where[0] = folder

    file = await in_thread(write, home / "a.json", {})
    joined: Joined = await join(file=file, folder=lambda: where[0], move=move)
    await joined.until(lambda: web.runs)
    boss = Account("boss", Role.ADMIN, "hash")

    def prepare() -> None:
        AccountStore(web.users).update(lambda book: book.with_account(boss))
        (home / "old" / "web-certificate.pem").write_text("certificate")
        (home / "old" / "web-key.pem").write_text("key")

    await in_thread(prepare)
    await joined.update({"advanced": {"state_directory": str(home / "new")}})
    await joined.until(lambda: joined.services.folder == home / "new" and len(web.runs) == 2)
    await joined.until(lambda: joined.services.logs.settings.folder == home / "new")
    assert [options.certificate_directory for options in web.runs] == [home / "old", home / "new"]
    await joined.end()

    def look() -> None:
        assert joined.services.history.state().path == str(home / "new" / "history.db")
        new = home / "new"
        assert AccountStore(web.users).read().accounts == (boss,)
        assert (new / "web-certificate.pem").read_text() == "certificate"
        modes = {name: stat.S_IMODE((new / name).stat().st_mode) for name in ("users.json", "web-key.pem")}
        assert modes == {"users.json": 0o600, "web-key.pem": 0o600}
        assert not (home / "old" / "users.json").exists()

    await in_thread(look)


async def test_directory_that_cannot_be_used_leaves_the_files(
    join: Join, home: Path, web: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The services stay where they are, and say why; the core may be able to go there."""
    where = [home / "old"]
    joined: Joined = await join(folder=lambda: where[0])
    await joined.until(lambda: web.runs)
    await in_thread(web.users.write, b"{}")
    await in_thread(write, home / "file", "in the way")
    where[0] = home / "file" / "state"
    await joined.until(lambda: any("the old one stays in use" in line for line in caplog.messages))
    assert joined.services.folder == home / "old"
    assert joined.services.logs.settings.folder == home / "old"
    assert await in_thread(web.users.read) == b"{}"


@pytest.mark.parametrize("keep", [True, False])
async def test_history_follows_the_configuration(join: Join, home: Path, keep: bool) -> None:
    """Its switch and its retention reach the history, which is in the state directory or in none."""
    joined: Joined = await join(
        document={"advanced": {"history_days_1min": 7}}, **({"folder": lambda: home / "state"} if keep else {})
    )
    assert joined.services.history.settings == HistorySettings(days=(2, 7, 730))
    state = await in_thread(joined.services.history.state)
    assert state.path == (str(home / "state" / "history.db") if keep else "")
    await joined.update(
        {"advanced": {"history_enabled": False, "history_days_10s": 5, "history_days_15min": 60, "history_size_mb": 40}}
    )
    wanted = interpret(
        {
            "advanced": {
                "history_days_1min": 7,
                "history_enabled": False,
                "history_days_10s": 5,
                "history_days_15min": 60,
                "history_size_mb": 40,
            }
        },
        "test",
    )
    await joined.until(lambda: joined.services.history.settings == history_settings(wanted.configuration))
    assert joined.services.history.settings == HistorySettings(enabled=False, days=(5, 7, 60), most_bytes=40_000_000)


# the process


async def test_services_wait_for_their_core(new_core: Callable[..., Any], web: Any, clock: FakeClock) -> None:
    """They may be started first; they begin when it is there."""
    core = new_core(bms=False)
    running = asyncio.create_task(run_services(ServicesOptions((core.socket,), quiet=True), clock))
    for _ in range(100):
        await clock.advance(0.1)
    assert not running.done()
    await core.start()
    await core.until(lambda: core.control.services.pid)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


class Manager:
    """Takes what a service manager is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def ready(self) -> None:
        """See ``Watchdog.ready``."""
        self.told.append("ready")

    def feed(self) -> None:
        """See ``Watchdog.feed``."""
        self.told.append("alive")

    def status(self, text: str) -> None:
        """See ``Watchdog.status``."""
        self.told.append(text)


async def test_systemd_hears_that_the_services_live_with_and_without_a_core(
    new_core: Callable[..., Any], web: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ready at once, since a core that is away is no failure of theirs; then a sign of life each ten seconds."""
    manager = Manager()
    monkeypatch.setattr("tinybms_bridge.app.services.find_watchdog", lambda: manager)
    core = new_core(bms=False)
    running = asyncio.create_task(run_services(ServicesOptions((core.socket,), quiet=True), clock))
    await clock.advance(0.1)
    assert manager.told == ["ready", "waits for the core", "alive"]
    for _ in range(9):
        await clock.advance(10.0)
    assert manager.told.count("alive") in (9, 10)
    await core.start()
    await core.until(lambda: "follows the core" in manager.told)
    assert manager.told.count("ready") == 1
    await core.end()
    async with asyncio.timeout(60.0):
        while manager.told[-1] != "waits for the core":
            await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_child_of_the_core_tells_systemd_nothing(
    new_core: Callable[..., Any], web: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The core does, and what another process says in its name would hide that it hangs."""
    monkeypatch.setattr("tinybms_bridge.app.services.os.getppid", lambda: 4711)
    monkeypatch.setattr("tinybms_bridge.app.services.find_watchdog", pytest.fail)
    core = new_core(bms=False)
    running = asyncio.create_task(run_services(ServicesOptions((core.socket,), parent=4711, quiet=True), clock))
    await core.start()
    await core.until(lambda: core.control.services.pid)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("begun", [True, False])
async def test_services_end_when_their_parent_has_gone(
    new_core: Callable[..., Any],
    web: Any,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    begun: bool,
) -> None:
    """A core that was killed leaves nothing behind, also where it was gone before they could ask for it."""
    parent = [4711]
    monkeypatch.setattr("tinybms_bridge.app.services.os.getppid", lambda: parent[0])
    core = new_core(bms=False)
    running = asyncio.create_task(run_services(ServicesOptions((core.socket,), parent=4711, quiet=True), clock))
    if begun:
        await core.start()
        await core.until(lambda: core.control.services.pid)
        await core.end()
    parent[0] = 1
    for _ in range(30):
        await clock.advance(0.1)
        await asyncio.sleep(0.001)
    async with asyncio.timeout(60.0):
        with pytest.raises(asyncio.CancelledError):
            await running
    assert "the core has gone, and the services end with it" in caplog.messages


async def test_services_without_a_parent_go_on(
    new_core: Callable[..., Any], web: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a service manager have one that is none of their business."""
    monkeypatch.setattr("tinybms_bridge.app.services.os.getppid", lambda: 1)
    core = new_core(bms=False)
    await core.start()
    running = asyncio.create_task(run_services(ServicesOptions((core.socket,), quiet=True), clock))
    await core.until(lambda: core.control.services.pid)
    await core.end()
    for _ in range(100):
        await clock.advance(0.1)
    assert not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize(("parent", "waits"), [(0, [False]), (os.getppid(), [])])
async def test_first_frame_is_waited_for_once(
    new_core: Callable[..., Any],
    web: Any,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    parent: int,
    waits: list[bool],
) -> None:
    """Services of a service manager wait for it themselves; for a child the core has waited, and the pages come."""
    waited: list[bool] = []

    async def wait(ready: Callable[[], bool], _clock: object) -> None:
        waited.append(ready())

    monkeypatch.setattr("tinybms_bridge.app.services.path_first", wait)
    core = new_core(bms=False)
    await core.start()
    running = asyncio.create_task(run_services(ServicesOptions((core.socket,), parent=parent, quiet=True), clock))
    await core.until(lambda: web.runs)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert waited == waits


def test_store_is_that_of_the_core(home: Path) -> None:
    """Of its file with what its command line says, or of the values where there is no file."""
    file = write(home / "a.json", {"victron": {"stale_hold_s": 9}})
    told = ConfigurationState(file=str(file), overrides=Overrides(device="/dev/ttyUSB3"))
    store = open_store(told)
    assert store.configuration.victron.stale_hold_s == 9
    assert store.in_force.hardware.uart.device == "/dev/ttyUSB3"
    assert (
        open_store(ConfigurationState(values={"victron": {"stale_hold_s": 8}})).configuration.victron.stale_hold_s == 8
    )


def test_the_usual_directory_needs_no_option(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also under systemd, whose directory the shell of a user does not know: there it is named."""
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/tinybms-bridge")
    usual = home / ".local" / "state" / "tinybms-bridge"

    assert users_command(usual) == "tinybms-bridge users"
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/tinybms-bridge")
    service = users_command(Path("/var/lib/tinybms-bridge"))
    assert service == "sudo tinybms-bridge users --state-directory /var/lib/tinybms-bridge"
    assert users_command(Path("/my disk")) == "sudo tinybms-bridge users --state-directory '/my disk'"


def test_services_load_no_web_server_before_it_is_wanted() -> None:
    """Neither the web server nor SQLite takes memory where it is off."""
    code = (
        "import sys, tinybms_bridge.app.services; "
        "sys.exit(any(name in ('sqlite3', 'fastapi', 'uvicorn') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_event_of_the_services_is_in_the_list_of_the_core(join: Join) -> None:
    """And comes back into that of the services with its number."""
    joined: Joined = await join()
    joined.services.core.note(Noted(Severity.INFO, message(EventCode.GX_LOST), "boss"))
    await joined.until(lambda: any(each.by == "boss" for each in joined.services.core.events()))
    assert joined.services.core.events() == joined.running.bridge.events.records()


def test_services_load_nothing_of_what_decides() -> None:
    """It would take memory there, and run nowhere: what they show comes over the link."""
    program = """
import sys
import tinybms_bridge.app.services, tinybms_bridge.services.web.app
print([name for name in sys.modules if name.startswith("tinybms_bridge.core.")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "['tinybms_bridge.core.supervisor']"


async def test_notifications_go_out_while_they_are_wanted(
    join: Join, home: Path, request: pytest.FixtureRequest
) -> None:
    """Switched on, tried, told of what the core tells, and switched off, without a restart; what was told is kept."""
    bodies: list[dict[str, Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        bodies.append(json.loads(await reader.readexactly(size)))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    request.addfinalizer(server.close)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    file = await in_thread(write, home / "a.json", {})
    joined: Joined = await join(file=file, folder=lambda: home / "state")
    service = joined.services.core.services()["notifications"]
    assert service.state().condition is ServiceCondition.OFF
    with pytest.raises(BridgeError, match="Notifications: off, there is nothing to try"):
        await service.test()

    wanted = {"enabled": True, "site": "Boat", "delay_s": 0, "webhook": {"enabled": True, "url": url}}
    await joined.update({"notifications": wanted})
    await joined.until(lambda: service.state().condition is ServiceCondition.WORKING)
    told = await joined.result(service.test())
    assert told.text == "webhook: sent"
    await joined.until(lambda: {"test", "communication"} <= {each["name"] or each["event"] for each in bodies})
    assert {each["site"] for each in bodies} == {"Boat"}
    await joined.until(lambda: joined.mirror.state.services.services)
    (reported,) = (each for each in joined.mirror.state.services.services if each.name == "notifications")
    assert (reported.where, reported.testable) == ("webhook", True)
    kept = home / "state" / "alarms-told.json"
    await joined.until(lambda: kept.exists() and "communication" in json.loads(kept.read_text())["told"])
    assert stat.S_IMODE((await in_thread(kept.stat)).st_mode) == 0o600

    await joined.update({"notifications": {"enabled": False}})
    await joined.until(lambda: service.state().condition is ServiceCondition.OFF)
    count = len(bodies)
    await joined.update({"notifications": {"enabled": True}})
    await joined.until(lambda: service.state().condition is ServiceCondition.WORKING)
    for _ in range(200):
        await joined.clock.advance(0.1)
        await asyncio.sleep(0.001)
    assert [each["name"] for each in bodies[count:] if each["name"] == "communication"] == []
