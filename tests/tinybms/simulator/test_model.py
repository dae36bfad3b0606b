import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.snapshot import BmsStatus
from tinybms_bridge.tinybms.simulator.chemistry import LFP, LI_ION
from tinybms_bridge.tinybms.simulator.firmware import HIGH_POWER, LOW_POWER
from tinybms_bridge.tinybms.simulator.image import Sample
from tinybms_bridge.tinybms.simulator.model import BatteryModel
from tinybms_bridge.tinybms.simulator.pack import Pack
from tinybms_bridge.tinybms.simulator.profile import Profile, Segment, parse_profile
from tinybms_bridge.tinybms.simulator.settings import SettingsBlock, default_settings


def _model(profile: str | None = None, soc: float = 0.5, spread: float = 0.0) -> BatteryModel:
    pack = Pack.build(LI_ION, 4, capacity_ah=100.0, soc=soc, soc_spread=spread, capacity_spread=0.0)
    block = SettingsBlock(default_settings(LI_ION, HIGH_POWER, 4, 100.0))
    return BatteryModel(pack, block, HIGH_POWER, parse_profile(profile) if profile else None)


def _sample(model: BatteryModel) -> Sample:
    return model.sample(1000, 2)


def test_the_profile_decides_the_current() -> None:
    """Segment after segment, in pack time."""
    model = _model("100:-20,50:+30")

    seen = []
    for span_s in (50.0, 40.0, 40.0, 50.0):
        model.run(span_s)
        seen.append(_sample(model).current_a)

    assert seen == [-20.0, -20.0, 30.0, -20.0]
    assert model.pack.net_ah * 3600.0 == pytest.approx(100 * -20 + 50 * 30 + 30 * -20)


@given(st.lists(st.floats(min_value=0.01, max_value=40.0), min_size=1, max_size=8))
@settings(max_examples=25)
def test_the_way_time_is_cut_does_not_change_the_charge(spans_s: list[float]) -> None:
    """Refreshing often or seldom gives the same battery."""
    cut, whole = _model("17:-20,15:+30"), _model("17:-20,15:+30")
    for span_s in spans_s:
        cut.run(span_s)
    whole.run(sum(spans_s))

    assert cut.pack.net_ah == pytest.approx(whole.pack.net_ah, abs=1e-6)


def test_constant_power_follows_the_voltage() -> None:
    """480 W out of some 15 V."""
    model = _model("600:-480W")
    model.run(60.0)
    sample = _sample(model)

    assert sample.current_a * sum(sample.cells_v) == pytest.approx(-480.0, rel=0.01)


def test_a_driven_current_replaces_the_profile() -> None:
    """A simulated GX takes over from its first word."""
    model = _model("charge")
    model.run(10.0)
    model.drive(-12.5)
    model.run(10.0)

    assert _sample(model).current_a == -12.5
    assert _sample(model).status is BmsStatus.DISCHARGING


@pytest.mark.parametrize("current_a", [float("nan"), float("inf")])
def test_a_driven_current_must_be_a_number(current_a: float) -> None:
    """One bad word from a simulated GX does not poison the pack."""
    with pytest.raises(ValueError, match="must be finite"):
        _model().drive(current_a)


def test_charging_by_profile_ends_at_the_charge_target() -> None:
    """A cell at register 300 ends it; the status says so, the SOC does not jump."""
    model = _model("charge", soc=0.9)
    for _ in range(60):
        model.run(60.0)
    sample = _sample(model)

    assert sample.status is BmsStatus.FULLY_CHARGED
    assert sample.current_a == 0.0
    assert max(sample.cells_v) < 4.15
    assert 90.0 < sample.soc_percent < 100.0
    assert model.statistics.charging_count == 1


def test_discharging_by_profile_ends_at_the_empty_level() -> None:
    """A cell at register 301 ends it, and the BMS idles."""
    model = _model("discharge", soc=0.1)
    for _ in range(60):
        model.run(60.0)
    sample = _sample(model)

    assert sample.status is BmsStatus.IDLE
    assert sample.current_a == 0.0
    assert min(sample.cells_v) > 2.9


