"""The core's end of the link, against clients that behave and clients that do not."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tinybms_bridge.battery.inhibits import Direction
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.link.commands import (
    ActOnDevice,
    ReleaseInhibit,
    Reload,
    ResetStatistics,
    RestartPart,
    RestartProgram,
    SetInhibit,
)
from tinybms_bridge.link.failures import FailureKind
from tinybms_bridge.link.server import LinkServer
from tinybms_bridge.link.session import Caller, SessionBounds
from tinybms_bridge.link.wire import (
    MOST_FROM_CLIENT,
    BranchChange,
    Bye,
    Call,
    CallAnswer,
    CallProgress,
    EventMessage,
    EventsLost,
    Hello,
    KeepAlive,
    WholeState,
)
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.link_place import PATIENCE_S, Place, Rained, RawClient, Tank

Until = Callable[[Callable[[], object]], Awaitable[None]]
MakePlace = Callable[..., AbstractAsyncContextManager[Place]]

HALF_A_MEGABYTE = 500_000


class Gate:
    """A handler that waits until it is let go."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.under_way = 0
        self.done = 0
        self.cancelled = 0

    async def __call__(self, _command: object, _caller: Caller) -> None:
        """Wait."""
        self.under_way += 1
        try:
            await self.open.wait()
            self.done += 1
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the log warns of."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def connected(here: Place) -> RawClient:
    """Return a client that has read all that there is."""
    client = await here.greeted()
    await client.until(WholeState)
    return client


# state and events


async def test_client_gets_the_whole_state_then_each_change(here: Place) -> None:
    """What was published before is in the state, what comes after arrives with the next numbers."""
    here.server.publish("count", 1)
    here.server.publish("tank", Tank(1.5))
    here.server.publish("count", 2)
    client = await here.greeted()
    hello = await client.next()

    assert hello == Hello("1.0", "9.9", "core", here.server.run_id, 3, resumed=False)
    assert await client.next() == WholeState(3, {"tank": {"level_m": 1.5, "text": ""}, "count": 2})
    here.server.publish("tanks.a", Tank(2.5))
    here.server.publish_event("rained", Rained(3.0))
    assert await client.next() == BranchChange(4, "tanks.a", {"level_m": 2.5, "text": ""})
    assert await client.next() == EventMessage(5, "rained", {"amount_mm": 3.0, "text": ""})


async def test_branch_that_there_is_not_is_refused(here: Place) -> None:
    """A name that nobody listens to is a fault of the program, and shows at once."""
    with pytest.raises(ValueError, match="the state has no branch 'tnak'"):
        here.server.publish("tnak", Tank())


