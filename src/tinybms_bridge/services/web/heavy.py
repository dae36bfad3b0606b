"""Large answers: made one at a time in a thread of their own, so that reading cannot hold up the CAN frames.

CPython runs one thread at a time. What is made on the event loop delays it by all of its time, and what is made beside
it by some milliseconds for each thread that works. So values are taken on the loop, where they are consistent, and
everything else - choosing, text, compression - is done by one thread, which rests as long as it has worked. Who finds
no place in the queue before it is told to come again (503 with ``Retry-After``); no machine gets all places, and some
are for who is logged in.
"""

import asyncio
import hashlib
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import Depends
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tinybms_bridge.services.web.callers import HttpCaller
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.security.gate import Gate
from tinybms_bridge.services.web.security.origin import origin_of
from tinybms_bridge.words import message

__all__ = ["Heavy", "HeavyAnswers", "HeavyWork", "Text", "takes_gzip"]

T = TypeVar("T")

_PACKED_FROM_BYTES = 1024
"""A shorter answer fits into one packet with its head."""
_LEVEL, _LEVEL_OF_KEPT = 1, 9
"""Of zlib: docs/performance.md says what the levels cost; an answer that is made once may cost more."""
_GZIP = 16 + zlib.MAX_WBITS

_LONGEST_REST_S = 0.05
_RETRY_AFTER_S = 2


@dataclass(frozen=True, slots=True)
class Text:
    """What an answer says."""

    body: bytes | str | BaseModel | dict[str, Any] | Sequence[BaseModel]
    """Becomes JSON unless it is text already."""
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Places:
    """How many may wait or be served at once."""

    of_machine: int
    of_network: int
    of_strangers: int
    in_all: int
    """The rest is for who is logged in."""

    def check(self, caller: HttpCaller, others: Sequence[HttpCaller]) -> None:
        """Raise ProblemError 503 when there is none for a caller."""
        alike = [each.origin for each in others if each.known == caller.known]
        if (
            len(others) >= (self.in_all if caller.known else self.of_strangers)
            or sum(each.machine == caller.origin.machine for each in alike) >= self.of_machine
            or sum(each.network == caller.origin.network for each in alike) >= self.of_network
        ):
            told = message("request.too_many_large", seconds=_RETRY_AFTER_S)
            raise ProblemError(503, "busy", told, headers={"Retry-After": str(_RETRY_AFTER_S)})


_QUEUE = Places(of_machine=8, of_network=12, of_strangers=16, in_all=24)
"""A page that is opened asks for some six answers at once."""
_STREAMS = Places(of_machine=2, of_network=3, of_strangers=4, in_all=6)
"""Files under way; they may take long, since a client may be slow."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer that stays the same as long as the program runs."""

    text: Text
    plain: bytes
    packed: bytes
    tag: str


