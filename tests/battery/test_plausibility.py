import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.plausibility import (
    PlausibilityMemory,
    PlausibilitySettings,
    Problem,
    Verdict,
    judge,
)
from tinybms_bridge.battery.snapshot import Cells, PackState, Ratings, Snapshot, Temperatures

SETTINGS = PlausibilitySettings()
Build = Callable[..., Snapshot]


@pytest.fixture(scope="module")
def make_snapshot(make_snapshot: Build) -> Build:
    """Return the builder with cells at 3.4 V."""
    return partial(make_snapshot, max_cell_v=3.40)


def verdicts(samples: Iterable[Snapshot], memory: PlausibilityMemory | None = None) -> list[Verdict]:
    """Return the verdict on each sample of a sequence."""
    memory = memory or PlausibilityMemory()
    found = []
    for sample in samples:
        verdict, memory = judge(memory, sample, SETTINGS)
        found.append(verdict)
    return found


def accepted(samples: Iterable[Snapshot]) -> list[bool]:
    """Return whether each sample of a sequence is accepted."""
    return [verdict.accepted for verdict in verdicts(samples)]


def with_cell(snapshot: Snapshot, voltage_v: float, *, keep_sum: bool = False) -> Snapshot:
    """Return the sample with another voltage of cell 1; the pack voltage follows unless told otherwise."""
    cells = Cells((voltage_v, *snapshot.cells.voltages_v[1:]))
    pack_v = snapshot.pack.voltage_v if keep_sum else sum(cells.voltages_v)
    return replace(snapshot, cells=cells, pack=replace(snapshot.pack, voltage_v=pack_v))


def with_temperature(snapshot: Snapshot, external_1_c: float | None) -> Snapshot:
    """Return the sample with another external temperature."""
    return replace(snapshot, temperatures=Temperatures(internal_c=25.0, external_1_c=external_1_c))


def test_healthy_sample_is_accepted(make_snapshot: Build) -> None:
    """A plausible first sample is accepted at once and remembered."""
    sample = make_snapshot()
    verdict, memory = judge(PlausibilityMemory(), sample, SETTINGS)

    assert verdict.accepted
    assert str(verdict) == "plausible"
    assert memory.accepted is sample


@pytest.mark.parametrize("voltage_v", [0.0, 0.049, 0.499, 5.001, 6.5535, 65.535, math.nan, math.inf, -3.3])
def test_impossible_cell_is_rejected(make_snapshot: Build, voltage_v: float) -> None:
    """A cell of 0 mV or 65535 mV is never believed, even when the pack voltage agrees with it."""
    verdict, memory = judge(PlausibilityMemory(), with_cell(make_snapshot(), voltage_v), SETTINGS)

    assert not verdict.accepted
    assert "cell 1" in {problem.what for problem in verdict.problems}
    assert memory.accepted is None


def test_missing_cell_is_named_with_its_value(make_snapshot: Build) -> None:
    """The message names the cell, the value and the range, so that a user finds the loose wire."""
    (verdict,) = verdicts([with_cell(make_snapshot(), 0.0)])

    assert str(verdict).startswith("cell 1 is 0 V, expected 0.5 to 5")


def test_low_first_cell_is_seen_in_the_sum(make_snapshot: Build) -> None:
    """A missing lowest sense wire makes cell 1 read 0.65 V low: each value is possible, their sum is not."""
    sample = make_snapshot()
    (verdict,) = verdicts([with_cell(sample, sample.cells.voltages_v[0] - 0.9, keep_sum=True)])

    assert [problem.what for problem in verdict.problems] == ["pack voltage"]


@pytest.mark.parametrize(("pack_v", "fits"), [(54.4, True), (55.2, True), (55.3, False), (53.5, False), (0.0, False)])
def test_pack_voltage_is_the_sum_of_the_cells(make_snapshot: Build, pack_v: float, fits: bool) -> None:
    """The pack voltage may differ from 16 × 3.4 V by 1.5 % and no more."""
    sample = make_snapshot(max_cell_v=3.4, delta_mv=0.0)
    sample = replace(sample, pack=replace(sample.pack, voltage_v=pack_v))

    assert accepted([sample]) == [fits]


@pytest.mark.parametrize("pack_v", [math.nan, math.inf, 5.44, 5440.0])
def test_wrong_word_order_or_scale_is_rejected(make_snapshot: Build, pack_v: float) -> None:
    """A pack voltage decoded with the wrong word order or scale is refused instead of sent to a GX."""
    sample = make_snapshot()

    assert accepted([replace(sample, pack=replace(sample.pack, voltage_v=pack_v))]) == [False]


@pytest.mark.parametrize(
    ("in_bms", "in_sample", "fits"),
    [(16, 16, True), (16, 15, False), (16, 17, False), (8, 16, False), (4, 4, True), (16, 0, False)],
)
def test_number_of_cells_is_that_of_the_bms(
    make_snapshot: Build, make_ratings: Callable[..., Ratings], in_bms: int, in_sample: int, fits: bool
) -> None:
    """A sample with one cell too few is refused; its sum would be a wrong pack voltage that looks right."""
    sample = make_snapshot(cells_v=(3.4,) * in_sample, ratings=make_ratings(series_cells=in_bms))

    assert accepted([sample]) == [fits]


