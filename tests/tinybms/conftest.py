"""A scripted TinyBMS on an in-memory line, with every way a line can misbehave."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

import pytest

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort
from tinybms_bridge.tinybms.client import ClientSettings, TinyBmsClient
from tinybms_bridge.tinybms.frames import (
    Ack,
    ActionRequest,
    BadRequest,
    CommandCode,
    Nack,
    ReadModbus,
    RegistersReply,
    Request,
    RequestFramer,
    ShortValue,
    SimpleRequest,
    WriteDone,
    WriteModbus,
)
from tinybms_lab.testing.virtual_time import LoopClock

Delivery = Iterable[tuple[float, bytes]]


class ScriptedBms:
    """Answers reads from a register dictionary; ``deliver`` decides how the bytes of each answer arrive."""

    def __init__(self) -> None:
        self.registers: dict[int, int] = {address: address + 1000 for address in range(600)}
        self.requests: list[Request] = []
        self.asleep = False
        self.refuse: Nack | None = None
        self.deliver: Callable[[bytes], Delivery] = lambda data: [(0.0, data)]
        self.present = True
        self.opened = 0
        self._framer = RequestFramer()
        self._on_data: OnData | None = None
        self._on_lost: OnLost | None = None

    async def open(self, on_data: OnData, on_lost: OnLost) -> SerialPort:
        """Stand in for the serial port opener."""
        if not self.present:
            raise LinkError("serial port /dev/scripted does not exist")
        self.opened += 1
        self._on_data, self._on_lost = on_data, on_lost
        return self

    def write(self, data: bytes) -> None:
        """Take bytes from the client and answer them."""
        for item in self._framer.feed(data):
            if self.asleep:
                self.asleep = False
                continue
            if isinstance(item, BadRequest):
                self.send(Nack(CommandCode(item.command), item.code).encode()[0])
                continue
            self.requests.append(item)
            for packet in self.answer(item):
                self.send_all(self.deliver(packet))

    def expect(self, count: int) -> None:
        """See ``SerialPort.expect``."""

    async def close(self) -> None:
        """Close the line."""
        self._on_data = None

    def answer(self, request: Request) -> tuple[bytes, ...]:
        """Return the packets of the answer."""
        if self.refuse is not None:
            return Nack(request.command, self.refuse.code).encode()
        match request:
            case ReadModbus(address, count):
                values = tuple(self.registers[n] for n in range(address, address + count))
                return RegistersReply(CommandCode.READ_MODBUS, values).encode()
            case WriteModbus(address, values):
                return WriteDone(address, len(values)).encode()
            case ActionRequest():
                return Ack(CommandCode.ACTION).encode()
            case SimpleRequest(command=CommandCode.STATUS):
                return ShortValue(CommandCode.STATUS, 0x97).encode()
            case _:
                raise AssertionError(f"the scripted BMS has no answer to {request}")

    def send_all(self, delivery: Delivery) -> None:
        """Deliver pieces after their delays."""
        loop = asyncio.get_running_loop()
        for delay_s, data in delivery:
            if delay_s:
                loop.call_later(delay_s, self.send, data)
            else:
                loop.call_soon(self.send, data)

    def send(self, data: bytes) -> None:
        """Put bytes on the line."""
        if self._on_data is not None:
            self._on_data(data)

    def vanish(self) -> None:
        """Pull the adapter."""
        self.present = False
        on_lost, self._on_data = self._on_lost, None
        assert on_lost is not None
        on_lost(OSError(5, "Input/output error"))


@pytest.fixture
def bms() -> ScriptedBms:
    """An awake BMS on a perfect line."""
    return ScriptedBms()


@pytest.fixture
def quick() -> ClientSettings:
    """Short times; for tests in virtual time."""
    return ClientSettings(
        attempts=3,
        retry_delay_s=0.01,
        timeout_s=0.15,
        wake_after_s=3600.0,
        wake_wait_s=0.03,
        quiet_s=0.01,
        drain_max_s=0.2,
    )


@pytest.fixture
async def client(bms: ScriptedBms, quick: ClientSettings) -> AsyncIterator[TinyBmsClient]:
    """A connected client; its first wake-up is done."""
    client = TinyBmsClient(bms.open, LoopClock(), quick)
    await client.connect()
    await client.request(SimpleRequest(CommandCode.STATUS))
    bms.requests.clear()
    client.statistics = type(client.statistics)()
    yield client
    await client.close()
