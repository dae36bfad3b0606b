import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import FrozenInstanceError, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.alarm_rules import AlarmSettings
from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.freshness import Freshness, FreshnessSettings
from tinybms_bridge.battery.limits import (
    ChargeDefaults,
    ChargeState,
    Chemistry,
    Evidence,
    Inhibited,
    Limits,
    LimitSettings,
    Memory,
    Quantity,
    ResistanceMemory,
    SocSource,
    StateMemory,
    StateSettings,
    in_wire_steps,
    step,
)
from tinybms_bridge.battery.limits.evidence_memory import UNLEARNED_S
from tinybms_bridge.battery.limits.reasons import explain
from tinybms_bridge.battery.plausibility import PlausibilitySettings
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.snapshot import BmsStatus, Cells, PackValues, Ratings, Snapshot, Temperatures
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.core.battery import Battery, BatterySettings
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import (
    AlarmsChanged,
    ChargeStateChanged,
    Event,
    FreshnessChanged,
    LimitsDecided,
    Noted,
    SnapshotAccepted,
    SnapshotRejected,
)
from tinybms_bridge.victron.can.codec import FrameSettings, decode_frame, encode_frames
from tinybms_bridge.victron.can.field import FieldValue

RATINGS = Ratings(
    series_cells=16,
    fully_charged_cell_v=3.50,
    fully_discharged_cell_v=2.90,
    over_voltage_cell_v=3.75,
    under_voltage_cell_v=2.50,
    charge_over_current_a=60.0,
    discharge_over_current_a=120.0,
    discharge_peak_current_a=None,
    over_heat_c=60.0,
    low_temperature_charge_c=1.0,
    capacity_ah=100.0,
)

CELLS_V = (3.30,) * 16
FULL_V = 16 * 3.50


BY_THE_BMS = BatterySettings(limits=LimitSettings(soc_source=SocSource.BMS))
FLOAT_BY_SOC = BatterySettings(limits=LimitSettings(soc_source=SocSource.BMS, defaults=ChargeDefaults.BEFORE))
TARGET_V = 54.7
"""By chemistry: 16 x (register 300 - 0.08 V), in the steps of the frame."""
"""The state of charge is that of the samples, which may leap."""


def sample(at_s: float, number: int, *, frozen: bool = False, **changes: Any) -> Snapshot:
    """Return a sample of a healthy 16-cell pack with changes; the pack voltage is the sum of the cells."""
    cells_v = tuple(changes.pop("cells_v", CELLS_V))
    temperatures = changes.pop("temperatures", Temperatures(internal_c=25.0))
    ratings = changes.pop("ratings", RATINGS)
    pack = PackValues(voltage_v=sum(cells_v), current_a=0.0, soc_percent=50.0, status=BmsStatus.IDLE)
    image = b"" if frozen else number.to_bytes(8)  # a BMS that lives: something moves with each sample
    return Snapshot(number, at_s, replace(pack, **changes), Cells(cells_v), temperatures, ratings, image=image)