class HeavyWork:
    """The thread and the queue before it; one for each application."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "web-heavy")
        self._waiting: list[tuple[HttpCaller, asyncio.Future[None]]] = []
        self._working = False
        self._rest_until_s = 0.0
        self._streams: list[HttpCaller] = []
        self._kept: dict[str, _Kept] = {}

    async def do(self, caller: HttpCaller, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, once it is its turn. Raises ProblemError 503 when too many wait."""
        _QUEUE.check(caller, [each for each, _ in self._waiting])
        return await self._in_turn(caller, work)

    async def kept(self, caller: HttpCaller, name: str, make: Callable[[], Text]) -> _Kept:
        """Return an answer that is made once."""
        if name not in self._kept:
            self._kept[name] = await self.do(caller, lambda: _keep(make()))
        return self._kept[name]

    def check_stream(self, caller: HttpCaller) -> None:
        """Raise ProblemError 503 when too many files are under way."""
        _STREAMS.check(caller, self._streams)

    async def stream(self, caller: HttpCaller, pieces: Iterator[str], *, packed: bool) -> AsyncIterator[bytes]:
        """Yield a text piece by piece; between two of them others have their turns, however slow the client is."""
        packer = zlib.compressobj(_LEVEL, wbits=_GZIP) if packed else None
        self._streams.append(caller)
        try:
            while (piece := await self._in_turn(caller, partial(_next_piece, pieces, packer))) is not None:
                if piece:
                    yield piece
            if packer is not None:
                yield packer.flush()
        finally:
            self._streams.remove(caller)

    async def _in_turn(self, caller: HttpCaller, work: Callable[[], T]) -> T:
        if self._working:
            await self._wait(caller)
        self._working = True
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, partial(self._rested, work))
        finally:
            self._call_next()

    async def _wait(self, caller: HttpCaller) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((caller, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.remove((caller, turn))
            else:  # it was called just now
                self._call_next()
            raise

    def _call_next(self) -> None:
        """Let the next one begin: who is logged in before who is not, then as they came."""
        waiting = [each for each in self._waiting if not each[1].done()]  # without who has just given up
        self._working = bool(waiting)
        if waiting:
            chosen = next((each for each in waiting if each[0].known), waiting[0])
            self._waiting.remove(chosen)
            chosen[1].set_result(None)

    def _rested(self, work: Callable[[], T]) -> T:
        """Run in the thread, after as much rest as the work before has taken."""
        time.sleep(max(0.0, self._rest_until_s - time.monotonic()))
        begun_s = time.monotonic()
        try:
            return work()
        finally:
            now_s = time.monotonic()
            self._rest_until_s = now_s + min(now_s - begun_s, _LONGEST_REST_S)


class HeavyAnswers:
    """Makes the large answer of one request; ``known`` tells that it counts as logged in, whatever it shows."""

    def __init__(self, request: Request, *, known: bool = False) -> None:
        self._work: HeavyWork = request.app.state.heavy
        self._caller = HttpCaller(origin_of(request), known or _is_known(request))
        self._packed = takes_gzip(request.headers.get("accept-encoding", ""))
        self._has = request.headers.get("if-none-match", "")

    async def answer(self, make: Callable[[], Text | BaseModel]) -> Response:
        """Return the answer that ``make`` gives in the thread, compressed where the client can read that."""
        text, plain, packed = await self._work.do(self._caller, lambda: _encoded(make(), packed=self._packed))
        return _response(text, plain, packed)

    async def kept(self, name: str, make: Callable[[], Text]) -> Response:
        """Return an answer that stays the same: made once, and sent only to who has not got it yet (RFC 9110, 13.1)."""
        found = await self._work.kept(self._caller, name, make)
        headers = {"ETag": found.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if _names(self._has, found.tag):
            return Response(status_code=304, headers=headers)
        response = _response(found.text, found.plain, found.packed if self._packed else b"")
        response.headers.update(headers)
        return response

    async def do(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns: a first step of an answer that follows."""
        return await self._work.do(self._caller, work)

    def stream(self, pieces: Iterator[str], media_type: str, headers: Mapping[str, str]) -> Response:
        """Return a text of any length, made and sent piece by piece."""
        self._work.check_stream(self._caller)
        added = {"Vary": "Accept-Encoding", **({"Content-Encoding": "gzip"} if self._packed else {})}
        body = self._work.stream(self._caller, pieces, packed=self._packed)
        return StreamingResponse(body, media_type=media_type, headers={**headers, **added})


async def _heavy(request: Request) -> HeavyAnswers:
    return HeavyAnswers(request)


Heavy = Annotated[HeavyAnswers, Depends(_heavy)]
"""What a route makes a large answer with."""


def _is_known(request: Request) -> bool:
    gate: Gate = request.app.state.gate
    try:
        return gate.identify(request) is not None
    except ProblemError:
        return False


def _encoded(made: Text | BaseModel, *, packed: bool, level: int = _LEVEL) -> tuple[Text, bytes, bytes]:
    """Return what is sent, as it is and compressed; the latter is empty where it would not pay."""
    text = made if isinstance(made, Text) else Text(made)
    body = text.body
    if isinstance(body, str):
        body = body.encode("utf-8", "replace")
    elif not isinstance(body, bytes):
        body = to_json(body, inf_nan_mode="null")
    packed = packed and len(body) >= _PACKED_FROM_BYTES and text.media_type != "application/zip"
    return text, body, zlib.compress(body, level, _GZIP) if packed else b""


def _keep(made: Text) -> _Kept:
    text, plain, packed = _encoded(made, packed=True, level=_LEVEL_OF_KEPT)
    return _Kept(text, plain, packed, f'W/"{hashlib.sha256(plain).hexdigest()[:32]}"')


def _response(text: Text, plain: bytes, packed: bytes) -> Response:
    added = {"Vary": "Accept-Encoding", **({"Content-Encoding": "gzip"} if packed else {})}
    return Response(packed or plain, media_type=text.media_type, headers={**text.headers, **added})


def _next_piece(pieces: Iterator[str], packer: "zlib._Compress | None") -> bytes | None:
    piece = next(pieces, None)
    if piece is None:
        return None
    return piece.encode() if packer is None else packer.compress(piece.encode())


def takes_gzip(accepted: str) -> bool:
    """Tell whether a client can read gzip (RFC 9110, section 12.5.3)."""
    taken: dict[str, bool] = {}
    for each in accepted.lower().split(",")[:16]:
        name, _, parameter = each.partition(";")
        weight = parameter.replace(" ", "").removeprefix("q=")
        taken[name.strip()] = not weight or bool(weight.strip("0."))
    return taken.get("gzip", taken.get("x-gzip", taken.get("*", False)))


def _names(has: str, tag: str) -> bool:
    """Tell whether ``If-None-Match`` names a tag; weak and strong ones are alike here."""
    strong = tag.removeprefix("W/")
    return has.strip() == "*" or any(each.strip().removeprefix("W/") == strong for each in has.split(","))
