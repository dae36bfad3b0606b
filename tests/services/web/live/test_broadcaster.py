"""The broadcaster: one encoding for all, rates, topics, slots."""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.link.event_list import EventRecord, EventSource
from tinybms_bridge.link.state import MonitoredFrame
from tinybms_bridge.services.web.callers import HttpCaller, Origin
from tinybms_bridge.services.web.live import Broadcaster, BroadcasterSettings, Client, ThrottleSettings, Topic
from tinybms_bridge.services.web.live.client import ClientCommand
from tinybms_lab.testing.fake_clock import FakeClock

WAIT_S = 30.0
SETTINGS = BroadcasterSettings(max_clients=500, throttle=ThrottleSettings(burst_max=100))


async def read(client: Client | None) -> str:
    """Take the waiting message."""
    assert client is not None
    async with asyncio.timeout(WAIT_S):
        text = await client.next()
    assert text is not None
    return text


async def waiting(client: Client | None) -> list[str]:
    """Take all that waits."""
    assert client is not None
    found = []
    while any(client.waits_with(topic) for topic in Topic):
        found.append(await read(client))
    return found


def joined(broadcaster: Broadcaster) -> Client:
    """Join."""
    client = broadcaster.join()
    assert client is not None
    return client


async def test_one_encoding_for_500_clients(core: Any, clock: FakeClock) -> None:
    """At one tick the bridge is looked at once and everybody gets the very same text."""
    broadcaster = Broadcaster(core, lambda: SETTINGS)
    clients = [joined(broadcaster) for _ in range(500)]
    await clock.advance(0.0)
    first = [await read(client) for client in clients]
    before = broadcaster.totals().encoded
    await clock.advance(1.0)
    texts = [await read(client) for client in clients]
    assert broadcaster.totals().encoded == before + 1
    assert all(text is texts[0] for text in texts)
    assert len(first) == 500
    for client in clients:
        broadcaster.leave(client)


async def test_registers_are_in_the_message_until_a_client_declines(core: Any, clock: FakeClock) -> None:
    """The seed's clients find them; one message is made for each of the two wishes."""
    broadcaster = Broadcaster(core, lambda: SETTINGS)
    clients = [joined(broadcaster) for _ in range(4)]
    for client in clients[2:]:
        broadcaster.obey(client, ClientCommand(registers=False))
    await clock.advance(0.0)
    for client in clients:
        await waiting(client)
    before = broadcaster.totals().encoded
    await clock.advance(1.0)
    texts = [await read(client) for client in clients]
    assert ["registers" in json.loads(text) for text in texts] == [True, True, False, False]
    assert (texts[0] is texts[1], texts[2] is texts[3], broadcaster.totals().encoded) == (True, True, before + 2)
    broadcaster.obey(clients[3], ClientCommand(registers=True))
    await clock.advance(1.0)
    assert "registers" in json.loads(await read(clients[3]))
    for client in clients:
        broadcaster.leave(client)


async def test_registers_give_way_to_the_longest_message(core: Any, clock: FakeClock) -> None:
    """A limit that was set for the message without them does not silence the live data."""
    broadcaster = Broadcaster(
        core, lambda: replace(SETTINGS, throttle=ThrottleSettings(burst_max=100, max_payload_bytes=1600))
    )
    client = joined(broadcaster)
    await clock.advance(0.0)
    message = json.loads(await read(client))
    assert "registers" not in message
    assert message["voltage"] == 54.32
    assert broadcaster.totals().dropped == 0
    broadcaster.leave(client)


async def test_one_machine_does_not_take_all_places(core: Any) -> None:
    """When all are taken, the machine with most places loses one to another machine; counted, and told why."""
    broadcaster = Broadcaster(core, lambda: replace(SETTINGS, max_clients=4))
    greedy, other = HttpCaller(Origin("10.0.0.66", "10.0.0.66")), HttpCaller(Origin("10.0.0.7", "10.0.0.7"))
    clients = [broadcaster.join(caller=greedy) for _ in range(4)]
    assert broadcaster.join(caller=greedy) is None
    newcomer = broadcaster.join(caller=other)
    assert newcomer is not None
    assert clients[3] is not None
    assert (clients[3].ended, clients[3].displaced) == (True, True)
    assert (broadcaster.clients, broadcaster.totals().refused) == (4, 2)
    for client in (*clients, newcomer):
        if client is not None:
            broadcaster.leave(client)


