from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import Chemistry, ChemistryMemory, LimitSettings
from tinybms_bridge.battery.limits.chemistry import judge_chemistry, next_chemistry
from tinybms_bridge.battery.snapshot import Cells, PackState, Ratings, Snapshot

LTO, LFP, LI_ION = Chemistry.LTO, Chemistry.LFP, Chemistry.LI_ION
UNIT = Ratings(16, 3.70, 2.9, 3.90, 2.5, 60.0, 120.0, None, 60.0, 1.0, 100.0)
"""Register 300 may be that of LFP or Li-ion."""
LIVE = ChemistryMemory(LFP)


def live_for(
    memory: ChemistryMemory,
    seconds: float,
    cell_v: float,
    *,
    low_v: float | None = None,
    current_a: float = 0.0,
    cvl_v: float | None = 53.6,
    ratings: Ratings = UNIT,
    typed: LimitSettings | None = None,
) -> ChemistryMemory:
    """Return the memory after some time with cells at one voltage, one of them perhaps lower."""
    cells = ((low_v if low_v is not None else cell_v), *(cell_v,) * 15)
    snapshot = Snapshot(1, 0.0, PackState(sum(cells), current_a, 50.0), Cells(cells), ratings=ratings)
    for _ in range(round(seconds)):
        memory = next_chemistry(memory, snapshot, ratings, typed or LimitSettings(), cvl_v, 1.0)
    return memory


@pytest.mark.parametrize(
    ("full_v", "typed", "lowest", "chemistry", "decided", "fits"),
    [
        (3.65, None, LTO, LFP, True, True),
        (3.70, None, LFP, LFP, False, True),
        (3.70, None, LI_ION, LI_ION, True, True),
        (3.70, LFP, LFP, LFP, True, True),
        (3.70, LI_ION, LFP, LI_ION, True, True),
        (3.70, LFP, LI_ION, LFP, True, False),
        (3.65, LTO, LFP, LFP, True, False),
        (3.65, LTO, LTO, LTO, False, False),
        (3.65, LI_ION, LFP, LFP, False, False),
        (3.65, LI_ION, LI_ION, LFP, False, False),
        (4.15, LFP, LFP, LFP, False, False),
        (4.15, LFP, LI_ION, LI_ION, True, False),
        (2.70, LFP, LTO, LTO, False, False),
        (2.70, None, LFP, LTO, True, True),
    ],
)
def test_three_witnesses(
    full_v: float, typed: Chemistry | None, lowest: Chemistry, chemistry: Chemistry, decided: bool, fits: bool
) -> None:
    """Register 300, the owner and the cells: the lowest that is possible counts, and two outvote a lower one."""
    verdict = judge_chemistry(replace(UNIT, fully_charged_cell_v=full_v), LimitSettings(chemistry=typed), lowest)

    assert (verdict.chemistry, verdict.decided, verdict.fits) == (chemistry, decided, fits)


def test_cells_above_2_95_v_are_no_lto_at_once() -> None:
    """Before the first decision: an LFP pack must not be emptied to 2.85 V per cell for an hour."""
    assert live_for(ChemistryMemory(), 1, 3.30).lowest is LFP
    assert live_for(ChemistryMemory(), 1, 3.30, low_v=2.94).lowest is LTO


