"""Runs what blocks (files, imports, databases) off the event loop; at once and in place for tests.

A test that moves a fake clock cannot know when a real thread is done, so whoever takes a clock takes this beside it.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar

__all__ = ["RunBlocking", "in_own_thread", "in_place", "in_thread", "or_discard"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class RunBlocking(Protocol):
    """Runs a function that blocks; its result and its errors are those of the function."""

    def __call__(self, work: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Coroutine[Any, Any, _T]:
        """Return what waits for the end of ``work``. Cancelled, it may leave ``work`` to go on by itself."""
        ...


async def in_thread(work: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run ``work`` in a thread, as the program does."""
    return await asyncio.to_thread(work, *args, **kwargs)


async def in_own_thread(work: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run ``work``, which may hang, in a thread of its own: it takes none of the few that all others share.

    Nobody who has given up waiting hears of it any more, and the process ends without it.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def settle(tell: Callable[[], None]) -> None:
        if not future.done():
            tell()

    def run() -> None:
        try:
            tell = partial(future.set_result, work(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 -- whoever waits gets it
            tell = partial(future.set_exception, error)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, tell)

    threading.Thread(target=run, name=getattr(work, "__qualname__", "work"), daemon=True).start()
    return await future


async def in_place(work: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run ``work`` at once, before anything else on the event loop: for tests, which need to know when it is done."""
    return work(*args, **kwargs)


async def or_discard(opening: Awaitable[_T], discard: Callable[[_T], object]) -> _T:
    """Return what ``opening`` gives; cancelled, ``discard`` it when it is there: a thread cannot be stopped."""
    future = asyncio.ensure_future(opening)

    def discard_result(done: asyncio.Future[_T]) -> None:
        if not done.cancelled() and done.exception() is None:
            discard(done.result())

    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        future.add_done_callback(discard_result)
        raise
