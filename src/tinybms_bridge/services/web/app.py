"""Puts the web application together: routes, security, errors and limits."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI

from tinybms_bridge import __version__
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.services.ports import Core
from tinybms_bridge.services.web.accounts import Accounts
from tinybms_bridge.services.web.heavy import HeavyWork
from tinybms_bridge.services.web.live.watch import Watch
from tinybms_bridge.services.web.middleware import BodyLimit, HeadAsGet, Headers
from tinybms_bridge.services.web.openapi import document_contents
from tinybms_bridge.services.web.openapi import router as openapi
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.services.web.problems import PROBLEM_RESPONSES, CatchAll, install_problems
from tinybms_bridge.services.web.security.dependencies import document_logins
from tinybms_bridge.services.web.security.gate import Gate
from tinybms_bridge.services.web.security.messages import install_account_problems
from tinybms_bridge.services.web.security.routes import SECURITY_ROUTERS

__all__ = ["create_app"]


def create_app(
    core: Core,
    options: WebOptions,
    *,
    gate: Gate | None = None,
    watch: Watch | None = None,
    routers: Sequence[APIRouter] | None = None,
) -> FastAPI:
    """Return the application over one bridge.

    ``core`` is what the routes see of the bridge; ``gate`` knows the users, by default nobody; ``watch`` follows
    the bridge from one application to the next; ``routers`` replaces the routes of ``services.web.routes``.
    """
    app = FastAPI(
        title="tinybms-bridge",
        version=__version__,
        openapi_url=None,  # see openapi.py
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        responses=PROBLEM_RESPONSES,
        redirect_slashes=False,
    )
    app.state.core = core
    app.state.options = options
    app.state.gate = gate or Gate(Accounts(MemoryStorage()), SystemClock(), options)
    app.state.watch = watch or Watch(core)
    app.state.heavy = HeavyWork()
    install_problems(app)
    install_account_problems(app)
    included = (openapi, *SECURITY_ROUTERS, *(_all_routers() if routers is None else routers))
    for router in included:
        app.include_router(router)
    document_logins(app, included)
    document_contents(app)
    # The last one added is the outermost.
    app.add_middleware(HeadAsGet)
    app.add_middleware(BodyLimit, max_bytes=options.max_body_bytes, timeout_s=options.body_timeout_s)
    app.add_middleware(CatchAll)
    app.add_middleware(Headers, origins=options.origins)
    return app


def _all_routers() -> Sequence[APIRouter]:
    from tinybms_bridge.services.web.routes import ROUTERS

    return ROUTERS
