"""What holds for a port on any adapter: order, subscribers, loss and return. The adapters are scripted."""

import asyncio
import errno
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.can import LOCAL, CanFrame

FRAME = CanFrame(0x351, b"\x43\x02")
BUS_OFF = 0x40
WAIT_S = 30.0


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something has happened."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.002)


async def test_frames_are_sent_in_order(stand: Any) -> None:
    """What is given to the port goes to the adapter, classic and with an 11-bit id."""
    port = await stand.open()
    frames = [CanFrame(0x350 + number, bytes((number,)) * (number % 9)) for number in range(20)]
    assert all(port.send(frame) for frame in frames)
    await until(lambda: port.statistics.tx_count == 20)
    assert stand.sent == frames


async def test_received_frames_reach_all_subscribers_on_the_loop(stand: Any) -> None:
    """Callbacks run on the event loop's thread and get equal frames."""
    port = await stand.open()
    heard: list[tuple[CanFrame, int]] = []
    port.subscribe(lambda frame: heard.append((frame, threading.get_ident())))
    port.subscribe(lambda frame: heard.append((frame, threading.get_ident())))
    stand.receive(0x305, b"\x01")
    await until(lambda: len(heard) == 2)
    assert heard == [(CanFrame(0x305, b"\x01"), threading.get_ident())] * 2
    assert port.statistics.rx_count == 1


async def test_ended_subscription_hears_no_more(stand: Any) -> None:
    """The function that subscribe returns ends it, and may be called again."""
    port = await stand.open()
    ended: list[CanFrame] = []
    kept: list[CanFrame] = []
    unsubscribe = port.subscribe(ended.append)
    port.subscribe(kept.append)
    unsubscribe()
    unsubscribe()
    stand.receive()
    await until(lambda: len(kept) == 1)
    assert ended == []


@pytest.mark.parametrize("foreign", [{"extended": True}, {"remote": True}, {"extended": True, "remote": True}])
async def test_other_kinds_of_frames_are_ignored(stand: Any, foreign: dict[str, bool]) -> None:
    """Extended and remote frames on the same wires are not ours."""
    port = await stand.open()
    heard: list[CanFrame] = []
    port.subscribe(heard.append)
    stand.receive(**foreign)
    stand.receive(0x307)
    await until(lambda: bool(heard))
    assert heard == [CanFrame(0x307, bytes(8))]
    assert port.statistics.rx_count == 1


async def test_failing_subscriber_costs_the_others_nothing(stand: Any) -> None:
    """Its error goes to the loop's handler, the frame to the next subscriber."""
    port = await stand.open()
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["exception"]))
    heard: list[CanFrame] = []

    def fail(_: CanFrame) -> None:
        raise RuntimeError("subscriber")

    port.subscribe(fail)
    port.subscribe(heard.append)
    stand.receive()
    await until(lambda: bool(heard))
    assert [str(error) for error in errors] == ["subscriber"]


async def test_senders_are_told_apart_where_the_adapter_does(stand: Any) -> None:
    """SocketCAN marks what a program of this machine sent."""
    port = await stand.open()
    heard: list[CanFrame] = []
    port.subscribe(heard.append)
    for local in (False, True):
        stand.receive(local=local)
    await until(lambda: len(heard) == 2)
    assert [frame.origin for frame in heard] == ["can0", f"can0{LOCAL}"]


async def test_full_transmit_buffer_is_counted_and_logged_once(stand: Any, caplog: pytest.LogCaptureFixture) -> None:
    """ENOBUFS means that nobody acknowledges: the next frame is tried again, on the same adapter."""
    caplog.set_level(logging.INFO)
    port = await stand.open()
    stand.fail_sending(OSError(errno.ENOBUFS, "No buffer space available"))
    for number in range(120):
        port.send(FRAME)
        await until(lambda expected=number + 1: port.statistics.tx_errors == expected)  # type: ignore[misc]
    stand.fail_sending(None)
    port.send(FRAME)
    await until(lambda: port.statistics.tx_count == 1)
    await until(lambda: len(caplog.records) == 2)
    assert "sending fails: No buffer space available (nobody acknowledges the frames" in caplog.messages[0]
    assert "works again" in caplog.messages[1]
    assert (stand.attempts, port.statistics.outages) == (1, 0)


