"""The WebSocket ``/ws``: which side ends it and how, and the same inside the whole application."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.websockets import WebSocketDisconnect

from tinybms_bridge.link.state import MonitoredFrame
from tinybms_bridge.services.web.accounts import Account, Role
from tinybms_bridge.services.web.accounts.credentials import new_record, write_token
from tinybms_bridge.services.web.app import create_app
from tinybms_bridge.services.web.live import Broadcaster, BroadcasterSettings
from tinybms_bridge.services.web.live.endpoint import Close, close, serve
from tinybms_bridge.services.web.live.watch import broadcaster_settings
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.services.web.security import Gate
from tinybms_lab.testing.fake_clock import FakeClock


class Socket:
    """A WebSocket whose two directions a test decides."""

    def __init__(self, send_error: Exception | None = None) -> None:
        self.send_error = send_error
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.texts: list[str] = []
        self.closed: list[tuple[int, str]] = []

    async def send_text(self, text: str) -> None:
        """Take or refuse a message."""
        if self.send_error is not None:
            raise self.send_error
        self.texts.append(text)

    async def receive(self) -> dict[str, Any]:
        """Wait for what the client says."""
        return await self.incoming.get()

    async def close(self, code: int, reason: str) -> None:
        """Note the end."""
        if self.closed:
            raise RuntimeError("closed twice")
        self.closed.append((code, reason))


async def follow(socket: Socket, core: Any, clock: FakeClock) -> Broadcaster:
    """Serve one client until the connection ends."""
    broadcaster = Broadcaster(core, BroadcasterSettings)
    client = broadcaster.join()
    assert client is not None
    async with asyncio.timeout(30.0):
        await serve(socket, broadcaster, client, clock)  # type: ignore[arg-type]
    return broadcaster


@pytest.mark.parametrize("error", [WebSocketDisconnect(1006), RuntimeError("the connection is closed")])
async def test_client_that_vanishes_while_sending(core: Any, clock: FakeClock, error: Exception) -> None:
    """A dead connection ends quietly: nobody is left to tell a reason."""
    socket = Socket(error)
    broadcaster = await follow(socket, core, clock)
    assert socket.closed == []
    assert broadcaster.clients == 0


async def test_client_that_says_goodbye(core: Any, clock: FakeClock) -> None:
    """A client that leaves is forgotten, and no task of it stays behind."""
    socket = Socket()
    socket.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
    before = asyncio.all_tasks()
    broadcaster = await follow(socket, core, clock)
    await asyncio.sleep(0)
    assert broadcaster.clients == 0
    assert asyncio.all_tasks() <= before
    assert socket.closed == []


async def test_reason_of_the_server(core: Any, clock: FakeClock) -> None:
    """When the server ends it, the client is told why, once."""
    socket = Socket()
    socket.incoming.put_nowait({"type": "websocket.receive", "bytes": b"\0"})
    await follow(socket, core, clock)
    assert socket.closed == [(1003, "messages must be text")]


async def test_end_of_the_server(core: Any, clock: FakeClock) -> None:
    """A cancelled connection leaves the broadcaster and ends its tasks."""
    broadcaster = Broadcaster(core, BroadcasterSettings)
    client = broadcaster.join()
    assert client is not None
    serving = asyncio.ensure_future(serve(Socket(), broadcaster, client, clock))  # type: ignore[arg-type]
    await clock.advance(0.0)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert broadcaster.clients == 0


async def test_closing_twice_is_no_failure() -> None:
    """A connection that is closed already stays closed."""
    socket = Socket()
    for _ in range(2):
        await close(socket, Close(1008, "policy"))  # type: ignore[arg-type]
    assert socket.closed == [(1008, "policy")]


Browse = Callable[..., Any]


def limit(app: FastAPI, core: Any, settings: BroadcasterSettings) -> Broadcaster:
    """Give the application a broadcaster with its own bounds."""
    app.state.watch.broadcaster = broadcaster = Broadcaster(core, lambda: settings)
    return broadcaster


async def test_message_once_a_second(browse: Browse, clock: FakeClock) -> None:
    """A client that says nothing gets the flat message at once and then each second."""
    browser = browse()
    await browser.until(lambda: browser.got)
    for count in (2, 3):
        await clock.advance(1.0)
        await browser.until(lambda count=count: len(browser.got) == count)
    assert browser.got[0]["voltage"] == 54.32


async def test_settings_of_the_configuration(app: FastAPI, core: Any) -> None:
    """The bounds are those of section web_server, also after a change."""
    assert app.state.watch.broadcaster.settings.max_clients == 32
    await asyncio.to_thread(core.store.update, {"web_server": {"max_ws_clients": 9, "websocket_burst_max": 7}})
    assert app.state.watch.broadcaster.settings.max_clients == 9
    assert broadcaster_settings(core.store.configuration.web_server).throttle.burst_max == 7


async def test_a_client_too_many_is_told(browse: Browse, core: Any) -> None:
    """Above the configured limit, here that of the seed, a client is closed with "try again later"."""
    await asyncio.to_thread(core.store.update, {"web_server": {"max_ws_clients": 4}})
    browsers = [browse() for _ in range(4)]
    for browser in browsers:
        await browser.until(lambda browser=browser: browser.got)
    fifth = browse()
    await fifth.until(lambda: fifth.close_code)
    assert fifth.close_code == 1013
    assert fifth.got == []


async def test_another_machine_gets_a_place(browse: Browse, core: Any) -> None:
    """A machine with all places loses the last one to another behind the same proxy; it is told to come again later."""
    await asyncio.to_thread(core.store.update, {"web_server": {"max_ws_clients": 2}})
    greedy = [browse(), browse()]
    for browser in greedy:
        await browser.until(lambda browser=browser: browser.got)
    other = browse(headers=[(b"x-forwarded-for", b"192.168.1.7")])
    await other.until(lambda: other.got)
    await greedy[1].until(lambda: greedy[1].close_code)
    assert (greedy[1].close_code, greedy[1].close_reason) == (1013, "too many clients: somebody else needs the place")
    assert greedy[0].close_code is None


async def test_login_where_reading_is_closed(core: Any, browse: Browse) -> None:
    """Without a login nothing is shown where reading needs one."""
    closed = type(browse())(create_app(core, WebOptions(open_reading=False)))
    await closed.until(lambda: closed.close_code)
    assert closed.close_code == 1008
    assert closed.got == []
    await closed.task


async def test_open_socket_does_not_outlive_its_login(core: Any, browse: Browse, clock: FakeClock) -> None:
    """Where reading needs a login: a token that is revoked closes the socket that it opened, with "policy"."""
    application = create_app(core, WebOptions(open_reading=False))
    gate: Gate = application.state.gate
    record = new_record("ann", "panel", Role.VIEWER, gate.clock.wall(), 1)
    registry = gate.accounts.registry.with_account(Account("ann", Role.VIEWER, "x"))
    gate.accounts.registry = registry.with_token(record, gate.clock.wall())
    socket = type(browse())(application, f"token={write_token(record, registry.secret)}")
    await socket.until(lambda: socket.got)
    gate.accounts.registry = registry
    await clock.advance(2.0)
    await socket.until(lambda: socket.close_code)
    assert (socket.close_code, socket.close_reason) == (1008, "the login has ended")
    assert len(socket.got) <= 2
    await socket.task


async def test_subscribing(
    app: FastAPI, browse: Browse, core: Any, clock: FakeClock, make_frame: Callable[..., MonitoredFrame]
) -> None:
    """A client chooses topics and rate with one message."""
    browser = browse()
    await browser.until(lambda: browser.got)
    browser.say({"subscribe": ["can", "limits"], "interval_ms": 500})
    (follower,) = app.state.watch.broadcaster._clients
    await browser.until(lambda: follower.interval_s == 0.5)
    core.seen_frames.append(make_frame(1))
    browser.got.clear()
    await clock.advance(0.5)
    await browser.until(lambda: len(browser.got) == 2)
    assert {message["topic"] for message in browser.got} == {"can", "limits"}


async def test_nonsense_is_answered(browse: Browse) -> None:
    """A message that is not understood gets an answer, and the live data goes on."""
    browser = browse()
    browser.say_text("hello")
    await browser.until(lambda: any(message.get("topic") == "error" for message in browser.got))
    assert browser.close_code is None


@pytest.mark.parametrize("size", [1025, 1_000_000])
async def test_long_message_closes(browse: Browse, size: int) -> None:
    """A message above the limit ends the connection with "too big"."""
    browser = browse()
    browser.say_text("x" * size)
    await browser.until(lambda: browser.close_code)
    assert browser.close_code == 1009


async def test_flood_closes(browse: Browse) -> None:
    """A client that sends without end is closed with "policy"."""
    browser = browse()
    for _ in range(200):
        browser.say({"interval_ms": 1000})
    await browser.until(lambda: browser.close_code)
    assert browser.close_code == 1008


async def test_binary_closes(browse: Browse) -> None:
    """Only text is taken."""
    browser = browse()
    browser.say_bytes(b"\x00")
    await browser.until(lambda: browser.close_code)
    assert browser.close_code == 1003


async def test_stuck_client_costs_nobody_anything(app: FastAPI, core: Any, browse: Browse, clock: FakeClock) -> None:
    """While one client takes nothing the others get every message, and it is let go after the timeout."""
    broadcaster = limit(app, core, BroadcasterSettings(stuck_timeout_s=0.3))
    stuck, good = browse(), browse()
    await good.until(lambda: good.got and stuck.got)
    stuck.stick()
    for count in range(2, 12):
        await clock.advance(1.0)
        await good.until(lambda count=count: len(good.got) == count)
    assert len(stuck.got) == 1
    await good.until(lambda: broadcaster.clients == 1)
    stuck.unstick()
    await stuck.until(lambda: stuck.close_code)
    assert stuck.close_code == 1008


async def test_client_that_never_reads_again_is_given_up(app: FastAPI, core: Any, browse: Browse) -> None:
    """Even when the closing frame cannot be delivered, the connection's task ends."""
    limit(app, core, BroadcasterSettings(stuck_timeout_s=0.05))
    browser = browse()
    browser.stick()
    await asyncio.wait_for(asyncio.shield(browser.task), 30.0)
    assert browser.task.done()