async def test_nothing_is_encoded_while_nobody_listens(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A core without services does not work for them; with two, each change is encoded once."""
    encoded: list[object] = []

    def encode(message: object) -> bytes:
        encoded.append(message)
        return b""

    monkeypatch.setattr("tinybms_bridge.link.outbox.encode", encode)

    for number in range(5):
        here.server.publish("count", number)
    await asyncio.sleep(0)
    assert encoded == []

    await connected(here)
    await connected(here)
    here.server.publish("count", 5)
    here.server.publish("count", 6)
    await asyncio.sleep(0.01)

    assert encoded == [BranchChange(7, "count", 6)]


async def test_who_comes_back_gets_what_it_missed(here: Place) -> None:
    """The newest of each branch that changed, the events, and nothing that it has."""
    here.server.publish("tank", Tank(1.0))
    here.server.publish("count", 1)
    here.server.publish_event("rained", Rained(1.0))
    for number in (2, 3):
        here.server.publish("count", number)
    here.server.publish_event("rained", Rained(2.0))

    client = await here.greeted(run=here.server.run_id, sequence=3)

    assert (await client.until(Hello)).resumed
    assert await client.next() == BranchChange(5, "count", 3)
    assert await client.next() == EventMessage(6, "rained", {"amount_mm": 2.0, "text": ""})


@pytest.mark.parametrize(("run", "sequence"), [("another run", 1), ("", 0), ("this", 400), ("this", 10)])
async def test_who_has_been_away_too_long_gets_everything(here: Place, run: str, sequence: int) -> None:
    """Of another run, with a number that there was not yet, or after more events than are kept."""
    for number in range(300):
        here.server.publish_event("rained", Rained(number))

    client = await here.greeted(run=here.server.run_id if run == "this" else run, sequence=sequence)

    assert not (await client.until(Hello)).resumed
    assert await client.next() == WholeState(300, {})


async def test_state_in_the_kernel_and_outbox_of_a_client_that_reads_nothing_is_bounded(
    here: Place, until: Until
) -> None:
    """It costs the others nothing; when it reads again it sees the present, and how much it has missed."""
    stuck = await here.raw(Hello("1.0", who="stuck"), limit=1)
    reading = await here.connect()
    await until(lambda: here.server.clients == 2)
    for number in range(2000):
        here.server.publish("tank", Tank(number, "x" * 1000))
        here.server.publish("count", number)
        here.server.publish_event("rained", Rained(number, "y" * 1000))
        if number % 50 == 0:
            await asyncio.sleep(0)
    await until(lambda: reading.mirror.state.count == 1999)

    assert here.server.traffic.bytes_sent < 2000 * 2400 + HALF_A_MEGABYTE
    statistics = here.server.statistics()
    assert statistics.events_lost > 1000
    assert statistics.merged > 1000

    found = [await stuck.next() for _ in range(2)]
    numbers: list[int] = []
    lost = events = 0
    last: dict[str, object] = {}
    while last.get("count") != 1999 or lost + events < 2000:
        message = await stuck.next()
        assert isinstance(message, BranchChange | EventMessage | EventsLost)
        if isinstance(message, EventsLost):
            lost += message.events
            continue
        numbers.append(message.sequence)
        if isinstance(message, BranchChange):
            last[message.branch] = message.value
        else:
            events += 1
    assert isinstance(found[1], WholeState)
    assert numbers == sorted(numbers)
    assert (lost, events) == (statistics.events_lost, 2000 - statistics.events_lost)


async def test_client_that_reads_nothing_is_closed_after_a_while(
    make_place: MakePlace, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once, however often it comes back."""
    clock = FakeClock()
    async with make_place(clock) as here:
        for _ in range(2):
            await here.raw(Hello("1.0", who="stuck"), limit=1)
            await until(lambda: here.server.clients == 1)
            for number in range(40):
                here.server.publish_event("rained", Rained(number, "x" * 20_000))
                await asyncio.sleep(0)
            await clock.advance(25)
            assert here.server.clients == 1
            await clock.advance(20)
            await until(lambda: here.server.clients == 0)
        text = f"stuck (process {os.getpid()}) read nothing for 30 s; its connection is closed"
        assert warnings(caplog) == [text]
        assert here.server.traffic.refused == 2


async def test_silence_is_broken_and_not_borne(make_place: MakePlace, until: Until) -> None:
    """The core says every five seconds that it is there, and closes who does not for thirty."""
    clock = FakeClock()
    async with make_place(clock) as here:
        client = await connected(here)
        await clock.advance(11)
        assert await client.next() == KeepAlive()
        client.send(KeepAlive(), Call(1, "nothing"))
        await client.until(CallAnswer)
        await clock.advance(25)
        assert here.server.clients == 1
        await clock.advance(15)
        assert (await client.rest())[-1] == Bye("sent nothing for 30 s")
        await until(lambda: here.server.clients == 0)


async def test_suspended_machine_is_no_silence(make_place: MakePlace) -> None:
    """Who slept with the core did not keep it waiting."""
    clock = FakeClock()
    async with make_place(clock) as here:
        await connected(here)
        clock.suspend(3600)
        await clock.advance(6)
        assert here.server.clients == 1


# what is no conversation


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "sent what is no message: a message of 1195725856 bytes is longer than the 262144"),
        (b"\x00\x00\x00\x04null", "sent what is no message: a message is no object with a type"),
        (b"\x00\x10\x00\x00" + b"x" * 1_048_576, "sent what is no message: a message of 1048576 bytes is longer"),
    ],
    ids=["http", "null", "megabyte"],
)
async def test_garbage_closes_the_connection(
    here: Place, sent: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With the reason to the client and to the log; the next client is served."""
    client = await here.raw(sent)

    (last,) = await client.rest()

    assert isinstance(last, Bye)
    assert last.reason.startswith(reason)
    assert len(warnings(caplog)) == 1
    await connected(here)
    assert here.server.clients == 1


async def test_half_a_message_then_silence_is_closed(make_place: MakePlace) -> None:
    """Whether or not it has said hello before."""
    clock = FakeClock()
    async with make_place(clock) as here:
        first = await here.raw(b"\x00\x00\x00\x40" + b"{")
        second = await connected(here)
        second.send(b"\x00\x00\x00\x40" + b"{")
        await asyncio.sleep(0.05)
        await clock.advance(16)
        assert await first.rest() == [Bye("said nothing that begins a conversation")]
        await clock.advance(30)
        assert (await second.rest())[-1] == Bye("sent nothing for 30 s")


async def test_other_version_is_refused_once_in_words(here: Place, caplog: pytest.LogCaptureFixture) -> None:
    """It may come again every second: the log says so once."""
    for _ in range(3):
        client = await here.greeted("2.0")
        (last,) = await client.rest()
        assert last == Bye(
            "cannot be talked to: it speaks version 2.0 of the link, this one 1.0;"
            " run both from the same version of the program"
        )
    assert len(warnings(caplog)) == 1
    assert "raw (process" in warnings(caplog)[0]


async def test_newer_minor_version_is_served(here: Place) -> None:
    """What it says beyond our words is passed over."""
    client = await here.raw()
    client.send_json({"type": "hello", "link_version": "1.1", "who": "newer", "colour": "blue"})
    client.send_json({"type": "subscribe", "branches": ["tank"]})
    client.send_json({"type": "command", "id": 1, "name": "part.restart", "arguments": {"part": "x"}, "urgent": True})

    await client.until(WholeState)
    answer = await client.until(CallAnswer)

    assert answer.failure is not None
    assert answer.failure.kind == FailureKind.LINK


async def test_conversation_begins_with_one_hello(here: Place) -> None:
    """Anything before it, and a second one, ends it."""
    early = await here.raw(Call(1, "restart"))
    twice = await here.raw(Hello("1.0"), Hello("1.0"))

    assert await early.rest() == [Bye("said something before hello")]
    assert (await twice.rest())[-1] == Bye("said hello twice")


async def test_client_that_says_goodbye_is_not_blamed(here: Place, until: Until) -> None:
    """So every command line ends."""
    client = await connected(here)
    client.send(Bye())

    await client.rest()

    await until(lambda: here.server.clients == 0)
    assert here.server.traffic.refused == 0


async def test_killed_client_process_is_forgotten(here: Place, until: Until) -> None:
    """With -9 in the middle of a conversation."""
    code = """
import socket, sys, time
from tinybms_bridge.link.wire import Hello, encode
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(encode(Hello("1.0", who="victim")) + b"\\x00\\x00")
time.sleep(600)
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(here.path))
    await until(lambda: here.server.clients == 1)

    process.send_signal(signal.SIGKILL)

    await until(lambda: here.server.clients == 0)
    here.server.publish("count", 1)
    await process.wait()
    assert here.server.traffic.refused == 0


