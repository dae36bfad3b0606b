import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import (
    NO_BALANCING,
    BalancingMemory,
    BalancingPhase,
    LimitCode,
    LimitSettings,
    Memory,
    PolicySettings,
    Quantity,
    explain,
)
from tinybms_bridge.battery.limits.balancing import apply_balancing, hold_a, next_balancing
from tinybms_bridge.battery.limits.context import Context, make_context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.settings import ChargeDefaults
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.snapshot import Ratings, Snapshot, Switches

MakeDraft = Callable[..., Draft]
MakeRatings = Callable[..., Ratings]
Sample = Callable[..., Snapshot]

TOP_V, LOW_V, DAY_TOP_V, FLOOR_V = 3.50, 3.41, 3.62, 51.2
"""The target, 10 mV above register 303, register 300 less 30 mV, 3.20 V × 16."""
DAY_S = 86400
APART = BalancingMemory(spread_ah=8.0, work_ah=8.0, day_at_lifetime_s=0)
"""Cells that are known to be 8 Ah apart."""


@dataclass
class Balance:
    """Balancing of a pack of 280 Ah by itself."""

    sample: Sample
    make_draft: MakeDraft
    ratings: Ratings
    memory: BalancingMemory = NO_BALANCING
    settings: LimitSettings = field(default_factory=lambda: LimitSettings(defaults=ChargeDefaults.BY_CHEMISTRY))
    feed_in: bool = False
    lifetime_s: float = 1000.0
    context: Context = field(init=False)
    draft: Draft = field(init=False)

    def at(
        self,
        high_v: float,
        others_v: float = 3.35,
        current_a: float = 1.4,
        *,
        seconds: float = 1.0,
        times: int = 1,
        wanted: tuple[bool, ...] = (),
        balancing: tuple[bool, ...] = (),
    ) -> BalancingPhase:
        """Let time pass with one cell apart from the others; return the phase then."""
        for _ in range(times):
            self.lifetime_s += seconds
            cells_v = (high_v, *[others_v] * (self.ratings.series_cells - 1))
            pack = {"current_a": current_a, "lifetime_s": int(self.lifetime_s)}
            raw = self.sample(cells_v=cells_v, ratings=self.ratings, pack=pack)
            snapshot = replace(raw, cells=replace(raw.cells, wanted=wanted, balancing=balancing))
            self.context = make_context(
                snapshot, self.ratings, self.settings, feed_in=self.feed_in, balancing=self.memory.day
            )
            self.memory = next_balancing(self.memory, self.context, seconds)
            self.draft = self.make_draft(cvl_v=56.0, ccl_a=100.0)
            apply_balancing(self.draft, self.context, self.memory)
        return self.memory.phase

    def has_day(self) -> bool:
        """Return whether a balancing day goes on."""
        return self.memory.day

    @property
    def cvl_v(self) -> float:
        """What is left of 56 V."""
        return self.draft[Quantity.CVL]

    @property
    def ccl_a(self) -> float:
        """What is left of 100 A."""
        return self.draft[Quantity.CCL]


@pytest.fixture(name="balance")
def _balance(sample: Sample, make_draft: MakeDraft, make_ratings: MakeRatings) -> Balance:
    return Balance(sample, make_draft, make_ratings(capacity_ah=280.0, early_balancing_cell_v=3.40))


def bits(*numbers: int) -> tuple[bool, ...]:
    """Return the bits of register 51 or 52 with some cells set."""
    return tuple(number in numbers for number in range(1, 17))


def test_to_and_fro(balance: Balance) -> None:
    """A small current up to the top, a rest until loads have brought the cell down, and again: no FLOAT meanwhile."""
    balance.memory = APART
    assert balance.at(LOW_V - 0.01) is BalancingPhase.OFF
    assert balance.at(LOW_V + 0.01) is BalancingPhase.CHARGE
    assert balance.memory.active
    assert (balance.cvl_v, balance.ccl_a) == pytest.approx((53.6, 1.4))
    assert balance.at(TOP_V - 0.005) is BalancingPhase.CHARGE
    assert balance.at(TOP_V) is BalancingPhase.REST
    assert balance.cvl_v <= 15 * 3.35 + TOP_V - 0.1
    assert balance.at(LOW_V + 0.02, current_a=-8.0) is BalancingPhase.REST
    assert balance.at(LOW_V - 0.01, current_a=-4.0, times=298) is BalancingPhase.REST
    assert balance.at(LOW_V - 0.01, current_a=-4.0, times=2) is BalancingPhase.CHARGE
    words = [explain(reason) for reason in balance.draft.reasons if reason.code is LimitCode.BALANCING]
    assert words[-1] == "CCL 1.4 A: balancing, cells are 8.0 Ah apart: a small current while the BMS bleeds"


