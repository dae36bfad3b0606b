"""Two independent Modbus masters read and write the simulator over a pseudo-terminal: it speaks what it claims to."""

import asyncio
import importlib.util
import re
import shutil
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import pytest

from tinybms_bridge.hal.clock import SystemClock
from tinybms_lab.bms import BmsOptions, PtyServer, SimulatedBms
from tinybms_lab.bms.responder import Responder

T = TypeVar("T")

DEVICE_ID = 170
"""The start byte 0xAA is the slave address."""

TIMEOUT_S = 5.0
WAIT_S = 30.0

needs_mbpoll = pytest.mark.skipif(
    shutil.which("mbpoll") is None, reason="mbpoll is not installed (Debian package mbpoll)"
)
needs_pymodbus = pytest.mark.skipif(
    importlib.util.find_spec("pymodbus") is None or importlib.util.find_spec("serial") is None,
    reason="pymodbus with pyserial is not installed (development dependencies)",
)


@pytest.fixture
async def served() -> AsyncIterator[tuple[SimulatedBms, PtyServer]]:
    """A rested pack on a terminal; it does not fall asleep, since these masters do not know how to wake it."""
    clock = SystemClock()
    device = await asyncio.to_thread(SimulatedBms.build, clock, options=BmsOptions(asleep_allowed=False))
    server = PtyServer(device, clock)
    await asyncio.to_thread(server.open)
    task = asyncio.create_task(server.run())
    yield device, server
    server.close()
    await task