# commands


async def test_command_is_carried_out_and_answered(here: Place) -> None:
    """With its checked arguments; who asked is known by the kernel."""
    seen: list[tuple[SetInhibit, str, int]] = []

    async def inhibit(command: SetInhibit, caller: Caller) -> dict[str, int]:
        seen.append((command, caller.who, caller.peer.pid))
        return {"answer": 42}

    here.server.handle(SetInhibit, inhibit)
    client = await connected(here)
    client.send(Call(7, "inhibit", {"direction": "charge", "duration_s": 60}))

    assert await client.next() == CallAnswer(7, {"answer": 42})
    assert seen == [(SetInhibit(Direction.CHARGE, 60.0), "raw", os.getpid())]


async def test_answer_comes_after_what_the_command_changed(here: Place) -> None:
    """Who has the answer also has the state that follows from it."""

    async def restart(_command: RestartPart, caller: Caller) -> None:
        caller.progress("half way")
        here.server.publish("count", 5)

    here.server.handle(RestartPart, restart)
    client = await connected(here)
    client.send(Call(1, "part.restart", {"part": "x"}))

    assert await client.next() == CallProgress(1, "half way")
    assert await client.next() == BranchChange(1, "count", 5)
    assert await client.next() == CallAnswer(1)


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "message"),
    [
        ("explode", {}, FailureKind.LINK, "the running bridge does not know the command explode"),
        ("inhibit", {"direction": "up"}, FailureKind.INVALID, "inhibit: direction: must be one of charge, discharge"),
        ("restart", {}, FailureKind.LINK, "no answer"),
        ("reload", {}, FailureKind.UNKNOWN, "nothing here is called 'main2'"),
        ("release", {"direction": "charge"}, FailureKind.INTERNAL, "the bridge failed at release: ZeroDivisionError;"),
        ("statistics.reset", {}, FailureKind.INTERNAL, "the answer cannot be sent; "),
    ],
)
async def test_failure_is_answered_by_kind(
    here: Place, name: str, arguments: dict[str, object], kind: FailureKind, message: str
) -> None:
    """Whatever happens, the client gets one answer, and the next command is carried out."""

    async def fail(command: object, _caller: Caller) -> object:
        if isinstance(command, RestartProgram):
            raise LinkError("no answer", hint="look")
        if isinstance(command, Reload):
            raise KeyError("main2")
        if isinstance(command, ResetStatistics):
            return object()
        return 1 / 0

    for kind_of in (SetInhibit, RestartProgram, Reload, ReleaseInhibit, ResetStatistics):
        here.server.handle(kind_of, fail)
    client = await connected(here)
    client.send(Call(1, name, arguments), Call(2, "restart"))

    first, second = await client.until(CallAnswer), await client.until(CallAnswer)

    assert {first.id, second.id} == {1, 2}
    answer = first if first.id == 1 else second
    assert answer.failure is not None
    assert answer.failure.kind == kind
    assert answer.failure.message.text.startswith(message)


