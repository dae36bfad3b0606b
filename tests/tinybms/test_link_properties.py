"""The client against the simulated BMS on an in-memory line that fails in every way: nothing wrong is ever believed.

Time is virtual: the event loop jumps from one moment to the next, so that hours of a bad line take seconds.
"""

import asyncio
import random
from collections.abc import Coroutine, Sequence
from contextlib import closing
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tinybms_bridge.errors import DeviceRefused, LinkError
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort
from tinybms_bridge.tinybms.client import TinyBmsClient
from tinybms_bridge.tinybms.frames import (
    Action,
    CommandCode,
    ReadBlock,
    ReadList,
    ReadModbus,
    ReadSettingValues,
    Reply,
    Request,
    SettingsTable,
    SimpleRequest,
    WriteList,
    WriteModbus,
)
from tinybms_lab.bms import (
    FAULT_NAMES,
    BmsOptions,
    FaultInjector,
    FaultPlan,
    Line,
    PacketId,
    Quirks,
    SimulatedBms,
    SwitchStates,
    parse_profile,
)
from tinybms_lab.bms.responder import answer
from tinybms_lab.testing.virtual_time import LoopClock, VirtualLoop

T = TypeVar("T")

TICK_S = 0.1
RECOVERY_REQUESTS = 4
"""Requests after which a line that has become good works again; one restart of the device included."""


class Frozen:
    """The registers of one refresh, as a device that answers from them."""

    silent = False
    switches = SwitchStates(load=True, charger=False)

    def __init__(self, words: Sequence[int]) -> None:
        self._words = words

    def refresh(self) -> None: ...

    def hear(self) -> bool:
        return True

    def read(self, address: int, count: int) -> tuple[int, ...]:
        return tuple(self._words[address : address + count])

    def write(self, pairs: Sequence[tuple[int, int]]) -> bool:
        return True

    def act(self, action: Action) -> bool:
        return True

    def settings_table(self, table: SettingsTable, count: int) -> tuple[int, ...]:
        return self.read(300, count)

    def crash(self) -> None: ...


class Recorded(SimulatedBms):
    """Keeps what its registers held at each refresh and after each write."""

    states: list[tuple[float, tuple[int, ...]]]

    def refresh(self) -> None:
        super().refresh()
        self.record()

    def write(self, pairs: Sequence[tuple[int, int]]) -> bool:
        accepted = super().write(pairs)
        self.record()
        return accepted

    def record(self) -> None:
        words = tuple(self._memory._words)
        if not hasattr(self, "states"):
            self.states = []
        if not self.states or self.states[-1][1] != words:
            self.states.append((self._clock.monotonic(), words))

    def states_since(self, time_s: float) -> list[tuple[int, ...]]:
        """Return the states in force at a time and those that followed."""
        before = [words for at_s, words in self.states if at_s <= time_s][-1:]
        return before + [words for at_s, words in self.states if at_s > time_s]


class MemoryPort:
    """A serial port whose other end is a simulated line."""

    def __init__(self, line: Line, clock: LoopClock) -> None:
        self._line = line
        self._clock = clock
        self._on_data: OnData | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def open(self, on_data: OnData, _on_lost: OnLost) -> SerialPort:
        self._on_data = on_data
        return self

    def expect(self, count: int) -> None:
        pass

    async def close(self) -> None:
        self._on_data = None

    def write(self, data: bytes) -> None:
        self._line.receive(data)
        self.pump()

    def tick(self) -> None:
        self._line.tick()
        self.pump()

    def pump(self) -> None:
        """Hand over what is complete, and come back when more is."""
        for piece in self._line.due():
            if self._on_data is not None:
                self._on_data(piece)
        if self._timer is not None:
            self._timer.cancel()
        next_s = self._line.next_s
        loop = asyncio.get_event_loop()
        self._timer = None if next_s is None else loop.call_at(max(next_s, loop.time()), self.pump)


LIVE = ReadModbus(0, 56)
SETTINGS = ReadModbus(300, 44)
READS: tuple[Request, ...] = (
    LIVE,
    SETTINGS,
    ReadModbus(100, 18),
    ReadModbus(344, 56),
    ReadBlock(0, 57),
    ReadBlock(300, 44),
    ReadBlock(0, 16),
    ReadList((306, 307, 36, 37)),
    ReadList(tuple(range(300, 320))),
    ReadSettingValues(SettingsTable.CURRENT),
    ReadSettingValues(SettingsTable.CURRENT, 44),
    *(
        SimpleRequest(command)
        for command in CommandCode
        if command >= CommandCode.EVENTS_NEWEST and command is not CommandCode.SETTINGS
    ),
)
"""Every kind of read."""

TWINS: tuple[Request, ...] = tuple(ReadModbus(address, 3) for address in (30, 32, 34, 36, 38, 46, 306, 315, 502))
"""Reads whose replies look alike and say different things: one could be taken for the other."""

chances = st.sampled_from([0.0, 0.0, 0.02, 0.2, 0.5, 1.0])


def fault_plan(values: dict[str, Any]) -> FaultPlan:
    """Return the plan with these values."""
    return FaultPlan(**values)


