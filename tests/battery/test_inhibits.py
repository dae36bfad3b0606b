import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.inhibits import Direction, Inhibit, inhibits_from_document, inhibits_to_document

NOW = datetime(2026, 1, 1, tzinfo=UTC)

TEXT = st.text(alphabet='aZ0 é☕"\\\n{', max_size=20)

STOPS = st.builds(
    Inhibit,
    direction=st.sampled_from(Direction),
    since=st.datetimes(timezones=st.just(UTC)),
    expires_at=st.none(),
    reason=TEXT,
    by=TEXT,
)


@given(st.lists(st.tuples(STOPS, st.none() | st.floats(0, 700_000)), unique_by=lambda stop: stop[0].direction))
def test_what_is_kept_comes_back(stops: list[tuple[Inhibit, float | None]]) -> None:
    """Direction, begin, time that is left, reason and name survive the way through a file."""
    document = json.loads(json.dumps(inhibits_to_document(dict(stops))))
    assert inhibits_from_document(document, NOW) == dict(stops)


@given(st.integers(0, 700_000), st.floats(0, 0.49))
def test_the_end_is_the_same_second_whenever_it_is_worked_out(lasts_s: int, later_s: float) -> None:
    """What ends at a time is no other inhibit a little later: nobody is told of a change that there is not."""
    inhibit = Inhibit(Direction.CHARGE, NOW)
    told = inhibit.ending(NOW, lasts_s)
    assert told.expires_at == NOW + timedelta(seconds=lasts_s)
    assert told.ending(NOW + timedelta(seconds=later_s), lasts_s - later_s) == told
    assert told.ending(NOW, None) == inhibit


@pytest.mark.parametrize(
    "document", [None, [], {}, {"stops": {}}, {"stops": [5]}, {"stops": [{"direction": "sideways"}]}]
)
def test_document_that_does_not_say_what_is_stopped_is_refused(document: object) -> None:
    """What is not understood must not pass for "nothing is stopped"."""
    with pytest.raises(ValueError, match=r"list of inhibits|not a valid Direction"):
        inhibits_from_document(document, NOW)


@pytest.mark.parametrize("remaining", ["60", True, -1, float("nan"), float("inf"), 1e300, 10**400, [], {}])
def test_duration_that_makes_no_sense_has_no_end(remaining: Any) -> None:
    """A stop is not ended early by a damaged number."""
    found = inhibits_from_document({"stops": [{"direction": "charge", "remaining_s": remaining}]}, NOW)
    assert found == {Inhibit(Direction.CHARGE, NOW): None}


@pytest.mark.parametrize("since", [None, 5, "yesterday", "2026-01-01T00:00:00"])
def test_stop_without_a_date_began_now(since: object) -> None:
    """The date is for people; without it the stop is in force all the same."""
    now = NOW + timedelta(days=1)
    found = inhibits_from_document({"stops": [{"direction": "discharge", "since": since, "by": 7}]}, now)
    assert found == {Inhibit(Direction.DISCHARGE, now): None}
