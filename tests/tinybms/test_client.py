import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from tinybms_bridge.errors import DeviceRefused, LinkError
from tinybms_bridge.tinybms.client import ClientSettings, TinyBmsClient
from tinybms_bridge.tinybms.frames import (
    Ack,
    Action,
    ActionRequest,
    CommandCode,
    Nack,
    ReadModbus,
    RegistersReply,
    SimpleRequest,
    WriteModbus,
)
from tinybms_bridge.tinybms.statistics import TraceEntry
from tinybms_lab.testing.virtual_time import LoopClock

ScriptedBms = Any

pytestmark = pytest.mark.virtual_time


def values(first: int, count: int) -> RegistersReply:
    """Return what the scripted BMS answers to a read."""
    return RegistersReply(CommandCode.READ_MODBUS, tuple(range(first + 1000, first + 1000 + count)))


class SuspendedClock(LoopClock):
    """The clock of a machine that was suspended."""

    slept_s = 0.0

    def monotonic(self) -> float:
        """See ``Clock.monotonic``."""
        return super().monotonic() + self.slept_s


async def test_a_read_returns_the_registers(client: TinyBmsClient) -> None:
    """The plain case: one request, one reply, counted once."""
    assert await client.request(ReadModbus(0, 56)) == values(0, 56)
    assert (client.statistics.polls, client.statistics.success, client.statistics.errors) == (1, 1, 0)
    assert client.statistics.latency.count == 1


async def test_a_reply_in_single_bytes_is_joined(client: TinyBmsClient, bms: ScriptedBms) -> None:
    """USB adapters cut a reply anywhere; the client waits for the whole of it."""
    bms.deliver = lambda data: [(0.0005 * i, data[i : i + 1]) for i in range(len(data))]
    assert await client.request(ReadModbus(300, 44)) == values(300, 44)
    assert client.statistics.retries == 0


async def test_a_lost_reply_is_asked_for_again(client: TinyBmsClient, bms: ScriptedBms) -> None:
    """A read survives a lost reply, and the loss is counted as a time-out and a retry."""
    losses = iter([True])
    bms.deliver = lambda data: [] if next(losses, False) else [(0.0, data)]
    assert await client.request(ReadModbus(10, 3)) == values(10, 3)
    assert (client.statistics.timeouts, client.statistics.retries, client.statistics.errors) == (1, 1, 0)


async def test_a_silent_bms_gives_a_link_error_after_all_attempts(client: TinyBmsClient, bms: ScriptedBms) -> None:
    """Silence ends in one clear error with the number that matters."""
    bms.deliver = lambda _data: []
    with pytest.raises(LinkError, match="did not answer within 150 ms"):
        await client.request(ReadModbus(0, 4))
    assert len(bms.requests) == 3
    assert (client.statistics.timeouts, client.statistics.errors) == (3, 1)


async def test_a_refusal_is_raised_at_once(client: TinyBmsClient, bms: ScriptedBms) -> None:
    """NACK means that asking again is of no use."""
    bms.refuse = Nack(CommandCode.READ_MODBUS, 0)
    with pytest.raises(DeviceRefused) as refused:
        await client.request(ReadModbus(400, 2))
    assert (refused.value.command, refused.value.code) == (CommandCode.READ_MODBUS, 0)
    assert len(bms.requests) == 1
    assert client.statistics.refused == 1


async def test_a_request_that_arrived_corrupted_is_sent_again(client: TinyBmsClient, bms: ScriptedBms) -> None:
    """NACK with code 1 is the BMS saying that the line garbled the request; nothing was carried out."""
    bms.refuse = Nack(CommandCode.READ_MODBUS, 1)
    asyncio.get_running_loop().call_later(0.005, setattr, bms, "refuse", None)
    assert await client.request(ReadModbus(5, 2)) == values(5, 2)
    assert client.statistics.crc_errors >= 1


async def test_a_line_that_garbles_every_request_is_a_link_error(client: TinyBmsClient, bms: ScriptedBms) -> None:
    """The BMS refused nothing: whoever goes on without what a device refuses must not go on without this."""
    bms.refuse = Nack(CommandCode.READ_MODBUS, 1)
    with pytest.raises(LinkError, match=r"received something corrupted \(the line is disturbed: check cable"):
        await client.request(ReadModbus(500, 2))
    assert len(bms.requests) == 3


async def test_a_write_that_arrived_corrupted_is_refused(client: TinyBmsClient, bms: ScriptedBms) -> None:
    """It was not carried out, which is worth knowing; it is not repeated all the same."""
    bms.refuse = Nack(CommandCode.WRITE_MODBUS, 1)
    with pytest.raises(DeviceRefused) as refused:
        await client.request(WriteModbus(315, (3700,)))
    assert refused.value.corrupted
    assert bms.requests == [WriteModbus(315, (3700,))]


