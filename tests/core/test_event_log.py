import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from tinybms_bridge.battery.alarms import AlarmCause, AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.bms_events import BmsEvent, DatedEvent
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import ChargeState, Limits
from tinybms_bridge.battery.plausibility import PlausibilityVerdict, ReadingProblem
from tinybms_bridge.battery.snapshot import Identity, Snapshot
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.models.logs import Logging
from tinybms_bridge.core.event_log import EventLog
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import (
    AlarmsChanged,
    BmsEventsSeen,
    ChangeSource,
    ChargeStateChanged,
    ConfigChanged,
    Event,
    FreshnessChanged,
    GxChanged,
    IdentityKnown,
    LimitsDecided,
    LinkChanged,
    Noted,
    PartState,
    PartStateChanged,
    SnapshotAccepted,
    SnapshotRejected,
)
from tinybms_bridge.victron.can.gx import GxState
from tinybms_bridge.words import message
from tinybms_lab.testing.fake_clock import FakeClock

OK, WARNING, ALARM = AlarmLevel.OK, AlarmLevel.WARNING, AlarmLevel.ALARM


def at_cell(cell: int, value: float, threshold: float) -> AlarmCause:
    """Return the cause of an alarm of one cell."""
    told = message("cause.cell_voltage", cell=cell, value=value, threshold=threshold)
    return AlarmCause(told, value, threshold, "V")


@dataclass
class Journal:
    """An event log at work, and the lines it has written."""

    bus: Bus
    clock: FakeClock
    caplog: pytest.LogCaptureFixture
    snapshot: Snapshot
    rejected: int = 0

    async def tell(self, *events: Event) -> list[tuple[int, str]]:
        """Publish events one after the other and return what was written since the last call."""
        for event in events:
            self.bus.publish(event, "test")
            await self.clock.advance(0.0)
        lines = [(record.levelno, record.getMessage()) for record in self.caplog.records]
        self.caplog.clear()
        return lines

    async def reject(self, *whats: str) -> list[tuple[int, str]]:
        """Publish one rejected sample for each cause."""
        lines = []
        for what in whats:
            self.rejected += 1
            verdict = PlausibilityVerdict((ReadingProblem(what, 6.5535 + self.rejected, 0.5, 5.0, "V"),))
            lines += await self.tell(SnapshotRejected(self.snapshot, verdict, self.rejected))
        return lines

    async def accept(self, after_s: float = 0.1) -> list[tuple[int, str]]:
        """Publish an accepted sample ``after_s`` later."""
        await self.clock.advance(after_s)
        return await self.tell(SnapshotAccepted(self.snapshot))


@pytest.fixture
async def journal(
    bus: Bus, clock: FakeClock, make_snapshot: Callable[..., Snapshot], caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Journal]:
    """A running event log that writes from INFO up."""
    caplog.set_level(logging.INFO, "tinybms_bridge")
    task = asyncio.create_task(EventLog(bus).run())
    await clock.advance(0.0)
    yield Journal(bus, clock, caplog, make_snapshot(hottest_c=20.0))
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_link_lines(journal: Journal) -> None:
    """The link goes down with its reason, and comes up."""
    assert await journal.tell(LinkChanged(True, "")) == [(logging.INFO, "BMS answers")]
    assert await journal.tell(LinkChanged(False, "the serial device vanished")) == [
        (logging.WARNING, "BMS link down: the serial device vanished")
    ]


async def test_identity_line(journal: Journal) -> None:
    """Which unit was found, in the words of its label."""
    identity = Identity("2.1", 2, 242, 1, 3, "0123456789ABCDEF01234567")
    assert await journal.tell(IdentityKnown(identity)) == [
        (logging.INFO, "TinyBMS hardware 2.1, firmware 2.3.242, serial number 0123456789ABCDEF01234567")
    ]


async def test_unit_that_does_not_tell_its_identity_is_no_version_zero(journal: Journal) -> None:
    """A unit that refuses the question has no version 0.0."""
    ((level, line),) = await journal.tell(IdentityKnown(Identity()))
    assert level == logging.INFO
    assert "0.0" not in line
    assert "does not tell" in line


@pytest.mark.parametrize(
    ("new", "level", "words"),
    [
        (Freshness.STARTING, logging.INFO, "waiting"),
        (Freshness.FRESH, logging.INFO, "sending"),
        (Freshness.HOLD, logging.WARNING, "charging stopped"),
        (Freshness.SILENT, logging.ERROR, "no frames are sent"),
    ],
)
async def test_freshness_lines(journal: Journal, new: Freshness, level: int, words: str) -> None:
    """Each state says what the bridge does in it, as loud as it is serious."""
    ((found, line),) = await journal.tell(FreshnessChanged(Freshness.FRESH, new))
    assert found == level
    assert words in line