async def test_too_many_commands_at_once_are_answered_as_busy(here: Place, until: Until) -> None:
    """Eight are under way at a time, each with a number of its own."""
    gate = Gate()
    here.server.handle(RestartPart, gate)
    client = await connected(here)
    client.send(*(Call(number, "part.restart", {"part": "x"}) for number in (*range(8), 3, 8, 9)))

    busy = [await client.until(CallAnswer) for _ in range(3)]
    assert [each.id for each in busy] == [3, 8, 9]
    assert {each.failure.kind for each in busy if each.failure} == {FailureKind.BUSY}
    assert gate.under_way == 8
    gate.open.set()
    assert sorted([(await client.until(CallAnswer)).id for _ in range(8)]) == list(range(8))
    assert here.server.traffic.busy == 3


async def test_number_of_a_command_under_way_is_taken(here: Place, until: Until) -> None:
    """Two answers to one number would tell nobody anything."""
    gate = Gate()
    here.server.handle(RestartPart, gate)
    client = await connected(here)
    client.send(Call(5, "part.restart", {"part": "x"}), Call(5, "part.restart", {"part": "y"}))

    answer = await client.until(CallAnswer)

    assert answer.failure is not None
    assert answer.failure.message.text == "command 5 is under way already"
    gate.open.set()
    assert (await client.until(CallAnswer)).failure is None