async def test_a_write_is_never_repeated(client: TinyBmsClient, bms: ScriptedBms) -> None:
    """A reset that is sent twice cuts the load twice: without an answer the caller decides."""
    bms.deliver = lambda _data: []
    for request in (ActionRequest(Action.RESET), WriteModbus(315, (4200,))):
        bms.requests.clear()
        with pytest.raises(LinkError):
            await client.request(request, attempts=5)
        assert bms.requests == [request]


async def test_a_sleeping_bms_is_woken_by_a_read_not_by_the_write(bms: ScriptedBms, quick: ClientSettings) -> None:
    """Asleep, the BMS swallows one frame; that frame is a harmless read, and no error is counted."""
    client = TinyBmsClient(bms.open, LoopClock(), replace(quick, wake_after_s=0.0))
    await client.connect()
    bms.asleep = True
    assert await client.request(ActionRequest(Action.CLEAR_EVENTS)) == Ack(CommandCode.ACTION)
    assert bms.requests == [ActionRequest(Action.CLEAR_EVENTS)]
    assert (client.statistics.wakeups, client.statistics.errors, client.statistics.timeouts) == (1, 0, 0)
    await client.close()


async def test_no_wake_up_while_the_dialogue_goes_on(client: TinyBmsClient, bms: ScriptedBms) -> None:
    """The wake-up frame costs time; it is sent after silence only."""
    await client.request(ReadModbus(0, 1))
    await client.request(ReadModbus(1, 1))
    assert client.statistics.wakeups == 0
    assert len(bms.requests) == 2


async def test_a_late_reply_is_not_taken_for_the_next_one(client: TinyBmsClient, bms: ScriptedBms) -> None:
    """A 0x03 reply names no address: one that comes after its time-out must not answer another question."""
    delays = iter([0.155])
    bms.deliver = lambda data: [(next(delays, 0.0), data)]
    with pytest.raises(LinkError):
        await client.request(ReadModbus(0, 8), attempts=1)
    assert await client.request(ReadModbus(100, 8)) == values(100, 8)


@pytest.mark.parametrize("late", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 8])
async def test_a_reply_that_waits_in_the_adapter_is_not_taken_for_the_next_one(
    client: TinyBmsClient, bms: ScriptedBms, late: int, size: int
) -> None:
    """No silence shows a reply that only comes with the next one: before it is trusted another size is asked for."""
    held: list[bytes] = []

    def keep(data: bytes) -> list[tuple[float, bytes]]:
        held.append(data)
        return []

    def give(data: bytes) -> list[tuple[float, bytes]]:
        pieces = [*held, data]
        held.clear()
        return [(0.0, piece) for piece in pieces]

    bms.deliver = keep
    for address in range(late):
        with pytest.raises(LinkError):
            await client.request(ReadModbus(address, size), attempts=1)
    bms.deliver = give
    assert await client.request(ReadModbus(100, size)) == values(100, size)


@pytest.mark.parametrize("half", ["AA0DFF34", "AA100134FFFF", "AA0BFF2C", "AA09FE00", "AA", "AA03"])
async def test_half_a_request_does_not_swallow_those_that_follow(
    client: TinyBmsClient, bms: ScriptedBms, half: str
) -> None:
    """A BMS that waits for the rest of a garbled request would take all others for it, for as long as they are sent."""
    bms.write(bytes.fromhex(half))
    with suppress(LinkError):
        await client.request(ReadModbus(0, 8))
    assert await client.request(ReadModbus(100, 8)) == values(100, 8)
    assert {type(request) for request in bms.requests} <= {ReadModbus, SimpleRequest}


async def test_a_write_is_preceded_by_nothing_that_completes_another(client: TinyBmsClient, bms: ScriptedBms) -> None:
    """Whoever writes has read before: what may be half a request is completed by a read."""
    sent: list[bytes] = []
    client.on_traffic = lambda entry: sent.append(entry.data) if entry.direction == "tx" else None
    bms.deliver = lambda _data: []
    for _ in range(6):
        with pytest.raises(LinkError):
            await client.request(WriteModbus(315, (4200,)))
    assert {len(data) for data in sent} == {len(WriteModbus(315, (4200,)).encode())}


async def test_a_reply_from_before_a_suspend_is_not_believed(bms: ScriptedBms, quick: ClientSettings) -> None:
    """It waited in the adapter for as long as the machine slept, and would look new."""
    clock = SuspendedClock()
    client = TinyBmsClient(bms.open, clock, replace(quick, attempts=1))
    await client.connect()
    await client.request(SimpleRequest(CommandCode.STATUS))

    def sleep(data: bytes) -> list[tuple[float, bytes]]:
        clock.slept_s = 3600.0
        return [(0.0, data)]

    bms.deliver = sleep
    with pytest.raises(LinkError, match="did not answer"):
        await client.request(ReadModbus(100, 8))
    assert await client.request(ReadModbus(100, 8)) == values(100, 8)
    await client.close()


