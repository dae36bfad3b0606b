import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from itertools import pairwise

import pytest

from tinybms_bridge.core.supervisor import Part, PathFailure, RestartSettings, Supervisor
from tinybms_bridge.errors import LinkError, described
from tinybms_bridge.link.events import PartState
from tinybms_bridge.link.state import PartStatus
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.words import said

Run = Callable[[], Awaitable[None]]
STEADY = RestartSettings(jitter=0.0)


async def forever() -> None:
    """Run until cancelled."""
    await asyncio.Event().wait()


async def ends() -> None:
    """End at once."""


def failing(clock: FakeClock, starts_s: list[float], *, runs_s: Iterable[float] = (), text: str = "broken") -> Run:
    """Return a part that notes each start, runs for the next of ``runs_s`` (else not at all), and fails."""
    durations_s = iter(runs_s)

    async def run() -> None:
        starts_s.append(clock.monotonic())
        await clock.sleep(next(durations_s, 0.0))
        raise LinkError(text)

    return run


@pytest.fixture(name="clock")
def _clock() -> FakeClock:
    return FakeClock(start_s=0.0)


async def run_for(supervisor: Supervisor, clock: FakeClock, duration_s: float) -> None:
    """Run a supervisor for some fake seconds and stop it."""
    task = asyncio.create_task(supervisor.run())
    await clock.advance(duration_s)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the messages that a user sees."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def test_service_is_restarted_with_growing_delays(clock: FakeClock) -> None:
    """The delays double from half a second and stop growing at 30 s."""
    starts_s: list[float] = []
    supervisor = Supervisor(clock, settings=STEADY)
    supervisor.add("mqtt", failing(clock, starts_s))
    await run_for(supervisor, clock, 130.0)

    delays_s = [late - early for early, late in pairwise(starts_s)]
    assert delays_s == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert supervisor.parts["mqtt"].restarts == 9


