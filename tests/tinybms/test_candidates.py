"""Which BMS answers on which port: on real terminals, with devices that answer, flood, hang, are held or vanish."""

import asyncio
import errno
import fcntl
import gc
import os
import subprocess
import sys
import tty
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.devices import SerialDevice
from tinybms_bridge.hal.processes import Process, port_holders
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort, explain_open_error, open_serial
from tinybms_bridge.tinybms import candidates as module
from tinybms_bridge.tinybms.candidates import find_candidates
from tinybms_bridge.tinybms.found_units import Candidate, FoundUnit, KnownPort
from tinybms_bridge.tinybms.frames import ReadModbus, decode_request
from tinybms_bridge.words import message
from tinybms_lab.bms import AnsweringDevice, BmsOptions, Dump, DumpDevice, PtyServer, SimulatedBms, real_dump

BAUD = 115_200
CLOCK = SystemClock()
UNIT_SILENT = message("candidate.not_read_yet")
UNIT = FoundUnit(Identity(serial_number="0" * 24), 16, 100.0, 53.2)


class Ports:
    """The ports of a machine, as a test has them."""

    def __init__(self, *paths: str, own: Sequence[str] = (), consoles: Sequence[str] = ()) -> None:
        self._paths = paths
        self._own = frozenset(own)
        self._consoles = frozenset(consoles)

    def ports(self) -> Sequence[SerialDevice]:
        """See ``PortFinder``."""
        return [SerialDevice(path, "FTDI") for path in self._paths]

    def consoles(self) -> frozenset[str]:
        """See ``PortFinder``."""
        return self._consoles

    def own(self) -> frozenset[str]:
        """See ``PortFinder``."""
        return self._own

    def holders(self, paths: Sequence[str]) -> Mapping[str, Sequence[Process]]:
        """See ``PortFinder``."""
        return port_holders(paths)