async def test_places_are_kept_for_who_is_logged_in(core: Any) -> None:
    """Four strangers on four machines have all places, and the owner gets one."""
    broadcaster = Broadcaster(core, lambda: replace(SETTINGS, max_clients=4))
    strangers = [broadcaster.join(caller=HttpCaller(Origin(f"10.0.0.{n}", f"10.0.0.{n}"))) for n in range(4)]
    owner = broadcaster.join(caller=HttpCaller(Origin("10.0.0.1", "10.0.0.1"), known=True))
    assert owner is not None
    assert sum(client is not None and client.displaced for client in strangers) == 1
    assert broadcaster.join(caller=HttpCaller(Origin("10.0.0.9", "10.0.0.9"))) is None
    for client in (*strangers, owner):
        if client is not None:
            broadcaster.leave(client)


async def test_many_clients_leave_turns_to_others(core: Any, clock: FakeClock) -> None:
    """While hundreds of clients get their messages the event loop turns to other work, such as the CAN burst."""
    broadcaster = Broadcaster(core, lambda: SETTINGS)
    clients = [joined(broadcaster) for _ in range(200)]
    served: list[int] = []

    async def other_work() -> None:
        while not served or served[-1] < len(clients):
            served.append(sum(client.waits_with(Topic.STATUS) for client in clients))
            await asyncio.sleep(0)

    async with asyncio.timeout(WAIT_S):
        await other_work()
    assert max(after - before for before, after in pairwise([0, *served])) <= 20
    for client in clients:
        broadcaster.leave(client)


async def test_first_message_at_once_then_on_the_grid(core: Any, clock: FakeClock) -> None:
    """A newcomer does not wait for the first message, and then shares the second of all others."""
    broadcaster = Broadcaster(core, lambda: SETTINGS)
    early = joined(broadcaster)
    await clock.advance(0.3)
    late = joined(broadcaster)
    await clock.advance(0.0)
    assert len(await waiting(late)) == 1
    await waiting(early)
    await clock.advance(0.6)
    assert await waiting(early) == await waiting(late) == []
    await clock.advance(0.1)
    assert (await read(early)) is (await read(late))
    broadcaster.leave(early)
    broadcaster.leave(late)


async def test_a_new_topic_comes_at_once(core: Any, clock: FakeClock) -> None:
    """Whoever subscribes does not wait for the next second; from then on the topic comes with the others."""
    broadcaster = Broadcaster(core, lambda: SETTINGS)
    client = joined(broadcaster)
    await clock.advance(0.3)
    await waiting(client)
    broadcaster.obey(client, ClientCommand(frozenset({Topic.LIMITS, Topic.PACKS}), interval_ms=1000))
    await clock.advance(0.0)
    assert {json.loads(text)["topic"] for text in await waiting(client)} == {"limits", "packs"}
    await clock.advance(0.6)
    assert await waiting(client) == []
    await clock.advance(0.1)
    assert len(await waiting(client)) == 2
    broadcaster.leave(client)


async def test_who_subscribes_a_hundred_times_a_second_gets_no_more(core: Any, clock: FakeClock) -> None:
    """Only the first message of a topic comes off the interval, however often it is left and asked for again."""
    broadcaster = Broadcaster(core, lambda: SETTINGS)
    client = joined(broadcaster)
    await clock.advance(0.0)
    await waiting(client)
    got: list[str] = []
    for turn in range(300):
        broadcaster.obey(client, ClientCommand(frozenset({Topic.LIMITS} if turn % 2 else {Topic.PACKS})))
        await clock.advance(0.01)
        got += [json.loads(text)["topic"] for text in await waiting(client)]
    assert set(got[:2]) == {"limits", "packs"}
    assert 2 + 2 <= len(got) <= 2 + 3
    broadcaster.leave(client)


