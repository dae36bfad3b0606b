"""What clients may say and how much they get: the throttle, the commands, and the slots of one client."""

import asyncio
import json
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.services.web.live.client import (
    BadCommand,
    Client,
    ClientCommand,
    RateLimit,
    Throttle,
    ThrottleSettings,
    parse_command,
)
from tinybms_bridge.services.web.live.messages import Topic

FIRMWARE = ThrottleSettings(min_interval_s=0.1, burst_window_s=0.5, burst_max=2, max_payload_bytes=128)


def test_figures_of_the_firmware() -> None:
    """Sending at 0, 50, 150 and 160 ms lets the first and the third through (firmware reference, 7.7)."""
    throttle = Throttle(FIRMWARE)
    assert [throttle.allow(at_s, 100) for at_s in (0.0, 0.05, 0.15, 0.16)] == [True, False, True, False]
    assert throttle.dropped == 2


def test_burst_ends_with_the_window() -> None:
    """Within a window only so many go out; the next window starts with the first one after it."""
    throttle = Throttle(FIRMWARE)
    assert [throttle.allow(at_s, 1) for at_s in (0.0, 0.1, 0.2, 0.4, 0.5)] == [True, True, False, False, True]


def test_long_message_is_never_sent() -> None:
    """A message above the limit is dropped, even the first one."""
    throttle = Throttle(FIRMWARE)
    assert not throttle.allow(0.0, 129)
    assert throttle.allow(0.0, 128)


def test_grid_of_the_shortest_interval() -> None:
    """Sums that are not exact do not cost messages: ten a second are ten a second."""
    throttle = Throttle(ThrottleSettings(min_interval_s=0.1, burst_max=100))
    at_s, sent = 1000.0, 0
    for _ in range(100):
        sent += throttle.allow(at_s, 10)
        at_s += 0.1
    assert sent == 100


@given(st.lists(st.floats(0.0, 2.0), min_size=1, max_size=60))
def test_no_window_holds_more_than_the_burst(gaps_s: list[float]) -> None:
    """Whatever the times, neighbours keep the interval and no window has more than its burst."""
    throttle = Throttle(FIRMWARE)
    at_s, allowed = 0.0, []
    for gap_s in gaps_s:
        at_s += gap_s
        if throttle.allow(at_s, 1):
            allowed.append(at_s)
    assert allowed
    assert all(b - a >= 0.0999 for a, b in pairwise(allowed))
    assert all(c - a >= 0.1999 for a, c in zip(allowed, allowed[2:], strict=False))


def test_topics_and_interval() -> None:
    """Both parts of a message are read."""
    command = parse_command('{"subscribe": ["status", "can"], "interval_ms": 250}')
    assert command == ClientCommand(frozenset({Topic.STATUS, Topic.CAN}), 250)


def test_parts_are_optional() -> None:
    """What is left out stays as it is."""
    assert parse_command('{"interval_ms": 100}') == ClientCommand(None, 100)
    assert parse_command('{"subscribe": []}') == ClientCommand(frozenset(), None)
    assert parse_command('{"registers": false}') == ClientCommand(registers=False)
    assert parse_command('{"lang": "fr"}') == ClientCommand(language="fr")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "JSON"),
        ("[" * 5000, "JSON"),
        ("[]", "object"),
        ("{}", "object"),
        ('{"send_can": 1}', "object"),
        ('{"subscibe": ["status"]}', r"did you mean subscribe\?"),
        ('{"subscribe": "status"}', "list"),
        ('{"subscribe": ["nothing"]}', "status, limits, packs, outputs, registers, can, events, overview"),
        ('{"subscribe": [1]}', "list"),
        ('{"subscribe": [{}]}', "list"),
        ('{"interval_ms": 99}', "100 to 60000"),
        ('{"interval_ms": 60001}', "100 to 60000"),
        ('{"interval_ms": true}', "100 to 60000"),
        ('{"interval_ms": 500.5}', "100 to 60000"),
        ('{"interval_ms": "500"}', "100 to 60000"),
        ('{"lang": "de"}', "en or fr"),
        ('{"lang": 1}', "en or fr"),
        ('{"lang": ["fr"]}', "en or fr"),
        ('{"registers": "no"}', "true or false"),
        ('{"registers": 0}', "true or false"),
        ('{"registers": [1]}', "true or false"),
    ],
)
def test_bad_messages_say_what_is_allowed(text: str, hint: str) -> None:
    """A message that is not understood is refused with what would be."""
    with pytest.raises(BadCommand, match=hint):
        parse_command(text)


@given(st.text(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_text_gives_a_command_or_a_refusal(text: str) -> None:
    """No text of a stranger raises anything else."""
    command = None
    with suppress(BadCommand):
        command = parse_command(text)
    assert command is None or command != ClientCommand()


def test_flood_empties_the_bucket() -> None:
    """A burst passes, then only the steady rate."""
    limit = RateLimit(burst=3, per_s=1.0)
    assert [limit.allow(0.0) for _ in range(5)] == [True, True, True, False, False]
    assert limit.allow(1.0)
    assert not limit.allow(1.5)
    assert [limit.allow(100.0) for _ in range(4)] == [True, True, True, False]


def new_client(interval_s: float = 1.0, now_s: float = 0.0) -> Client:
    """Return a client."""
    return Client(interval_s, ThrottleSettings(), now_s)


async def test_newest_of_each_topic() -> None:
    """A slot holds the newest message of its topic, and topics do not push each other out."""
    client = new_client()
    client.offer(Topic.STATUS, "old")
    client.offer(Topic.CAN, "frames")
    client.offer(Topic.STATUS, "new")
    assert sorted([str(await client.next()), str(await client.next())]) == ["frames", "new"]
    assert (client.sent, client.replaced) == (2, 1)


async def test_waiting_reader_is_woken() -> None:
    """A reader that waits gets the message as soon as it is there."""
    client = new_client()
    reader = asyncio.ensure_future(client.next())
    await asyncio.sleep(0)
    assert not reader.done()
    client.offer(Topic.STATUS, "text")
    assert await reader == "text"


async def test_end_after_the_last_message() -> None:
    """What is in the slots is still given out, then nothing."""
    client = new_client()
    client.offer(Topic.STATUS, "last")
    client.end()
    assert await client.next() == "last"
    assert await client.next() is None


@given(st.sampled_from([0.1, 0.25, 0.5, 1.0, 3.0, 60.0]), st.floats(0.0, 1e6))
def test_due_time_is_ahead_and_on_the_grid(interval_s: float, now_s: float) -> None:
    """The next message is due within one interval, at a multiple of it."""
    client = new_client(interval_s)
    client.schedule(now_s)
    assert now_s - 1e-3 < client.due_s <= now_s + interval_s * 1.001
    steps = client.due_s / interval_s
    assert abs(steps - round(steps)) < 1e-6


async def test_login_that_ends_takes_what_waits_with_it() -> None:
    """Asked every two seconds at most; once the login has ended not even a message that was ready goes out."""
    allowed, asked = True, 0

    def may_read() -> bool:
        nonlocal asked
        asked += 1
        return allowed

    client = Client(1.0, ThrottleSettings(), 100.0, may_read)
    assert [client.still_may_read(100.0 + 0.5 * step) for step in range(9)] == [True] * 9
    assert asked == 2
    client.offer(Topic.STATUS, "secret")
    allowed = False
    assert client.still_may_read(105.9) is True
    assert client.still_may_read(106.0) is False
    client.end()
    assert await client.next() is None
    assert client.turned_away