async def test_long_run_starts_the_delays_again(clock: FakeClock) -> None:
    """A service that ran well for a minute is restarted after half a second, however often it failed before."""
    starts_s: list[float] = []
    supervisor = Supervisor(clock, settings=STEADY)
    supervisor.add("mqtt", failing(clock, starts_s, runs_s=[0.0, 0.0, 59.9, 60.0, 0.0]))
    await run_for(supervisor, clock, 130.0)

    assert starts_s[:6] == pytest.approx([0.0, 0.5, 1.5, 63.4, 123.9, 124.9])


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
async def test_delay_is_jittered_within_bounds(clock: FakeClock, monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """The delay varies by a fifth, so that parts which failed together do not restart together."""
    monkeypatch.setattr(random, "uniform", lambda low, high: low + share * (high - low))
    starts_s: list[float] = []
    supervisor = Supervisor(clock)
    supervisor.add("mqtt", failing(clock, starts_s))
    await run_for(supervisor, clock, 0.7)

    assert starts_s == pytest.approx([0.0, 0.5 * (0.8 + 0.4 * share)])


async def test_same_failure_is_logged_once(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """A broker that is away for an hour is one line in the log, not a hundred."""
    caplog.set_level(logging.DEBUG)
    supervisor = Supervisor(clock, settings=STEADY)
    supervisor.add("mqtt", failing(clock, [], text="no broker"))
    await run_for(supervisor, clock, 3600.0)

    assert warnings(caplog) == ["mqtt failed: no broker; it is started again"]
    assert "mqtt failed again: no broker" in caplog.text


async def test_other_failure_is_logged_again(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """A new cause is new information."""
    causes = iter(["no broker", "no broker", "refused"])

    async def run() -> None:
        if (cause := next(causes, None)) is None:
            await forever()
        raise LinkError(str(cause))

    supervisor = Supervisor(clock, settings=STEADY)
    supervisor.add("mqtt", run)
    await run_for(supervisor, clock, 60.0)

    assert [text.split(": ")[1] for text in warnings(caplog)] == [
        "no broker; it is started again",
        "refused; it is started again",
    ]


async def test_same_failure_after_a_good_run_is_logged_again(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure that returns after an hour of good work is news."""
    supervisor = Supervisor(clock, settings=STEADY)
    supervisor.add("mqtt", failing(clock, [], runs_s=[0.0, 3600.0, 0.0]))
    await run_for(supervisor, clock, 3700.0)

    assert len(warnings(caplog)) == 2


async def test_failed_service_is_shown_and_others_go_on(clock: FakeClock) -> None:
    """State and error of a failing part can be seen while its neighbour runs undisturbed."""
    supervisor = Supervisor(clock, settings=STEADY)
    supervisor.add("mqtt", failing(clock, [], text="no broker"))
    supervisor.add("path", forever, critical=True)
    task = asyncio.create_task(supervisor.run())
    await clock.advance(10.0)

    mqtt, path = supervisor.parts["mqtt"], supervisor.parts["path"]
    assert (mqtt.state, mqtt.error) == (PartState.FAILED, "no broker")
    assert (path.state, path.error) == (PartState.RUNNING, "")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert mqtt.state is path.state is PartState.STOPPED


async def test_every_change_is_told(clock: FakeClock) -> None:
    """The callback sees each state of a part in order."""
    seen: list[tuple[str, PartState, str]] = []

    def note(part: Part) -> None:
        seen.append((part.name, part.state, part.error))

    supervisor = Supervisor(clock, note, STEADY)
    supervisor.add("web", failing(clock, [], text="port in use"))
    await run_for(supervisor, clock, 0.6)

    assert seen == [
        ("web", PartState.RUNNING, ""),
        ("web", PartState.FAILED, "port in use"),
        ("web", PartState.RUNNING, "port in use"),
        ("web", PartState.FAILED, "port in use"),
        ("web", PartState.STOPPED, "port in use"),
    ]


async def test_service_that_ends_is_stopped(clock: FakeClock) -> None:
    """A service that has done its work is not started again and ends nothing else."""
    supervisor = Supervisor(clock, settings=STEADY)
    supervisor.add("once", ends)
    await supervisor.run()

    assert supervisor.parts["once"].state is PartState.STOPPED
    assert supervisor.parts["once"].restarts == 0


async def test_critical_failure_ends_everything(clock: FakeClock) -> None:
    """When a part of the path fails, its error reaches the caller and every other part is cancelled first."""
    cancelled = []

    async def other() -> None:
        try:
            await forever()
        finally:
            cancelled.append("other")

    async def path() -> None:
        await clock.sleep(5.0)
        raise LinkError("CAN interface can0 is gone")

    supervisor = Supervisor(clock, settings=STEADY)
    supervisor.add("web", other)
    supervisor.add("mqtt", failing(clock, []))
    supervisor.add("transmitter", path, critical=True)
    task = asyncio.create_task(supervisor.run())
    await clock.advance(6.0)

    with pytest.raises(PathFailure, match=r"^transmitter failed: CAN interface can0 is gone$") as caught:
        await task
    assert (caught.value.part, caught.value.reason) == ("transmitter", "CAN interface can0 is gone")
    assert cancelled == ["other"]
    states = {part.name: part.state for part in supervisor.parts.values()}
    assert states == {"web": PartState.STOPPED, "mqtt": PartState.STOPPED, "transmitter": PartState.FAILED}


async def test_critical_part_may_not_end(clock: FakeClock) -> None:
    """A part of the path that returns is as bad as one that fails."""
    supervisor = Supervisor(clock, settings=STEADY)
    supervisor.add("poller", ends, critical=True)
    supervisor.add("web", forever)

    with pytest.raises(PathFailure, match="poller failed: ended on its own"):
        await supervisor.run()


async def leaks_cancellation() -> None:
    """Await a task that somebody else cancelled."""
    task = asyncio.create_task(forever())
    task.cancel()
    await task


async def test_leaked_cancellation_ends_the_path(clock: FakeClock) -> None:
    """A critical part that dies of a CancelledError from inside must not leave a process without a path."""
    supervisor = Supervisor(clock, settings=STEADY)
    supervisor.add("poller", leaks_cancellation, critical=True)
    supervisor.add("web", forever)

    with pytest.raises(PathFailure, match="poller failed: cancelled from inside"):
        await supervisor.run()


async def test_leaked_cancellation_restarts_a_service(clock: FakeClock) -> None:
    """A service that dies of a CancelledError from inside is restarted like any other."""
    supervisor = Supervisor(clock, settings=STEADY)
    supervisor.add("mdns", leaks_cancellation)
    await run_for(supervisor, clock, 0.6)

    assert supervisor.parts["mdns"].restarts == 1
    assert supervisor.parts["mdns"].error == "cancelled from inside"


async def test_two_critical_failures_give_one(clock: FakeClock) -> None:
    """When the second part of the path fails while it is cancelled, the first failure is the one reported."""

    async def first() -> None:
        await clock.sleep(1.0)
        raise LinkError("first")

    async def second() -> None:
        try:
            await forever()
        finally:
            raise LinkError("second")

    supervisor = Supervisor(clock, settings=STEADY)
    supervisor.add("second", second, critical=True)
    supervisor.add("first", first, critical=True)
    task = asyncio.create_task(supervisor.run())
    await clock.advance(1.0)

    with pytest.raises(PathFailure, match=r"^first failed: first$"):
        await task


def test_part_may_not_be_registered_twice(clock: FakeClock) -> None:
    """Two parts of one name would hide each other's state."""
    supervisor = Supervisor(clock)
    supervisor.add("web", forever)

    with pytest.raises(ValueError, match="part 'web' is registered twice"):
        supervisor.add("web", forever)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (LinkError("gone", hint="plug it in"), "gone (plug it in)"),
        (ValueError("bad"), "ValueError: bad"),
        (KeyError(), "KeyError"),
    ],
)
def test_errors_in_one_line(error: Exception, text: str) -> None:
    """Our own errors speak for themselves; others are shown with their type, also without a text."""
    assert described(error).text == text


async def test_unexpected_failure_keeps_its_traceback(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """A programming error in a service is a warning of one line and a traceback at DEBUG."""
    caplog.set_level(logging.DEBUG)

    async def run() -> None:
        raise ZeroDivisionError("oops")

    supervisor = Supervisor(clock, settings=STEADY)
    supervisor.add("web", run)
    await run_for(supervisor, clock, 0.1)

    assert warnings(caplog) == ["web failed: ZeroDivisionError: oops; it is started again"]
    assert any(r.exc_info and r.levelno == logging.DEBUG for r in caplog.records)


@pytest.mark.parametrize("name", ["Web", "web watch", "web_watch", "-web", ""])
def test_a_part_is_named_in_one_way(clock: FakeClock, name: str) -> None:
    """Small letters with dashes: what is typed into a command or a URL needs no quotes."""
    with pytest.raises(ValueError, match="small letters"):
        Supervisor(clock).add(name, forever)


async def test_a_part_is_found_by_its_name_of_before(clock: FakeClock) -> None:
    """A script that was written for 0.1 restarts the same part."""
    supervisor = Supervisor(clock)
    supervisor.add("inhibits", forever)
    task = asyncio.create_task(supervisor.run())
    await clock.advance(1.0)

    supervisor.restart("manual stops")
    await clock.advance(0.1)

    assert supervisor.parts["inhibits"].restarts == 1
    await stop(task)


async def run_twice(clock: FakeClock, supervisor: Supervisor, *, at_s: float) -> asyncio.Task[None]:
    """Run a supervisor and ask for a restart of ``part``."""
    task = asyncio.create_task(supervisor.run())
    await clock.advance(at_s)
    supervisor.restart("part")
    await clock.advance(0.1)
    return task


async def stop(task: asyncio.Task[None]) -> None:
    """Stop a supervisor as a signal does."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("critical", [True, False])
async def test_part_can_be_restarted_alone(clock: FakeClock, critical: bool) -> None:
    """It is stopped in order and starts at once; neighbours run on, and nothing counts as a failure."""
    news: list[tuple[str, str, str]] = []
    steps: list[str] = []

    async def run() -> None:
        steps.append("start")
        try:
            await forever()
        finally:
            await asyncio.sleep(0)
            steps.append("stop")

    supervisor = Supervisor(clock, lambda part: news.append((part.name, part.state, part.error)), STEADY)
    supervisor.add("part", run, critical=critical)
    supervisor.add("neighbour", forever, critical=True)
    task = await run_twice(clock, supervisor, at_s=5.0)

    assert steps == ["start", "stop", "start"]
    assert [each for each in news if each[0] == "neighbour"] == [("neighbour", "running", "")]
    assert [each[1] for each in news if each[0] == "part"] == ["running", "stopped", "running"]
    assert supervisor.parts["part"].restarts == 1
    await stop(task)
    assert steps[-1] == "stop"
    assert supervisor.parts["part"].state is PartState.STOPPED


async def test_part_can_be_restarted_many_times(clock: FakeClock) -> None:
    """Each request is one restart; two at the same moment are one; a stop afterwards still stops."""
    starts_s: list[float] = []

    async def run() -> None:
        starts_s.append(clock.monotonic())
        await forever()

    supervisor = Supervisor(clock, settings=STEADY)
    supervisor.add("part", run, critical=True)
    task = asyncio.create_task(supervisor.run())
    await clock.advance(1.0)
    for _ in range(3):
        supervisor.restart("part")
        supervisor.restart("part")
        await clock.advance(1.0)

    assert starts_s == [0.0, 1.0, 2.0, 3.0]
    await stop(task)


async def test_waiting_part_starts_at_once_when_asked(clock: FakeClock) -> None:
    """Somebody has mended what a service failed for: no need to wait for its next attempt."""
    starts_s: list[float] = []
    supervisor = Supervisor(clock, settings=RestartSettings(first_s=30.0, jitter=0.0))
    supervisor.add("part", failing(clock, starts_s))
    task = await run_twice(clock, supervisor, at_s=5.0)

    assert starts_s == [0.0, 5.0]
    await stop(task)


async def test_part_that_fails_while_it_is_stopped_is_started_again(clock: FakeClock) -> None:
    """A service whose cleaning up fails is a failed service, and can be restarted and stopped later on."""
    starts_s: list[float] = []

    async def run() -> None:
        starts_s.append(clock.monotonic())
        try:
            await forever()
        finally:
            raise LinkError("cannot close")

    supervisor = Supervisor(clock, settings=STEADY)
    supervisor.add("part", run)
    task = await run_twice(clock, supervisor, at_s=1.0)
    await clock.advance(1.0)
    assert starts_s == [0.0, 1.5]
    supervisor.restart("part")
    await clock.advance(3.0)
    assert len(starts_s) == 3
    await stop(task)


async def test_stop_wins_over_a_restart(clock: FakeClock) -> None:
    """SIGTERM right after a restart was asked for ends the part for good."""
    supervisor = Supervisor(clock, settings=STEADY)
    supervisor.add("part", forever, critical=True)
    task = asyncio.create_task(supervisor.run())
    await clock.advance(1.0)
    supervisor.restart("part")
    await asyncio.wait_for(stop(task), 30.0)

    assert supervisor.parts["part"].state is PartState.STOPPED


async def test_restart_before_the_start_and_after_the_end_does_nothing(clock: FakeClock) -> None:
    """There is nothing to stop, and what has not begun begins with the new settings anyway."""
    supervisor = Supervisor(clock, settings=STEADY)
    supervisor.add("part", ends)
    supervisor.restart("part")
    task = asyncio.create_task(supervisor.run())
    await clock.advance(1.0)
    supervisor.restart("part")
    await clock.advance(1.0)

    assert supervisor.parts["part"].restarts == 0
    assert task.done()


def test_statuses_tell_how_each_part_is(clock: FakeClock) -> None:
    """In the order in which they were added, for whoever shows them."""
    supervisor = Supervisor(clock)
    supervisor.add("path", ends, critical=True)
    supervisor.add("part", ends)
    supervisor.parts["part"].failure = said("no broker")
    supervisor.parts["part"].restarts = 2
    assert supervisor.statuses() == [
        PartStatus("path", "starting", critical=True),
        PartStatus("part", "starting", "no broker", 2, message=said("no broker")),
    ]


def test_unknown_part_cannot_be_restarted(clock: FakeClock) -> None:
    """A typo in a request is an error, not silence."""
    with pytest.raises(KeyError, match="nobody"):
        Supervisor(clock).restart("nobody")
