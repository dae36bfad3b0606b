"""What the commands share: running a coroutine until a signal, ending with one clear line."""

import importlib.util
import json
import os
import selectors
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from tinybms_bridge import __version__
from tinybms_bridge.errors import BridgeError, ConfigError, LinkError
from tinybms_bridge.words import ENGLISH, LANGUAGES, Language, Message

if TYPE_CHECKING:
    import asyncio

__all__ = [
    "EXIT_FAILURE",
    "EXIT_REFUSED",
    "end_with",
    "error_document",
    "fail",
    "json_option",
    "language_of",
    "language_option",
    "mistake",
    "need_laboratory",
    "occupy_standard_streams",
    "run_until_signal",
    "wants_json",
]

EXIT_FAILURE = 1
"""It was tried and failed, or what was looked at is not as it should be."""
EXIT_REFUSED = 2
"""The request cannot be carried out as it is: a mistake in the command, its values, its files or the configuration."""

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document, for other programs.")

language_option = click.option(
    "--lang",
    "language",
    type=click.Choice(LANGUAGES),
    default=lambda: language_of(os.environ),
    help="Language of the texts; by default that of the environment (LC_ALL, LC_MESSAGES, LANG).",
)


def language_of(environment: Mapping[str, str]) -> Language:
    """Return the language that an environment asks for, English unless it is one of the catalogue."""
    names = (environment.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    wanted = next((name for name in names if name), "")[:2].lower()
    return next((language for language in LANGUAGES if language == wanted), ENGLISH)


T = TypeVar("T")


def need_laboratory(command: str) -> None:
    """End the command with what to do where ``tinybms_lab`` is not part of this installation."""
    if importlib.util.find_spec("tinybms_lab") is None:
        fail(
            f"{command} needs the laboratory: install tinybms-bridge-lab {__version__} (the extra lab) too; "
            "a clone of the repository has it (make run)",
            EXIT_REFUSED,
        )


def fail(error: BridgeError | OSError | str, status: int | None = None) -> NoReturn:
    """End the command; see ``end_with``. ``status``: in place of the usual one, 2 for a ConfigError and 1 else."""
    if isinstance(error, ConfigError):
        source = f"{error.source}: " if error.source else ""
        mistakes = [mistake(each.path, each.message) for each in error.problems]
        end_with([f"{source}{each}" for each in error.problems], status or EXIT_REFUSED, problems=mistakes)
    hint = error.hint if isinstance(error, LinkError) else ""
    told = error.description if isinstance(error, BridgeError) else None
    if isinstance(error, OSError) and error.strerror:
        error = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    end_with([str(error)], status or EXIT_FAILURE, hint=hint, told=told)


def mistake(path: str, told: Message) -> dict[str, object]:
    """Return what is wrong with a key or a setting, for programs."""
    return {"path": path, "message": told.text, **told.document()}


def end_with(
    messages: Sequence[str],
    status: int,
    *,
    hint: str = "",
    problems: Sequence[Mapping[str, object]] = (),
    note: str = "",
    told: Message | None = None,
) -> NoReturn:
    """End the command with a line for each message on standard error, or with --json with one object in one line.

    Standard output stays as it is: it holds a result, or nothing that a script could take for one.

    Args:
        messages: What is wrong.
        status: Exit status.
        hint: What the user can do; for people it is part of the message already.
        problems: Each mistake by itself, for programs.
        note: What else people should know.
        told: The message by its code, for programs.

    """
    if wants_json():
        details: dict[str, object] = {"hint": hint} if hint else {}
        details |= {"problems": list(problems)} if problems else {}
        details |= {} if told is None else {"code": told.code, "parameters": dict(told.parameters)}
        click.echo(error_document("; ".join(messages), status, **details), err=True)
        sys.exit(status)
    for message in messages:
        click.echo(f"error: {message}", err=True)
    if note:
        click.echo(note, err=True)
    sys.exit(status)


def error_document(message: str, status: int, **details: object) -> str:
    """Return the last line on standard error of a command with --json that fails."""
    return json.dumps({"error": message, **details, "exit_status": status}, ensure_ascii=False)


def wants_json() -> bool:
    """Return whether the command that runs now was given --json."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.params.get("as_json"))


def occupy_standard_streams() -> None:
    """Open the null device in the place of each standard stream that was closed before the start.

    Otherwise the next port to be opened gets its number, and whatever a library prints goes to the battery.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def run_until_signal(make: Callable[[], Coroutine[Any, Any, T]], *, punctual: bool = False) -> T | None:
    """Run a coroutine until it ends or SIGINT or SIGTERM asks it to; None in the latter case.

    ``punctual``: on an event loop whose timers do not round up to 1 ms, as those of epoll do; it serves few files.
    """
    import asyncio

    async def body() -> T | None:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(make())
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return None

    with asyncio.Runner(loop_factory=_punctual_loop if punctual else None) as runner:
        return runner.run(body())


def _punctual_loop() -> "asyncio.AbstractEventLoop":
    import asyncio

    return asyncio.SelectorEventLoop(selectors.SelectSelector())
