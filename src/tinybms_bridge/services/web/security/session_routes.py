"""Routes for the first administrator, login, logout and the own password."""

from fastapi import APIRouter, Request, Response

from tinybms_bridge.errors import BridgeError
from tinybms_bridge.services.web.accounts import Account, AccountError, Role
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.security.audit import audit, audit_login
from tinybms_bridge.services.web.security.dependencies import SESSION_ONLY, Login, OwnPage, TheGate, refuse_tokens
from tinybms_bridge.services.web.security.device import DEVICE_COOKIE, DEVICE_S
from tinybms_bridge.services.web.security.gate import COOKIE, Gate, address_of
from tinybms_bridge.services.web.security.messages import (
    LoginBody,
    OwnPassword,
    SessionState,
    SetupBody,
    SetupState,
    Success,
)
from tinybms_bridge.services.web.security.sessions import LONGEST_S

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["login"])

_LOGIN_PATH = "/api/login"


@router.get("/setup")
async def read_setup(gate: TheGate) -> SetupState:
    """Tell whether the first administrator is missing."""
    return SetupState(required=gate.setup_required)


@router.post("/setup", status_code=201, dependencies=[OwnPage])
async def set_up(body: SetupBody, request: Request, response: Response, gate: TheGate) -> SessionState:
    """Make the first administrator, once, with the setup token; the browser is logged in then."""
    address = address_of(request)
    if not gate.setup_required:
        raise ProblemError(409, "setup_done", "there is an administrator already: log in")
    begun = gate.begin_try(request)
    try:
        account = await gate.accounts.set_up(
            body.username, body.password.get_secret_value(), body.token.get_secret_value()
        )
    except BridgeError as error:
        if isinstance(error, AccountError) and error.code == "wrong_setup_token":
            audit_login("(setup)", address, "refused")
        else:
            begun.succeeded()
        raise
    begun.succeeded()
    audit_login(account.name, address, "accepted")
    return _begin(account, request, response, gate)


@router.post("/login", dependencies=[OwnPage])
async def log_in(body: LoginBody, request: Request, response: Response, gate: TheGate) -> SessionState:
    """Begin a session: sets the cookie and returns the CSRF token."""
    account = await gate.login(body.username, body.password.get_secret_value(), request)
    return _begin(account, request, response, gate)


@router.post("/logout", dependencies=[OwnPage])
async def log_out(request: Request, response: Response, gate: TheGate) -> Success:
    """End the session of this browser; also when there is none."""
    gate.sessions.end(request.cookies.get(COOKIE, ""))
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return Success(message="logged out")


@router.get("/session")
async def read_session(request: Request, gate: TheGate) -> SessionState:
    """Tell who asks, and the CSRF token of the session."""
    seen = await gate.see(request)
    if seen is None:
        return _state(request, gate)
    csrf = seen.session.csrf if seen.session else ""
    return _state(request, gate, name=seen.user.name, role=seen.user.role, csrf=csrf)


@router.post("/password", openapi_extra=SESSION_ONLY)
async def change_own_password(
    body: OwnPassword, user: Login, request: Request, response: Response, gate: TheGate
) -> SessionState:
    """Change the own password; every other session and every token of the user ends. Not with a token."""
    refuse_tokens(user, "change a password")
    await gate.login(user.name, body.current.get_secret_value(), request)
    account = await gate.accounts.change(user.name, password=body.new.get_secret_value())
    audit(user, "change of the own password")
    return _begin(account, request, response, gate)


def _begin(account: Account, request: Request, response: Response, gate: Gate) -> SessionState:
    key, session = gate.sessions.begin(account)
    response.set_cookie(
        COOKIE,
        key,
        max_age=int(LONGEST_S),
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    response.set_cookie(
        DEVICE_COOKIE,
        gate.device_cookie(account),
        max_age=DEVICE_S,
        path=_LOGIN_PATH,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return _state(request, gate, name=account.name, role=account.role, csrf=session.csrf)


def _state(request: Request, gate: Gate, *, name: str = "", role: Role = Role.VIEWER, csrf: str = "") -> SessionState:
    return SessionState(
        authenticated=bool(name),
        user=name,
        role=role.value,
        csrf_token=csrf,
        open_reading=gate.reading_is_open(request),
        setup_required=gate.setup_required,
    )