async def test_what_is_wrong_with_the_adapter_is_told_with_advice_until_it_works(
    stand: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has it in one line, the statistics as long as it lasts."""
    port = await stand.open()
    assert port.statistics.trouble is None

    stand.fail_sending(OSError(errno.ENOBUFS, "No buffer space available"))
    port.send(FRAME)
    await until(lambda: port.statistics.trouble is not None)
    trouble = port.statistics.trouble
    stand.fail_sending(None)
    port.send(FRAME)
    await until(lambda: port.statistics.trouble is None)

    assert str(trouble).startswith(
        "sending fails: No buffer space available (nobody acknowledges the frames: check that"
    )
    assert caplog.messages[0] == f"CAN scripted: {trouble}"


async def test_an_adapter_that_cannot_be_opened_again_tells_why(stand: Any) -> None:
    """The last reason counts: first it was lost, now its interface is down."""
    port = await stand.open()
    stand.failures = [LinkError("cannot open CAN can0: Network is down", hint="bring it up")] * 10_000
    stand.fail_receiving(OSError(errno.EPROTO, "Protocol error"))

    await until(lambda: "cannot open" in str(port.statistics.trouble))

    assert port.statistics.trouble.text == "cannot open CAN can0: Network is down (bring it up)"


@pytest.mark.parametrize("number", [errno.ENETDOWN, errno.ENODEV, errno.EPROTO])
async def test_adapter_that_fails_to_receive_is_opened_again(stand: Any, number: int) -> None:
    """Whatever it is, the old adapter is closed, and a new one takes over with the same subscribers."""
    port = await stand.open()
    heard: list[CanFrame] = []
    port.subscribe(heard.append)
    stand.fail_receiving(OSError(number, "gone"))
    await until(lambda: stand.opened == 2 and port.statistics.up)
    await until(lambda: stand.adapters[0].closed)
    assert port.statistics.outages == 1
    stand.receive()
    await until(lambda: len(heard) == 1)
    port.send(FRAME)
    await until(lambda: stand.sent == [FRAME])


@pytest.mark.parametrize("number", [errno.ENETDOWN, errno.ENODEV, errno.EBADF, errno.EIO])
async def test_adapter_that_is_gone_is_noticed_by_sending(stand: Any, number: int) -> None:
    """A cable or adapter that was pulled out is known with the first frame that cannot be sent."""
    port = await stand.open()
    stand.fail_sending(OSError(number, "gone"))
    port.send(FRAME)
    await until(lambda: stand.opened == 2 and port.statistics.up)
    assert port.statistics.tx_errors == 1


async def test_adapter_that_keeps_refusing_is_opened_again(stand: Any) -> None:
    """Some adapters come out of bus-off only by a new start."""
    port = await stand.open()
    stand.fail_sending(OSError(errno.EPROTO, "Protocol error"))
    while stand.opened == 1:
        port.send(FRAME)
        await asyncio.sleep(0.001)
    assert port.statistics.tx_errors >= 50
    await until(lambda: port.statistics.up and stand.adapters[0].closed)


async def test_adapter_is_opened_anew_on_demand(stand: Any) -> None:
    """An adapter that hangs without an error: the old one is closed, the new one serves the same subscribers."""
    port = await stand.open()
    heard: list[CanFrame] = []
    port.subscribe(heard.append)
    port.reopen("no frame was heard for 60 s")
    await until(lambda: stand.opened == 2 and port.statistics.up)
    await until(lambda: stand.adapters[0].closed)
    assert port.statistics.outages == 0
    stand.receive()
    await until(lambda: len(heard) == 1)


async def test_adapter_that_does_not_open_anew_is_tried_on(stand: Any) -> None:
    """It ends as a lost one does, and comes back like one; asking once more meanwhile changes nothing."""
    port = await stand.open()
    stand.failures = [LinkError("busy")] * 10_000
    port.reopen("no frame was heard for 60 s")
    await until(lambda: stand.attempts >= 3 and not port.statistics.up)
    port.reopen("no frame was heard for 60 s")
    stand.failures.clear()
    await until(lambda: stand.opened == 2 and port.statistics.up)
    port.send(FRAME)
    await until(lambda: port.statistics.tx_count == 1)


async def test_return_of_the_adapter_brings_no_old_frames(stand: Any) -> None:
    """Frames given to the port while the adapter was lost never reach the bus."""
    port = await stand.open()
    stand.failures = [LinkError("still gone")] * 10_000
    stand.fail_sending(OSError(errno.ENODEV, "gone"))
    port.send(CanFrame(0x351, b"old"))
    await until(lambda: not port.statistics.up)
    refused = [port.send(CanFrame(0x351, b"lost")) for _ in range(5)]
    stand.failures.clear()
    await until(lambda: port.statistics.up)
    port.send(CanFrame(0x351, b"new"))
    await until(lambda: bool(stand.sent))
    assert refused == [False] * 5
    assert [frame.data for frame in stand.sent] == [b"new"]
    assert port.statistics.tx_errors == 6


async def test_pauses_stay_long_for_an_adapter_that_fails_at_once(stand: Any) -> None:
    """An adapter that opens but does nothing is not opened a hundred times a second."""
    port = await stand.open()
    for count in range(2, 5):
        stand.fail_receiving(OSError(errno.EIO, "Input/output error"))
        await until(lambda expected=count: stand.opened == expected and port.statistics.up)  # type: ignore[misc]
    assert port._retry_s == 0.02
    stand.receive()
    await until(lambda: port._retry_s == 0.005)


async def test_bus_off_is_counted_and_told(stand: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Error frames are no frames for the subscribers; bus-off comes with what to check."""
    port = await stand.open()
    heard: list[CanFrame] = []
    port.subscribe(heard.append)
    stand.receive(BUS_OFF, error=True)
    stand.receive(0x04, error=True)
    stand.receive()
    await until(lambda: bool(heard))
    assert (port.statistics.rx_errors, port.statistics.bus_off_count, len(heard)) == (2, 1, 1)
    assert "bus-off; check cable, termination and bit rate" in caplog.text
    assert port.statistics.trouble is None


async def test_closing_ends_everything(stand: Any) -> None:
    """After close the adapter is shut, frames are refused, and a second close is harmless."""
    port = await stand.open()
    await port.close()
    await port.close()
    assert stand.adapters[0].closed
    assert not port.send(FRAME)
    assert not port.statistics.up
    assert port.statistics.tx_errors == 1


async def test_closing_while_the_adapter_is_lost(stand: Any) -> None:
    """The wait for the next attempt does not hold up the end of the program."""
    port = await stand.open()
    stand.failures = [LinkError("gone")] * 10_000
    stand.fail_receiving(OSError(errno.ENODEV, "gone"))
    await until(lambda: not port.statistics.up)
    async with asyncio.timeout(WAIT_S):
        await port.close()
    assert stand.opened == 1
