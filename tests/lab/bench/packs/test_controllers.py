"""What decides for several packs."""

from dataclasses import replace

import pytest

from tinybms_bridge.battery.limits.packs import PacksSettings
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_lab.bench.bms import BenchBms
from tinybms_lab.bench.dirt import Sensors
from tinybms_lab.bench.packs.controllers import PacksController, PacksEngineController, PlainSumController
from tinybms_lab.bench.packs.plan import PacksScenario

NAMES = ("a", "b")


def samples_at(two: PacksScenario, now_s: float, names: tuple[str, ...] = NAMES) -> dict[str, Snapshot]:
    """Return a reading of each pack at rest."""
    found = {}
    for number, name in enumerate(names):
        plan = two.packs[name]
        bms = BenchBms(plan.battery, 60.0, Sensors(plan.sensors, 16, number))
        bms.observe(now_s, 0.0, (3.31,) * 16, 0.0, (25.0,) * 16)
        found[name] = replace(bms.sample(now_s), sequence=round(now_s * 10.0))
    return found


@pytest.fixture(params=["engine", "plain sum"])
def controller(request: pytest.FixtureRequest, two: PacksScenario) -> PacksController:
    """Both of them."""
    if request.param == "engine":
        return PacksEngineController(PacksSettings(two.settings), NAMES, 10.0)
    return PlainSumController(two.settings, NAMES, 10.0)


def test_limits_of_two_equal_packs_are_twice_those_of_one(controller: PacksController, two: PacksScenario) -> None:
    """180 A and 270 A once they have risen, by either of them; the voltage is that of one."""
    sent = None
    for second in range(120):
        sent = controller.decide(samples_at(two, 1000.0 + second), 1000.0 + second)

    assert sent is not None
    assert sent.ccl_a == pytest.approx(180.0, abs=1.0)
    assert sent.dcl_a == pytest.approx(270.0, abs=1.0)
    assert 53.0 < sent.cvl_v <= 56.0
    assert sent.soc_percent == pytest.approx(60.0, abs=0.5)


def test_nothing_is_sent_before_there_is_a_reading(controller: PacksController) -> None:
    """Nor afterwards, while nobody is heard."""
    assert controller.decide({}, 1000.0) is None
    assert controller.decide({}, 1001.0) is None


def test_a_restart_needs_readings_again(controller: PacksController, two: PacksScenario) -> None:
    """What is saved comes back, frames do not."""
    for second in range(10):
        controller.decide(samples_at(two, 1000.0 + second), 1000.0 + second)
    controller.restart()

    assert controller.decide({}, 1011.0) is None


def test_the_engine_stops_charging_while_a_pack_is_silent(two: PacksScenario) -> None:
    """The plain sum goes on without it."""
    engine = PacksEngineController(PacksSettings(two.settings), NAMES, 1.0)
    plain = PlainSumController(two.settings, NAMES, 1.0)
    for each in (engine, plain):
        for second in range(60):
            each.decide(samples_at(two, 1000.0 + second), 1000.0 + second)
        for second in range(60, 70):
            sent = each.decide(samples_at(two, 1000.0 + second, ("a",)), 1000.0 + second)
        assert sent is not None
        assert (sent.ccl_a == 0.0) is (each is engine)
        assert sent.dcl_a > 0.0
