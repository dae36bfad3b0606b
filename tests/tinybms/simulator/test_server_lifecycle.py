"""Opening, closing and the link, without a client."""

import asyncio
import os
from pathlib import Path

import pytest

from tinybms_bridge.hal.clock import FakeClock, SystemClock
from tinybms_bridge.tinybms.simulator import DumpDevice, PtyServer, real_dump


@pytest.fixture
def unit() -> DumpDevice:
    """The captured unit in real time; made before the loop runs, since it reads files."""
    return DumpDevice(real_dump(), SystemClock())


def _exists(link: Path) -> bool:
    return os.path.lexists(link)


async def test_the_link_goes_when_the_server_closes(tmp_path: Path, unit: DumpDevice) -> None:
    """By close and the end of run."""
    link = tmp_path / "tinybms"
    server = PtyServer(unit, SystemClock(), link=link)
    task = asyncio.create_task(server.run())
    async with asyncio.timeout(30.0):
        while not _exists(link):
            await asyncio.sleep(0.005)

    server.close()
    server.close()
    await task
    server.close()

    assert not _exists(link)


def test_a_server_that_never_ran_removes_its_link(tmp_path: Path) -> None:
    """Opened, then given up."""
    clock = FakeClock()
    link = tmp_path / "tinybms"
    server = PtyServer(DumpDevice(real_dump(), clock), clock, link=link)
    server.open()
    assert _exists(link)
    server.close()

    assert not _exists(link)
    with pytest.raises(RuntimeError, match="opened once"):
        server.open()


def test_the_path_is_known_once_open() -> None:
    """And not before."""
    clock = FakeClock()
    server = PtyServer(DumpDevice(real_dump(), clock), clock)
    with pytest.raises(RuntimeError, match="not open"):
        _ = server.path
    server.close()
    assert server.responder.requests == 0


@pytest.mark.parametrize(("baudrate", "chunk"), [(0, None), (115200, 0)])
def test_impossible_options_are_refused(baudrate: int, chunk: int | None) -> None:
    """Before anything is opened."""
    clock = FakeClock()
    with pytest.raises(ValueError, match="must be above 0"):
        PtyServer(DumpDevice(real_dump(), clock), clock, baudrate=baudrate, chunk=chunk)


async def test_a_port_that_cannot_be_had_ends_the_run(tmp_path: Path, unit: DumpDevice) -> None:
    """The mistake reaches whoever runs the server."""
    server = PtyServer(unit, SystemClock(), link=tmp_path / "nowhere" / "tinybms")

    with pytest.raises(FileNotFoundError):
        await server.run()
