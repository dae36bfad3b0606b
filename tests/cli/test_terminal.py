"""The terminal behind the live view, on a real pseudo-terminal with an independent emulator at its other end."""

import asyncio
import io
import os
from types import SimpleNamespace
from typing import Any

import pytest

from tinybms_bridge.cli.terminal import Terminal, is_terminal

COLUMNS, LINES = 80, 24
WAIT_S = 20.0


def listens(terminal: Terminal) -> bool:
    """Return whether keys arrive now."""
    return terminal.has_keys


async def test_pictures_appear_and_only_what_changes_is_sent(emulator: Any) -> None:
    """Rows stand where they belong; a slow line is not filled with what is there already."""
    with Terminal(lambda _key: None).opened() as terminal:
        assert terminal.size == (COLUMNS, LINES)
        terminal.show(["one", "two", "日本語 three"])
        await emulator.shows("one", "two", "日本語 three", "")
        before = len(emulator.received)
        terminal.show(["one", "second", "日本語 three"])
        await emulator.shows("one", "second")
        assert b"one" not in emulator.received[before:]
        terminal.show(["one"])
        await emulator.shows("one", "", "")


async def test_all_is_sent_again_now_and_then(emulator: Any) -> None:
    """What somebody else has written on the screen does not stay for ever; Ctrl-L is for the impatient."""
    with Terminal(lambda _key: None).opened() as terminal:
        terminal.show(["steady"])
        await emulator.shows("steady")
        before = len(emulator.received)
        for _ in range(25):
            terminal.show(["steady"])
        await emulator.until(lambda: b"steady" in emulator.received[before:])
        before = len(emulator.received)
        terminal.redraw()
        terminal.show(["steady"])
        await emulator.until(lambda: b"steady" in emulator.received[before:])


async def test_keys_arrive_one_by_one(emulator: Any) -> None:
    """Without Enter and without an echo; arrow keys are no letters, and Shift-Tab has a name.

    Also when several come faster than they are read.
    """
    keys: list[str] = []
    with Terminal(keys.append).opened() as terminal:
        assert terminal.has_keys
        for typed in (b"q", b"\t", b"\x1b[A\x1b[Z", b"\x1bOP?", b"\xff\xc3\xa9"):
            count = len(keys)
            emulator.type(typed)
            await emulator.until(lambda count=count: len(keys) > count)
    assert keys == ["q", "\t", "back", "?", "é"]
    assert b"q" not in emulator.received.replace(b"\x1b[?1049h", b"")


@pytest.mark.parametrize("end", [None, KeyboardInterrupt, asyncio.CancelledError, ValueError])
async def test_the_terminal_is_as_before_at_the_end(emulator: Any, end: type[BaseException] | None) -> None:
    """Echo, line mode, cursor and screen come back however the view ends, and the last picture stays."""
    before = emulator.modes()
    try:
        with Terminal(lambda _key: None).opened() as terminal:
            assert emulator.modes() != before
            terminal.show(["the picture"])
            if end is not None:
                raise end
    except (KeyboardInterrupt, asyncio.CancelledError, ValueError) as error:
        assert type(error) is end  # noqa: PT017 -- of three kinds
    assert emulator.modes() == before
    await emulator.until(lambda: emulator.received.endswith(b"the picture\x1b[0m\r\n"))
    assert emulator.received.index(b"\x1b[?1049l") < emulator.received.rindex(b"the picture")
    assert not emulator.screen.cursor.hidden


async def test_a_terminal_that_does_not_read_holds_nobody_up(emulator: Any) -> None:
    """Ctrl-S, or a session that hangs: pictures are left out, and the present one comes when it reads again."""
    with Terminal(lambda _key: None).opened() as terminal:
        for number in range(1000):
            terminal.show([f"{number} {'x' * 70}"] * LINES)
        await emulator.until(lambda: len(terminal.waiting) == 0)
        terminal.show(["now", "it goes on"])
        await emulator.shows("now", "it goes on")


async def test_the_end_comes_through_to_a_terminal_that_does_not_read(emulator: Any) -> None:
    """What it has not taken gives way to the end of the screen."""
    before = emulator.modes()
    with Terminal(lambda _key: None).opened() as terminal:
        for number in range(1000):
            terminal.show([f"{number} {'x' * 70}"] * LINES)
    assert emulator.modes() == before
    await emulator.until(lambda: b"\x1b[?1049l" in emulator.received)