@pytest.mark.parametrize(("count", "fits"), [(3, False), (4, True), (16, True), (17, False)])
def test_number_of_cells_without_ratings(make_snapshot: Build, count: int, fits: bool) -> None:
    """While the BMS's own settings are unknown, any number that a TinyBMS supports is accepted."""
    assert accepted([make_snapshot(cells_v=(3.4,) * count, ratings=None)]) == [fits]


@pytest.mark.parametrize(
    ("what", "soc_percent", "current_a"),
    [
        ("state of charge", 100.6, 0.0),
        ("state of charge", -0.1, 0.0),
        ("state of charge", math.nan, 0.0),
        ("pack current", 50.0, 1000.1),
        ("pack current", 50.0, -math.inf),
        ("pack current", 50.0, math.nan),
    ],
)
def test_impossible_pack_value_is_rejected(
    make_snapshot: Build, what: str, soc_percent: float, current_a: float
) -> None:
    """State of charge and current outside what the BMS can measure are refused by name."""
    (verdict,) = verdicts([make_snapshot(soc=soc_percent, current_a=current_a)])

    assert [problem.what for problem in verdict.problems] == [what]


def test_soc_slightly_above_full_is_accepted(make_snapshot: Build) -> None:
    """100.4 % is rounding of the BMS, not an error; the sender bounds it."""
    assert accepted([make_snapshot(soc=100.4)]) == [True]


@pytest.mark.parametrize("temperature_c", [-61.0, 151.0, -3276.8, math.nan])
def test_impossible_temperature_is_rejected(make_snapshot: Build, temperature_c: float) -> None:
    """The raw value of a missing sensor is not a temperature of the cells."""
    (verdict,) = verdicts([with_temperature(make_snapshot(), temperature_c)])

    assert [problem.what for problem in verdict.problems] == ["external 1 temperature"]


def test_negative_temperature_is_accepted(make_snapshot: Build) -> None:
    """A battery in winter is a battery."""
    assert accepted([with_temperature(make_snapshot(), -20.0)]) == [True]


def sequence(make_snapshot: Build, *socs: float, period_s: float = 0.1) -> list[Snapshot]:
    """Return samples with these states of charge, ``period_s`` apart."""
    return [make_snapshot(soc=soc, sequence=i, taken_at_s=10.0 + i * period_s) for i, soc in enumerate(socs, 1)]


def test_one_bad_sample_is_never_accepted(make_snapshot: Build) -> None:
    """A single outlier between good samples is dropped and the next good sample is accepted at once."""
    assert accepted(sequence(make_snapshot, 60, 60, 20, 60, 60)) == [True, True, False, True, True]


def test_two_bad_samples_are_never_accepted(make_snapshot: Build) -> None:
    """Two equal outliers are not enough to be believed."""
    assert accepted(sequence(make_snapshot, 60, 20, 20, 60)) == [True, False, False, True]


def test_jump_is_accepted_after_three_agreeing_samples(make_snapshot: Build) -> None:
    """A real jump, such as SOC set by hand, is believed with the third sample that shows it."""
    assert accepted(sequence(make_snapshot, 60, 20, 20, 20, 20)) == [True, False, False, True, True]


def test_agreement_has_to_be_in_a_row(make_snapshot: Build) -> None:
    """A good sample between the outliers starts their count again."""
    assert accepted(sequence(make_snapshot, 60, 20, 20, 60, 20, 20, 60)) == [
        True,
        False,
        False,
        True,
        False,
        False,
        True,
    ]


def test_impossible_sample_ends_agreement(make_snapshot: Build) -> None:
    """An impossible sample between two outliers starts their count again."""
    first, second, third, broken, *rest = sequence(make_snapshot, 60, 20, 20, 20, 20, 20)

    found = accepted([first, second, third, with_cell(broken, 0.0), *rest])

    assert found == [True, False, False, False, False, False]


@pytest.mark.parametrize("period_s", [0.1, 0.5, 1.0, 1.9])
def test_alternating_garbage_is_never_accepted(make_snapshot: Build, period_s: float) -> None:
    """Outliers that contradict each other are not believed, however long they go on."""
    found = accepted(sequence(make_snapshot, 60, *[20, 90] * 50, period_s=period_s))

    assert found == [True] + [False] * 100


def test_garbage_mixed_with_impossible_samples_is_never_accepted(make_snapshot: Build) -> None:
    """Impossible samples between the outliers do not make the last good sample look old."""
    samples = sequence(make_snapshot, 60, *[20] * 90)
    found = accepted(with_cell(s, 0.0) if i % 3 == 0 and i else s for i, s in enumerate(samples))

    assert found == [True] + [False] * 90


