"""The self-test of loopback mode: what counts as back, and when it fails."""

from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.self_test import LoopbackResult, LoopbackTest, LoopbackVerdict
from tinybms_lab.testing.fake_clock import FakeClock

LIMITS = CanFrame(0x351, bytes(8))


async def test_a_frame_that_comes_back_passes() -> None:
    """Before that nothing is said."""
    clock = FakeClock()
    test = LoopbackTest(clock)
    test.on_sent(LIMITS)
    assert test.result() == LoopbackResult()

    test.on_frame(CanFrame(LIMITS.arbitration_id, LIMITS.data, "can0"))

    assert test.result() == LoopbackResult(LoopbackVerdict.PASSED, 1, 1)


async def test_what_stays_away_or_is_altered_fails() -> None:
    """The same identifier with other bytes is no proof, and one frame that came back does not stand for two."""
    clock = FakeClock()
    test = LoopbackTest(clock)
    test.on_sent(LIMITS)
    test.on_sent(LIMITS)
    test.on_frame(LIMITS)
    test.on_frame(CanFrame(0x351, bytes([1])))
    assert test.result().verdict is LoopbackVerdict.PASSED, "the second may still come"

    await clock.advance(2.5)

    assert test.result() == LoopbackResult(LoopbackVerdict.FAILED, 2, 1)


async def test_a_bus_that_works_again_passes_again() -> None:
    """The verdict is about the last burst, the counts about all."""
    clock = FakeClock()
    test = LoopbackTest(clock)
    test.on_sent(LIMITS)
    await clock.advance(3.0)
    assert test.result().verdict is LoopbackVerdict.FAILED

    for _ in range(20):
        test.on_sent(LIMITS)
        test.on_frame(LIMITS)

    assert test.result() == LoopbackResult(LoopbackVerdict.PASSED, 21, 20)
