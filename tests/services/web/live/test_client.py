"""The slots of one client."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.services.web.live.client import Client
from tinybms_bridge.services.web.live.messages import Topic
from tinybms_bridge.services.web.live.throttle import ThrottleSettings


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