@dataclass
class Rig:
    """A pipeline with the clock and the BMS in the hand of the test."""

    settings: BatterySettings = field(default_factory=BatterySettings)
    saved: SavedState | None = None
    now_s: float = 1000.0
    number: int = 0

    def __post_init__(self) -> None:
        self.bus = Bus(lambda: self.now_s, lambda: datetime(2026, 1, 1, tzinfo=UTC))
        self.events = self.bus.subscribe(depth=100_000)
        self.pipeline = Battery(self.bus, self.settings, self.saved)

    def feed(self, count: int = 1, *, every_s: float = 0.1, **changes: Any) -> bool:
        """Hand over samples; returns whether the last one was believed."""
        accepted = False
        for _ in range(count):
            self.now_s += every_s
            self.number += 1
            accepted = self.pipeline.accept(sample(self.now_s, self.number, **changes), self.now_s)
        return accepted

    def wait(self, seconds: float, *, tick_s: float = 0.25) -> BatteryState | None:
        """Let time pass without a sample; returns what may be sent then."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s = min(end_s, self.now_s + tick_s)
            self.pipeline.tick(self.now_s)
        return self.sendable()

    def sendable(self) -> BatteryState | None:
        """Return the state if it may be sent now."""
        state = self.pipeline.state()
        return state if state.may_send else None

    def taken(self, kind: type[Event]) -> list[Any]:
        """Return the waiting events of a kind, oldest first, and forget all others."""
        taken = []
        while (envelope := self.events.take()) is not None:
            taken.append(envelope.event)
        return [event for event in taken if isinstance(event, kind)]

    def decided(self) -> BatteryState:
        """Return what may be sent now; there must be something."""
        decision = self.sendable()
        assert decision is not None
        return decision

    def sent(self) -> dict[str, FieldValue]:
        """Return the fields of the minimum frames that would go out now."""
        return decoded(self.decided())


def decoded(decision: BatteryState) -> dict[str, FieldValue]:
    """Return the fields of the minimum frames of a decision, as a GX reads them."""
    frames = encode_frames(decision, FrameSettings())[:4]
    return {name: value for frame in frames for name, value in decode_frame(frame).values.items()}


def number_of(fields: Mapping[str, FieldValue], name: str) -> float:
    """Return a numeric field."""
    value = fields[name]
    assert not isinstance(value, str)
    return float(value)


def settled(settings: BatterySettings = BatterySettings(), saved: SavedState | None = None) -> Rig:  # noqa: B008 -- frozen
    """Return a pipeline whose limits have risen to their targets; the last samples came within a second."""
    rig = Rig(settings, saved)
    rig.feed(150, every_s=1.0)
    rig.feed(3)
    rig.taken(Event)
    return rig


@pytest.fixture
def rig() -> Rig:
    """A pipeline whose limits have risen to their targets; the last samples came within a second."""
    return settled(BatterySettings())


def test_the_state_is_made_once_for_all_who_read_it(rig: Rig) -> None:
    """Nineteen frames a second ask for it; whatever changes in it makes another one."""
    battery = rig.pipeline
    before = battery.state()
    assert battery.state() is before

    rig.feed()
    fed = battery.state()
    assert fed is not before
    assert fed.snapshot.sequence == rig.number
    battery.tick(rig.now_s + 1.0)
    assert battery.state().made_s == rig.now_s + 1.0
    rejected, _ = battery.unit.doubted
    rig.feed(cells_v=(9.0,) * 16)
    assert battery.unit.doubted[0] == rejected + 1
    battery.unit.reset_statistics()
    assert battery.unit.doubted[0] == 0
    battery.begin_with(SavedState())
    assert battery.state().decided is None


def test_a_leap_of_the_count_of_the_bms_is_told_once(rig: Rig) -> None:
    """Somebody has set it: the state of charge stays what the bridge has counted."""
    rig.feed(10, soc_percent=20.0)
    (noted,) = rig.taken(Noted)
    assert noted.text.startswith("The count of the BMS went from 50.0 to 20.0 % without a current")
    assert number_of(rig.sent(), "soc") == 50.0


def test_what_use_has_shown_is_told_once() -> None:
    """In full words when it is found, and that it is over; a restart repeats nothing."""
    waited = SavedState(memory=Memory(evidence=Evidence(flowing_s=UNLEARNED_S - 30.0)))
    rig = settled(saved=waited)
    rig.feed(700, current_a=-5.0)
    (noted,) = [each for each in rig.taken(Noted) if each.code.startswith("battery.")]
    assert (noted.code, noted.severity) == ("battery.resistance_not_learned", Severity.INFO)
    assert noted.text.startswith("the resistance of the cells is not learned: in 100 h")
    rig.feed(700, current_a=-5.0)
    again = settled(saved=rig.pipeline.saved_state())
    again.feed(700, current_a=-5.0)
    assert [each.code for each in (*rig.taken(Noted), *again.taken(Noted)) if each.code.startswith("battery.")] == []
    last = Rig(saved=again.pipeline.saved_state())
    taught = ResistanceMemory((*(1.0,) * 15, 2.5))
    last.pipeline.unit.memory = replace(last.pipeline.unit.memory, resistance=taught)
    last.feed(20)
    told = {each.code: each for each in last.taken(Noted) if each.code.startswith("battery.")}
    assert (
        told["battery.resistance_not_learned.over"].text == "No longer so: the resistance of the cells is not learned"
    )
    assert told["battery.resistive_cell"].severity is Severity.WARNING
    assert told["battery.resistive_cell"].text.startswith("cell 16 has 2.5 times the resistance")


def test_a_state_of_charge_that_was_written_counts(rig: Rig) -> None:
    """The bridge goes on from it; where the BMS's count is the state of charge there is nothing to do."""
    rig.pipeline.set_soc(80.0)
    rig.feed(3, soc_percent=80.0)
    assert rig.pipeline.soc_percent == 80.0
    assert number_of(rig.sent(), "soc") == 80.0
    other = settled(BY_THE_BMS)
    other.pipeline.set_soc(80.0)
    assert other.pipeline.soc_percent is None


