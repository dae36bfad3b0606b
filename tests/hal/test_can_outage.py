"""The log lines of outages."""

import logging

import pytest

from tinybms_bridge.hal.can_outage import OutageLog

LOGGER = logging.getLogger("test_can_outage")


class Times:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


@pytest.fixture
def times() -> Times:
    """Return a clock at 0 s."""
    return Times()


@pytest.fixture
def outage(times: Times, caplog: pytest.LogCaptureFixture) -> OutageLog:
    """Return a log whose every line is caught."""
    caplog.set_level(logging.DEBUG, LOGGER.name)
    return OutageLog(LOGGER, "CAN can0", quiet_s=60.0, monotonic=times)


def shown(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Return the lines above debug."""
    return [(r.levelname, r.getMessage()) for r in caplog.records if r.levelno > logging.DEBUG]


def test_outage_has_one_line_at_its_begin_and_one_at_its_end(
    outage: OutageLog, times: Times, caplog: pytest.LogCaptureFixture
) -> None:
    """A cable pulled for an hour makes two lines, not 36 000."""
    for _ in range(100):
        outage.begin("sending fails")
        times.now_s += 36.0
    during = outage.active
    outage.end()
    assert (during, outage.active) == (True, False)
    assert shown(caplog) == [
        ("WARNING", "CAN can0: sending fails"),
        ("INFO", "CAN can0: works again after 3600.0 s"),
    ]


def test_success_without_an_outage_says_nothing(outage: OutageLog, caplog: pytest.LogCaptureFixture) -> None:
    """The normal case is silent."""
    outage.end()
    outage.end()
    assert caplog.records == []


def test_link_that_comes_and_goes_is_reported_once_a_minute(
    outage: OutageLog, times: Times, caplog: pytest.LogCaptureFixture
) -> None:
    """A loose contact does not fill the log; what is left out can be had at the debug level."""
    for _ in range(120):
        outage.begin("bus-off")
        times.now_s += 0.5
        outage.end()
        times.now_s += 0.5
    assert [level for level, _ in shown(caplog)] == ["WARNING", "INFO", "WARNING", "INFO"]
    assert len(caplog.records) == 240


def test_new_outage_after_a_quiet_time_is_reported(
    outage: OutageLog, times: Times, caplog: pytest.LogCaptureFixture
) -> None:
    """An outage later in the day is news again."""
    for _ in range(3):
        outage.begin("lost")
        outage.end()
        times.now_s += 61.0
    assert [level for level, _ in shown(caplog)] == ["WARNING", "INFO"] * 3
