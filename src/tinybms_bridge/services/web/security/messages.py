"""Bodies and answers of the routes for login, users and tokens, and problem documents for what their store refuses."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from starlette.responses import Response

from tinybms_bridge.services.web.accounts import Account, AccountError, TokenRecord
from tinybms_bridge.services.web.accounts.credentials import LONGEST_DAYS
from tinybms_bridge.services.web.answers import Shown, examples
from tinybms_bridge.services.web.problems import problem

__all__ = [
    "CreatedToken",
    "LoginBody",
    "NewToken",
    "NewUser",
    "OwnPassword",
    "PasswordIdea",
    "PasswordJudgement",
    "SessionState",
    "SetupBody",
    "SetupState",
    "Success",
    "TokenList",
    "UserChange",
    "UserInfo",
    "UserList",
    "install_account_problems",
]


RoleName = Literal["viewer", "admin"]
Password = Annotated[SecretStr, Field(min_length=1, max_length=256)]
Name = Annotated[str, Field(min_length=1, max_length=32)]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class LoginBody(_Body, json_schema_extra=examples({"username": "anna", "password": "correct horse battery"})):
    """User name and password."""

    username: Name
    password: Password


class SetupBody(
    LoginBody,
    json_schema_extra=examples(
        {"username": "anna", "password": "correct horse battery", "token": "9f3a61-0b77c2-5de401-c88a1f"}
    ),
):
    """The first administrator."""

    token: Annotated[SecretStr, Field(min_length=1, max_length=64)]
    """The setup token, which the bridge shows when it starts, and `tinybms-bridge users setup-token` again."""


class OwnPassword(
    _Body, json_schema_extra=examples({"current": "correct horse battery", "new": "another long sentence"})
):
    """Another password for oneself."""

    current: Password
    new: Password


class PasswordIdea(_Body, json_schema_extra=examples({"username": "anna", "password": "correct horse"})):
    """A password that somebody thinks of, perhaps not yet whole."""

    username: Annotated[str, Field(max_length=32)] = ""
    password: Annotated[SecretStr, Field(max_length=300)]


class PasswordJudgement(BaseModel):
    """Whether it would be taken."""

    good: bool
    code: str = Field(examples=["password.short"])
    """What is wrong with it; ``password.good`` when nothing is."""
    text: str = Field(examples=["3 more characters are needed"])


class NewUser(
    LoginBody, json_schema_extra=examples({"username": "ben", "password": "staple wind harbour", "role": "viewer"})
):
    """A user to add."""

    role: RoleName = "viewer"


class UserChange(_Body, json_schema_extra=examples({"role": "admin"})):
    """What to change of a user; what is not given stays."""

    password: Password | None = None
    role: RoleName | None = None


class NewToken(
    _Body, json_schema_extra=examples({"label": "backup"}, {"label": "home automation", "role": "viewer", "days": 365})
):
    """A bearer token to make; without ``role`` it may do what its maker may."""

    label: Annotated[str, Field(min_length=1, max_length=64)]
    role: RoleName | None = None
    days: Annotated[int, Field(ge=1, le=LONGEST_DAYS)] = 365


class Success(BaseModel):
    """It is done."""

    success: bool = True
    message: str = ""


class SetupState(BaseModel):
    """Whether the first administrator is missing."""

    success: bool = True
    required: bool


class SessionState(BaseModel):
    """Who asks, and what the page has to know to go on."""

    success: bool = True
    authenticated: bool
    user: str = ""
    role: RoleName = "viewer"
    csrf_token: str = ""
    """To be sent as header X-CSRF-Token with whatever changes something."""
    open_reading: bool = True
    setup_required: bool = False


class UserInfo(BaseModel):
    """One user."""

    name: str
    role: RoleName

    @classmethod
    def of(cls, account: Account) -> "UserInfo":
        """Return what may be shown of a user."""
        return cls(name=account.name, role=account.role.value)


class UserList(BaseModel):
    """Every user."""

    success: bool = True
    users: list[UserInfo]


class TokenList(BaseModel):
    """Bearer tokens."""

    success: bool = True
    tokens: list[Shown[TokenRecord]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedToken(TokenRecord):
    """A new bearer token; shown this once."""

    success: bool = True
    message: str
    """Which role the token has, and how long it is valid."""
    token: str


_STATUS = {
    "unknown_user": 404,
    "unknown_token": 404,
    "user_exists": 409,
    "last_admin": 409,
    "setup_done": 409,
    "wrong_setup_token": 403,
    "too_many_users": 409,
    "too_many_tokens": 409,
    "busy": 503,
}


def install_account_problems(app: FastAPI) -> None:
    """Answer each AccountError with a problem document."""
    app.add_exception_handler(AccountError, _answer)


async def _answer(request: Request, error: Exception) -> Response:  # noqa: ARG001 - the framework's signature
    assert isinstance(error, AccountError)
    status = _STATUS.get(error.code, 422)
    headers = {"Retry-After": "1"} if error.code == "busy" else None
    return problem(status, error.code, error.message, headers=headers)
