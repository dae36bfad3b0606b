"""The judge of the rig: what is missing is found, wherever it went missing."""

from typing import Any

import pytest
from rigs.fleet.verdict import judged, percentile

BOOT = "0123456789abcdef"


def ledger(*entries: dict[str, Any]) -> dict[str, Any]:
    """Return what one bridge knows."""
    base = {"topic": "battery/state", "voltage": 50.0, "sent_s": 1.0, "acknowledged_s": 1.5, "times": 1}
    numbered = enumerate(entries, start=1)
    return {"site": "a", "boot": BOOT, "entries": [base | {"seq": seq, "at_ms": seq} | each for seq, each in numbered]}


def test_everything_in_its_place_is_good() -> None:
    """A duplicate in the stream is no loss; a status has no voltage to be looked for."""
    verdict = judged(
        [ledger({}, {"times": 3}, {"topic": "status"})],
        {(BOOT, 1): 1, (BOOT, 2): 2, (BOOT, 3): 1},
        {"a": {1: 50.0, 2: 50.0}},
    )

    assert verdict.good
    assert (verdict.made, verdict.acknowledged, verdict.stored, verdict.duplicates) == (3, 3, 4, 1)
    assert (verdict.sent_again, verdict.expected) == (1, 2)
    assert verdict.acknowledged_after_s == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("stored", "values", "lost"),
    [
        ({}, {1: 50.0}, 1),
        ({(BOOT, 1): 1}, {}, 1),
        ({(BOOT, 1): 1}, {1: 50.1}, 1),
        ({(BOOT, 2): 1}, {2: 50.0}, 2),
    ],
)
def test_what_is_missing_or_wrong_is_a_loss(
    stored: dict[tuple[str, int], int], values: dict[int, float], lost: int
) -> None:
    """In the stream, in the database, with another value, or under another number."""
    verdict = judged([ledger({})], stored, {"a": values})

    assert verdict.lost == lost
    assert not verdict.good


def test_what_nobody_acknowledged_is_not_good_and_no_loss() -> None:
    """A bridge would still have it; the run was not the one that was wanted."""
    verdict = judged([ledger({}, {"acknowledged_s": None, "times": 0})], {(BOOT, 1): 1}, {"a": {1: 50.0}})

    assert verdict.lost == 0
    assert (verdict.made, verdict.sent) == (2, 1)
    assert not verdict.good


def test_nothing_at_all_is_not_good() -> None:
    """A rig that has measured nothing must not say that nothing was lost."""
    assert not judged([], {}, {}).good


def test_percentiles_are_of_what_was_measured() -> None:
    """The nearest rank; none of nothing."""
    assert percentile([], 0.5) == 0.0
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(number) for number in range(100)], 0.99) == 99.0
