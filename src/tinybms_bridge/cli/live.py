"""The live view of a terminal: pages that are drawn twice a second, and the keys that turn them.

What the pages say is ``live_pages`` and ``live_words``; how they reach a terminal without holding up the frames is
``terminal``.
"""

import io
import logging
from collections import deque
from collections.abc import Callable
from datetime import datetime

from rich.console import Console, Group
from rich.text import Text

from tinybms_bridge.battery.flow import Flow
from tinybms_bridge.cli.live_pages import PAGES, Scene, ShownLine, page_lines, pages_of
from tinybms_bridge.cli.live_words import clean, duration
from tinybms_bridge.cli.terminal import Terminal
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.link.state import CoreState

__all__ = ["LastLines", "LiveView"]

_INTERVAL_S = 0.5
_STEADY_FOR_S, _LEAST_WINDOW_S = 60.0, 4.0
_LEAST_ROWS = 4
"""Rows below which title and keys give their rows to what matters."""
_STYLES = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "red"}


class LastLines(logging.Handler):
    """Keeps the last log lines for the view."""

    def __init__(self, count: int = 200) -> None:
        super().__init__()
        self._lines: deque[ShownLine] = deque(maxlen=count)

    def emit(self, record: logging.LogRecord) -> None:
        """See ``logging.Handler.emit``."""
        try:
            text = clean(record.getMessage())
        except Exception:  # noqa: BLE001 -- as every handler: a wrong log call must not end what it tells of
            self.handleError(record)
            return
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        self._lines.append(ShownLine(time, text, _STYLES.get(record.levelno, "default")))

    def lines(self) -> list[ShownLine]:
        """Return the kept lines, oldest first."""
        return list(self._lines)


class LiveView:
    """Draws one bridge again and again.

    Args:
        read: Returns what is shown.
        clock: The clock of the bridge.
        lines: The last log lines.
        title: Says what runs.
        extra: Text of a demonstration, which is shown below the GX.
        quit: Called for the key q; None: there is nothing that it could end.
        speed: How much faster than real the battery lives.

    """

    def __init__(
        self,
        read: Callable[[], CoreState],
        clock: Clock,
        lines: LastLines,
        title: str,
        extra: Callable[[], Text] | None = None,
        *,
        quit: Callable[[], object] | None = None,
        speed: float = 1.0,
    ) -> None:
        self.page = PAGES[0]
        """The page that is shown; ``help`` beside those of ``PAGES``."""
        self._read = read
        self._clock = clock
        self._lines = lines
        self._title = title
        self._extra = extra
        self._quit = quit
        self.pack = ""
        """Name of the pack that was chosen, of several; empty for the battery."""
        self._flow = Flow(max(_STEADY_FOR_S / speed, _LEAST_WINDOW_S))
        self._terminal: Terminal | None = None
        self._console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True)

    async def run(self) -> None:
        """Draw twice a second until cancelled; the last picture stays on the screen."""
        terminal = Terminal(self.key, self._return)
        try:
            with terminal.opened():
                self._terminal = terminal
                while True:
                    self.look()
                    self._draw()
                    await self._clock.sleep(_INTERVAL_S)
        finally:
            self._terminal = None

    def look(self) -> None:
        """Take note of the present current, from which the time left follows; to be called twice a second."""
        view = self._read().battery.view(self._clock.monotonic())
        self._flow.add(view.measured, view.limits, self._clock.monotonic())

    def key(self, key: str) -> None:
        """Do what a key stands for; any other changes nothing."""
        if key in ("q", "Q") and self._quit is not None:
            self._quit()
            return
        if key == "?":
            self.page = PAGES[0] if self.page == "help" else "help"
        elif key in ("\t", "back"):
            pages = pages_of(self._read())
            present = pages.index(self.page) if self.page in pages else -1
            self.page = pages[(present + (1 if key == "\t" else -1)) % len(pages)] if present >= 0 else pages[0]
        elif key in ("p", "P") and len(self._read().battery.packs) > 1:
            names = ["", *self._read().battery.packs]
            present = names.index(self.pack) if self.pack in names else 0
            self.pack = names[(present + (1 if key == "p" else -1)) % len(names)]
        elif key == "\x0c" and self._terminal is not None:  # Ctrl-L
            self._terminal.redraw()
        else:
            return
        self._draw()

    def picture(self, width: int, height: int, *, keys: bool = True, foot: bool = True) -> list[Text]:
        """Return the screen: ``height`` lines at most, none wider than ``width``; ``foot``: with the line of keys."""
        framed = height >= _LEAST_ROWS + 2
        core, now_s = self._read(), self._clock.monotonic()
        several = len(core.battery.packs) > 1
        scene = Scene(
            core=core,
            view=core.battery.view(now_s),
            flow=self._flow,
            log=self._lines.lines(),
            extra=None if self._extra is None else self._extra(),
            pack=self.pack if several and self.pack in core.battery.packs else "",
            packs=core.battery.pack_views(now_s) if several else {},
        )
        room = height - 2 if framed else height
        lines = page_lines(scene, self.page, width, room)
        if framed:
            lines += [Text() for _ in range(room - len(lines))]
            lines = [self._head(width), *lines, *([self._foot(width, keys=keys)] if foot else [])]
        for line in lines:
            line.no_wrap, line.overflow = True, "crop"
        return lines

    def _head(self, width: int) -> Text:
        up = f" up {duration(max(0.0, self._clock.monotonic() - self._read().core.started_s))} "
        title = Text(f" {clean(self._title)}", style="reverse")
        title.truncate(max(width - len(up), 1), pad=True)
        if width > 2 * len(up):
            title.append(up)
        return title

    def _foot(self, width: int, *, keys: bool) -> Text:
        if not keys:
            return Text("Ctrl-C ends", style="bright_black")
        line = Text.assemble(("q", "bold"), " quit  ", ("?", "bold"), " help  ", ("Tab", "bold"), " pages: ")
        for page in pages_of(self._read()):
            line.append(page, style="reverse" if page == self.page else "bright_black").append("  ")
        if len(self._read().battery.packs) > 1:
            line.append("p", style="bold").append(f" pack: {self.pack or 'all'}")
        line.truncate(width)
        return line

    def _draw(self) -> None:
        terminal = self._terminal
        if terminal is None:
            return
        width, height = terminal.size
        terminal.show(self.encoded(self.picture(width, height, keys=terminal.has_keys), width))

    def encoded(self, lines: list[Text], width: int) -> list[str]:
        """Return lines with their colours as the terminal understands them."""
        console = self._console
        console.size = (max(width, 1), len(lines) + 1)
        with console.capture() as capture:
            console.print(Group(*lines), crop=True, no_wrap=True, overflow="crop", highlight=False)
        return capture.get().splitlines()

    def _return(self) -> None:
        self._draw()
