"""Large answers: one at a time in a thread, a bounded queue, compression, answers that are made once."""

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.responses import Response

from tinybms_bridge.services.web.app import create_app
from tinybms_bridge.services.web.callers import HttpCaller, Origin
from tinybms_bridge.services.web.heavy import Heavy, HeavyWork, Text
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.services.web.problems import ProblemError

LONG = "a line of the log, much like the one before\n" * 200
PIECES = 5


def caller(number: int = 0, network: str = "", *, known: bool = False) -> HttpCaller:
    """Return a machine, by default in a network of its own."""
    return HttpCaller(Origin(f"machine {number}", network or f"network {number}"), known)


class Jam:
    """Work that goes on until it is let go."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.done: list[object] = []

    def hold(self) -> None:
        """Do nothing for long."""
        self.go_on.wait(30.0)

    def note(self, name: object) -> Callable[[], None]:
        """Return work that notes its turn."""
        return lambda: self.done.append(name)


@pytest.fixture
def jam() -> Iterator[Jam]:
    """Something that holds the thread; let go at the end."""
    jam = Jam()
    yield jam
    jam.go_on.set()


@pytest.fixture
async def work(jam: Jam) -> AsyncIterator[HeavyWork]:
    """A thread that is held up."""
    work = HeavyWork()
    first = asyncio.ensure_future(work.do(caller(999), jam.hold))
    await asyncio.sleep(0)
    yield work
    jam.go_on.set()
    await first


async def refused(work: HeavyWork, who: HttpCaller) -> bool:
    """Ask for something that nobody waits for; tell whether there was no place."""
    asked = asyncio.ensure_future(work.do(who, lambda: None))
    await asyncio.sleep(0)
    if not asked.done():
        asked.cancel()
        await asyncio.wait([asked])
        return False
    error = asked.exception()
    assert isinstance(error, ProblemError)
    assert (error.status_code, error.code) == (503, "busy")
    assert error.headers is not None
    assert int(error.headers["Retry-After"]) > 0
    return True


def ask(work: HeavyWork, who: HttpCaller, job: Callable[[], object] = lambda: None) -> "asyncio.Task[object]":
    """Begin to wait for a turn."""
    return asyncio.ensure_future(work.do(who, job))


async def test_one_at_a_time() -> None:
    """Two answers are never made at once: each thread that works costs the sender of the frames some milliseconds."""
    work, inside, most = HeavyWork(), 0, 0

    def job() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        threading.Event().wait(0.001)
        inside -= 1

    await asyncio.gather(*(work.do(caller(number % 4), job) for number in range(16)))
    assert (inside, most) == (0, 1)


async def test_a_machine_does_not_get_all_places(work: HeavyWork) -> None:
    """One that asks for hundreds is told to come again; others still find a place."""
    waiting = [ask(work, caller(1)) for _ in range(8)]
    await asyncio.sleep(0)
    assert await refused(work, caller(1))
    assert not await refused(work, caller(2))
    for each in waiting:
        each.cancel()


async def test_a_network_does_not_get_all_places(work: HeavyWork) -> None:
    """Nor does whoever has 2^64 addresses, or writes the headers of a proxy itself."""
    waiting = [ask(work, caller(number, "2001:db8::/64")) for number in range(12)]
    await asyncio.sleep(0)
    assert await refused(work, caller(99, "2001:db8::/64"))
    assert not await refused(work, caller(100))
    for each in waiting:
        each.cancel()


async def test_strangers_leave_places_for_who_is_logged_in(work: HeavyWork, jam: Jam) -> None:
    """However many machines ask, the owner gets an answer, and before them."""
    strangers = [ask(work, caller(number), jam.note(number)) for number in range(16)]
    await asyncio.sleep(0)
    assert await refused(work, caller(50))
    owner = ask(work, caller(60, known=True), jam.note("owner"))
    await asyncio.sleep(0)
    jam.go_on.set()
    await asyncio.gather(owner, *strangers)
    assert jam.done == ["owner", *range(16)]


async def test_the_queue_is_bounded_for_all(work: HeavyWork) -> None:
    """Memory is, whoever asks."""
    waiting = [ask(work, caller(number, known=True)) for number in range(24)]
    await asyncio.sleep(0)
    assert await refused(work, caller(99, known=True))
    for each in waiting:
        each.cancel()


async def test_who_gives_up_frees_the_place(work: HeavyWork, jam: Jam) -> None:
    """A server that stops, a turn that comes in the very moment of giving up: the others go on."""
    waiting = [ask(work, caller(1), jam.note(number)) for number in range(8)]
    await asyncio.sleep(0)
    for each in waiting[:6]:
        each.cancel()
    await asyncio.wait(waiting[:6])
    assert not await refused(work, caller(1))
    jam.go_on.set()
    await asyncio.gather(*waiting[6:])
    assert jam.done == [6, 7]


async def test_a_failure_lets_the_next_one_begin() -> None:
    """An error belongs to its own request."""
    work = HeavyWork()

    def broken() -> None:
        raise ZeroDivisionError

    failed, good = ask(work, caller(1), broken), ask(work, caller(2), lambda: "good")
    assert await good == "good"
    with pytest.raises(ZeroDivisionError):
        await failed


async def test_files_under_way_are_few() -> None:
    """A slow client holds one of a few places, and a machine two; who is logged in has more."""
    work = HeavyWork()
    streams = [work.stream(caller(number), iter(["x", "y"]), packed=False) for number in (1, 1, 2, 3)]
    for each in streams:
        assert await anext(each) == b"x"
    for who in (caller(1), caller(9)):
        with pytest.raises(ProblemError):
            work.check_stream(who)
    work.check_stream(caller(9, known=True))
    await streams[0].aclose()  # type: ignore[attr-defined]  # it is a generator
    work.check_stream(caller(9))


@pytest.fixture
def made() -> list[str]:
    """What the routes below have made."""
    return []


@pytest.fixture
def routes(made: list[str]) -> APIRouter:
    """A long answer, a short one, one that stays the same, and a file."""
    router = APIRouter()

    @router.get("/api/long")
    async def long(heavy: Heavy) -> Response:
        def make() -> Text:
            made.append(threading.current_thread().name)
            return Text(LONG, "text/plain")

        return await heavy.answer(make)

    @router.get("/api/short")
    async def short(heavy: Heavy) -> Response:
        return await heavy.answer(lambda: Text({"success": True}))

    @router.get("/api/same")
    async def same(heavy: Heavy) -> Response:
        def make() -> Text:
            made.append("same")
            return Text({"text": LONG})

        return await heavy.kept("same", make)

    @router.get("/api/file")
    async def file(heavy: Heavy) -> Response:
        return heavy.stream((LONG for _ in range(PIECES)), "text/csv", {"X-Name": "file"})

    return router


@pytest.fixture
def application(core: Any, routes: APIRouter) -> FastAPI:
    """An application of these routes."""
    return create_app(core, WebOptions(), routers=[routes])


@pytest.fixture
def page(application: FastAPI, connect: Callable[..., httpx.AsyncClient]) -> httpx.AsyncClient:
    """A client that takes gzip, as browsers do."""
    return connect(application)


PLAIN = {"Accept-Encoding": "identity"}


async def test_the_text_is_made_in_the_thread(page: httpx.AsyncClient, made: list[str]) -> None:
    """Nothing of it runs on the event loop, which sends the frames."""
    await page.get("/api/long")
    (thread,) = made
    assert thread.startswith("web-heavy")


@pytest.mark.parametrize("path", ["/api/long", "/api/file", "/api/same"])
async def test_long_answers_are_compressed_for_who_can_read_that(page: httpx.AsyncClient, path: str) -> None:
    """The same text either way, and caches in between are told that it depends."""
    packed, plain = await page.get(path), await page.get(path, headers=PLAIN)
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text
    assert "accept-encoding" in packed.headers["vary"].lower()
    assert "accept-encoding" in plain.headers["vary"].lower()


async def test_a_short_answer_is_not_compressed(page: httpx.AsyncClient) -> None:
    """It would only grow."""
    answer = await page.get("/api/short")
    assert "content-encoding" not in answer.headers
    assert answer.json() == {"success": True}


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("x-gzip", True),
        ("*", True),
        ("GZIP ; q=0.5", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("*;q=0", False),
        ("br", False),
        ("gzipped", False),
        ("," * 5000, False),
    ],
)
async def test_what_a_client_says_that_it_can_read(page: httpx.AsyncClient, accepted: str, packed: bool) -> None:
    """A proxy or a script says it in its own way; what is refused is not sent (RFC 9110, section 12.5.3)."""
    async with page.stream("GET", "/api/long", headers={"Accept-Encoding": accepted}) as answer:
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert (gzip.decompress(raw) if packed else raw).decode() == LONG


async def test_a_file_is_whole(page: httpx.AsyncClient) -> None:
    """All pieces, in their order."""
    answer = await page.get("/api/file")
    assert answer.text == LONG * PIECES
    assert answer.headers["x-name"] == "file"


async def test_an_answer_that_stays_the_same_is_made_once(page: httpx.AsyncClient, made: list[str]) -> None:
    """And sent once to a client that keeps it."""
    first = await page.get("/api/same")
    again = await page.get("/api/same", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert first.headers["cache-control"] == "no-cache"
    assert made == ["same"]


@pytest.mark.parametrize("has", ['"x"', "x", "", 'W/""', '"', "\xff", ", ,"])
async def test_a_client_with_something_else_gets_it(page: httpx.AsyncClient, has: str) -> None:
    """Another tag, a broken one or none."""
    answer = await page.get("/api/same", headers={b"If-None-Match": has.encode("latin-1")})
    assert answer.status_code == 200


async def test_head_is_as_get(page: httpx.AsyncClient) -> None:
    """Without a body; a file that was asked for so leaves its place."""
    for _ in range(10):
        assert (await page.head("/api/file")).status_code == 200
    head = await page.head("/api/long", headers=PLAIN)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(LONG)))


async def test_the_openapi_document_is_made_once(page: httpx.AsyncClient) -> None:
    """It is the largest answer of all: compressed, and not sent again."""
    first = await page.get("/api/openapi.json")
    again = await page.get("/api/openapi.json", headers={"If-None-Match": first.headers["etag"]})
    assert first.json()["info"]["title"] == "tinybms-bridge"
    assert again.status_code == 304
