"""The terminal behind the live view: a screen of its own and single keys, neither of which ever waits.

The picture and the battery share one event loop. A terminal may stop to read at any time (Ctrl-S, a remote session
that hangs), and a program in the background that touches its terminal is stopped as a whole. So the terminal is opened
anew without blocking, what it does not take at once is left out, and nothing is read or drawn in the background.
"""

import asyncio
import contextlib
import os
import re
import signal
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

__all__ = ["Terminal", "is_terminal"]

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[2J"
_LEAVE = "\x1b[0m\x1b[?25h\x1b[?1049l"
_LOCAL_MODES = 3
"""Place in the list of ``termios.tcgetattr``."""
_BACK_TAB = b"\x1b[Z"
_TYPED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[^\x1b]|[^\x1b])?|[^\x1b]+")
"""One arrow or function key, none of whose characters is meant, or characters."""
_READ_BYTES = 1024
_REDRAW_EVERY = 20
"""Pictures after which all lines are written again, in case somebody else wrote on the screen."""


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a standard stream leads to a terminal on which a picture can be drawn; it may be closed."""
    try:
        return stream is not None and stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    except ValueError:  # closed
        return False


class Terminal:
    """Standard output as a screen, and standard input as keys where that is a terminal too.

    ``on_key`` gets each typed character, and ``back`` for Shift-Tab. ``on_return`` is called when the program comes
    back to the foreground, so that it can draw at once.
    """

    def __init__(self, on_key: Callable[[str], None], on_return: Callable[[], None] = lambda: None) -> None:
        self.has_keys = False
        """Whether keys arrive."""
        self.waiting = b""
        """What the terminal has not taken yet."""
        self._on_key = on_key
        self._on_return = on_return
        self._output = -1
        self._input = -1
        self._entered = False
        self._modes: list[Any] | None = None
        self._rows: list[str] = []
        self._size = (0, 0)
        self._drawn = 0

    @contextlib.contextmanager
    def opened(self) -> Iterator["Terminal"]:
        """Have the terminal until the block ends, however it ends; then it is as before, with the last picture."""
        loop = asyncio.get_running_loop()
        self._output = _reopen(sys.stdout, os.O_WRONLY)
        self._input = _reopen(sys.stdin, os.O_RDONLY) if is_terminal(sys.stdin) else -1
        ignored = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTTIN, signal.SIGTTOU)}
        loop.add_signal_handler(signal.SIGTSTP, self._suspend)
        try:
            self.enter()
            yield self
        finally:
            loop.remove_signal_handler(signal.SIGTSTP)
            self.leave()
            self._show_last()
            for number, before in ignored.items():
                signal.signal(number, before)
            for descriptor in (self._output, self._input):
                if descriptor >= 0:
                    os.close(descriptor)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines; 80 by 24 where the terminal does not know."""
        try:
            columns, lines = os.get_terminal_size(self._output)
        except OSError:
            return 80, 24
        return (columns, lines) if columns > 0 and lines > 0 else (80, 24)

    def enter(self) -> bool:
        """Take the terminal unless the program is in the background; True while it is taken."""
        if not self._in_foreground():
            if self._entered:  # moved to the background without our knowing: the shell has the terminal
                self._entered, self.waiting = False, b""
                self._end_keys()
                asyncio.get_running_loop().remove_writer(self._output)
            return False
        if not self._entered:
            self._entered, self._rows, self.waiting = True, [], b""
            self._begin_keys()
            self._write(_ENTER)
        return True

    def leave(self) -> None:
        """Give the terminal back as it was. May be called again."""
        if not self._entered:
            return
        self._entered = False
        self._end_keys()
        asyncio.get_running_loop().remove_writer(self._output)
        if self.waiting:  # it does not read: what it has not taken would come before the end of the screen
            with contextlib.suppress(termios.error):
                termios.tcflush(self._output, termios.TCOFLUSH)
        self.waiting = b""
        if self._in_foreground():
            self._write(_LEAVE)

    def show(self, rows: Sequence[str]) -> None:
        """Draw lines, each no wider than the screen and no more than it has; only those that have changed are sent.

        While the terminal has not taken the last picture, this one is left out.
        """
        if not self.enter() or not self._flush():
            return
        size, self._drawn = self.size, self._drawn + 1
        before = self._rows
        if size != self._size or self._drawn % _REDRAW_EVERY == 0:
            before = []
        text = "".join(
            f"\x1b[{number};1H{row}\x1b[0m\x1b[K"
            for number, row in enumerate(rows, start=1)
            if number > len(before) or row != before[number - 1]
        )
        if len(rows) != len(before):
            text += f"\x1b[{len(rows) + 1};1H\x1b[J" if len(rows) < size[1] else ""
        self._rows, self._size = list(rows), size
        self._write(text)

    def redraw(self) -> None:
        """Have the next picture written as a whole."""
        self._rows = []

    def _show_last(self) -> None:
        """Leave the last picture on the ordinary screen."""
        if self._rows and self._in_foreground():
            self._write("".join(f"{row}\x1b[0m\n" for row in self._rows if row))

    def _suspend(self) -> None:
        """Stop as Ctrl-Z asks, with the terminal as the shell expects it, and come back to it."""
        loop = asyncio.get_running_loop()
        self.leave()
        loop.remove_signal_handler(signal.SIGTSTP)  # what is left is the default: to stop
        os.kill(os.getpid(), signal.SIGTSTP)
        loop.add_signal_handler(signal.SIGTSTP, self._suspend)
        self._on_return()

    def _in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._output) == os.getpgrp()
        except OSError:  # not our controlling terminal: nobody moves us to its background
            return True

    def _begin_keys(self) -> None:
        if self._input < 0:
            return
        try:
            self._modes = termios.tcgetattr(self._input)
            changed = [*self._modes]
            changed[_LOCAL_MODES] &= ~(termios.ECHO | termios.ICANON)  # Ctrl-C and Ctrl-Z go on being signals
            termios.tcsetattr(self._input, termios.TCSANOW, changed)
            asyncio.get_running_loop().add_reader(self._input, self._read)
        except (termios.error, OSError):
            self._end_keys()
        else:
            self.has_keys = True

    def _end_keys(self) -> None:
        self.has_keys = False
        if self._input < 0:
            return
        asyncio.get_running_loop().remove_reader(self._input)
        if self._modes is not None and self._in_foreground():
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._input, termios.TCSANOW, self._modes)
        self._modes = None

    def _read(self) -> None:
        if not self._in_foreground():
            self._end_keys()
            return
        try:
            data = os.read(self._input, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:  # hung up
            self._end_keys()
        for typed in _TYPED.findall(data):  # several, when they came faster than they were read
            if not typed.startswith(b"\x1b"):
                for key in typed.decode(errors="ignore"):
                    self._on_key(key)
            elif typed == _BACK_TAB:
                self._on_key("back")

    def _write(self, text: str) -> None:
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        self.waiting += text.encode(encoding, errors="replace")
        self._flush()

    def _flush(self) -> bool:
        """Hand over what the terminal takes now, and the rest when it takes more; True when that was all."""
        loop = asyncio.get_running_loop()
        while self.waiting:
            try:
                written = os.write(self._output, self.waiting)
            except BlockingIOError:
                if self._entered:
                    loop.add_writer(self._output, self._flush)
                return False
            except OSError:  # the terminal is gone
                written = len(self.waiting)
            self.waiting = self.waiting[written:]
        loop.remove_writer(self._output)
        return True


def _reopen(stream: TextIO, flags: int) -> int:
    """Return a descriptor of a terminal that never blocks; that of the stream is shared with the shell.

    Where the system gives no other one, it is that of the stream after all.
    """
    try:
        return os.open(f"/proc/self/fd/{stream.fileno()}", flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return os.dup(stream.fileno())
