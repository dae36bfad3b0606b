"""The service: looks at the alarms every other second, and has each way send what is to be told."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence

from tinybms_bridge.battery.alarms import AlarmLevel
from tinybms_bridge.config.models.notifications import Notifications
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.blocking import RunBlocking, in_own_thread, in_thread
from tinybms_bridge.hal.clock import Clock, until_tick_s
from tinybms_bridge.services.notify.delivery import Delivery
from tinybms_bridge.services.notify.failures import DeliveryError
from tinybms_bridge.services.notify.messages import AlarmNews, NewsLevel, Notification, Wording, one_line
from tinybms_bridge.services.notify.observed import cause_of, known_levels, present_values
from tinybms_bridge.services.notify.options import NotifyOptions
from tinybms_bridge.services.notify.record import TellRecord
from tinybms_bridge.services.notify.rules import AlarmTold, step
from tinybms_bridge.services.notify.ways import NotifyWay, NtfyWay, WebhookWay
from tinybms_bridge.services.ports import Moment
from tinybms_bridge.services.standing import ServiceStanding
from tinybms_bridge.words import Message, message

__all__ = ["NotifyService", "ways_of"]

log = logging.getLogger(__name__)

_LOOK_S = 2.0
_SAVE_AGAIN_S = 60.0
"""A disk that takes nothing is asked again after this."""


def ways_of(settings: Notifications) -> list[NotifyWay]:
    """Return the ways that are on; what one of them needs is imported here."""
    ways: list[NotifyWay] = []
    if settings.webhook.enabled:
        ways.append(WebhookWay(settings.webhook))
    if settings.ntfy.enabled:
        ways.append(NtfyWay(settings.ntfy))
    if settings.email.enabled:
        from tinybms_bridge.services.notify.mail import EmailWay

        ways.append(EmailWay(settings.email))
    return ways


class NotifyService:
    """Tells of alarms.

    Args:
        moment: Returns the battery now, of which is told.
        options: The rules, and where to.
        standing: How it stands.
        record: What was told before, loaded.
        clock: Source of time.
        run_blocking: Runs what writes files.
        run_hanging: Runs what waits for servers.
        ways: In place of those of the options.
        new_id: Returns what tells a message from every other one.

    """

    def __init__(
        self,
        moment: Callable[[], Moment],
        options: NotifyOptions,
        standing: ServiceStanding,
        record: TellRecord,
        clock: Clock,
        run_blocking: RunBlocking = in_thread,
        *,
        run_hanging: RunBlocking = in_own_thread,
        ways: Sequence[NotifyWay] | None = None,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._moment = moment
        self._settings = options.settings
        self._standing = standing
        self._record = record
        self._clock = clock
        self._run_blocking = run_blocking
        self._new_id = new_id
        self._unsaved = asyncio.Event()
        self._saved_told = record.told()
        self._testing = False
        wording = Wording(options.settings.language, one_line(options.site))
        chosen = ways_of(options.settings) if ways is None else ways
        record.keep_only(frozenset(way.name for way in chosen))
        self._deliveries = [
            Delivery(way, record.queue(way.name), wording, clock, run_hanging, standing.counters, self._changed)
            for way in chosen
        ]

    async def run(self) -> None:
        """Tell until cancelled."""
        self._standing.starting(", ".join(each.way.where for each in self._deliveries))
        self._show()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch())
                group.create_task(self._keep())
                for each in self._deliveries:
                    group.create_task(each.run())
        except* Exception as failures:  # noqa: BLE001 -- the supervisor tells it, and begins again
            raise failures.exceptions[0] from None
        finally:
            await self._save_at_end()

    async def test(self) -> Message:
        """Send a test message on every way now. Raises LinkError, with what happened on each, where one failed."""
        if self._testing:
            raise LinkError(message("notify.test_under_way"))
        self._testing = True
        try:
            told = self._message(self._moment(), ())
            results = await asyncio.gather(*(self._try(each, told) for each in self._deliveries))
        finally:
            self._testing = False
        said = message("notify.results", results=[result for result, _ in results])
        if not all(sent for _, sent in results):
            raise LinkError(said)
        return said

    async def _try(self, delivery: Delivery, told: Notification) -> tuple[Message, bool]:
        way = delivery.way.name
        try:
            remark = await delivery.send(told)
        except DeliveryError as error:
            return message("notify.not_sent", way=way, reason=error.why), False
        if remark is not None:
            return message("notify.sent_but", way=way, reason=remark), True
        return message("notify.sent", way=way), True

    # what is to be told

    async def _watch(self) -> None:
        while True:
            self._look(self._moment())
            self._standing.working_long_enough()
            await self._clock.sleep(until_tick_s(self._clock, _LOOK_S))

    def _look(self, moment: Moment) -> None:
        """Tell what has to be told at a moment."""
        local = moment.at.astimezone().time()
        found = step(self._record.memory, known_levels(moment), self._settings, self._clock.monotonic(), local)
        self._record.memory = found.memory
        for each in found.told:
            self._tell(self._message(moment, (each,)))
        if found.held:
            self._tell(self._message(moment, found.held))
        if self._record.told() != self._saved_told:
            self._saved_told = self._record.told()
            self._unsaved.set()

    def _tell(self, told: Notification) -> None:
        for each in self._deliveries:
            each.put(told)
        self._unsaved.set()

    def _message(self, moment: Moment, told: Sequence[AlarmTold]) -> Notification:
        now_s = self._clock.monotonic()
        news = tuple(self._news(moment, each, now_s) for each in told)
        return Notification(self._new_id(), moment.at, news, present_values(moment), made_s=now_s)

    @staticmethod
    def _news(moment: Moment, told: AlarmTold, now_s: float) -> AlarmNews:
        cause = cause_of(told.name, moment) if told.event == "raised" else None
        level: NewsLevel = "alarm" if told.level is AlarmLevel.ALARM else "warning"
        return AlarmNews(told.event, told.name, level, now_s - told.since_s, cause)

    # how it stands, and what survives

    def _changed(self) -> None:
        self._unsaved.set()
        self._show()

    def _show(self) -> None:
        troubles = [
            message("notify.not_sent", way=each.way.name, reason=each.failure)
            for each in self._deliveries
            if each.failure is not None
        ]
        if troubles:
            self._standing.trouble(message("notify.results", results=troubles))
        else:
            self._standing.working()

    async def _keep(self) -> None:
        """Save what has changed; a disk that takes nothing is told once and asked again."""
        told = False
        while True:
            await self._unsaved.wait()
            self._unsaved.clear()
            try:
                await self._run_blocking(self._record.write, *self._record.document(self._clock))
                told = False
            except OSError as error:
                self._standing.counters["not_saved"] += 1
                if not told:
                    log.warning("what was told cannot be saved: %s; after a restart it may be told again", error)
                told = True
                self._unsaved.set()
                await self._clock.sleep(_SAVE_AGAIN_S)

    async def _save_at_end(self) -> None:
        if self._unsaved.is_set():
            self._unsaved.clear()
            try:
                await self._run_blocking(self._record.write, *self._record.document(self._clock))
            except OSError as error:
                log.warning("what was told could not be saved: %s; it may be told again", error)
