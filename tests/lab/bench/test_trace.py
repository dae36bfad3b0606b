"""What a run leaves behind."""

import pytest

from tinybms_bridge.battery.limits import ChargeState
from tinybms_lab.bench.trace import STATES, Column, Trace


def test_columns_come_back_as_they_went_in() -> None:
    """Row by row in, column by column out."""
    trace = Trace()
    trace.add([float(column) for column in Column])
    trace.add([100.0 + column for column in Column])

    assert len(trace) == 2
    for column in Column:
        assert list(trace.column(column)) == [float(column), 100.0 + column]


@pytest.mark.parametrize("width", [0, len(Column) - 1, len(Column) + 1])
def test_a_row_of_another_width_is_refused(width: int) -> None:
    """A value in the wrong column would go unnoticed."""
    with pytest.raises(ValueError, match=f"a row has {len(Column)} values, got {width}"):
        Trace().add([0.0] * width)


def test_a_column_is_a_copy() -> None:
    """Whoever reads a trace cannot change it."""
    trace = Trace()
    trace.add([0.0] * len(Column))
    trace.column(Column.CVL_V)[0] = 99.0

    assert trace.column(Column.CVL_V)[0] == 0.0


def test_every_charge_state_has_a_number() -> None:
    """The trace holds numbers only."""
    assert set(STATES) == set(ChargeState)
