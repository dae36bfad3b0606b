"""Sixteen packs behind one hub, on pseudo-terminals: all adapters vanish at once, and come back by the same names."""

import asyncio
import os
import pty
import tty
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort, open_serial
from tinybms_bridge.tinybms.client import ClientSettings, TinyBmsClient
from tinybms_bridge.tinybms.frames import decode_request
from tinybms_bridge.tinybms.pace import pace_of
from tinybms_bridge.tinybms.poller import Poller, PollSettings
from tinybms_lab.bms import LFP, BmsOptions, SimulatedBms, SimulatedPack
from tinybms_lab.bms.responder import answer

PACKS = 16
WAIT_S = 60.0
"""Only something broken takes so long."""


class Hub:
    """Adapters that come and go together, each with a BMS that answers at once."""

    def __init__(self, folder: Path) -> None:
        self.paths = [folder / f"bms-{index}" for index in range(PACKS)]
        clock = SystemClock()
        self._devices = [
            SimulatedBms(
                SimulatedPack.build(LFP, 16), clock, options=BmsOptions(serial=(index + 1).to_bytes(12, "big"))
            )
            for index in range(PACKS)
        ]
        self._ends: list[tuple[int, int]] = []

    def appear(self) -> None:
        """Plug everything in."""
        loop = asyncio.get_running_loop()
        for path, device in zip(self.paths, self._devices, strict=True):
            master, slave = pty.openpty()
            tty.setraw(slave)
            os.set_blocking(master, False)
            loop.add_reader(master, self._hear, master, device)
            self._ends.append((master, slave))
            path.symlink_to(os.ttyname(slave))

    def vanish(self) -> None:
        """Reset: every adapter is gone in the same turn of the event loop."""
        for path in self.paths:
            path.unlink(missing_ok=True)
        for master, slave in self._ends:
            asyncio.get_running_loop().remove_reader(master)
            os.close(master)
            os.close(slave)
        self._ends.clear()

    @staticmethod
    def _hear(master: int, device: SimulatedBms) -> None:
        request = os.read(master, 4096)
        os.write(master, b"".join(answer(device, decode_request(request)).encode()))


class Packs:
    """Sixteen pollers on the lines of a hub."""

    def __init__(self, hub: Hub) -> None:
        self.openings = 0
        self.serials: list[set[str]] = [set() for _ in range(PACKS)]
        """Serial numbers by place, as snapshots came with them."""
        self.pollers = [self._poller(index, path) for index, path in enumerate(hub.paths)]

    def _poller(self, index: int, path: Path) -> Poller:
        async def open_port(on_data: OnData, on_lost: OnLost) -> SerialPort:
            self.openings += 1
            return await open_serial(str(path), 115200, on_data, on_lost)

        def take(_snapshot: Snapshot) -> None:
            assert poller.identity is not None
            self.serials[index].add(poller.identity.serial_number)

        clock = SystemClock()
        client = TinyBmsClient(open_port, clock, ClientSettings(timeout_s=5.0))
        poller = Poller(client, clock, PollSettings(), on_snapshot=take, on_link=lambda _state: None)
        poller.pace = pace_of(index, PACKS)
        return poller

    async def all_up(self) -> None:
        """Wait until every line is up, with a snapshot from now on."""
        for serials in self.serials:
            serials.clear()
        async with asyncio.timeout(WAIT_S):
            while not all(self.serials) or not all(poller.link.up for poller in self.pollers):
                await asyncio.sleep(0.02)

    async def all_down(self) -> None:
        """Wait until every line is down."""
        async with asyncio.timeout(WAIT_S):
            while any(poller.link.up for poller in self.pollers):
                await asyncio.sleep(0.02)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    """Return a hub with everything plugged in."""
    hub = Hub(tmp_path)
    hub.appear()
    yield hub
    hub.vanish()


async def test_a_hub_that_resets_costs_little_and_every_pack_comes_back(hub: Hub) -> None:
    """While all are gone each port is tried a few times only and nothing runs round; each pack finds its own unit."""
    packs = Packs(hub)
    tasks = [asyncio.create_task(poller.run()) for poller in packs.pollers]
    try:
        await packs.all_up()
        units = [set(serials) for serials in packs.serials]
        await asyncio.sleep(2.1)  # one that is lost sooner is as good as none
        loop = asyncio.get_running_loop()
        gone_s, packs.openings = loop.time(), 0
        hub.vanish()
        await packs.all_down()
        turns = sum(poller.turns for poller in packs.pollers)
        await asyncio.sleep(max(0.0, gone_s + 3.0 - loop.time()))
        # At once, after 0.4 s, 1.2 s and 2.8 s at the soonest, and after 4 s more.
        most = 4 + (loop.time() - gone_s - 2.8) / 4.0
        assert packs.openings <= most * PACKS
        assert sum(poller.turns for poller in packs.pollers) - turns <= most * PACKS

        hub.appear()
        await packs.all_up()
        assert packs.serials == units
        assert len(set.union(*units)) == PACKS
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