async def mbpoll(port: str, first: int, *values: int, count: int = 1) -> tuple[int, dict[int, int], str]:
    """Read registers, or write ``values``, once; return exit code, what was read by address, and all that was said."""
    task = ["-r", str(first), "-c", str(count)] if not values else ["-r", str(first)]
    process = await asyncio.create_subprocess_exec(
        "mbpoll", "-m", "rtu", "-a", str(DEVICE_ID), "-b", "115200", "-P", "none", "-0", "-1", "-t", "4",
        "-o", str(TIMEOUT_S), *task, port, *map(str, values),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(WAIT_S):
        out, _ = await process.communicate()
    text = out.decode(errors="replace")
    found = {int(address): int(value) for address, value in re.findall(r"^\[(\d+)\]:\s+(\d+)", text, re.MULTILINE)}
    return process.returncode or 0, found, text


async def with_pymodbus(port: str, job: Callable[[Any], T], *, retries: int = 0) -> T:
    """Run a job with a connected client in another thread, since the server needs this one."""
    from pymodbus import FramerType
    from pymodbus.client import ModbusSerialClient

    def work() -> T:
        client: Any = ModbusSerialClient(
            port, framer=FramerType.RTU, baudrate=115200, parity="N", timeout=TIMEOUT_S, retries=retries
        )
        assert client.connect()
        try:
            return job(client)
        finally:
            client.close()

    async with asyncio.timeout(WAIT_S):
        return await asyncio.to_thread(work)


def held(device: SimulatedBms, address: int, count: int) -> list[int]:
    """Return registers as the device holds them."""
    words = device.read(address, count)
    assert words is not None
    return list(words)


def answered(responder: Responder) -> int:
    """Return how many requests got an answer that is no refusal."""
    return responder.requests - responder.refused - responder.lost


@needs_mbpoll
@pytest.mark.parametrize(("first", "count"), [(0, 32), (300, 44), (200, 98), (500, 10), (275, 125)])
async def test_mbpoll_reads_registers(served: tuple[SimulatedBms, PtyServer], first: int, count: int) -> None:
    """Function 3, up to the 125 registers that standard Modbus allows."""
    device, server = served
    code, found, text = await mbpoll(server.path, first, count=count)

    assert code == 0, text
    assert found == dict(enumerate(held(device, first, count), start=first))
    assert answered(server.responder) == 1


@needs_mbpoll
async def test_mbpoll_writes_several_registers(served: tuple[SimulatedBms, PtyServer]) -> None:
    """Function 16 with two values, as in the vendor's example; mbpoll takes the echo for a success."""
    device, server = served
    code, _, text = await mbpoll(server.path, 315, 3700, 2600)

    assert code == 0, text
    assert "Written 2 references" in text
    assert held(device, 315, 2) == [3700, 2600]


@needs_mbpoll
async def test_mbpoll_takes_a_refusal_for_a_dead_link(served: tuple[SimulatedBms, PtyServer]) -> None:
    """The error reply of a TinyBMS is not that of Modbus; the next request works."""
    device, server = served
    refused, _, text = await mbpoll(server.path, 315, 9000, 2600)
    code, found, _ = await mbpoll(server.path, 315, count=2)

    assert refused != 0
    assert "failed" in text
    assert server.responder.refused == 1
    assert (code, list(found.values())) == (0, held(device, 315, 2))
    assert found[315] != 9000


@needs_pymodbus
@pytest.mark.parametrize(("first", "count"), [(0, 16), (300, 44), (200, 98), (500, 10), (275, 125)])
async def test_pymodbus_reads_registers(served: tuple[SimulatedBms, PtyServer], first: int, count: int) -> None:
    """Another implementation agrees."""
    device, server = served
    reply = await with_pymodbus(
        server.path, lambda client: client.read_holding_registers(first, count=count, device_id=DEVICE_ID)
    )

    assert not reply.isError()
    assert reply.registers == held(device, first, count)


@needs_pymodbus
async def test_pymodbus_reads_values_of_two_registers_low_word_first(served: tuple[SimulatedBms, PtyServer]) -> None:
    """What the vendor calls FLOAT and UINT_32; the other order gives nonsense."""
    _, server = served

    def read(client: Any) -> tuple[float, int]:
        kinds = client.DATATYPE
        raw = [client.read_holding_registers(address, count=2, device_id=DEVICE_ID).registers for address in (36, 32)]
        voltage = client.convert_from_registers(raw[0], kinds.FLOAT32, word_order="little")
        lifetime = client.convert_from_registers(raw[1], kinds.UINT32, word_order="little")
        return voltage, lifetime

    voltage_v, lifetime_s = await with_pymodbus(server.path, read)

    assert voltage_v == pytest.approx(16 * 3.308, abs=0.1)
    assert 2_592_000 <= lifetime_s < 2_592_000 + 60


@needs_pymodbus
async def test_pymodbus_writes_several_registers(served: tuple[SimulatedBms, PtyServer]) -> None:
    """The echo of function 16 names address and number."""
    device, server = served
    reply = await with_pymodbus(
        server.path, lambda client: client.write_registers(315, [3700, 2600], device_id=DEVICE_ID)
    )

    assert not reply.isError()
    assert (reply.address, reply.count) == (315, 2)
    assert held(device, 315, 2) == [3700, 2600]


@needs_pymodbus
async def test_pymodbus_works_on_after_a_refusal(served: tuple[SimulatedBms, PtyServer]) -> None:
    """It waits for a reply of its own kind in vain, and gets the next one."""
    from pymodbus.exceptions import ModbusIOException

    _, server = served

    def work(client: Any) -> list[int]:
        with pytest.raises(ModbusIOException, match="No response"):
            client.read_holding_registers(400, count=2, device_id=DEVICE_ID)
        registers: list[int] = client.read_holding_registers(307, count=1, device_id=DEVICE_ID).registers
        return registers

    assert await with_pymodbus(server.path, work) == [16]
    assert server.responder.refused == 1


@needs_pymodbus
async def test_other_functions_of_modbus_are_refused(served: tuple[SimulatedBms, PtyServer]) -> None:
    """Only 3 and 16 exist: a single register cannot be written with function 6, and nothing changes."""
    from pymodbus.exceptions import ModbusIOException

    device, server = served
    before = held(device, 300, 44)

    def work(client: Any) -> None:
        with pytest.raises(ModbusIOException):
            client.write_register(315, 3700, device_id=DEVICE_ID)

    await with_pymodbus(server.path, work)

    assert held(device, 300, 44) == before
    assert server.responder.refused >= 1
