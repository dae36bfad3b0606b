"""Routes for the first administrator, login and the own password, for users and for bearer tokens."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from tinybms_bridge.errors import BridgeError
from tinybms_bridge.services.web.accounts import Account, AccountError, AccountRegistry, Role
from tinybms_bridge.services.web.accounts.credentials import judge_password, new_record, write_token
from tinybms_bridge.services.web.answers import Shown, extended
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.security.dependencies import (
    SESSION_ONLY,
    Admin,
    Facts,
    Login,
    OwnPage,
    TheGate,
    refuse_tokens,
)
from tinybms_bridge.services.web.security.gate import COOKIE, Gate, address_of, audit, audit_login
from tinybms_bridge.services.web.security.messages import (
    CreatedToken,
    LoginBody,
    NewToken,
    NewUser,
    OwnPassword,
    PasswordIdea,
    PasswordJudgement,
    SessionState,
    SetupBody,
    SetupState,
    Success,
    TokenList,
    UserChange,
    UserInfo,
    UserList,
)
from tinybms_bridge.services.web.security.rate import DEVICE_COOKIE, DEVICE_S
from tinybms_bridge.services.web.security.sessions import LONGEST_S, User
from tinybms_bridge.words import ENGLISH, Language, message

__all__ = ["SECURITY_ROUTERS", "session_router", "user_router"]

session_router = APIRouter(prefix="/api", tags=["login"])

_LOGIN_PATH = "/api/login"


@session_router.get("/setup")
async def read_setup(gate: TheGate) -> SetupState:
    """Tell whether the first administrator is missing."""
    return SetupState(required=gate.setup_required)


@session_router.post("/setup", status_code=201, dependencies=[OwnPage])
async def set_up(body: SetupBody, request: Request, response: Response, gate: TheGate) -> SessionState:
    """Make the first administrator, once, with the setup token; the browser is logged in then."""
    address = address_of(request)
    if not gate.setup_required:
        raise ProblemError(409, "setup_done", message("account.log_in"))
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


@session_router.post("/login", dependencies=[OwnPage])
async def log_in(body: LoginBody, request: Request, response: Response, gate: TheGate) -> SessionState:
    """Begin a session: sets the cookie and returns the CSRF token."""
    account = await gate.login(body.username, body.password.get_secret_value(), request)
    return _begin(account, request, response, gate)


@session_router.post("/logout", dependencies=[OwnPage])
async def log_out(request: Request, response: Response, gate: TheGate) -> Success:
    """End the session of this browser; also when there is none."""
    gate.sessions.end(request.cookies.get(COOKIE, ""))
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return Success(message="logged out")


@session_router.get("/session")
async def read_session(request: Request, gate: TheGate) -> SessionState:
    """Tell who asks, and the CSRF token of the session."""
    seen = await gate.see(request)
    if seen is None:
        return _state(request, gate)
    csrf = seen.session.csrf if seen.session else ""
    return _state(request, gate, name=seen.user.name, role=seen.user.role, csrf=csrf)


@session_router.post("/password", openapi_extra=SESSION_ONLY)
async def change_own_password(
    body: OwnPassword, user: Login, request: Request, response: Response, gate: TheGate
) -> SessionState:
    """Change the own password; every other session and every token of the user ends. Not with a token."""
    refuse_tokens(user, message("account.token_password"))
    await gate.login(user.name, body.current.get_secret_value(), request)
    account = await gate.accounts.change(user.name, password=body.new.get_secret_value())
    audit(user, "change of the own password")
    return _begin(account, request, response, gate)


@session_router.post("/password/judge", dependencies=[OwnPage])
async def judge_idea(
    body: PasswordIdea, lang: Annotated[Language, Query(description="Language of the text.")] = ENGLISH
) -> PasswordJudgement:
    """Tell whether a password would be taken, while it is typed; nothing is kept of it."""
    wrong = judge_password(body.password.get_secret_value(), body.username)
    told = message("password.good") if wrong is None else wrong
    return PasswordJudgement(good=wrong is None, code=told.code, text=told.say(lang))


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


user_router = APIRouter(prefix="/api", tags=["users"])


@user_router.get("/users")
async def list_users(_: Admin, gate: TheGate) -> UserList:
    """List the users."""
    return UserList(users=[UserInfo.of(account) for account in gate.accounts.registry.accounts])


@user_router.post("/users", status_code=201, openapi_extra=SESSION_ONLY)
async def add_user(body: NewUser, user: Admin, facts: Facts, gate: TheGate) -> UserInfo:
    """Add a user; not with a token."""
    refuse_tokens(user, message("account.token_new_user"))
    account = await gate.accounts.add(body.username, Role(body.role), body.password.get_secret_value())
    facts |= {"name": account.name, "role": account.role}
    return UserInfo.of(account)


@user_router.patch("/users/{name}", openapi_extra=SESSION_ONLY)
async def change_user(name: str, body: UserChange, user: Admin, facts: Facts, gate: TheGate) -> UserInfo:
    """Change the password or the role of a user; another password ends sessions and tokens. Not with a token."""
    refuse_tokens(user, message("account.token_user"))
    password = None if body.password is None else body.password.get_secret_value()
    role = None if body.role is None else Role(body.role)
    account = await gate.accounts.change(name, password=password, role=role)
    facts |= {"role": account.role, **({} if password is None else {"password": "new"})}
    return UserInfo.of(account)


@user_router.delete("/users/{name}")
async def remove_user(name: str, _: Admin, gate: TheGate) -> Success:
    """Remove a user with all sessions and tokens; the last administrator stays."""
    await gate.accounts.edit(lambda registry: registry.without_account(name))
    return Success(message="user removed")


@user_router.get("/tokens")
async def list_tokens(user: Login, gate: TheGate) -> TokenList:
    """List the own bearer tokens; an administrator sees everybody's."""
    seen = [record for record in gate.accounts.registry.tokens if user.is_admin or record.user == user.name]
    return TokenList(tokens=seen)


@user_router.post("/tokens", status_code=201, openapi_extra=SESSION_ONLY)
async def make_token(body: NewToken, user: Login, gate: TheGate) -> Shown[CreatedToken]:
    """Make a bearer token for a script; by default it can do what its maker can, never more. It is shown this once."""
    refuse_tokens(user, message("account.token_token"))
    now = gate.clock.wall()
    record = new_record(user.name, body.label, user.role.at_most(body.role and Role(body.role)), now, body.days)
    registry = await gate.accounts.edit(lambda registry: registry.with_token(record, now))
    audit(user, "bearer made", id=record.id, label=record.label, role=record.role)
    token = write_token(record, registry.secret)
    return extended(CreatedToken, record, message=record.describe(), token=token)


@user_router.delete("/tokens/{token_id}")
async def revoke_token(token_id: str, user: Login, gate: TheGate) -> Success:
    """Revoke a bearer token: an own one, or as an administrator anybody's."""
    await gate.accounts.edit(lambda registry: _without_token(registry, token_id, user))
    audit(user, "bearer revoked", id=token_id)
    return Success(message="token revoked")


def _without_token(registry: AccountRegistry, token_id: str, user: User) -> AccountRegistry:
    record = registry.token(token_id)
    if record is None or not (user.is_admin or record.user == user.name):
        raise AccountError("unknown_token", message("account.unknown_token"))
    return registry.without_token(token_id)


SECURITY_ROUTERS: tuple[APIRouter, ...] = (session_router, user_router)
