"""What a client may ask of the BMS, and the names of settings that it means."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, StrictFloat, StrictInt, StrictStr
from pydantic_core import PydanticCustomError

from tinybms_bridge.errors import said_of
from tinybms_bridge.services.web.answers import Answer, MessageAnswer, Request, examples
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.tinybms.settings import (
    ActionName,
    Outcome,
    Plan,
    Report,
    Result,
    StaleSettingsError,
    all_settings,
    find_setting,
)
from tinybms_bridge.tinybms.settings.describe import caution_document
from tinybms_bridge.tinybms.settings.writer import described
from tinybms_bridge.words import Language, Message, message

__all__ = [
    "ActionBody",
    "PlanAnswer",
    "RestoreRequest",
    "ResultAnswer",
    "WriteAnswer",
    "WriteRequest",
    "held_to",
    "wanted",
    "write_answer",
]

_LONGEST_TEXT = 200


def _scalar(value: object) -> object:
    """Refuse what is neither number nor text with one message, not with one for each type that it is not."""
    usable = isinstance(value, int | float | str) and not isinstance(value, bool)
    if not usable or (isinstance(value, str) and len(value) > _LONGEST_TEXT):
        raise PydanticCustomError("scalar", f"must be a number, or a text of at most {_LONGEST_TEXT} characters")
    return value


def _scalar_or_none(value: object) -> object:
    return None if value is None else _scalar(value)


_Scalar = StrictInt | StrictFloat | Annotated[StrictStr, Field(max_length=_LONGEST_TEXT)]
Value = Annotated[_Scalar, BeforeValidator(_scalar)]
MaybeValue = Annotated[_Scalar | None, BeforeValidator(_scalar_or_none)]

_SEVERAL = {"values": {"fully_charged_voltage_v": 3.5, "over_voltage_cutoff_v": 3.65}, "dry_run": True}
_BACKUP = {"backup": {"what": "as /api/tinybms/backup gave it"}, "dry_run": True}


class Consent(Request):
    """How far to go."""

    confirm: bool = False
    """Accepts that power is cut, the BMS restarts or measurements change; the refusal without it says which."""
    dry_run: bool = False
    """Only tell what would be written."""
    expected: dict[str, MaybeValue] | None = Field(default=None, max_length=64, examples=[None])
    """The value that each setting had when the changes were looked at (``old`` of the dry run), by key; where the BMS
    holds another one, or more would change, nothing is written (409 ``settings_changed``)."""


class WriteRequest(Consent, json_schema_extra=examples({"key": "over_voltage_cutoff_v", "value": 3.65}, _SEVERAL)):
    """One setting by key or address, or several as ``values``."""

    key: str | None = Field(default=None, max_length=100, examples=["over_voltage_cutoff_v"])
    address: int | None = Field(default=None, ge=0, le=65_535, examples=[315])
    value: MaybeValue = Field(default=None, examples=[3.65])
    """In the unit of the key; a choice by its text or number."""
    values: dict[str, Value] | None = Field(default=None, max_length=64, examples=[None])
    """Several settings by key, judged and written together."""


class RestoreRequest(Consent, json_schema_extra=examples(_BACKUP)):
    """A backup to write."""

    backup: dict[str, Any]
    """As ``/api/tinybms/backup`` gave it."""
    force: bool = False
    """Also a backup of a battery with another number of cells."""


class ActionBody(Request, json_schema_extra=examples({"action": "clear_statistics", "confirm": True})):
    """Something that the BMS does once."""

    action: Annotated[ActionName, Field(strict=False, examples=["clear_statistics"])]
    value: MaybeValue = None
    """Percent for a state of charge or health, ``dual_port`` or ``single_port`` for the mode."""
    confirm: bool = False


class SettingChangeAnswer(Answer):
    """One setting that is to change."""

    name: str
    register_: int = Field(serialization_alias="register")
    unit: str
    old: float | int | str | None
    new: float | int | str | None


class CautionAnswer(MessageAnswer):
    """Something to know before a change."""

    name: str
    """The setting; empty when it is about the whole."""
    needs_confirmation: bool
    """Whether ``confirm`` accepts it."""


class ResultAnswer(SettingChangeAnswer):
    """What became of one setting."""

    register_: int = Field(validation_alias="register", serialization_alias="register")
    outcome: Outcome
    found: float | int | str | None
    """The value read back; null when nothing was read."""
    detail: str
    """What happened, when it is not plain."""
    code: str
    """Of ``detail``; empty when all is plain."""
    parameters: dict[str, Any]
    text: str
    """What became of it, in one line."""

    @classmethod
    def of(cls, result: Result, language: Language) -> Self:
        """Return a result with its texts in a language."""
        detail = "" if result.detail is None else result.detail.say(language)
        return cls.model_validate({**result.as_dict(), "detail": detail, "text": result.description.say(language)})


class PlanAnswer(Answer):
    """What would be written."""

    changes: list[SettingChangeAnswer]
    cautions: list[str]
    """What to know before."""
    consequences: list[str]
    """What ``confirm`` accepts."""
    coded_cautions: list[CautionAnswer]
    """``cautions`` with code and parameters."""


class WriteAnswer(PlanAnswer):
    """What was written, each value read back."""

    success: bool
    message: str
    dry_run: bool
    results: list[ResultAnswer]
    """What became of each setting; empty after a dry run."""
    side_effects: list[str]
    """Settings that nobody asked to change and that the BMS changed meanwhile."""


def wanted(request: WriteRequest) -> dict[str, object]:
    """Return the wanted values by name. Raises ProblemError 422 for nothing or too much, 404 for an unknown address."""
    given = [each is not None for each in (request.key, request.address, request.values)]
    if sum(given) != 1 or (request.values is None) != (request.value is not None):
        raise ProblemError(422, "missing_fields", message("request.what_to_write"))
    if request.values is not None:
        return {name: _text_of_choice(name, value) for name, value in request.values.items()}
    name = _name_at(request.address) if request.key is None and request.address is not None else request.key or ""
    return {name: _text_of_choice(name, request.value)}


def held_to(plan: Plan, expected: Mapping[str, object] | None) -> None:
    """Raise StaleSettingsError unless a plan changes what somebody looked at, from the values that were seen then."""
    if expected is None:
        return
    changed = [each.name for each in plan.changes if each.name not in expected or expected[each.name] != each.old]
    if changed:
        raise StaleSettingsError(changed)


def _plan_answer(plan: Plan, language: Language) -> PlanAnswer:
    """Return a plan for JSON."""
    changes = [
        SettingChangeAnswer(
            name=each.name, register_=each.setting.address, unit=each.setting.unit, old=each.old, new=each.new
        )
        for each in plan.changes
    ]
    return PlanAnswer(
        changes=changes,
        cautions=[each.description.say(language) for each in plan.cautions],
        consequences=[each.description.say(language) for each in plan.consequences],
        coded_cautions=[CautionAnswer.model_validate(caution_document(each, language)) for each in plan.cautions],
    )


def write_answer(plan: Plan, report: Report | None, language: Language) -> WriteAnswer:
    """Return what became of a plan; None for a dry run. Raises ProblemError 502 when something was not written."""
    results = [] if report is None else [ResultAnswer.of(each, language) for each in report.results]
    if report is not None and not report.good:
        failed = [said_of(each.name, described(each.outcome, None)) for each in report.results if not each.outcome.good]
        documents = [each.model_dump(mode="json", by_alias=True) for each in results]
        raise ProblemError(502, "write_failed", message("request.not_all_written", failed=failed), results=documents)
    done = "Nothing was written (dry run)" if report is None else "Settings written and read back"
    return WriteAnswer(
        **dict(_plan_answer(plan, language)),
        success=True,
        message=done if report is None or plan.changes else "The BMS holds these values already",
        dry_run=report is None,
        results=results,
        side_effects=[each.name for each in report.side_effects] if report else [],
    )


def _name_at(address: int) -> str:
    names = [each.name for each in all_settings().values() if 0 <= address - each.address < each.register.words]
    if len(names) == 1:
        return names[0]
    if names:
        raise ProblemError(422, "ambiguous_address", message("request.several_settings", register=address, names=names))
    reason = find_setting(str(address))
    assert isinstance(reason, Message)
    raise ProblemError(404, "unknown_key", said_of(str(address), reason))


def _text_of_choice(name: str, value: object) -> object:
    """Return the text of a choice that was given by its number, as the firmware's clients do."""
    setting = all_settings().get(name)
    if setting is None or not isinstance(value, int):
        return value
    return setting.choices.get(value, value)
