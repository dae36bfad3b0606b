"""The engine of several packs: what is decided of the battery, and what becomes of a pack that does not fit."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import Inhibited, Limits, LimitSettings, Memory, Quantity, step
from tinybms_bridge.battery.limits.model import CCL, CVL, DCL, LimitCode
from tinybms_bridge.battery.limits.packs import Decision, PacksMemory, PacksSettings, step_packs
from tinybms_bridge.battery.snapshot import BmsStatus, Cells, PackValues, Ratings, Snapshot, Switches, Temperatures
from tinybms_bridge.battery.state import PackCondition

RATINGS = Ratings(
    series_cells=16,
    fully_charged_cell_v=3.65,
    fully_discharged_cell_v=2.8,
    over_voltage_cell_v=3.75,
    under_voltage_cell_v=2.6,
    charge_over_current_a=100.0,
    discharge_over_current_a=150.0,
    discharge_peak_current_a=200.0,
    over_heat_c=60.0,
    low_temperature_charge_c=0.0,
    capacity_ah=280.0,
    switches=Switches.TWO_FETS,
)
OVER_VOLTAGE_EVENT, UNDER_VOLTAGE_EVENT = 0x03, 0x02


@dataclass
class Battery:
    """Several packs whose readings a test sets, with the real engine."""

    names: tuple[str, ...] = ("a", "b", "c", "d")
    settings: PacksSettings = field(default_factory=PacksSettings)
    step_s: float = 0.5
    now_s: float = 100.0
    memory: PacksMemory = field(default_factory=PacksMemory)
    outcome: Decision | None = None
    values: dict[str, dict[str, object]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    enabled: Collection[str] | None = None
    number: int = 0

    def set(self, name: str, **values: object) -> None:
        """Change what a pack shows."""
        self.values.setdefault(name, {}).update(values)

    def sample(self, name: str) -> Snapshot:
        """Return what a pack shows now; the last digit moves, as with one that lives."""
        shown: Mapping[str, object] = {
            "cell_v": 3.3,
            "current_a": 10.0,
            "soc": 50.0,
            "temperature_c": 25.0,
            "ratings": RATINGS,
            "status": BmsStatus.CHARGING,
            "events": (),
            "high_v": 0.0,
            "lifetime_s": 1000,
            "external": True,
        } | self.values.get(name, {})
        ratings = shown["ratings"]
        assert isinstance(ratings, Ratings)
        cell_v, high_v = float(str(shown["cell_v"])), float(str(shown["high_v"]))
        cells_v = [cell_v + 0.0001 * (n % 3) + 0.00001 * (self.number % 7) for n in range(ratings.series_cells)]
        cells_v[-1] += high_v
        bits = (False,) * ratings.series_cells
        celsius = float(str(shown["temperature_c"]))
        return Snapshot(
            self.number,
            self.now_s,
            PackValues(
                sum(cells_v),
                float(str(shown["current_a"])),
                float(str(shown["soc"])),
                status=shown["status"],  # type: ignore[arg-type]
                lifetime_s=int(str(shown["lifetime_s"])) + int(self.now_s),
            ),
            Cells(tuple(cells_v), bits, bits),
            Temperatures(celsius, celsius, celsius) if shown["external"] else Temperatures(celsius),
            ratings,
            shown["events"],  # type: ignore[arg-type]
        )

    def run(self, seconds: float) -> Limits | None:
        """Let time pass with these readings, and return the limits at its end."""
        end_s = self.now_s + seconds
        while self.now_s < end_s - 1e-9:
            self.now_s += self.step_s
            self.number += 1
            samples = {name: self.sample(name) for name in self.names if name not in self.silent}
            enabled = self.names if self.enabled is None else self.enabled
            self.outcome, self.memory = step_packs(samples, self.settings, self.memory, self.now_s, enabled=enabled)
        return None if self.outcome is None else self.outcome.limits

    def ran(self, seconds: float) -> Limits:
        """Do the same where there have to be limits."""
        limits = self.run(seconds)
        assert limits is not None
        return limits

    def condition(self, name: str) -> PackCondition:
        """Return what part a pack has."""
        assert self.outcome is not None
        return self.outcome.conditions[name]


def code(limits: Limits, quantity: Quantity) -> tuple[LimitCode, str]:
    """Return what binds a limit, and whose it is."""
    reason = limits.binding(quantity)
    assert reason is not None
    return reason.code, reason.pack


def test_four_equal_packs_bear_four_times_as_much() -> None:
    """By their shares, which are a quarter each: nine tenths of what each BMS cuts at."""
    limits = Battery().ran(200.0)

    assert limits.freshness is Freshness.FRESH
    assert (limits.ccl_a, limits.dcl_a) == pytest.approx((360.0, 540.0))
    assert limits.cvl_v == pytest.approx(56.0, abs=0.15)


def test_one_pack_alone_is_decided_as_by_the_engine_of_one() -> None:
    """The stages are the same, each where it belongs: limits, states and reasons come out alike."""
    battery = Battery(names=("a",))
    memory, alone = Memory(), None
    for moment in range(1200):
        if moment == 400:
            battery.set("a", cell_v=3.52, current_a=30.0)
        if moment == 700:
            battery.set("a", temperature_c=3.0)
        if moment == 900:
            battery.set("a", temperature_c=20.0, cell_v=2.85, current_a=-40.0, soc=5.0)
        battery.run(0.5)
        alone, memory = step(battery.sample("a"), LimitSettings(), memory, battery.now_s)
        together = battery.outcome.limits if battery.outcome else None
        if moment < 5:
            continue
        assert alone is not None
        assert together is not None
        found = (together.cvl_v, together.ccl_a, together.dcl_a, together.state, together.full)
        assert found == pytest.approx((alone.cvl_v, alone.ccl_a, alone.dcl_a, alone.state, alone.full), abs=0.35)


def test_the_battery_is_not_decided_before_its_packs_are_there() -> None:
    """A few seconds are given to the others; one that never comes then counts as silent."""
    battery = Battery(silent={"d"})
    assert battery.run(4.0) is None
    assert battery.condition("d") is PackCondition.STARTING
    limits = battery.ran(8.0)
    assert battery.condition("d") is PackCondition.SILENT
    assert limits.ccl_a == 0.0
    assert limits.dcl_a > 0.0


def test_the_packs_that_are_there_at_once_begin_at_once() -> None:
    """Three good samples each, as with one pack."""
    battery = Battery()
    assert battery.run(1.0) is None
    assert battery.run(1.0) is not None


def test_a_silent_pack_stops_charging_for_a_while_and_keeps_cvl_at_rest_after() -> None:
    """It is still in parallel, and nobody sees its cells; the others go on carrying the loads."""
    battery = Battery()
    before = battery.ran(200.0)
    battery.silent = {"b"}
    now = battery.ran(5.0)
    assert battery.condition("b") is PackCondition.SILENT
    assert now.ccl_a == 0.0
    assert code(now, CCL) == (LimitCode.PACK_SILENT, "b")
    assert 0.0 < now.dcl_a <= before.dcl_a * 0.75 + 1e-6
    later = battery.ran(120.0)
    assert 0.0 < later.ccl_a <= before.ccl_a
    assert later.cvl_v <= 16 * 3.36
    assert LimitCode.PACK_SILENT in {reason.code for reason in later.reasons if reason.quantity is CVL}
    battery.silent = set()
    back = battery.ran(300.0)
    assert (back.cvl_v, back.ccl_a, back.dcl_a) == pytest.approx((before.cvl_v, before.ccl_a, before.dcl_a), abs=0.15)


def test_no_limit_rises_while_a_pack_vanishes() -> None:
    """Neither in the seconds before it counts as silent, nor after."""
    battery = Battery()
    before = battery.ran(200.0)
    battery.set("b", temperature_c=52.0)
    tight = battery.ran(60.0)
    assert tight.ccl_a < before.ccl_a
    battery.silent = {"b"}
    for _ in range(60):
        now = battery.ran(0.5)
        assert now.ccl_a <= tight.ccl_a + 1e-6
        assert now.dcl_a <= tight.dcl_a + 1e-6
        assert now.cvl_v <= tight.cvl_v + 1e-6


def test_near_a_cold_limit_a_silent_pack_stops_all_charging() -> None:
    """Nobody knows how cold its cells are: 2 degrees elsewhere may be frost there."""
    battery = Battery()
    for name in battery.names:
        battery.set(name, temperature_c=2.0)
    assert battery.ran(200.0).ccl_a > 0.0
    battery.silent = {"b"}
    assert battery.ran(100.0).ccl_a == 0.0
    for name in battery.names:
        battery.set(name, temperature_c=15.0)
    assert battery.ran(100.0).ccl_a > 0.0


def test_packs_missing_can_stop_the_battery() -> None:
    """As the only one would: HOLD, then SILENT."""
    battery = Battery(settings=PacksSettings(stop_when_missing=True))
    battery.ran(60.0)
    battery.silent = {"b"}
    hold = battery.ran(6.0)
    assert (hold.freshness, hold.ccl_a) == (Freshness.HOLD, 0.0)
    assert hold.dcl_a > 0.0
    assert battery.ran(35.0).freshness is Freshness.SILENT
    battery.silent = set()
    assert battery.ran(5.0).freshness is Freshness.FRESH


def test_all_packs_silent_is_hold_then_silence() -> None:
    """As with one pack: no charging, discharge as it was, then nothing is sent at all."""
    battery = Battery()
    before = battery.ran(100.0)
    battery.silent = set(battery.names)
    hold = battery.ran(5.0)
    assert (hold.freshness, hold.ccl_a) == (Freshness.HOLD, 0.0)
    assert hold.dcl_a == pytest.approx(before.dcl_a, rel=0.26)
    assert hold.dcl_a <= before.dcl_a
    quiet = battery.ran(35.0)
    assert quiet.freshness is Freshness.SILENT
    assert not quiet.may_send
    battery.silent = set()
    assert battery.ran(5.0).freshness is Freshness.FRESH


def test_a_pack_that_is_cut_off_from_charging_leaves_the_sums() -> None:
    """Its BMS has opened its switch: the others are charged on, at a share each of a third."""
    battery = Battery()
    before = battery.ran(200.0)
    battery.set("b", status=BmsStatus.FAULT, events=(OVER_VOLTAGE_EVENT,), current_a=0.0, high_v=0.5)
    now = battery.ran(60.0)
    assert 0.0 < now.ccl_a <= before.ccl_a * 0.75 + 1e-6
    assert now.dcl_a == pytest.approx(before.dcl_a)
    assert now.cvl_v == pytest.approx(before.cvl_v, abs=0.5)
    assert battery.memory.packs["b"].cut.blocked


def test_a_pack_that_charges_on_although_its_bms_says_no_stops_all() -> None:
    """CCL 0 of a pack that is still connected stays 0, and does not come and go with the current."""
    battery = Battery()
    battery.ran(200.0)
    battery.set("b", status=BmsStatus.FAULT, events=(OVER_VOLTAGE_EVENT,), current_a=20.0, high_v=0.5)
    assert battery.ran(10.0).ccl_a == 0.0
    battery.set("b", current_a=0.0)
    for _ in range(120):
        assert battery.ran(0.5).ccl_a == 0.0
    battery.set("b", status=BmsStatus.CHARGING, events=(), high_v=0.0)
    assert battery.ran(100.0).ccl_a > 0.0


def test_frost_in_one_pack_stops_all_charging() -> None:
    """Its BMS is connected: what flows would flow into its cells, too."""
    battery = Battery()
    battery.ran(100.0)
    battery.set("c", temperature_c=-5.0)
    limits = battery.ran(30.0)
    assert limits.ccl_a == 0.0
    assert code(limits, CCL)[1] == "c"
    assert limits.dcl_a > 0.0


def test_one_empty_pack_in_sixteen_leaves_the_lights_on() -> None:
    """It leaves the sums of discharging, and comes back when it is charged."""
    names = tuple(f"p{n}" for n in range(16))
    battery = Battery(names=names, step_s=1.0)
    for name in names:
        battery.set(name, current_a=-10.0, status=BmsStatus.DISCHARGING)
    full = battery.ran(100.0)
    battery.set("p3", cell_v=2.7, soc=0.0, events=(UNDER_VOLTAGE_EVENT,), status=BmsStatus.FAULT, current_a=0.0)
    now = battery.ran(60.0)
    assert now.dcl_a == pytest.approx(full.dcl_a * 15 / 16, rel=0.01)
    for name in names:
        battery.set(name, cell_v=2.7, soc=0.0, events=(UNDER_VOLTAGE_EVENT,), status=BmsStatus.FAULT, current_a=0.0)
    dark = battery.ran(60.0)
    assert dark.dcl_a == 0.0
    assert code(dark, DCL) == (LimitCode.PACK_BLOCKED, "")


def test_the_weakest_pack_binds_at_its_share() -> None:
    """A hot pack bears half: the whole battery gets what brings it no more than that."""
    battery = Battery()
    before = battery.ran(200.0)
    battery.set("b", temperature_c=51.0)
    limits = battery.ran(60.0)
    own_a = battery.memory.packs["b"].bounds.limits.ccl_a  # type: ignore[union-attr]
    assert own_a < 90.0
    assert limits.ccl_a == pytest.approx(min(before.ccl_a, own_a * 4), rel=0.01)
    assert code(limits, CCL) == (LimitCode.TEMPERATURE, "b")


def test_a_share_that_is_measured_counts() -> None:
    """Double resistance in three packs: the fourth takes 40 % of the current and bears 90 A."""
    battery = Battery()
    for name, current_a in {"a": 80.0, "b": 40.0, "c": 40.0, "d": 40.0}.items():
        battery.set(name, current_a=current_a)
    limits = battery.ran(200.0)
    assert limits.ccl_a == pytest.approx(90.0 / 0.4)
    assert code(limits, CCL) == (LimitCode.PACK_SHARE, "a")


def test_a_pack_that_joins_two_volts_apart() -> None:
    """CCL is at most that of the lowest pack, DCL that of the highest, until it has come near."""
    battery = Battery(silent={"d"}, enabled=("a", "b", "c"))
    before = battery.ran(200.0)
    battery.set("d", cell_v=3.3 - 2.0 / 16, current_a=60.0)
    battery.silent, battery.enabled = set(), None
    joining = battery.ran(10.0)
    assert battery.condition("d") is PackCondition.JOINING
    assert joining.ccl_a <= 90.0
    assert joining.dcl_a <= 135.0
    assert code(joining, DCL)[0] is LimitCode.PACK_JOINING
    battery.set("d", cell_v=3.3, current_a=10.0)
    joined = battery.ran(200.0)
    assert battery.condition("d") is PackCondition.IN_USE
    assert joined.ccl_a > before.ccl_a


def test_a_pack_that_is_back_is_not_counted_on_at_once() -> None:
    """Data that comes and goes every few seconds does not make DCL come and go."""
    battery = Battery()
    before = battery.ran(200.0)
    seen = set()
    for turn in range(40):
        battery.silent = {"b"} if turn % 2 else set()
        seen.add(round(battery.ran(8.0).dcl_a))
        if turn > 2:
            assert round(battery.ran(0.5).dcl_a) == round(before.dcl_a * 0.75)
    battery.silent = set()
    assert battery.ran(120.0).dcl_a == pytest.approx(before.dcl_a)
    assert len(seen) <= 2


def test_the_only_pack_that_carries_the_loads_is_counted_on_at_once() -> None:
    """The lights do not wait for a minute."""
    battery = Battery()
    battery.ran(100.0)
    battery.silent = set("bcd")
    battery.ran(40.0)
    battery.silent = set("acd")
    assert battery.ran(6.0).dcl_a > 0.0


def test_the_only_pack_that_is_left_says_why_it_gives_nothing() -> None:
    """The cause is its own, and not that none of several gives anything."""
    battery = Battery(names=("a",))
    battery.ran(20.0)
    battery.set("a", cell_v=2.55, current_a=-20.0, status=BmsStatus.FAULT, events=(UNDER_VOLTAGE_EVENT,), soc=0.0)
    dark = battery.ran(10.0)
    assert dark.dcl_a == 0.0
    assert code(dark, DCL)[1] == "a"


def test_a_lost_sensor_is_told_with_its_pack() -> None:
    """And it goes on limiting with its last reading, as with one pack."""
    battery = Battery()
    battery.ran(20.0)
    battery.set("c", external=False)
    assert set(battery.ran(20.0).lost_sensors) == {"c: external sensor 1", "c: external sensor 2"}


def test_the_owner_may_say_how_far_apart_a_pack_joins() -> None:
    """In place of 0.05 V for each cell."""
    battery = Battery(settings=PacksSettings(join_delta_v=0.3))
    battery.ran(20.0)
    battery.set("d", cell_v=3.3 - 0.5 / 16)
    battery.ran(5.0)
    assert battery.condition("d") is PackCondition.JOINING


def test_settings_that_no_bms_may_have_leave_a_pack_unseen() -> None:
    """No safe CVL follows from them: it counts as one that is silent."""
    battery = Battery()
    battery.ran(20.0)
    battery.set("d", ratings=replace(RATINGS, over_voltage_cell_v=0.0))
    battery.ran(5.0)
    assert battery.condition("d") is PackCondition.SILENT


def test_an_odd_pack_counts_as_silent_and_the_others_go_on() -> None:
    """One misread register does not silence the battery."""
    battery = Battery()
    battery.ran(100.0)
    battery.set("b", ratings=replace(RATINGS, series_cells=8))
    odd = battery.ran(60.0)
    assert battery.condition("b") is PackCondition.ODD
    assert odd.dcl_a > 0.0
    assert odd.cvl_v <= 16 * 3.36
    battery.set("b", ratings=RATINGS)
    assert battery.ran(300.0).cvl_v == pytest.approx(56.0, abs=0.15)


def test_counters_that_disagree_do_not_keep_the_battery_from_being_full() -> None:
    """At 50, 80, 95 and 100 % by their counts: the cells decide once, for all."""
    battery = Battery()
    for name, soc in zip(battery.names, (50.0, 80.0, 95.0, 100.0), strict=True):
        battery.set(name, soc=soc, cell_v=3.495, current_a=0.5)
    limits = battery.ran(900.0)
    assert limits.full
    assert battery.outcome is not None
    assert battery.outcome.combined is not None
    assert battery.outcome.combined.pack.soc_percent == pytest.approx(100.0, abs=1.5)


def test_every_pack_cut_off_at_once_is_no_permission() -> None:
    """Nobody takes charge: CCL 0, and CVL at rest."""
    battery = Battery()
    battery.ran(100.0)
    for name in battery.names:
        battery.set(name, status=BmsStatus.FAULT, events=(OVER_VOLTAGE_EVENT,), current_a=0.0, high_v=0.5)
    limits = battery.ran(30.0)
    assert limits.ccl_a == 0.0
    assert code(limits, CCL)[0] is LimitCode.PACK_BLOCKED


def test_inhibits_and_the_users_maximum_are_of_the_battery() -> None:
    """100 A of the user's are those of all packs, not of each."""
    battery = Battery(settings=PacksSettings(LimitSettings(max_charge_current_a=100.0, max_discharge_current_a=50.0)))
    limits = battery.ran(200.0)
    assert (limits.ccl_a, limits.dcl_a) == (100.0, 50.0)
    battery.settings = PacksSettings(LimitSettings(inhibited=Inhibited(charge=True, discharge=True)))
    stopped = battery.ran(5.0)
    assert (stopped.ccl_a, stopped.dcl_a) == (0.0, 0.0)


