"""The configuration of a running core: what a changed file does to it, and what a client may put in force."""

import asyncio
import hashlib
import json
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.battery.snapshot import Ratings
from tinybms_bridge.config.checker import CheckRequest, answer
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.config.overrides import Overrides
from tinybms_bridge.config.values import values_of
from tinybms_bridge.core.bridge import Bridge, Machine
from tinybms_bridge.core.configuration import Checked, check_file
from tinybms_bridge.core.follow import Follower
from tinybms_bridge.errors import BridgeError, ConfigError, LinkError
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.hal.can import CanPort
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.link.events import ChangeSource, ConfigChanged
from tinybms_lab.testing.fake_clock import FakeClock

LFP_16 = Ratings(16, 3.65, 2.9, 3.75, 2.5, 60.0, 120.0, None, 60.0, 1.0, 100.0)


def configured(document: dict[str, Any]) -> Configuration:
    """Return the configuration that a document means."""
    return interpret(document, "test").configuration


def hold(seconds: float) -> dict[str, Any]:
    """Return a document with that key."""
    return {"victron": {"stale_hold_s": seconds}}


async def no_serial(_data: OnData, _lost: OnLost) -> SerialPort:
    """Open nothing."""
    raise LinkError("no port")


async def no_can() -> CanPort:
    """Open nothing."""
    raise LinkError("no adapter")


class Followed:
    """A core that follows a file; its checker runs here, as it does in its own process."""

    def __init__(self, path: Path | None, overrides: Overrides | None = None) -> None:
        self.path = path
        self.clock = FakeClock()
        self.overrides = overrides or Overrides()
        self.checks = 0
        self.broken = ""
        self.full = False
        self.applied: list[Configuration] = []
        machine = Machine(self.clock, no_serial, no_can, MemoryStorage(), use=self._use, run_blocking=in_place)
        self.start = answer(CheckRequest(str(path), self.overrides)) if path else None
        values = values_of(Configuration()) if self.start is None else self.start.values
        self.bridge = Bridge(configured(values or {}), machine, SavedUnits())
        self.news = self.bridge.bus.subscribe(ConfigChanged, depth=100)
        self.follower = Follower(
            self.bridge,
            path,
            self._check,
            overrides=self.overrides,
            seen=(self.start.digest or "") if self.start else "",
            fell_back=self.start is not None and self.start.fell_back,
            problems=self.start.problems if self.start else (),
            on_applied=self.applied.append,
        )
        self.bridge.file_usable = lambda: self.follower.usable
        self.task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Follow the file until it has been looked at twice."""
        self.task = asyncio.create_task(self.follower.run())
        await self.looks(3)

    async def looks(self, count: int) -> None:
        """Let the follower look some times."""
        for _ in range(count):
            await self.clock.advance(1.0)

    async def write(self, document: object) -> str:
        """Edit the file as an editor does, a new file in the place of the old one; return its digest."""
        text = document if isinstance(document, str) else json.dumps(document)

        def edit() -> None:
            assert self.path is not None
            beside = self.path.with_name("beside")
            beside.write_text(text)
            beside.replace(self.path)

        await in_place(edit)
        return hashlib.sha256(text.encode()).hexdigest()

    async def end(self) -> None:
        """Stop following."""
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task

    @property
    def hold_s(self) -> float:
        """A key in force in the part that it drives."""
        return self.bridge.battery.settings.limits.freshness.hold_s

    def told(self) -> list[ConfigChanged]:
        """Return the changes that were published since the last time."""
        found = []
        while (envelope := self.news.take()) is not None:
            assert isinstance(envelope.event, ConfigChanged)
            found.append(envelope.event)
        return found

    def _use(self, _config: Configuration) -> None:
        if self.full:
            raise OSError(28, "No space left on device")

    async def _check(self) -> Checked:
        self.checks += 1
        request = CheckRequest(str(self.path), self.overrides, fall_back=False)
        return await check_file(request, self.clock, in_force=self.bridge.config, run=self._checker)

    async def _checker(self, _request: bytes) -> bytes:
        if self.broken:
            raise BridgeError(self.broken)
        found = await in_place(answer, CheckRequest(str(self.path), self.overrides, fall_back=False))
        return json.dumps(asdict(found)).encode()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Path:
    """A home of its own, without what the machine of the test has set; what is said is kept."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    caplog.set_level(logging.INFO, "tinybms_bridge")
    return tmp_path


@pytest.fixture
async def followed(home: Path) -> AsyncIterator[Followed]:
    """A core at work on a good file."""
    path = home / "config.json"
    await in_place(path.write_text, json.dumps(hold(10)))
    found = await in_place(Followed, path)
    await found.run()
    yield found
    await found.end()


