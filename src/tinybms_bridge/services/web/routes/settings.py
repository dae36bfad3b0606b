"""``/api/settings``: the configuration, shown without secrets, changed in part or as a whole; and its JSON Schema."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Query, Request, Response
from pydantic import Field, JsonValue
from starlette.responses import JSONResponse

from tinybms_bridge.battery.limits import Chemistry, Curve, LimitCode, Limits
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.config.changes import ConfigChange
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.describe import json_schema
from tinybms_bridge.config.json_text import read_object
from tinybms_bridge.config.keys import keys_of
from tinybms_bridge.config.limits import effective_on
from tinybms_bridge.config.models.curves import Curves
from tinybms_bridge.config.store import ConfigStore, OtherRevisionError
from tinybms_bridge.config.validation import lookup
from tinybms_bridge.config.values import public_values
from tinybms_bridge.errors import ConfigError
from tinybms_bridge.hal.system_errors import error_words
from tinybms_bridge.services.web.answers import Answer, ConfigNoticeAnswer, Done
from tinybms_bridge.services.web.heavy import Heavy, Text
from tinybms_bridge.services.web.openapi import SETTINGS_PROBLEMS
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.routes.shared import TextLanguage, TheCore, config_problem
from tinybms_bridge.services.web.security import Admin, Facts, Viewer
from tinybms_bridge.words import ENGLISH, Language, message

__all__ = ["Saved", "router", "saved"]

router = APIRouter(tags=["settings"])

_SOURCE = "request"

Document = Annotated[dict[str, Any], Body(description="See the schemas Settings and SettingsChange.")]


DryRun = Annotated[bool, Query(description="Only tell what would change; nothing is saved.")]

Seen = Annotated[
    str | None,
    Header(alias="If-Match", description="`ETag` of the settings that were read; 412 if they are others by now."),
]


@dataclass(frozen=True, slots=True)
class _Asked:
    """How a change is asked for."""

    revision: str | None
    """That the sender has seen; None: any."""
    dry_run: bool
    language: Language


async def _asked(lang: TextLanguage, seen: Seen = None, dry_run: DryRun = False) -> _Asked:
    revision = (seen or "*").strip().removeprefix("W/").strip('"')
    return _Asked(None if revision == "*" else revision, dry_run, lang)


Asked = Annotated[_Asked, Depends(_asked)]


class KeyDifference(Answer):
    """A key with another value."""

    path: str
    old: JsonValue
    new: JsonValue
    """`********` for a secret that is set."""


class Saved(Done):
    """The configuration was saved and is in force."""

    changed: list[str]
    """Dotted paths of the keys with another value."""
    differences: list[KeyDifference] = Field(default_factory=list)
    """The same keys with their values."""
    restarts_web_server: bool = False
    """Whether the web server starts again for it, perhaps at another address; everything else goes on."""
    notices: list[ConfigNoticeAnswer] = Field(default_factory=list)


class CurveAnswer(Answer):
    """What fraction of a current is left over a voltage, a temperature or a state of charge."""

    name: str = Field(examples=["charge_by_temperature"])
    """The key below `cvl.curves`."""
    unit: str
    points: list[list[float]] = Field(examples=[[[0.0, 0.0], [14.0, 1.0]]])
    """Value and fraction; straight lines between them, level outside."""
    automatic: bool
    """Whether it follows from the settings of the BMS and the chemistry."""
    now: float | None
    """The present reading that it is about; null while there is none."""
    now_fraction: float | None
    """What is left by it."""


class EffectiveAnswer(Answer):
    """What the settings in force come to on this battery; empty until the settings of the BMS are known."""

    values: dict[str, float | str] = Field(examples=[{"cvl.bulk_voltage_v": 56.0, "cvl.chemistry": "lfp"}])
    """What counts for each key that is null or `auto`, by path, in the unit of the key."""
    cell_marks_v: dict[str, float] = Field(examples=[{"resting": 3.35, "target": 3.5, "over_voltage": 3.7}])
    """Voltages per cell that decide something, by name: those of the BMS are `under_voltage` (register 316),
    `fully_charged` (300) and `over_voltage` (315)."""
    lowest_cell_v: float | None
    """Null while there is no present reading."""
    highest_cell_v: float | None
    curves: list[CurveAnswer]


@router.get("/api/settings")
async def read_settings(
    core: TheCore,
    response: Response,
    _user: Viewer,
    download: Annotated[bool, Query(description="Let a browser save it as a file.")] = False,
) -> dict[str, Any]:
    """Return every setting as it is in force, what the command line says included.

    It may be sent back as it is: a secret that is set is ``********``, and what the command line says is not saved.
    `ETag` names this content for `If-Match`.
    """
    document = public_values(core.store.in_force)
    if download:
        headers = {"Content-Disposition": 'attachment; filename="tinybms-bridge.json"'}
        return JSONResponse(document, headers=headers)  # type: ignore[return-value]  # FastAPI passes responses on
    response.headers["ETag"] = f'"{core.store.revision}"'
    return document


@router.post("/api/settings", responses=SETTINGS_PROBLEMS)
async def change_settings(
    request: Request,
    core: TheCore,
    response: Response,
    _user: Admin,
    facts: Facts,
    _document: Document,
    asked: Asked,
) -> Saved:
    """Change the given keys, save, and apply at once; null takes a key back to its default (RFC 7396)."""
    change = await _change(core.store.update, await request.body(), asked, facts)
    return _answer(change, core.store, response, asked, facts)


@router.put("/api/settings", responses=SETTINGS_PROBLEMS)
async def replace_settings(
    request: Request,
    core: TheCore,
    response: Response,
    _user: Admin,
    facts: Facts,
    _document: Document,
    asked: Asked,
) -> Saved:
    """Put a whole configuration in the place of the present one, for example a backup; otherwise as POST.

    What it does not name of `hardware`, `packs` and `web_server` stays as it is; with `packs` it names all of them.
    """
    change = await _change(core.store.replace, await request.body(), asked, facts)
    return _answer(change, core.store, response, asked, facts)


def saved(change: ConfigChange, done: str, facts: Facts, store: ConfigStore, language: Language = ENGLISH) -> Saved:
    """Return the answer for a change, and add its keys to the facts of the request."""
    facts["changed"] = " ".join(change.changed_paths) or "nothing"
    old, new = public_values(change.old), public_values(change.new)

    def value(values: dict[str, Any], path: str) -> Any:  # noqa: ANN401 - whatever a key holds
        return lookup(values, path.split("."))

    return Saved(
        message=done,
        changed=list(change.changed_paths),
        differences=[
            KeyDifference(path=path, old=value(old, path), new=value(new, path)) for path in change.changed_paths
        ],
        restarts_web_server=_web_options(change.old, store) != _web_options(change.new, store),
        notices=[ConfigNoticeAnswer.about(notice.path, notice.message, language) for notice in change.notices],
    )


def _web_options(config: Configuration, store: ConfigStore) -> WebOptions:
    return WebOptions.from_config(store.adjusted(config).web_server, Path())


async def _change(save: Callable[..., ConfigChange], body: bytes, asked: _Asked, facts: Facts) -> ConfigChange:
    """Have the store take the document of a body. Raises ProblemError."""
    if asked.dry_run:
        facts["dry_run"] = True
    try:
        return await asyncio.to_thread(save, _checked(body), revision=asked.revision, dry_run=asked.dry_run)
    except ConfigError as error:
        raise config_problem(error) from error
    except OtherRevisionError as error:
        raise ProblemError(412, "configuration_changed", error.description) from error
    except OSError as error:
        told = message("config.not_saved", reason=error_words(error))
        raise ProblemError(500, "config_save_failed", told) from error


def _answer(change: ConfigChange, store: ConfigStore, response: Response, asked: _Asked, facts: Facts) -> Saved:
    if asked.dry_run:
        return saved(change, "Nothing was saved", facts, store, asked.language)
    response.headers["ETag"] = f'"{change.revision}"'
    return saved(change, "Configuration updated", facts, store, asked.language)


def _checked(body: bytes) -> dict[str, Any]:
    """Return the document of a body, which may be no deeper and no stranger than a file. Raises ConfigError."""
    document, problems = read_object(body, _SOURCE)
    if problems:
        raise ConfigError(problems, source=_SOURCE)
    return document


@router.get("/api/settings/schema", response_model=dict[str, Any])
async def schema(_user: Viewer, heavy: Heavy, lang: TextLanguage) -> Response:
    """Return the JSON Schema of the configuration with units, ranges, defaults and descriptions."""
    return await heavy.kept(f"schema {lang}", lambda: Text(json_schema(lang)))


@router.get("/api/settings/effective")
async def effective(core: TheCore, _user: Viewer) -> EffectiveAnswer:
    """Return what the settings in force come to on this battery: automatic values, voltages per cell, curves."""
    view, config = core.moment().view, core.store.in_force
    if view.ratings is None:
        return EffectiveAnswer(values={}, cell_marks_v={}, lowest_cell_v=None, highest_cell_v=None, curves=[])
    chemistry, feed_in = _recognised(view.limits)
    found, snapshot = effective_on(config, view.ratings, chemistry, feed_in=feed_in), view.measured
    return EffectiveAnswer(
        values=dict(found.values),
        cell_marks_v=dict(found.cell_marks_v),
        lowest_cell_v=None if snapshot is None else snapshot.cells.min_v,
        highest_cell_v=None if snapshot is None else snapshot.cells.max_v,
        curves=[
            _curve(name, curve, snapshot, automatic=getattr(config.cvl.curves, name) is None)
            for name, curve in found.curves.items()
        ],
    )


def _recognised(limits: Limits | None) -> tuple[Chemistry | None, bool]:
    """Return the chemistry that the engine counts on, and whether it leaves room for feed-in, by its reasons."""
    for reason in () if limits is None else limits.reasons:
        if reason.code in {LimitCode.CHEMISTRY, LimitCode.FEED_IN} and reason.detail in set(Chemistry):
            return Chemistry(reason.detail), reason.code is LimitCode.FEED_IN
    return None, False


def _curve(name: str, curve: Curve, snapshot: Snapshot | None, *, automatic: bool) -> CurveAnswer:
    now = None if snapshot is None else _reading(name, snapshot, curve)
    return CurveAnswer(
        name=name,
        unit=keys_of(Curves)[name].meaning.unit,
        points=[list(point) for point in curve.points],
        automatic=automatic,
        now=now,
        now_fraction=None if now is None else curve.at(now),
    )


def _reading(name: str, snapshot: Snapshot, curve: Curve) -> float | None:
    """Return the reading that a curve is about, of several the one that leaves least; None where there is none."""
    if name.endswith("by_temperature"):
        return min(snapshot.temperatures.pack_c, key=curve.at, default=None)
    if name.endswith("by_soc"):
        found = snapshot.pack.soc_percent
    else:
        found = snapshot.cells.max_v if name.startswith("charge") else snapshot.cells.min_v
    return None if math.isnan(found) else found
