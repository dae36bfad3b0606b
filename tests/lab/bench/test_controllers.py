"""Engine and firmware as they decide in a run, and what of it is on the bus, and when."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import ChargeState, LimitSettings
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.snapshot import Cells, PackValues, Snapshot, Temperatures
from tinybms_lab.bench.baseline import FirmwareConfig
from tinybms_lab.bench.battery import BatteryPlan
from tinybms_lab.bench.controllers import (
    Bursts,
    EngineController,
    FirmwareController,
    SentLimits,
    firmware_config,
    quantised,
)


@pytest.mark.parametrize(
    ("value", "sent"), [(57.64, 57.6), (57.65, 57.7), (57.66, 57.7), (0.0, 0.0), (0.04, 0.0), (0.05, 0.1), (-3.0, 0.0)]
)
def test_values_are_rounded_to_the_nearest_step(value: float, sent: float) -> None:
    """Half away from zero, never below 0."""
    frame = quantised(value, value, value, ChargeState.BULK)

    assert (frame.cvl_v, frame.ccl_a, frame.dcl_a) == (sent, sent, sent)


def test_values_saturate() -> None:
    """What does not fit into 16 bits is sent as the largest value, not wrapped."""
    frame = quantised(1e9, 1e9, 1e9, ChargeState.BULK)

    assert (frame.cvl_v, frame.ccl_a, frame.dcl_a) == (6553.5, 3276.7, 3276.7)


def test_state_and_time_travel_along() -> None:
    """They are not on the bus; the measures need them."""
    assert quantised(57.6, 180.0, 270.0, ChargeState.FLOAT, 12.0) == SentLimits(
        57.6, 180.0, 270.0, ChargeState.FLOAT, 12.0
    )


@given(value=st.floats(0.0, 3000.0))
def test_rounding_never_moves_by_more_than_half_a_step(value: float) -> None:
    """The error of the wire is at most 0.05."""
    assert abs(quantised(value, 0.0, 0.0, ChargeState.BULK).cvl_v - value) <= 0.05 + 1e-6


@given(value=st.floats(0.0, 3000.0))
def test_what_was_on_the_wire_stays_as_it_is(value: float) -> None:
    """Rounding twice changes nothing."""
    once = quantised(value, 0.0, 0.0, ChargeState.BULK).cvl_v

    assert quantised(once, 0.0, 0.0, ChargeState.BULK).cvl_v == once


HIGH = quantised(57.6, 180.0, 270.0, ChargeState.BULK)
LOW = quantised(57.6, 0.0, 270.0, ChargeState.BULK)


def on_the_bus(*decided: SentLimits | None, dt_s: float) -> list[SentLimits | None]:
    """Return what is on the bus in each step."""
    bursts = Bursts()
    sent = []
    for number, each in enumerate(decided):
        bursts.decide(each, number * dt_s, dt_s)
        sent.append(bursts.sent)
    return sent


def test_a_decision_goes_out_with_the_next_burst() -> None:
    """In steps of a second each step is one."""
    assert on_the_bus(HIGH, LOW, LOW, dt_s=1.0) == [None, HIGH, LOW]


def test_a_long_step_holds_a_burst_of_its_own() -> None:
    """Ten seconds are ten bursts."""
    assert on_the_bus(HIGH, LOW, dt_s=10.0) == [HIGH, LOW]


def test_a_rise_waits_for_its_burst_and_a_fall_does_not() -> None:
    """In steps of 0.1 s: a fall is on the bus a step after its decision, a rise within a second of the last frame."""
    falls = on_the_bus(*[HIGH] * 15, *[LOW] * 5, dt_s=0.1)
    rises = on_the_bus(*[LOW] * 15, *[HIGH] * 20, dt_s=0.1)

    assert falls[15:17] == [HIGH, LOW]
    assert rises[15] == rises[17] == LOW
    assert HIGH in rises[16:28]


def test_silence_is_at_once() -> None:
    """Nothing repeats old frames."""
    assert on_the_bus(HIGH, HIGH, None, HIGH, dt_s=0.1)[2] is None


STATISTICS = (112.0, 196.0)


def sample(number: int, at_s: float, soc: float = 50.0, cell_v: float = 3.3) -> Snapshot:
    """Return a sample of a calm pack of 16 cells."""
    return Snapshot(
        sequence=number,
        taken_at_s=at_s,
        pack=PackValues(16 * cell_v, 5.0, soc, lifetime_s=int(at_s)),
        cells=Cells((cell_v,) * 16),
        temperatures=Temperatures(None, 25.0, 25.0),
        ratings=BatteryPlan().ratings(),
    )


def engine(longest_step_s: float = 10.0) -> EngineController:
    """Return an engine without a line of configuration."""
    return EngineController(LimitSettings(), longest_step_s)


def feed(
    controller: EngineController, start_s: float, step_s: float, count: int, soc: float = 50.0, cell_v: float = 3.3
) -> list[bool]:
    """Let the engine decide from a new sample at each step; tell which decisions may be sent."""
    times_s = [start_s + step_s * n for n in range(count)]
    samples = [sample(int(time_s) + 1, time_s, soc, cell_v) for time_s in times_s]
    return [
        controller.decide(taken, STATISTICS, time_s) is not None for taken, time_s in zip(samples, times_s, strict=True)
    ]


def test_the_engine_needs_three_samples() -> None:
    """Nothing is sent before it is sure."""
    assert feed(engine(), 0.0, 1.0, 4) == [False, False, True, True]


def test_the_engine_says_when_it_decided() -> None:
    """The measures tell a slow rise from a late frame by it."""
    controller = engine()
    feed(controller, 0.0, 1.0, 3)
    sent = controller.decide(sample(9, 3.0), STATISTICS, 3.0)

    assert sent is not None
    assert sent.decided_s == 3.0


def test_long_steps_are_no_silence() -> None:
    """In calm times the bench looks every ten seconds; the engine must not go into HOLD for it."""
    controller = engine()
    feed(controller, 0.0, 1.0, 5)

    assert all(feed(controller, 14.0, 10.0, 5))
    sent = controller.decide(sample(99, 64.0), STATISTICS, 64.0)
    assert sent is not None
    assert sent.ccl_a > 0.0


def test_silence_in_short_steps_is_noticed() -> None:
    """The same sample for more than three seconds: no charge current."""
    controller = engine()
    feed(controller, 0.0, 1.0, 5)
    old = sample(5, 4.0)
    sent = [controller.decide(old, STATISTICS, 4.0 + n) for n in range(1, 6)]

    assert sent[2] is not None
    assert sent[2].ccl_a > 0.0
    assert sent[-1] is not None
    assert sent[-1].ccl_a == 0.0


def test_a_restart_of_the_bridge_keeps_the_charge_state() -> None:
    """FLOAT before, FLOAT after, though the samples have to be counted again."""
    controller = engine()
    feed(controller, 0.0, 1.0, 600, soc=97.0, cell_v=3.51)  # a small current at the target: full
    controller.restart()

    assert feed(controller, 605.0, 1.0, 2, soc=93.0, cell_v=3.36) == [False, False]
    sent = controller.decide(sample(650, 607.0, soc=93.0, cell_v=3.36), STATISTICS, 607.0)
    assert sent is not None
    assert sent.state is ChargeState.FLOAT


def test_a_restart_of_the_bridge_goes_through_the_state_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the program does not save is lost in the bench as well."""
    written: list[str] = []

    def damaged(document: object) -> SavedState:
        written.append(json.dumps(document))
        return SavedState()

    monkeypatch.setattr(SavedState, "from_document", damaged)
    controller = engine()
    feed(controller, 0.0, 1.0, 5, soc=97.0, cell_v=3.5)
    controller.restart()
    feed(controller, 10.0, 1.0, 2, soc=93.0)
    sent = controller.decide(sample(50, 12.0, soc=93.0), STATISTICS, 12.0)

    assert sent is not None
    assert '"charge"' in written[0]
    assert sent.state is not ChargeState.FLOAT