def test_a_person_ends_a_pause_of_an_empty_battery(rig: Rig) -> None:
    """The loads come back before its time is over; without a pause there is nothing to end."""
    assert not rig.pipeline.end_pause()
    rig.feed(40, cells_v=(2.905,) * 16, current_a=-50.0)
    assert rig.pipeline.limits is not None
    assert rig.pipeline.limits.dcl_a == 0.0
    assert rig.pipeline.end_pause()
    rig.feed(10, cells_v=(3.00,) * 16)
    assert rig.pipeline.limits.dcl_a > 0.0


def test_nothing_may_be_sent_before_enough_good_samples() -> None:
    """Neither before the first sample nor before the third; then there is a consistent set."""
    rig = Rig()
    rig.pipeline.tick(rig.now_s)
    assert rig.sendable() is None
    for expected in (None, None, Freshness.FRESH):
        rig.feed()
        decision = rig.sendable()
        assert (decision and decision.limits.freshness) is expected
    assert rig.decided().snapshot.sequence == 3


def test_nothing_may_be_sent_without_the_settings_of_the_bms() -> None:
    """Without cutoffs no limit is known to be safe."""
    rig = Rig()
    assert rig.feed(10, ratings=None)
    assert (rig.pipeline.limits, rig.sendable()) == (None, None)


def test_settings_without_a_safe_voltage_send_nothing() -> None:
    """An over-voltage cutoff near 0 leaves no CVL to send; a limit that was there before is not kept."""
    rig = Rig()
    rig.feed(3)
    assert rig.sendable() is not None
    rig.taken(Event)
    rig.feed(1, ratings=replace(RATINGS, over_voltage_cell_v=0.01))
    assert rig.sendable() is None
    assert [event.limits for event in rig.taken(LimitsDecided)] == [None], "who shows limits learns that there are none"
    assert rig.pipeline.state().view(rig.now_s).limits is None


def test_decision_is_one_consistent_set() -> None:
    """A decision that was taken stays as it is while newer samples arrive (case 4: no frame mixes old and new)."""
    rig = settled(BY_THE_BMS)
    before = rig.decided()
    fields = decoded(before)
    rig.feed(30, soc_percent=52.0, current_a=20.0, cells_v=(3.35,) * 16)
    assert decoded(before) == fields
    assert number_of(rig.sent(), "soc") == 52.0
    with pytest.raises(FrozenInstanceError):
        before.freshness = rig.decided().freshness  # type: ignore[misc]  # shows that it cannot be done


def test_the_view_tells_what_is_live(rig: Rig) -> None:
    """Fresh, held, silent and back: measurements and limits are there only while they are true and sent."""
    rig.feed(3, soc_percent=52.0)
    fresh = rig.pipeline.state().view(rig.now_s)
    assert (fresh.measured, fresh.limits) == (rig.pipeline.snapshot, rig.pipeline.limits)
    rig.wait(5.0)
    held = rig.pipeline.state().view(rig.now_s)
    assert (held.freshness, held.measured, held.limits) == (Freshness.HOLD, None, rig.pipeline.limits)
    assert held.last is not None
    assert held.last.limits is not None
    assert (held.last.snapshot, held.last.limits.freshness) == (fresh.measured, Freshness.FRESH)
    rig.wait(40.0)
    silent = rig.pipeline.state().view(rig.now_s)
    assert (silent.measured, silent.limits) == (None, None)
    assert silent.last is not None
    assert silent.last.limits == held.last.limits
    rig.feed(3)
    back = rig.pipeline.state().view(rig.now_s)
    assert back.measured is not None
    assert back.last is None


def test_energy_of_a_hold_is_not_counted(rig: Rig) -> None:
    """Single answers between long gaps are not believed yet, so they do not count either."""
    rig.feed(3, current_a=50.0)
    rig.wait(40.0)
    counted = rig.pipeline.energy
    rig.feed(2, current_a=50.0)
    assert rig.pipeline.freshness is Freshness.SILENT
    assert rig.pipeline.energy == counted
    rig.feed(10, current_a=50.0)
    assert rig.pipeline.energy.charged_wh > counted.charged_wh


def test_energy_is_counted_from_accepted_samples_only(rig: Rig) -> None:
    """A sample that is not believed adds no energy."""
    rig.feed(5, current_a=36.0)
    counted = rig.pipeline.energy
    assert counted.charged_wh > 0.0
    assert not rig.feed(5, current_a=5000.0)
    assert rig.pipeline.energy == counted
    assert rig.decided().energy == counted


LOST_CELL = [0.0, 6.5535]


