"""What use shows of a battery: two ways that agree, cells that hold less, a resistance that nothing teaches."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import (
    NO_EVIDENCE,
    Anchors,
    ChargeDefaults,
    Chemistry,
    Evidence,
    LimitSettings,
    Memory,
    RemarkCode,
    ResistanceMemory,
    SocMemory,
    holds_ah,
    remarks_on,
)
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.evidence import next_evidence
from tinybms_bridge.battery.limits.evidence_memory import UNLEARNED_S
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.snapshot import Ratings

HOUR_S = 3600
SETTINGS = LimitSettings(defaults=ChargeDefaults.BY_CHEMISTRY, chemistry=Chemistry.LFP)
LOW_V, FULL_V = 3.05, 3.48
"""At rest: a cell with 5 %, and one that is full."""


@dataclass
class Life:
    """The evidence of a pack of 280 Ah by register 306, with its count and its clock in the hand of the test."""

    context: Callable[..., Context]
    ratings: Ratings
    memory: Evidence = NO_EVIDENCE
    soc: SocMemory = field(default_factory=lambda: SocMemory(percent=50.0))
    resistance: ResistanceMemory = field(default_factory=ResistanceMemory)
    settings: LimitSettings = SETTINGS
    now_s: float = 100.0
    lifetime_s: float = 5000.0

    def look(
        self, cells_v: tuple[float, ...] = (3.30,) * 16, *, after_s: float = 60.0, sure: bool = True, **more: Any
    ) -> Evidence:
        """Hand over one sample."""
        self.now_s += after_s
        self.lifetime_s += after_s
        context = self.context(
            self.settings,
            cells_v=cells_v,
            taken_at_s=self.now_s,
            ratings=self.ratings,
            pack={"lifetime_s": int(self.lifetime_s)},
            **{"current_a": 0.0, **more},
        )
        self.memory = next_evidence(self.memory, context, self.soc, self.resistance, sure=sure)
        return self.memory

    def flow(self, ah: float | None, hours: float = 8.0) -> None:
        """Let a charge flow, in or out, as the sensor reads it; None: nobody has seen it."""
        since = self.soc.since_full_ah
        self.soc = replace(self.soc, since_full_ah=None if since is None or ah is None else since + ah)
        self.look(after_s=hours * HOUR_S, current_a=2.0)

    def empty(self, cells_v: tuple[float, ...] = (LOW_V,) * 16, **more: Any) -> None:
        """Look at a battery that is nearly empty."""
        self.look(cells_v, **more)

    def full(self, cells_v: tuple[float, ...] = (FULL_V,) * 16) -> None:
        """Let it be found full; the count is set right between two looks."""
        self.lifetime_s += 30.0
        self.soc = replace(self.soc, since_full_ah=0.0, anchors=Anchors(full=True, full_at_s=int(self.lifetime_s)))
        self.look(cells_v)

    def cycle(self, out_ah: float, in_ah: float, hours: float = 8.0, low: Any = None, top: Any = None) -> None:
        """Go from full to near empty and back."""
        self.full(*([top] if top else []))
        self.flow(-out_ah, hours)
        self.empty(*([low] if low else []))
        self.flow(in_ah, hours)
        self.full(*([top] if top else []))

    def restart(self) -> None:
        """Begin again with what is saved; the clock of the process begins anew."""
        resistance = ResistanceMemory(self.resistance.factors)
        memory = Memory(evidence=self.memory, soc=self.soc, resistance=resistance)
        document = json.loads(json.dumps(SavedState.of(EnergyTotals(), memory).to_document()))
        self.memory, self.now_s = SavedState.from_document(document).memory.evidence, 3.0

    @property
    def codes(self) -> list[RemarkCode]:
        """What is told."""
        return [each.code for each in remarks_on(self.memory, self.ratings)]


@pytest.fixture(name="life")
def _life(context: Callable[..., Context], make_ratings: Callable[..., Ratings]) -> Life:
    return Life(context, make_ratings(capacity_ah=280.0, fully_charged_cell_v=3.60))


@pytest.mark.parametrize("true_ah", [196.0, 238.0 - 4.0, 322.0 + 4.0, 364.0])
def test_a_wrong_register_306_is_told_with_what_the_battery_holds(life: Life, true_ah: float) -> None:
    """Once both ways, out and back, have shown it: the first alone proves nothing."""
    life.full()
    life.flow(-0.95 * true_ah)
    life.empty()
    assert life.codes == []
    life.flow(0.95 * true_ah)
    assert life.codes == []
    life.full()
    assert life.memory.capacity_ah == pytest.approx(true_ah, rel=0.01)
    (told,) = remarks_on(life.memory, life.ratings)
    assert told.code is RemarkCode.CAPACITY_WRONG
    assert f"about {true_ah:.0f} Ah, and register 306 says 280 Ah" in told.message.text
    assert told.message.text.endswith(f"tinybms-bridge settings set battery_capacity_ah={true_ah:.0f}")
    assert "clamp meter" in told.message.text


@pytest.mark.parametrize("true_ah", [245.0, 280.0, 315.0])
def test_a_capacity_that_is_about_right_is_not_told(life: Life, true_ah: float) -> None:
    """Age, temperature and the measurement itself are some percent."""
    life.cycle(0.95 * true_ah, 0.95 * true_ah)
    assert life.memory.capacity_ah == pytest.approx(true_ah, rel=0.01)
    assert (life.codes, holds_ah(life.memory, life.ratings)) == ([], None)


@pytest.mark.parametrize("offset_ah", [-30.0, 30.0])
@pytest.mark.parametrize("rounds", [1, 4])
def test_an_offset_of_the_sensor_is_not_taken_for_a_capacity(life: Life, offset_ah: float, rounds: int) -> None:
    """It makes one way longer and the other shorter, each time alike: 0.5 A over two days and a half."""
    for _ in range(rounds):
        life.cycle(266.0 - offset_ah, 266.0 + offset_ah, hours=60.0)
    assert (life.memory.capacity_ah, life.codes) == (None, [])


@pytest.mark.parametrize(
    "spoiled",
    [
        {"current_a": -60.0},
        {"current_a": 2.0},
        {"temperatures_c": (5.0,)},
        {"temperatures_c": ()},
        {"sure": False},
    ],
)
def test_a_look_that_shows_little_is_none(life: Life, spoiled: dict[str, Any]) -> None:
    """Near empty by a strong load, while charging, in the cold, by an unknown temperature, or in doubt."""
    life.full()
    life.flow(-186.0)
    life.empty(**spoiled)
    life.flow(186.0)
    life.full()
    assert life.memory.capacity_ah is None


def test_an_undecided_chemistry_shows_nothing(life: Life) -> None:
    """3.70 V in register 300 may be LFP or Li-ion, whose cells are empty at other voltages."""
    life.settings = replace(SETTINGS, chemistry=None)
    life.ratings = replace(life.ratings, fully_charged_cell_v=3.70)
    life.cycle(186.0, 186.0)
    assert life.memory.capacity_ah is None


def test_what_nobody_has_seen_spoils_a_way(life: Life) -> None:
    """A gap without a count: the next whole round counts again."""
    life.full()
    life.flow(-100.0)
    life.flow(None)
    life.empty()
    life.full()
    assert life.memory.capacity_ah is None
    life.cycle(186.0, 186.0)
    assert life.codes == [RemarkCode.CAPACITY_WRONG]


def test_a_way_of_many_days_is_none(life: Life) -> None:
    """Then drift explains as much as anything."""
    life.cycle(186.0, 186.0, hours=80.0)
    assert life.memory.capacity_ah is None


def test_a_shallow_round_shows_nothing(life: Life) -> None:
    """On the plateau an LFP cell does not tell its charge, and what came out is less than the register says."""
    life.cycle(200.0, 200.0, low=(3.28,) * 16)
    assert life.memory.capacity_ah is None


def test_more_than_register_306_says_with_cells_that_are_not_empty(life: Life) -> None:
    """196 Ah are set, 182 came out, and the cells still show a fifth: it holds at least 230 Ah."""
    life.ratings = replace(life.ratings, capacity_ah=196.0)
    life.cycle(182.0, 182.0, low=(3.28,) * 16)
    (told,) = remarks_on(life.memory, life.ratings)
    assert life.memory.at_least
    assert "at least about 228 Ah, and register 306 says 196 Ah" in told.message.text


def test_it_ends_when_the_register_is_mended_or_a_new_round_says_otherwise(life: Life) -> None:
    """The newest pair of ways counts."""
    life.cycle(186.0, 186.0)
    assert life.codes == [RemarkCode.CAPACITY_WRONG]
    assert remarks_on(life.memory, replace(life.ratings, capacity_ah=196.0)) == ()
    life.cycle(266.0, 266.0)
    assert life.codes == []


WEAK_LOW = (LOW_V, *(3.24,) * 15)
"""One cell with 5 %, the others with 16 % and more."""


def test_a_weak_cell_is_told_after_two_rounds(life: Life) -> None:
    """Nearly empty before the others and full with them; one round is one reading."""
    life.cycle(260.0, 260.0, low=WEAK_LOW)
    assert (life.codes, len(life.memory.seen)) == ([], 16)
    life.cycle(260.0, 260.0, low=(LOW_V, *(3.26,) * 15))
    (told,) = remarks_on(life.memory, life.ratings)
    assert (told.code, told.cells) == (RemarkCode.WEAK_CELL, (1,))
    assert told.message.text.startswith("cell 1 holds about 12 % less than the middle one")
    assert "balancing cannot mend that" in told.message.text
    life.cycle(260.0, 260.0)
    assert life.codes == []


def test_several_weak_cells_are_told_together(life: Life) -> None:
    """A quarter of the pack is older than the rest."""
    low = tuple(LOW_V if index % 4 == 3 else 3.26 for index in range(16))
    for _ in range(2):
        life.cycle(260.0, 260.0, low=low)
    (told,) = remarks_on(life.memory, life.ratings)
    assert (told.code, told.cells) == (RemarkCode.WEAK_CELL, (4, 8, 12, 16))
    assert told.message.text.startswith("cells 4, 8, 12 and 16 hold about ")


@pytest.mark.parametrize("behind_v", [3.33, 3.38])
def test_a_cell_that_is_behind_at_both_ends_is_not_weak(life: Life, behind_v: float) -> None:
    """It was only never charged as far as the others: balancing mends that."""
    for _ in range(3):
        life.cycle(260.0, 260.0, low=(3.15, *(3.20,) * 15), top=(behind_v, *(FULL_V,) * 15))
    assert life.codes == []


def test_a_step_that_is_known_is_taken_off(life: Life) -> None:
    """A cell of three times the resistance shows less under load than it holds."""
    life.resistance = ResistanceMemory((3.0, *(1.0,) * 15))
    sags_v = 0.2 / 280.0 * 20.0
    for _ in range(2):
        life.full()
        life.flow(-260.0)
        life.empty((3.10 - 3.0 * sags_v, *(3.10 - sags_v,) * 15), current_a=-20.0)
        life.flow(260.0)
        life.full()
    assert life.memory.cells == pytest.approx((1.0,) * 16, abs=0.02)


def test_a_cell_of_high_resistance_is_told(life: Life) -> None:
    """As soon as two steps have taught it; the first thing to look at is its connection."""
    life.resistance = ResistanceMemory((*(1.1,) * 8, 2.4, *(0.9,) * 7))
    life.look()
    (told,) = remarks_on(life.memory, life.ratings)
    assert (told.code, told.cells) == (RemarkCode.RESISTIVE_CELL, (9,))
    assert told.message.text.startswith("cell 9 has 2.2 times the resistance of the middle one")
    assert "Check the connections first" in told.message.text
    life.resistance = ResistanceMemory((*(1.1,) * 8, 1.5, *(0.9,) * 7))
    life.look()
    assert life.codes == []


def use(life: Life, hours: float, current_a: float = -5.0, **more: Any) -> None:
    """Let a steady current flow."""
    for _ in range(round(60.0 * hours)):
        life.look(current_a=current_a, **more)


def test_a_resistance_that_nothing_teaches_is_told_after_100_hours(life: Life) -> None:
    """Not at a start, not while nothing flows; with what it means and how it is taught; until it is learned."""
    use(life, 99.0)
    assert life.codes == []
    use(life, 50.0, current_a=0.0)
    assert life.codes == []
    use(life, 1.1)
    (told,) = remarks_on(life.memory, life.ratings)
    assert told.code is RemarkCode.RESISTANCE_NOT_LEARNED
    assert "28 A or more" in told.message.text
    assert "register 301" in told.message.text
    assert "a load of 1700 W on for half a minute and off again" in told.message.text
    assert life.memory.flowing_s == UNLEARNED_S
    life.resistance = ResistanceMemory((1.0,) * 16)
    use(life, 0.1)
    assert (life.codes, life.memory.flowing_s) == ([], 0.0)


def test_restarts_neither_forget_nor_invent(life: Life) -> None:
    """What was waited for goes on; the time in between does not count."""
    use(life, 60.0)
    life.restart()
    life.lifetime_s += 50.0 * HOUR_S
    use(life, 30.0)
    assert life.memory.flowing_s == pytest.approx(90.0 * HOUR_S, rel=0.01)
    assert life.codes == []
    use(life, 11.0)
    life.restart()
    assert life.codes == [RemarkCode.RESISTANCE_NOT_LEARNED]


def test_a_round_goes_on_over_restarts(life: Life) -> None:
    """Full, a restart, near empty, a restart, full again."""
    life.full()
    life.restart()
    life.flow(-186.0)
    life.empty()
    life.restart()
    life.flow(186.0)
    life.restart()
    life.full()
    life.restart()
    assert life.codes == [RemarkCode.CAPACITY_WRONG]


def test_it_looks_once_a_minute(life: Life) -> None:
    """In between the same evidence comes back, which costs nothing."""
    first = life.look(current_a=-5.0)
    assert life.look(current_a=-5.0, after_s=30.0) is first
    assert life.look(current_a=-5.0, after_s=30.0) is not first


def test_another_number_of_cells_is_another_battery(life: Life) -> None:
    """What was learned of 8 cells says nothing of 16."""
    life.resistance = ResistanceMemory((1.0,) * 8)
    use(life, 101.0)
    assert life.codes == [RemarkCode.RESISTANCE_NOT_LEARNED]


def test_a_battery_without_a_capacity_is_told_nothing(life: Life) -> None:
    """Register 306 at 0 leaves nothing to compare with."""
    life.ratings = replace(life.ratings, capacity_ah=0.0)
    life.cycle(186.0, 186.0)
    assert life.memory.capacity_ah is None
    assert holds_ah(replace(life.memory, capacity_ah=100.0), life.ratings) is None
    assert remarks_on(replace(NO_EVIDENCE, flowing_s=UNLEARNED_S), replace(life.ratings, capacity_ah=math.inf)) == ()


def test_the_advice_teaches_the_resistance(
    make_engine: Callable[..., Any], make_ratings: Callable[..., Ratings]
) -> None:
    """A load of a tenth of the capacity, on for half a minute and off again."""
    ratings = make_ratings(capacity_ah=100.0)
    ohm = 0.2 / 100.0
    made = make_engine()
    for current_a in (-2.0, -12.5, -2.0):
        cells_v = (round(3.30 + ohm * current_a, 4),) * 16
        made.last_for(30.0, cells_v=cells_v, current_a=current_a, ratings=ratings)
    made.last_for(120.0, cells_v=cells_v, current_a=current_a, ratings=ratings)
    assert made.memory.evidence.factors == pytest.approx((1.0,) * 16, abs=0.05)
    assert made.limits.evidence is made.memory.evidence