def test_a_cell_that_the_current_lifts_is_not_there(balance: Balance) -> None:
    """What a cell would show without the current says how full it is: 100 A lift it by 70 mV."""
    balance.memory = APART
    assert balance.at(LOW_V + 0.06, current_a=100.0) is BalancingPhase.OFF
    assert balance.at(LOW_V + 0.08, current_a=100.0) is BalancingPhase.CHARGE


def test_a_charge_raises_cvl_by_a_step_a_minute(balance: Balance) -> None:
    """While less flows than the BMS reads, up to the target, and not while enough does."""
    balance.memory = APART
    balance.at(LOW_V + 0.01)
    first_v = balance.cvl_v
    balance.at(LOW_V + 0.01, current_a=1.4, seconds=10.0, times=30)
    assert balance.cvl_v == first_v
    balance.at(LOW_V + 0.01, current_a=0.0, seconds=10.0, times=12)
    assert balance.cvl_v == pytest.approx(first_v + 0.2)
    balance.at(LOW_V + 0.01, current_a=0.0, seconds=10.0, times=600)
    assert balance.cvl_v == 56.0


def test_a_large_current_is_let_flow(balance: Balance) -> None:
    """What a step of CVL makes flow falls by itself, or brings the cell to its top; taken back it would be sold."""
    balance.memory = APART
    balance.at(LOW_V + 0.01)
    first_v = balance.cvl_v
    balance.at(LOW_V + 0.02, current_a=20.0, seconds=10.0, times=60)
    assert balance.cvl_v == first_v


def test_a_rest_goes_down_until_loads_take_over(balance: Balance) -> None:
    """Step by step, no further than where every charger has stopped; with a load it stands."""
    balance.memory = APART
    balance.at(LOW_V + 0.01)
    balance.at(TOP_V)
    rest_v = balance.cvl_v
    balance.at(TOP_V, current_a=-5.0, seconds=10.0, times=12)
    assert balance.cvl_v == rest_v
    balance.at(TOP_V, current_a=0.0, seconds=10.0)
    assert balance.cvl_v == pytest.approx(rest_v - 0.1)
    balance.at(TOP_V, current_a=0.0, seconds=10.0, times=100)
    assert balance.cvl_v == pytest.approx(15 * 3.35 + TOP_V - 0.6, abs=0.1)


def test_a_load_that_goes_on_ends_it(balance: Balance) -> None:
    """Half a percent of the capacity is enough of a rest; after three times as much the evening has begun."""
    balance.memory = APART
    balance.at(LOW_V + 0.01)
    balance.at(TOP_V)
    assert balance.at(LOW_V + 0.03, current_a=-8.4, seconds=60.0, times=11) is BalancingPhase.CHARGE
    assert balance.at(LOW_V - 0.06, current_a=-8.4, seconds=60.0, times=20) is BalancingPhase.OFF
    assert not balance.memory.active


def test_the_next_step_of_cvl_is_left_out_where_chargers_take_all_of_it(balance: Balance) -> None:
    """Under feed-in no CCL bounds what a step gives, and the highest cell takes half of it: it rests before its top."""
    balance.memory, balance.feed_in = APART, True
    balance.at(LOW_V + 0.01)
    assert balance.at(TOP_V - 0.04, current_a=3.0, seconds=10.0, times=12) is BalancingPhase.CHARGE
    assert balance.at(TOP_V - 0.04, current_a=0.0, seconds=10.0, times=1) is BalancingPhase.REST


