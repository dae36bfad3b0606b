"""Counts causes that repeat themselves, so that a fault that lasts does not fill the log."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tinybms_bridge.services.logs.lines import AUDIT_SOURCE, LogLine

__all__ = ["Repeats"]

_WINDOW_S = 60.0
_BURST = 5
_MOST_CAUSES = 200

Cause = tuple[str, str, str]


@dataclass(slots=True)
class _Spell:
    """One cause within its window."""

    last: LogLine
    since_s: float
    written: int = 1
    counted: int = 0


class Repeats:
    """Decides which lines are written.

    The same line again, without another between, is counted at once; one that alternates with others is counted after
    it was written ``burst`` times in ``window_s``. What was counted is told when another line follows or the window
    ends. Lines of level DEBUG always pass: whoever asks for details wants them all. So does what a person has done, but
    not what was refused: strangers could fill the log with it.
    """

    def __init__(self, *, window_s: float = _WINDOW_S, burst: int = _BURST) -> None:
        self._window_s = window_s
        self._burst = burst
        self._spells: dict[Cause, _Spell] = {}
        self._run: Cause | None = None

    def offer(self, line: LogLine, now_s: float) -> list[LogLine]:
        """Return what to write now that ``line`` has come: nothing, the line, or counts and the line."""
        due = list(self.due(now_s))
        if line.level == "DEBUG" or (line.source == AUDIT_SOURCE and line.level == "INFO"):
            return [*due, line]
        cause = (line.level, line.source, line.text)
        spell = self._spells.get(cause)
        if spell is None:
            due += self._end_run() if len(self._spells) < _MOST_CAUSES else self._forget()
            self._spells[cause] = _Spell(line, now_s)
        elif cause == self._run or spell.written >= self._burst:
            spell.last, spell.counted = line, spell.counted + 1
            return due
        else:
            due += self._end_run()
            spell.last, spell.written = line, spell.written + 1
        self._run = cause
        return [*due, line]

    def due(self, now_s: float) -> Iterator[LogLine]:
        """Yield the counts of causes whose window is over."""
        for cause, spell in list(self._spells.items()):
            if now_s - spell.since_s >= self._window_s:
                yield from _told(spell)
                self._end(cause, spell, now_s)

    def rest(self) -> Iterator[LogLine]:
        """Yield every count that has not been told, at the end of the program."""
        for spell in self._spells.values():
            yield from _told(spell)
            spell.counted = 0

    def _forget(self) -> Iterator[LogLine]:
        """Begin anew when there are too many causes to remember."""
        yield from self.rest()
        self._spells.clear()

    def _end(self, cause: Cause, spell: _Spell, now_s: float) -> None:
        """Forget a cause; one that goes on without another line between stays counted."""
        if cause == self._run and spell.counted:
            spell.since_s, spell.written, spell.counted = now_s, 1, 0
            return
        del self._spells[cause]
        if cause == self._run:
            self._run = None

    def _end_run(self) -> Iterator[LogLine]:
        """Yield the count of the line that repeated itself before another came."""
        spell = self._spells.get(self._run) if self._run is not None else None
        if spell is not None and spell.written < self._burst:
            yield from _told(spell)
            spell.counted = 0


def _told(spell: _Spell) -> Iterator[LogLine]:
    if spell.counted:
        times = "once" if spell.counted == 1 else f"{spell.counted} times"
        head, _, _ = spell.last.text.partition("\n")
        yield replace(spell.last, text=f"{head} (repeated {times})")
