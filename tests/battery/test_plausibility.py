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
    PlausibilityVerdict,
    ReadingProblem,
    judge,
)
from tinybms_bridge.battery.snapshot import Cells, PackValues, Ratings, Snapshot, Temperatures

SETTINGS = PlausibilitySettings()
Build = Callable[..., Snapshot]


@pytest.fixture(scope="module")
def make_snapshot(make_snapshot: Build) -> Build:
    """Return the builder with cells at 3.4 V."""
    return partial(make_snapshot, max_cell_v=3.40)


def verdicts(samples: Iterable[Snapshot], memory: PlausibilityMemory | None = None) -> list[PlausibilityVerdict]:
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


@pytest.mark.parametrize(("pack_v", "fits"), [(54.4, True), (55.2, True), (55.3, False), (53.5, False)])
def test_pack_voltage_is_the_sum_of_the_cells(make_snapshot: Build, pack_v: float, fits: bool) -> None:
    """The pack voltage may differ from 16 × 3.4 V by 1.5 % and no more: else a cell is not what it reads."""
    sample = make_snapshot(max_cell_v=3.4, delta_mv=0.0)
    sample = replace(sample, pack=replace(sample.pack, voltage_v=pack_v))

    assert accepted([sample]) == [fits]


@pytest.mark.parametrize("pack_v", [0.0, math.nan, math.inf, 5.44, 5440.0])
def test_an_absurd_pack_voltage_costs_its_own_use(make_snapshot: Build, pack_v: float) -> None:
    """A voltage that no such pack can have says nothing of its cells; it is named, and the battery goes on."""
    sample = make_snapshot()
    (verdict,) = verdicts([replace(sample, pack=replace(sample.pack, voltage_v=pack_v))])

    assert verdict.accepted
    assert verdict.cause == "pack voltage"


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
        ("pack current", 50.0, 1000.1),
        ("pack current", 50.0, -math.inf),
        ("pack current", 50.0, math.nan),
    ],
)
def test_impossible_pack_value_is_rejected(
    make_snapshot: Build, what: str, soc_percent: float, current_a: float
) -> None:
    """Without a current that can be no limit can be decided: it is refused by name."""
    (verdict,) = verdicts([make_snapshot(soc=soc_percent, current_a=current_a)])

    assert [problem.what for problem in verdict.problems] == [what]


@pytest.mark.parametrize("soc_percent", [100.6, -0.1, math.nan, 4294.9])
def test_an_absurd_soc_costs_its_own_use(make_snapshot: Build, soc_percent: float) -> None:
    """A counter that cannot be is named, and silences no battery."""
    (verdict,) = verdicts([make_snapshot(soc=soc_percent)])

    assert verdict.accepted
    assert str(verdict).startswith("state of charge is ")


def test_soc_slightly_above_full_is_accepted(make_snapshot: Build) -> None:
    """100.4 % is rounding of the BMS, not an error; the sender bounds it."""
    assert accepted([make_snapshot(soc=100.4)]) == [True]


@pytest.mark.parametrize("temperature_c", [-61.0, 151.0, -3276.8, math.nan])
def test_an_absurd_temperature_costs_its_own_use(make_snapshot: Build, temperature_c: float) -> None:
    """The raw value of a missing sensor is not a temperature of the cells, and no reason to silence them."""
    (verdict,) = verdicts([with_temperature(make_snapshot(), temperature_c)])

    assert verdict.accepted
    assert [problem.what for problem in verdict.ignored] == ["external 1 temperature"]


def test_negative_temperature_is_accepted(make_snapshot: Build) -> None:
    """A battery in winter is a battery."""
    assert accepted([with_temperature(make_snapshot(), -20.0)]) == [True]


def test_what_jumps_is_left_to_the_readings(make_snapshot: Build) -> None:
    """A value that is possible rejects no sample, however far from the last one: it counts once it is confirmed."""
    samples = [make_snapshot(soc=soc, sequence=i, taken_at_s=i / 10) for i, soc in enumerate([60, 20, 60], 1)]
    hot = with_temperature(replace(samples[1], sequence=4, taken_at_s=0.4), 70.0)
    low = with_cell(replace(samples[2], sequence=5, taken_at_s=0.5), 2.6)

    assert accepted([*samples, hot, low]) == [True] * 5


def test_cause_is_the_same_while_the_same_is_wrong(make_snapshot: Build) -> None:
    """The cause leaves the values out, so that a repeated rejection can be logged once."""
    first, second = verdicts([with_cell(make_snapshot(), 0.0), with_cell(make_snapshot(), 0.1)])

    assert first.cause == second.cause != ""
    assert str(first) != str(second)


def test_problem_says_which_numbers() -> None:
    """The text of a problem gives value, unit and range."""
    assert str(ReadingProblem("number of cells", 15, 16, 16)) == "number of cells is 15, expected 16 to 16"


_wild = st.floats() | st.floats(0.0, 6.0)
_samples = st.builds(
    Snapshot,
    sequence=st.integers(0, 5),
    taken_at_s=_wild,
    pack=st.builds(PackValues, voltage_v=_wild, current_a=_wild, soc_percent=_wild),
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
            assert abs(sample.pack.current_a) <= SETTINGS.current_max_a
            named = {problem.what for problem in verdict.ignored}
            assert "pack voltage" in named or math.isfinite(sample.pack.voltage_v)
            assert "state of charge" in named or 0.0 <= sample.pack.soc_percent <= 100.5
