from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tinybms_bridge.battery.limits.doubts import DoubtMemory, Outlier, loose_wires, name_of_cells, next_doubts
from tinybms_bridge.battery.snapshot import Snapshot

MakeSnapshot = Callable[..., Snapshot]
CELLS_V = (3.33,) * 16


class Watch:
    """Doubts over a row of readings, ten a second."""

    def __init__(self, make_snapshot: MakeSnapshot) -> None:
        self._make = make_snapshot
        self._window: list[Snapshot] = []
        self.memory = DoubtMemory()
        self.found: list[Outlier] = []

    def read(self, cells_v: Sequence[float], current_a: float = 0.0, times: int = 1) -> DoubtMemory:
        """Take a reading some times."""
        for _ in range(times):
            self._window = [*self._window[-4:], self._make(cells_v=tuple(cells_v), current_a=current_a)]
            if len(self._window) == 5:
                columns = zip(*[each.cells.voltages_v for each in self._window], strict=True)
                span_v = max(max(column) - min(column) for column in columns)
                self.memory = next_doubts(self.memory, self._window, span_v, 0.1)
                self.found += self.memory.latest
        return self.memory


@pytest.fixture
def watch(make_snapshot: MakeSnapshot) -> Watch:
    """A battery at rest that was read ten times."""
    made = Watch(make_snapshot)
    made.read(CELLS_V, times=10)
    return made


def off(changes_v: dict[int, float], base: Sequence[float] = CELLS_V) -> list[float]:
    """Return the cells with some (from 1) off."""
    return [v + changes_v.get(n, 0.0) for n, v in enumerate(base, start=1)]


@pytest.mark.parametrize("off_v", [0.4, -0.45, 0.05])
@pytest.mark.parametrize("readings", [1, 2])
def test_an_outlier_is_told_with_its_cell(watch: Watch, off_v: float, readings: int) -> None:
    """One or two readings of cell 7: it is in doubt at once, told when it is over, and then all is quiet."""
    assert watch.read(off({7: off_v})).cells == (7,)
    watch.read(off({7: off_v}), times=readings - 1)
    watch.read(CELLS_V, times=8)

    assert {outlier.cells for outlier in watch.found} == {(7,)}
    assert all(outlier.off_v == pytest.approx(off_v) for outlier in watch.found)
    assert watch.memory.cells == ()
    assert watch.memory.count == len(watch.found) == readings


@pytest.mark.parametrize("first", [1, 7, 15])
def test_two_neighbours_against_each_other_are_one_wire(watch: Watch, first: int) -> None:
    """The sum is unchanged: what moved is the wire between them."""
    watch.read(off({first: 0.3, first + 1: -0.3}))
    watch.read(CELLS_V, times=5)

    assert [outlier.cells for outlier in watch.found] == [(first, first + 1)]
    assert name_of_cells(watch.found[0].cells) == f"the wire between cells {first} and {first + 1}"


def test_a_step_of_current_is_no_outlier(watch: Watch) -> None:
    """A load on and off: all cells move, a weak one three times as far; nothing is in doubt."""
    for current_a in (-80.0, 0.0, -80.0):
        sag_v = -0.06 if current_a else 0.0
        cells_v = off({5: 2.0 * sag_v}, [v + sag_v for v in CELLS_V])
        for _ in range(2):
            assert watch.read(cells_v, current_a).cells == ()

    assert watch.found == []


def test_a_step_of_current_hides_no_outlier(watch: Watch) -> None:
    """What one cell does beyond any resistance is still seen."""
    cells_v = off({5: -0.5}, [v - 0.06 for v in CELLS_V])

    assert watch.read(cells_v, -80.0).cells == (5,)


def test_a_real_change_is_in_doubt_and_no_outlier(watch: Watch) -> None:
    """A cell that stays where it went was right."""
    assert watch.read(off({7: -0.4})).cells == (7,)
    watch.read(off({7: -0.4}), times=10)

    assert watch.memory.cells == ()
    assert watch.found == []


@pytest.mark.parametrize(("every", "loose"), [(2, True), (20, True), (120, False)])
def test_a_cell_that_is_often_in_doubt_has_a_loose_wire(watch: Watch, every: int, loose: bool) -> None:
    """More than a tenth of the time is an alarm, an outlier every 12 s is none; it ends when the readings are firm."""
    for number in range(2400):
        watch.read(off({7: 0.3, 8: -0.3}) if number % every == 0 else CELLS_V)

    assert watch.memory.loose == ((7, 8) if loose else ())
    assert loose_wires(watch.memory) == (("the wire between cells 7 and 8",) if loose else ())
    watch.read(CELLS_V, times=6000)
    assert watch.memory.loose == ()


def test_a_rest_forgets(watch: Watch) -> None:
    """With nothing in doubt for long no share is left to be worked on."""
    watch.read(off({7: 0.3}))
    watch.read(CELLS_V, times=6000)

    assert watch.memory == replace(DoubtMemory(), count=1)


def test_cells_in_words() -> None:
    """One, a wire, or several."""
    names = [name_of_cells(cells) for cells in ((3,), (3, 4), (3, 5))]

    assert names == ["cell 3", "the wire between cells 3 and 4", "cells 3, 5"]
