"""``/api/packs/candidates``: which BMS answers on which serial port, asked when somebody wants to know."""

from fastapi import APIRouter

from tinybms_bridge.services.web.answers import Answer, Shown, in_language
from tinybms_bridge.services.web.routes.shared import TextLanguage, TheCore, device_failures
from tinybms_bridge.services.web.security import Admin
from tinybms_bridge.tinybms.found_units import Candidate

__all__ = ["CandidateList", "router"]

router = APIRouter(tags=["packs"])


class CandidateList(Answer):
    """Every serial port of the machine, those of the packs first."""

    candidates: list[Shown[Candidate]]


@router.get("/api/packs/candidates")
async def candidates(core: TheCore, _user: Admin, lang: TextLanguage) -> CandidateList:
    """Ask at each serial port that is free which BMS answers there; takes up to 3 s.

    The port of a pack in service is told with what is known of its BMS, and not touched; one that another program holds
    is not opened. A free one is opened for as long as its answer takes, and sees requests that only read.
    """
    with device_failures():
        found = await core.candidates()
    return CandidateList(candidates=[in_language(each, lang) for each in found])