@pytest.mark.parametrize(
    ("memory", "change"),
    [
        (BalancingMemory(), {}),
        (BalancingMemory(spread_ah=1.3, day_at_lifetime_s=0), {}),
        (APART, {"early_balancing_cell_v": 3.48}),
        (APART, {"capacity_ah": 0.0}),
    ],
    ids=["spread unknown", "nearly alike", "register 303 at the target", "no capacity"],
)
def test_where_it_would_not_help(balance: Balance, memory: BalancingMemory, change: dict[str, Any]) -> None:
    """Nothing is held back for a balancing that does not happen."""
    balance.memory, balance.ratings = memory, replace(balance.ratings, **change)
    assert balance.at(3.49, 3.48) is BalancingPhase.OFF
    assert (balance.cvl_v, balance.ccl_a) == (56.0, 100.0)


def test_a_unit_that_bleeds_all_through_its_charge_needs_nothing(balance: Balance) -> None:
    """Most Li-ion units bleed from 3.2 V on; one that does from 3.95 V is kept at its top like any other."""
    li_ion: dict[str, Any] = {"fully_charged_cell_v": 4.15, "over_voltage_cell_v": 4.25, "fully_discharged_cell_v": 3.0}
    for early_v, phase in ((3.2, BalancingPhase.OFF), (3.95, BalancingPhase.CHARGE)):
        balance.memory = APART
        balance.ratings = replace(balance.ratings, early_balancing_cell_v=early_v, **li_ion)
        assert balance.at(4.10, 4.05) is phase


def test_who_has_set_the_old_values_keeps_them(balance: Balance) -> None:
    """Target, FLOAT and hold of a configuration that sets one of them stay what they were."""
    balance.memory, balance.settings = APART, LimitSettings(defaults=ChargeDefaults.BEFORE)
    assert balance.at(3.55) is BalancingPhase.OFF
    assert hold_a(balance.memory, balance.context) == balance.context.charging.hold_a


def test_the_spread_is_seen_near_full(balance: Balance) -> None:
    """After a minute, with a small current: 3.50 and 3.37 V are one and a half percent of an LFP pack apart."""
    balance.at(TOP_V, 3.37, current_a=50.0, times=100)
    balance.at(3.44, 3.37, times=100)
    assert balance.memory.spread_ah is None
    balance.at(TOP_V, 3.37, times=59)
    assert balance.memory.spread_ah is None
    balance.at(TOP_V, 3.37, times=2)
    assert balance.memory.spread_ah == pytest.approx(0.015 * 280.0, rel=0.1)
    assert balance.memory.phase is BalancingPhase.CHARGE or balance.memory.phase is BalancingPhase.REST


def test_one_reading_makes_no_spread(balance: Balance) -> None:
    """A cell that is low in one of many readings hardly counts."""
    balance.at(TOP_V, TOP_V, times=100)
    before_ah = balance.memory.spread_ah
    balance.at(TOP_V, 3.34)
    assert before_ah == pytest.approx(0.0, abs=0.01)
    assert balance.memory.spread_ah == pytest.approx(0.0, abs=0.2)


def test_cells_that_have_come_together_end_it(balance: Balance) -> None:
    """Nearer than three thousandths of the capacity they are alike, and the battery gets its FLOAT."""
    balance.memory = APART
    balance.at(LOW_V + 0.01)
    balance.at(3.48, 3.46, times=900)
    assert balance.memory.phase is BalancingPhase.OFF
    assert not balance.memory.active
    assert balance.memory.summary(280.0).text.endswith("balanced")


def test_a_balancing_day_every_fortnight(balance: Balance) -> None:
    """By the lifetime counter of the BMS, from when the spread was first seen; its top is just below register 300."""
    balance.at(TOP_V, 3.49, times=70)
    first = balance.memory.day_at_lifetime_s
    balance.lifetime_s += 13 * DAY_S
    balance.at(TOP_V, 3.49)
    assert first is not None
    assert not balance.has_day()
    balance.lifetime_s += DAY_S
    balance.at(TOP_V, 3.49)
    assert balance.has_day()
    balance.at(TOP_V, 3.49)
    assert balance.context.charging.target_cell_v == pytest.approx(DAY_TOP_V)
    assert balance.memory.active