@pytest.mark.parametrize("reading_v", LOST_CELL)
def test_one_impossible_reading_raises_nothing(rig: Rig, reading_v: float) -> None:
    """0 mV or 65535 mV on one cell: no alarm, no change of the limits, and it is counted (case 3)."""
    before, alarms = rig.sent(), rig.pipeline.alarms
    assert not rig.feed(3, cells_v=(*CELLS_V[:-1], reading_v))
    assert rig.sent() == before
    assert not rig.feed(22, cells_v=(*CELLS_V[:-1], reading_v))
    assert rig.pipeline.alarms.levels == alarms.levels
    assert rig.pipeline.rejected == 25
    assert "cell 16" in str(rig.pipeline.last_verdict)


def test_plausible_peak_of_one_sample_raises_nothing(rig: Rig) -> None:
    """A single reading that could be true needs company before it is an alarm."""
    peak = (*CELLS_V[:-1], 3.79)
    assert rig.feed(1, cells_v=peak)
    rig.feed(40)
    assert rig.pipeline.alarms.active() == {}
    rig.feed(40, cells_v=peak)
    assert rig.pipeline.alarms.active()[AlarmName.HIGH_VOLTAGE] is AlarmLevel.ALARM


def test_missing_cell_is_not_a_smaller_pack(rig: Rig) -> None:
    """15 readings of a 16-cell pack are rejected; CVL is never the sum of what is left (case 2)."""
    before = number_of(rig.sent(), "charge_voltage_limit")
    assert not rig.feed(20, cells_v=CELLS_V[:-1])
    assert number_of(rig.sent(), "charge_voltage_limit") == before
    rig.wait(4.0)
    assert number_of(rig.sent(), "charge_voltage_limit") >= 16 * 3.2


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.1, 100.6, 4294.967295])
def test_impossible_state_of_charge_is_counted_on(rig: Rig, value: float) -> None:
    """A SOC that is no number or far outside is not sent and moves no charge state (case 11), and is an alarm."""
    before = rig.decided().limits
    assert rig.feed(1, soc_percent=value)
    assert rig.pipeline.alarms.active() == {}
    assert rig.feed(100, every_s=1.0, soc_percent=value, current_a=36.0)
    after = rig.decided().limits
    assert number_of(rig.sent(), "soc") == 51.0
    assert (after.state, after.ccl_a, after.dcl_a) == (ChargeState.BULK, before.ccl_a, before.dcl_a)
    assert not after.soc_known
    assert rig.pipeline.alarms.active() == {AlarmName.BMS_INTERNAL: AlarmLevel.ALARM}
    assert [event.text[:27] for event in rig.taken(Noted)] == ["Not used: state of charge i"]
    assert rig.feed(5)
    assert rig.decided().limits.soc_known
    assert rig.pipeline.alarms.active() == {}


def test_slightly_over_full_is_sent_as_full() -> None:
    """SOC 100.4 of a gauge that overshoots is 100 on the bus, in both resolutions (case 11)."""
    rig = Rig()
    rig.feed(3, soc_percent=100.4)
    fields = rig.sent()
    assert (fields["soc"], fields["soc_high_resolution"]) == (100.0, 100.0)


def test_lost_battery_holds_then_falls_silent(rig: Rig) -> None:
    """All inputs lost (case 1): CVL neither 0 nor 65535 nor as high as it was, no charging, then no frames at all."""
    fresh = rig.sent()
    assert fresh["charge_voltage_limit"] == TARGET_V
    rig.wait(2.9)
    assert rig.decided().limits.freshness is Freshness.FRESH
    rig.wait(0.4)
    for _ in range(29):
        held = rig.sent()
        assert 16 * 3.2 <= number_of(held, "charge_voltage_limit") <= 16 * 3.35
        assert held["charge_current_limit"] == 0.0
        assert held["discharge_current_limit"] == fresh["discharge_current_limit"]
        assert held["warning_bms_internal"] == "active"
        rig.wait(1.0)
    rig.wait(1.5)
    assert rig.pipeline.freshness is Freshness.SILENT
    assert rig.sendable() is None


def test_return_needs_several_good_samples(rig: Rig) -> None:
    """One sample after a silence is not yet a battery; three in a row are."""
    rig.wait(40.0)
    rig.feed(2)
    assert rig.sendable() is None
    rig.feed(1)
    assert rig.decided().limits.freshness is Freshness.FRESH


def test_rejected_samples_do_not_keep_the_battery_fresh(rig: Rig) -> None:
    """A BMS that answers nonsense is as lost as one that is silent."""
    rig.feed(40, current_a=15000.0)
    assert rig.pipeline.freshness is Freshness.HOLD
    rig.feed(300, current_a=15000.0)
    assert rig.sendable() is None


def test_sample_from_the_future_is_not_fresh_for_ever(rig: Rig) -> None:
    """A counter or a time that runs ahead never makes data look younger than it is (case 9)."""
    ahead = sample(rig.now_s + 3600.0, rig.number + 1)
    rig.pipeline.accept(ahead, rig.now_s)
    rig.wait(40.0)
    assert rig.sendable() is None