async def test_a_new_topic_needs_a_login_that_still_counts(core: Any, clock: FakeClock) -> None:
    """A client of a long interval, whose login has ended meanwhile, gets no word of what it asks for."""
    logins = {"ann"}
    broadcaster = Broadcaster(core, lambda: SETTINGS)
    ann = broadcaster.join(lambda: "ann" in logins)
    assert ann is not None
    broadcaster.obey(ann, ClientCommand(interval_ms=60_000))
    logins.clear()
    await clock.advance(5.0)
    await waiting(ann)
    broadcaster.obey(ann, ClientCommand(frozenset({Topic.LIMITS})))
    await clock.advance(0.0)
    assert (ann.turned_away, await ann.next()) == (True, None)


async def test_own_rates(core: Any, clock: FakeClock) -> None:
    """A client may be faster than the others, within the configured bounds."""
    broadcaster = Broadcaster(core, lambda: SETTINGS)
    slow, fast = joined(broadcaster), joined(broadcaster)
    broadcaster.obey(fast, ClientCommand(interval_ms=100))
    got = {slow: 0, fast: 0}
    for _ in range(50):
        await clock.advance(0.1)
        for client in got:
            got[client] += len(await waiting(client))
    assert got[slow] in {5, 6}
    assert 49 <= got[fast] <= 51
    broadcaster.leave(slow)
    broadcaster.leave(fast)


async def test_interval_is_not_below_the_configured_one(core: Any) -> None:
    """The shortest interval of the configuration bounds what a client asks for."""
    broadcaster = Broadcaster(core, lambda: replace(SETTINGS, throttle=ThrottleSettings(min_interval_s=0.5)))
    client = joined(broadcaster)
    broadcaster.obey(client, ClientCommand(interval_ms=100))
    assert client.interval_s == 0.5
    broadcaster.leave(client)


async def test_fast_clients_are_spread_over_the_burst_window(core: Any, clock: FakeClock) -> None:
    """Four messages a second come every 250 ms, not four at once and then a pause; none is dropped."""
    broadcaster = Broadcaster(core, lambda: replace(SETTINGS, throttle=ThrottleSettings(burst_max=4)))
    client = joined(broadcaster)
    await clock.advance(0.0)
    await waiting(client)
    broadcaster.obey(client, ClientCommand(interval_ms=100))
    got = []
    for _ in range(100):
        await clock.advance(0.05)
        got.append(len(await waiting(client)))
    assert client.interval_s == 0.25
    assert 19 <= sum(got) <= 21
    assert not any(a and b for a, b in pairwise(got))
    assert client.throttle.dropped == 0
    broadcaster.leave(client)


async def test_changed_interval_counts_from_the_next_message(core: Any, clock: FakeClock) -> None:
    """A client that asked for no rate follows the configuration; one that did keeps its own."""
    settings = [SETTINGS]
    broadcaster = Broadcaster(core, lambda: settings[0])
    plain, own = joined(broadcaster), joined(broadcaster)
    broadcaster.obey(own, ClientCommand(interval_ms=500))
    settings[0] = replace(SETTINGS, interval_s=5.0)
    await clock.advance(2.0)
    assert (plain.interval_s, own.interval_s) == (5.0, 0.5)
    broadcaster.leave(plain)
    broadcaster.leave(own)


async def test_slow_client_gets_the_newest(core: Any, clock: FakeClock) -> None:
    """A slot holds one message: what was not taken is replaced, counted, and never piles up."""
    broadcaster = Broadcaster(core, lambda: SETTINGS)
    client = joined(broadcaster)
    for uptime_s in (10.0, 20.0, 30.0):
        core.uptime_s = uptime_s
        await clock.advance(1.0)
    assert json.loads(await read(client))["uptime_ms"] == 30_000
    assert client.replaced >= 2
    assert not client.waits_with(Topic.STATUS)
    broadcaster.leave(client)


async def test_too_many_are_refused(core: Any) -> None:
    """The limit of clients holds, and a place that gets free is given again."""
    broadcaster = Broadcaster(core, lambda: BroadcasterSettings(max_clients=2))
    first, second = joined(broadcaster), joined(broadcaster)
    assert broadcaster.join() is None
    broadcaster.leave(first)
    third = joined(broadcaster)
    assert broadcaster.totals().refused == 1
    broadcaster.leave(second)
    broadcaster.leave(third)