def test_more_often_while_cells_are_far_apart(balance: Balance) -> None:
    """Every third day above one percent; every day where only such a day comes above register 303."""
    balance.at(TOP_V, 3.35, times=70)
    balance.lifetime_s += 2.9 * DAY_S
    balance.at(TOP_V, 3.35)
    assert not balance.has_day()
    balance.lifetime_s += 0.2 * DAY_S
    balance.at(TOP_V, 3.35)
    assert balance.has_day()

    balance.memory = replace(APART, seen_s=70.0, seen_ah=8.0, day_at_lifetime_s=int(balance.lifetime_s))
    balance.ratings = replace(balance.ratings, early_balancing_cell_v=3.50)
    balance.lifetime_s += DAY_S
    balance.at(TOP_V, 3.35)
    assert balance.has_day()
    balance.at(3.58, 3.35)
    assert balance.memory.phase is BalancingPhase.CHARGE


def test_a_counter_that_was_set_back_means_due(balance: Balance) -> None:
    """Nobody knows when the last day was."""
    balance.memory = replace(APART, spread_ah=1.0, day_at_lifetime_s=10**8)
    balance.at(TOP_V, 3.48, times=70)
    assert balance.has_day()


@pytest.mark.parametrize("interval_days", [0.0, 14.0])
def test_no_interval_no_day(balance: Balance, interval_days: float) -> None:
    """Who wants no full charges in time gets no balancing days."""
    policy = PolicySettings(full_charge_interval_days=interval_days)
    balance.settings = replace(balance.settings, policy=policy)
    balance.memory = APART
    balance.lifetime_s += 100 * DAY_S
    balance.at(TOP_V, 3.35, times=70)
    assert balance.has_day() == (interval_days > 0.0)


def on_day(balance: Balance, spread_ah: float = 8.0) -> None:
    """Let a balancing day go on."""
    balance.memory = replace(APART, day=True, spread_ah=spread_ah)


def test_a_day_ends_after_four_hours(balance: Balance) -> None:
    """At the top; what is far from it does not count."""
    on_day(balance)
    balance.at(3.40, 3.33, seconds=60.0, times=300)
    assert balance.has_day()
    balance.at(3.60, 3.35, seconds=60.0, times=239)
    assert balance.has_day()
    balance.at(3.60, 3.35, seconds=60.0, times=2)
    assert not balance.has_day()
    assert balance.memory.day_at_lifetime_s == int(balance.lifetime_s) - 60


def test_a_day_ends_with_cells_alike(balance: Balance) -> None:
    """A minute at its top is enough of a balanced pack."""
    on_day(balance)
    balance.at(3.61, 3.605, times=600)
    assert not balance.has_day()
    assert balance.memory.day_at_lifetime_s != 0


def test_a_day_that_the_sun_ends_early_is_no_day(balance: Balance) -> None:
    """With less than an hour at the top it is due again tomorrow."""
    on_day(balance)
    balance.at(3.60, 3.35, seconds=60.0, times=30)
    balance.at(3.28, 3.27, current_a=-20.0, seconds=60.0, times=1)
    assert not balance.has_day()
    assert balance.memory.day_at_lifetime_s == 0


AT_FULL = LimitSettings(defaults=ChargeDefaults.BY_CHEMISTRY, policy=PolicySettings(balance_at_full_voltage=True))
DUAL: dict[str, Any] = {"switches": Switches.TWO_FETS, "charge_restart": True}


def test_register_300_on_request(balance: Balance) -> None:
    """A unit with two switches that charges again by itself may come there, with no more than 2 A or 0.02C."""
    balance.ratings, balance.settings = replace(balance.ratings, **DUAL), AT_FULL
    on_day(balance)
    assert balance.at(3.64) is BalancingPhase.CHARGE
    assert balance.context.charging.target_cell_v == 3.65
    assert balance.at(3.65) is BalancingPhase.REST
    assert balance.context.charging.full_voltage_refused == ""
    left_a = balance.context.curves["charge_by_cell_voltage"].at(3.65) * balance.ratings.charge_over_current_a
    assert left_a <= 0.02 * 280.0


@pytest.mark.parametrize(
    ("change", "feed_in", "why"),
    [
        ({**DUAL, "switches": Switches.SINGLE}, False, "single_port"),
        ({**DUAL, "switches": Switches.UNKNOWN}, False, "unknown_switches"),
        ({**DUAL, "charge_restart": False}, False, "no_restart"),
        ({**DUAL, "charge_restart": None}, False, "no_restart"),
        (DUAL, True, "feed_in"),
    ],
)
def test_register_300_is_refused(balance: Balance, change: dict[str, Any], feed_in: bool, why: str) -> None:
    """Where its switch would darken the house, or leave the battery uncharged, or open under full sun; and told."""
    balance.ratings, balance.settings = replace(balance.ratings, **change), AT_FULL
    balance.feed_in = feed_in
    on_day(balance)
    balance.at(3.60)
    assert balance.context.charging.target_cell_v <= DAY_TOP_V
    usual = make_context(balance.context.snapshot, balance.ratings, AT_FULL, feed_in=feed_in)
    assert usual.charging.full_voltage_refused == why


