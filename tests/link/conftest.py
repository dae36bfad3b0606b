"""Places with a server of the link."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tinybms_bridge.hal.clock import Clock, SystemClock
from tinybms_bridge.link import client, server
from tinybms_bridge.link.session import SessionBounds
from tinybms_bridge.tinybms.settings import all_settings
from tinybms_lab.testing.link_place import PATIENCE_S, Place, place


@pytest.fixture(scope="session", autouse=True)
def catalogue_is_read() -> None:
    """Read the settings of the catalogue, a file, before any event loop."""
    all_settings()


@pytest.fixture
def make_place(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Place]]:
    """Return what gives a place with a clock and bounds of its own."""

    def make(clock: Clock | None = None, bounds: SessionBounds | None = None) -> AbstractAsyncContextManager[Place]:
        return place(tmp_path / "core.sock", clock or SystemClock(), bounds)

    return make


@pytest.fixture
async def here(
    make_place: Callable[..., AbstractAsyncContextManager[Place]], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Place]:
    """A place on the clock of the machine; what its core says next does not depend on how slow a test is."""
    monkeypatch.setattr(server, "_TICK_S", 3600.0)
    monkeypatch.setattr(client, "_SILENT_S", 3600.0)
    async with make_place() as found:
        yield found


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Return what waits for a condition."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.002)

    return wait