class Wire:
    """The device's end of a port, at which a test is the device."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self.slave)

    def heard(self) -> bytes:
        """Return all that was sent to the device."""
        with suppress(BlockingIOError):
            return os.read(self.master, 65536)
        return b""

    def send(self, data: bytes) -> None:
        """Send what fits."""
        with suppress(BlockingIOError):
            os.write(self.master, data)

    def unplug(self) -> None:
        """Be gone; may be called again."""
        for end in ("master", "slave"):
            descriptor = getattr(self, end)
            if descriptor >= 0:
                os.close(descriptor)
                setattr(self, end, -1)


@pytest.fixture
def wires() -> Iterator[Callable[[], Wire]]:
    """Makes ports; all are unplugged with the test."""
    made: list[Wire] = []

    def make() -> Wire:
        made.append(Wire())
        return made[-1]

    yield make
    for wire in made:
        wire.unplug()


@pytest.fixture(autouse=True)
def whole_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take its time for all questions together."""
    monkeypatch.setattr(module, "_ASK_S", 120.0)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take its time for each answer; for tests in which nobody is silent."""
    monkeypatch.setattr(module, "_ASKING", replace(module._ASKING, timeout_s=30.0))


@asynccontextmanager
async def served(device: AnsweringDevice | None = None) -> AsyncIterator[str]:
    """A device on a port of this process; without one a simulated BMS, which does not fall asleep meanwhile."""
    if device is None:
        device = await asyncio.to_thread(SimulatedBms.build, CLOCK, options=BmsOptions(asleep_allowed=False))
    server = PtyServer(device, CLOCK)
    await asyncio.to_thread(server.open)
    running = asyncio.create_task(server.run())
    yield server.path
    server.close()
    await running


async def found(*known: KnownPort, ports: Ports) -> tuple[Candidate, ...]:
    """Ask at the ports of a machine."""
    return await find_candidates(known, BAUD, CLOCK, finder=ports)


@pytest.mark.usefixtures("answers")
async def test_a_bms_is_told_by_what_it_is(tmp_path: Path) -> None:
    """Serial number, hardware, firmware, cells, capacity and voltage, under the name that stays the same."""
    async with served() as path:
        stable = tmp_path / "usb-FTDI-if00"
        stable.symlink_to(path)
        (candidate,) = await found(ports=Ports(str(stable)))

    unit = candidate.unit
    assert unit is not None, candidate
    assert (candidate.path, candidate.device, candidate.product) == (str(stable), path, "FTDI")
    assert (candidate.asked, candidate.pack, candidate.held_by, candidate.message) == (True, "", "", None)
    assert len(unit.identity.serial_number) == 24
    assert unit.identity.firmware.startswith("2.3.")
    assert unit.series_cells == 16
    assert unit.capacity_ah is not None
    assert unit.voltage_v is not None
    assert 40.0 < unit.voltage_v < 60.0


@pytest.mark.usefixtures("answers")
async def test_settings_that_cannot_be_true_are_not_told() -> None:
    """77 cells: garbled, or another device that speaks the protocol; that somebody answers is told all the same."""
    async with served(DumpDevice(Dump({}, {**real_dump().registers, 307: 77}), CLOCK, asleep_allowed=False)) as path:
        (candidate,) = await found(ports=Ports(path))

    assert candidate.unit is not None
    assert (candidate.unit.series_cells, candidate.unit.capacity_ah, candidate.message) == (None, None, None)


@pytest.mark.usefixtures("answers")
async def test_the_port_is_free_again_at_once() -> None:
    """Two questions one after the other, and whoever comes next: nothing stays open."""
    async with served() as path:
        gc.collect()  # what other tests have left is closed before, not meanwhile
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(2):
            (candidate,) = await found(ports=Ports(path))
            assert candidate.unit is not None
        descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
        assert len(os.listdir("/proc/self/fd")) == before


async def test_a_device_that_does_not_answer_sees_requests_that_read(wires: Callable[[], Wire]) -> None:
    """A converter or a meter on that port must not be changed by the question."""
    wire = wires()
    (candidate,) = await found(ports=Ports(wire.path))
    heard = wire.heard()

    assert candidate.unit is None
    assert candidate.asked
    assert candidate.message is not None
    assert candidate.message.code == "link_failure.silence"
    sent = [decode_request(heard[start : start + _READ_BYTES]) for start in range(0, len(heard), _READ_BYTES)]
    assert [type(request) for request in sent] == [ReadModbus, ReadModbus]


_READ_BYTES = 8
"""Of a request for registers."""


async def test_ports_are_asked_at_the_same_time(wires: Callable[[], Wire]) -> None:
    """Sixteen take as long as one: all are open before the first is closed again, and the BMS among them is found."""
    silent = [wires().path for _ in range(15)]
    order: list[str] = []

    async def opened(device: str, baudrate: int, on_data: OnData, on_lost: OnLost) -> SerialPort:
        port = await open_serial(device, baudrate, on_data, on_lost)
        order.append("open")
        if len(order) == 16:
            everybody.set()
        await everybody.wait()  # whoever asked one after the other would wait for ever
        return port

    everybody = asyncio.Event()
    async with served() as path:
        found_here = await find_candidates((), BAUD, CLOCK, finder=Ports(*silent, path), open_device=opened)

    assert [each.unit is not None for each in found_here] == [False] * 15 + [True]


async def test_a_device_that_floods_is_left(wires: Callable[[], Wire]) -> None:
    """It must not take the time of the core: the port is closed after some kilobytes, whatever the time."""
    wire, stop = wires(), asyncio.Event()
    sent = 0

    async def flood() -> None:
        nonlocal sent
        while not stop.is_set():
            with suppress(BlockingIOError, OSError):
                sent += os.write(wire.master, b"PID\t0xA053\r\n" * 80)
            await asyncio.sleep(0)

    flooding = asyncio.ensure_future(flood())
    (candidate,) = await found(ports=Ports(wire.path))
    stop.set()
    await flooding

    assert candidate.message is not None
    assert candidate.message.code == "candidate.flood"
    assert sent < 1_000_000


async def test_a_device_that_talks_by_itself_is_told_as_noise(wires: Callable[[], Wire]) -> None:
    """A meter at another speed, for example: no BMS, and no crash."""
    wire = wires()

    async def talk() -> None:
        while True:
            wire.send(bytes(range(0, 250, 7)))
            await asyncio.sleep(0.05)

    talking = asyncio.ensure_future(talk())
    (candidate,) = await found(ports=Ports(wire.path))
    talking.cancel()

    assert candidate.unit is None
    assert candidate.message is not None
    assert candidate.message.code in ("link_failure.noise", "candidate.no_sense")


async def test_a_device_that_hangs_in_its_answer_ends_with_the_time(
    wires: Callable[[], Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a device does, the whole ends."""
    monkeypatch.setattr(module, "_ASK_S", 0.2)
    wire = wires()
    (candidate,) = await found(ports=Ports(wire.path))

    assert candidate.message is not None
    assert candidate.message.code == "candidate.no_sense"


async def test_an_adapter_that_vanishes_while_it_is_asked(wires: Callable[[], Wire]) -> None:
    """Pulled in the middle of the question, as a hub does that resets."""
    wire = wires()

    async def pull() -> None:
        while not wire.heard():
            await asyncio.sleep(0.005)
        wire.unplug()

    pulling = asyncio.ensure_future(pull())
    (candidate,) = await found(ports=Ports(wire.path))
    await pulling

    assert candidate.unit is None
    assert candidate.message is not None


async def test_a_port_that_is_not_there_says_so() -> None:
    """Named in the configuration of a pack out of service, and unplugged."""
    (candidate,) = await found(KnownPort("/dev/does-not-exist", "a", free=True), ports=Ports())

    assert (candidate.pack, candidate.asked) == ("a", False)
    assert candidate.message is not None
    assert "does not exist" in candidate.message.text


HOLDER = """
import fcntl, os, sys
port = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
print("held", flush=True)
sys.stdin.read()
"""


