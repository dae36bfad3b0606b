"""``GET /metrics`` for Prometheus: in its own formats, and with a rule of its own for who may read.

Reading may be open to everybody who is near; this is not, since who scrapes goes on for years. A program on this
machine needs nothing, everybody else the token of the configuration or a login of the bridge.
"""

import ipaddress
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from tinybms_bridge.services.ports import MetricsSource
from tinybms_bridge.services.web.heavy import HeavyAnswers, Text
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.routes.shared import TheCore
from tinybms_bridge.services.web.security.dependencies import LOGIN_HEADERS, WHO, TheGate
from tinybms_bridge.services.web.security.gate import Gate, address_of, bearer_of
from tinybms_bridge.services.web.security.origin import forwarded_addresses
from tinybms_bridge.words import message

__all__ = ["router"]

router = APIRouter(tags=["health"])

_TEXT = {"description": "In the format of Prometheus or of OpenMetrics", "content": {"text/plain": {}}}


async def _source(request: Request, core: TheCore, gate: TheGate) -> MetricsSource:
    """Return the metrics for who may read them. Raises ProblemError: 404 while they are off, 401, 429."""
    source = core.metrics
    if source is None:
        raise ProblemError(404, "not_found", message("request.nothing_there", path=request.url.path))
    try:
        await _check(request, gate, source)
    except ProblemError:
        source.refused()
        raise
    return source


async def _check(request: Request, gate: Gate, source: MetricsSource) -> None:
    """Raise ProblemError for who may not read. Only tries of the token are slowed: tokens of the bridge are long."""
    token = bearer_of(request)
    if not token and _is_on_this_machine(request):
        return
    try:
        seen = await gate.see(request)
    except ProblemError:
        if not source.has_token:
            raise
        begun = gate.begin_try(request)
        if not source.admits(token):
            raise
        begun.succeeded()
        return
    if seen is None:
        raise ProblemError(401, "login_required", message("metrics.login_required"), headers=LOGIN_HEADERS)


def _is_on_this_machine(request: Request) -> bool:
    """Tell whether a program on this machine asks; one that tells of other addresses is a proxy, or says so."""
    if any(True for _ in forwarded_addresses(request.headers)):
        return False
    try:
        return ipaddress.ip_address(address_of(request)).is_loopback
    except ValueError:
        return False


@router.get("/metrics", response_class=Response, responses={200: _TEXT}, openapi_extra={WHO: "login"})
async def metrics(request: Request, source: Annotated[MetricsSource, Depends(_source)]) -> Response:
    """Return the values of this moment for a Prometheus server; what is not live is absent.

    Programs on the machine of the bridge need no login, and the token `metrics.token` serves as one here.
    """
    make = source.scrape(request.headers.get("accept", ""))

    def text() -> Text:
        made = make()
        return Text(made.text, made.media_type, {"Cache-Control": "no-store"})

    # Whoever has come so far does not wait behind strangers: a scrape that fails counts as a bridge that is down.
    return await HeavyAnswers(request, known=True).answer(text)
