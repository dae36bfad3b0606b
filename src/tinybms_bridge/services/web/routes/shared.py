"""What routes share: the bridge, what it and the BMS can refuse, and what people do, in words.

Refusals become problem documents; the words are for the audit line of the request and for the event list.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Query, Request
from starlette.requests import HTTPConnection

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.errors import ConfigError, ConfigProblem, DeviceRefused, LinkError
from tinybms_bridge.link.events import EventCode, Noted
from tinybms_bridge.services.ports import Core
from tinybms_bridge.services.web.language import LANGUAGE_PARAMETER, asked_language, chosen_language
from tinybms_bridge.services.web.live.watch import Watch
from tinybms_bridge.services.web.problems import ProblemError, core_is_away, mistake
from tinybms_bridge.services.web.security import Facts, User, Viewer
from tinybms_bridge.suggestions import nearest
from tinybms_bridge.tinybms.settings import (
    ConfirmationError,
    Outcome,
    Plan,
    Report,
    SettingChange,
    SettingsError,
    StaleSettingsError,
)
from tinybms_bridge.tinybms.settings.describe import caution_document
from tinybms_bridge.words import ENGLISH, JsonValue, Language, Message, message

__all__ = [
    "LARGEST_NUMBER",
    "AddressedPack",
    "AskedPack",
    "TextLanguage",
    "TheCore",
    "TheWatch",
    "config_mistake",
    "config_problem",
    "device_failures",
    "known_pack",
    "note",
    "note_writes",
    "of_several",
    "plain",
    "plan_facts",
]


async def _core(connection: HTTPConnection) -> Core:
    core: Core = connection.app.state.core
    return core


def known_pack(core: Core, name: str) -> str:
    """Return the name of a pack. Raises ProblemError for one that there is not."""
    known = core.packs()
    if name not in known:
        raise ProblemError(404, "unknown_pack", message("request.no_pack", name=name, meant=nearest(name, known)))
    return name


LARGEST_NUMBER = 2**63 - 1
"""Of an entry, a frame or a cursor in a question."""

TheCore = Annotated[Core, Depends(_core)]
"""The bridge."""


PackQuery = Annotated[str | None, Query(max_length=64, description="Name of the pack; needless while there is one.")]


async def asked_pack(core: TheCore, _user: Viewer, pack: PackQuery = None) -> str | None:
    """Return the name of the pack that is asked for, None for none; refuse one that there is not."""
    return None if pack is None else known_pack(core, pack)


async def addressed_pack(core: TheCore, _user: Viewer, pack: PackQuery = None) -> str:
    """Return the name of the pack that is meant: of several it has to be said. Raises ProblemError."""
    if pack is not None:
        return known_pack(core, pack)
    names = list(core.packs())
    if len(names) > 1:
        raise ProblemError(422, "pack_needed", message("request.which_pack", packs=names), packs=names)
    return names[0] if names else ""


AddressedPack = Annotated[str, Depends(addressed_pack)]
"""Name of the pack whose BMS is meant; empty while none is known."""

AskedPack = Annotated[str | None, Depends(asked_pack)]
"""Name of the pack that is asked for; None: of the battery."""


async def _watch(connection: HTTPConnection) -> Watch:
    watch: Watch = connection.app.state.watch
    return watch


async def _text_language(
    request: Request,
    lang: Annotated[
        Language | None,
        Query(
            alias=LANGUAGE_PARAMETER,
            description="Language of the texts; else the choice in the browser, or English.",
        ),
    ] = None,
) -> Language:
    return lang or chosen_language(request.scope) or ENGLISH


TextLanguage = Annotated[Language, Depends(_text_language)]
"""In which language texts are answered (``web.language``); codes and parameters are the same in all."""

TheWatch = Annotated[Watch, Depends(_watch)]
"""Alarms, recent changes and live data."""


def config_problem(error: ConfigError, code: str = "invalid_settings") -> ProblemError:
    """Return the problem of a configuration that cannot be used: every mistake with path, value and allowed range."""
    told = message("problems", problems=[each.description for each in error.problems])
    return ProblemError(422, code, told, errors=[config_mistake(each) for each in error.problems])


def config_mistake(problem: ConfigProblem) -> dict[str, JsonValue]:
    """Return a mistake in a configuration, or what of it does not fit the battery."""
    return {"value": plain(problem.value)} | mistake(problem.path, problem.message)


@contextmanager
def device_failures() -> Iterator[None]:
    """Turn what the settings layer of the BMS raises into problems."""
    try:
        yield
    except SettingsError as error:
        errors = [{"value": plain(each.value)} | mistake(each.name, each.message) for each in error.problems]
        raise ProblemError(422, "invalid_settings", error.description, errors=errors) from error
    except ConfirmationError as error:
        language = asked_language.get()
        texts = [each.description.say(language) for each in error.consequences]
        coded = [caution_document(each, language) for each in error.consequences]
        raise ProblemError(
            409, "confirmation_required", error.description, consequences=texts, coded_consequences=coded
        ) from error
    except StaleSettingsError as error:
        raise ProblemError(409, "settings_changed", error.description, names=list(error.names)) from error
    except DeviceRefused as error:
        raise ProblemError(502, "bms_refused", error.description) from error
    except LinkError as error:
        code = "core_unreachable" if core_is_away(error) else "bms_unreachable"
        raise ProblemError(503, code, error.description) from error


def plain(value: object) -> str | int | float | bool | None:
    """Return a value if JSON can carry it, else None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool) else None


_MOST_CHANGES = 10
_LEFT_ALONE = frozenset({Outcome.UNCHANGED, Outcome.NOT_TRIED})


def note(core: Core, told: Message, user: User, severity: Severity = Severity.INFO, pack: str = "") -> None:
    """Have the bridge write what a user did, and to which pack, into its log and event list; the text names nobody."""
    core.note(Noted(severity, told, user.name, of_several(core, pack)))


def of_several(core: Core, pack: str) -> str:
    """Return the name of a pack where there are several; empty for the only one."""
    return pack if len(core.packs()) > 1 else ""


def note_writes(core: Core, report: Report, user: User, pack: str = "") -> None:
    """Tell which settings of the BMS somebody has written, or tried to."""
    done = [
        _words(each.change) + ("" if each.outcome.good else f" ({each.outcome})")
        for each in report.results
        if each.outcome not in _LEFT_ALONE
    ]
    if done:
        severity = Severity.INFO if report.good else Severity.WARNING
        more = max(0, len(done) - _MOST_CHANGES) or None
        told = message(EventCode.SETTINGS_WRITTEN, changes=done[:_MOST_CHANGES], more=more)
        note(core, told, user, severity, pack)


def plan_facts(facts: Facts, plan: Plan, *, dry_run: bool) -> None:
    """Add what a plan changes to the facts of a request."""
    if dry_run:
        facts["dry_run"] = True
    facts["changes"] = len(plan.changes)
    for change in plan.changes[:_MOST_CHANGES]:
        facts[change.name] = f"{change.old} -> {change.new}"


def _words(change: SettingChange) -> str:
    return f"{change.name} {change.old} -> {change.new} {change.setting.unit}".rstrip()