async def test_a_port_that_another_program_holds_is_not_opened(wires: Callable[[], Wire]) -> None:
    """Its speed would change under that program: the holder is named, and nothing is sent."""
    wire = wires()
    holder = subprocess.Popen(  # noqa: ASYNC220 -- itself, for moments
        [sys.executable, "-c", HOLDER, wire.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"held\n"
        (candidate,) = await found(ports=Ports(wire.path))
    finally:
        holder.stdin.close()
        holder.stdout.close()
        holder.wait()

    assert (candidate.asked, candidate.unit) == (False, None)
    assert candidate.held_by.startswith("python")
    assert candidate.message is not None
    assert candidate.message.code == "serial.held"
    assert wire.heard() == b""


async def test_a_port_that_is_locked_by_somebody_unseen_is_not_configured(wires: Callable[[], Wire]) -> None:
    """A user who may not look into other processes still meets the lock, before anything is set or sent."""
    wire = wires()
    fcntl.flock(wire.slave, fcntl.LOCK_EX)
    (candidate,) = await found(ports=Ports(wire.path))

    assert (candidate.asked, candidate.held_by) == (False, "")
    assert candidate.message is not None
    assert "in use by another program" in candidate.message.text
    assert wire.heard() == b""


async def test_ports_in_use_by_this_bridge_are_told_and_not_touched(wires: Callable[[], Wire], tmp_path: Path) -> None:
    """Under whichever name they are configured; with what is known of the BMS, or why there is none."""
    named, other, own = wires(), wires(), wires()
    link = tmp_path / "by-id"
    link.symlink_to(named.path)
    reason = UNIT_SILENT
    known = (KnownPort(str(link), "a", unit=UNIT), KnownPort(other.path, "b", message=reason), KnownPort(own.path))
    candidates = await found(*known, ports=Ports(own.path, other.path, named.path))

    assert [(each.pack, each.unit, each.message and each.message.code, each.asked) for each in candidates] == [
        ("a", UNIT, None, False),
        ("b", None, reason.code, False),
        ("", None, "candidate.other_use", False),
    ]
    assert candidates[2].held_by == "tinybms-bridge"
    assert {wire.heard() for wire in (named, other, own)} == {b""}


async def test_what_this_process_has_open_is_its_own(wires: Callable[[], Wire]) -> None:
    """A pack that is searched for has the port that is open; without one, another part of the bridge has it."""
    wire = wires()
    ports = Ports(wire.path, own=[wire.path])
    (candidate,) = await found(KnownPort("auto", "main", unit=UNIT), ports=ports)
    assert (candidate.device, candidate.pack, candidate.unit) == (wire.path, "main", UNIT)

    (candidate,) = await found(ports=ports)
    assert (candidate.pack, candidate.held_by) == ("", "tinybms-bridge")
    assert wire.heard() == b""


async def test_a_pack_that_is_searched_for_in_vain_is_told() -> None:
    """Nobody knows its port, which is no reason to leave it out."""
    (candidate,) = await found(KnownPort("auto", "main", message=UNIT_SILENT), ports=Ports())

    assert (candidate.path, candidate.device, candidate.pack) == ("auto", "", "main")


@pytest.mark.usefixtures("answers")
async def test_the_port_of_a_pack_out_of_service_is_asked(wires: Callable[[], Wire]) -> None:
    """Whoever puts it back wants to know what is there now."""
    async with served() as path:
        (candidate,) = await found(KnownPort(path, "c", free=True), ports=Ports(path))

    assert (candidate.pack, candidate.asked) == ("c", True)
    assert candidate.unit is not None


async def test_the_console_of_the_machine_is_not_asked(wires: Callable[[], Wire]) -> None:
    """The kernel writes there by itself."""
    wire = wires()
    (candidate,) = await found(ports=Ports(wire.path, consoles=[wire.path]))

    assert (candidate.asked, candidate.held_by) == (False, "kernel")
    assert wire.heard() == b""


async def test_who_no_longer_waits_leaves_no_port_open(wires: Callable[[], Wire]) -> None:
    """Cancelled while the ports are asked: all are closed and unlocked before the call ends."""
    wire = wires()
    asking = asyncio.ensure_future(found(ports=Ports(wire.path)))
    while not wire.heard():
        await asyncio.sleep(0.005)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    fcntl.flock(wire.slave, fcntl.LOCK_EX | fcntl.LOCK_NB)


async def test_what_fails_to_open_in_an_odd_way_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """One port does not spoil the others."""

    async def refuse(*_: object) -> SerialPort:
        raise await asyncio.to_thread(explain_open_error, "/dev/ttyUSB9", BAUD, OSError(errno.EACCES, "no"))

    (candidate,) = await find_candidates(
        (),
        BAUD,
        CLOCK,
        finder=Ports("/dev/ttyUSB9"),
        open_device=refuse,
    )

    assert candidate.asked is False
    assert candidate.message is not None
    assert "no permission" in candidate.message.text