async def test_ten_thousand_commands_at_once_take_their_time(make_place: MakePlace, until: Until) -> None:
    """The core takes what the client's budget allows, and leaves the rest with the kernel; others are served."""
    clock = FakeClock()
    done = 0

    async def count(_command: object, _caller: Caller) -> None:
        nonlocal done
        done += 1

    async with make_place(clock, SessionBounds(messages_per_s=60, burst=60)) as here:
        here.server.handle(RestartPart, count)
        flood = await connected(here)
        flood.send(*(Call(number, "part.restart", {"part": "x"}) for number in range(10_000)))
        await until(lambda: here.server.traffic.throttled)
        await asyncio.sleep(0.05)
        assert here.server.traffic.commands <= 60
        for _ in range(10):
            await clock.advance(1)
            await asyncio.sleep(0.01)
        await until(lambda: here.server.traffic.commands >= 500)
        assert here.server.traffic.commands <= 60 + 10 * 60
        await until(lambda: done + here.server.traffic.busy == here.server.traffic.commands)
        here.server.publish("count", 1)
        assert await flood.until(BranchChange) == BranchChange(1, "count", 1)


async def test_large_messages_count_for_more(make_place: MakePlace, until: Until) -> None:
    """A flood of a few long messages costs no more than one of many short ones."""
    clock = FakeClock()
    async with make_place(clock, SessionBounds(burst=60)) as here:
        client = await connected(here)
        unknown = b'{"type":"novelty","x":"' + b"x" * 200_000 + b'"}'
        client.send(*[len(unknown).to_bytes(4, "big") + unknown] * 5, Call(1, "nothing"))
        await until(lambda: here.server.traffic.throttled)
        await asyncio.sleep(0.05)
        assert here.server.traffic.commands == 0
        async with asyncio.timeout(PATIENCE_S):
            while not here.server.traffic.commands:
                await clock.advance(1)
                await asyncio.sleep(0.01)


async def test_budget_is_that_of_the_process(make_place: MakePlace, until: Until) -> None:
    """Who connects anew for each command gets no more done."""
    clock = FakeClock()
    async with make_place(clock, SessionBounds(messages_per_s=1, burst=8)) as here:
        for _ in range(8):
            await here.raw(Hello("1.0"), Call(1, "nothing"))
        await until(lambda: here.server.traffic.connections == 8)
        await asyncio.sleep(0.05)
        assert here.server.traffic.commands <= 8
        assert here.server.clients < 8


async def test_connections_are_taken_at_their_pace(make_place: MakePlace, until: Until) -> None:
    """A client that connects in a loop waits with the kernel; it does not keep the core busy."""
    clock = FakeClock()
    async with make_place(clock) as here:
        for _ in range(16):
            await here.raw()
        await until(lambda: here.server.traffic.connections == 12)
        await asyncio.sleep(0.05)
        assert here.server.traffic.connections == 12
        await clock.advance(1)
        await until(lambda: here.server.traffic.connections == 16)


async def test_there_is_room_for_some_clients(make_place: MakePlace, until: Until) -> None:
    """One more is told why it is not served."""
    clock = FakeClock()
    async with make_place(clock) as here:
        for number in range(16):
            await here.greeted()
            await clock.advance(0.3)
            await until(lambda wanted=number + 1: here.server.clients == wanted)  # type: ignore[misc]
        await clock.advance(0.3)
        (last,) = await (await here.raw()).rest()
        assert last == Bye("16 clients are connected, and there may be no more")


