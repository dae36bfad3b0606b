"""``/api/packs``: each pack of the battery by its name; ``/api/outputs``: each way to a GX."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.snapshot import Identity, Ratings
from tinybms_bridge.battery.view import Last, View
from tinybms_bridge.link.state import CanState, PackDetails, UartState
from tinybms_bridge.services.flat import cells_mv, pack_measured, pack_numbers
from tinybms_bridge.services.ports import Moment
from tinybms_bridge.services.web.answers import Answer, Done, Mistake, Shown, extended, in_language
from tinybms_bridge.services.web.heavy import Heavy
from tinybms_bridge.services.web.live.pack_facts import PackFacts, pack_facts
from tinybms_bridge.services.web.live.status import Measured
from tinybms_bridge.services.web.routes import tinybms
from tinybms_bridge.services.web.routes.device_requests import ActionBody, RestoreRequest, WriteAnswer, WriteRequest
from tinybms_bridge.services.web.routes.diagnostics import TrafficAnswer, traffic
from tinybms_bridge.services.web.routes.events import Events, events_of_pack, events_page
from tinybms_bridge.services.web.routes.shared import (
    LARGEST_NUMBER,
    TextLanguage,
    TheCore,
    config_mistake,
    known_pack,
    of_several,
)
from tinybms_bridge.services.web.security import Admin, Facts, Viewer
from tinybms_bridge.words import Language

__all__ = ["LastMeasured", "OutputAnswer", "OutputList", "PackAnswer", "PackMap", "router"]

router = APIRouter(tags=["packs"])


class LastMeasured(Measured):
    """The last measurements before the data became old."""

    at: datetime


class PackAnswer(PackFacts, Measured):
    """One pack: what it measures, who its BMS is, and how the line to it is. Measurements are null while not live."""

    name: str
    freshness: str
    age_ms: int | None
    """Age of the last sample."""
    status: str | None
    """Name of ``online_status``."""
    temperatures: list[float | None]
    """°C: the board's own sensor and the two external ones; empty without a live sample."""
    balancing_bits: int | None
    """Bit 0 is cell 1."""
    last: LastMeasured | None
    """The last values, while there are no live ones."""
    identity: Shown[Identity] | None
    ratings: Shown[Ratings] | None
    uart: Shown[UartState]
    statistics: dict[str, float | int | str] | None
    """Extremes and counts since the BMS cleared them; null until they are read."""
    conflicts: list[Mistake]
    """What in the configuration does not fit this pack; the limits are bounded all the same."""
    advice: list[tinybms.AdviceAnswer]
    """What an expert would change in the settings of its BMS."""
    energy: Shown[EnergyTotals]
    """Its own counters."""


