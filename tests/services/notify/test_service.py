"""The whole service: a battery whose alarms come and go, ways that fail, a disk that takes nothing, and restarts."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.battery.alarms import AlarmCause, AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.notices import NoticeName, Notices
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.blocking import in_own_thread, in_place
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.storage import FileStorage, MemoryStorage, Storage
from tinybms_bridge.link.state import ServiceCondition
from tinybms_bridge.services.notify.failures import DeliveryError
from tinybms_bridge.services.notify.options import NotifyOptions, notify_options
from tinybms_bridge.services.notify.record import TellRecord
from tinybms_bridge.services.notify.service import NotifyService
from tinybms_bridge.services.notify.sockets import Deadline
from tinybms_bridge.services.notify.ways import Letter
from tinybms_bridge.services.ports import Hearing, Moment
from tinybms_bridge.services.standing import ServiceStanding
from tinybms_bridge.words import Message, message
from tinybms_lab.testing.fake_clock import FakeClock

OK, WARNING, ALARM = AlarmLevel
LATER = DeliveryError(message("notify.http_status", status=503))
NEVER = DeliveryError(message("notify.http_refused", status=404), refused=True)
CAUSE = AlarmCause(message("cause.cell_voltage", cell=3, value=3.762, threshold=3.75), 3.762, 3.75, "V")

WEBHOOK = {"webhook": {"enabled": True, "url": "http://127.0.0.1:9/key-hush-hush"}}

MakeState = Callable[..., BatteryState]


def options(**keys: Any) -> NotifyOptions:
    """Return what a configuration says of the notifications."""
    wanted = {"enabled": True, **WEBHOOK, **keys}
    found = notify_options(interpret({"notifications": wanted}, "test").configuration)
    assert found is not None
    return found


class Battery:
    """A battery that is fresh, with the alarms that a test wants."""

    def __init__(self, state: BatteryState, clock: FakeClock | SystemClock) -> None:
        self.state = state
        self.clock = clock
        self.levels: dict[AlarmName, AlarmLevel] = dict.fromkeys(AlarmName, OK)
        self.notices: Mapping[NoticeName, AlarmLevel] = {}
        self.hearing = Hearing(connected=True, since_s=0.0)

    def moment(self) -> Moment:
        """Return the battery now; its sample is a moment old."""
        now_s = self.clock.monotonic()
        packs = {
            name: replace(pack, latest=None if pack.latest is None else replace(pack.latest, taken_at_s=now_s))
            for name, pack in self.state.packs.items()
        }
        alarms = Alarms(dict(self.levels), {AlarmName.HIGH_VOLTAGE: CAUSE})
        state = replace(self.state, packs=packs, made_s=now_s, alarms=alarms, notices=Notices(dict(self.notices)))
        return Moment.of(state, self.clock, self.hearing)


class Collecting:
    """A way that takes everything, or fails as it is told."""

    limit_s = 20.0

    def __init__(self, name: str = "webhook") -> None:
        self.name = name
        self.where = name
        self.failure: Exception | None = None
        self.letters: list[Letter] = []

    def send(self, letter: Letter, _deadline: Deadline) -> Message | None:
        """Take a letter."""
        if self.failure is not None:
            raise self.failure
        self.letters.append(letter)
        return None

    @property
    def texts(self) -> list[str]:
        """What was told."""
        return [letter.words.title for letter in self.letters]


class Home:
    """A service on a fake clock, which may be started again."""

    def __init__(self, battery: Battery, clock: FakeClock) -> None:
        self.battery = battery
        self.clock = clock
        self.storage: Storage = MemoryStorage()
        self.ways = [Collecting()]
        self.standing = ServiceStanding("notifications", clock, testable=True)
        self.record: TellRecord | None = None
        self.service: NotifyService
        self._task: asyncio.Task[None] | None = None
        self._numbers = 0

    @property
    def way(self) -> Collecting:
        """The only way."""
        return self.ways[0]

    async def start(self, *, same_process: bool = False, **keys: Any) -> None:
        """Run, as after a start of the process or after a change of settings."""
        if self.record is None or not same_process:
            self.record = TellRecord(self.storage)
            self.record.load()
        self.service = NotifyService(
            self.battery.moment,
            options(**keys),
            self.standing,
            self.record,
            self.clock,
            in_place,
            run_hanging=in_place,
            ways=self.ways,
            new_id=self._number,
        )
        self._task = asyncio.create_task(self.service.run())
        await self.clock.advance(0.0)

    def _number(self) -> str:
        self._numbers += 1
        return str(self._numbers)

    async def stop(self) -> None:
        """Stop as a signal does; may be called again."""
        task, self._task = self._task, None
        if task is not None:
            assert not task.done(), task
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def kill(self) -> None:
        """Stop as a power cut does: nothing is saved at the end."""
        self.storage = MemoryStorage(self.storage.read())
        task, self._task = self._task, None
        assert task is not None
        task.cancel()


@pytest.fixture
async def home(make_state: MakeState, clock: FakeClock) -> AsyncIterator[Home]:
    """A service that does not run yet."""
    made = Home(Battery(make_state(), clock), clock)
    yield made
    await made.stop()


async def test_an_alarm_and_its_end_are_told(home: Home, clock: FakeClock) -> None:
    """With cause and battery of the moment, on every way, once."""
    home.ways.append(Collecting("ntfy"))
    await home.start(site="Boat")
    home.battery.levels[AlarmName.HIGH_VOLTAGE] = ALARM
    await clock.advance(3600.0)
    home.battery.levels[AlarmName.HIGH_VOLTAGE] = OK
    await clock.advance(3600.0)
    told = ["Boat: High voltage: alarm (cell 3 at 3.762 V, threshold 3.750 V)", "Boat: High voltage: over"]
    assert [way.texts for way in home.ways] == [told, told]
    first = home.way.letters[0]
    assert first.words.document["battery"]["voltage"] == 53.12
    assert first.words.document["at"] == "2026-01-01T00:00:02+00:00"
    assert [each.told.id for each in home.way.letters] == [each.told.id for each in home.ways[1].letters]
    assert home.standing.state().counters == {"sent": 4}


@pytest.mark.parametrize(
    ("keys", "texts"),
    [
        ({}, ["High voltage: warning (cell 3 at 3.762 V, threshold 3.750 V)", "High voltage: over"]),
        (
            {"language": "fr"},
            ["Tension haute : avertissement (cellule 3 à 3,762 V, seuil 3,750 V)", "Tension haute : fin"],
        ),
        ({"all_clear": False}, ["High voltage: warning (cell 3 at 3.762 V, threshold 3.750 V)"]),
        ({"level": "alarm"}, []),
        ({"delay_s": 120}, []),
        ({"only": ["low_soc"]}, []),
        ({"never": ["high_voltage"]}, []),
        ({"quiet_from": "00:00", "quiet_to": "23:59"}, []),
    ],
)
async def test_each_rule_has_its_effect(home: Home, clock: FakeClock, keys: dict[str, Any], texts: list[str]) -> None:
    """On one warning of a minute and a half."""
    await home.start(**keys)
    home.battery.levels[AlarmName.HIGH_VOLTAGE] = WARNING
    await clock.advance(90.0)
    home.battery.levels[AlarmName.HIGH_VOLTAGE] = OK
    await clock.advance(600.0)
    assert [re.sub("^TinyBMS s516 ?: ", "", text) for text in home.way.texts] == texts


async def test_quiet_hours_let_alarms_through_or_not(home: Home, clock: FakeClock) -> None:
    """As it is configured."""
    night: dict[str, Any] = {"quiet_from": "00:00", "quiet_to": "23:59"}
    home.battery.levels[AlarmName.HIGH_VOLTAGE] = ALARM
    await home.start(**night, quiet_level="none")
    await clock.advance(600.0)
    assert home.way.texts == []
    await home.stop()
    await home.start(**night)
    await clock.advance(600.0)
    assert len(home.way.texts) == 1


async def test_what_quiet_hours_held_back_is_one_message(home: Home, clock: FakeClock) -> None:
    """At their end, with the times at which it began."""
    home.battery.notices = {NoticeName.LOW_SOC: WARNING, NoticeName.COMMUNICATION: WARNING}
    local = clock.wall().astimezone()
    end = f"{(local.hour + 1) % 24:02}:{local.minute:02}"
    await home.start(quiet_from=f"{local:%H:%M}", quiet_to=end)
    await clock.advance(3590.0)
    assert home.way.texts == []
    await clock.advance(20.0)
    (letter,) = home.way.letters
    assert letter.words.title.endswith("2 messages from the quiet hours")
    assert [each["at"] for each in letter.words.document["news"]] == ["2026-01-01T00:00:00+00:00"] * 2


async def test_the_name_of_the_site_is_that_of_the_battery_unless_given() -> None:
    """So that nobody has to give it twice."""
    config = interpret(
        {"victron": {"battery_name": "House bank"}, "notifications": {"enabled": True, **WEBHOOK}}, "test"
    )
    found = notify_options(config.configuration)
    assert found is not None
    assert found.site == "House bank"
    assert options(site="Boat").site == "Boat"
    assert notify_options(interpret({}, "test").configuration) is None


async def test_a_core_that_is_not_heard_is_an_alarm_and_ends_no_other(home: Home, clock: FakeClock) -> None:
    """Nobody knows whether the others last."""
    await home.start(site="B")
    home.battery.levels[AlarmName.HIGH_VOLTAGE] = ALARM
    await clock.advance(60.0)
    home.battery.hearing = Hearing(connected=False, since_s=30.0)
    await clock.advance(3600.0)
    home.battery.hearing = Hearing(connected=True, since_s=0.0)
    await clock.advance(600.0)
    assert [each.removeprefix("B: ") for each in home.way.texts] == [
        "High voltage: alarm (cell 3 at 3.762 V, threshold 3.750 V)",
        "Core unreachable: alarm (no answer for 30 s)",
        "Core unreachable: over",
    ]


async def test_a_core_that_starts_again_is_no_news(home: Home, clock: FakeClock) -> None:
    """It is away for some seconds, and has judged nothing for some more."""
    await home.start()
    home.battery.levels[AlarmName.HIGH_VOLTAGE] = ALARM
    await clock.advance(60.0)
    levels, home.battery.levels = home.battery.levels, {}
    home.battery.hearing = Hearing(connected=False, since_s=2.0)
    await clock.advance(8.0)
    home.battery.hearing = Hearing(connected=True, since_s=0.0)
    await clock.advance(8.0)
    home.battery.levels = levels
    await clock.advance(600.0)
    assert len(home.way.letters) == 1


@pytest.mark.parametrize("how", ["stop", "kill", "settings"])
async def test_after_a_restart_nothing_is_told_again(home: Home, clock: FakeClock, how: str) -> None:
    """And the end of what was told before is told once."""
    await home.start()
    home.battery.levels[AlarmName.HIGH_VOLTAGE] = ALARM
    await clock.advance(60.0)
    for _ in range(3):
        if how == "kill":
            home.kill()
        else:
            await home.stop()
        await clock.advance(100.0)
        await home.start(same_process=how == "settings")
        await clock.advance(300.0)
    assert len(home.way.letters) == 1
    home.battery.levels[AlarmName.HIGH_VOLTAGE] = OK
    await clock.advance(600.0)
    assert len(home.way.letters) == 2


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_what_could_not_be_sent_is_sent_after_a_restart(home: Home, clock: FakeClock, how: str) -> None:
    """A message that waits for the network survives the process, with its number and its time."""
    home.way.failure = LATER
    await home.start()
    home.battery.levels[AlarmName.HIGH_VOLTAGE] = ALARM
    await clock.advance(3600.0)
    if how == "kill":
        home.kill()
    else:
        await home.stop()
    home.way.failure = None
    await clock.advance(3600.0)
    await home.start()
    await clock.advance(10.0)
    (letter,) = home.way.letters
    assert letter.told.id == "1"
    assert letter.words.document["at"] == "2026-01-01T00:00:02+00:00"
    assert letter.words.document["late"] is True
    await home.stop()
    await home.start()
    await clock.advance(3600.0)
    assert len(home.way.letters) == 1


async def test_an_alarm_that_rose_meanwhile_is_told(home: Home, clock: FakeClock) -> None:
    """What was told of a warning says nothing of an alarm."""
    await home.start()
    home.battery.levels[AlarmName.HIGH_VOLTAGE] = WARNING
    await clock.advance(60.0)
    await home.stop()
    home.battery.levels[AlarmName.HIGH_VOLTAGE] = ALARM
    await home.start()
    await clock.advance(60.0)
    assert [each.told.level for each in home.way.letters] == ["warning", "alarm"]


class FullDisk(MemoryStorage):
    """A storage that takes nothing while it is full."""

    full = True

    def write(self, data: bytes) -> None:
        """See ``Storage.write``."""
        if self.full:
            raise OSError(28, "No space left on device")
        super().write(data)


async def test_a_full_disk_costs_nothing_but_the_memory_of_a_restart(
    home: Home, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, everything is sent, and a change of settings tells nothing again."""
    home.storage = disk = FullDisk()
    await home.start()
    home.battery.levels[AlarmName.HIGH_VOLTAGE] = ALARM
    await clock.advance(600.0)
    assert len(home.way.letters) == 1
    await home.stop()
    await home.start(same_process=True, site="Boat")
    home.battery.levels[AlarmName.LOW_VOLTAGE] = ALARM
    await clock.advance(600.0)
    assert len(home.way.letters) == 2
    told = [line for line in caplog.messages if "cannot be saved" in line]
    assert len(told) == 2  # once for each making of the service
    assert home.standing.state().counters["not_saved"] > 10
    assert home.standing.state().condition is ServiceCondition.WORKING
    disk.full = False
    await clock.advance(120.0)
    assert json.loads(disk.read() or b"")["told"].keys() == {"high_voltage", "low_voltage"}


