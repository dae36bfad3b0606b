"""``tinybms-bridge users``: who may use the web server; works whether the bridge runs or not."""

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinybms_bridge.cli.common import fail, json_option
from tinybms_bridge.errors import BridgeError

if TYPE_CHECKING:
    from tinybms_bridge.services.web.accounts import AccountStore, Book

__all__ = ["users_command"]

_ROLES = click.Choice(["viewer", "admin"])


@click.group("users")
@click.option(
    "--state-directory",
    default="",
    metavar="DIR",
    help="Where the bridge keeps its state, if the configuration names another place (advanced.state_directory).",
)
@click.pass_context
def users_command(context: click.Context, state_directory: str) -> None:
    """Manage the users of the web server.

    A running bridge takes a change up within seconds. Run it as the user under which the bridge runs: the file of
    users is readable for nobody else.
    """
    from tinybms_bridge.config.paths import state_directory as find
    from tinybms_bridge.hal.storage import MOST_STATE_BYTES, FileStorage
    from tinybms_bridge.services.web.accounts import USERS_FILE, AccountStore

    path = Path(find(state_directory)) / USERS_FILE
    context.obj = AccountStore(FileStorage(path, most_bytes=MOST_STATE_BYTES))


def _clear_errors(command: Callable[..., None]) -> Callable[..., None]:
    """End with one line for what the store refuses."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:  # noqa: ANN401 - whatever the command takes
        try:
            command(*arguments, **options)
        except BridgeError as error:
            fail(error)

    return run


def _asked_password(confirm: bool) -> str:
    password = click.prompt("Password", hide_input=True, confirmation_prompt=confirm, err=True)
    assert isinstance(password, str)
    return password


def _password(from_stdin: bool) -> str:
    """Return a password from the terminal, typed twice, or the first line of standard input."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    try:
        return _asked_password(confirm=True)
    except click.Abort:
        fail("nothing was done: no password was given; --password-stdin reads it from standard input")


_stdin_option = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@users_command.command("list")
@json_option
@click.pass_obj
@_clear_errors
def list_command(store: "AccountStore", as_json: bool) -> None:
    """Show the users and the bearer tokens, without their secrets."""
    book = store.read()
    if as_json:
        click.echo(json.dumps(_document(book), indent=1, ensure_ascii=False))
        return
    if not book.accounts:
        click.echo('there are no users yet; "tinybms-bridge users add NAME --role admin" makes the first one')
    for account in book.accounts:
        click.echo(f"{account.name:<32}  {account.role}")
    for token in book.tokens:
        click.echo(f"  token {token.id}  {token.user}  {token.role}  until {token.expires_at:%Y-%m-%d}  {token.label}")


def _document(book: "Book") -> dict[str, object]:
    """Return the users and the tokens without their secrets, ready for JSON."""
    tokens = [
        {
            "id": token.id,
            "user": token.user,
            "role": token.role,
            "label": token.label,
            "expires_at": token.expires_at.isoformat(),
        }
        for token in book.tokens
    ]
    return {"users": [{"name": each.name, "role": each.role} for each in book.accounts], "tokens": tokens}


@users_command.command("add")
@click.argument("name")
@click.option("--role", type=_ROLES, default="viewer", show_default=True, help="What the user may do.")
@_stdin_option
@click.pass_obj
@_clear_errors
def add_command(store: "AccountStore", name: str, role: str, password_stdin: bool) -> None:
    """Add the user NAME; asks for the password."""
    from tinybms_bridge.services.web.accounts import Account, Role
    from tinybms_bridge.services.web.accounts.passwords import check_password, hash_password

    name = name.lower()
    store.read().with_account(Account(name, Role(role), ""))  # says at once what is wrong with the name
    password = _password(password_stdin)
    check_password(password, name)
    account = Account(name, Role(role), hash_password(password))
    store.update(lambda book: book.with_account(account))
    click.echo(f"{name} was added as {role}")


@users_command.command("remove")
@click.argument("name")
@click.pass_obj
@_clear_errors
def remove_command(store: "AccountStore", name: str) -> None:
    """Remove the user NAME with all tokens; the last administrator stays."""
    store.update(lambda book: book.without_account(name))
    click.echo(f"{name.lower()} was removed")


@users_command.command("password")
@click.argument("name")
@click.option("--role", type=_ROLES, default=None, help="Give the user this role too.")
@_stdin_option
@click.pass_obj
@_clear_errors
def password_command(store: "AccountStore", name: str, role: str | None, password_stdin: bool) -> None:
    """Give the user NAME another password; browsers have to log in again, and the user's tokens are void."""
    from tinybms_bridge.services.web.accounts import Role
    from tinybms_bridge.services.web.accounts.passwords import check_password, hash_password

    store.read().expect_account(name)
    password = _password(password_stdin)
    check_password(password, name)
    hashed = hash_password(password)
    new_role = None if role is None else Role(role)
    store.update(lambda book: book.with_changes(name, password=hashed, role=new_role))
    click.echo(f"the password of {name.lower()} was changed; tokens of before are void")


@users_command.command("token")
@click.argument("name")
@click.option("--label", default="script", show_default=True, help="What the token is for.")
@click.option("--role", type=_ROLES, default="viewer", show_default=True, help="The most that the token may do.")
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long it is valid.")
@click.option("--revoke", "revoked", default=None, metavar="ID", help="Revoke this token of the user instead.")
@click.pass_obj
@_clear_errors
def token_command(store: "AccountStore", name: str, label: str, role: str, days: int, revoked: str | None) -> None:
    """Make a bearer token for scripts of the user NAME and print it, this once."""
    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_bridge.services.web.accounts import Role
    from tinybms_bridge.services.web.accounts.tokens import new_record, write_token

    if revoked is not None:
        _revoke(store, name, revoked)
        return
    now = SystemClock().wall()
    account = store.read().expect_account(name)
    record = new_record(account.name, label, Role(role).at_most(account.role), now, days)
    book = store.update(lambda book: book.with_token(record, now))
    click.echo(write_token(record, book.secret))
    click.echo(f"token {record.id}, {record.role}, valid until {record.expires_at:%Y-%m-%d}", err=True)


def _revoke(store: "AccountStore", name: str, token_id: str) -> None:
    from tinybms_bridge.services.web.accounts import AccountError, Book

    def edit(book: Book) -> Book:
        record = book.token(token_id)
        if record is None or record.user != book.expect_account(name).name:
            raise AccountError("unknown_token", f'"{name}" has no token {token_id}')
        return book.without_token(token_id)

    store.update(edit)
    click.echo(f"token {token_id} was revoked")
