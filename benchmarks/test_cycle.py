"""CPU of the path: bytes of a reply to frames on the bus, and its parts."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from tinybms_bridge.battery.limits import LimitSettings, Memory, step
from tinybms_bridge.battery.snapshot import Ratings, Snapshot
from tinybms_bridge.bus import Bus
from tinybms_bridge.hal.clock import FakeClock
from tinybms_bridge.pipeline import Pipeline, PipelineSettings
from tinybms_bridge.tinybms.frames import Framer, ReadModbus, Registers
from tinybms_bridge.tinybms.live import decode_live
from tinybms_bridge.victron.codec import FrameSettings, Outgoing, encode_frames

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

    assert isinstance(benchmark(parse), Registers)


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


def test_encode_frames(benchmark: Benchmark, request_and_reply: Fast, ratings: Ratings) -> None:
    """One burst of all frames."""
    pipeline, snapshot = _started(request_and_reply, ratings)
    decision = pipeline.decision()
    assert decision is not None
    outgoing = Outgoing(snapshot, decision.limits, decision.alarms, decision.energy)
    frames = benchmark(encode_frames, outgoing, FrameSettings())
    assert len(frames) > 10


def test_full_cycle(benchmark: Benchmark, request_and_reply: Fast, ratings: Ratings, times: Times) -> None:
    """Everything one poll costs: parse, snapshot, plausibility, limits, alarms, energy, bus; and the frames."""
    request, reply = request_and_reply
    clock, framer = FakeClock(), Framer()
    pipeline = Pipeline(Bus(clock.monotonic, clock.wall), PipelineSettings())
    settings = FrameSettings()

    def cycle() -> object:
        sequence, now_s = next(times)
        framer.expect(request)
        framer.feed(reply[:64])
        (registers,) = framer.feed(reply[64:])
        assert isinstance(registers, Registers)
        snapshot = decode_live(registers.values, sequence=sequence, taken_at_s=now_s, ratings=ratings)
        pipeline.accept(snapshot, now_s)
        decision = pipeline.decision()
        if decision is None:
            return ()
        return encode_frames(Outgoing(snapshot, decision.limits, decision.alarms, decision.energy), settings)

    for _ in range(5):
        cycle()
    assert benchmark(cycle)


def _started(request_and_reply: Fast, ratings: Ratings) -> tuple[Pipeline, Snapshot]:
    _, reply = request_and_reply
    words = [int.from_bytes(reply[i : i + 2], "big") for i in range(3, 115, 2)]
    clock = FakeClock()
    pipeline = Pipeline(Bus(clock.monotonic, clock.wall), PipelineSettings())
    for n in range(5):
        snapshot = decode_live(words, sequence=n + 1, taken_at_s=1000.0 + n / 10, ratings=ratings)
        pipeline.accept(snapshot, 1000.0 + n / 10)
    return pipeline, snapshot
