"""A second BMS on the bus, and a bus on which nothing is heard any more."""

import pytest

from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.neighbours import BMS_IDS, BusSilence, SecondBms
from tinybms_lab.testing.fake_clock import FakeClock

OURS, THEIRS = bytes(8), bytes.fromhex("2002F401F401CC01")


class Bus:
    """A bus in the hand of the test."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.second = SecondBms(self.clock)
        self.told: list[str] = []

    async def second_of(self, *heard: CanFrame, sent: tuple[CanFrame, ...] = ()) -> None:
        """Let a second pass in which these frames are heard and sent."""
        for frame in sent:
            self.second.on_sent(frame)
        for frame in heard:
            self.second.on_frame(frame)
        for _ in range(4):
            text = self.second.check()
            if text is not None:
                self.told.append(text.text)
            await self.clock.advance(0.25)


@pytest.fixture
def bus() -> Bus:
    """A bus with nobody on it."""
    return Bus()


@pytest.mark.parametrize("identifier", BMS_IDS)
async def test_a_second_bms_is_told_with_identifier_and_period(bus: Bus, identifier: int) -> None:
    """Once, after it has shown that it goes on; and when it has gone."""
    for _ in range(8):
        await bus.second_of(CanFrame(identifier, THEIRS))
    (text,) = bus.told
    assert f"(0x{identifier:03X} every 1.0 s)" in text
    for _ in range(12):
        await bus.second_of()
    assert bus.told[1:] == ["The second BMS on the CAN bus is no longer heard"]


async def test_all_its_frames_are_named(bus: Bus) -> None:
    """So that a user finds the device by what it sends."""
    for _ in range(5):
        await bus.second_of(*(CanFrame(identifier, THEIRS) for identifier in reversed(BMS_IDS)))
    assert "(0x351 every 1.0 s, 0x355 every 1.0 s, 0x356 every 1.0 s, 0x35A every 1.0 s)" in bus.told[0]


async def test_one_stray_frame_is_no_bms(bus: Bus) -> None:
    """Two of somebody's tests, or frames minutes apart, raise nothing."""
    await bus.second_of(CanFrame(0x351, THEIRS), CanFrame(0x351, THEIRS))
    for _ in range(20):
        for _ in range(6):
            await bus.second_of()
        await bus.second_of(CanFrame(0x351, THEIRS))
    assert not bus.told


async def test_a_gx_is_no_bms(bus: Bus) -> None:
    """Its keep-alive and its name, and frames of other devices."""
    for _ in range(10):
        await bus.second_of(CanFrame(0x305, bytes(8)), CanFrame(0x307, THEIRS), CanFrame(0x35E, THEIRS))
    assert not bus.second.present


async def test_own_frames_that_come_back_are_no_bms(bus: Bus) -> None:
    """An adapter or a bus that echoes; each frame of ours accounts for one of what is heard."""
    ours = tuple(CanFrame(identifier, OURS) for identifier in BMS_IDS)
    for _ in range(30):
        await bus.second_of(*ours, sent=ours)
    assert not bus.second.present
    for _ in range(6):
        await bus.second_of(*ours, CanFrame(0x351, OURS), sent=ours)
    assert "(0x351 every 1.0 s)" in bus.told[0]


async def test_a_second_bms_shows_beside_a_bus_that_does_not_echo(bus: Bus) -> None:
    """What was sent and never came back does not pile up, and hides nobody."""
    for number in range(200):
        frame = CanFrame(0x351, number.to_bytes(8))
        await bus.second_of(CanFrame(0x351, THEIRS), sent=(frame,))
    assert bus.second.present
    assert len(bus.second._own) <= 17


async def test_a_bus_that_falls_silent_has_its_adapter_opened_anew() -> None:
    """After 60 s, then 5 minutes, then every 15; anything heard begins the count anew."""
    clock, count = FakeClock(), [0]
    silence = BusSilence(clock, lambda: count[0])

    async def openings(seconds: int) -> list[int]:
        found = []
        for second in range(1, seconds + 1):
            await clock.advance(1.0)
            if silence.check() is not None:
                found.append(second)
        return found

    assert await openings(2000) == [], "nothing was ever heard: a GX that is off is normal"
    count[0] += 1
    assert await openings(3200) == [61, 361, 1261, 2161, 3061]
    count[0] += 1
    assert await openings(100) == [61]