def test_alarm_that_clears_is_supported_and_ok(rig: Rig) -> None:
    """The pair of 0x35A goes back to 2, not to 0, which would say that nobody watches any more (case 10)."""
    seen = []
    for celsius in (25.0, 40.0, 58.0, 70.0, 52.0, 34.0, 25.0):
        rig.feed(30, temperatures=Temperatures(internal_c=celsius))
        fields = rig.sent()
        seen.append((fields["alarm_high_temperature"], fields["warning_high_temperature"]))
    ok, warning, alarm = ("ok", "ok"), ("ok", "active"), ("active", "active")
    assert seen == [ok, ok, warning, alarm, ok, ok, ok]


def test_a_stop_by_hand_makes_no_settings_anew_for_each_sample(rig: Rig) -> None:
    """The engine remembers by the object what follows from settings; a stop and its end still count at once."""
    plain = rig.pipeline._limit_settings()
    rig.pipeline.inhibited = Inhibited(charge=True)
    stopped = rig.pipeline._limit_settings()
    assert stopped.inhibited.charge
    assert rig.pipeline._limit_settings() is stopped
    rig.pipeline.inhibited = Inhibited()
    assert rig.pipeline._limit_settings() is plain is rig.settings.limits


def test_restart_in_float_stays_in_float() -> None:
    """Between the end and the start of float a restart does not go back to the bulk voltage (case 14)."""
    saved = SavedState(EnergyTotals(charged_wh=1234.0), Memory(StateMemory(ChargeState.FLOAT, float_latched=True)))
    restarted, fresh_start = Rig(FLOAT_BY_SOC, saved), Rig(FLOAT_BY_SOC)
    for rig in (restarted, fresh_start):
        rig.feed(3, soc_percent=93.0, cells_v=(3.34,) * 16)
    assert restarted.decided().limits.state is ChargeState.FLOAT
    restarted.feed(150, every_s=1.0, soc_percent=93.0, cells_v=(3.34,) * 16)
    assert number_of(restarted.sent(), "charge_voltage_limit") == pytest.approx(FULL_V - 0.1)
    assert fresh_start.decided().limits.state is ChargeState.FLOAT_APPROACH
    assert restarted.pipeline.energy.charged_wh == 1234.0
    assert restarted.pipeline.saved_state().memory.states == saved.memory.states


def test_saved_state_is_what_a_restart_needs() -> None:
    """Counters and charge state as they are now, taken over by the next pipeline without a bump."""
    rig = settled(FLOAT_BY_SOC)
    rig.feed(30, soc_percent=54.0, current_a=50.0)
    for soc in range(55, 97):
        rig.feed(1, every_s=2.0, soc_percent=float(soc), current_a=50.0, cells_v=(3.56,) * 16)
    rig.feed(2, soc_percent=96.0, current_a=50.0, cells_v=(3.56,) * 16)
    saved = rig.pipeline.saved_state()
    assert saved.memory.states.state is ChargeState.FLOAT
    following = Rig(FLOAT_BY_SOC, SavedState.from_document(saved.to_document()))
    following.feed(3, soc_percent=94.0, cells_v=(3.34,) * 16)
    assert following.decided().limits.state is ChargeState.FLOAT
    following.feed(150, every_s=1.0, soc_percent=94.0, cells_v=(3.34,) * 16)
    assert following.decided().limits.cvl_v == rig.decided().limits.cvl_v
    assert following.pipeline.energy == rig.pipeline.energy


def test_state_is_kept_before_anything_was_decided() -> None:
    """A bridge that never heard its BMS saves what it loaded, not zeros."""
    saved = SavedState(EnergyTotals(1.0, 2.0, 3.0, 4.0), Memory(StateMemory(ChargeState.FLOAT, float_latched=True)))
    rig = Rig(saved=saved)
    rig.wait(60.0)
    assert rig.pipeline.saved_state() == saved


def test_events_of_a_start() -> None:
    """Each sample is published once, with the news that it made, in an order that reads as a story."""
    rig = Rig()
    rig.feed(3)
    story = [type(event).__name__ for event in rig.taken(Event)]
    assert story == [
        "SnapshotAccepted",
        "AlarmsChanged",
        "SnapshotAccepted",
        "SnapshotAccepted",
        "LimitsDecided",
        "FreshnessChanged",
    ]


def test_unchanged_decisions_are_not_published_again(rig: Rig) -> None:
    """A battery at rest publishes its samples and nothing else, however often the pipeline is asked."""
    for _ in range(20):
        rig.feed(1)
        rig.pipeline.tick(rig.now_s)
        rig.pipeline.tick(rig.now_s)
    assert {type(event) for event in rig.taken(Event)} == {SnapshotAccepted}


