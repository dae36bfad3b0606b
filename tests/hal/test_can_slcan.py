"""python-can's slcan through our port, with an adapter at the far end of a pseudo-terminal: CANable and its like."""

import asyncio
import os
import select
import threading
import tty
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.can import CanFrame, CanPort, CanSettings, open_can

WAIT_S = 60.0
FRAME = CanFrame(0x351, bytes([0x43, 0x02, 0xFF]))


class SerialAdapter:
    """An adapter that answers as the language of Lawicel says, in a thread of its own."""

    def __init__(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self.lines: list[bytes] = []
        """What it was told, line by line."""
        self._gone = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def say(self, line: bytes) -> None:
        """Report something of the bus."""
        os.write(self._master, line + b"\r")

    def unplug(self) -> None:
        """Be gone; may be called again."""
        if self._slave >= 0:
            os.close(self._slave)
            self._slave = -1
            self._gone.set()
            self._thread.join()
            os.close(self._master)

    def _listen(self) -> None:
        rest = b""
        while not self._gone.is_set():
            if not select.select([self._master], [], [], 0.02)[0]:
                continue
            try:
                data = os.read(self._master, 4096)
            except OSError:  # nobody has it open
                continue
            *lines, rest = (rest + data).split(b"\r")
            for line in lines:
                self.lines.append(line)
                os.write(self._master, b"z\r" if line.startswith(b"t") else b"\r")


@pytest.fixture
def adapter() -> Iterator[SerialAdapter]:
    """An adapter that is plugged in."""
    one = SerialAdapter()
    yield one
    one.unplug()


@pytest.fixture
async def port(adapter: SerialAdapter, patient: None) -> AsyncIterator[CanPort]:
    """Our port on it, at 500 kbit/s."""
    opened = await open_can(CanSettings("slcan", adapter.path, extra={"sleep_after_open": 0}, accept_ids=(0x305,)))
    yield opened
    await opened.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.01)


async def test_adapter_is_set_to_the_bit_rate_and_opened(adapter: SerialAdapter, port: CanPort) -> None:
    """S6 is 500 kbit/s; the channel is closed while that is set."""
    await until(lambda: adapter.lines[-1:] == [b"O"])

    assert adapter.lines.index(b"C") < adapter.lines.index(b"S6") < adapter.lines.index(b"O")


async def test_frames_come_and_go(adapter: SerialAdapter, port: CanPort) -> None:
    """Byte for byte; answers of the adapter, what nobody wants and extended frames are no frames of the bus."""
    heard: list[CanFrame] = []
    port.subscribe(heard.append)
    assert port.send(FRAME)
    await until(lambda: b"t35134302FF" in adapter.lines)
    adapter.say(b"T0000030580000000000000000")
    adapter.say(b"t30620102")
    adapter.say(b"t30580102030405060708")
    await until(lambda: heard and port.statistics.tx_count)

    assert heard == [CanFrame(0x305, bytes(range(1, 9)))]
    assert (port.statistics.tx_count, port.statistics.trouble) == (1, None)


async def test_bit_rate_that_the_language_does_not_know_is_refused(adapter: SerialAdapter) -> None:
    """The message names what is possible, in place of an adapter at another rate."""
    settings = CanSettings("slcan", adapter.path, bitrate_bps=123_456, extra={"sleep_after_open": 0})
    with pytest.raises(LinkError, match="Invalid bitrate"):
        await open_can(settings)
