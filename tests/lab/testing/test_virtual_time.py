import asyncio
import time

import pytest

from tinybms_bridge.hal.clock import Clock
from tinybms_lab.testing.virtual_time import LoopClock, VirtualLoop

pytestmark = pytest.mark.virtual_time


async def test_waiting_takes_no_time_and_happens_in_order() -> None:
    """A year of time-outs costs nothing, and what is due earlier comes earlier."""
    clock: Clock = LoopClock()
    begun_s, really_s = clock.monotonic(), time.monotonic()
    order: list[float] = []

    async def note(after_s: float) -> None:
        await clock.sleep(after_s)
        order.append(after_s)

    await asyncio.gather(*(note(after_s) for after_s in (3.0, 0.001, 365 * 86400.0)))
    assert order == [0.001, 3.0, 365 * 86400.0]
    assert clock.monotonic() - begun_s == pytest.approx(365 * 86400.0)
    assert time.monotonic() - really_s < 3600.0


async def test_a_time_out_is_as_long_as_it_says_whatever_the_machine_does() -> None:
    """Work between two waits does not count."""
    async with asyncio.timeout(0.001):
        for _ in range(1000):
            await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await asyncio.sleep(0.002)


def test_the_clock_of_a_loop_can_be_read_from_outside() -> None:
    """Between two runs of the loop nothing moves."""
    loop = VirtualLoop()
    clock = LoopClock(loop)
    begun_s = clock.monotonic()
    loop.run_until_complete(asyncio.sleep(5.0))
    assert clock.monotonic() - begun_s == pytest.approx(5.0)
    loop.close()