async def test_a_window_that_changes_its_size_is_drawn_as_a_whole(emulator: Any) -> None:
    """What the terminal has made of the old rows is not known."""
    with Terminal(lambda _key: None).opened() as terminal:
        terminal.show(["one", "two"])
        await emulator.shows("one", "two")
        emulator.resize(40, 10)
        before = len(emulator.received)
        assert terminal.size == (40, 10)
        terminal.show(["one", "two"])
        await emulator.until(lambda: b"two" in emulator.received[before:])


async def test_a_size_that_is_not_known_is_the_usual_one(emulator: Any) -> None:
    """A serial console says 0 by 0."""
    emulator.resize(0, 0)
    with Terminal(lambda _key: None).opened() as terminal:
        assert terminal.size == (80, 24)


async def test_a_terminal_that_is_gone_harms_nobody(emulator: Any) -> None:
    """A window that is closed: the bridge goes on without it."""
    keys: list[str] = []
    with Terminal(keys.append).opened() as terminal:
        os.close(emulator.master)
        emulator.master = -1
        async with asyncio.timeout(WAIT_S):
            while terminal.has_keys:
                terminal.show(["nobody sees it"])
                await asyncio.sleep(0.01)
        terminal.show(["nor this"])
    assert keys == []


@pytest.mark.parametrize("stdin", ["closed", "missing", "null", "pipe"])
async def test_without_a_terminal_to_type_at_there_are_no_keys(
    emulator: Any, streams: SimpleNamespace, stdin: str
) -> None:
    """A closed standard input, the null device or a pipe: the picture is drawn all the same."""
    before = emulator.modes()
    reader, writer = os.pipe()
    stream: Any = None
    if stdin == "closed":
        stream = io.StringIO()
        stream.close()
    elif stdin != "missing":
        stream = os.fdopen(os.open(os.devnull, os.O_RDONLY) if stdin == "null" else os.dup(reader), "r")
    streams.stdin = stream
    with Terminal(lambda _key: None).opened() as terminal:
        assert not terminal.has_keys
        assert emulator.modes() == before
        terminal.show(["seen"])
        await emulator.shows("seen")
    for descriptor in (reader, writer):
        os.close(descriptor)
    if stream is not None:
        stream.close()


async def test_letters_that_the_terminal_does_not_know_are_replaced(emulator: Any, streams: SimpleNamespace) -> None:
    """An old locale: no exception, the rest is readable."""
    with os.fdopen(os.dup(emulator.slave), "w", encoding="ascii") as ascii_only:
        streams.stdout = ascii_only
        with Terminal(lambda _key: None).opened() as terminal:
            terminal.show(["5 °C █"])
            await emulator.shows("5 ?C ?")


async def test_in_the_background_nothing_is_drawn_or_read(emulator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal is the shell's then: touching it would stop the program, and the frames with it."""
    groups = [os.getpgrp() + 1]
    monkeypatch.setattr(os, "tcgetpgrp", lambda _descriptor: groups[0])
    before = emulator.modes()
    keys: list[str] = []
    with Terminal(keys.append).opened() as terminal:
        terminal.show(["not seen"])
        assert not listens(terminal)
        assert emulator.modes() == before
        groups[0] = os.getpgrp()
        terminal.show(["seen"])
        await emulator.shows("seen")
        assert listens(terminal)
        groups[0] = os.getpgrp() + 1
        emulator.type(b"x")
        async with asyncio.timeout(WAIT_S):
            while terminal.has_keys:
                await asyncio.sleep(0.01)
        terminal.show(["not seen"])
        await asyncio.sleep(0.05)
        emulator.read()
    assert keys == []
    assert b"not seen" not in emulator.received


@pytest.mark.usefixtures("emulator")
def test_what_is_a_terminal(streams: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe is none, nor is one that cannot move its cursor, nor a stream that is closed or missing."""
    assert is_terminal(streams.stdout)
    assert not is_terminal(None)
    assert not is_terminal(io.StringIO())
    closed = io.StringIO()
    closed.close()
    assert not is_terminal(closed)
    monkeypatch.setenv("TERM", "dumb")
    assert not is_terminal(streams.stdout)
    monkeypatch.delenv("TERM")
    assert not is_terminal(streams.stdout)
