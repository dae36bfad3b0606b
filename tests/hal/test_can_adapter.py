"""The port on an adapter: threads, queues, loss and return. The adapter is scripted; only its threads are real."""

import asyncio
import errno
import logging
import queue
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import can
import pytest

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal import can_adapter
from tinybms_bridge.hal.can import LOCAL, CanFrame, CanSettings
from tinybms_bridge.hal.can_adapter import AdapterPort

FRAME = CanFrame(0x351, b"\x43\x02")
WAIT_S = 30.0
BUS_OFF = can.Message(arbitration_id=0x40, is_error_frame=True, data=bytes(8))


class ScriptedBus(can.BusABC):
    """An adapter that does what the test says."""

    def __init__(self) -> None:
        super().__init__("scripted")
        self.incoming: queue.Queue[can.Message | Exception] = queue.Queue()
        self.sent: list[can.Message] = []
        self.failure: Exception | None = None
        self.closed = False
        self.sending = threading.Event()
        self.may_send = threading.Event()
        self.may_send.set()

    def recv(self, timeout: float | None = None) -> can.Message | None:
        """Give what the test has put in."""
        try:
            item = self.incoming.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(item, Exception):
            raise item
        return item

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        """Take a frame, fail, or hang."""
        self.sending.set()
        self.may_send.wait(WAIT_S)
        if self.failure:
            raise self.failure
        self.sent.append(msg)

    def shutdown(self) -> None:
        """Note the end."""
        super().shutdown()
        self.closed = True


class Workshop:
    """Opens scripted buses one after the other, or fails to."""

    def __init__(self) -> None:
        self.buses: list[ScriptedBus] = []
        self.failures: list[LinkError] = []
        self.attempts = 0

    def open(self, _: CanSettings) -> can.BusABC:
        """Stand in for ``open_bus``."""
        self.attempts += 1
        if self.failures:
            raise self.failures.pop(0)
        self.buses.append(ScriptedBus())
        return self.buses[-1]

    @property
    def bus(self) -> ScriptedBus:
        """The newest bus."""
        return self.buses[-1]


MakePort = Callable[[], Awaitable[AdapterPort]]


@pytest.fixture
def workshop(monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """Return the source of buses; all pauses are short, and no frame is too old on a machine that is busy."""
    made = Workshop()
    monkeypatch.setattr(can_adapter, "open_bus", made.open)
    monkeypatch.setattr(can_adapter, "_RECEIVE_TIMEOUT_S", 0.005)
    monkeypatch.setattr(can_adapter, "_FIRST_RETRY_S", 0.005)
    monkeypatch.setattr(can_adapter, "_SLOWEST_RETRY_S", 0.02)
    monkeypatch.setattr(can_adapter, "_STALE_AFTER_S", 3600.0)
    monkeypatch.setattr(can_adapter, "_JOIN_TIMEOUT_S", WAIT_S)
    return made


@pytest.fixture
async def make_port(workshop: Workshop) -> AsyncIterator[MakePort]:
    """Return a function that opens a port; it is closed at the end and may leave no thread."""
    ports: list[AdapterPort] = []

    async def make() -> AdapterPort:
        ports.append(await asyncio.to_thread(AdapterPort, CanSettings("scripted"), asyncio.get_running_loop()))
        return ports[-1]

    yield make
    for port in ports:
        await port.close()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("can-")] == []


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something has happened in a thread."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.002)


def data_frame(identifier: int = 0x305, data: bytes = bytes(8)) -> can.Message:
    """Return a classic data frame as the adapter gives it."""
    return can.Message(arbitration_id=identifier, data=data, is_extended_id=False)


async def test_frames_are_sent_in_order(make_port: MakePort, workshop: Workshop) -> None:
    """What is queued goes to the adapter, classic and with an 11-bit id."""
    port = await make_port()
    frames = [CanFrame(0x350 + number, bytes((number,))) for number in range(20)]
    assert all(port.send(frame) for frame in frames)
    await until(lambda: port.statistics.tx_count == 20)
    sent = [(m.arbitration_id, bytes(m.data), m.is_extended_id) for m in workshop.bus.sent]
    assert sent == [(frame.arbitration_id, frame.data, False) for frame in frames]