def test_the_hold_current_is_raised_until_the_bms_bleeds(balance: Balance) -> None:
    """Register 51 wants and 52 stays 0 for a minute: a quarter more, up to 0.02C; once it bleeds, no more."""
    balance.memory = APART
    balance.at(LOW_V + 0.01, times=59, wanted=bits(1))
    assert balance.ccl_a == pytest.approx(1.4)
    balance.at(LOW_V + 0.01, times=2, wanted=bits(1))
    assert balance.ccl_a == pytest.approx(1.75)
    balance.at(LOW_V + 0.01, times=300, wanted=bits(1), balancing=bits(1))
    assert balance.ccl_a == pytest.approx(1.75)
    balance.at(LOW_V + 0.01, seconds=10.0, times=300, wanted=bits(1))
    assert balance.ccl_a == pytest.approx(0.02 * 280.0)


def test_a_current_that_reads_nothing_is_raised_where_ccl_binds_it(balance: Balance) -> None:
    """Not while CVL is still on its way up: then no CCL would make more flow."""
    balance.memory = APART
    balance.at(LOW_V + 0.01, current_a=0.0, times=120, wanted=bits(1))
    assert balance.ccl_a == pytest.approx(1.4)
    balance.at(LOW_V + 0.01, current_a=0.0, seconds=10.0, times=60, wanted=bits(1))
    assert balance.ccl_a > 1.4


def test_progress_is_told_after_a_day(balance: Balance) -> None:
    """8 Ah to go with 0.15 A for 6 hours a day: nine days."""
    balance.memory = replace(APART, seen_s=1.0)
    for _ in range(4):
        balance.at(3.42, current_a=1.4, seconds=60.0, times=360, balancing=bits(1))
        balance.memory = replace(balance.memory, phase=BalancingPhase.OFF, spread_ah=8.0, work_ah=8.0)
        balance.lifetime_s += 18 * 3600
    assert balance.memory.days_left == pytest.approx(9.0, rel=0.3)
    assert "cells are 8.0 Ah (2.9 %) apart: balanced in about" in balance.memory.summary(280.0).text


def test_old_days_count_for_less(balance: Balance) -> None:
    """What was bled is averaged over a week or so, and a counter that was set back begins anew."""
    balance.memory = replace(APART, bled_ah=4.0, bled_from_lifetime_s=0, bled_to_lifetime_s=8 * DAY_S)
    balance.lifetime_s = 9 * DAY_S
    balance.at(3.42, balancing=bits(1))
    assert balance.memory.bled_ah == pytest.approx(2.0, abs=0.01)
    assert balance.memory.bled_from_lifetime_s == 4 * DAY_S
    balance.lifetime_s = 100.0
    balance.at(3.42, balancing=bits(1))
    assert (balance.memory.bled_from_lifetime_s, balance.memory.days_left) == (101, None)


def test_what_is_not_known_is_not_told() -> None:
    """Neither a spread nor a day is invented."""
    assert "shows near full" in NO_BALANCING.summary(280.0).text
    assert NO_BALANCING.days_left is None
    assert (
        "about 1 day;"
        in replace(APART, bled_ah=9.0, bled_from_lifetime_s=0, bled_to_lifetime_s=DAY_S, day=True).summary(280.0).text
    )


def test_far_from_full_the_memory_is_the_same_object(balance: Balance) -> None:
    """So nothing is made ten times a second."""
    memory = balance.memory = APART
    balance.at(3.33, 3.32, current_a=60.0)
    assert balance.memory is memory