async def test_a_doubled_reply_is_not_taken_for_the_next_one(client: TinyBmsClient, bms: ScriptedBms) -> None:
    """The second copy of a reply arrives when nothing is expected, and is drained."""
    bms.deliver = lambda data: [(0.0, data), (0.0, data)]
    for address in (0, 100, 200, 300):
        await asyncio.sleep(0.005)
        assert await client.request(ReadModbus(address, 8)) == values(address, 8)


async def test_noise_and_broadcast_text_are_skipped(client: TinyBmsClient, bms: ScriptedBms) -> None:
    """Registers 342 and 343 can put text lines between replies; they are counted, not believed."""
    text = b"BPV:49.05\tMINCV:3.766\tOS:151\r\n"
    bms.deliver = lambda data: [(0.0, text + b"\xaa\x03\xff" + data + text)]
    assert await client.request(ReadModbus(20, 6)) == values(20, 6)
    assert client.statistics.garbage_bytes >= len(text)


async def test_a_corrupted_reply_is_asked_for_again_without_waiting_long(
    bms: ScriptedBms, quick: ClientSettings
) -> None:
    """A CRC error ends the attempt early, so one flipped bit costs less than the time-out."""
    client = TinyBmsClient(bms.open, LoopClock(), replace(quick, timeout_s=5.0))
    await client.connect()
    flips = iter([False, True])
    bms.deliver = lambda data: [(0.0, data[:-1] + bytes([data[-1] ^ 1]) if next(flips, False) else data)]
    async with asyncio.timeout(2.0):
        assert await client.request(ReadModbus(7, 9)) == values(7, 9)
    assert (client.statistics.crc_errors, client.statistics.timeouts) == (1, 0)
    await client.close()


async def test_requests_do_not_overlap(client: TinyBmsClient, bms: ScriptedBms) -> None:
    """Many callers share one line: each gets its own answer."""
    bms.deliver = lambda data: [(0.002, data)]
    replies = await asyncio.gather(*(client.request(ReadModbus(n, 4)) for n in range(20)))
    assert replies == [values(n, 4) for n in range(20)]


async def test_an_exclusive_block_keeps_others_off_the_line(client: TinyBmsClient, bms: ScriptedBms) -> None:
    """A write and its read-back are not torn apart by the poll, and the poll gets its turn afterwards."""
    async with client.exclusive():
        other = asyncio.create_task(client.request(ReadModbus(0, 2)))
        await asyncio.sleep(0.01)
        await client.request(WriteModbus(315, (4200,)))
        await client.request(ReadModbus(315, 1))
    assert await other == values(0, 2)
    assert bms.requests == [WriteModbus(315, (4200,)), ReadModbus(315, 1), ReadModbus(0, 2)]


async def test_a_vanished_device_fails_the_request_and_can_be_opened_again(
    client: TinyBmsClient, bms: ScriptedBms
) -> None:
    """Pulling the adapter is noticed at once, not after the time-out, and the same client goes on afterwards."""
    bms.deliver = lambda _data: []
    asyncio.get_running_loop().call_later(0.02, bms.vanish)
    with pytest.raises(LinkError, match="vanished") as caught:
        await client.request(ReadModbus(0, 4))
    assert "USB plug" in caught.value.hint
    assert not client.connected
    bms.present = True
    bms.deliver = lambda data: [(0.0, data)]
    await client.connect()
    assert await client.request(ReadModbus(0, 4)) == values(0, 4)


async def test_closing_fails_what_is_under_way(client: TinyBmsClient, bms: ScriptedBms) -> None:
    """Nobody waits for an answer on a closed port."""
    bms.deliver = lambda _data: []
    asyncio.get_running_loop().call_later(0.02, lambda: asyncio.ensure_future(client.close()))
    with pytest.raises(LinkError):
        await client.request(ReadModbus(0, 4), attempts=1)
    with pytest.raises(LinkError, match="not open"):
        await client.request(ReadModbus(0, 4), attempts=1)


async def test_whoever_logs_the_traffic_gets_what_the_trace_gets(client: TinyBmsClient) -> None:
    """Each piece once, in both directions; not any more once the hook is taken away."""
    heard: list[TraceEntry] = []
    client.on_traffic = heard.append
    await client.request(SimpleRequest(CommandCode.STATUS))
    assert heard == list(client.trace.entries())[-len(heard) :]
    assert {entry.direction for entry in heard} == {"tx", "rx"}
    client.on_traffic, count = None, len(heard)
    await client.request(SimpleRequest(CommandCode.STATUS))
    assert len(heard) == count


async def test_the_trace_keeps_the_last_frames(client: TinyBmsClient) -> None:
    """Diagnosis shows both directions, in order, with times."""
    await client.request(SimpleRequest(CommandCode.STATUS))
    sent, received = client.trace.entries()[-2:]
    assert (sent.direction, sent.data) == ("tx", bytes.fromhex("AA187F1A"))
    assert received.direction == "rx"
    assert received.at_s >= sent.at_s
