"""Problem documents for what the users' store refuses."""

from fastapi import FastAPI, Request
from starlette.responses import Response

from tinybms_bridge.services.web.accounts import AccountError
from tinybms_bridge.services.web.problems import problem

__all__ = ["install_account_problems"]

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