@pytest.mark.parametrize(
    ("seconds", "moment", "lowest"),
    [
        pytest.param(3601, {"cell_v": 3.60}, LI_ION, id="rested an hour"),
        pytest.param(3500, {"cell_v": 3.60}, LFP, id="not an hour"),
        pytest.param(7200, {"cell_v": 3.60, "low_v": 3.45}, LFP, id="one cell low"),
        pytest.param(7200, {"cell_v": 3.60, "current_a": 1.0}, LFP, id="being charged"),
        pytest.param(7200, {"cell_v": 3.60, "cvl_v": 57.6}, LFP, id="held by chargers at CVL"),
        pytest.param(7200, {"cell_v": 3.60, "cvl_v": 57.2}, LFP, id="held by chargers that feed in"),
        pytest.param(80, {"cell_v": 3.60, "current_a": -50.0, "cvl_v": 57.6}, LI_ION, id="gave a hundredth"),
        pytest.param(60, {"cell_v": 3.60, "current_a": -50.0, "cvl_v": 57.6}, LFP, id="gave less"),
        pytest.param(90_000, {"cell_v": 3.40}, LFP, id="an LFP pack at rest"),
    ],
)
def test_rested_cells_above_3_45_v_are_no_lfp(seconds: float, moment: dict[str, float], lowest: Chemistry) -> None:
    """Rested means: not charged and not held for an hour, or on the way down for a hundredth of the capacity."""
    assert live_for(LIVE, seconds, **moment).lowest is lowest  # type: ignore[arg-type]  # all of them numbers


def test_a_charge_in_between_begins_anew() -> None:
    """Half an hour, a cloud gap, half an hour: the surface charge of LFP may have been renewed."""
    memory = live_for(LIVE, 3000, 3.60)
    memory = live_for(memory, 1, 3.60, current_a=20.0)
    assert live_for(memory, 3000, 3.60).lowest is LFP


def test_a_wrong_verdict_is_taken_back() -> None:
    """A charger that heeds nobody has held LFP cells up: once they rest below 3.40 V for an hour, they may be LFP."""
    memory = ChemistryMemory(LI_ION)
    assert live_for(memory, 3500, 3.33).lowest is LI_ION
    assert live_for(memory, 3601, 3.33).lowest is LFP
    assert live_for(memory, 7200, 3.33, current_a=-40.0).lowest is LI_ION, "a load pulls any cell down"
    assert live_for(LIVE, 3601, 2.30).lowest is LTO


def test_cells_are_asked_only_where_something_is_open() -> None:
    """LFP packs that float high all day are nobody's question while register 300 is clear."""
    clear = replace(UNIT, fully_charged_cell_v=3.65)
    assert live_for(LIVE, 7200, 3.60, ratings=clear).lowest is LFP
    assert live_for(ChemistryMemory(LI_ION), 1, 3.60, ratings=clear).lowest is LFP
    assert live_for(LIVE, 3601, 3.60, ratings=clear, typed=LimitSettings(chemistry=LI_ION)).lowest is LI_ION


@given(
    moments=st.lists(
        st.tuples(st.floats(2.0, 4.5), st.floats(-100.0, 100.0), st.none() | st.floats(30.0, 70.0)), max_size=30
    ),
    elapsed_s=st.floats(0.0, 5.0),
)
@settings(max_examples=200, deadline=None)
def test_memory_stays_bounded(moments: list[tuple[float, float, float | None]], elapsed_s: float) -> None:
    """Whatever happens: times of an hour at most, a hundredth of the capacity, and one of three chemistries."""
    memory = ChemistryMemory()
    for cell_v, current_a, cvl_v in moments:
        cells = (cell_v,) * 16
        snapshot = Snapshot(1, 0.0, PackState(sum(cells), current_a, 50.0), Cells(cells), ratings=UNIT)
        memory = next_chemistry(memory, snapshot, UNIT, LimitSettings(), cvl_v, elapsed_s)
        assert memory.lowest in Chemistry
        assert 0.0 <= memory.rest_s < 3600.0
        assert 0.0 <= memory.low_s < 3600.0
        assert 0.0 <= memory.taken_ah < 1.0


def test_verdict_outlives_a_restart(make_engine: Callable[..., object]) -> None:
    """The next start does not begin with an hour of the wrong chemistry."""
    made = make_engine()
    made.memory = replace(made.memory, chemistry=ChemistryMemory(LI_ION, 5.0))  # type: ignore[attr-defined]
    made.restart()  # type: ignore[attr-defined]
    assert made.memory.chemistry == ChemistryMemory(LI_ION)  # type: ignore[attr-defined]