async def test_received_frames_reach_all_subscribers_on_the_loop(make_port: MakePort, workshop: Workshop) -> None:
    """Callbacks run on the event loop's thread and get equal frames."""
    port = await make_port()
    heard: list[tuple[CanFrame, int]] = []
    port.subscribe(lambda frame: heard.append((frame, threading.get_ident())))
    port.subscribe(lambda frame: heard.append((frame, threading.get_ident())))
    workshop.bus.incoming.put(data_frame(0x305, b"\x01"))
    await until(lambda: len(heard) == 2)
    assert heard == [(CanFrame(0x305, b"\x01"), threading.get_ident())] * 2
    assert port.statistics.rx_count == 1


async def test_ended_subscription_hears_no_more(make_port: MakePort, workshop: Workshop) -> None:
    """The function that subscribe returns ends it, and may be called again."""
    port = await make_port()
    ended: list[CanFrame] = []
    kept: list[CanFrame] = []
    unsubscribe = port.subscribe(ended.append)
    port.subscribe(kept.append)
    unsubscribe()
    unsubscribe()
    workshop.bus.incoming.put(data_frame())
    await until(lambda: len(kept) == 1)
    assert ended == []


@pytest.mark.parametrize(
    "foreign",
    [
        can.Message(arbitration_id=0x305, is_extended_id=True),
        can.Message(arbitration_id=0x305, is_extended_id=False, is_remote_frame=True),
        can.Message(arbitration_id=0x305, is_extended_id=False, is_fd=True),
    ],
)
async def test_other_kinds_of_frames_are_ignored(make_port: MakePort, workshop: Workshop, foreign: can.Message) -> None:
    """Extended, remote and FD frames on the same wires are not ours."""
    port = await make_port()
    heard: list[CanFrame] = []
    port.subscribe(heard.append)
    workshop.bus.incoming.put(foreign)
    workshop.bus.incoming.put(data_frame(0x307))
    await until(lambda: bool(heard))
    assert heard == [CanFrame(0x307, bytes(8))]


async def test_failing_subscriber_costs_the_others_nothing(make_port: MakePort, workshop: Workshop) -> None:
    """Its error goes to the loop's handler, the frame to the next subscriber."""
    port = await make_port()
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["exception"]))
    heard: list[CanFrame] = []

    def fail(_: CanFrame) -> None:
        raise RuntimeError("subscriber")

    port.subscribe(fail)
    port.subscribe(heard.append)
    workshop.bus.incoming.put(data_frame())
    await until(lambda: bool(heard))
    assert [str(error) for error in errors] == ["subscriber"]


async def test_full_queue_drops_the_newest_frame_and_counts_it(make_port: MakePort, workshop: Workshop) -> None:
    """A stuck adapter cannot hold up the program or fill its memory."""
    port = await make_port()
    workshop.bus.may_send.clear()
    accepted = sum(port.send(FRAME) for _ in range(200))
    assert 64 <= accepted <= 65
    assert port.statistics.tx_errors == 200 - accepted
    workshop.bus.may_send.set()
    await until(lambda: port.statistics.tx_count == accepted)


