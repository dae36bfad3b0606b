import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tinybms_bridge.cli.doctor.can import examine_can
from tinybms_bridge.doctor.findings import Finding, Verdict, problem
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.can import CanFrame, CanPort, CanSettings
from tinybms_bridge.hal.processes import Process
from tinybms_bridge.victron.can.gx import IDENTIFICATION
from tinybms_bridge.words import message
from tinybms_lab.testing.can_memory import MemoryCanBus
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.words import said

BRIDGE = Process(7, ("tinybms-bridge", "run"))
SETTINGS = CanSettings(interface="socketcan", channel="can0", accept_ids=(0x305,))


class Bench:
    """A bus, and a doctor who listens to it for 3 s."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bus = MemoryCanBus()
        self.sender = self.bus.open()
        self.opened: list[CanSettings] = []
        self.port: CanPort | None = None
        self.of_interface: list[Finding] = []

    def look(self, _settings: CanSettings) -> list[Finding]:
        return self.of_interface

    async def open(self, settings: CanSettings) -> CanPort:
        self.opened.append(settings)
        self.port = self.bus.open()
        return self.port

    async def examine(self, *frames: CanFrame, bridges: tuple[Process, ...] = ()) -> list[Finding]:
        async def collect() -> list[Finding]:
            return [
                each
                async for each in examine_can(SETTINGS, self.clock, 3.0, bridges, opener=self.open, interface=self.look)
            ]

        task = asyncio.create_task(collect())
        await self.clock.advance(1.0)
        for frame in frames:
            self.sender.send(frame)
        await self.clock.advance(3.0)
        return await task


@pytest.fixture
def bench() -> Bench:
    """A bus without a GX."""
    return Bench()


async def test_a_gx_that_names_itself_is_found(bench: Bench) -> None:
    """0x305 and 0x307: the other end is a GX of Victron."""
    opened, gx = await bench.examine(CanFrame(0x305, bytes(8)), CanFrame(0x307, IDENTIFICATION))
    assert (opened.verdict, opened.text) == (Verdict.OK, "socketcan:can0 is open")
    assert (gx.verdict, gx.text) == (Verdict.OK, "a Victron GX is there: 2 frames in 3 s")


async def test_everything_on_the_bus_is_listened_to(bench: Bench) -> None:
    """The bridge filters for the GX alone; the doctor wants to hear another BMS, too."""
    await bench.examine()
    assert bench.opened[0].accept_ids == ()


async def test_nothing_is_sent_and_the_port_is_closed(bench: Bench) -> None:
    """The doctor only looks."""
    await bench.examine(CanFrame(0x305, bytes(8)))
    assert bench.port is not None
    assert bench.port.statistics.tx_count == 0
    assert not bench.port.statistics.up


async def test_a_silent_bus_is_a_warning(bench: Bench) -> None:
    """The bridge can work before the GX does; cable and port setting are what to check."""
    _, gx = await bench.examine()
    assert gx.verdict is Verdict.WARNING
    assert gx.text == "no GX was heard in 3 s"
    assert "terminators" in gx.advice
    assert "CAN-bus BMS (500 kbit/s)" in gx.advice


async def test_an_adapter_that_does_not_open_is_the_only_finding(bench: Bench) -> None:
    """With the hint of the adapter."""

    async def fail(_: CanSettings) -> CanPort:
        raise LinkError("cannot open CAN socketcan:can0", hint="bring it up")

    found = [each async for each in examine_can(SETTINGS, bench.clock, 3.0, (), opener=fail, interface=bench.look)]
    assert [(each.verdict, each.text, each.advice) for each in found] == [
        (Verdict.PROBLEM, "cannot open CAN socketcan:can0", "Bring it up.")
    ]


async def test_the_adapter_is_asked_for_its_trouble_and_its_rate(bench: Bench) -> None:
    """What `run` would write into its log."""
    settings = replace(SETTINGS, bitrate_bps=250_000)

    async def open_lost(_: CanSettings) -> CanPort:
        port = bench.bus.open()
        port.statistics.trouble = said("lost: Network is down")
        return port

    examination = examine_can(settings, bench.clock, 3.0, (), opener=open_lost, interface=bench.look)
    task = asyncio.create_task(collect(examination))
    await bench.clock.advance(4.0)

    _, trouble, gx = await task
    assert (trouble.text, trouble.verdict) == ("lost: Network is down", Verdict.PROBLEM)
    assert "250 kbit/s" in gx.advice


async def test_how_the_interface_is_set_up_comes_first(bench: Bench) -> None:
    """A wrong bit rate explains the silence that is found after it."""
    bench.of_interface = [problem("CAN", message("can_fault.listen_only", name="can0", command="mend"))]
    told, opened, _ = await bench.examine()
    assert (told.text, opened.text) == (
        "can0 only listens (listen-only), so no frame reaches the GX",
        "socketcan:can0 is open",
    )


@pytest.mark.parametrize("code", ["can_fault.down", "doctor.can_unknown"])
async def test_an_interface_that_is_down_is_not_opened(bench: Bench, code: str) -> None:
    """The attempt would say the same in other words."""
    bench.of_interface = [problem("CAN", message(code, name="can0", command="mend", meant=[]))]
    assert await bench.examine() == bench.of_interface
    assert bench.opened == []


async def collect(findings: AsyncIterator[Finding]) -> list[Finding]:
    """Return every finding."""
    return [each async for each in findings]
