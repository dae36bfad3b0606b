"""What a user probably meant by a name that does not exist: the one place where such names are compared."""

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean", "nearest"]

_CUTOFF = 0.6
"""Likeness from which a name is worth a hint, as difflib has it; what is less alike misleads."""
_LONGEST = 60
"""Letters that are compared: the time grows with their square, and names come from strangers too."""


def nearest(name: object, known: Iterable[object], most: int = 1) -> list[str]:
    """Return the known names that look like ``name``, the most similar first; case, ``-`` and ``_`` do not count."""
    names = {_plain(str(each)): str(each) for each in known}
    return [names[found] for found in difflib.get_close_matches(_plain(str(name)), names, n=most, cutoff=_CUTOFF)]


def did_you_mean(name: object, known: Iterable[object], most: int = 1) -> str:
    """Return a hint to put behind a message, for example ``; did you mean baudrate?``; empty when nothing is near."""
    found = nearest(name, known, most)
    return f"; did you mean {', '.join(found)}?" if found else ""


def _plain(name: str) -> str:
    return name[:_LONGEST].lower().replace("-", "_")
