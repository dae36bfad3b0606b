"""What the doctor says of the watchdogs of a running core."""

import pytest

from tinybms_bridge.doctor.findings import Verdict
from tinybms_bridge.doctor.watchdog import judge_watchdog
from tinybms_bridge.errors import said
from tinybms_bridge.hal.hardware_watchdog import HardwareState
from tinybms_bridge.hal.watchdog import PartProgress
from tinybms_bridge.link.last_reset import LastReset
from tinybms_bridge.link.state import WatchdogState
from tinybms_bridge.words import LANGUAGES

HOUR_S, DAY_S = 3600.0, 86_400.0


@pytest.mark.parametrize(
    ("state", "codes"),
    [
        (WatchdogState(enabled=True), {"doctor.watchdog": Verdict.OK}),
        (WatchdogState(), {"doctor.watchdog_off": Verdict.OK}),
        (
            WatchdogState(enabled=True, parts=(PartProgress("can"), PartProgress("uart", hangs=True))),
            {"doctor.watchdog_hangs": Verdict.PROBLEM},
        ),
        (
            WatchdogState(enabled=True, hardware=HardwareState(enabled=True, message=said("it is busy"))),
            {"doctor.watchdog": Verdict.OK, "said": Verdict.WARNING},
        ),
        (
            WatchdogState(enabled=True, last_reset=LastReset("crash", error="no")),
            {"doctor.watchdog": Verdict.OK, "restart.crash": Verdict.WARNING},
        ),
        (WatchdogState(enabled=True, last_reset=LastReset("power")), {"doctor.watchdog": Verdict.OK}),
        (WatchdogState(enabled=True, last_reset=LastReset("stopped")), {"doctor.watchdog": Verdict.OK}),
    ],
)
def test_findings(state: WatchdogState, codes: dict[str, Verdict]) -> None:
    """A hang is a problem; an end that should not have been and a device that cannot be used are to be looked at."""
    found = judge_watchdog(state, HOUR_S)
    assert {each.message.code: each.verdict for each in found} == codes
    assert all(each.message.say(language) for each in found for language in LANGUAGES)


def test_who_watches_is_said() -> None:
    """Without a service manager nobody promises a restart."""
    texts = [
        judge_watchdog(WatchdogState(enabled=True, watched=watched, hardware=HardwareState(running=hardware)), 0.0)[
            0
        ].text
        for watched, hardware in ((False, False), (True, False), (True, True))
    ]
    assert ["systemd" in text for text in texts] == [False, True, True]
    assert ["hardware" in text for text in texts] == [False, False, True]


def test_a_hang_is_named_and_what_to_do() -> None:
    """The part, and the page on which it can be restarted."""
    (found,) = judge_watchdog(WatchdogState(enabled=True, parts=(PartProgress("uart", hangs=True),)), DAY_S)
    assert "uart" in found.text
    assert "Restart" in found.advice


def test_a_restart_of_long_ago_is_history() -> None:
    """After a day the event list has it, and the doctor is quiet about it."""
    state = WatchdogState(enabled=True, last_reset=LastReset("watchdog", "uart"))
    assert len(judge_watchdog(state, DAY_S - 1)) == 2
    assert len(judge_watchdog(state, DAY_S)) == 1
