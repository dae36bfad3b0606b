"""Routes for users and bearer tokens."""

from fastapi import APIRouter

from tinybms_bridge.services.web.accounts import AccountError, Book, Role
from tinybms_bridge.services.web.accounts.tokens import new_record, write_token
from tinybms_bridge.services.web.security.audit import audit
from tinybms_bridge.services.web.security.dependencies import SESSION_ONLY, Admin, Facts, Login, TheGate, refuse_tokens
from tinybms_bridge.services.web.security.messages import (
    CreatedToken,
    NewToken,
    NewUser,
    Success,
    TokenInfo,
    TokenList,
    UserChange,
    UserInfo,
    UserList,
)
from tinybms_bridge.services.web.security.user import User

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["users"])


@router.get("/users")
async def list_users(_: Admin, gate: TheGate) -> UserList:
    """List the users."""
    return UserList(users=[UserInfo.of(account) for account in gate.accounts.book.accounts])


@router.post("/users", status_code=201, openapi_extra=SESSION_ONLY)
async def add_user(body: NewUser, user: Admin, facts: Facts, gate: TheGate) -> UserInfo:
    """Add a user; not with a token."""
    refuse_tokens(user, "make a user")
    account = await gate.accounts.add(body.username, Role(body.role), body.password.get_secret_value())
    facts |= {"name": account.name, "role": account.role}
    return UserInfo.of(account)


@router.patch("/users/{name}", openapi_extra=SESSION_ONLY)
async def change_user(name: str, body: UserChange, user: Admin, facts: Facts, gate: TheGate) -> UserInfo:
    """Change the password or the role of a user; another password ends sessions and tokens. Not with a token."""
    refuse_tokens(user, "change a user")
    password = None if body.password is None else body.password.get_secret_value()
    role = None if body.role is None else Role(body.role)
    account = await gate.accounts.change(name, password=password, role=role)
    facts |= {"role": account.role, **({} if password is None else {"password": "new"})}
    return UserInfo.of(account)


@router.delete("/users/{name}")
async def remove_user(name: str, _: Admin, gate: TheGate) -> Success:
    """Remove a user with all sessions and tokens; the last administrator stays."""
    await gate.accounts.edit(lambda book: book.without_account(name))
    return Success(message="user removed")


@router.get("/tokens")
async def list_tokens(user: Login, gate: TheGate) -> TokenList:
    """List the own bearer tokens; an administrator sees everybody's."""
    seen = [record for record in gate.accounts.book.tokens if user.is_admin or record.user == user.name]
    return TokenList(tokens=[TokenInfo.of(record) for record in seen])


@router.post("/tokens", status_code=201, openapi_extra=SESSION_ONLY)
async def make_token(body: NewToken, user: Login, gate: TheGate) -> CreatedToken:
    """Make a bearer token for a script; by default it can do what its maker can, never more. It is shown this once."""
    refuse_tokens(user, "make another token")
    now = gate.clock.wall()
    record = new_record(user.name, body.label, user.role.at_most(body.role and Role(body.role)), now, body.days)
    book = await gate.accounts.edit(lambda book: book.with_token(record, now))
    audit(user, "bearer made", id=record.id, label=record.label, role=record.role)
    return CreatedToken(
        **TokenInfo.of(record).model_dump(), message=record.describe(), token=write_token(record, book.secret)
    )


@router.delete("/tokens/{token_id}")
async def revoke_token(token_id: str, user: Login, gate: TheGate) -> Success:
    """Revoke a bearer token: an own one, or as an administrator anybody's."""
    await gate.accounts.edit(lambda book: _without_token(book, token_id, user))
    audit(user, "bearer revoked", id=token_id)
    return Success(message="token revoked")


def _without_token(book: Book, token_id: str, user: User) -> Book:
    record = book.token(token_id)
    if record is None or not (user.is_admin or record.user == user.name):
        raise AccountError("unknown_token", "there is no such token")
    return book.without_token(token_id)
