"""Presence of the GX."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.gx import IDENTIFICATION, GxChange, GxPresence, GxState
from tinybms_lab.testing.fake_clock import FakeClock

KEEP_ALIVE = CanFrame(0x305, bytes(8))
IDENTITY = CanFrame(0x307, bytes.fromhex("1234567856494300"))


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that starts at 1000 s."""
    return FakeClock()


async def test_nothing_is_known_at_first(clock: FakeClock) -> None:
    """Before the timeout, silence is no news."""
    gx = GxPresence(clock)
    await clock.advance(9.9)
    assert gx.check() is None
    assert (gx.state, gx.last_seen_s, gx.frames) == (GxState.NEVER_SEEN, None, 0)


async def test_absence_is_reported_once(clock: FakeClock) -> None:
    """The old firmware never told that no GX had been seen at all."""
    gx = GxPresence(clock)
    await clock.advance(10.0)
    assert gx.check() == GxChange(GxState.NEVER_SEEN, GxState.NEVER_SEEN, at_s=1010.0, silent_for_s=10.0)
    await clock.advance(100.0)
    assert gx.check() is None


@pytest.mark.parametrize("payload", [bytes(8), b"", b"\x00", bytes.fromhex("0102030405060708")])
async def test_keep_alive_counts_whatever_it_carries(clock: FakeClock, payload: bytes) -> None:
    """Since Venus 3.00 the payload of 0x305 is no longer zero."""
    gx = GxPresence(clock)
    await clock.advance(2.0)
    change = gx.on_frame(CanFrame(0x305, payload))
    assert change == GxChange(GxState.PRESENT, GxState.NEVER_SEEN, at_s=1002.0, silent_for_s=2.0)
    assert (gx.state, gx.since_s, gx.last_seen_s) == (GxState.PRESENT, 1002.0, 1002.0)


async def test_identification_is_recognised(clock: FakeClock) -> None:
    """0x307 with the right payload says that the other end is a GX for certain."""
    gx = GxPresence(clock)
    assert gx.on_frame(IDENTITY) is not None
    assert gx.identified


@pytest.mark.parametrize("payload", [b"", bytes(8), IDENTIFICATION[:7], b"\x12\x34\x56\x78XYZ\x00"])
async def test_other_payload_of_0x307_is_no_gx(clock: FakeClock, payload: bytes) -> None:
    """Another device may use the id."""
    gx = GxPresence(clock)
    assert gx.on_frame(CanFrame(0x307, payload)) is None
    assert (gx.state, gx.identified) == (GxState.NEVER_SEEN, False)


async def test_frames_of_others_are_ignored(clock: FakeClock) -> None:
    """A second battery on the bus is no GX."""
    gx = GxPresence(clock)
    assert gx.on_frame(CanFrame(0x351, bytes(8))) is None
    assert gx.frames == 0


async def test_presence_is_news_once(clock: FakeClock) -> None:
    """Frames each second keep the state without further changes."""
    gx = GxPresence(clock)
    changes = []
    for _ in range(100):
        changes += [gx.on_frame(KEEP_ALIVE), gx.on_frame(IDENTITY), gx.check()]
        await clock.advance(1.0)
    assert [change.state for change in changes if change] == [GxState.PRESENT]
    assert gx.frames == 200


@pytest.mark.parametrize("silence_s", [10.0, 60.0, 660.0])
async def test_loss_and_return(clock: FakeClock, silence_s: float) -> None:
    """A GX that restarts is lost after the timeout and present again with its first frame."""
    gx = GxPresence(clock)
    gx.on_frame(KEEP_ALIVE)
    await clock.advance(silence_s)
    lost = gx.check()
    assert lost == GxChange(GxState.LOST, GxState.PRESENT, at_s=1000.0 + silence_s, silent_for_s=silence_s)
    assert gx.check() is None
    back = gx.on_frame(KEEP_ALIVE)
    assert back is not None
    assert (back.state, back.previous, back.silent_for_s) == (GxState.PRESENT, GxState.LOST, silence_s)


async def test_pause_within_the_timeout_is_no_loss(clock: FakeClock) -> None:
    """Five seconds without a frame happen and mean nothing."""
    gx = GxPresence(clock)
    gx.on_frame(KEEP_ALIVE)
    await clock.advance(5.0)
    assert gx.check() is None
    assert gx.state is GxState.PRESENT


async def test_changes_are_told_to_the_listener(clock: FakeClock) -> None:
    """The listener hears exactly what the calls return."""
    heard: list[GxChange] = []
    gx = GxPresence(clock, timeout_s=3.0, on_change=heard.append)
    returned = [gx.on_frame(KEEP_ALIVE)]
    await clock.advance(3.0)
    returned += [gx.check(), gx.on_frame(KEEP_ALIVE), gx.on_frame(KEEP_ALIVE)]
    assert heard == [change for change in returned if change]
    assert [change.state for change in heard] == [GxState.PRESENT, GxState.LOST, GxState.PRESENT]


@given(st.lists(st.tuples(st.booleans(), st.floats(0.0, 15.0)), max_size=40))
async def test_state_is_always_that_of_the_last_frame(story: list[tuple[bool, float]]) -> None:
    """After each check the GX is present exactly if its last frame is younger than the timeout."""
    clock = FakeClock()
    gx = GxPresence(clock)
    seen_s: float | None = None
    for frame, pause_s in story:
        if frame:
            gx.on_frame(KEEP_ALIVE)
            seen_s = clock.monotonic()
        await clock.advance(pause_s)
        gx.check()
        expected = (
            GxState.NEVER_SEEN
            if seen_s is None
            else GxState.PRESENT
            if clock.monotonic() - seen_s < gx.timeout_s
            else GxState.LOST
        )
        assert gx.state is expected
