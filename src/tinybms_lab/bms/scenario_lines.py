"""Where in the text of a scenario file a key stands: TOML parsers do not tell."""

import re

__all__ = ["line_of"]

_HEADER = re.compile(r"\s*\[+\s*([\w.-]+)\s*\]+")


def line_of(text: str, section: str = "", index: int = 0, key: str = "") -> int | None:
    """Return the number (from 1) of the line of a key, else that of its section; None when neither is found.

    Args:
        text: the file.
        section: name in a ``[section]`` or ``[[section]]`` header; empty for what stands before the first one, and
            for the headers themselves.
        index: which of several headers of that name, from 0.
        key: key in that section; empty for the header itself.

    """
    begin, end = _span(text.splitlines(), section, index)
    if begin is None:
        return None
    if key:
        wanted = re.compile(
            rf"\s*[\"']?{re.escape(key)}[\"']?\s*[.=]|\s*\[\s*{re.escape(section)}\s*\.\s*{re.escape(key)}\b"
        )
        for number, line in enumerate(text.splitlines()[begin:end], start=begin + 1):
            if wanted.match(line):
                return number
    if section:
        return begin + 1
    return line_of(text, key) if key else None


def _span(lines: list[str], section: str, index: int) -> tuple[int | None, int]:
    """Return the first line of a section, its header included, and the line after its last, both from 0."""
    begin = 0 if not section else None
    seen = -1
    for number, line in enumerate(lines):
        header = _HEADER.match(line)
        if header is None or (section and header[1].startswith(f"{section}.")):
            continue
        if begin is not None:
            return begin, number
        seen += header[1] == section
        if seen == index and header[1] == section:
            begin = number
    return begin, len(lines)