Make = Callable[..., Any]


@pytest.fixture
async def make(home: Path) -> AsyncIterator[Make]:
    """Return what makes a core that follows a file with this text, and has not begun to."""
    made: list[Followed] = []

    async def build(text: str | None, *, good: str | None = None, overrides: Overrides | None = None) -> Followed:
        path = home / "config.json"
        for each in (good, text):
            if each is not None:
                await in_place(path.write_text, each)
                if each is good:
                    await in_place(answer, CheckRequest(str(path), Overrides()))  # a start that keeps a copy
        made.append(await in_place(Followed, None if text is None else path, overrides))
        return made[-1]

    yield build
    for each in made:
        await each.end()


# the file


async def test_edit_is_in_force_within_a_second(followed: Followed) -> None:
    """In the parts that the key drives; what is beside the bridge is called, everybody is told, and the file named."""
    await followed.write(hold(20))
    await followed.looks(2)
    assert followed.hold_s == 20
    assert [config.victron.stale_hold_s for config in followed.applied] == [20]
    assert followed.told() == [ConfigChanged(("victron.stale_hold_s",), ChangeSource.FILE)]


async def test_unchanged_file_is_not_checked(followed: Followed) -> None:
    """A look each second costs one stat call, no process that reads and checks the whole file."""
    checks = followed.checks
    await followed.looks(10)
    assert followed.checks == checks


async def test_edit_that_says_the_same_changes_nothing(followed: Followed) -> None:
    """As a file that was only touched, or another order of its keys."""
    await followed.write(json.dumps(hold(10), indent=4))
    await followed.looks(3)
    assert (followed.hold_s, followed.applied, followed.told()) == (10, [], [])


async def test_edit_in_place_of_the_same_length_is_noticed(followed: Followed) -> None:
    """`sed -i` keeps the length, `dd conv=notrunc` even the inode: the times tell."""
    path = followed.path
    assert path is not None
    before = await in_place(path.stat)
    while (await in_place(path.stat)).st_mtime_ns == before.st_mtime_ns:  # the system's clock of files is coarse
        await in_place(path.write_text, json.dumps(hold(11)))
    await followed.looks(2)
    assert followed.hold_s == 11


async def test_hurry_reads_at_once(followed: Followed) -> None:
    """SIGHUP does not wait for the next second, nor for the times of the file."""
    checks = followed.checks
    await followed.write(hold(30))
    followed.follower.hurry()
    await followed.clock.advance(0.0)
    assert followed.checks > checks
    assert followed.hold_s == 30


async def test_bad_file_is_told_once_with_every_mistake(followed: Followed, caplog: pytest.LogCaptureFixture) -> None:
    """One line for each mistake, not one each second; the old configuration stays; the end is told, too."""
    await followed.write({"victron": {"stale_hold_s": 999}, "cann": {}})
    await followed.looks(10)
    assert len([line for line in caplog.messages if line.startswith("configuration not used: ")]) == 2
    assert caplog.messages.count("the configuration in force stays") == 1
    assert (followed.hold_s, followed.applied) == (10, [])
    state = followed.follower.state()
    assert not state.usable
    assert len(state.problems) == 2
    await followed.write(hold(12))
    await followed.looks(3)
    assert caplog.messages.count("the configuration file can be used again") == 1
    assert followed.hold_s == 12
    assert followed.follower.state().usable