class Bench:
    """A client and a BMS, and a line between them."""

    def __init__(self, seed: int, *, quirks: Quirks | None = None, options: BmsOptions | None = None) -> None:
        self.loop = VirtualLoop()
        self.clock = LoopClock(self.loop)
        bms = Recorded.build(self.clock, profile=parse_profile("7:-40,5:+25,3:0"), options=options)
        assert isinstance(bms, Recorded)
        self.bms = bms
        self.faults = FaultInjector(chance=random.Random(seed))
        self.port = MemoryPort(Line(self.bms, self.clock, faults=self.faults, quirks=quirks), self.clock)
        self.client = TinyBmsClient(self.port.open, self.clock)
        self.run(self.client.connect())

    def run(self, job: Coroutine[Any, Any, T]) -> T:
        async def body() -> T:
            ticking = asyncio.ensure_future(self._tick())
            try:
                return await job
            finally:
                ticking.cancel()

        return self.loop.run_until_complete(body())

    async def _tick(self) -> None:
        while True:
            self.port.tick()
            await asyncio.sleep(TICK_S)

    def close(self) -> None:
        self.run(self.client.close())
        self.loop.close()

    def ask(self, request: Request) -> Reply | None:
        """Ask, and check whatever is believed against what the BMS held while it was asked."""
        begun_s = self.clock.monotonic()
        try:
            reply = self.run(self.client.request(request))
        except LinkError:
            return None
        except DeviceRefused as refusal:
            return self._refused(refusal)
        held = [answer(Frozen(words), request) for words in self.bms.states_since(begun_s)]
        assert reply in held, f"{request} at {begun_s}: {reply} was never held: {held[:2]}"
        return reply

    @staticmethod
    def _refused(refusal: DeviceRefused) -> None:
        """Check that a good request is only ever refused for being corrupted on its way."""
        assert refusal.code == 1

    def expect_recovery(self) -> None:
        """Let the line become good: after a few requests every one is answered."""
        self.faults.plan = FaultPlan()
        tries = 0
        while self.ask(LIVE) is None:
            tries += 1
            assert tries < RECOVERY_REQUESTS
        for request in (SETTINGS, LIVE):
            assert self.ask(request) is not None


@pytest.mark.parametrize("chance", [0.3, 1.0])
@pytest.mark.parametrize("name", FAULT_NAMES)
@given(seed=st.integers(0, 2**32 - 1), requests=st.lists(st.sampled_from(TWINS), min_size=10, max_size=20))
@settings(max_examples=6, deadline=None, derandomize=True)
def test_no_fault_alone_makes_the_client_believe_something_wrong(
    name: str, chance: float, seed: int, requests: list[Request]
) -> None:
    """Replies that look alike follow one another while one thing goes wrong all the time; then the link recovers."""
    with closing(Bench(seed)) as bench:
        bench.faults.plan = fault_plan({name: chance, "late_s": 1.5})
        for request in requests:
            bench.ask(request)
        bench.expect_recovery()

    assert bench.faults.counts[name] > 0


class LinkMachine(RuleBasedStateMachine):
    """A client and a BMS, and a line between them that gets worse and better."""

    bench: Bench | None = None

    @initialize(seed=st.integers(0, 2**32 - 1), packet_id=st.sampled_from(PacketId), busy=st.sampled_from([0.0, 0.5]))
    def start(self, seed: int, packet_id: PacketId, busy: float) -> None:
        self.link = self.bench = Bench(seed, quirks=Quirks(packet_id=packet_id), options=BmsOptions(write_busy_s=busy))
        self.possible = {15}

    def teardown(self) -> None:
        if self.bench is not None:
            self.bench.close()

    @rule(request=st.sampled_from(READS))
    def read(self, request: Request) -> None:
        """A reply that is believed is right, for its own request."""
        self.link.ask(request)

    @rule(requests=st.lists(st.sampled_from(TWINS), min_size=2, max_size=8))
    def read_quickly(self, requests: list[Request]) -> None:
        """Requests one right after the other, as a poll does."""
        for request in requests:
            self.link.ask(request)

    @rule(plan=st.fixed_dictionaries(dict.fromkeys(FAULT_NAMES, chances)))
    def spoil(self, plan: dict[str, float]) -> None:
        """Let the line fail in some ways."""
        self.link.faults.plan = fault_plan(plan)

    @rule(name=st.sampled_from(FAULT_NAMES), chance=chances)
    def spoil_in_one_way(self, name: str, chance: float) -> None:
        """Let the line fail in one way."""
        self.link.faults.plan = fault_plan({name: chance})

    @rule(value=st.integers(15, 100), single=st.booleans())
    def write(self, value: int, single: bool) -> None:
        """A write that was confirmed has happened; one that was not may have."""
        request = WriteList(((308, value),)) if single else WriteModbus(308, (value,))
        try:
            self.link.run(self.link.client.request(request))
        except DeviceRefused:
            return
        except LinkError:
            self.possible.add(value)
        else:
            self.possible = {value}

    @rule(seconds=st.sampled_from([0.001, 0.01, 0.05, 0.3, 1.0, 4.0, 15.0]))
    def wait(self, seconds: float) -> None:
        """Time passes, perhaps enough to fall asleep."""
        self.link.run(asyncio.sleep(seconds))

    @rule(time=st.integers(0, 7), protocol=st.integers(0, 2))
    def broadcast(self, time: int, protocol: int) -> None:
        """Somebody switches the broadcast text on or off."""
        self.link.bms.write([(342, time), (343, protocol)])

    @rule()
    def recover(self) -> None:
        """A line that has become good works again after a few requests, and goes on to."""
        self.link.expect_recovery()

    @invariant()
    def settings_are_what_was_written(self) -> None:
        """Corrupted requests change nothing."""
        if self.bench is not None:
            assert (self.bench.bms.read(308, 1) or (0,))[0] in self.possible


LinkMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLink = LinkMachine.TestCase
"""Replies believed are right, writes confirmed have happened, and the link recovers, whatever goes wrong."""
