"""The closed loop with the real pipeline and real frames: the shortcuts of the bench change nothing."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tinybms_bridge.battery.limits import ChargeDefaults, ChargeState
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.core.battery import Battery, BatterySettings
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.victron.can.codec import FrameSettings, decode_frame, encode_frames
from tinybms_lab.bench.battery import BatteryPlan, OddCell
from tinybms_lab.bench.controllers import SentLimits, Statistics
from tinybms_lab.bench.loop import Simulation
from tinybms_lab.bench.runner import engine_for
from tinybms_lab.bench.scenario import Fault, FaultKind, Scenario
from tinybms_lab.bench.trace import STATES, Column, Trace
from tinybms_lab.bench.weather import ClearSky, Pulses
from tinybms_lab.gx.dvcc import SystemPlan
from tinybms_lab.testing.fake_clock import FakeClock

NOON_S = 12.0 * 3600.0
SCENARIO = Scenario(
    "frames",
    "the top of a charge with load steps, silence and a restart of the bridge",
    battery=BatteryPlan(soc=0.955, odd=(OddCell(5, soc_offset=0.02),)),
    system=SystemPlan(feed_in=True, island=False),
    sun=ClearSky(9000.0),
    load=Pulses(400.0, 10_400.0, NOON_S + 60.0, 300.0, 30.0),
    faults=(
        Fault(FaultKind.BMS_SILENT, NOON_S + 200.0, 45.0),
        Fault(FaultKind.BRIDGE_RESTART, NOON_S + 600.0, 5.0),
        Fault(FaultKind.BRIDGE_RESTART, NOON_S + 1500.0, 5.0),
    ),
    start_h=12.0,
    hours=0.45,
    longest_step_s=1.0,
)
EVEN = replace(SCENARIO, battery=BatteryPlan(soc=0.97, soc_spread=0.0, capacity_spread=0.0))
BEFORE = replace(SCENARIO, settings=replace(SCENARIO.settings, defaults=ChargeDefaults.BEFORE))


class PipelineController:
    """The path of the program from the accepted sample to the burst, and what a GX reads in it."""

    name = "pipeline"

    def __init__(self, scenario: Scenario) -> None:
        self._settings = scenario.settings
        self._clock = FakeClock()
        self._pipeline = self._started(None)
        self._sequence = -1

    def decide(self, snapshot: Snapshot | None, statistics: Statistics, now_s: float) -> SentLimits | None:
        """Return what the frames of the next burst say."""
        if snapshot is not None and snapshot.sequence != self._sequence:
            self._sequence = snapshot.sequence
            assert self._pipeline.accept(snapshot, now_s)
        else:
            self._pipeline.tick(now_s)
        state = self._pipeline.state()
        if not state.may_send:
            return None
        burst = {frame.arbitration_id: decode_frame(frame) for frame in encode_frames(state, FrameSettings())}
        names = ("charge_voltage_limit", "charge_current_limit", "discharge_current_limit")
        cvl_v, ccl_a, dcl_a = (burst[0x351].number(name) for name in names)
        assert cvl_v is not None
        assert ccl_a is not None
        assert dcl_a is not None
        in_doubt = self._pipeline.unit.memory.readings.read_again
        return SentLimits(cvl_v, ccl_a, dcl_a, state.limits.state, now_s, in_doubt)

    def restart(self) -> None:
        """End and begin again with the state file."""
        written = json.dumps(self._pipeline.saved_state().to_document())
        self._pipeline = self._started(SavedState.from_document(json.loads(written)))

    def _started(self, saved: SavedState | None) -> Battery:
        bus = Bus(self._clock.monotonic, lambda: datetime.now(UTC))
        return Battery(bus, BatterySettings(limits=self._settings), saved)


def played(scenario: Scenario, controller: object) -> Trace:
    """Return the trace of a run."""
    return Simulation(scenario, controller).run().trace  # type: ignore[arg-type]  # both are controllers


@pytest.mark.parametrize(
    ("scenario", "seen"),
    [
        pytest.param(SCENARIO, {ChargeState.FLOAT_APPROACH, ChargeState.IMBALANCE_HOLD}, id="uneven"),
        pytest.param(EVEN, {ChargeState.FLOAT_APPROACH, ChargeState.FLOAT}, id="full"),
        pytest.param(BEFORE, {ChargeState.FLOAT, ChargeState.IMBALANCE_HOLD}, id="before"),
    ],
)
def test_the_bench_says_what_the_frames_of_the_program_say(scenario: Scenario, seen: set[ChargeState]) -> None:
    """The same limits at every second, over load steps, a silence and two restarts, in the states that are meant."""
    shortcut, real = played(scenario, engine_for(scenario)), played(scenario, PipelineController(scenario))
    states = set(real.column(Column.STATE))

    for column in (Column.CVL_V, Column.CCL_A, Column.DCL_A, Column.STATE, Column.PACK_V, Column.CURRENT_A):
        assert list(real.column(column)) == pytest.approx(list(shortcut.column(column)), abs=1e-6, nan_ok=True)
    assert {-1.0, *(float(STATES.index(state)) for state in seen)} <= states
