"""Nothing lifts what protection, BMS, freshness or inhibits set; a stage may decline to lower for its own reason."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import (
    ChargeDefaults,
    ChargeProfile,
    ChargeState,
    Curve,
    Inhibited,
    LimitCode,
    Limits,
    LimitSettings,
    PolicyMemory,
    PolicySettings,
    Quantity,
    StateMemory,
    StateSettings,
    engine,
    stages,
)
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.snapshot import BmsStatus

MakeEngine = Callable[..., Any]

BINDING = ("protect_cells", "derate", "stop_for_temperature", "limit_discharge", "obey_bms", "apply_freshness")
"""The stages whose word stands, in their order; then comes ``apply_inhibits``."""

EPSILON = 1e-9


@dataclass
class Watcher:
    """Notes what each stage of the engine leaves of the three limits."""

    seen: list[tuple[str, dict[Quantity, float]]] = field(default_factory=list)

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put itself around every stage that binds."""
        for name in (*BINDING, "apply_inhibits"):
            place = stages if hasattr(stages, name) else engine
            monkeypatch.setattr(place, name, self._around(name, getattr(place, name)))

    def _around(self, name: str, stage: Callable[..., Any]) -> Callable[..., Any]:
        def watched(draft: Draft, *args: Any, **more: Any) -> Any:
            result = stage(draft, *args, **more)
            self.seen.append((name, {quantity: draft[quantity] for quantity in Quantity}))
            return result

        return watched


policies = st.builds(
    PolicySettings,
    profile=st.sampled_from(ChargeProfile),
    soc_max_percent=st.sampled_from([60.0, 80.0, 100.0]),
    soc_min_percent=st.sampled_from([0.0, 20.0]),
    full_charge_interval_days=st.sampled_from([0.0, 14.0]),
    force_charge_start_percent=st.sampled_from([0.0, 30.0]),
)
wishes = st.builds(
    LimitSettings,
    defaults=st.sampled_from(ChargeDefaults),
    states=st.builds(
        StateSettings,
        enabled=st.booleans(),
        sustain_voltage_v=st.sampled_from([0.0, 51.2, 54.0]),
        sustain_ccl_a=st.just(5.0),
    ),
    policy=policies,
    curves=st.sampled_from([(), (("charge_by_soc", Curve(((0.0, 0.5), (100.0, 1.0)))),)]),
)
memories = st.builds(
    StateMemory, state=st.sampled_from(ChargeState), float_latched=st.booleans(), fed_in_s=st.sampled_from([0.0, 60.0])
)
histories = st.builds(
    PolicyMemory,
    full=st.booleans(),
    uneven=st.booleans(),
    above_window=st.booleans(),
    below_window=st.booleans(),
    full_at_lifetime_s=st.none() | st.just(0),
    force_charge=st.booleans(),
)
samples = st.fixed_dictionaries(
    {
        "soc": st.floats(0.0, 100.4),
        "max_cell_v": st.sampled_from([2.85, 3.1, 3.2, 3.33, 3.6, 3.66, 3.7, 3.74]),
        "delta_mv": st.sampled_from([0.0, 30.0, 300.0]),
        "current_a": st.sampled_from([-50.0, 0.0, 2.0, 40.0]),
        "temperatures_c": st.sampled_from([(), (25.0,), (25.0, -5.0), (62.0,)]),
        "open_events": st.sampled_from([(), (0x02,), (0x03,), (0x05,), (0x06,)]),
        "pack": st.fixed_dictionaries({"status": st.sampled_from([BmsStatus.IDLE, BmsStatus.FAULT])}),
    }
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    asked=wishes,
    states=memories,
    policy=histories,
    inhibited=st.builds(Inhibited, st.booleans(), st.booleans()),
    story=st.lists(samples, min_size=1, max_size=4),
    silent=st.booleans(),
)
def test_no_later_stage_lifts(
    make_engine: MakeEngine,
    asked: LimitSettings,
    states: StateMemory,
    policy: PolicyMemory,
    inhibited: Inhibited,
    story: list[dict[str, Any]],
    silent: bool,
) -> None:
    """From any state with any wish: what each of these stages leaves is an upper bound of what is decided."""
    watcher = Watcher()
    with pytest.MonkeyPatch.context() as monkeypatch:
        watcher.watch(monkeypatch)
        made = make_engine(replace(asked, inhibited=inhibited))
        made.memory = replace(made.memory, states=states, policy=policy)
        decided: list[Limits | None] = []
        for sample in story:
            made.feed(3, **sample)
            decided.append(made.limits)
        if silent:
            decided.append(made.wait(5.0))
    limits = decided[-1]
    assert limits is not None
    last = watcher.seen[-len(BINDING) - 1 :]
    assert [name for name, _ in last] == [*BINDING, "apply_inhibits"]
    for quantity in Quantity:
        story_of_it = [found[quantity] for _, found in last]
        assert story_of_it == sorted(story_of_it, reverse=True)
        assert getattr(limits, quantity.value) <= story_of_it[-1] + EPSILON


@pytest.mark.parametrize("profile", [ChargeProfile.NORMAL, ChargeProfile.FULL_ONCE])
@pytest.mark.parametrize(
    "stop",
    [
        pytest.param({"open_events": (0x02,)}, id="the BMS cuts"),
        pytest.param({"pack": {"status": BmsStatus.FAULT}}, id="a fault of the BMS"),
        pytest.param({"temperatures_c": (25.0, -5.0)}, id="frost"),
    ],
)
def test_a_full_charge_that_is_due_ignores_wishes_only(
    make_engine: MakeEngine, profile: ChargeProfile, stop: dict[str, Any]
) -> None:
    """The window is what it declines to lower for; a stop of any other cause ends it as well."""
    made = make_engine(LimitSettings(policy=PolicySettings(profile=profile, soc_max_percent=60.0)))
    free = made.feed(5, soc=70.0, max_cell_v=3.33)
    stopped = made.feed(5, soc=70.0, max_cell_v=3.33, **stop)

    assert free.full_charge_due
    assert free.ccl_a == pytest.approx(54.0)
    assert stopped.ccl_a == 0.0
    assert stopped.cvl_v <= 53.6


def test_what_a_wish_lowers_for_a_while_forgets_no_knee(make_engine: MakeEngine) -> None:
    """A window that closes CVL below the learned knee and opens again does not lift what protection had set."""
    policy = PolicySettings(soc_max_percent=60.0, full_charge_interval_days=0.0)
    made = make_engine(LimitSettings(policy=policy))
    learned = made.feed(5, soc=50.0, max_cell_v=3.69, delta_mv=400.0)
    made.last_for(600.0, soc=50.0, max_cell_v=3.55, delta_mv=260.0)
    made.last_for(60.0, soc=65.0, max_cell_v=3.33)
    again = made.last_for(60.0, soc=50.0, max_cell_v=3.33)

    assert learned.binding(Quantity.CVL).code is LimitCode.CELL_HIGH
    assert again.cvl_v < 58.4 - 0.5
    assert LimitCode.CELL_HIGH in {reason.code for reason in again.reasons}
