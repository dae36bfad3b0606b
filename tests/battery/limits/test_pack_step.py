"""One of several packs: its own part of the engine, and whether its BMS lets charge in."""

from dataclasses import replace

import pytest
from tests.battery.limits.test_packs import OVER_VOLTAGE_EVENT, RATINGS, Battery

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import Inhibited, LimitSettings, Memory, PolicyMemory
from tinybms_bridge.battery.limits.model import LimitCode, Quantity
from tinybms_bridge.battery.limits.pack_step import PackMemory, step_pack
from tinybms_bridge.battery.snapshot import BmsStatus, Snapshot


class Pack:
    """One pack, stepped twice a second."""

    def __init__(self, settings: LimitSettings | None = None) -> None:
        self.memory = PackMemory(Memory())
        self.battery = Memory()
        self.settings = settings or LimitSettings()
        self.wish_v = 56.0
        self._shows = Battery(names=("a",))

    def run(self, seconds: float, *, silent: bool = False, **values: object) -> PackMemory:
        """Let time pass with these readings."""
        self._shows.set("a", **values)
        for _ in range(round(seconds / 0.5)):
            self._shows.now_s += 0.5
            self._shows.number += 1
            sample: Snapshot | None = None if silent else self._shows.sample("a")
            self.memory = step_pack(sample, self.settings, self.memory, self.battery, self.wish_v, self._shows.now_s)
        return self.memory


def test_nothing_is_borne_before_data_is_fresh() -> None:
    """Three good samples, as for a battery of one."""
    pack = Pack()
    assert pack.run(1.0).bounds is None
    bounds = pack.run(1.0).bounds
    assert bounds is not None
    assert (bounds.limits.ccl_a, bounds.limits.dcl_a) == pytest.approx((90.0, 135.0))


def test_what_is_of_the_battery_bounds_no_single_pack() -> None:
    """The user's greatest currents and inhibits are of all packs together."""
    wanted = LimitSettings(max_charge_current_a=10.0, inhibited=Inhibited(charge=True, discharge=True))
    bounds = Pack(wanted).run(5.0).bounds
    assert bounds is not None
    assert (bounds.limits.ccl_a, bounds.limits.dcl_a) == pytest.approx((90.0, 135.0))


def test_a_pack_that_needs_no_lower_cvl_says_none() -> None:
    """The wish of the battery is no need of the pack; a cell that is too high is one."""
    pack = Pack()
    bounds = pack.run(5.0).bounds
    assert bounds is not None
    assert bounds.cvl_reason is None
    assert bounds.cvl_v == float("inf")
    bounds = pack.run(5.0, cell_v=3.5, high_v=0.12, current_a=20.0).bounds
    assert bounds is not None
    assert bounds.cvl_reason is not None
    assert bounds.cvl_reason.code is LimitCode.CELL_HIGH
    assert bounds.cvl_v < 56.0


def test_without_fresh_data_the_last_bounds_stay() -> None:
    """A silent pack is bounded by what was known of it last."""
    pack = Pack()
    before = pack.run(5.0).bounds
    after = pack.run(20.0, silent=True)
    assert after.engine.freshness.state is Freshness.HOLD
    assert after.bounds is not None
    assert before is not None
    assert after.bounds.limits.dcl_a == before.limits.dcl_a
    assert after.bounds.last_ccl_a == before.limits.ccl_a


def test_a_cause_to_cut_is_believed_when_nothing_flows() -> None:
    """The pack leaves the sums of charging at once, and is back as soon as the cause is over."""
    pack = Pack()
    pack.run(5.0)
    assert pack.run(3.0, events=(OVER_VOLTAGE_EVENT,), status=BmsStatus.FAULT, current_a=0.0).cut.blocked
    assert not pack.run(3.0, events=(), status=BmsStatus.CHARGING).cut.blocked


def test_who_charges_on_after_the_switch_should_be_open_is_connected() -> None:
    """Until the cause has ended, whatever flows: otherwise CCL would come and go with its own effect."""
    pack = Pack()
    pack.run(5.0)
    cut = pack.run(2.0, current_a=20.0, events=(OVER_VOLTAGE_EVENT,), status=BmsStatus.FAULT).cut
    assert cut.opening
    cut = pack.run(3.0).cut
    assert (cut.connected, cut.blocked) == (True, False)
    cut = pack.run(60.0, current_a=0.0).cut
    assert (cut.connected, cut.blocked) == (True, False)
    assert pack.run(3.0, events=(), status=BmsStatus.CHARGING).cut.since_s is None


def test_a_full_battery_sets_right_only_counts_that_the_cells_allow() -> None:
    """A pack whose cells are far below the others' is not full with them."""
    for cell_v, percent in ((3.49, 100.0), (3.28, 50.0)):
        pack = Pack()
        pack.run(5.0, cell_v=cell_v, current_a=0.5)
        pack.battery = replace(Memory(), policy=PolicyMemory(full=True))
        assert pack.run(5.0).engine.soc.percent == pytest.approx(percent, abs=0.5)


def test_settings_of_its_bms_that_contradict_each_other_leave_nothing() -> None:
    """No safe CVL follows: the pack is not seen, and nothing is thought up for it."""
    pack = Pack()
    pack.run(5.0)
    memory = pack.run(5.0, ratings=replace(RATINGS, over_voltage_cell_v=1.0, fully_charged_cell_v=0.5))
    reason = None if memory.bounds is None else memory.bounds.limits.binding(Quantity.CCL)
    assert memory.bounds is None or (reason is not None and memory.bounds.limits.ccl_a == 0.0)
