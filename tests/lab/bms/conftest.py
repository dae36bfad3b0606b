"""A clock that is moved by hand, and a host that asks a device over frames."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.tinybms.frames import CrcMismatch, Framer, Garbage, Reply, Request
from tinybms_lab.bms import AnsweringDevice, DumpDevice, Responder, SimulatedBms, real_dump
from tinybms_lab.testing.fake_clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """Time that stands still."""
    return FakeClock()


@pytest.fixture
def pass_time(clock: FakeClock) -> Callable[[float], None]:
    """Move the clock without an event loop."""

    def step(seconds: float) -> None:
        clock._now_s += seconds

    return step


@pytest.fixture
def bms(clock: FakeClock) -> SimulatedBms:
    """A rested LFP pack of 16 cells, 100 Ah, 60 %."""
    return SimulatedBms.build(clock)


@pytest.fixture
def dump(clock: FakeClock) -> DumpDevice:
    """The capture of the real unit."""
    return DumpDevice(real_dump(), clock)


@pytest.fixture
def exchange(clock: FakeClock) -> Callable[[AnsweringDevice, Request], Reply | None]:
    """Ask a device over encoded frames in both directions; None when it stays silent."""

    def ask(device: AnsweringDevice, request: Request) -> Reply | None:
        sent = b"".join(reply.data for reply in Responder(device, clock).feed(request.encode()))
        framer = Framer()
        framer.expect(request)
        events = framer.feed(sent)
        assert len(events) <= 1
        if not events:
            return None
        (event,) = events
        assert not isinstance(event, Garbage | CrcMismatch)
        return event

    return ask


@pytest.fixture(scope="session")
def golden() -> dict[str, bytes]:
    """The golden frames by id."""
    path = Path(__file__).parents[2] / "tinybms" / "golden_uart.json"
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {vector["id"]: bytes.fromhex(vector["hex"]) for vector in document["vectors"]}
