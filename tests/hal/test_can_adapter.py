"""The port on an adapter of python-can: its threads and queues. The adapter is scripted; only its threads are real."""

import asyncio
import errno
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import can
import pytest

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal import can_adapter
from tinybms_bridge.hal.can import CanFrame, CanSettings
from tinybms_bridge.hal.can_adapter import AdapterPort

FRAME = CanFrame(0x351, b"\x43\x02")
WAIT_S = 30.0


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something has happened in a thread."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.002)


def data_frame(identifier: int = 0x305, data: bytes = bytes(8)) -> can.Message:
    """Return a classic data frame as the adapter gives it."""
    return can.Message(arbitration_id=identifier, data=data, is_extended_id=False)


async def test_full_queue_drops_the_newest_frame_and_counts_it(threaded: Any) -> None:
    """A stuck adapter cannot hold up the program or fill its memory."""
    port = await threaded.open()
    threaded.bus.may_send.clear()
    accepted = sum(port.send(FRAME) for _ in range(200))
    assert 64 <= accepted <= 65
    assert port.statistics.tx_errors == 200 - accepted
    threaded.bus.may_send.set()
    await until(lambda: port.statistics.tx_count == accepted)


async def test_flood_of_received_frames_is_bounded(threaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that the event loop does not come to are dropped and counted, not piled up."""
    monkeypatch.setattr(can_adapter, "_WAITING_FRAMES", 5)
    port = await threaded.open()
    waiting: list[Callable[[], None]] = []
    monkeypatch.setattr(port, "_on_loop", waiting.append)
    for _ in range(20):
        threaded.bus.incoming.put(data_frame())
    await until(lambda: port.statistics.rx_errors == 15)
    for deliver in waiting:
        deliver()
    assert port.statistics.rx_count == 5


async def test_full_transmit_buffer_is_counted_and_logged_once(threaded: Any, caplog: pytest.LogCaptureFixture) -> None:
    """ENOBUFS means that nobody acknowledges: the next frame is tried again, on the same adapter."""
    caplog.set_level(logging.INFO)
    port = await threaded.open()
    threaded.bus.failure = can.CanOperationError("Failed to transmit")
    threaded.bus.failure.__cause__ = OSError(errno.ENOBUFS, "No buffer space available")
    for number in range(120):
        port.send(FRAME)
        await until(lambda expected=number + 1: port.statistics.tx_errors == expected)  # type: ignore[misc]
    threaded.bus.failure = None
    port.send(FRAME)
    await until(lambda: port.statistics.tx_count == 1)
    await until(lambda: len(caplog.records) == 2)
    assert "sending fails: Failed to transmit" in caplog.messages[0]
    assert "works again" in caplog.messages[1]
    assert (threaded.attempts, port.statistics.outages) == (1, 0)


@pytest.mark.parametrize(
    "error",
    [
        can.CanOperationError("Error receiving"),
        OSError(errno.ENETDOWN, "Network is down"),
        ValueError("invalid literal for int() with base 16"),
        IndexError(),
    ],
)
async def test_adapter_that_fails_to_receive_is_opened_again(threaded: Any, error: Exception) -> None:
    """Whatever a driver raises, the old bus is closed, and a new one takes over with the same subscribers."""
    port = await threaded.open()
    heard: list[CanFrame] = []
    port.subscribe(heard.append)
    threaded.bus.incoming.put(error)
    await until(lambda: len(threaded.adapters) == 2 and port.statistics.up)
    assert threaded.adapters[0].closed
    assert port.statistics.outages == 1
    threaded.bus.incoming.put(data_frame())
    await until(lambda: len(heard) == 1)
    port.send(FRAME)
    await until(lambda: len(threaded.bus.sent) == 1)


async def test_a_frame_that_a_driver_made_badly_costs_only_itself(threaded: Any) -> None:
    """It is counted; the thread goes on, and with it all that comes after and every later reopening."""
    port = await threaded.open()
    heard: list[CanFrame] = []
    port.subscribe(heard.append)
    bad = data_frame()
    bad.data = None  # type: ignore[assignment]  # what no driver should give
    threaded.bus.incoming.put(bad)
    threaded.bus.incoming.put(data_frame())
    await until(lambda: len(heard) == 1)
    assert (port.statistics.rx_errors, port.statistics.outages) == (1, 0)


async def test_frame_that_waited_too_long_is_not_sent(threaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a driver has hung, the next thing on the bus is a present value."""
    port = await threaded.open()
    threaded.bus.may_send.clear()
    port.send(CanFrame(0x351, b"first"))
    await until(threaded.bus.sending.is_set)
    monkeypatch.setattr(can_adapter, "_STALE_AFTER_S", 0.03)
    port.send(CanFrame(0x351, b"old"))
    await asyncio.sleep(0.05)
    threaded.bus.may_send.set()
    await until(lambda: port.statistics.tx_errors == 1)
    monkeypatch.setattr(can_adapter, "_STALE_AFTER_S", 3600.0)
    port.send(CanFrame(0x351, b"new"))
    await until(lambda: port.statistics.tx_count == 2)
    assert [bytes(m.data) for m in threaded.bus.sent] == [b"first", b"new"]


async def test_lost_adapter_is_tried_with_growing_pauses_and_logged_once(
    threaded: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The pause doubles up to its cap; the log has one line for the loss and one for the return."""
    caplog.set_level(logging.INFO)
    port = await threaded.open()
    pauses: list[float] = []

    def note(pause_s: float) -> bool:
        pauses.append(pause_s)
        return False

    monkeypatch.setattr(port._stop, "wait", note)
    threaded.failures = [LinkError("no such device")] * 4
    threaded.bus.incoming.put(OSError(errno.ENODEV, "No such device"))
    await until(lambda: len(threaded.adapters) == 2 and port.statistics.up)
    threaded.bus.incoming.put(data_frame())
    await until(lambda: len(caplog.records) == 2)
    assert pauses == [0.005, 0.01, 0.02, 0.02, 0.02]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    lost = (
        "CAN scripted: lost: No such device (no device found; check that the adapter is plugged in); opening it again"
    )
    assert caplog.messages[0] == lost


async def test_pauses_stay_long_for_an_adapter_that_fails_at_once(threaded: Any) -> None:
    """An adapter that opens but does nothing is not opened a hundred times a second."""
    port = await threaded.open()
    for count in range(2, 5):
        threaded.bus.incoming.put(OSError(errno.EIO, "Input/output error"))
        await until(lambda expected=count: len(threaded.adapters) == expected and port.statistics.up)  # type: ignore[misc]
    assert port._retry_s == 0.02
    threaded.bus.incoming.put(data_frame())
    await until(lambda: port._retry_s == 0.005)


async def test_driver_that_fails_to_close_is_given_up(threaded: Any) -> None:
    """An error while closing an unplugged adapter does not end the receiving thread."""
    port = await threaded.open()

    def fail() -> None:
        threaded.adapters[0].closed = True
        raise OSError(errno.EIO, "Input/output error")

    threaded.bus.shutdown = fail  # a driver that fails
    threaded.bus.incoming.put(OSError(errno.EIO, "Input/output error"))
    await until(lambda: len(threaded.adapters) == 2 and port.statistics.up)
    assert threaded.adapters[0].closed
    with suppress(OSError):
        can.BusABC.shutdown(threaded.adapters[0])


async def test_driver_that_hangs_does_not_hang_the_program(
    threaded: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When a send never returns, close gives up after a while and says so."""
    monkeypatch.setattr(can_adapter, "_JOIN_TIMEOUT_S", 0.05)
    port = await threaded.open()
    threaded.bus.may_send.clear()
    port.send(FRAME)
    await until(threaded.bus.sending.is_set)
    await port.close()
    assert "the driver does not return" in caplog.text
    threaded.bus.may_send.set()
    await until(lambda: threaded.bus.closed)
    monkeypatch.setattr(can_adapter, "_JOIN_TIMEOUT_S", WAIT_S)


def test_loop_that_is_gone_ends_the_threads(threaded: Any) -> None:
    """A program that forgets to close the port is not kept alive or spammed by its threads."""

    async def forget() -> AdapterPort:
        return await asyncio.to_thread(AdapterPort, CanSettings("scripted"), asyncio.get_running_loop())

    port = asyncio.run(forget())
    threaded.bus.incoming.put(data_frame())
    for thread in port._threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()
    assert threaded.bus.closed


async def test_return_of_the_adapter_brings_no_old_frames(threaded: Any) -> None:
    """Frames queued for the lost adapter, and those given while it was lost, never reach the bus."""
    threaded.failures = []
    port = await threaded.open()
    first = threaded.bus
    first.may_send.clear()
    for _ in range(10):
        port.send(CanFrame(0x351, b"old"))
    threaded.failures = [LinkError("still gone")] * 10_000
    first.failure = OSError(errno.ENODEV, "gone")
    first.may_send.set()
    await until(lambda: not port.statistics.up)
    refused = [port.send(CanFrame(0x351, b"lost")) for _ in range(5)]
    threaded.failures.clear()
    await until(lambda: port.statistics.up)
    port.send(CanFrame(0x351, b"new"))
    await until(lambda: bool(threaded.bus.sent))
    assert refused == [False] * 5
    assert [bytes(m.data) for m in threaded.bus.sent] == [b"new"]
    assert port.statistics.tx_errors == 15


class LateGate:
    """A lock that the sending thread gets only when the test lets it."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if threading.current_thread().name.startswith("can-send"):
            assert self.open.wait(WAIT_S)
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


async def test_frame_on_its_way_while_the_adapter_is_exchanged_is_not_sent_by_the_next(threaded: Any) -> None:
    """It has left the queue already, and is an old value all the same."""
    port = await threaded.open()
    port._gate = gate = LateGate()
    port.send(CanFrame(0x351, b"old"))
    await until(port._outbox.empty)
    threaded.fail_receiving(OSError(errno.ENODEV, "No such device"))
    await until(lambda: len(threaded.adapters) == 2 and port.statistics.up)
    gate.open.set()
    port.send(CanFrame(0x351, b"new"))
    await until(lambda: port.statistics.tx_count == 1)
    assert [[bytes(m.data) for m in bus.sent] for bus in threaded.adapters] == [[], [b"new"]]
    assert port.statistics.tx_errors == 1


async def test_loss_is_seen_with_its_reason_while_the_old_adapter_still_closes(threaded: Any) -> None:
    """Whoever shows that it is down can say why."""
    port = await threaded.open()
    first, may_close = threaded.bus, threading.Event()
    shutdown = first.shutdown

    def slowly() -> None:
        assert may_close.wait(WAIT_S)
        shutdown()

    first.shutdown = slowly
    threaded.fail_receiving(OSError(errno.ENODEV, "No such device"))
    await until(lambda: not port.statistics.up)
    told = port.statistics.trouble
    may_close.set()
    assert told is not None
    assert told.text.startswith("lost: No such device")
