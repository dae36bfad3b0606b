"""The packs of a bank on terminals of their own; real terminals and a real pipe, nothing timed."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tinybms_bridge.hal.clock import SystemClock
from tinybms_lab.bms.bank import BatteryBank, unequal_units
from tinybms_lab.bms.bank_server import BankServer

_WAIT_S = 30.0


@pytest.fixture
def bank() -> BatteryBank:
    """Three packs in real time; made before the loop runs, since that reads files."""
    return BatteryBank(unequal_units(SystemClock(), 3))


@pytest.fixture
async def said() -> asyncio.Queue[str]:
    """What the server told."""
    return asyncio.Queue()


@pytest.fixture
async def server(bank: BatteryBank, said: asyncio.Queue[str], tmp_path: Path) -> AsyncIterator[BankServer]:
    """A server that runs."""
    server = BankServer(bank, SystemClock(), tmp_path, say=said.put_nowait)
    await asyncio.to_thread(server.open)
    running = asyncio.create_task(server.run())
    await asyncio.sleep(0)
    yield server
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await asyncio.to_thread(server.close)
    assert not await asyncio.to_thread(lambda: list(tmp_path.iterdir()))


async def tell(server: BankServer, words: str, said: asyncio.Queue[str]) -> str:
    """Write a line to the pipe as a shell does, and return the answer."""
    await asyncio.to_thread(server.control.write_text, words)
    async with asyncio.timeout(_WAIT_S):
        return await said.get()


async def there(path: Path, *, wanted: bool) -> None:
    """Wait until a link is there, or gone."""
    async with asyncio.timeout(_WAIT_S):
        while await asyncio.to_thread(os.path.lexists, path) is not wanted:
            await asyncio.sleep(0.01)


async def test_a_pack_is_pulled_and_put_back(server: BankServer, said: asyncio.Queue[str], tmp_path: Path) -> None:
    """Poles and link go and come; the others stay."""
    assert await tell(server, "pull b\n", said) == "pack b is pulled: poles and data"
    await there(tmp_path / "b", wanted=False)
    assert [unit.plugged for unit in server.bank.units.values()] == [True, False, True]

    assert await tell(server, "plug b\n", said) == "pack b is plugged in"
    await there(tmp_path / "b", wanted=True)
    assert all(unit.plugged for unit in server.bank.units.values())
    await there(tmp_path / "a", wanted=True)


async def test_a_silent_pack_stays_in_parallel(server: BankServer, said: asyncio.Queue[str], tmp_path: Path) -> None:
    """Its data goes, its poles stay: what nobody sees still carries current."""
    assert "still in parallel" in await tell(server, "silence c\n", said)
    await there(tmp_path / "c", wanted=False)
    assert server.bank.units["c"].plugged

    await tell(server, "plug c\n", said)
    await there(tmp_path / "c", wanted=True)


async def test_a_pack_may_be_put_back_before_it_is_quite_gone(server: BankServer, tmp_path: Path) -> None:
    """Words that come faster than a terminal goes leave one terminal, and a link that leads to it."""
    for _ in range(3):
        server.pull("a")
        server.plug("a")
    server.plug("a")
    async with asyncio.timeout(_WAIT_S):
        while not await asyncio.to_thread((tmp_path / "a").exists):
            await asyncio.sleep(0.01)
    await there(tmp_path / "a", wanted=True)


@pytest.mark.parametrize("words", ["pull z\n", "eat a\n", "pull\n", "\x00\xff a\n", "x" * 5000 + "\n"])
async def test_other_words_change_nothing(server: BankServer, said: asyncio.Queue[str], words: str) -> None:
    """They are answered with what is understood."""
    assert "is none of pull NAME, silence NAME, plug NAME; the packs are a, b, c" in await tell(server, words, said)
    assert all(unit.plugged for unit in server.bank.units.values())


async def test_several_lines_at_once_are_all_obeyed(server: BankServer, said: asyncio.Queue[str]) -> None:
    """A script need not wait between them; empty lines say nothing."""
    first = await tell(server, "\npull a\npull b\n", said)
    async with asyncio.timeout(_WAIT_S):
        second = await said.get()

    assert (first, second) == ("pack a is pulled: poles and data", "pack b is pulled: poles and data")


def test_the_pipe_of_a_killed_simulation_is_replaced(bank: BatteryBank, tmp_path: Path) -> None:
    """Anything else in its place is left alone."""
    os.mkfifo(tmp_path / "control")
    server = BankServer(bank, SystemClock(), tmp_path)
    server.open()
    assert stat.S_ISFIFO((tmp_path / "control").stat().st_mode)
    server.close()
    server.close()

    (tmp_path / "control").write_text("mine")
    with pytest.raises(FileExistsError):
        BankServer(bank, SystemClock(), tmp_path).open()
    assert (tmp_path / "control").read_text() == "mine"