async def test_flood_of_received_frames_is_bounded(
    make_port: MakePort, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames that the event loop does not come to are dropped and counted, not piled up."""
    monkeypatch.setattr(can_adapter, "_WAITING_FRAMES", 5)
    port = await make_port()
    waiting: list[Callable[[], None]] = []
    monkeypatch.setattr(port, "_on_loop", waiting.append)
    for _ in range(20):
        workshop.bus.incoming.put(data_frame())
    await until(lambda: port.statistics.rx_errors == 15)
    for deliver in waiting:
        deliver()
    assert port.statistics.rx_count == 5


async def test_full_transmit_buffer_is_counted_and_logged_once(
    make_port: MakePort, workshop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    """ENOBUFS means that nobody acknowledges: the next frame is tried again, on the same adapter."""
    caplog.set_level(logging.INFO)
    port = await make_port()
    workshop.bus.failure = can.CanOperationError("Failed to transmit")
    workshop.bus.failure.__cause__ = OSError(errno.ENOBUFS, "No buffer space available")
    for number in range(120):
        port.send(FRAME)
        await until(lambda expected=number + 1: port.statistics.tx_errors == expected)  # type: ignore[misc]
    workshop.bus.failure = None
    port.send(FRAME)
    await until(lambda: port.statistics.tx_count == 1)
    await until(lambda: len(caplog.records) == 2)
    assert "sending fails: Failed to transmit" in caplog.messages[0]
    assert "works again" in caplog.messages[1]
    assert (workshop.attempts, port.statistics.outages) == (1, 0)


async def test_what_is_wrong_with_the_adapter_is_told_with_advice_until_it_works(
    make_port: MakePort, workshop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has it in one line, the statistics as long as it lasts."""
    port = await make_port()
    assert port.statistics.trouble == ""

    workshop.bus.failure = OSError(errno.ENOBUFS, "No buffer space available")
    port.send(FRAME)
    await until(lambda: port.statistics.trouble != "")
    trouble = port.statistics.trouble
    workshop.bus.failure = None
    port.send(FRAME)
    await until(lambda: port.statistics.trouble == "")

    assert trouble.startswith("sending fails: No buffer space available (nobody acknowledges the frames: check that")
    assert caplog.messages[0] == f"CAN scripted: {trouble}"


async def test_an_adapter_that_cannot_be_opened_again_tells_why(make_port: MakePort, workshop: Workshop) -> None:
    """The last reason counts: first it was lost, now its interface is down."""
    port = await make_port()
    workshop.failures = [LinkError("cannot open CAN can0: Network is down", hint="bring it up")] * 1000
    workshop.bus.incoming.put(OSError(errno.EPROTO, "Protocol error"))

    await until(lambda: "cannot open" in port.statistics.trouble)

    assert port.statistics.trouble == "cannot open CAN can0: Network is down (bring it up)"
    workshop.failures.clear()


@pytest.mark.parametrize(
    "error",
    [
        can.CanOperationError("Error receiving"),
        OSError(errno.ENETDOWN, "Network is down"),
        ValueError("invalid literal for int() with base 16"),
        IndexError(),
    ],
)
async def test_adapter_that_fails_to_receive_is_opened_again(
    make_port: MakePort, workshop: Workshop, error: Exception
) -> None:
    """Whatever a driver raises, the old bus is closed, and a new one takes over with the same subscribers."""
    port = await make_port()
    heard: list[CanFrame] = []
    port.subscribe(heard.append)
    workshop.bus.incoming.put(error)
    await until(lambda: len(workshop.buses) == 2 and port.statistics.up)
    assert workshop.buses[0].closed
    assert port.statistics.outages == 1
    workshop.bus.incoming.put(data_frame())
    await until(lambda: len(heard) == 1)
    port.send(FRAME)
    await until(lambda: len(workshop.bus.sent) == 1)


@pytest.mark.parametrize("number", [errno.ENETDOWN, errno.ENODEV, errno.EBADF, errno.EIO])
async def test_adapter_that_is_gone_is_noticed_by_sending(make_port: MakePort, workshop: Workshop, number: int) -> None:
    """A cable or adapter that was pulled out is known with the first frame that cannot be sent."""
    port = await make_port()
    workshop.bus.failure = OSError(number, "gone")
    port.send(FRAME)
    await until(lambda: len(workshop.buses) == 2)
    assert port.statistics.tx_errors == 1


async def test_adapter_that_keeps_refusing_is_opened_again(make_port: MakePort, workshop: Workshop) -> None:
    """Some adapters come out of bus-off only by a new start."""
    port = await make_port()
    workshop.bus.failure = can.CanOperationError("the controller is bus-off")
    while len(workshop.buses) == 1:
        port.send(FRAME)
        await asyncio.sleep(0.001)
    assert port.statistics.tx_errors >= 50
    assert workshop.buses[0].closed


async def test_adapter_is_opened_anew_on_demand(make_port: MakePort, workshop: Workshop) -> None:
    """An adapter that hangs without an error: the old bus is closed, the new one serves the same subscribers."""
    port = await make_port()
    heard: list[CanFrame] = []
    port.subscribe(heard.append)
    port.reopen("no frame was heard for 60 s")
    await until(lambda: len(workshop.buses) == 2 and port.statistics.up)
    assert workshop.buses[0].closed
    assert port.statistics.outages == 0
    workshop.bus.incoming.put(data_frame())
    await until(lambda: len(heard) == 1)


async def test_adapter_that_does_not_open_anew_is_tried_on(make_port: MakePort, workshop: Workshop) -> None:
    """It ends as a lost one does, and comes back like one."""
    port = await make_port()
    workshop.failures = [LinkError("busy")] * 3
    port.reopen("no frame was heard for 60 s")
    await until(lambda: len(workshop.buses) == 2 and port.statistics.up)


async def test_senders_are_told_apart_where_the_adapter_does(make_port: MakePort, workshop: Workshop) -> None:
    """SocketCAN marks what a program of this machine sent."""
    port = await make_port()
    heard: list[CanFrame] = []
    port.subscribe(heard.append)
    for is_rx in (True, False):
        message = data_frame()
        message.channel, message.is_rx = "can0", is_rx
        workshop.bus.incoming.put(message)
    await until(lambda: len(heard) == 2)
    assert [frame.origin for frame in heard] == ["can0", f"can0{LOCAL}"]


async def test_return_of_the_adapter_brings_no_old_frames(make_port: MakePort, workshop: Workshop) -> None:
    """Frames queued for the lost adapter, and those given while it was lost, never reach the bus."""
    workshop.failures = []
    port = await make_port()
    first = workshop.bus
    first.may_send.clear()
    for _ in range(10):
        port.send(CanFrame(0x351, b"old"))
    workshop.failures = [LinkError("still gone")] * 10_000
    first.failure = OSError(errno.ENODEV, "gone")
    first.may_send.set()
    await until(lambda: not port.statistics.up)
    refused = [port.send(CanFrame(0x351, b"lost")) for _ in range(5)]
    workshop.failures.clear()
    await until(lambda: port.statistics.up)
    port.send(CanFrame(0x351, b"new"))
    await until(lambda: bool(workshop.bus.sent))
    assert refused == [False] * 5
    assert [bytes(m.data) for m in workshop.bus.sent] == [b"new"]
    assert port.statistics.tx_errors == 15


async def test_frame_that_waited_too_long_is_not_sent(
    make_port: MakePort, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a driver has hung, the next thing on the bus is a present value."""
    port = await make_port()
    workshop.bus.may_send.clear()
    port.send(CanFrame(0x351, b"first"))
    await until(workshop.bus.sending.is_set)
    monkeypatch.setattr(can_adapter, "_STALE_AFTER_S", 0.03)
    port.send(CanFrame(0x351, b"old"))
    await asyncio.sleep(0.05)
    workshop.bus.may_send.set()
    await until(lambda: port.statistics.tx_errors == 1)
    monkeypatch.setattr(can_adapter, "_STALE_AFTER_S", 3600.0)
    port.send(CanFrame(0x351, b"new"))
    await until(lambda: port.statistics.tx_count == 2)
    assert [bytes(m.data) for m in workshop.bus.sent] == [b"first", b"new"]


async def test_lost_adapter_is_tried_with_growing_pauses_and_logged_once(
    make_port: MakePort, workshop: Workshop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The pause doubles up to its cap; the log has one line for the loss and one for the return."""
    caplog.set_level(logging.INFO)
    port = await make_port()
    pauses: list[float] = []

    def note(pause_s: float) -> bool:
        pauses.append(pause_s)
        return False

    monkeypatch.setattr(port._stop, "wait", note)
    workshop.failures = [LinkError("no such device")] * 4
    workshop.bus.incoming.put(OSError(errno.ENODEV, "No such device"))
    await until(lambda: len(workshop.buses) == 2 and port.statistics.up)
    workshop.bus.incoming.put(data_frame())
    await until(lambda: len(caplog.records) == 2)
    assert pauses == [0.005, 0.01, 0.02, 0.02, 0.02]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    lost = (
        "CAN scripted: lost: No such device (no device found; check that the adapter is plugged in); opening it again"
    )
    assert caplog.messages[0] == lost


async def test_pauses_stay_long_for_an_adapter_that_fails_at_once(make_port: MakePort, workshop: Workshop) -> None:
    """An adapter that opens but does nothing is not opened a hundred times a second."""
    port = await make_port()
    for count in range(2, 5):
        workshop.bus.incoming.put(OSError(errno.EIO, "Input/output error"))
        await until(lambda expected=count: len(workshop.buses) == expected and port.statistics.up)  # type: ignore[misc]
    assert port._retry_s == 0.02
    workshop.bus.incoming.put(data_frame())
    await until(lambda: port._retry_s == 0.005)


async def test_bus_off_is_counted_and_told(
    make_port: MakePort, workshop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    """Error frames are no frames for the subscribers; bus-off comes with what to check."""
    port = await make_port()
    heard: list[CanFrame] = []
    port.subscribe(heard.append)
    workshop.bus.incoming.put(BUS_OFF)
    workshop.bus.incoming.put(can.Message(arbitration_id=0x04, is_error_frame=True, data=bytes(8)))
    workshop.bus.incoming.put(data_frame())
    await until(lambda: bool(heard))
    assert (port.statistics.rx_errors, port.statistics.bus_off_count, len(heard)) == (2, 1, 1)
    assert "bus-off; check cable, termination and bit rate" in caplog.text


async def test_closing_ends_everything(make_port: MakePort, workshop: Workshop) -> None:
    """After close the bus is shut, frames are refused, and a second close is harmless."""
    port = await make_port()
    heard: list[CanFrame] = []
    port.subscribe(heard.append)
    await port.close()
    await port.close()
    assert workshop.bus.closed
    assert not port.send(FRAME)
    assert not port.statistics.up
    assert port.statistics.tx_errors == 1


async def test_closing_while_the_adapter_is_lost(make_port: MakePort, workshop: Workshop) -> None:
    """The wait for the next attempt does not hold up the end of the program."""
    port = await make_port()
    workshop.failures = [LinkError("gone")] * 1000
    workshop.bus.incoming.put(OSError(errno.ENODEV, "gone"))
    await until(lambda: not port.statistics.up)
    async with asyncio.timeout(WAIT_S):
        await port.close()
    assert len(workshop.buses) == 1


async def test_driver_that_fails_to_close_is_given_up(make_port: MakePort, workshop: Workshop) -> None:
    """An error while closing an unplugged adapter does not end the receiving thread."""
    port = await make_port()

    def fail() -> None:
        workshop.buses[0].closed = True
        raise OSError(errno.EIO, "Input/output error")

    workshop.bus.shutdown = fail  # type: ignore[method-assign]  # a driver that fails
    workshop.bus.incoming.put(OSError(errno.EIO, "Input/output error"))
    await until(lambda: len(workshop.buses) == 2 and port.statistics.up)
    assert workshop.buses[0].closed
    with suppress(OSError):
        can.BusABC.shutdown(workshop.buses[0])


async def test_driver_that_hangs_does_not_hang_the_program(
    make_port: MakePort, workshop: Workshop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When a send never returns, close gives up after a while and says so."""
    monkeypatch.setattr(can_adapter, "_JOIN_TIMEOUT_S", 0.05)
    port = await make_port()
    workshop.bus.may_send.clear()
    port.send(FRAME)
    await until(workshop.bus.sending.is_set)
    await port.close()
    assert "the driver does not return" in caplog.text
    workshop.bus.may_send.set()
    await until(lambda: workshop.bus.closed)
    monkeypatch.setattr(can_adapter, "_JOIN_TIMEOUT_S", WAIT_S)


def test_loop_that_is_gone_ends_the_threads(workshop: Workshop) -> None:
    """A program that forgets to close the port is not kept alive or spammed by its threads."""

    async def forget() -> AdapterPort:
        return await asyncio.to_thread(AdapterPort, CanSettings("scripted"), asyncio.get_running_loop())

    port = asyncio.run(forget())
    workshop.bus.incoming.put(data_frame())
    for thread in port._threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()
    assert workshop.bus.closed