def test_each_change_is_published_once() -> None:
    """Freshness, charge state and alarms: one event for each move, with both ends of it."""
    rig = settled(BY_THE_BMS)
    rig.wait(40.0)
    moves = [(event.old, event.new) for event in rig.taken(FreshnessChanged)]
    assert moves == [(Freshness.FRESH, Freshness.HOLD), (Freshness.HOLD, Freshness.SILENT)]
    rig.feed(3)
    assert [event.new for event in rig.taken(FreshnessChanged)] == [Freshness.FRESH]
    rig.feed(50, soc_percent=4.9, cells_v=(3.1,) * 16)
    assert [(event.old, event.new) for event in rig.taken(ChargeStateChanged)] == [
        (ChargeState.BULK, ChargeState.SUSTAIN)
    ]
    rig.feed(50, soc_percent=4.9, cells_v=(3.1,) * 16, temperatures=Temperatures(internal_c=44.0))
    rig.feed(50, soc_percent=4.9, cells_v=(3.1,) * 16, temperatures=Temperatures(internal_c=62.0))
    (event,) = rig.taken(AlarmsChanged)
    assert event.old.active() == {}
    assert event.new.active() == {AlarmName.HIGH_TEMPERATURE: AlarmLevel.ALARM}


def test_rejections_are_numbered(rig: Rig) -> None:
    """Each rejected sample is published with its verdict and the count."""
    rig.feed(3, current_a=15000.0)
    events = rig.taken(SnapshotRejected)
    assert [event.count for event in events] == [1, 2, 3]
    assert "pack current is 15000" in str(events[0].verdict)
    assert events[0].snapshot.pack.current_a == 15000.0


def test_limits_are_published_with_their_reasons(rig: Rig) -> None:
    """Who listens learns the value and why."""
    rig.pipeline.settings = BatterySettings(limits=LimitSettings(max_charge_current_a=20.0))
    rig.feed()
    (event,) = rig.taken(LimitsDecided)
    assert event.limits is not None
    assert event.limits == rig.pipeline.limits
    assert event.limits.ccl_a == 20.0
    assert rig.bus.latest(LimitsDecided).event is event  # type: ignore[union-attr]  # there is one


REPLACED: list[tuple[str, BatterySettings, Callable[[Rig], object], object]] = [
    (
        "charge current",
        BatterySettings(limits=LimitSettings(max_charge_current_a=12.0)),
        lambda rig: rig.sent()["charge_current_limit"],
        12.0,
    ),
    (
        "discharge current",
        BatterySettings(limits=LimitSettings(max_discharge_current_a=0.0)),
        lambda rig: rig.sent()["discharge_current_limit"],
        0.0,
    ),
    (
        "target",
        BatterySettings(limits=LimitSettings(bulk_voltage_v=53.0)),
        lambda rig: rig.sent()["charge_voltage_limit"],
        53.0,
    ),
    (
        "inhibit",
        BatterySettings(limits=LimitSettings(inhibited=Inhibited(charge=True))),
        lambda rig: rig.sent()["charge_current_limit"],
        0.0,
    ),
    (
        "hold",
        BatterySettings(limits=LimitSettings(freshness=FreshnessSettings(fresh_timeout_s=0.05, hold_s=0.0))),
        lambda rig: rig.wait(0.2),
        None,
    ),
    (
        "alarm threshold",
        BatterySettings(alarms=AlarmSettings(overtemp_c=24.0, delay_s=0.0)),
        lambda rig: rig.sent()["alarm_high_temperature"],
        "active",
    ),
    (
        "plausibility",
        BatterySettings(plausibility=PlausibilitySettings(cell_max_v=3.2)),
        lambda rig: rig.feed(),
        False,
    ),
]


@pytest.mark.parametrize(("replaced", "read", "expected"), [r[1:] for r in REPLACED], ids=[r[0] for r in REPLACED])
def test_replaced_settings_are_in_force_from_the_next_step(
    rig: Rig, replaced: BatterySettings, read: Callable[[Rig], object], expected: object
) -> None:
    """A change of the configuration needs no restart and no new sample."""
    rig.pipeline.settings = replaced
    rig.pipeline.tick(rig.now_s)
    assert read(rig) == expected


NONSENSE = [math.nan, math.inf, -math.inf, 1e300, -1e300]

maybe_current = st.none() | st.floats(0.0, 750.0)