async def test_file_put_back_as_it_was_is_told(followed: Followed, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever undoes the mistake hears that all is well, though nothing else is in force now."""
    await followed.write("{")
    await followed.looks(3)
    assert not followed.follower.usable
    await followed.write(hold(10))
    await followed.looks(3)
    assert followed.follower.state().usable
    assert caplog.messages[-1] == "the configuration file can be used again"
    assert followed.told() == []


async def test_half_written_file_is_not_told(followed: Followed, caplog: pytest.LogCaptureFixture) -> None:
    """An editor in the middle of its work is no mistake of the user's."""
    await followed.write('{"victron": {"stale_')
    await followed.looks(1)
    await followed.write(hold(13))
    await followed.looks(3)
    assert [line for line in caplog.messages if "configuration" in line and "changed" not in line] == []
    assert followed.hold_s == 13


async def test_file_that_vanishes_changes_nothing(followed: Followed, caplog: pytest.LogCaptureFixture) -> None:
    """Removed or on a disk that is gone: what is in force stays; the file is followed when it is back."""
    assert followed.path is not None
    await in_place(os.unlink, followed.path)
    await followed.looks(3)
    assert (followed.hold_s, followed.told()) == (10, [])
    await followed.write(hold(14))
    await followed.looks(2)
    assert followed.hold_s == 14
    assert [line for line in caplog.messages if "not used" in line] == []


async def test_checker_that_fails_is_told_and_tried_again(followed: Followed, caplog: pytest.LogCaptureFixture) -> None:
    """No memory for another process, say: the old configuration stays, and a later edit is taken."""
    followed.broken = "the checker cannot be started: Cannot allocate memory"
    await followed.write(hold(15))
    await followed.looks(5)
    (told,) = [line for line in caplog.messages if "Cannot allocate memory" in line]
    assert told.startswith("configuration not used: configuration: could not be checked: ")
    assert followed.hold_s == 10
    followed.broken = ""
    followed.follower.hurry()
    await followed.looks(1)
    assert followed.hold_s == 15


async def test_change_made_while_nobody_looked_is_caught_up(make: Make) -> None:
    """Between the start's reading and the first look, or during a restart of the part."""
    followed: Followed = await make(json.dumps(hold(10)))
    await followed.write(hold(3))
    await followed.run()
    assert followed.hold_s == 3


@pytest.mark.parametrize("text", ["{", "[]", '{"victron": {"stale_hold_s": 999}}'])
async def test_mistake_known_from_the_start_is_not_told_again(
    make: Make, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    """The start has said that the last good copy is in force; who looks finds what is wrong all the same."""
    followed: Followed = await make(text, good=json.dumps(hold(16)))
    assert followed.hold_s == 16
    await followed.run()
    assert [line for line in caplog.messages if "not used" in line or "stays" in line] == []
    assert not followed.follower.usable
    assert followed.follower.state().problems
    await followed.write(hold(17))
    await followed.looks(2)
    assert (followed.hold_s, followed.follower.usable) == (17, True)
    assert caplog.messages[-1].startswith("configuration changed") or "can be used again" in caplog.messages[-1]


async def test_command_line_wins_over_later_changes(make: Make) -> None:
    """What was chosen at the start stays for this run; only what is in force afterwards is told as changed."""
    overrides = Overrides(log_level="ERROR", device="/dev/ttyUSB3")
    followed: Followed = await make("{}", overrides=overrides)
    await followed.run()
    await followed.write({"logging": {"log_level": "DEBUG"}, **hold(18)})
    await followed.looks(2)
    assert followed.hold_s == 18
    assert followed.bridge.config.logging.log_level == "ERROR"
    assert followed.bridge.config.hardware.uart.device == "/dev/ttyUSB3"
    assert [event.paths for event in followed.told()] == [("victron.stale_hold_s",)]
    assert followed.follower.state().overrides == overrides


@pytest.mark.parametrize(
    ("cvl", "mistake"), [({"chemistry": "lto"}, "contradicts the BMS"), ({"bulk_voltage_v": 67.0}, "cvl.bulk_voltage")]
)
async def test_edit_that_does_not_fit_the_battery_is_refused(
    followed: Followed, caplog: pytest.LogCaptureFixture, cvl: dict[str, Any], mistake: str
) -> None:
    """The core knows the BMS: what contradicts its settings changes nothing, and is told."""
    followed.bridge.pack.poller.ratings = LFP_16
    await followed.write({"cvl": cvl, **hold(19)})
    await followed.looks(3)
    assert (followed.hold_s, followed.bridge.config.cvl) == (10, Configuration().cvl)
    (problem, *_) = followed.follower.state().problems
    assert mistake in str(problem)
    assert f"configuration not used: {problem}" in caplog.messages
    assert not followed.bridge.file_usable()


async def test_names_that_a_gx_would_misread_are_refused(followed: Followed) -> None:
    """A GX would apply another maker's limits: neither put in force nor judged to be good."""
    wrong = values_of(followed.bridge.config)
    wrong["victron"]["battery_name"] = "BYD Premium"
    before = followed.bridge.config
    with pytest.raises(ConfigError, match=r"victron\.battery_name: .* not begin with BYD"):
        await followed.follower.configure(wrong, "", ChangeSource.API)
    with pytest.raises(ConfigError, match=r"victron\.battery_name"):
        followed.follower.judge(wrong)
    assert followed.bridge.config is before


async def test_state_directory_that_cannot_be_used_is_told(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk does not keep the other keys of the same change from taking effect."""
    followed.full = True
    await followed.write({"advanced": {"state_directory": "/full"}, **hold(5)})
    await followed.looks(2)
    assert followed.hold_s == 5
    assert any("No space left on device; the old one stays in use" in line for line in caplog.messages)


# commands


async def test_reload_answers_what_changed(followed: Followed) -> None:
    """At once, for who asks over the link; nothing when the file says the same."""
    assert await followed.follower.reload() == ()
    await followed.write(hold(21))
    assert await followed.follower.reload() == ("victron.stale_hold_s",)
    assert followed.hold_s == 21
    await followed.looks(2)
    assert len(followed.told()) == 1


async def test_reload_of_a_bad_file_answers_every_mistake(followed: Followed) -> None:
    """With the file as the source, also when the log has told it already."""
    await followed.write({"victron": {"stale_hold_s": 999}, "cann": {}})
    await followed.looks(3)
    with pytest.raises(ConfigError) as caught:
        await followed.follower.reload()
    assert sorted(problem.path for problem in caught.value.problems) == ["cann", "victron.stale_hold_s"]
    assert caught.value.source == str(followed.path)
    assert followed.hold_s == 10


async def test_configuration_without_a_file_is_changed_by_commands_only(make: Make) -> None:
    """That of a demonstration: there is nothing to look at, and nothing to read again."""
    followed: Followed = await make(None)
    await followed.run()
    assert followed.checks == 0
    assert followed.follower.state().file == ""
    assert await followed.follower.reload() == ()
    values = values_of(replace(followed.bridge.config, victron=configured(hold(22)).victron))
    assert await followed.follower.configure(values, "", ChangeSource.API) == ("victron.stale_hold_s",)
    assert (followed.hold_s, followed.follower.state().number) == (22, 1)


async def test_what_was_saved_elsewhere_is_no_edit(followed: Followed) -> None:
    """The services have written the file and hand over its digest: the core takes it up once, not twice."""
    digest = await followed.write(hold(23))
    values = values_of(configured(hold(23)))
    assert await followed.follower.configure(values, digest, ChangeSource.API) == ("victron.stale_hold_s",)
    await followed.looks(3)
    assert followed.told() == [ConfigChanged(("victron.stale_hold_s",), ChangeSource.API)]
    assert [config.victron.stale_hold_s for config in followed.applied] == [23]


async def test_good_file_saved_over_a_bad_one_is_told(followed: Followed, caplog: pytest.LogCaptureFixture) -> None:
    """Mended through the pages as well as with an editor."""
    await followed.write("{")
    await followed.looks(3)
    digest = await followed.write(hold(24))
    await followed.follower.configure(values_of(configured(hold(24))), digest, ChangeSource.API)
    assert followed.follower.usable
    assert "the configuration file can be used again" in caplog.messages


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"victron": 5}, "victron"),
        ({"cann": {}}, "cann"),
        ({"victron": {"stale_hold_s": "ten"}}, "victron.stale_hold_s"),
        ({"victron": {"stale_hold_s": 999.0}}, "victron.stale_hold_s"),
    ],
)
async def test_values_that_are_no_configuration_are_refused(
    followed: Followed, values: dict[str, Any], path: str
) -> None:
    """Whoever sends them, and whatever that program has checked: nothing is half in force."""
    before = followed.bridge.config
    wrong = {**values_of(before), **values}
    with pytest.raises(ConfigError) as caught:
        await followed.follower.configure(wrong, "", ChangeSource.API)
    assert [problem.path for problem in caught.value.problems] == [path]
    assert followed.bridge.config is before
    assert followed.told() == []


async def test_values_are_judged_without_a_change(followed: Followed) -> None:
    """Asked before a file is saved: the battery's own settings decide, and nothing is in force yet."""
    followed.bridge.pack.poller.ratings = LFP_16
    followed.follower.judge(values_of(configured(hold(25))))
    with pytest.raises(ConfigError, match="contradicts the BMS"):
        followed.follower.judge(values_of(configured({"cvl": {"chemistry": "lto"}})))
    assert (followed.hold_s, followed.follower.state().number, followed.told()) == (10, 0, [])


async def test_changes_from_two_sides_end_with_the_last(followed: Followed) -> None:
    """An edit and ten commands at once: each is applied whole, one after the other."""
    await followed.write(hold(26))
    followed.follower.hurry()
    commands = [
        followed.follower.configure(values_of(configured(hold(second))), "", ChangeSource.API)
        for second in range(1, 11)
    ]
    await asyncio.gather(followed.follower.reload(), *commands)
    await followed.looks(2)
    assert followed.hold_s == followed.bridge.config.victron.stale_hold_s == followed.applied[-1].victron.stale_hold_s
    assert [event.paths for event in followed.told()] == [("victron.stale_hold_s",)] * len(followed.applied)


async def test_state_names_file_values_and_number(followed: Followed) -> None:
    """What the services begin with: every key with its value, and a number that grows with each change."""
    state = followed.follower.state()
    assert (state.file, state.number, state.usable) == (str(followed.path), 0, True)
    assert state.values == values_of(followed.bridge.config)
    await followed.write(hold(27))
    await followed.looks(2)
    assert followed.follower.state().number == 1
    assert followed.follower.state().values["victron"]["stale_hold_s"] == 27
