import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.adaptive import AdaptiveInterval, AdaptiveSettings

FIRMWARE = AdaptiveSettings(base_ms=100.0, min_ms=50.0, max_ms=500.0)
"""Defaults of the firmware (reference firmware, section 2.5); ours keep to the 100 ms of the BMS."""

UNIT_TEST = AdaptiveSettings(
    base_ms=100.0,
    min_ms=50.0,
    max_ms=200.0,
    backoff_step_ms=20.0,
    recovery_step_ms=10.0,
    latency_target_ms=40.0,
    latency_slack_ms=10.0,
    failure_threshold=2,
    success_threshold=3,
)
"""Configuration of the firmware's own unit test."""


def trace(interval: AdaptiveInterval, *outcomes: tuple[str, float]) -> list[float]:
    """Return the interval after each outcome: ``ok``, ``fail`` or ``timeout`` with a latency."""
    found = []
    for kind, latency_ms in outcomes:
        if kind == "ok":
            interval.success(latency_ms)
        elif kind == "fail":
            interval.failure(latency_ms)
        else:
            interval.timeout()
        found.append(interval.interval_ms)
    return found


TIMEOUT = ("timeout", 0.0)


def test_trace_of_the_firmwares_unit_test() -> None:
    """Three quick replies recover twice the step; a slow failure backs off by its overshoot, a time-out by a step."""
    interval = AdaptiveInterval(UNIT_TEST)

    assert trace(interval, ("ok", 35), ("ok", 30), ("ok", 32)) == [100, 100, 80]
    assert trace(interval, ("fail", 100), TIMEOUT) == [150, 170]


def test_trace_with_the_firmwares_defaults() -> None:
    """Twelve quick replies, a time-out, three quick failures and a slow one, step by step as the firmware."""
    interval = AdaptiveInterval(FIRMWARE)

    recovery = trace(interval, *[("ok", 20.0)] * 12)
    assert (recovery[4], recovery[5], recovery[10], recovery[11]) == (100, 80, 80, 60)
    assert trace(interval, TIMEOUT) == [85]
    assert trace(interval, ("fail", 30), ("fail", 30), ("fail", 30)) == [85, 85, 110]
    assert trace(interval, ("fail", 80)) == [160]


def test_slow_link_recovers() -> None:
    """The firmware never recovered with replies of 70 ms; here 100 of them lead to the shortest interval."""
    interval = AdaptiveInterval(FIRMWARE)
    trace(interval, TIMEOUT, TIMEOUT, TIMEOUT)
    assert interval.interval_ms == 175

    found = trace(interval, *[("ok", 70.0)] * 100)

    assert found[5] == 165
    assert found[-1] == 85
    assert found == sorted(found, reverse=True)


def test_step_is_doubled_strictly_below_the_target() -> None:
    """A latency of exactly the target recovers by one step, a shorter one by two."""
    for latency_ms, expected_ms in ((39.9, 80.0), (40.0, 90.0), (55.0, 90.0)):
        assert trace(AdaptiveInterval(FIRMWARE), *[("ok", latency_ms)] * 6)[-1] == expected_ms


def test_failure_and_success_end_each_others_streak() -> None:
    """Failures count only in a row, and so do successes."""
    interval = AdaptiveInterval(FIRMWARE)

    assert trace(interval, *[("fail", 30.0), ("fail", 30.0), ("ok", 20.0)] * 5) == [100.0] * 15
    assert trace(interval, *[("ok", 20.0)] * 4) == [100.0] * 4
    assert trace(interval, ("ok", 20.0)) == [80.0]


def test_slow_failure_backs_off_at_once() -> None:
    """A failure as slow as the limit needs no repetition."""
    assert trace(AdaptiveInterval(FIRMWARE), ("fail", 54.9)) == [100]
    assert trace(AdaptiveInterval(FIRMWARE), ("fail", 55.0)) == [125]
    assert trace(AdaptiveInterval(FIRMWARE), ("fail", 300.0)) == [370]


