from collections.abc import Callable

import pytest

from tinybms_bridge.tinybms.frames import CommandCode, SimpleRequest
from tinybms_lab.bms import DumpDevice, Responder, SimulatedBms, real_dump
from tinybms_lab.bms.event_printer import EventPrinter, in_words
from tinybms_lab.testing.fake_clock import FakeClock

PassTime = Callable[[float], None]


def test_events_are_told_once(clock: FakeClock, bms: SimulatedBms, pass_time: PassTime) -> None:
    """Each with its pack time and number, before the state."""
    event_printer = EventPrinter(bms, Responder(bms, clock))
    first = event_printer.lines()
    bms.connect_charger(20.0)
    pass_time(61.0)
    second = event_printer.lines()

    assert first[0] == "0:00:00  event 0x61 bms started"
    assert [line.split("  ", 1)[1] for line in second[:-1]] == [
        "event 0x64 charger found",
        "event 0x62 charging started",
    ]
    assert len(event_printer.lines()) == 1


def test_the_state_is_one_line(clock: FakeClock, bms: SimulatedBms, pass_time: PassTime) -> None:
    """As a client would read it, with the traffic."""
    responder = Responder(bms, clock)
    responder.feed(SimpleRequest(CommandCode.STATUS).encode())
    bms.set_current_a(-30.0)
    pass_time(1.0)
    line = EventPrinter(bms, responder).lines()[-1]

    assert "-30.0 A" in line
    assert "SOC 60.0 %" in line
    assert "25.0 °C" in line
    assert "discharging" in line
    assert line.endswith("1 requests")


def test_troubles_stand_out(clock: FakeClock, bms: SimulatedBms, pass_time: PassTime) -> None:
    """Every active fault and warning by name."""
    bms.break_wire(3)
    pass_time(1.0)

    assert "fault  under voltage!  discharged!  over voltage!" in EventPrinter(bms, Responder(bms, clock)).lines()[-1]


def test_sleep_is_told(clock: FakeClock, bms: SimulatedBms, pass_time: PassTime) -> None:
    """Somebody wonders why nothing is answered."""
    pass_time(12.0)

    assert "  asleep  " in EventPrinter(bms, Responder(bms, clock)).lines()[-1]


def test_more_events_than_are_kept(clock: FakeClock, bms: SimulatedBms) -> None:
    """The oldest are missing, and nothing else."""
    event_printer = EventPrinter(bms, Responder(bms, clock))
    event_printer.lines()
    for _ in range(1200):
        bms._log(1000.0, next(iter(bms.history))[1])

    assert len(event_printer.lines()) == 1000 + 1


def test_a_dump_has_no_events(clock: FakeClock) -> None:
    """Only a state, here without temperature sensors outside."""
    device = DumpDevice(real_dump(), clock)
    (line,) = EventPrinter(device, Responder(device, clock)).lines()

    assert line.startswith("55.78 V")
    assert "9.7 °C" in line


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0:00:00"), (59.6, "0:01:00"), (3725.0, "1:02:05"), (90000.0, "1 day, 1:00:00")]
)
def test_times_are_for_people(seconds: float, text: str) -> None:
    """Rounded to seconds."""
    assert in_words(seconds) == text