async def test_nobody_listening_costs_nothing(core: Any, clock: FakeClock) -> None:
    """Without clients the bridge is not even looked at."""
    broadcaster = Broadcaster(core, lambda: SETTINGS)
    client = joined(broadcaster)
    await clock.advance(1.0)
    broadcaster.leave(client)
    broadcaster.leave(client)
    looked = core.moments_taken
    await clock.advance(60.0)
    assert core.moments_taken == looked
    assert await client.next() is not None
    assert await client.next() is None


async def test_can_batches_are_complete(core: Any, clock: FakeClock, make_frame: Callable[..., MonitoredFrame]) -> None:
    """The topic starts with the frames after the subscription, and a slow client still misses none."""
    seen = core.seen_frames
    seen.append(make_frame(1))
    broadcaster = Broadcaster(core, lambda: SETTINGS)
    client = joined(broadcaster)
    broadcaster.obey(client, ClientCommand(frozenset({Topic.CAN})))
    await clock.advance(1.0)
    await waiting(client)
    for number in (2, 3, 4):
        seen.append(make_frame(number))
        await clock.advance(1.0)
    numbers = []
    for _ in range(2):
        numbers += [frame["number"] for frame in json.loads(await read(client))["frames"]]
        await clock.advance(1.0)
    assert numbers == [2, 3, 4]
    broadcaster.leave(client)


async def test_new_events_only(core: Any, clock: FakeClock) -> None:
    """The topic brings entries that are newer than the subscription, once."""
    entries = core.event_list
    entries.append(EventRecord(7, None, EventSource.BRIDGE, Severity.INFO, "old", ""))
    broadcaster = Broadcaster(core, lambda: SETTINGS)
    client = joined(broadcaster)
    broadcaster.obey(client, ClientCommand(frozenset({Topic.EVENTS})))
    await clock.advance(1.0)
    await waiting(client)
    entries.append(EventRecord(8, None, EventSource.BRIDGE, Severity.INFO, "new", ""))
    await clock.advance(2.0)
    (message,) = [json.loads(text) for text in await waiting(client)]
    assert [event["code"] for event in message["events"]] == ["new"]
    broadcaster.leave(client)


async def test_changed_configuration_counts_at_once(core: Any, clock: FakeClock) -> None:
    """A message that is longer than a new limit is dropped from the next tick on, and counted."""
    settings = [SETTINGS]
    broadcaster = Broadcaster(core, lambda: settings[0])
    client = joined(broadcaster)
    await clock.advance(1.0)
    await waiting(client)
    settings[0] = replace(SETTINGS, throttle=ThrottleSettings(max_payload_bytes=100))
    await clock.advance(2.0)
    assert await waiting(client) == []
    assert broadcaster.totals().dropped >= 2
    broadcaster.leave(client)


async def test_failure_ends_the_clients(
    core: Any, clock: FakeClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a message cannot be made, the clients are let go and the log says why; it works again afterwards."""

    def broken() -> None:
        raise ValueError("no moment")

    broadcaster = Broadcaster(core, lambda: SETTINGS)
    client = joined(broadcaster)
    await clock.advance(0.5)
    await waiting(client)
    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(core, "moment", broken)
        await clock.advance(1.0)
    assert await client.next() is None
    assert broadcaster.clients == 0
    assert "live data failed" in caplog.text
    again = joined(broadcaster)
    await clock.advance(0.0)
    assert await read(again)
    broadcaster.leave(again)


async def test_clients_whose_login_has_ended_leave(
    core: Any, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Within two seconds; the others go on, and the broadcaster rests when nobody is left."""
    logins = {"ann", "bob"}
    broadcaster = Broadcaster(core, lambda: SETTINGS)
    ann, bob = broadcaster.join(lambda: "ann" in logins), broadcaster.join(lambda: "bob" in logins)
    await clock.advance(0.0)
    assert await read(ann)
    logins.remove("ann")
    await clock.advance(2.0)
    assert ann is not None
    assert ann.ended
    assert await ann.next() is None
    assert broadcaster.clients == 1
    await waiting(bob)
    logins.clear()
    await clock.advance(2.0)
    assert broadcaster.clients == 0
    assert caplog.records == []