def firmware(**config: float) -> FirmwareController:
    """Return the firmware's task."""
    return FirmwareController(replace(FirmwareConfig(), **config))  # type: ignore[arg-type]  # fields by name


def test_the_firmware_sends_the_pack_voltage_before_its_first_result() -> None:
    """Until its task has run the CVL is what the battery has, the currents are the statistics (section 4.2)."""
    sent = SentLimits(52.8, 112.0, 196.0, ChargeState.BULK, 0.0, soc_percent=50.0)

    assert firmware().decide(sample(1, 0.0), STATISTICS, 0.0) == sent


def test_the_firmware_runs_every_twenty_seconds() -> None:
    """A change of the battery waits for the task."""
    controller = firmware()
    cvls_v = []
    for second in range(61):
        sent = controller.decide(sample(second, float(second), soc=50.0 if second < 25 else 99.0), STATISTICS, second)
        assert sent is not None
        cvls_v.append(sent.cvl_v)

    assert cvls_v[19] == 52.8
    assert cvls_v[20] == cvls_v[39] == 58.4
    assert cvls_v[40] == 58.3


def test_the_firmware_catches_up_after_a_long_step() -> None:
    """It runs once, and then keeps its rhythm."""
    controller = firmware()
    controller.decide(sample(1, 0.0), STATISTICS, 0.0)
    late = controller.decide(sample(2, 130.0), STATISTICS, 130.0)
    next_one = controller.decide(sample(3, 139.0, soc=99.0), STATISTICS, 139.0)
    due = controller.decide(sample(4, 140.0, soc=99.0), STATISTICS, 140.0)

    assert late is not None
    assert next_one is not None
    assert due is not None
    assert (late.cvl_v, next_one.state, due.state) == (58.4, ChargeState.BULK, ChargeState.FLOAT)


