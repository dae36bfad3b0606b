"""``/api/packs``: each pack of the battery by its name; ``/api/outputs``: each way to a GX."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from tinybms_bridge.battery.snapshot import Identity, Ratings
from tinybms_bridge.battery.state import PackState
from tinybms_bridge.battery.view import Last, View
from tinybms_bridge.link.state import CanState, PackDetails, UartState
from tinybms_bridge.services.flat import cells_mv, pack_measured, pack_numbers
from tinybms_bridge.services.ports import Moment
from tinybms_bridge.services.web.answers import Answer, Mistake, Shown, extended, in_language
from tinybms_bridge.services.web.heavy import Heavy
from tinybms_bridge.services.web.live.status import Measured
from tinybms_bridge.services.web.routes import tinybms
from tinybms_bridge.services.web.routes.shared import TextLanguage, TheCore, config_mistake, known_pack
from tinybms_bridge.services.web.security import Viewer
from tinybms_bridge.words import Language

__all__ = ["LastMeasured", "OutputAnswer", "OutputList", "PackAnswer", "PackMap", "router"]

router = APIRouter(tags=["packs"])


class LastMeasured(Measured):
    """The last measurements before the data became old."""

    at: datetime


class PackAnswer(Measured):
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
    del name  # one BMS is configured
    return await tinybms.registers(request, user, heavy, lang, refresh, group)


@router.get("/api/outputs")
async def outputs(core: TheCore, _user: Viewer, lang: TextLanguage) -> OutputList:
    """Return every output with its counters, and whether it hears a GX."""
    found = core.outputs()
    return OutputList(
        outputs={name: extended(OutputAnswer, in_language(each, lang), name=name) for name, each in found.items()}
    )


_UNSEEN = PackState()


def _answer(name: str, moment: Moment, details: PackDetails, language: Language) -> PackAnswer:
    view = moment.packs.get(name, View())
    state = moment.battery.packs.get(name, _UNSEEN)
    return PackAnswer.model_validate(
        {
            **pack_measured(view),
            "name": name,
            "last": None if view.last is None else _last(view.last, moment),
            "identity": state.identity,
            "ratings": view.ratings,
            "uart": in_language(details.uart, language),
            "statistics": tinybms.statistics_answer(details.statistics),
            "conflicts": [config_mistake(each) for each in details.conflicts],
            "advice": [tinybms.advice_answer(each, language) for each in details.advice],
        }
    )


def _last(last: Last, moment: Moment) -> Mapping[str, object]:
    return {"at": last.at(moment.at), **pack_numbers(last.snapshot), "cells_mv": cells_mv(last.snapshot)}
