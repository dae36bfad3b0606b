"""``/api/services``: MQTT, notifications and the others that somebody may want: how each stands, and a trial of one."""

from dataclasses import dataclass, replace

from fastapi import APIRouter

from tinybms_bridge.errors import BridgeError
from tinybms_bridge.link.state import ServiceState
from tinybms_bridge.services.ports import WatchedService
from tinybms_bridge.services.web.answers import Answer, MessageAnswer, Shown, extended
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.routes.shared import TextLanguage, TheCore
from tinybms_bridge.services.web.security import Admin, Facts, Viewer
from tinybms_bridge.words import Language, Message, message, say

__all__ = ["NamedService", "ServiceTried", "ServicesAnswer", "router"]

router = APIRouter(tags=["services"])


@dataclass(frozen=True, slots=True)
class NamedService(ServiceState):
    """One service, its sentences and its name in the language of the other texts."""

    title: str = ""
    """What people call it."""


class ServicesAnswer(Answer):
    """Every service beside web, history and log, wanted or not."""

    services: list[Shown[NamedService]]


class ServiceTried(Answer):
    """What a trial of a service showed."""

    success: bool
    """Whether it did what it is for."""
    message: MessageAnswer
    """What happened, or why not, in the language of the other texts."""


@router.get("/api/services")
async def services(core: TheCore, _user: Viewer, lang: TextLanguage) -> ServicesAnswer:
    """Return how each service stands, with its last error."""
    return ServicesAnswer(services=[_told(each.state(), lang) for each in core.services().values()])


@router.post("/api/services/{name}/test")
async def try_service(name: str, core: TheCore, _user: Admin, facts: Facts, lang: TextLanguage) -> ServiceTried:
    """Try a service as it is configured: speak with the broker, send a notification; takes some seconds."""
    found: WatchedService | None = core.services().get(name)
    if found is None:
        raise ProblemError(404, "unknown_service", message("core.unknown_name", name=name))
    facts["service"] = name
    try:
        told, success = await found.test(), True
    except BridgeError as error:
        told, success = error.description, False
    facts["success"] = success
    return ServiceTried(success=success, message=MessageAnswer.model_validate(_in(told, lang).document()))


def _told(state: ServiceState, language: Language) -> NamedService:
    why, last = state.message, state.last_error
    return extended(
        NamedService,
        state,
        message=None if why is None else _in(why, language),
        last_error=None if last is None else _in(last, language),
        title=say(f"service_name.{state.name}", {}, language, state.name),
    )


def _in(told: Message, language: Language) -> Message:
    return replace(told, text=told.say(language))