@st.composite
def sound_ratings(draw: st.DrawFn) -> Ratings:
    """Settings of a BMS that pass its own checks, of every chemistry and beyond."""
    under_v, discharged_v, charged_v, over_v = sorted(draw(st.sets(st.integers(80, 450), min_size=4, max_size=4)))
    return replace(
        RATINGS,
        series_cells=draw(st.integers(4, 16)),
        under_voltage_cell_v=under_v / 100.0,
        fully_discharged_cell_v=discharged_v / 100.0,
        fully_charged_cell_v=charged_v / 100.0,
        over_voltage_cell_v=over_v / 100.0,
        charge_over_current_a=float(draw(st.integers(1, 750))),
        discharge_over_current_a=float(draw(st.integers(1, 750))),
        discharge_peak_current_a=draw(st.none() | st.floats(1.0, 750.0)),
    )


def cell_voltages() -> st.SearchStrategy[float | None]:
    """Return what a user may write for a voltage per cell."""
    return st.none() | st.floats(0.8, 4.5)


limit_settings = st.builds(
    LimitSettings,
    chemistry=st.none() | st.sampled_from(Chemistry),
    bulk_voltage_v=st.none() | st.floats(3.0, 80.0),
    alarm_voltage_v=st.none() | st.floats(3.0, 80.0),
    over_voltage_margin_v=st.floats(0.0, 2.0),
    cell_max_v=cell_voltages(),
    floor_cell_v=cell_voltages(),
    resting_cell_v=cell_voltages(),
    max_charge_current_a=maybe_current,
    max_discharge_current_a=maybe_current,
    current_fraction=st.floats(0.5, 1.0),
    states=st.builds(
        StateSettings,
        enabled=st.booleans(),
        float_offset_v=st.floats(0.0, 5.0),
        float_approach_offset_v=st.floats(0.0, 5.0),
        maximum_ccl_in_float_a=st.floats(0.0, 750.0),
        imbalance_drop_v_per_mv=st.floats(0.0, 0.1),
        imbalance_drop_max_v=st.floats(0.0, 10.0),
        sustain_voltage_v=st.just(0.0) | st.floats(3.0, 80.0),
        sustain_cell_v=cell_voltages(),
        sustain_ccl_a=st.floats(0.0, 750.0),
        sustain_dcl_a=st.floats(0.0, 750.0),
    ),
    inhibited=st.builds(Inhibited, st.booleans(), st.booleans()),
)

plausible = st.fixed_dictionaries(
    {
        "soc_percent": st.floats(0.0, 100.5),
        "current_a": st.floats(-200.0, 200.0),
        "cell_v": st.floats(0.8, 4.5),
        "spread_v": st.floats(0.0, 0.4),
        "celsius": st.none() | st.floats(-40.0, 80.0),
    }
)
nonsense = st.fixed_dictionaries(
    {
        "soc_percent": st.floats() | st.sampled_from(NONSENSE),
        "current_a": st.floats() | st.sampled_from(NONSENSE),
        "cell_v": st.sampled_from([0.0, 6.5535, math.nan, 3.3]),
        "spread_v": st.floats(0.0, 6.0),
        "celsius": st.none() | st.floats(),
    }
)
moments = st.lists(
    st.tuples(st.sampled_from([0.05, 0.1, 0.5, 1.0, 4.0, 40.0]), st.integers(1, 4), st.none() | plausible | nonsense),
    min_size=1,
    max_size=12,
)


def happen(rig: Rig, moment: tuple[float, int, Mapping[str, Any] | None], ratings: Ratings) -> Iterable[bool | None]:
    """Let one thing happen a few times; yields after each whether a sample was believed, None without a sample."""
    gap_s, times, what = moment
    for _ in range(times):
        if what is None:
            rig.wait(gap_s, tick_s=gap_s)
            yield None
            continue
        cells_v = [what["cell_v"] + what["spread_v"] * n / ratings.series_cells for n in range(ratings.series_cells)]
        yield rig.feed(
            every_s=gap_s,
            cells_v=cells_v,
            soc_percent=what["soc_percent"],
            current_a=what["current_a"],
            temperatures=Temperatures(internal_c=what["celsius"]),
            ratings=ratings,
        )


