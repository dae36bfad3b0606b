"""``GET /api/doctor``: what is wrong with the bridge and what to do about it, as ``tinybms-bridge doctor`` says it."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BeforeValidator, Field

from tinybms_bridge.doctor.findings import worst
from tinybms_bridge.services.ports import Examination
from tinybms_bridge.services.web.answers import Answer
from tinybms_bridge.services.web.routes.shared import AskedPack, TextLanguage, TheCore
from tinybms_bridge.services.web.security import Viewer
from tinybms_bridge.words import JsonValue, Language, say

__all__ = ["DoctorAnswer", "FindingAnswer", "doctor_answer", "router"]

router = APIRouter(tags=["diagnostics"])

VerdictName = Annotated[Literal["ok", "skipped", "warning", "problem"], BeforeValidator(str)]


class FindingAnswer(Answer):
    """One thing that was looked at."""

    check: str = Field(examples=["serial port"])
    title: str
    """Its name in the language of the texts."""
    verdict: VerdictName
    code: str = Field(examples=["doctor.answers"])
    parameters: dict[str, JsonValue]
    text: str
    """What was found."""
    advice: str
    """What to do about it; empty for nothing."""


class DoctorAnswer(Answer):
    """What the doctor found."""

    at: datetime
    """When; who asks within 10 s gets the same."""
    verdict: VerdictName
    """The worst of all."""
    findings: list[FindingAnswer]
    """In the order in which to solve them."""


@router.get("/api/doctor")
async def doctor(core: TheCore, _user: Viewer, lang: TextLanguage, _pack: AskedPack) -> DoctorAnswer:
    """Examine configuration, BMS, its line, CAN bus, GX and machine; takes some seconds and changes nothing."""
    return doctor_answer(await core.examine(), lang)


def doctor_answer(found: Examination, language: Language) -> DoctorAnswer:
    """Return an examination in a language."""
    return DoctorAnswer(
        at=found.at,
        verdict=worst(found.findings).value,
        findings=[
            FindingAnswer(
                check=each.check,
                title=say(f"check.{each.check.lower().replace(' ', '_')}", {}, language, each.check),
                verdict=each.verdict.value,
                code=each.message.code,
                parameters=dict(each.message.parameters),
                text=each.message.say(language),
                advice=each.advice_in(language),
            )
            for each in found.findings
        ],
    )
