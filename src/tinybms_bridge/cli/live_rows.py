"""Lines of the live view: a label, a value and a text that goes on below itself, none wider than the screen."""

from functools import lru_cache

from rich.console import Console
from rich.text import Text

__all__ = ["LABEL", "NARROW", "OLD", "row", "text_lines", "wrapped"]

OLD = "bright_black"
"""Grey: values of which nobody knows whether they still hold."""
LABEL = 8
NARROW = 60
"""Columns below which labels have no column of their own."""


def row(
    label: str,
    text: str,
    width: int,
    label_style: str = "cyan",
    text_style: str = "",
    *,
    value: str = "",
    value_style: str = "bold",
    label_width: int = LABEL,
) -> list[Text]:
    """Return a label, a value and a text that goes on below itself; on a narrow screen below the label."""
    if width < NARROW:
        return [*wrapped(" ".join(part for part in (label, value.strip(), text) if part), width, text_style)]
    indent = label_width + len(value)
    pieces = _pieces(text, width - indent) or ("",)
    first = Text(f"{label:{label_width}}", style=label_style)
    if value:
        first.append(value, style=value_style)
    lines = [first.append(pieces[0], style=text_style or "default")]
    return lines + [Text(" " * indent).append(piece, style=text_style) for piece in pieces[1:]]


def wrapped(text: str, width: int, style: str) -> list[Text]:
    """Return a text in lines of at most ``width`` columns, in one style."""
    return [Text(piece, style=style) for piece in _pieces(text, width)]


def text_lines(text: Text, width: int) -> list[Text]:
    """Return a text with its styles in lines of at most ``width`` columns."""
    return list(text.wrap(_measuring(), width))


@lru_cache(maxsize=512)
def _pieces(text: str, width: int) -> tuple[str, ...]:
    """Return a text in pieces of at most ``width`` columns, between words where that is possible."""
    return tuple(line.plain.rstrip() for line in Text(text).wrap(_measuring(), max(width, 2)))


@lru_cache(maxsize=1)
def _measuring() -> Console:
    return Console(width=80, force_terminal=False)