def expect_safe(rig: Rig, limits: LimitSettings, ratings: Ratings) -> None:
    """Check the frames of this moment, if any, against what may never be on the bus."""
    decision = rig.sendable()
    if decision is None:
        return
    fields = decoded(decision)
    cells, cvl_v, noise = ratings.series_cells, number_of(fields, "charge_voltage_limit"), 1e-6
    bound_v = ratings.over_voltage_cell_v * cells - 0.4
    assert 0.0 < cvl_v <= min(bound_v, ratings.fully_charged_cell_v * cells) + noise
    lowest_v = min(ratings.under_voltage_cell_v * cells, bound_v - limits.over_voltage_margin_v)
    assert cvl_v > lowest_v - 0.1, "at most a step of the frame below the cutoff of a unit whose registers nearly meet"
    for name, maximum_a in (
        ("charge_current_limit", limits.max_charge_current_a),
        ("discharge_current_limit", limits.max_discharge_current_a),
    ):
        assert 0.0 <= number_of(fields, name) <= (750.0 if maximum_a is None else maximum_a) + noise
    if limits.inhibited.charge or decision.limits.freshness is not Freshness.FRESH:
        assert fields["charge_current_limit"] == 0.0
    assert 0.0 <= number_of(fields, "soc") <= 100.0
    assert 0.0 <= number_of(fields, "soc_high_resolution") <= 100.0


@given(ratings=sound_ratings(), limits=limit_settings, story=moments)
@settings(max_examples=150, deadline=None)
def test_no_frame_ever_harms(ratings: Ratings, limits: LimitSettings, story: list[Any]) -> None:
    """Whatever is measured and configured: CVL between floor and ceiling, no negative current, no SOC above 100.

    And what is decided can always be put into frames: an exception there ends the program.
    """
    rig = Rig(BatterySettings(limits=limits))
    for _ in range(3):
        rig.feed(cells_v=[ratings.fully_charged_cell_v] * ratings.series_cells, ratings=ratings)
    for moment in story:
        for _ in happen(rig, moment, ratings):
            expect_safe(rig, limits, ratings)


@given(story=moments)
@settings(max_examples=100, deadline=None)
def test_rejected_sample_is_as_good_as_none(story: list[Any]) -> None:
    """A sample that is not believed raises no limit: what is decided is what would be decided had nothing come."""
    rig = Rig()
    rig.feed(3)
    for moment in story:
        memory, energy, kept = rig.pipeline.unit.memory, rig.pipeline.energy, rig.pipeline.snapshot
        for accepted in happen(rig, moment, RATINGS):
            if accepted is False:
                expected, _ = step(kept, rig.settings.limits, memory, rig.now_s)
                assert rig.pipeline.limits == (expected and in_wire_steps(expected))
                assert (rig.pipeline.energy, rig.pipeline.snapshot) == (energy, kept)
            memory, energy, kept = rig.pipeline.unit.memory, rig.pipeline.energy, rig.pipeline.snapshot


@given(story=moments)
@settings(max_examples=100, deadline=None)
def test_events_form_chains(story: list[Any]) -> None:
    """Each change begins where the last one ended and goes somewhere else: none is lost, none is told twice."""
    rig = Rig()
    for moment in story:
        for _ in happen(rig, moment, RATINGS):
            pass
    ends: dict[type[Event], object] = {FreshnessChanged: Freshness.STARTING, ChargeStateChanged: ChargeState.BULK}
    samples = rejected = 0
    decided: list[Limits | None] = [None]
    for event in rig.taken(Event):
        if isinstance(event, FreshnessChanged | ChargeStateChanged):
            assert event.old is ends[type(event)]
            assert event.new is not event.old
            ends[type(event)] = event.new
        elif isinstance(event, LimitsDecided):
            assert event.limits not in decided[-1:]
            decided.append(event.limits)
        elif isinstance(event, AlarmsChanged):
            assert event.old.levels != event.new.levels
        elif isinstance(event, SnapshotRejected):
            rejected += 1
            assert event.count == rejected
        samples += isinstance(event, SnapshotAccepted | SnapshotRejected)
    assert ends[FreshnessChanged] is rig.pipeline.freshness
    assert samples == rig.number
    assert rejected == rig.pipeline.rejected


def test_frozen_line_is_told_for_what_it_is(rig: Rig) -> None:
    """Good answers that never change stop charging with a reason of their own, and end with three that do."""
    rig.feed(50)
    rig.taken(Event)
    rig.feed(60, frozen=True)
    limits = rig.decided().limits

    assert (limits.ccl_a, rig.pipeline.freshness) == (0.0, Freshness.HOLD)
    reason = limits.binding(Quantity.CCL)
    assert reason is not None
    assert explain(reason).startswith("CCL 0.0 A: the readings of the BMS have stood still for")
    assert [event.frozen for event in rig.taken(FreshnessChanged)] == [True]
    assert rig.pipeline.frozen_since_s == pytest.approx(rig.now_s - 6.0 + 0.1)
    assert "have stood still for 6 s" in rig.pipeline.state().view(rig.now_s).remark

    states = []
    for _ in range(3):
        rig.feed(1)
        states.append(rig.pipeline.freshness)
    assert states == [Freshness.HOLD, Freshness.HOLD, Freshness.FRESH]
    assert rig.pipeline.frozen_since_s is None
