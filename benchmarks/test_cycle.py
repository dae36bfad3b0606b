"""CPU of the path: bytes of a reply to frames on the bus, and its parts."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from typing import Any

import pytest

from tinybms_bridge.battery.limits import Limits, LimitSettings, Memory, step
from tinybms_bridge.battery.snapshot import BmsStatus, Cells, PackValues, Ratings, Snapshot, Temperatures
from tinybms_bridge.core.battery import Battery, BatterySettings
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.tinybms.frames import Framer, ReadModbus, RegistersReply
from tinybms_bridge.tinybms.live import decode_live
from tinybms_bridge.victron.can.codec import FrameSettings, encode_frames
from tinybms_lab.testing.fake_clock import FakeClock

Benchmark = Any
Fast = tuple[ReadModbus, bytes]
Times = Iterator[tuple[int, float]]


@pytest.fixture
def times() -> Times:
    """Sequence numbers and times of samples, ten a second."""
    return ((n, 1000.0 + n / 10) for n in count(1))


def test_parse_reply(benchmark: Benchmark, request_and_reply: Fast) -> None:
    """117 bytes, in two pieces as an adapter delivers them, to registers."""
    request, reply = request_and_reply
    framer = Framer()

    def parse() -> object:
        framer.expect(request)
        framer.feed(reply[:64])
        return framer.feed(reply[64:])[0]

    assert isinstance(benchmark(parse), RegistersReply)


def test_limits_step(benchmark: Benchmark, request_and_reply: Fast, ratings: Ratings) -> None:
    """One decision."""
    _, reply = request_and_reply
    words = [int.from_bytes(reply[i : i + 2], "big") for i in range(3, 115, 2)]
    settings, memory = LimitSettings(), Memory()
    snapshot = decode_live(words, sequence=1, taken_at_s=1000.0, ratings=ratings)
    for n in range(3):
        snapshot = decode_live(words, sequence=n + 1, taken_at_s=1000.0 + n / 10, ratings=ratings)
        _, memory = step(snapshot, settings, memory, 1000.0 + n / 10)
    limits, _ = benchmark(step, snapshot, settings, memory, 1000.3)
    assert limits.may_send


@dataclass(frozen=True, slots=True)
class Situation:
    """What the samples of a benchmark show."""

    cell_v: float
    current_a: float
    soc_percent: float
    celsius: float
    apart_v: float = 0.0
    """How much lower every second cell is; then the others are bled."""


SITUATIONS = {
    "warm": Situation(3.33, 40.0, 60.0, 26.0),
    "cool": Situation(3.33, 40.0, 60.0, 24.5),  # from here down the table of cold cells is asked
    "cold": Situation(3.33, 20.0, 60.0, 5.0),
    "near-top": Situation(3.47, 5.0, 99.0, 24.5, apart_v=0.09),  # balancing goes on
    "at-rest": Situation(3.33, 0.0, 60.0, 24.5),
    "nearly-empty": Situation(2.97, -40.0, 6.0, 24.5),  # DCL by resistance, SUSTAIN
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_limits_step_on_a_new_sample(benchmark: Benchmark, ratings: Ratings, name: str) -> None:
    """One decision on a sample just made, ten a second, after a minute of them; the cells have a noise of 0.5 mV."""
    at, random, settings, memory = SITUATIONS[name], Random(1), LimitSettings(), Memory()
    ratings, numbers = replace(ratings, early_balancing_cell_v=3.40), count(1)

    def new_sample() -> tuple[tuple[Snapshot, LimitSettings, Memory, float], dict[str, Any]]:
        number = next(numbers)
        low_v = (0.0, at.apart_v)
        cells_v = tuple([round(at.cell_v - low_v[n % 2] + random.gauss(0.0, 0.0005), 4) for n in range(16)])
        bled = tuple([at.apart_v > 0.0 and n % 2 == 0 for n in range(16)])
        current_a = at.current_a + (random.gauss(0.0, 0.02) if at.current_a else 0.0)
        status = BmsStatus.CHARGING if current_a > 0.0 else BmsStatus.DISCHARGING if current_a < 0.0 else BmsStatus.IDLE
        snapshot = Snapshot(
            number,
            1000.0 + number / 10,
            PackValues(sum(cells_v), current_a, at.soc_percent, 100.0, status, status.value, 100_000 + number // 10),
            Cells(cells_v, bled, bled),
            Temperatures(at.celsius, at.celsius + 0.1 * (number % 3)),
            ratings,
            image=random.randbytes(112),
        )
        return (snapshot, settings, memory, 1000.004 + number / 10), {}

    def decide(snapshot: Snapshot, settings: LimitSettings, before: Memory, now_s: float) -> Limits | None:
        nonlocal memory
        limits, memory = step(snapshot, settings, before, now_s)
        return limits

    for _ in range(600):
        arguments, _ = new_sample()
        decide(*arguments)
    limits = benchmark.pedantic(decide, setup=new_sample, rounds=6000)
    assert limits is not None
    assert limits.may_send
    assert limits.balancing.active == (name == "near-top")


def test_encode_frames(benchmark: Benchmark, request_and_reply: Fast, ratings: Ratings) -> None:
    """One burst of all frames."""
    pipeline, _ = _started(request_and_reply, ratings)
    frames = benchmark(encode_frames, pipeline.state(), FrameSettings())
    assert len(frames) > 10


def test_full_cycle(benchmark: Benchmark, request_and_reply: Fast, ratings: Ratings, times: Times) -> None:
    """Everything one poll costs: parse, snapshot, plausibility, limits, alarms, energy, bus; and the frames."""
    request, reply = request_and_reply
    clock, framer = FakeClock(), Framer()
    pipeline = Battery(Bus(clock.monotonic, clock.wall), BatterySettings())
    settings = FrameSettings()

    def cycle() -> object:
        sequence, now_s = next(times)
        framer.expect(request)
        framer.feed(reply[:64])
        (registers,) = framer.feed(reply[64:])
        assert isinstance(registers, RegistersReply)
        snapshot = decode_live(registers.values, sequence=sequence, taken_at_s=now_s, ratings=ratings)
        pipeline.accept(snapshot, now_s)
        state = pipeline.state()
        return encode_frames(state, settings) if state.may_send else ()

    for _ in range(5):
        cycle()
    assert benchmark(cycle)


def _started(request_and_reply: Fast, ratings: Ratings) -> tuple[Battery, Snapshot]:
    _, reply = request_and_reply
    words = [int.from_bytes(reply[i : i + 2], "big") for i in range(3, 115, 2)]
    clock = FakeClock()
    pipeline = Battery(Bus(clock.monotonic, clock.wall), BatterySettings())
    for n in range(5):
        snapshot = decode_live(words, sequence=n + 1, taken_at_s=1000.0 + n / 10, ratings=ratings)
        pipeline.accept(snapshot, 1000.0 + n / 10)
    return pipeline, snapshot