@given(
    moments=st.lists(
        st.tuples(
            st.floats(2.8, 3.9),
            st.floats(2.8, 3.7),
            st.floats(-200.0, 200.0),
            st.sampled_from((0.1, 1.0, 60.0, 3600.0)),
            st.booleans(),
            st.sampled_from((0, 0, 0, DAY_S, -DAY_S)),
        ),
        max_size=40,
    ),
    feed_in=st.booleans(),
    day=st.booleans(),
    spread_ah=st.none() | st.floats(0.0, 300.0),
)
def test_it_only_lowers(
    sample: Sample,
    make_draft: MakeDraft,
    make_ratings: MakeRatings,
    moments: list[Any],
    feed_in: bool,
    day: bool,
    spread_ah: float | None,
) -> None:
    """Whatever is read: CVL stays from the floor to what is allowed, CCL above 0, and every number is one."""
    balance = Balance(
        sample,
        make_draft,
        make_ratings(capacity_ah=280.0, early_balancing_cell_v=3.40),
        BalancingMemory(spread_ah=spread_ah, day=day, day_at_lifetime_s=0),
        feed_in=feed_in,
        lifetime_s=10 * DAY_S,
    )
    for high_v, others_v, current_a, seconds, bleeding, jump_s in moments:
        balance.lifetime_s += jump_s
        balance.at(high_v, others_v, current_a, seconds=seconds, balancing=bits(1) if bleeding else bits())
        memory = balance.memory
        assert FLOOR_V <= balance.cvl_v <= 56.0
        assert 1.4 <= balance.ccl_a <= 100.0
        numbers = (memory.level_v, memory.bled_ah, memory.seen_ah, memory.seen_s, memory.work_ah, memory.raised_a)
        assert all(math.isfinite(number) and number >= 0.0 for number in numbers)
        assert memory.away_ah <= 0.0
        assert memory.day_s <= 4 * 3600.0


def _on_a_day(balance: Balance) -> Balance:
    """Return it on a balancing day under feed-in that has just begun, with the highest cell below its top."""
    balance.feed_in, balance.memory = True, replace(APART, spread_ah=2.0, work_ah=2.0, day_at_lifetime_s=-4 * DAY_S)
    balance.memory = replace(balance.memory, day=True, level_v=53.5)
    balance.at(LOW_V, current_a=0.0)
    assert balance.memory.phase is BalancingPhase.OFF
    return balance


def test_a_balancing_day_under_feed_in_is_approached_by_steps(balance: Balance) -> None:
    """One of 0.1 V a minute while little flows: two of 0.4 V in half a minute opened the charger switch at 49 A."""
    _on_a_day(balance)
    assert balance.cvl_v == 53.5
    balance.at(LOW_V, others_v=3.40, current_a=5.0, seconds=10.0, times=13)
    assert balance.cvl_v == pytest.approx(53.7)
    balance.at(LOW_V, others_v=3.40, current_a=20.0, seconds=10.0, times=60)
    assert balance.cvl_v == pytest.approx(53.7)


def test_no_step_waits_for_the_sun(balance: Balance) -> None:
    """Chargers that feed in stand above CVL: a pack below it has none, and CVL would run away until they come."""
    _on_a_day(balance)
    balance.at(LOW_V, others_v=3.33, current_a=0.0, seconds=10.0, times=600)
    assert balance.cvl_v == 53.5
    day_low_v = DAY_TOP_V - 0.10
    assert balance.at(day_low_v + 0.01, current_a=0.0) is BalancingPhase.CHARGE
    first_v = balance.cvl_v
    balance.at(day_low_v + 0.01, others_v=3.33, current_a=0.0, seconds=10.0, times=600)
    assert balance.cvl_v == first_v


def test_a_restart_on_a_balancing_day_keeps_the_battery(balance: Balance) -> None:
    """The level is not saved: it begins at the voltage of the pack, where nothing is sold, and not at the floor."""
    _on_a_day(balance)
    balance.memory = SavedState.of(EnergyTotals(), Memory(balancing=balance.memory)).memory.balancing
    balance.at(LOW_V, current_a=0.0)
    assert balance.cvl_v == pytest.approx(53.6)


def test_the_end_of_a_balancing_day_lets_nothing_rise(balance: Balance) -> None:
    """In the step in which the day ends its target still counts: under feed-in not even that one may follow it."""
    _on_a_day(balance)
    balance.memory = replace(balance.memory, day_s=5 * 3600.0)
    balance.at(LOW_V, current_a=0.0)
    assert not balance.memory.day
    assert balance.cvl_v == 53.5