async def test_one_process_cannot_take_all_the_room(here: Place, until: Until) -> None:
    """Services that lose their connections and keep them leave room for a command line."""
    code = """
import socket, sys
held = []
for _ in range(9):
    client = socket.socket(socket.AF_UNIX)
    client.connect(sys.argv[1])
    held.append(client)
print("ready", flush=True)
sys.stdin.read()
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(here.path), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    await until(lambda: here.server.traffic.refused == 3)

    assert here.server.traffic.connections == 6
    await connected(here)
    await process.communicate(b"")


@pytest.mark.parametrize("ends", [True, False])
async def test_what_ends_with_its_client_and_what_does_not(here: Place, until: Until, ends: bool) -> None:
    """What writes to a device goes on to its end, whoever has gone."""
    gate = Gate()
    here.server.handle(ActOnDevice, gate, ends_with_client=ends)
    client = await connected(here)
    client.send(Call(1, "device.action", {"action": "restart"}))
    await until(lambda: gate.under_way == 1)

    client.abort()
    await until(lambda: here.server.clients == 0)
    await asyncio.sleep(0.01)
    gate.open.set()
    await until(lambda: gate.under_way == 0)

    assert (gate.done, gate.cancelled) == ((0, 1) if ends else (1, 0))


async def test_client_that_reads_no_answers_is_heard_no_further(make_place: MakePlace, until: Until) -> None:
    """Its answers do not pile up: commands wait with the kernel until it reads."""

    async def answer(_command: object, _caller: Caller) -> str:
        return "x" * 50_000

    async with make_place(bounds=SessionBounds(silent_s=3600.0, messages_per_s=1e6, burst=1e6)) as here:
        here.server.handle(RestartPart, answer)
        client = await here.raw(Hello("1.0"), limit=1)
        for number in range(300):
            client.send(Call(number, "part.restart", {"part": "x"}))
            await asyncio.sleep(0.0005)
        await until(lambda: here.server.traffic.commands)
        await asyncio.sleep(0.1)
        assert here.server.traffic.commands < 150
        assert here.server.traffic.bytes_sent < 150 * 50_000
        answers = [await client.until(CallAnswer) for _ in range(300)]
        assert sorted(each.id for each in answers) == list(range(300))


# its life


async def test_end_is_told_and_commands_are_ended(here: Place, until: Until) -> None:
    """Each gets an answer, and the socket is gone."""
    gate = Gate()
    here.server.handle(RestartPart, gate)
    client = await connected(here)
    client.send(Call(1, "part.restart", {"part": "x"}))
    await until(lambda: gate.under_way == 1)

    await here.server.close()

    answer, bye = await client.rest()
    assert isinstance(answer, CallAnswer)
    assert answer.failure is not None
    assert answer.failure.message.text == "the bridge ends"
    assert bye == Bye("the bridge ends")
    assert gate.cancelled == 1
    assert not await asyncio.to_thread(here.path.exists)


async def test_part_runs_until_it_is_cancelled(tmp_path: Path, until: Until) -> None:
    """And starts again at the same place."""
    server = LinkServer(tmp_path / "s", FakeClock(), ["count"], run_blocking=in_place)
    for _ in range(2):
        task = asyncio.create_task(server.run())
        await until((tmp_path / "s").exists)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not await asyncio.to_thread((tmp_path / "s").exists)


async def test_second_bridge_is_refused(here: Place) -> None:
    """The first goes on."""
    with pytest.raises(LinkError, match="another bridge runs there"):
        await here.new_server().run()

    await connected(here)
    assert here.server.clients == 1


async def test_statistics_begin_again(here: Place) -> None:
    """Counters are of the time since the reset; the state is not touched."""
    await connected(here)
    here.server.publish("count", 1)
    assert here.server.statistics().changes == 1

    here.server.reset_statistics()

    assert here.server.statistics().changes == 0
    assert here.server.statistics().connections == 0
    assert here.server.clients == 1


async def test_handlers_are_known_by_name(here: Place) -> None:
    """What is handled can be listed."""
    here.server.handle(RestartPart, Gate())

    assert set(here.server.handlers) == {"part.restart"}
    assert MOST_FROM_CLIENT == 262_144