def test_a_folder_that_may_not_be_written_is_no_obstacle(tmp_path: Path, clock: FakeClock) -> None:
    """The real file, in a place where nothing can be made."""
    (tmp_path / "state").write_text("a file where a folder should be")
    record = TellRecord(FileStorage(tmp_path / "state" / "alarms-told.json"))
    record.load()
    with pytest.raises(OSError, match="state"):
        record.write(*record.document(clock))


async def test_nothing_is_written_while_nothing_happens(home: Home, clock: FakeClock) -> None:
    """A card lives longer."""
    await home.start()
    home.battery.levels[AlarmName.HIGH_VOLTAGE] = ALARM
    await clock.advance(60.0)
    written = home.storage.read()
    home.storage.write(b"{}")
    await clock.advance(86_400.0)
    assert (written != b"{}", home.storage.read()) == (True, b"{}")


async def test_trouble_is_shown_by_way_and_told_once(
    home: Home, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """However often it is tried; it passes by itself."""
    caplog.set_level("INFO")
    home.ways.append(Collecting("email"))
    home.way.failure = LATER
    home.battery.levels[AlarmName.HIGH_VOLTAGE] = ALARM
    await home.start()
    await clock.advance(3600.0)
    state = home.standing.state()
    assert (state.condition, state.where) == (ServiceCondition.TROUBLE, "webhook, email")
    assert state.message is not None
    assert state.message.text == "webhook: the server answers 503"
    assert state.message.say("fr") == "webhook : le serveur répond 503"
    assert len(home.ways[1].letters) == 1
    home.way.failure = None
    await clock.advance(3600.0)
    assert home.standing.state().condition is ServiceCondition.WORKING
    assert home.standing.state().message is None
    told = [line for line in caplog.messages if line.startswith("notifications")]
    assert told == [
        "notifications works (webhook, email)",
        "notifications does not work (webhook, email): webhook: the server answers 503; it is tried again",
        "notifications works again (webhook, email)",
    ]


async def test_a_trial_goes_out_on_every_way(home: Home, clock: FakeClock) -> None:
    """At once, beside whatever waits, and says what happened on each."""
    home.ways += [Collecting("ntfy"), Collecting("email")]
    await home.start(site="Boat")
    told = await home.service.test()
    assert told.text == "webhook: sent; ntfy: sent; e-mail: sent"
    assert told.say("fr") == "webhook : envoyé; ntfy : envoyé; courriel : envoyé"
    assert [way.texts for way in home.ways] == [["Boat: Test message"]] * 3
    home.ways[1].failure = NEVER
    with pytest.raises(BridgeError) as caught:
        await home.service.test()
    assert caught.value.description.text == (
        "webhook: sent; ntfy: the server answers 404: it does not take the message; is the address right?; e-mail: sent"
    )
    assert home.standing.state().condition is ServiceCondition.TROUBLE
    home.ways[1].failure = None
    await home.service.test()
    assert home.standing.state().condition is ServiceCondition.WORKING
    await clock.advance(3600.0)
    assert [len(way.letters) for way in home.ways] == [3, 2, 3]


async def test_one_trial_at_a_time(home: Home) -> None:
    """Who presses the button a hundred times sends one message."""
    released = asyncio.Event()

    async def wait(work: Callable[..., Any], *arguments: Any) -> Any:
        await released.wait()
        return work(*arguments)

    await home.start()
    home.service._deliveries[0]._run = wait  # type: ignore[assignment]
    first = asyncio.create_task(home.service.test())
    await asyncio.sleep(0)
    for _ in range(100):
        with pytest.raises(BridgeError, match="a test is under way"):
            await home.service.test()
    released.set()
    await first
    assert len(home.way.letters) == 1


async def test_a_part_that_fails_is_the_failure_of_the_service(home: Home, clock: FakeClock) -> None:
    """The supervisor starts it again, and is told why in the words of the part."""

    def broken() -> Moment:
        raise RuntimeError("no moment")

    await home.start()
    home.service._moment = broken
    task, home._task = home._task, None
    assert task is not None
    await clock.advance(10.0)
    with pytest.raises(RuntimeError, match="no moment"):
        await task


async def test_secrets_are_nowhere(
    make_state: MakeState, serve: Callable[..., Any], answer: Callable[..., bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """On real connections that fail in every way: not in logs, states, answers, nor in the file that is kept."""
    caplog.set_level("DEBUG")
    clock = SystemClock()
    secrets = ["key-hush-hush", "token-hush-hush", "topic-hush-hush", "access-hush-hush", "word-hush-hush"]
    http = await serve("http", answers=[answer(403, f"Location: http://x/{secrets[0]}")])
    mail = await serve("mail", login=("boat", "another"))
    found = options(
        webhook={"enabled": True, "url": f"http://127.0.0.1:{http.port}/{secrets[0]}", "token": secrets[1]},
        ntfy={"enabled": True, "url": f"http://127.0.0.1:{http.port}", "topic": secrets[2], "token": secrets[3]},
        email={
            "enabled": True,
            "server": "127.0.0.1",
            "port": mail.port,
            "security": "none",
            "username": "boat",
            "password": secrets[4],
            "recipients": ["me@example.org"],
        },
        delay_s=0,
    )
    standing, storage = ServiceStanding("notifications", clock), MemoryStorage()
    battery = Battery(make_state(), clock)
    battery.levels[AlarmName.HIGH_VOLTAGE] = ALARM
    service = NotifyService(
        battery.moment, found, standing, TellRecord(storage), clock, in_place, run_hanging=in_own_thread
    )
    task = asyncio.create_task(service.run())
    async with asyncio.timeout(60.0):
        while standing.counters["refused"] < 3:
            await asyncio.sleep(0.01)
    with pytest.raises(BridgeError) as caught:
        await service.test()
    told = caught.value.description
    assert told.text.count("(535 5.7.8)") == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    everything = "\n".join(
        [caplog.text, repr(standing.state()), repr(told), repr(caught.value), told.say("fr"), repr(found)]
    )
    everything += (storage.read() or b"").decode()
    assert "high_voltage" in everything
    assert [secret for secret in secrets if secret in everything] == []
    assert any(secrets[0] in asked.line for asked in http.asked)


def test_while_it_is_off_nothing_of_it_is_imported() -> None:
    """A small board has its memory for something else; with a webhook alone no mail is imported either."""
    script = (
        "import sys, tinybms_bridge.app.services as services\n"
        "from tinybms_bridge.config.configuration import Configuration\n"
        "assert services.notify_options(Configuration()) is None\n"
        "print(sorted({'http.client', 'smtplib', 'tinybms_bridge.services.notify.service'}"
        " & sys.modules.keys()))\n"
        "import tinybms_bridge.services.notify.service\n"
        "print(sorted({'smtplib', 'tinybms_bridge.services.notify.mail'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "[]"]
