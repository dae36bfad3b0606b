"""Reading documents that a person, a card or another version may have spoilt: never an exception, nothing lost.

What cannot be used is moved aside under a name that is told, the document before it is tried, and the program goes on.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.storage import Storage
from tinybms_bridge.hal.system_errors import error_words
from tinybms_bridge.words import message

__all__ = ["LaterVersionError", "LoadedDocument", "check_version", "load", "not_saved", "parse_json", "put_aside"]

log = logging.getLogger(__name__)

T = TypeVar("T")


class LaterVersionError(ValueError):
    """A later version of this program wrote the document."""


@dataclass(frozen=True, slots=True)
class LoadedDocument(Generic[T]):
    """What was found of a document."""

    value: T | None
    """None when there is nothing that can be used."""
    problem: str = ""
    """Why the document itself could not be used; empty when it could, or when there is none yet."""
    from_previous: bool = False
    """Whether the value is that of the document before the last write."""


def not_saved(storage: Storage, error: OSError) -> BridgeError:
    """Return what a part raises that could not save its document: which one, and why not."""
    return BridgeError(message("file.not_saved", file=storage.name, reason=error_words(error)))


def parse_json(data: bytes | str) -> object:
    """Return what a text of JSON says. Raises ValueError for any other text, one that is nested too deeply included."""
    try:
        document: object = json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return document


def check_version(version: object, newest: int) -> None:
    """Raise LaterVersionError for a version that this program does not know; what is no version passes."""
    if isinstance(version, int) and not isinstance(version, bool) and version > newest:
        raise LaterVersionError(f"it is of a later version ({version}; this program reads up to {newest})")


def load(
    storage: Storage, what: str, parse: Callable[[bytes], T], tell: Callable[[str], None] = log.warning
) -> LoadedDocument[T]:
    """Return what a document says, or else the one before the last write. Blocks; never raises.

    Args:
        storage: Where it is. A document that cannot be used is moved aside there.
        what: What to call it, for example ``the state``.
        parse: Raises ValueError for what cannot be used.
        tell: Told what cannot be used, why, and what has become of it.

    """
    problem = ""
    for previous in (False, True):
        try:
            data = storage.read_previous() if previous else storage.read()
            if data is not None:
                return LoadedDocument(parse(data), problem, previous)
        except (OSError, ValueError) as error:
            text = f"{'the previous copy of ' if previous else ''}{what} in {storage.name} cannot be read: {error}"
            tell(f"{text}; {put_aside(storage, previous=previous)}")
            problem = problem or text
    return LoadedDocument(None, problem)


def put_aside(storage: Storage, *, previous: bool = False, keep: bool = False) -> str:
    """Move a document aside, or a copy of it, and return in words what has become of it. Blocks; never raises."""
    try:
        return f"it is kept as {storage.set_aside(previous=previous, keep=keep)}"
    except OSError as error:
        return f"it cannot be kept aside: {error}"
