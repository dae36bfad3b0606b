"""What may be shown: nothing old looks live."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import ChargeState, Limits
from tinybms_bridge.battery.snapshot import Cells, PackValues, Ratings, Snapshot
from tinybms_bridge.battery.view import Last, View, make_view

RATINGS = Ratings(4, 3.6, 2.8, 3.75, 2.5, 100.0, 150.0, None, 60.0, 1.0, 100.0)
SAMPLE = Snapshot(1, 100.0, PackValues(13.2, 1.0, 50.0), Cells((3.3, 3.3, 3.3, 3.3)), ratings=RATINGS)


def limits(freshness: Freshness, ccl_a: float = 50.0) -> Limits:
    """Return limits as they are decided in a state."""
    return Limits(14.0, ccl_a, 100.0, 11.2, ChargeState.BULK, freshness)


GOOD = limits(Freshness.FRESH)


def seen(freshness: Freshness, snapshot: Snapshot | None = SAMPLE, age_s: float = 0.1) -> View:
    """Return the view of a sample of this age."""
    decided = None if freshness is Freshness.STARTING else limits(freshness)
    return make_view(freshness, snapshot, decided, last_limits=GOOD, now_s=100.0 + age_s, live_for_s=3.0)


def test_fresh_data_is_live() -> None:
    """Measurements and limits as they are, and nothing beside them."""
    view = seen(Freshness.FRESH)
    assert (view.measured, view.limits, view.last, view.remark) == (SAMPLE, limits(Freshness.FRESH), None, "")
    assert view.age_s == pytest.approx(0.1)


def test_hold_shows_limits_as_sent_and_values_as_past() -> None:
    """Charging is stopped, and the words say why and for how long."""
    view = seen(Freshness.HOLD, age_s=12.3)
    assert (view.measured, view.limits) == (None, limits(Freshness.HOLD))
    assert view.last is not None
    assert (view.last.snapshot, view.last.limits) == (SAMPLE, GOOD)
    assert view.last.age_s == pytest.approx(12.3)
    assert view.remark == "charging is stopped because no good data has come from the BMS for 12 s"


def test_silence_shows_no_limits() -> None:
    """What was decided is not in force: nothing is sent."""
    view = seen(Freshness.SILENT, age_s=40.0)
    assert (view.measured, view.limits) == (None, None)
    assert view.last is not None
    assert view.last.limits is GOOD
    assert view.remark == "nothing is sent; the GX has lost the BMS"


def test_a_start_shows_the_first_samples_but_no_limits() -> None:
    """They are measured now; a start that got no further is old data like any other."""
    assert seen(Freshness.STARTING).measured is SAMPLE
    assert seen(Freshness.STARTING).limits is None
    assert seen(Freshness.STARTING).remark.startswith("nothing is sent yet")
    stuck = seen(Freshness.STARTING, age_s=3.1)
    assert stuck.measured is None
    assert stuck.last is not None


def test_nothing_is_known_before_the_first_sample() -> None:
    """No values, no age."""
    assert seen(Freshness.STARTING, None) == View()


def test_settings_of_the_bms_outlast_its_silence() -> None:
    """They are settings, not measurements."""
    assert seen(Freshness.FRESH).ratings is RATINGS
    assert seen(Freshness.SILENT).ratings is RATINGS
    assert View().ratings is None


def test_last_values_have_a_time() -> None:
    """By the wall clock of the moment at which somebody looks."""
    last = Last(SAMPLE, 61.5)
    assert last.at(datetime(2026, 1, 1, 12, 0, 30, 600_000, tzinfo=UTC)) == datetime(2026, 1, 1, 11, 59, 29, tzinfo=UTC)


@given(st.sampled_from(Freshness), st.floats(0.0, 1e6), st.booleans(), st.booleans())
def test_what_is_shown_as_live_is_live(freshness: Freshness, age_s: float, measured: bool, decided: bool) -> None:
    """Whatever is known: measurements only while they are trusted, limits only while they are sent, old ones dated."""
    found = make_view(
        freshness,
        SAMPLE if measured else None,
        limits(freshness) if decided else None,
        now_s=100.0 + age_s,
        live_for_s=3.0,
    )
    if found.measured is not None:
        assert freshness is Freshness.FRESH or (freshness is Freshness.STARTING and age_s <= 3.0)
    assert (found.limits is not None) == (decided and freshness in (Freshness.FRESH, Freshness.HOLD))
    assert found.measured is None or found.last is None
    assert (found.age_s is None) is not measured
    assert bool(found.remark) is not (freshness is Freshness.FRESH and decided)


def test_frozen_readings_are_past_since_they_last_moved() -> None:
    """The sample is young, but what it shows is not."""
    view = make_view(Freshness.HOLD, SAMPLE, limits(Freshness.HOLD), now_s=100.1, live_for_s=3.0, frozen_since_s=86.1)
    assert view.last is not None
    assert view.age_s == view.last.age_s == pytest.approx(14.0)
    assert view.remark == "charging is stopped because the readings of the BMS have stood still for 14 s"