@pytest.mark.parametrize(
    ("state", "level", "words"),
    [
        (GxState.PRESENT, logging.INFO, "GX device present"),
        (GxState.LOST, logging.WARNING, "no longer heard"),
        (GxState.NEVER_SEEN, logging.WARNING, "termination and bit rate"),
    ],
)
async def test_gx_lines(journal: Journal, state: GxState, level: int, words: str) -> None:
    """A GX that was never heard comes with what to check."""
    ((found, line),) = await journal.tell(GxChanged(state, 10.0))
    assert found == level
    assert words in line


async def test_charge_state_lines_can_be_switched_off(
    bus: Bus, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The key log_cvl_changes decides about these lines and about no others."""
    caplog.set_level(logging.INFO, "tinybms_bridge")
    for wanted in (True, False):
        caplog.clear()
        task = asyncio.create_task(EventLog(bus, log_charge_states=wanted).run())
        bus.publish(ChargeStateChanged(ChargeState.BULK, ChargeState.FLOAT), "test")
        bus.publish(LinkChanged(True, ""), "test")
        await clock.advance(0.0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert caplog.messages == [*(["charge state BULK -> FLOAT"] if wanted else []), "BMS answers"]


async def test_alarm_lines_name_only_what_changed(journal: Journal) -> None:
    """One line for each alarm that moved, in words; what stays is not said again."""
    old = Alarms({AlarmName.HIGH_VOLTAGE: OK, AlarmName.LOW_VOLTAGE: ALARM, AlarmName.CELL_IMBALANCE: WARNING})
    new = Alarms({AlarmName.HIGH_VOLTAGE: ALARM, AlarmName.LOW_VOLTAGE: OK, AlarmName.CELL_IMBALANCE: WARNING})
    assert await journal.tell(AlarmsChanged(old, new)) == [
        (logging.ERROR, "high voltage: alarm"),
        (logging.INFO, "low voltage: cleared"),
    ]


async def test_alarm_that_is_watched_from_now_on_is_no_news(journal: Journal) -> None:
    """The first sample brings nine alarms that are fine: nothing to tell. One that is lost while active is cleared."""
    healthy = Alarms(dict.fromkeys(AlarmName, OK))
    assert await journal.tell(AlarmsChanged(Alarms(), healthy)) == []
    hot = Alarms({AlarmName.HIGH_TEMPERATURE: WARNING})
    assert await journal.tell(AlarmsChanged(Alarms(), hot)) == [(logging.WARNING, "high temperature: warning")]
    assert await journal.tell(AlarmsChanged(hot, Alarms())) == [(logging.INFO, "high temperature: cleared")]


async def test_the_line_of_an_alarm_has_value_and_threshold(journal: Journal) -> None:
    """When it rises and when it is over: nobody has to look the cell up elsewhere."""
    name, cause = (
        AlarmName.HIGH_VOLTAGE,
        at_cell(3, 3.762, 3.75),
    )
    high = Alarms({name: AlarmLevel.ALARM}, {name: cause})
    over = Alarms({name: AlarmLevel.OK}, {name: at_cell(3, 3.69, 3.7)})

    assert await journal.tell(AlarmsChanged(Alarms(), high)) == [
        (logging.ERROR, "high voltage: alarm (cell 3 at 3.762 V, threshold 3.750 V)")
    ]
    assert await journal.tell(AlarmsChanged(high, over)) == [
        (logging.INFO, "high voltage: cleared (cell 3 at 3.690 V, threshold 3.700 V)")
    ]


async def test_repeated_rejection_is_counted_not_repeated(journal: Journal) -> None:
    """A broken cell wire is ten bad samples a second: one line when it begins, one with the count when it is over."""
    lines = await journal.reject(*["cell 6"] * 50)
    assert [level for level, _ in lines] == [logging.WARNING]
    assert lines[0][1] == "sample not used: cell 6 is 7.5535 V, expected 0.5 to 5"
    assert await journal.accept(11.0) == [(logging.INFO, "samples are plausible again after 50 rejected")]
    assert await journal.accept(11.0) == []


async def test_bad_samples_between_good_ones_do_not_flood(journal: Journal) -> None:
    """Every second sample bad, for a minute: one line, and one when it is over."""
    lines = []
    for _ in range(300):
        lines += await journal.reject("cell 6")
        lines += await journal.accept(0.2)
    assert len(lines) == 1
    for _ in range(200):
        lines += await journal.accept(0.1)
    assert lines[1:] == [(logging.INFO, "samples are plausible again after 300 rejected")]


async def test_alternating_causes_do_not_flood(journal: Journal) -> None:
    """Two bad wires that take turns are two lines; all that was rejected is counted."""
    lines = await journal.reject(*["cell 6", "cell 7"] * 40)
    assert ["cell 6" in lines[0][1], "cell 7" in lines[1][1], len(lines)] == [True, True, 2]
    assert await journal.accept(11.0) == [(logging.INFO, "samples are plausible again after 80 rejected")]


async def test_noise_with_many_causes_is_bounded(journal: Journal) -> None:
    """Noise breaks something else each time; a few examples are enough."""
    lines = await journal.reject(*[f"cell {number}" for number in range(1, 17)])
    assert 1 < len(lines) <= 5


async def test_next_spell_is_told_again(journal: Journal) -> None:
    """Once it was over, the same cause is news, and its count starts anew."""
    await journal.reject("cell 6", "cell 6")
    await journal.accept(11.0)
    assert len(await journal.reject("cell 6", "cell 6", "cell 6")) == 1
    assert await journal.accept(11.0) == [(logging.INFO, "samples are plausible again after 3 rejected")]


async def test_events_of_others_are_not_its_business(journal: Journal) -> None:
    """The supervisor writes its own lines."""
    assert await journal.tell(PartStateChanged("mqtt", PartState.FAILED, "refused")) == []


async def test_news_before_the_start_is_not_lost(bus: Bus, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """The first failure to open a port comes before any service runs; a restart of the log loses nothing either."""
    caplog.set_level(logging.INFO, "tinybms_bridge")
    event_log = EventLog(bus)
    for reason in ("at the start", "while it was being restarted"):
        bus.publish(LinkChanged(False, reason), "test")
        task = asyncio.create_task(event_log.run())
        await clock.advance(0.0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert caplog.messages == ["BMS link down: at the start", "BMS link down: while it was being restarted"]
    assert bus.statistics().subscribers == 1


async def test_changed_configuration_is_one_line(journal: Journal) -> None:
    """Who changed what; a long list is cut, and says so."""
    assert await journal.tell(ConfigChanged(("cvl.enabled", "victron.stale_hold_s"), ChangeSource.FILE)) == [
        (logging.INFO, "configuration changed (file): cvl.enabled, victron.stale_hold_s")
    ]
    ((_, text),) = await journal.tell(ConfigChanged(tuple(f"key{number}" for number in range(14)), ChangeSource.API))
    assert text.endswith("key9 and 4 more")


async def test_charge_states_can_be_switched_while_running(
    bus: Bus, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The key log_cvl_changes takes effect without a restart."""
    caplog.set_level(logging.INFO, "tinybms_bridge")
    event_log = EventLog(bus)
    task = asyncio.create_task(event_log.run())
    for wanted in (True, False, True):
        event_log.apply(Configuration(logging=Logging(log_cvl_changes=wanted)))
        bus.publish(ChargeStateChanged(ChargeState.BULK, ChargeState.FLOAT), "test")
        await clock.advance(0.0)
    task.cancel()
    assert caplog.messages == ["charge state BULK -> FLOAT"] * 2


async def test_each_visible_step_of_the_cvl_is_a_detail(
    bus: Bus, clock: FakeClock, limits: Limits, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG, in steps of 0.1 V as in the frame, and only while the switch is on."""
    caplog.set_level(logging.DEBUG, "tinybms_bridge.core.event_log")
    event_log = EventLog(bus)
    task = asyncio.create_task(event_log.run())
    for cvl_v in (14.0, 14.01, 14.2, 14.2):
        bus.publish(LimitsDecided(replace(limits, cvl_v=cvl_v)), "test")
        await clock.advance(0.0)
    event_log.apply(Configuration(logging=Logging(log_cvl_changes=False)))
    bus.publish(LimitsDecided(replace(limits, cvl_v=13.0)), "test")
    await clock.advance(0.0)
    task.cancel()
    assert [line[:10] for line in caplog.messages] == ["CVL 14.0 V", "CVL 14.2 V"]
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}


async def test_limits_that_can_no_longer_be_decided_are_a_warning(journal: Journal) -> None:
    """Nothing is sent then, and somebody has to know why the GX has lost the BMS."""
    assert await journal.tell(LimitsDecided(None)) == [(logging.WARNING, "no limits can be decided: nothing is sent")]


@pytest.mark.parametrize(
    ("severity", "level"),
    [(Severity.INFO, logging.INFO), (Severity.WARNING, logging.WARNING), (Severity.FAULT, logging.ERROR)],
)
async def test_what_a_person_or_a_service_did(journal: Journal, severity: Severity, level: int) -> None:
    """A stop by hand that ends, a setting that cannot be used: in the words of whoever noticed it."""
    noted = Noted(severity, message("inhibit.charge.released"))
    assert await journal.tell(noted) == [(level, "Charging released by hand")]


async def test_events_of_the_bms_are_written_with_their_time(journal: Journal) -> None:
    """At first contact the whole ring is new: the number of its entries, and the latest of them."""
    at = datetime(2026, 11, 30, 8, 5, tzinfo=UTC)
    some = (DatedEvent(BmsEvent(100, 0x02), at), DatedEvent(BmsEvent(200, 0x61), None))
    one, other = await journal.tell(BmsEventsSeen(some))
    assert one[1].startswith("BMS event: ")
    assert one[1].endswith(", 2026-11-30 08:05 UTC")
    assert not other[1].endswith("UTC")
    assert {one[0], other[0]} <= {logging.INFO, logging.WARNING}

    told = await journal.tell(BmsEventsSeen(some * 20))
    assert told[0][1] == "event log of the BMS: 40 entries, the latest follow"
    assert 1 < len(told) < 40