def test_the_firmware_never_looks_at_the_age_of_a_sample() -> None:
    """An hour of silence changes nothing: the fault that matters most."""
    controller = firmware()
    old = sample(1, 0.0)
    for second in range(0, 3600, 20):
        sent = controller.decide(old, STATISTICS, float(second))

    assert sent is not None
    assert (sent.cvl_v, sent.ccl_a) == (58.4, 112.0)


def test_the_firmware_has_nothing_to_send_without_a_sample() -> None:
    """Before the BMS has answered once."""
    assert firmware().decide(None, STATISTICS, 0.0) is None


def test_the_firmware_replaces_a_current_of_zero() -> None:
    """It cannot stop a charge: what it computes as 0 goes out as the statistic."""
    controller = firmware()
    controller.decide(sample(1, 0.0), (0.0, 196.0), 0.0)
    sent = controller.decide(sample(2, 20.0), (0.0, 196.0), 20.0)

    assert sent is not None
    assert controller.decide(sample(3, 21.0), STATISTICS, 21.0) == replace(sent, ccl_a=112.0, decided_s=21.0)


def test_a_restart_of_the_firmware_forgets_everything() -> None:
    """It starts in BULK, with the pack voltage for CVL."""
    controller = firmware()
    for second in (0.0, 20.0, 40.0):
        controller.decide(sample(1, 0.0, soc=99.0), STATISTICS, second)
    controller.restart()
    sent = controller.decide(sample(2, 41.0, soc=96.0), STATISTICS, 41.0)

    assert sent is not None
    assert (sent.state, sent.cvl_v) == (ChargeState.BULK, 52.8)


def test_sixteen_lfp_cells_get_the_firmwares_defaults() -> None:
    """Nothing is tuned where the firmware was made for it."""
    assert firmware_config(BatteryPlan().ratings()) == FirmwareConfig()


def test_fewer_lfp_cells_get_a_smaller_target() -> None:
    """The same per cell."""
    config = firmware_config(BatteryPlan(cells=4).ratings())

    assert config.cells == 4
    assert config.target_v == pytest.approx(14.6)
    assert config.cell_safety_v == FirmwareConfig().cell_safety_v


@pytest.mark.parametrize(("chemistry", "cells", "target_v"), [("li-ion", 14, 58.1), ("lto", 12, 32.4)])
def test_other_cells_get_the_target_of_their_bms(chemistry: str, cells: int, target_v: float) -> None:
    """The kindest configuration a user could find."""
    config = firmware_config(BatteryPlan(chemistry=chemistry, cells=cells).ratings())

    assert config.target_v == pytest.approx(target_v)
    assert config.cell_release_v < config.cell_safety_v == pytest.approx(target_v / cells)
