"""The queue of one way: retries, losses, permanent refusals, and a server that hangs."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.services.notify.delivery import FIRST_PAUSE_S, MOST_PAUSE_S, MOST_WAIT_S, Delivery
from tinybms_bridge.services.notify.failures import DeliveryError
from tinybms_bridge.services.notify.messages import AlarmNews, Notification, Wording
from tinybms_bridge.services.notify.record import MOST_WAITING
from tinybms_bridge.services.notify.sockets import Deadline
from tinybms_bridge.services.notify.ways import Letter
from tinybms_bridge.words import Message, message
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.virtual_time import LoopClock

AT = datetime(2026, 1, 1, tzinfo=UTC)
LATER = DeliveryError(message("notify.http_status", status=503))
NEVER = DeliveryError(message("notify.http_refused", status=404), refused=True)


class Scripted:
    """A way that does what it is told, one thing for each try, and the last one for all others."""

    name = "webhook"
    where = "webhook"
    limit_s = 20.0

    def __init__(self, clock: FakeClock | LoopClock, *script: BaseException | Message | None) -> None:
        self.clock = clock
        self.script = [*script] or [None]
        self.tries: list[tuple[float, str]] = []
        self.letters: list[Letter] = []

    def send(self, letter: Letter, _deadline: Deadline) -> Message | None:
        """Do the next thing."""
        self.tries.append((self.clock.monotonic() - 1000.0, letter.told.id))
        self.letters.append(letter)
        chosen = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(chosen, BaseException):
            raise chosen
        return chosen

    @property
    def ids(self) -> list[str]:
        """Which message each try was of."""
        return [id_ for _, id_ in self.tries]

    @property
    def times_s(self) -> list[float]:
        """When each try was, from the beginning of the test."""
        return [round(at_s, 3) for at_s, _ in self.tries]


def notification(number: int = 1, made_s: float | None = None) -> Notification:
    """Return a message."""
    return Notification(str(number), AT, (AlarmNews("raised", "low_soc", "warning"),), made_s=made_s)


class Sending:
    """A delivery that runs."""

    def __init__(self, clock: Any, way: Scripted, run: Any = in_place) -> None:
        self.way = way
        self.waiting: deque[Notification] = deque()
        self.counters: Counter[str] = Counter()
        self.changes = 0
        self.delivery = Delivery(way, self.waiting, Wording("en", ""), clock, run, self.counters, self._count)
        self.task = asyncio.create_task(self.delivery.run())

    def trouble(self) -> Message | None:
        """Return why the last message was not sent."""
        return self.delivery.failure

    def _count(self) -> None:
        self.changes += 1


Begin = Callable[..., Sending]


@pytest.fixture
async def begin(clock: FakeClock) -> AsyncIterator[Begin]:
    """Return what begins a delivery on the clock of the test, by a script."""
    begun: list[Sending] = []

    def make(*script: BaseException | Message | None, **keys: Any) -> Sending:
        begun.append(Sending(clock, Scripted(clock, *script), **keys))
        return begun[-1]

    yield make
    for each in begun:
        assert not each.task.done(), each.task
        each.task.cancel()


async def test_messages_go_out_in_their_order(clock: FakeClock, begin: Begin) -> None:
    """Each once, as soon as it is there."""
    sending = begin()
    for number in range(3):
        sending.delivery.put(notification(number))
    await clock.advance(1.0)
    sending.delivery.put(notification(3))
    await clock.advance(1000.0)
    assert sending.way.ids == ["0", "1", "2", "3"]
    assert (list(sending.waiting), sending.counters, sending.trouble()) == ([], {"sent": 4}, None)


async def test_what_fails_is_tried_again_after_longer_and_longer(clock: FakeClock, begin: Begin) -> None:
    """Doubling up to a quarter of an hour; then as before."""
    sending = begin(*[LATER] * 12, None)
    sending.delivery.put(notification())
    await clock.advance(86_400.0)
    gaps = [after - before for before, after in zip(sending.way.times_s, sending.way.times_s[1:], strict=False)]
    assert gaps == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, *[MOST_PAUSE_S] * 4]
    assert sending.counters == {"failed": 12, "sent": 1}
    assert sending.trouble() is None
    sending.way.script = [LATER, None]
    sending.way.tries.clear()
    sending.delivery.put(notification(2))
    await clock.advance(60.0)
    assert [after - before for before, after in [sending.way.times_s]] == [FIRST_PAUSE_S]


async def test_trouble_is_there_while_it_lasts(clock: FakeClock, begin: Begin) -> None:
    """For whoever asks how it stands."""
    sending = begin(LATER, None)
    sending.delivery.put(notification())
    await clock.advance(1.0)
    assert sending.trouble() == LATER.why
    changes = sending.changes
    await clock.advance(10.0)
    assert sending.trouble() is None
    assert sending.changes > changes


async def test_a_new_message_ends_a_long_pause(clock: FakeClock, begin: Begin) -> None:
    """The network may be back, and it may be an alarm; but the server has a moment of rest."""
    sending = begin(*[LATER] * 9, None)
    sending.delivery.put(notification(1))
    await clock.advance(1400.0)
    assert len(sending.way.tries) == 9
    sending.delivery.put(notification(2))
    await clock.advance(0.1)
    assert sending.way.ids[9:] == ["1", "2"]
    sending.way.script = [LATER]
    for number in range(3, 40):
        sending.delivery.put(notification(number))
        await clock.advance(1.0)
    assert len(sending.way.tries) - 11 <= 37 / FIRST_PAUSE_S + 1


async def test_what_is_refused_is_not_tried_again(clock: FakeClock, begin: Begin) -> None:
    """Nor does it keep the next one from going out; both are told."""
    sending = begin(NEVER, None)
    sending.delivery.put(notification(1))
    sending.delivery.put(notification(2))
    await clock.advance(1.0)
    assert sending.trouble() == NEVER.why
    await clock.advance(86_400.0)
    assert sending.way.ids == ["1", "2"]
    assert sending.counters == {"refused": 1, "sent": 1}


@pytest.mark.parametrize(("asked_s", "waited_s"), [(120.0, 120.0), (1.0, FIRST_PAUSE_S), (90_000.0, MOST_WAIT_S)])
async def test_a_server_may_ask_to_wait(clock: FakeClock, begin: Begin, asked_s: float, waited_s: float) -> None:
    """Within reason."""
    sending = begin(DeliveryError(message("notify.http_status", status=429), wait_s=asked_s), None)
    sending.delivery.put(notification())
    await clock.advance(86_400.0)
    assert sending.way.times_s == [0.0, waited_s]


async def test_the_newest_are_kept_and_losses_counted(clock: FakeClock, begin: Begin) -> None:
    """A week without a network fills no memory, and the one that is under way is no exception."""
    sending = begin(LATER)
    for number in range(MOST_WAITING + 30):
        sending.delivery.put(notification(number))
        await clock.advance(3600.0)
    assert [each.id for each in sending.waiting] == [str(number) for number in range(30, 30 + MOST_WAITING)]
    assert sending.counters["dropped"] == 30
    sending.way.script = [None]
    sending.way.tries.clear()
    await clock.advance(MOST_PAUSE_S)
    assert sending.way.ids == [str(number) for number in range(30, 30 + MOST_WAITING)]


async def test_a_remark_is_trouble_although_it_is_sent(clock: FakeClock, begin: Begin) -> None:
    """One of several recipients was refused: the others have it."""
    remark = message("notify.mail_recipients", code=550, count=1)
    sending = begin(remark, None)
    sending.delivery.put(notification(1))
    await clock.advance(1.0)
    assert (sending.trouble(), sending.counters) == (remark, {"sent": 1})
    sending.delivery.put(notification(2))
    await clock.advance(1.0)
    assert sending.trouble() is None


@pytest.mark.parametrize(
    ("error", "code", "refused"),
    [
        (OSError(28, "secret"), "notify.system", False),
        (TimeoutError("secret"), "notify.no_answer", False),
        (OSError("secret"), "notify.unexpected", False),
        (ValueError("secret"), "notify.unexpected", True),
        (RecursionError("secret"), "notify.unexpected", True),
    ],
)
async def test_no_failure_stops_the_others_or_tells_a_secret(
    clock: FakeClock, begin: Begin, error: Exception, code: str, refused: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """What the system says may pass; what a message does to a library would come again."""
    sending = begin(error, None)
    sending.delivery.put(notification(1))
    sending.delivery.put(notification(2))
    await clock.advance(1.0)
    trouble = sending.trouble()
    assert trouble is not None
    assert (trouble.code, "secret" in str(trouble)) == (code, False)
    await clock.advance(100.0)
    assert sending.way.ids == (["1", "2"] if refused else ["1", "1", "2"])
    assert "secret" not in caplog.text


async def test_the_time_is_put_right_at_the_moment_of_sending(clock: FakeClock, begin: Begin) -> None:
    """After hours without a network it says that it is late."""
    sending = begin(LATER)
    sending.delivery.put(notification(made_s=clock.monotonic()))
    await clock.advance(7200.0)
    first, last = sending.way.letters[0], sending.way.letters[-1]
    assert first.told.at == last.told.at == AT
    assert (first.words.document["late"], last.words.document["late"]) == (False, True)
    assert "minutes ago" in last.words.body


@pytest.mark.virtual_time
async def test_a_thread_that_hangs_is_not_waited_for() -> None:
    """As where the DNS never answers: it counts as a failure soon after the deadline, and is tried again."""
    clock = LoopClock()

    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    sending = Sending(clock, Scripted(clock), run=hang)
    sending.delivery.put(notification())
    await clock.sleep(60.0)
    assert sending.counters == {"failed": 2}
    assert sending.trouble() == message("notify.no_answer", limit_s=20.0)
    assert len(sending.waiting) == 1
    sending.task.cancel()