async def test_500_clients(app: FastAPI, core: Any, browse: Browse, clock: FakeClock) -> None:
    """Five hundred browsers get every message, three of which were encoded once each."""
    broadcaster = limit(app, core, BroadcasterSettings(max_clients=500))
    browsers = [browse() for _ in range(500)]
    await browsers[0].until(lambda: all(browser.got for browser in browsers))
    before = broadcaster.totals().encoded
    for count in (2, 3, 4):
        await clock.advance(1.0)
        await browsers[0].until(lambda count=count: all(len(each.got) == count for each in browsers))
    assert broadcaster.totals().encoded == before + 3
    assert {browser.got[-1]["voltage"] for browser in browsers} == {54.32}


async def test_leaving_frees_the_place(app: FastAPI, browse: Browse) -> None:
    """A closed tab is forgotten, and its counters are kept."""
    browser = browse()
    await browser.until(lambda: browser.got)
    browser.leave()
    await browser.task
    assert app.state.watch.broadcaster.clients == 0
    assert app.state.watch.broadcaster.totals().sent == 1
    assert browser.close_code is None


async def test_end_of_the_live_data_closes(
    app: FastAPI, core: Any, browse: Browse, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When messages cannot be made any more, clients are closed with "internal error" so that they come again."""
    browser = browse()
    await browser.until(lambda: browser.got)

    def broken() -> None:
        raise ValueError("no moment")

    monkeypatch.setattr(core, "moment", broken)
    await clock.advance(1.0)
    await browser.until(lambda: browser.close_code)
    assert browser.close_code == 1011
