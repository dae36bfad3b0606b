"""`make run` in a terminal of 80 by 24: what a newcomer sees, the keys, and a terminal that is as before at the end."""

import asyncio
import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pyte
import pytest

from tinybms_bridge.hal.can import CanFrame, CanSettings, open_can

WAIT_S = 60.0

_SHELL = """
import os, signal, sys, termios
def to_foreground(group):
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, group)
own = os.getpgrp()
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    to_foreground(os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.executable, [sys.executable, "-m", "tinybms_bridge", *sys.argv[1:]])
def give_up(*_):
    os.kill(child, signal.SIGKILL)
    sys.exit(1)
signal.signal(signal.SIGTERM, give_up)
while True:
    _, status = os.waitpid(child, os.WUNTRACED)
    if os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGSTOP:
        continue  # for a moment by scripts/pauses.py, and not by a key
    to_foreground(own)
    if not os.WIFSTOPPED(status):
        print("exit code", os.waitstatus_to_exitcode(status), flush=True)
        break
    print("stopped", "with echo" if termios.tcgetattr(0)[3] & termios.ECHO else "without echo", flush=True)
    sys.stdin.readline()
    to_foreground(child)
    os.kill(child, signal.SIGCONT)
"""
"""A shell with job control, as far as one program needs it."""


class Session:
    """A terminal with a program in it."""

    def __init__(self, folder: Path, arguments: tuple[str, ...]) -> None:
        self.master, self._slave = os.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.set_blocking(self.master, False)
        self.screen = pyte.Screen(80, 24)
        self.received = b""
        self._stream = pyte.ByteStream(self.screen)
        environment = {**os.environ, "HOME": str(folder), "XDG_STATE_HOME": str(folder), "TERM": "xterm-256color"}
        for name in ("COLUMNS", "LINES", "NO_COLOR", "TINYBMS_BRIDGE_CONFIG"):
            environment.pop(name, None)
        self.shell = subprocess.Popen(
            ["setsid", "--ctty", sys.executable, "-c", _SHELL, *arguments],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env=environment,
            cwd=folder,
        )

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.master, keys)

    def echoes(self) -> bool:
        """Return whether the terminal shows what is typed, as one of a shell does."""
        return bool(termios.tcgetattr(self._slave)[3] & termios.ECHO)

    @property
    def text(self) -> str:
        """What is on the screen, with single spaces."""
        return " ".join(" ".join(self.screen.display).split())

    async def until(self, condition: Callable[[], bool]) -> None:
        """Read until something holds."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await asyncio.sleep(0.02)
                try:
                    data = os.read(self.master, 65536)
                except BlockingIOError:
                    continue
                self.received += data
                self._stream.feed(data)

    def rows_with(self, label: str | tuple[str, ...]) -> list[str]:
        """Return the rows that begin so."""
        return [row for row in self.screen.display if row.startswith(label)]

    async def shows(self, *words: str) -> None:
        """Wait until all of these are on the screen."""
        await self.until(lambda: all(word in self.text for word in words))

    def program(self) -> int:
        """Return the process number of the program in the terminal."""
        return os.tcgetpgrp(self.master)

    def end(self) -> None:
        """End what still runs."""
        self.shell.terminate()  # it ends the program first, wherever that is
        self.shell.wait()
        os.close(self.master)
        os.close(self._slave)


@pytest.fixture
def session(tmp_path: Path, can_group: str) -> Iterator[Session]:
    """A demonstration in a terminal."""
    session = Session(tmp_path, ("demo", "--can-channel", can_group))
    yield session
    session.end()


async def test_a_newcomer_sees_what_matters_and_finds_the_keys(session: Session) -> None:
    """At 80 by 24: the sentence, limits with reasons, alarms, GX, token, how to watch; pages, help and q."""
    await session.shows("GX obeys.", "setup token", "Watch the frames:")
    labels = (
        "CVL ",
        "CCL ",
        "DCL ",
        ("Alarms ", "Warning "),
        "GX ",
        "SOC ",
        "Battery ",
        "Cells ",
        "Web ",
        "Simulated GX ",
        "q quit  ? help",
    )
    await session.until(lambda: all(session.rows_with(label) for label in labels))  # a picture comes in parts
    assert session.screen.display[23].startswith("q quit  ? help")
    assert not [row for row in session.screen.display if row.rstrip().endswith("…")]
    assert b"There is no administrator" not in session.received, "nobody else writes on the screen"
    assert not session.echoes()
    session.type(b"\t")
    await session.shows("16 3.", "highest", "lowest")
    session.type(b"\t")
    await session.shows("Parts uart running")
    session.type(b"?")
    await session.shows("charge voltage limit")
    session.type(b"q")
    await session.shows("exit code 0")
    assert session.echoes()
    assert b"Traceback" not in session.received


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signals_give_the_terminal_back(session: Session, number: signal.Signals) -> None:
    """Ctrl-C at the terminal, and SIGTERM of a service manager: echo, cursor and screen are as before."""
    await session.shows("q quit", "CVL ")
    if number is signal.SIGINT:
        session.type(b"\x03")
    else:
        os.kill(session.program(), number)
    await session.shows("exit code 0")
    assert session.echoes()
    assert not session.screen.cursor.hidden
    assert b"Traceback" not in session.received


async def test_it_can_be_stopped_and_goes_on(session: Session) -> None:
    """Ctrl-Z gives the terminal to the shell as it was; fg draws the picture again."""
    await session.shows("q quit", "CVL ")
    session.type(b"\x1a")
    await session.until(lambda: b"stopped with echo" in session.received)
    assert not session.screen.cursor.hidden
    before = len(session.received)
    session.type(b"\n")
    await session.until(
        lambda: b"q quit" in session.received[before:].replace(b"\x1b[1m", b"").replace(b"\x1b[0m", b"")
    )
    await session.until(lambda: not session.echoes())
    session.type(b"?")
    await session.shows("charge voltage limit")
    session.type(b"q")
    await session.shows("exit code 0")
    assert session.echoes()


async def test_a_terminal_that_is_stopped_holds_up_no_frame(session: Session, can_group: str) -> None:
    """Ctrl-S, as a session that hangs does: the battery goes on, and Ctrl-Q brings the present picture."""
    await session.shows("q quit", "GX obeys.")
    bursts = 0
    enough = asyncio.Event()

    def count(frame: CanFrame) -> None:
        nonlocal bursts
        bursts += frame.arbitration_id == 0x351
        if bursts >= 5:
            enough.set()

    session.type(b"\x13")
    port = await open_can(CanSettings(channel=can_group))
    port.subscribe(count)
    async with asyncio.timeout(WAIT_S):
        await enough.wait()
    await port.close()
    session.type(b"\x11")
    session.type(b"?")
    await session.shows("charge voltage limit")
    session.type(b"\x13")
    os.kill(session.program(), signal.SIGTERM)
    session.type(b"\x11")
    await session.until(lambda: b"exit code 0" in session.received)
    assert session.echoes()
