import pytest

from tinybms_bridge.errors import LinkError
from tinybms_bridge.tinybms.slow_reads import ONCE, SlowReads


class Reads:
    """Slow reads that remember their turns and fail when told to."""

    def __init__(self) -> None:
        self.slow = SlowReads()
        self.turns: list[tuple[float, str]] = []
        self.failing: set[str] = set()
        self.lost: set[str] = set()
        self.now_s = 0.0

    def add(self, name: str, interval_s: float, retry_s: float = 5.0) -> None:
        """Add a read."""

        async def read() -> bool:
            self.turns.append((self.now_s, name))
            if name in self.lost:
                raise LinkError("no answer")
            return name not in self.failing

        self.slow.add(name, read, interval_s=interval_s, retry_s=retry_s)

    async def run(self, until_s: float) -> list[tuple[float, str]]:
        """Give a turn each second up to a moment and return the turns taken."""
        self.turns.clear()
        while self.now_s < until_s:
            try:
                await self.slow.take_turn(self.now_s)
            finally:
                self.now_s += 1.0
        return list(self.turns)


@pytest.fixture
def reads() -> Reads:
    """None yet."""
    return Reads()


async def test_without_reads_a_turn_does_nothing(reads: Reads) -> None:
    """A poller alone."""
    assert await reads.run(3.0) == []


async def test_each_has_its_own_cadence_and_one_turn_at_a_time(reads: Reads) -> None:
    """What was added first goes first; never two between two fast polls."""
    reads.add("a", 4.0)
    reads.add("b", 3.0)
    assert await reads.run(8.0) == [(0.0, "a"), (1.0, "b"), (4.0, "a"), (5.0, "b")]


async def test_what_has_been_due_for_longest_goes_first(reads: Reads) -> None:
    """A read with a short interval does not keep the others from their turn."""
    reads.add("often", 1.0)
    reads.add("seldom", 100.0)
    assert (await reads.run(3.0))[:2] == [(0.0, "often"), (1.0, "seldom")]


async def test_what_was_not_read_is_tried_again_sooner(reads: Reads) -> None:
    """Whether the read says so or fails with an error, which comes through."""
    reads.add("a", 60.0, retry_s=2.0)
    reads.failing.add("a")
    assert await reads.run(4.0) == [(0.0, "a"), (2.0, "a")]
    reads.lost.add("a")
    with pytest.raises(LinkError):
        await reads.run(5.0)
    reads.failing.clear()
    reads.lost.clear()
    assert await reads.run(70.0) == [(6.0, "a"), (66.0, "a")]


async def test_a_new_connection_makes_everything_due(reads: Reads) -> None:
    """Also what is read only once for each connection."""
    reads.add("identity", ONCE)
    reads.add("events", 60.0)
    await reads.run(20.0)
    reads.slow.restart(reads.now_s)
    assert await reads.run(40.0) == [(20.0, "identity"), (21.0, "events")]


async def test_a_hurried_read_is_due_at_once(reads: Reads) -> None:
    """A fault has begun: its cause is wanted now, not at the end of the interval; the others keep their time."""
    reads.add("events", 60.0, retry_s=2.0)
    reads.add("statistics", 60.0)
    await reads.run(10.0)
    reads.slow.hurry("events", reads.now_s)
    reads.slow.hurry("of another name", reads.now_s)
    assert await reads.run(60.0) == [(10.0, "events")]


async def test_hurry_does_not_flood_the_line(reads: Reads) -> None:
    """Asked for with every sample while a fault lasts, a read takes place every ``retry_s``."""
    reads.add("events", 60.0, retry_s=3.0)
    turns = []
    for second in range(10):
        reads.slow.hurry("events", float(second))
        turns += await reads.run(second + 1.0)
    assert turns == [(0.0, "events"), (3.0, "events"), (6.0, "events"), (9.0, "events")]


async def test_hurry_does_not_push_others_back(reads: Reads) -> None:
    """What has been due for longer still goes first."""
    reads.add("events", 60.0, retry_s=1.0)
    reads.add("settings", 5.0)
    await reads.run(6.0)
    reads.slow.hurry("events", 8.0)
    reads.now_s = 8.0
    assert await reads.run(10.0) == [(8.0, "settings"), (9.0, "events")]
