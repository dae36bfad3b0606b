"""How a service stands: told once for each trouble, shown always."""

import pytest

from tinybms_bridge.link.state import ServiceCondition
from tinybms_bridge.services.standing import HEALTHY_AFTER_S, ServiceStanding
from tinybms_bridge.words import message
from tinybms_lab.testing.fake_clock import FakeClock

WHY = message("mqtt.lost")


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the level of each line of the log."""
    return [each.levelname for each in caplog.records]


@pytest.fixture
def standing(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> ServiceStanding:
    """A service that nobody has wanted yet."""
    caplog.set_level("INFO", "tinybms_bridge")
    return ServiceStanding("mqtt", clock)


async def test_trouble_that_comes_back_soon_is_told_once(
    standing: ServiceStanding, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A broker that is restarted each second fills no log, and its end is told when it has lasted."""
    standing.starting("mqtt://broker")
    standing.working()
    for _ in range(100):
        standing.trouble(WHY)
        await clock.advance(0.5)
        standing.working()
        await clock.advance(0.5)
    assert told(caplog) == ["INFO", "WARNING"]
    await clock.advance(HEALTHY_AFTER_S)
    standing.working()
    assert told(caplog) == ["INFO", "WARNING", "INFO"]
    standing.trouble(WHY)
    assert told(caplog) == ["INFO", "WARNING", "INFO", "WARNING"]


async def test_trouble_after_a_long_time_of_work_is_a_new_one(
    standing: ServiceStanding, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Also for a service that tells nothing while it works."""
    standing.trouble(WHY)
    standing.working()
    await clock.advance(HEALTHY_AFTER_S + 1.0)
    standing.trouble(WHY)
    assert told(caplog) == ["WARNING", "INFO", "WARNING"]


async def test_last_error_stays_to_be_seen(standing: ServiceStanding, clock: FakeClock) -> None:
    """Who looks a day later sees what was wrong, and when."""
    standing.trouble(WHY)
    at = clock.wall()
    await clock.advance(10.0)
    standing.working("mqtt://broker")
    state = standing.state()
    assert state.condition is ServiceCondition.WORKING
    assert state.message is None
    assert (state.last_error, state.last_error_at) == (WHY, at)
    assert state.since == clock.wall()
    standing.off()
    assert standing.state().where == ""


async def test_trouble_stays_while_it_tries_again(standing: ServiceStanding) -> None:
    """A new attempt is no success: a page that flickers between both says nothing."""
    standing.trouble(WHY)
    standing.starting("mqtt://broker")
    assert standing.state().condition is ServiceCondition.TROUBLE
    assert standing.state().message == WHY