def test_small_currents_flow_unseen() -> None:
    """Below the board's threshold the cells lose charge that the BMS does not count."""
    model = _model("600:-0.5")
    model.run(3600.0)
    sample = _sample(model)

    assert sample.current_a == 0.0
    assert sample.status is BmsStatus.IDLE
    assert sample.soc_percent == pytest.approx(50.0)
    assert model.pack.net_ah == pytest.approx(-0.5)


def test_the_low_power_board_sees_smaller_currents() -> None:
    """80 mA instead of 800 mA."""
    pack = Pack.build(LFP, 4, capacity_ah=10.0)
    block = SettingsBlock(default_settings(LFP, LOW_POWER, 4, 10.0))
    model = BatteryModel(pack, block, LOW_POWER, Profile([Segment(10.0, -0.5)]))
    model.run(5.0)

    assert model.sample(0, 2).current_a == -0.5


def test_a_tapering_charge_completes_and_sets_the_count_to_100_percent() -> None:
    """What a GX does in its constant-voltage phase ends like the manual says."""
    model = _model(soc=0.99)
    model.drive(20.0)
    while max(_sample(model).cells_v) < 4.148:
        model.run(10.0)
    before = _sample(model).soc_percent
    model.drive(1.5)
    model.run(10.0)
    while _sample(model).status is not BmsStatus.FULLY_CHARGED:
        model.run(60.0)

    assert before < 100.0
    assert _sample(model).soc_percent == 100.0
    assert model.statistics.full_charge_count == 1


def test_high_cells_bleed_while_charging_only() -> None:
    """Balancing needs a charger."""
    model = _model(soc=0.6, spread=0.05)
    model.run(10.0)
    resting = _sample(model)
    model.drive(10.0)
    model.run(10.0)
    charging = _sample(model)
    model.drive(-10.0)
    model.run(10.0)

    assert not resting.balancing_now
    assert charging.balancing_now
    assert set(charging.balancing_now) <= set(charging.balancing_wanted)
    assert not _sample(model).balancing_now
    assert sum(model.pack.bled_ah) == pytest.approx(len(charging.balancing_now) * 0.15 * 10 / 3600, rel=0.5)


def test_open_switches_stop_every_current() -> None:
    """A restart cuts profile and driver alike."""
    for model in (_model("charge"), _model()):
        model.drive(10.0)
        model.run(5.0, switches_open=True)

        assert model.pack.net_ah == 0.0
        assert _sample(model).current_a == 0.0


@pytest.mark.parametrize(("sensors", "present"), [(0, (False, False)), (1, (True, False)), (2, (True, True))])
def test_sensors_are_there_as_configured(sensors: int, present: tuple[bool, bool]) -> None:
    """Absent ones read nothing."""
    external_c = _model().sample(0, sensors).external_c

    assert tuple(t is not None for t in external_c) == present


def test_load_and_bleeding_warm_the_board() -> None:
    """The board's own sensor is not that of the cells."""
    model = _model("600:-150", soc=0.9)
    cold_c = _sample(model).internal_c
    model.run(600.0)

    assert cold_c == pytest.approx(27.0)
    assert 35.0 < _sample(model).internal_c < 45.0


def test_quiet_time_counts_from_the_last_activity() -> None:
    """This is what lets the BMS sleep."""
    model = _model("10:-20,100:0")
    model.run(8.0)
    assert model.quiet_s == 0.0

    model.run(40.0)
    assert model.quiet_s == pytest.approx(38.0, abs=1.0)


def test_a_long_jump_is_walked_in_a_bounded_number_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulation that was suspended for a week does not hang, however short its segments are."""
    model = _model("0.1:-20,0.1:+20")
    steps: list[float] = []
    monkeypatch.setattr(model.pack, "step", lambda dt_s, _current_a, _bleeding: steps.append(dt_s))

    model.run(7 * 86400.0)

    assert len(steps) <= 602
    assert sum(steps) == pytest.approx(7 * 86400.0)


def test_the_count_may_be_set() -> None:
    """Registers 328 and 323 set the BMS's count, not the cells."""
    model = _model()
    before_v = _sample(model).cells_v

    model.set_soc(80.0)
    model.set_soh(95.0)
    sample = _sample(model)

    assert (sample.soc_percent, sample.soh_percent) == (80.0, 95.0)
    assert sample.left_ah == pytest.approx(80.0)
    assert sample.cells_v == before_v
