"""A short-lived process that checks a configuration for a core, which loads no checker itself.

``python -m tinybms_bridge.config.checker`` reads one ``CheckRequest`` as JSON from standard input and writes one
``CheckAnswer`` to standard output. ``core.configuration`` is the other end. What it does is what the command line
does for itself (``config.opening``).
"""

import json
import sys
from dataclasses import asdict, dataclass, field
from typing import Any

from tinybms_bridge import __version__
from tinybms_bridge.config.notices import Notice
from tinybms_bridge.config.overrides import Overrides
from tinybms_bridge.config.paths import default_path
from tinybms_bridge.errors import ConfigError, ConfigProblem

__all__ = ["CheckAnswer", "CheckRequest", "answer"]


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """Which configuration is to be checked."""

    path: str | None = None
    """The file; None: the one in the usual place."""
    overrides: Overrides = field(default_factory=Overrides)
    """What the command line says in its place."""
    fall_back: bool = True
    """Whether the last good copy takes the place of a file that cannot be used, and a good file that of the copy.

    For a start; whoever has a configuration in force keeps that, and judges a new one before it counts as good.
    """


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """What was found."""

    version: str = __version__
    """Of the program that checked: files of a running program may have been replaced by those of another version."""
    path: str = ""
    """The file."""
    values: dict[str, Any] | None = None
    """Every value that is to be in force, secrets in clear; None when nothing can be used."""
    remarks: tuple[str, ...] = ()
    """What to tell whoever starts the bridge."""
    notices: tuple[Notice, ...] = ()
    """Remarks on the configuration in force, by key."""
    problems: tuple[ConfigProblem, ...] = ()
    """Why the file, or what the command line says, cannot be used."""
    source: str = ""
    """What the problems are in."""
    fell_back: bool = False
    """Whether the values are those of a last good copy."""
    digest: str | None = None
    """``digest_of`` the file as it was read; None when there is none."""


def answer(request: CheckRequest) -> CheckAnswer:
    """Check a configuration. Reads the file and, with ``fall_back``, keeps a copy of it."""
    from tinybms_bridge.config.opening import open_configuration
    from tinybms_bridge.config.values import values_of

    path = request.path or str(default_path())
    try:
        opened = open_configuration(request.path, request.overrides, fall_back=request.fall_back)
    except ConfigError as refusal:
        return CheckAnswer(path=path, problems=tuple(refusal.problems), source=refusal.source)
    store, error = opened.store, opened.store.error
    return CheckAnswer(
        path=path,
        values=values_of(opened.config),
        remarks=opened.remarks,
        notices=store.notices,
        problems=() if error is None else tuple(error.problems),
        source=store.name,
        fell_back=store.fell_back,
        digest=store.digest,
    )


def _main() -> None:
    from pydantic import TypeAdapter

    request = TypeAdapter(CheckRequest).validate_json(sys.stdin.buffer.read())
    sys.stdout.write(json.dumps(asdict(answer(request))))


if __name__ == "__main__":
    _main()