class PackMap(Answer):
    """Every pack by its name."""

    packs: dict[str, PackAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputAnswer(CanState):
    """One way to a GX."""

    name: str
    kind: Literal["can"] = "can"


class OutputList(Answer):
    """Every output by its name."""

    outputs: dict[str, Shown[OutputAnswer]]


async def _named(core: TheCore, _user: Viewer, name: str) -> str:
    return known_pack(core, name)


Name = Annotated[str, Depends(_named)]
"""Name of a pack that there is."""


@router.get("/api/packs")
async def packs(core: TheCore, _user: Viewer, lang: TextLanguage) -> PackMap:
    """Return every pack; ``main`` while only one is configured."""
    moment = core.moment()
    return PackMap(packs={name: _answer(name, moment, each, lang) for name, each in core.packs().items()})


@router.get("/api/packs/{name}")
async def pack(name: Name, core: TheCore, _user: Viewer, lang: TextLanguage) -> PackAnswer:
    """Return one pack."""
    return _answer(name, core.moment(), core.packs()[name], lang)


@router.get("/api/packs/{name}/registers", response_model=tinybms.Registers)
async def registers(
    name: Name,
    request: Request,
    user: Viewer,
    heavy: Heavy,
    lang: TextLanguage,
    refresh: Annotated[bool, Query(description="Read the BMS now instead of showing the last reading.")] = False,
    group: Annotated[str | None, Query(max_length=100, examples=["settings.cell"])] = None,
) -> Response:
    """Return every setting of the BMS of a pack, as ``/api/tinybms/registers``."""
    return await tinybms.registers(request, user, heavy, lang, name, refresh, group)


@router.get("/api/packs/{name}/info")
async def info(name: Name, core: TheCore, user: Viewer) -> tinybms.Info:
    """Return identity, ratings and statistics of the BMS of a pack, as ``/api/tinybms/info``."""
    return await tinybms.info(core, user, name)


@router.get("/api/packs/{name}/advice")
async def advice(name: Name, request: Request, core: TheCore, user: Viewer, lang: TextLanguage) -> tinybms.AdviceList:
    """Return what an expert would change in the settings of the BMS of a pack, as ``/api/tinybms/advice``."""
    return await tinybms.advice(request, core, user, lang, name)


@router.post("/api/packs/{name}/write")
async def write(
    request: Request, core: TheCore, user: Admin, name: Name, facts: Facts, body: WriteRequest, lang: TextLanguage
) -> WriteAnswer:
    """Write settings to the BMS of a pack, as ``/api/tinybms/write``."""
    return await tinybms.write(request, core, user, facts, body, lang, name)


@router.post("/api/packs/{name}/action")
async def act(request: Request, core: TheCore, user: Admin, name: Name, facts: Facts, body: ActionBody) -> Done:
    """Let the BMS of a pack do something once, as ``/api/tinybms/action``."""
    return await tinybms.act(request, core, user, facts, body, name)


@router.get("/api/packs/{name}/backup", response_class=Response, responses={200: {"content": {"application/json": {}}}})
async def backup(name: Name, request: Request, core: TheCore, user: Viewer, *, force: bool = False) -> Response:
    """Return every setting of the BMS of a pack as a file, as ``/api/tinybms/backup``."""
    return await tinybms.backup(request, core, user, name, force=force)


@router.post("/api/packs/{name}/restore")
async def restore(
    request: Request, core: TheCore, user: Admin, name: Name, facts: Facts, body: RestoreRequest, lang: TextLanguage
) -> WriteAnswer:
    """Write a backup to the BMS of a pack, as ``/api/tinybms/restore``."""
    return await tinybms.restore(request, core, user, facts, body, lang, name)


@router.get("/api/packs/{name}/traffic", response_model=TrafficAnswer)
async def pack_traffic(name: Name, core: TheCore, user: Viewer, heavy: Heavy, lang: TextLanguage) -> Response:
    """Return the last traffic on the line to a pack, as ``/api/uart/traffic``."""
    return await traffic(core, user, heavy, lang, name)


@router.get("/api/packs/{name}/events")
async def events(
    name: Name,
    core: TheCore,
    user: Viewer,
    lang: TextLanguage,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[
        int | None, Query(ge=1, le=LARGEST_NUMBER, description="Only entries with a smaller number.")
    ] = None,
) -> Events:
    """Return the entries of the event list that are about a pack, newest first."""
    known = [each for each in core.events() if before is None or each.number < before]
    found = events_of_pack(known, of_several(core, name))
    return events_page(found, limit, lang, named=user.is_known)


@router.get("/api/outputs")
async def outputs(core: TheCore, _user: Viewer, lang: TextLanguage) -> OutputList:
    """Return every output with its counters, and whether it hears a GX."""
    found = core.outputs()
    return OutputList(
        outputs={name: extended(OutputAnswer, in_language(each, lang), name=name) for name, each in found.items()}
    )


def _answer(name: str, moment: Moment, details: PackDetails, language: Language) -> PackAnswer:
    view = moment.packs.get(name, View())
    state = moment.battery.pack(name)
    return PackAnswer.model_validate(
        {
            **pack_measured(view),
            **pack_facts(name, moment, language),
            "name": name,
            "last": None if view.last is None else _last(view.last, moment),
            "identity": state.identity,
            "ratings": view.ratings,
            "uart": in_language(details.uart, language),
            "statistics": tinybms.statistics_answer(details.statistics),
            "conflicts": [config_mistake(each) for each in details.conflicts],
            "advice": [tinybms.advice_answer(each, language) for each in details.advice],
            "energy": state.energy,
        }
    )


def _last(last: Last, moment: Moment) -> Mapping[str, object]:
    return {"at": last.at(moment.at), **pack_numbers(last.snapshot), "cells_mv": cells_mv(last.snapshot)}