def test_interval_stays_at_its_ends() -> None:
    """Neither a dead line nor a perfect one drives the interval out of its range."""
    interval = AdaptiveInterval(AdaptiveSettings())

    assert trace(interval, *[TIMEOUT] * 50)[-1] == 1000
    assert trace(interval, *[("ok", 15.0)] * 600)[-1] == 100


def test_default_polls_as_fast_as_the_bms_refreshes() -> None:
    """Ten times a second is the default and a healthy line keeps it."""
    interval = AdaptiveInterval(AdaptiveSettings())

    assert interval.interval_ms == 100
    assert trace(interval, *[("ok", 15.0)] * 20)[-1] == 100


def test_changed_settings_act_with_the_next_outcome() -> None:
    """New bounds hold from the next reply on, without waiting for a streak."""
    interval = AdaptiveInterval(AdaptiveSettings(base_ms=800.0))
    interval.settings = replace(interval.settings, max_ms=200.0)
    assert trace(interval, ("ok", 20.0)) == [200]

    interval.settings = replace(interval.settings, min_ms=300.0, max_ms=900.0)
    assert trace(interval, ("fail", 20.0)) == [300]


def test_base_outside_the_range_is_bounded() -> None:
    """A first interval out of range begins at the nearer end."""
    assert AdaptiveInterval(AdaptiveSettings(base_ms=5000.0)).interval_ms == 1000
    assert AdaptiveInterval(AdaptiveSettings(base_ms=1.0)).interval_ms == 100


_positive_ms = st.floats(0.1, 2000.0)


@st.composite
def any_settings(draw: st.DrawFn) -> AdaptiveSettings:
    """Return settings with an ordered range."""
    low_ms, high_ms = sorted((draw(st.floats(10.0, 2000.0)), draw(st.floats(10.0, 2000.0))))
    return AdaptiveSettings(
        base_ms=draw(_positive_ms),
        min_ms=low_ms,
        max_ms=high_ms,
        backoff_step_ms=draw(_positive_ms),
        recovery_step_ms=draw(_positive_ms),
        latency_target_ms=draw(_positive_ms),
        latency_slack_ms=draw(st.floats(0.0, 500.0)),
        failure_threshold=draw(st.integers(1, 10)),
        success_threshold=draw(st.integers(1, 10)),
    )


_outcomes = st.lists(st.tuples(st.sampled_from(["ok", "fail", "timeout"]), st.floats(0.0, 10_000.0)), max_size=60)


@given(settings=any_settings(), outcomes=_outcomes)
def test_interval_is_always_within_its_range(settings: AdaptiveSettings, outcomes: list[tuple[str, float]]) -> None:
    """Whatever the settings and the outcomes, the interval keeps to [min, max], moves up only by failures, and ends."""
    interval = AdaptiveInterval(settings)
    before_ms = interval.interval_ms
    for outcome, after_ms in zip(outcomes, trace(interval, *outcomes), strict=True):
        assert settings.min_ms <= after_ms <= settings.max_ms
        assert after_ms <= before_ms if outcome[0] == "ok" else after_ms >= before_ms
        before_ms = after_ms


@given(settings=any_settings(), latency_ms=st.floats(0.0, 2000.0))
def test_interval_recovers_at_any_latency(settings: AdaptiveSettings, latency_ms: float) -> None:
    """From the slowest interval a bounded number of replies leads to the shortest that the latency leaves room for."""
    settings = replace(settings, recovery_step_ms=max(1.0, settings.recovery_step_ms))
    interval = AdaptiveInterval(replace(settings, base_ms=settings.max_ms))
    steps = math.ceil((settings.max_ms - settings.min_ms) / settings.recovery_step_ms)
    for _ in range(settings.success_threshold * (steps + 1)):
        interval.success(latency_ms)

    slow = latency_ms > settings.latency_limit_ms
    shortest_ms = max(settings.min_ms, latency_ms + settings.latency_slack_ms) if slow else settings.min_ms
    assert interval.interval_ms == pytest.approx(min(shortest_ms, settings.max_ms))