def test_a_pack_that_is_taken_out_of_service_leaves_everything() -> None:
    """It is no silent one: full charging goes on with the others."""
    battery = Battery()
    battery.ran(100.0)
    battery.silent = {"b"}
    battery.ran(100.0)
    battery.enabled = ("a", "c", "d")
    limits = battery.ran(300.0)
    assert limits.cvl_v == pytest.approx(56.0, abs=0.15)
    assert limits.ccl_a == pytest.approx(270.0)
    assert "b" not in battery.outcome.conditions  # type: ignore[union-attr]


def test_an_empty_pack_that_stands_highest_switches_no_lights_off() -> None:
    """It was found empty, and its voltage has leaped far above the others: it joins with a current, and gives none."""
    battery = Battery(step_s=1.0)
    battery.ran(20.0)
    battery.set("a", cell_v=2.5, current_a=-10.0)
    battery.ran(3.0)
    battery.set("a", cell_v=3.7)
    assert battery.ran(3.0).dcl_a > 0.0
    for name in battery.names:
        battery.set(name, cell_v=2.5, current_a=-10.0)
    battery.set("a", cell_v=3.7)
    assert battery.ran(10.0).dcl_a == 0.0


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcd"),
            st.sampled_from(["silent", "back", "hot", "cold", "warm", "high", "usual", "low", "cut", "whole", "odd"]),
            st.floats(0.5, 45.0),
        ),
        max_size=14,
    )
)
def test_whatever_happens_the_limits_are_those_of_a_battery(story: list[tuple[str, str, float]]) -> None:
    """CVL is never 0, nothing is negative or no number, charging needs somebody who bears it, the lights stay on."""
    battery = Battery(step_s=1.0)
    battery.ran(20.0)
    changes: dict[str, dict[str, object]] = {
        "hot": {"temperature_c": 58.0},
        "cold": {"temperature_c": -10.0},
        "warm": {"temperature_c": 25.0},
        "high": {"cell_v": 3.7},
        "usual": {"cell_v": 3.3, "current_a": 10.0},
        "low": {"cell_v": 2.5, "current_a": -10.0},
        "cut": {"status": BmsStatus.FAULT, "events": (OVER_VOLTAGE_EVENT,)},
        "whole": {"status": BmsStatus.CHARGING, "events": ()},
        "odd": {"ratings": replace(RATINGS, series_cells=15)},
    }
    for name, what, seconds in story:
        if what == "silent":
            battery.silent.add(name)
        elif what == "back":
            battery.silent.discard(name)
            battery.set(name, ratings=RATINGS)
        else:
            battery.set(name, **changes[what])
        limits = battery.run(seconds)
        assert battery.outcome is not None
        if limits is None or not limits.may_send:
            continue
        assert 16 * 2.5 < limits.cvl_v <= 16 * 3.65
        assert math.isfinite(limits.ccl_a)
        assert math.isfinite(limits.dcl_a)
        assert min(limits.ccl_a, limits.dcl_a) >= 0.0
        in_use = [each for each, found in battery.outcome.conditions.items() if found is PackCondition.IN_USE]
        healthy = [each for each in in_use if not battery.memory.packs[each].discharge_blocked]
        assert limits.dcl_a > 0.0 or not healthy or limits.freshness is Freshness.HOLD
        if seconds > 10.0 and in_use:
            frosty = [each for each in in_use if battery.values.get(each, {}).get("temperature_c") == -10.0]
            assert limits.ccl_a == 0.0 or not frosty
