"""The packs are read more seldom where the processor cannot bear it, never beyond a second, and it is told."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.core.pace import SLOWEST_MS, Load, PaceKeeper, PaceMemory, step, step_to
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import Noted
from tinybms_bridge.tinybms.pace import Pace
from tinybms_bridge.words import Message
from tinybms_lab.testing.fake_clock import FakeClock

LOOK_S = 0.5


@dataclass
class FakePack:
    """A pack that notes its pace."""

    pace: Pace = field(default_factory=Pace)
    slowed: Message | None = None

    def set_pace(self, pace: Pace, slowed: Message | None) -> None:
        """See ``Paced``."""
        self.pace, self.slowed = pace, slowed


class Board:
    """A machine on which each reading takes its time, and something else a share that a test chooses."""

    def __init__(self, packs: int, reading_s: float, other: float = 0.02) -> None:
        self.clock = FakeClock()
        self.packs = {f"p{index}": FakePack() for index in range(packs)}
        self.reading_s = reading_s
        self.other = other
        self.cpu_s = 3.0
        self.config = Configuration()
        self.told: list[Noted] = []
        bus = Bus(self.clock.monotonic, self.clock.wall)
        self._seen = bus.subscribe(Noted)
        self.keeper = PaceKeeper(self.config, lambda: self.packs, bus, cpu_s=lambda: self.cpu_s)
        self.intervals_ms: list[float] = []

    @property
    def interval_ms(self) -> float:
        """How often the first pack is read."""
        pace = next(iter(self.packs.values())).pace
        return max(pace.least_ms, float(self.config.tinybms.poll_interval_min_ms))

    async def run(self, duration_s: float) -> None:
        """Look as the core does, and let the readings take their time meanwhile."""
        for _ in range(round(duration_s / LOOK_S)):
            self.keeper.look(self.clock.monotonic())
            polls_s = len(self.packs) * 1000.0 / self.interval_ms if self.packs else 0.0
            self.cpu_s += LOOK_S * min(1.0, self.other + self.reading_s * polls_s)
            self.intervals_ms.append(self.interval_ms if self.packs else 0.0)
            await self.clock.advance(LOOK_S)
        while (envelope := self._seen.take()) is not None:
            self.told.append(envelope.event)  # type: ignore[arg-type]

    def apply(self, least_ms: int = 100, first_ms: int = 100, most_ms: int = 1000) -> None:
        """Change the configuration."""
        tinybms = replace(
            self.config.tinybms,
            poll_interval_min_ms=least_ms,
            poll_interval_ms=first_ms,
            poll_interval_max_ms=most_ms,
        )
        self.config = replace(self.config, tinybms=tinybms)
        self.keeper.apply(self.config)


async def test_one_pack_on_a_small_board_is_read_as_configured() -> None:
    """With one pack and a load below the bound nothing changes, and nothing is told."""
    board = Board(1, 0.004)
    await board.run(300.0)

    assert set(board.intervals_ms) == {100.0}
    assert board.packs["p0"].pace == Pace()
    assert board.told == []
    assert board.keeper.slowed is None


async def test_sixteen_packs_on_this_machine_are_read_as_configured() -> None:
    """12 % of a processor are borne."""
    board = Board(16, 0.00075, 0.0)
    await board.run(300.0)

    assert set(board.intervals_ms) == {100.0}
    assert board.told == []


async def test_sixteen_packs_on_a_small_board_are_read_more_seldom() -> None:
    """A fifth of this machine would be busy to 59 %: the interval grows once, with the reason, and stays."""
    board = Board(16, 0.0037, 0.0)
    await board.run(600.0)
    found = sorted(set(board.intervals_ms))

    assert found == [100.0, 200.0]
    assert board.intervals_ms == sorted(board.intervals_ms)
    (noted,) = board.told
    assert noted.code == "pace.slower"
    assert noted.text == "16 BMS are read every 200 ms in place of 100 ms: otherwise the core takes 59 % of a processor"
    assert noted.message.say("fr") == (
        "16 BMS sont lus toutes les 200 ms au lieu de 100 ms : sinon le cœur prend 59 % d'un processeur"
    )
    assert board.packs["p7"].slowed == noted.message == board.keeper.slowed


async def test_what_passes_is_gone_back_from() -> None:
    """When the load is gone the packs are read as configured again, some time later, and that is told."""
    board = Board(16, 0.0037, 0.0)
    await board.run(60.0)
    board.reading_s = 0.00075
    await board.run(200.0)

    assert board.interval_ms == 100.0
    assert board.told[-1].text == "The BMS are read every 100 ms again, as configured"
    assert board.told[-1].message.say("fr") == "Les BMS sont de nouveau lus toutes les 100 ms, comme configuré"
    assert board.keeper.slowed is board.packs["p0"].slowed is None


async def test_a_short_load_changes_nothing() -> None:
    """A window of work, as a change of the configuration makes, is no reason."""
    board = Board(4, 0.001)
    await board.run(60.0)
    for _ in range(10):
        board.cpu_s += 4.0
        await board.run(15.0)

    assert set(board.intervals_ms) == {100.0}
    assert board.told == []


async def test_the_start_does_not_count() -> None:
    """A process that starts is busy with itself for some seconds."""
    board = Board(16, 0.0005, 0.9)
    await board.run(8.0)
    board.other = 0.0
    await board.run(60.0)

    assert set(board.intervals_ms) == {100.0}


async def test_more_packs_are_borne_before_they_are_too_much() -> None:
    """When packs are added the interval follows at once, by what those before have taken."""
    board = Board(4, 0.0037, 0.0)
    await board.run(60.0)
    assert board.told == []
    board.packs |= {f"q{index}": FakePack() for index in range(12)}
    await board.run(LOOK_S)

    assert board.interval_ms == 200.0
    assert {pack.pace.least_ms for pack in board.packs.values()} == {200.0}
    assert {pack.pace.phase for pack in board.packs.values()} == {0.0, 0.25, 0.5, 0.75}


async def test_the_last_pack_that_is_left_is_free_again() -> None:
    """Taking all but one out of service leaves one pack, read as the only one is."""
    board = Board(3, 0.001)
    await board.run(LOOK_S)
    assert [pack.pace.phase for pack in board.packs.values()] == [0.0, 0.5, 0.0]
    board.packs = {"p1": board.packs["p1"]}
    await board.run(LOOK_S)

    assert board.packs["p1"].pace == Pace()


async def test_no_pack_is_no_load() -> None:
    """With every pack out of service nothing is slowed, whatever else the process does."""
    board = Board(0, 0.0, 0.95)
    await board.run(120.0)

    assert board.told == []


async def test_it_is_never_slower_than_a_second() -> None:
    """What else the process does cannot silence the packs: freshness ends after 3 s."""
    board = Board(16, 0.0037, 0.95)
    await board.run(600.0)

    assert max(board.intervals_ms) == SLOWEST_MS == board.interval_ms


async def test_the_longest_interval_that_is_configured_holds() -> None:
    """Freshness is checked against it when the configuration is saved."""
    board = Board(16, 0.01, 0.5)
    board.apply(most_ms=250)
    await board.run(300.0)
    assert board.interval_ms == 250.0
    board.apply(least_ms=400, first_ms=500)
    await board.run(LOOK_S)

    assert board.keeper.slowed is None
    assert board.interval_ms == 400.0


@given(
    packs=st.integers(1, 16),
    reading_s=st.floats(0.0001, 0.03),
    other=st.floats(0.0, 0.5),
    configured_ms=st.sampled_from([20.0, 100.0, 250.0, 1000.0]),
    noise=st.lists(st.floats(0.9, 1.1), min_size=60, max_size=60),
)
def test_it_comes_to_rest(packs: int, reading_s: float, other: float, configured_ms: float, noise: list[float]) -> None:
    """For any machine the interval stays within its bounds, grows only where it must, and does not flutter."""
    memory = PaceMemory()
    found_ms = []
    for each in noise:
        present_ms = memory.interval_ms or configured_ms
        share = min(1.0, each * (other + packs * reading_s * 1000.0 / present_ms))
        memory = step(memory, Load(share, packs), configured_ms)
        found_ms.append(memory.interval_ms or configured_ms)
    changes = [(a, b) for a, b in pairwise(found_ms) if a != b]

    assert all(configured_ms <= each <= SLOWEST_MS for each in found_ms)
    assert [b for a, b in changes if b < a] == []
    if other + packs * reading_s * 1000.0 / configured_ms < 0.36:
        assert changes == []


@given(st.integers(1, 16), st.integers(0, 16), st.floats(0.0, 1.0))
def test_another_number_of_packs_never_makes_it_quicker(before: int, after: int, share: float) -> None:
    """Only what was measured makes the interval shorter."""
    memory = step_to(PaceMemory(200.0, Load(share, before)), after, 100.0)

    assert memory.interval_ms is not None
    assert 200.0 <= memory.interval_ms <= SLOWEST_MS
    if after > before and share * after / before > 0.4:
        assert memory.interval_ms > 200.0


@pytest.mark.parametrize("configured_ms", [1000.0, 3000.0])
def test_what_is_configured_slower_stays(configured_ms: float) -> None:
    """Who has chosen a second or more gets it."""
    memory = PaceMemory()
    for _ in range(10):
        memory = step(memory, Load(0.99, 16), configured_ms)

    assert memory.interval_ms is None
