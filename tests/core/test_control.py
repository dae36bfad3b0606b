"""The core's end of the link: what a client is told of a running core, and each of its commands, good and bad."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tinybms_bridge import __version__
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.inhibits import Direction
from tinybms_bridge.battery.limits import Inhibited
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.config.values import values_of
from tinybms_bridge.core import control
from tinybms_bridge.core.event_store import EventStore
from tinybms_bridge.errors import BridgeError, ConfigError
from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.hal.can_devices import CanDevice
from tinybms_bridge.hal.devices import FoundDevices, SerialDevice
from tinybms_bridge.hal.logs import LogLine
from tinybms_bridge.hal.processes import Process
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.link import commands
from tinybms_bridge.link.client import Connection, open_link
from tinybms_bridge.link.codec import DecodeError
from tinybms_bridge.link.events import EventCode, Noted
from tinybms_bridge.link.mirror import Mirror
from tinybms_bridge.link.state import (
    EVENTS,
    CoreState,
    EventRecorded,
    FramesSeen,
    LogWritten,
    PartStatus,
    ServicesState,
)
from tinybms_bridge.tinybms import candidates
from tinybms_bridge.tinybms.frames import CommandCode, SimpleRequest, WriteModbus
from tinybms_bridge.tinybms.settings import all_settings, backup_of
from tinybms_bridge.tinybms.settings.actions import ActionName
from tinybms_bridge.tinybms.settings.errors import ConfirmationError, SettingsError, StaleSettingsError
from tinybms_bridge.tinybms.settings.writer import Outcome
from tinybms_bridge.words import message

R = TypeVar("R")
AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module", autouse=True)
def catalogue_is_read() -> None:
    """Read the settings of the catalogue, a file, before any event loop."""
    all_settings()


class Client:
    """A client of a running core, and that core."""

    def __init__(self, core: Any, connection: Connection[CoreState]) -> None:
        self.core = core
        self.bridge = core.bridge
        self.connection = connection
        self.mirror = connection.mirror
        self.events: list[Any] = []
        self.mirror.on_event(self.events.append)

    @property
    def state(self) -> CoreState:
        """The state as last told."""
        return self.mirror.state

    async def call(self, command: commands.Command[R], **options: Any) -> R:
        """Have a command carried out."""
        answer: R = await self.core.result(self.connection.call(command, **options))
        return answer

    async def until(self, condition: Callable[[], object]) -> None:
        """Let time pass until something holds."""
        await self.core.until(condition)

    def of(self, kind: type[R]) -> list[R]:
        """Return the events of a kind that were told."""
        return [event for event in self.events if isinstance(event, kind)]


Connect = Callable[..., Awaitable[Client]]


@pytest.fixture
async def connect(new_core: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> AsyncIterator[Connect]:
    """Return what gives a client of a core: of a new one, or of one that runs."""
    caplog.set_level(logging.INFO, "tinybms_bridge")
    async with AsyncExitStack() as stack:

        async def begin(document: dict[str, Any] | None = None, core: Any = None, **options: Any) -> Client:
            if core is None:
                core = new_core(document, **options)
                await core.start()
            mirror = Mirror(CoreState, EVENTS, core.clock.monotonic)
            opened = open_link([core.socket], mirror, core.clock, who="test", program_version="9.9")
            return Client(core, await stack.enter_async_context(opened))

        yield begin


@pytest.fixture
async def client(connect: Connect) -> Client:
    """A client of a core that sends."""
    client = await connect()
    await client.until(lambda: client.state.battery.decided is not None and client.state.outputs["can"].bursts)
    return client


@pytest.fixture
async def alone(connect: Connect) -> Client:
    """A client of a core that has no BMS."""
    return await connect(bms=False)


# what is told


async def test_state_is_that_of_the_bridge(client: Client) -> None:
    """Battery, lines, parts, watchdog and configuration, filled in by the part that each branch tells of."""
    state, bridge = client.state, client.bridge
    await client.until(lambda: client.state.packs["main"].uart.polls == bridge.pack.state().polls)
    assert state.battery.freshness is Freshness.FRESH
    assert state.battery.main.latest is not None
    assert (state.core.version, state.core.run) == (__version__, client.core.server.run_id)
    assert state.core.started_s == bridge.started_s
    assert state.core.state_directory == "", "nothing is kept"
    assert set(state.packs) == {"main"}
    assert client.state.packs["main"].uart.up
    assert state.outputs["can"].up
    assert {"uart", "decide", "can", "state", "link"} <= {part.name for part in state.parts}
    assert {part.name for part in state.parts if part.critical} == {"uart", "decide", "can"}
    assert state.watchdog.feed_count > 0
    assert state.configuration.values == values_of(bridge.config)
    assert state.services == ServicesState()


async def test_state_directory_is_told_where_something_is_kept(connect: Connect, tmp_path: Path) -> None:
    """The services keep their files beside those of the core, wherever that has moved."""
    where = [tmp_path / "old"]
    client = await connect(bms=False, folder=lambda: where[0])
    assert client.state.core.state_directory == str(tmp_path / "old")
    where[0] = tmp_path / "new"
    await client.until(lambda: client.state.core.state_directory == str(tmp_path / "new"))


async def test_each_snapshot_is_told_at_once(client: Client) -> None:
    """Ten times a second, not once a second as what nobody announces."""
    seen: set[int] = set()

    def look(_branches: frozenset[str]) -> None:
        latest = client.state.battery.main.latest
        if latest is not None:
            seen.add(latest.sequence)

    client.mirror.on_change(look, "battery")
    begun_s = client.core.clock.monotonic()
    await client.until(lambda: client.core.clock.monotonic() - begun_s >= 1.0)
    assert len(seen) >= 8


async def test_lost_battery_is_told_without_a_snapshot(client: Client) -> None:
    """Freshness ends by time alone; so does what was decided."""
    client.core.line.present = False
    client.bridge.supervisor.restart("uart")
    await client.until(lambda: client.state.battery.freshness is Freshness.HOLD)
    await client.until(lambda: client.state.battery.freshness is Freshness.SILENT)
    await client.until(lambda: not client.state.packs["main"].uart.up)
    assert client.state.packs["main"].uart.reason == "no port"


async def test_what_has_not_changed_is_not_told_again(alone: Client) -> None:
    """Configuration, inhibits and packs cost nothing while they are as they were."""
    told: list[str] = []
    await alone.until(lambda: alone.state.outputs["can"].up)
    alone.mirror.on_change(lambda branches: told.extend(branches))
    begun_s = alone.core.clock.monotonic()
    await alone.until(lambda: alone.core.clock.monotonic() - begun_s >= 5.0)
    assert not {"core", "configuration", "inhibits", "packs", "services"} & set(told)
    assert "battery" in told, "its age goes on"


async def test_entry_of_the_event_list_is_told(alone: Client) -> None:
    """Once, with the number under which the list has it."""
    alone.bridge.bus.publish(Noted(Severity.INFO, message(EventCode.GX_PRESENT)), "test")
    await alone.until(lambda: any(each.record.code == EventCode.GX_PRESENT for each in alone.of(EventRecorded)))
    (told,) = [each.record for each in alone.of(EventRecorded) if each.record.code == EventCode.GX_PRESENT]
    assert told in alone.bridge.events.records()


async def test_frames_are_told_once_in_their_order(client: Client) -> None:
    """Sent and received ones with their numbers, also those from before somebody listened."""
    gx = client.core.bus.open()
    gx.send(CanFrame(0x305, bytes(8)))
    await client.until(
        lambda: any(frame.arbitration_id == 0x305 for told in client.of(FramesSeen) for frame in told.frames)
    )
    begun_s = client.core.clock.monotonic()
    await client.until(lambda: client.core.clock.monotonic() - begun_s >= 3.0)
    told = [frame for seen in client.of(FramesSeen) for frame in seen.frames]
    assert told == client.bridge.can.monitored()[: len(told)]
    assert {frame.direction for frame in told} == {"tx", "rx"}


# the log


def line(text: str, number: int = 0) -> LogLine:
    """Return a line of the log."""
    return LogLine(AT + timedelta(seconds=number), "WARNING", "tinybms_bridge.test", text)


async def test_log_is_told_line_by_line(alone: Client) -> None:
    """With time, level and source, and a number that grows by one."""
    for number in range(3):
        alone.core.control.write_log(line(f"line {number}", number))
    await alone.until(lambda: len(alone.of(LogWritten)) == 3)
    first = alone.of(LogWritten)[0]
    assert (first.at, first.level, first.source, first.text) == (AT, "WARNING", "tinybms_bridge.test", "line 0")
    assert [each.number for each in alone.of(LogWritten)] == [1, 2, 3]


async def test_last_lines_are_kept_for_who_comes_later(connect: Connect, alone: Client) -> None:
    """Services that start after the core, or again, ask for what they miss; only so many lines are kept."""
    for number in range(1, control._KEPT_LINES + 11):
        alone.core.control.write_log(line(f"line {number}"))
    later = await connect(core=alone.core)
    kept = await later.call(commands.ReadLog())
    assert [each.number for each in kept] == list(range(11, control._KEPT_LINES + 11))
    assert kept[-1].text == f"line {control._KEPT_LINES + 10}"
    assert await later.call(commands.ReadLog(kept[-3].number)) == kept[-2:]
    assert await later.call(commands.ReadLog(10**9)) == ()


# inhibits


async def test_inhibit_is_in_force_and_told_with_the_answer(client: Client) -> None:
    """The state that follows the command is there before its answer."""
    answered = await client.call(commands.SetInhibit(Direction.CHARGE, 7200.0, "work on the cables", "boss"))
    assert client.bridge.battery.inhibited == Inhibited(charge=True)
    assert client.state.inhibits == (answered,)
    assert (answered.reason, answered.by) == ("work on the cables", "boss")
    assert answered.expires_at is not None
    assert 7199 <= (answered.expires_at - answered.since).total_seconds() <= 7201
    assert client.state.battery.decided is not None
    assert client.state.battery.decided.ccl_a == 0.0
    assert client.core.inhibits.writes >= 1, "it is in force after a restart, too"


async def test_end_of_an_inhibit_is_told_with_the_limits_that_it_frees(client: Client) -> None:
    """Nobody sees a current that is allowed beside an inhibit of it."""
    await client.call(commands.SetInhibit(Direction.CHARGE, 5.0))
    await client.until(lambda: client.state.battery.decided is not None and client.state.battery.decided.ccl_a == 0.0)
    seen: list[tuple[float, int]] = []

    def look(_branches: frozenset[str]) -> None:
        decided = client.state.battery.decided
        seen.append((0.0 if decided is None else decided.ccl_a, len(client.state.inhibits)))

    client.mirror.on_change(look)
    await client.until(lambda: seen and seen[-1][0] > 0.0)
    assert all(inhibits == 0 for ccl_a, inhibits in seen if ccl_a > 0.0)


async def test_release_answers_whether_there_was_an_inhibit(alone: Client) -> None:
    """Both are fine."""
    assert await alone.call(commands.ReleaseInhibit(Direction.DISCHARGE)) is False
    await alone.call(commands.SetInhibit(Direction.DISCHARGE))
    assert [each.expires_at for each in alone.state.inhibits] == [None]
    assert await alone.call(commands.ReleaseInhibit(Direction.DISCHARGE)) is True
    assert alone.state.inhibits == ()


@pytest.mark.parametrize("duration_s", [0.0, 0.5, -1.0, 604801.0, float("nan"), float("inf")])
def test_time_of_an_inhibit_that_cannot_be_is_refused(duration_s: float) -> None:
    """A second to a week; nobody is left in the dark by a slip of the finger."""
    with pytest.raises(DecodeError, match="duration_s: must be 1 to 604800"):
        commands.SetInhibit(Direction.CHARGE, duration_s)


async def test_inhibit_that_cannot_be_saved_is_in_force_and_told(
    alone: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says that a restart would forget it; everybody sees that it holds now."""

    def full(_data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(alone.core.inhibits, "write", full)
    with pytest.raises(OSError, match="No space left on device"):
        await alone.call(commands.SetInhibit(Direction.CHARGE, None, "", "boss"))
    assert [each.direction for each in alone.state.inhibits] == [Direction.CHARGE]
    with pytest.raises(OSError, match="No space left on device"):
        await alone.call(commands.ReleaseInhibit(Direction.CHARGE))
    assert alone.state.inhibits == ()


# the configuration


async def test_configuration_is_told_with_the_answer(alone: Client) -> None:
    """Whoever saves through the pages sees what is in force as soon as it is answered."""
    wanted = values_of(interpret({"victron": {"stale_hold_s": 7}}, "test").configuration)
    answered = await alone.call(commands.Configure(wanted))
    assert answered == commands.Configured(("victron.stale_hold_s",))
    assert alone.bridge.battery.settings.limits.freshness.hold_s == 7
    assert (alone.state.configuration.number, alone.state.configuration.values) == (1, wanted)


async def test_configuration_that_cannot_be_used_is_refused(client: Client) -> None:
    """With every mistake, judged by what the core knows of the BMS; nothing has changed."""
    await client.until(lambda: client.bridge.pack.ratings is not None)
    before = client.bridge.config
    wrong = values_of(interpret({"cvl": {"chemistry": "lto"}}, "test").configuration)
    for command in (commands.Configure(wrong), commands.JudgeConfiguration(wrong)):
        with pytest.raises(ConfigError, match="contradicts the BMS") as caught:
            await client.call(command)
        assert {problem.path for problem in caught.value.problems} == {"cvl.chemistry"}
    with pytest.raises(ConfigError, match=r"victron\.stale_hold_s"):
        await client.call(commands.Configure({"victron": {"stale_hold_s": 999}}))
    assert client.bridge.config is before
    good = values_of(interpret({"victron": {"stale_hold_s": 7}}, "test").configuration)
    assert await client.call(commands.JudgeConfiguration(good)) is None  # type: ignore[func-returns-value]
    assert client.bridge.config is before


async def test_file_is_read_again_when_asked(connect: Connect, tmp_path: Path) -> None:
    """A command line need not wait, and hears what is wrong."""
    file = tmp_path / "config.json"
    file.write_text("{}")
    client = await connect(bms=False, file=file)
    file.write_text('{"victron": {"stale_hold_s": 8}}')
    assert await client.call(commands.Reload()) == commands.Configured(("victron.stale_hold_s",))
    file.write_text('{"victron": {"stale_hold_s": 888}}')
    with pytest.raises(ConfigError, match=r"victron\.stale_hold_s"):
        await client.call(commands.Reload())
    await client.until(lambda: not client.state.configuration.usable)
    assert client.bridge.config.victron.stale_hold_s == 8


# the device


async def test_settings_are_read_planned_and_written(client: Client) -> None:
    """As a person does it: what was seen in the plan is what is written, and each result is told on the way."""
    read = await client.call(commands.ReadSettings())
    plan = await client.call(commands.PlanSettings({"charger_startup_delay_s": 33}))
    assert [change.setting.name for change in plan.changes] == ["charger_startup_delay_s"]
    results: list[Any] = []
    command = commands.ApplySettings({"charger_startup_delay_s": 33}, plan.readout.words, confirm=True, by="boss")
    report = await client.call(command, on_progress=results.append)
    assert [result.outcome for result in report.results] == [Outcome.WRITTEN]
    assert tuple(results) == report.results
    assert (await client.call(commands.ReadSettings())).words != read.words


async def test_settings_that_somebody_else_has_changed_are_not_written(client: Client) -> None:
    """What the plan has shown is no longer so: it has to be looked at again."""
    plan = await client.call(commands.PlanSettings({"charger_startup_delay_s": 33}))
    await client.call(commands.ApplySettings({"charger_disable_delay_s": 44}, confirm=True))
    with pytest.raises(StaleSettingsError) as caught:
        await client.call(commands.ApplySettings({"charger_startup_delay_s": 33}, plan.readout.words, confirm=True))
    assert caught.value.names == ("charger_disable_delay_s",)


async def test_mistakes_in_settings_are_told_before_anything_is_written(client: Client) -> None:
    """All of them, by name; a consequence has to be confirmed."""
    before = (await client.call(commands.ReadSettings())).words
    wrong = {"over_voltage_cutoff_v": 99.0, "no_such_setting": 1}
    for command in (commands.PlanSettings(wrong), commands.ApplySettings(wrong, confirm=True)):
        with pytest.raises(SettingsError) as caught:
            await client.call(command)
        assert {problem.name for problem in caught.value.problems} == set(wrong)
    with pytest.raises(ConfirmationError):
        await client.call(commands.ActOnDevice(ActionName.RESTART))
    assert (await client.call(commands.ReadSettings())).words == before


async def test_backup_is_restored(client: Client) -> None:
    """Planned, then written as it was planned; one of another battery only by force."""
    backup = backup_of(await client.call(commands.ReadSettings()), AT)
    await client.call(commands.ApplySettings({"charger_startup_delay_s": 33}, confirm=True))
    plan = await client.call(commands.PlanBackup(backup))
    assert [change.setting.name for change in plan.changes] == ["charger_startup_delay_s"]
    report = await client.call(commands.ApplyBackup(backup, words=plan.readout.words, confirm=True))
    assert [result.outcome for result in report.results].count(Outcome.WRITTEN) == 1
    assert {result.outcome for result in report.results} == {Outcome.WRITTEN, Outcome.UNCHANGED}
    assert (await client.call(commands.PlanBackup(backup))).changes == ()
    with pytest.raises(StaleSettingsError):
        await client.call(commands.ApplyBackup(backup, words=plan.readout.words, confirm=True))


async def test_device_can_be_asked_what_only_reads(client: Client) -> None:
    """For `doctor` and `registers` beside a running bridge; what writes is refused."""
    found = await client.call(commands.AskDevice(SimpleRequest(CommandCode.STATUS).encode()))
    assert found[:2] == bytes((0xAA, CommandCode.STATUS))
    with pytest.raises(ValueError, match="no request that only reads"):
        await client.call(commands.AskDevice(WriteModbus(300, (3600,)).encode()))
    with pytest.raises(ValueError, match="not a request"):
        await client.call(commands.AskDevice(b"nonsense"))


async def test_action_is_carried_out(client: Client) -> None:
    """Once it is confirmed."""
    done = await client.call(commands.ActOnDevice(ActionName.CLEAR_EVENTS, confirm=True))
    assert (done.action, done.outcome) == (ActionName.CLEAR_EVENTS, Outcome.WRITTEN)


PACK_COMMANDS: list[commands.Command[Any]] = [
    commands.ReadSettings("other"),
    commands.PlanSettings({}, "other"),
    commands.ApplySettings({}, pack="other"),
    commands.ActOnDevice(ActionName.RESTART, pack="other"),
    commands.AskDevice(b"\xaa\x18", "other"),
    commands.ReadTrace("other"),
]


@pytest.mark.parametrize("command", PACK_COMMANDS, ids=lambda command: command.name)
async def test_pack_that_there_is_not_is_named(alone: Client, command: commands.Command[Any]) -> None:
    """Not another one in its place."""
    with pytest.raises(KeyError, match="other"):
        await alone.call(command)


async def test_traffic_with_the_bms_can_be_read(client: Client) -> None:
    """The last of it, in both directions, by the name of the pack or without it."""
    for pack in ("", "main"):
        found = await client.call(commands.ReadTrace(pack))
        assert {each.direction for each in found} >= {"tx", "rx"}


async def test_the_devices_of_the_machine_can_be_listed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the process that may see them, for pages that let somebody choose."""
    found = FoundDevices((SerialDevice("/dev/ttyUSB0", "FTDI"),), (CanDevice("can0", False),))
    monkeypatch.setattr(control, "find_devices", lambda: found)
    assert await client.call(commands.ListDevices()) == found


class Ports:
    """A machine with one more port, on which nothing is."""

    def ports(self) -> list[SerialDevice]:
        """See ``PortFinder``."""
        return [SerialDevice("/dev/does-not-exist")]

    def consoles(self) -> frozenset[str]:
        """See ``PortFinder``."""
        return frozenset()

    own = consoles

    def holders(self, paths: list[str]) -> dict[str, list[Process]]:
        """See ``PortFinder``."""
        return {path: [] for path in paths}


async def test_what_answers_at_the_ports_is_asked_for_by_a_command(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The BMS of the bridge is told by what is known of it; two who ask at once do not meet at a port."""
    monkeypatch.setattr(candidates, "_Machine", Ports)
    asked = [client.call(commands.ListCandidates()) for _ in range(2)]
    (mine, other), again = [await each for each in asked]

    assert (mine.path, mine.pack, mine.asked, mine.message) == ("/dev/ttyUSB0", "main", False, None)
    assert mine.unit is not None
    assert mine.unit.identity == client.state.battery.identity
    assert mine.unit.voltage_v == client.state.battery.snapshot.pack.voltage_v
    assert (other.path, other.unit, other.asked) == ("/dev/does-not-exist", None, False)
    assert [each.path for each in again] == [mine.path, other.path]


async def test_a_bms_that_was_not_read_yet_is_no_unit(alone: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its port is told with the reason of its line, and not opened a second time."""
    monkeypatch.setattr(candidates, "_Machine", Ports)
    mine, _ = await alone.call(commands.ListCandidates())

    assert (mine.pack, mine.unit, mine.asked) == ("main", None, False)
    assert mine.message is not None


# the rest


async def test_event_list_can_be_read_from_a_number_on(connect: Connect) -> None:
    """Who was away asks for what it misses."""
    store = EventStore(MemoryStorage())
    for code in (EventCode.GX_PRESENT, EventCode.GX_LOST, EventCode.GX_PRESENT):
        store.add(Noted(Severity.INFO, message(code)), AT)
    client = await connect(bms=False, events=store)
    found = await client.call(commands.ReadEvents())
    assert found[:3] == store.records()[:3]
    assert (await client.call(commands.ReadEvents(2)))[0] == found[2]
    assert await client.call(commands.ReadEvents(10**6)) == ()


async def test_note_of_the_services_is_in_the_list(alone: Client) -> None:
    """With who did it."""
    note = commands.Note(Severity.WARNING, message(EventCode.GX_LOST), "boss")
    await alone.call(note)
    await alone.until(lambda: any(each.record.by == "boss" for each in alone.of(EventRecorded)))
    (record,) = [each for each in alone.bridge.events.records() if each.by == "boss"]
    assert (record.code, record.severity) == (EventCode.GX_LOST, Severity.WARNING)


async def test_services_tell_how_they_are(alone: Client, connect: Connect) -> None:
    """For `status` and the view of `run`, which look at the core only."""
    told = ServicesState(4711, "http://here", "token", parts=(PartStatus("web", "running"),))
    await alone.call(commands.ReportServices(told))
    assert alone.state.services == alone.core.control.services == told
    later = await connect(core=alone.core)
    assert later.state.services == told


async def test_statistics_begin_again(client: Client) -> None:
    """Of lines, snapshots, outputs and link, seen with the answer; what is up stays up, and energy is kept."""
    await client.until(lambda: client.state.packs["main"].uart.polls > 20)
    energy = client.bridge.battery.energy
    client.bridge.battery.unit.rejected = 4
    await client.call(commands.ResetStatistics())
    assert client.state.packs["main"].uart.polls < 5
    assert client.state.outputs["can"].bursts <= 1
    assert client.state.packs["main"].uart.rejected_samples == 0
    assert client.state.packs["main"].uart.up
    assert client.state.outputs["can"].up
    assert client.core.server.statistics().changes < 50
    assert client.bridge.battery.energy.charged_wh >= energy.charged_wh


async def test_part_is_started_again(client: Client) -> None:
    """By its name, also that of version 0.1; a name that there is not is an error."""
    before = client.bridge.supervisor.parts["can"].restarts
    await client.call(commands.RestartPart("can"))
    await client.until(lambda: client.bridge.supervisor.parts["can"].restarts == before + 1)
    await client.call(commands.RestartPart("event list"))
    await client.until(lambda: client.bridge.supervisor.parts["event-list"].restarts == 1)
    with pytest.raises(KeyError, match="weather"):
        await client.call(commands.RestartPart("weather"))


async def test_link_itself_can_be_started_again(connect: Connect, alone: Client) -> None:
    """Who restarts it loses the connection, and gets another one."""
    alone.bridge.supervisor.restart("link")
    await alone.until(alone.connection.closed.done)
    await alone.until(lambda: alone.core.socket.is_socket())
    again = await connect(core=alone.core)
    assert again.state.core.run == alone.state.core.run


async def test_new_start_is_answered_before_it_begins(alone: Client) -> None:
    """Whoever asks for it hears that it was understood."""
    await alone.call(commands.RestartProgram())
    assert alone.core.restarts == 0
    await alone.until(lambda: alone.core.restarts == 1)


async def test_fault_of_a_command_harms_nobody(alone: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of the program is told as such, and the core goes on."""

    def broken() -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(alone.bridge, "reset_statistics", broken)
    with pytest.raises(BridgeError):
        await alone.call(commands.ResetStatistics())
    assert await alone.call(commands.ReleaseInhibit(Direction.CHARGE)) is False


async def test_every_command_has_a_handler(alone: Client) -> None:
    """A command that a client may send and nobody carries out would be answered as unknown."""
    assert set(alone.core.server.handlers) == set(commands.COMMANDS)
