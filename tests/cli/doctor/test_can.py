import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tinybms_bridge.cli.doctor.can import Heard, examine_can, judge_bus
from tinybms_bridge.cli.doctor.findings import Finding, Verdict
from tinybms_bridge.cli.processes import Process
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.can import LOCAL, CanFrame, CanPort, CanSettings
from tinybms_bridge.victron.can.gx import IDENTIFICATION
from tinybms_lab.testing.can_memory import MemoryCanBus
from tinybms_lab.testing.fake_clock import FakeClock

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

    async def open(self, settings: CanSettings) -> CanPort:
        self.opened.append(settings)
        self.port = self.bus.open()
        return self.port

    async def examine(self, *frames: CanFrame, bridges: tuple[Process, ...] = ()) -> list[Finding]:
        async def collect() -> list[Finding]:
            return [each async for each in examine_can(SETTINGS, self.clock, 3.0, bridges, opener=self.open)]

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

    found = [each async for each in examine_can(SETTINGS, bench.clock, 3.0, (), opener=fail)]
    assert [(each.verdict, each.text, each.advice) for each in found] == [
        (Verdict.PROBLEM, "cannot open CAN socketcan:can0", "Bring it up.")
    ]


def judged(heard: Heard, *bridges: Process) -> list[tuple[Verdict, str]]:
    """Return verdicts and texts."""
    return [(finding.verdict, finding.text) for finding in judge_bus(heard, bridges)]


def test_a_gx_that_did_not_name_itself_counts() -> None:
    """0x305 alone is what an old GX sends."""
    ((verdict, text),) = judged(Heard(3.0, gx_frames=3, ids=Counter({0x305: 3})))
    assert verdict is Verdict.OK
    assert "did not name itself" in text


def test_traffic_without_a_gx_points_to_the_setting_of_the_port() -> None:
    """The cable is good: something is heard."""
    (finding,) = judge_bus(Heard(3.0, ids=Counter({0x1F0: 12})), ())
    assert finding.verdict is Verdict.WARNING
    assert finding.text == "12 frames of other devices in 3 s, but none of a GX"
    assert finding.advice.startswith("Set the port of the GX")


def test_the_frames_of_the_own_bridge_prove_no_cable() -> None:
    """The kernel hands them back on the same machine."""
    found = judged(Heard(3.0, ids=Counter({0x351: 3, 0x355: 3, 0x35E: 3, 0x382: 3})), BRIDGE)
    assert found == [
        (Verdict.WARNING, "no GX was heard in 3 s"),
        (Verdict.OK, "the frames of the running bridge are on the bus (process 7)"),
    ]


def test_another_bms_is_a_problem() -> None:
    """Two that send limits contradict each other, and the GX obeys whoever spoke last."""
    found = judged(Heard(3.0, gx_frames=3, is_victron=True, ids=Counter({0x305: 3, 0x351: 3})))
    assert found[1] == (Verdict.PROBLEM, "another BMS sends on this bus (0x351)")


BESIDE = (Verdict.PROBLEM, "beside the running bridge (process 7) another BMS sends on this bus (0x351, 0x356)")
OURS = Counter({0x351: 3, 0x355: 3, 0x356: 3, 0x35A: 3})
THEIRS = Counter({0x351: 3, 0x356: 2})


def test_another_bms_beside_the_bridge_is_a_problem() -> None:
    """An adapter that names its senders tells the two apart, whoever of them speaks more often."""
    found = judged(Heard(3.0, ids=OURS + THEIRS, senders={"port 1": THEIRS, "port 2": OURS}), BRIDGE)
    assert found[1] == BESIDE


def test_another_bms_is_known_where_the_adapter_marks_what_is_local() -> None:
    """On SocketCAN what is not of this machine came over the wire, also while the bridge itself is silent."""
    both = {f"can0{LOCAL}": OURS, "can0": THEIRS}
    assert judged(Heard(3.0, ids=OURS + THEIRS, senders=both, tells_local=True), BRIDGE)[1] == BESIDE
    alone = {"can0": THEIRS}
    assert judged(Heard(3.0, ids=THEIRS, senders=alone, tells_local=True), BRIDGE)[1] == BESIDE
    ours = {f"can0{LOCAL}": OURS}
    assert judged(Heard(3.0, ids=OURS, senders=ours, tells_local=True), BRIDGE)[1][0] is Verdict.OK


def test_another_bms_shows_by_the_number_of_frames() -> None:
    """Where nothing tells the senders apart; limits are left out, since they may come more often."""
    doubled = Counter({0x351: 12, 0x355: 6, 0x356: 6})
    found = judged(Heard(3.0, ids=doubled, senders={"": doubled}), BRIDGE)
    assert found[1][1] == "beside the running bridge (process 7) another BMS sends on this bus (0x355, 0x356)"
    falling = Counter({0x351: 33, 0x355: 5})
    assert judged(Heard(3.0, ids=falling, senders={"": falling}), BRIDGE)[1][0] is Verdict.OK


def test_error_frames_are_a_problem() -> None:
    """Bit rate or termination, although frames may still get through."""
    found = judge_bus(Heard(3.0, gx_frames=3, is_victron=True, errors=5), ())
    assert found[1].verdict is Verdict.PROBLEM
    assert found[1].text == "5 error frames in 3 s"
    assert "60 Ω" in found[1].advice


@pytest.mark.parametrize(
    ("bitrate_bps", "words"),
    [(500_000, "CAN-bus BMS (500 kbit/s)"), (250_000, "The bridge speaks 250 kbit/s (hardware.can.bitrate)")],
)
def test_the_configured_bit_rate_is_advised(bitrate_bps: int, words: str) -> None:
    """A GX has one rate for a BMS: where another one is configured, that is the first thing to look at."""
    silent, disturbed = Heard(3.0, bitrate_bps=bitrate_bps), Heard(3.0, bitrate_bps=bitrate_bps, errors=5)

    assert words in judge_bus(silent, ())[0].advice
    assert f"the bit rate ({bitrate_bps // 1000} kbit/s is configured)" in judge_bus(disturbed, ())[1].advice


def test_what_the_adapter_tells_of_itself_comes_first() -> None:
    """An interface that is down hears nothing, and no terminator helps."""
    trouble = (
        "lost: Network is down (the interface is down; bring it up with: sudo ip link set can0 up); opening it again"
    )

    found = judge_bus(Heard(3.0, trouble=trouble), ())

    assert (found[0].check, found[0].verdict, found[0].text) == ("CAN", Verdict.PROBLEM, trouble)


async def test_the_adapter_is_asked_for_its_trouble_and_its_rate(bench: Bench) -> None:
    """What `run` would write into its log."""
    settings = replace(SETTINGS, bitrate_bps=250_000)

    async def open_lost(_: CanSettings) -> CanPort:
        port = bench.bus.open()
        port.statistics.trouble = "lost: Network is down"
        return port

    task = asyncio.create_task(collect(examine_can(settings, bench.clock, 3.0, (), opener=open_lost)))
    await bench.clock.advance(4.0)

    _, trouble, gx = await task
    assert (trouble.text, trouble.verdict) == ("lost: Network is down", Verdict.PROBLEM)
    assert "250 kbit/s" in gx.advice


async def collect(findings: AsyncIterator[Finding]) -> list[Finding]:
    """Return every finding."""
    return [each async for each in findings]