def test_jump_after_a_silence_is_accepted(make_snapshot: Build) -> None:
    """After a silence longer than the window nothing can be said about a jump."""
    before, after = make_snapshot(soc=60, taken_at_s=10.0), make_snapshot(soc=20, sequence=2, taken_at_s=12.1)

    assert accepted([before, after]) == [True, True]


def test_full_charge_may_jump_to_100_percent(make_snapshot: Build) -> None:
    """The BMS sets SOC to 100 % when a charge completes; that jump is real at once."""
    assert accepted(sequence(make_snapshot, 91.0, 100.0, 100.0)) == [True, True, True]


def test_jump_away_from_100_percent_is_confirmed_first(make_snapshot: Build) -> None:
    """Only the jump to 100 % is an exception, not the one away from it."""
    assert accepted(sequence(make_snapshot, 100.0, 90.0, 90.0, 90.0)) == [True, False, False, True]


@pytest.mark.parametrize(("step_v", "fits"), [(0.49, True), (-0.49, True), (0.51, False), (-0.51, False)])
def test_cell_jump_is_confirmed_first(make_snapshot: Build, step_v: float, fits: bool) -> None:
    """A cell may move by half a volt between two samples, not more."""
    before = make_snapshot(max_cell_v=3.4, delta_mv=0.0, taken_at_s=1.0)
    after = with_cell(replace(before, sequence=2, taken_at_s=1.1), 3.4 + step_v)

    assert accepted([before, after]) == [True, fits]


@pytest.mark.parametrize(("step_c", "fits"), [(19.0, True), (-21.0, False), (21.0, False)])
def test_temperature_jump_is_confirmed_first(make_snapshot: Build, step_c: float, fits: bool) -> None:
    """A sensor that jumps by more than 20 degrees is not believed at once."""
    before = with_temperature(make_snapshot(taken_at_s=1.0), 20.0)
    after = with_temperature(make_snapshot(sequence=2, taken_at_s=1.1), 20.0 + step_c)

    assert accepted([before, after]) == [True, fits]


def test_connected_sensor_is_no_jump(make_snapshot: Build) -> None:
    """A sensor that appears or disappears has no previous value to jump from."""
    samples = [
        with_temperature(make_snapshot(sequence=i, taken_at_s=i / 10), value)
        for i, value in enumerate([None, 70.0, None], 1)
    ]

    assert accepted(samples) == [True, True, True]


def test_cause_is_the_same_while_the_same_is_wrong(make_snapshot: Build) -> None:
    """The cause leaves the values out, so that a repeated rejection can be logged once."""
    first, second = verdicts([with_cell(make_snapshot(), 0.0), with_cell(make_snapshot(), 0.1)])

    assert first.cause == second.cause != ""
    assert str(first) != str(second)


def test_problem_says_which_numbers(make_snapshot: Build) -> None:
    """The text of a problem gives value, unit and range, and tells a jump from an impossible value."""
    assert str(Problem("number of cells", 15, 16, 16)) == "number of cells is 15, expected 16 to 16"
    jump = verdicts(sequence(make_snapshot, 60, 20))[1]
    assert str(jump) == "state of charge jumped by -40 %, expected -5 to 5"
    assert jump.cause == "state of charge jump"


_wild = st.floats() | st.floats(0.0, 6.0)
_samples = st.builds(
    Snapshot,
    sequence=st.integers(0, 5),
    taken_at_s=_wild,
    pack=st.builds(PackState, voltage_v=_wild, current_a=_wild, soc_percent=_wild),
    cells=st.builds(Cells, st.lists(_wild, max_size=17).map(tuple)),
    temperatures=st.builds(Temperatures, st.none() | _wild, st.none() | _wild, st.none() | _wild),
)


@given(st.lists(_samples, max_size=8))
def test_any_sample_gets_a_verdict(samples: list[Snapshot]) -> None:
    """Nothing that a snapshot can hold makes the filter fail, and what it accepts is finite and within bounds."""
    memory = PlausibilityMemory()
    for sample in samples:
        verdict, memory = judge(memory, sample, SETTINGS)
        assert verdict.accepted == (memory.accepted is sample)
        assert str(verdict)
        if verdict.accepted:
            assert 4 <= sample.cells.count <= 16
            assert all(SETTINGS.cell_min_v <= v <= SETTINGS.cell_max_v for v in sample.cells.voltages_v)
            assert all(map(math.isfinite, (sample.pack.voltage_v, sample.pack.current_a, sample.pack.soc_percent)))


@given(st.lists(st.sampled_from([20.0, 40.0, 60.0, 80.0]), min_size=1, max_size=60))
def test_accepted_values_were_confirmed(make_snapshot: Build, socs: list[float]) -> None:
    """Whatever the order of outliers, a new value is accepted only as the third of three equal samples in a row."""
    samples = sequence(make_snapshot, *socs)
    believed = socs[0]
    for i, verdict in enumerate(verdicts(samples)):
        if not verdict.accepted:
            continue
        assert socs[i] == believed or socs[i - 2 : i + 1] == [socs[i]] * 3
        believed = socs[i]
