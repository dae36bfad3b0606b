"""``tinybms-bridge users``: who may use the web server; works whether the bridge runs or not."""

import json
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinybms_bridge.cli.common import EXIT_REFUSED, fail, json_option
from tinybms_bridge.errors import BridgeError
from tinybms_bridge.words import message

if TYPE_CHECKING:
    from tinybms_bridge.services.web.accounts import AccountRegistry, AccountStore

__all__ = ["users_command"]

_ROLES = click.Choice(["viewer", "admin"])
_LONGEST_LINE = 1024


@click.group("users")
@click.option(
    "--state-directory", default="", metavar="DIR", help="Where the bridge keeps its state.  [default: as configured]"
)
@click.option("-c", "--config", "config_path", metavar="FILE", help="Configuration of the bridge, which names it.")
@click.pass_context
def users_command(context: click.Context, state_directory: str, config_path: str | None) -> None:
    """Manage the users of the web server and their tokens.

    A running bridge takes a change up within two seconds. Run it as the user under which the bridge runs: the file of
    users is readable for nobody else.

    \b
    Examples:
      tinybms-bridge users add anna --role admin         asks for the password
      tinybms-bridge users add anna --role admin --password-file anna.txt
      tinybms-bridge users token anna --label backup     prints a token for scripts
      tinybms-bridge users setup-token                   prints what makes the first administrator by the web
      tinybms-bridge users --state-directory DIR list    of a demo, which says its DIR when it starts
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped
    from tinybms_bridge.hal.storage import MOST_STATE_BYTES, FileStorage
    from tinybms_bridge.services.web.accounts import USERS_FILE, AccountStore

    path = (Path(state_directory) if state_directory else _configured_directory(config_path)) / USERS_FILE
    context.obj = AccountStore(FileStorage(path, most_bytes=MOST_STATE_BYTES))


def _configured_directory(config_path: str | None) -> Path:
    from tinybms_bridge.cli.configuration import read_configuration
    from tinybms_bridge.config.paths import state_directory

    try:
        config = read_configuration(config_path).configuration
    except BridgeError as error:
        click.echo("the configuration cannot tell the state directory; --state-directory can", err=True)
        fail(error)
    return state_directory(config.advanced.state_directory)


def _clear_errors(command: Callable[..., None]) -> Callable[..., None]:
    """End with one line for what the store refuses."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:  # noqa: ANN401 - whatever the command takes
        try:
            command(*arguments, **options)
        except BridgeError as error:
            fail(error)

    return run


def _password(from_stdin: bool, file: str | None) -> str:
    """Return a password from the terminal, typed twice, or the first line of a file or of standard input.

    Never from an argument or a variable of the environment: other programs of the machine can see those.
    """
    if from_stdin and file is not None:
        fail("--password-stdin and --password-file exclude each other", EXIT_REFUSED)
    if from_stdin:
        return sys.stdin.readline(_LONGEST_LINE).rstrip("\r\n")
    if file is not None:
        return _first_line(file)
    if not _has_terminal():
        fail("there is no terminal to ask for a password; --password-file or --password-stdin gives one", EXIT_REFUSED)
    try:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    except click.Abort:
        fail("nothing was done: no password was given")
    assert isinstance(password, str)
    return password


def _first_line(path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            return file.readline(_LONGEST_LINE).rstrip("\r\n")
    except OSError as error:
        fail(error, EXIT_REFUSED)
    except ValueError:
        fail(f"{path} is no text in UTF-8", EXIT_REFUSED)


def _has_terminal() -> bool:
    """Tell whether somebody can be asked without showing what is typed: Python reads a password from there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _password_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the ways to give a password without a terminal."""
    from_file = click.option("--password-file", metavar="FILE", help="Take the password from the first line of a file.")
    from_stdin = click.option("--password-stdin", is_flag=True, help="Take it from the first line of standard input.")
    return from_file(from_stdin(command))


@users_command.command("list")
@json_option
@click.pass_obj
@_clear_errors
def list_command(store: "AccountStore", as_json: bool) -> None:
    """Show the users and the bearer tokens, without their secrets."""
    registry = store.read()
    if as_json:
        click.echo(json.dumps(_document(registry), indent=1, ensure_ascii=False))
        return
    if not registry.accounts:
        click.echo('there are no users yet; "tinybms-bridge users add NAME --role admin" makes the first one')
    for account in registry.accounts:
        click.echo(f"{account.name:<32}  {account.role}")
    for token in registry.tokens:
        click.echo(f"  token {token.id}  {token.user}  {token.role}  until {token.expires_at:%Y-%m-%d}  {token.label}")


def _document(registry: "AccountRegistry") -> dict[str, object]:
    """Return the users and the tokens without their secrets, ready for JSON."""
    tokens = [
        {
            "id": token.id,
            "user": token.user,
            "role": token.role,
            "label": token.label,
            "expires_at": token.expires_at.isoformat(),
        }
        for token in registry.tokens
    ]
    return {"users": [{"name": each.name, "role": each.role} for each in registry.accounts], "tokens": tokens}


@users_command.command("add")
@click.argument("name")
@click.option("--role", type=_ROLES, default="viewer", show_default=True, help="What the user may do.")
@_password_options
@click.pass_obj
@_clear_errors
def add_command(store: "AccountStore", name: str, role: str, password_stdin: bool, password_file: str | None) -> None:
    """Add the user NAME; asks for the password."""
    from tinybms_bridge.services.web.accounts import Account, Role
    from tinybms_bridge.services.web.accounts.credentials import check_password, hash_password

    name = name.lower()
    store.read().with_account(Account(name, Role(role), ""))  # says at once what is wrong with the name
    password = _password(password_stdin, password_file)
    check_password(password, name)
    account = Account(name, Role(role), hash_password(password))
    registry = store.update(lambda registry: registry.with_account(account))
    click.echo(f"{name} was added as {role}")
    if not registry.has_admin:
        click.echo("there is no administrator yet (--role admin): nobody can change anything", err=True)


@users_command.command("remove")
@click.argument("name")
@click.pass_obj
@_clear_errors
def remove_command(store: "AccountStore", name: str) -> None:
    """Remove the user NAME with all tokens; the last administrator stays."""
    store.update(lambda registry: registry.without_account(name))
    click.echo(f"{name.lower()} was removed")


@users_command.command("password")
@click.argument("name")
@click.option("--role", type=_ROLES, default=None, help="Give the user this role too.")
@_password_options
@click.pass_obj
@_clear_errors
def password_command(
    store: "AccountStore", name: str, role: str | None, password_stdin: bool, password_file: str | None
) -> None:
    """Give the user NAME another password; browsers have to log in again, and the user's tokens are void."""
    from tinybms_bridge.services.web.accounts import Role
    from tinybms_bridge.services.web.accounts.credentials import check_password, hash_password

    store.read().expect_account(name)
    password = _password(password_stdin, password_file)
    check_password(password, name)
    hashed = hash_password(password)
    new_role = None if role is None else Role(role)
    store.update(lambda registry: registry.with_changes(name, password=hashed, role=new_role))
    click.echo(f"the password of {name.lower()} was changed; tokens of before are void")


@users_command.command("setup-token")
@click.pass_obj
@_clear_errors
def setup_token_command(store: "AccountStore") -> None:
    """Print the one-time token that makes the first administrator by the web (POST /api/setup).

    A running bridge shows the same one. It is void as soon as there is an administrator.
    """
    from tinybms_bridge.services.web.accounts import AccountRegistry, Role

    admin = next((account.name for account in store.read().accounts if account.role is Role.ADMIN), "")
    if admin:
        fail(f"there is an administrator already: {admin}; a setup token makes only the first one")
    click.echo(store.update(AccountRegistry.with_setup_token).setup_token)
    click.echo("it makes the first administrator, and is void then", err=True)


@users_command.command("token")
@click.argument("name")
@click.option("--label", default="script", show_default=True, help="What the token is for.")
@click.option("--role", type=_ROLES, help="The most that the token may do.  [default: what NAME may]")
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long it is valid.")
@click.option("--revoke", "revoked", default=None, metavar="ID", help="Revoke this token of the user instead.")
@click.pass_obj
@_clear_errors
def token_command(
    store: "AccountStore", name: str, label: str, role: str | None, days: int, revoked: str | None
) -> None:
    """Make a bearer token for scripts of the user NAME and print it, this once.

    With the token of an administrator a script can change everything but users and passwords.
    """
    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_bridge.services.web.accounts import Role
    from tinybms_bridge.services.web.accounts.credentials import new_record, write_token

    if revoked is not None:
        _revoke(store, name, revoked)
        return
    now = SystemClock().wall()
    account = store.read().expect_account(name)
    record = new_record(account.name, label, account.role.at_most(None if role is None else Role(role)), now, days)
    registry = store.update(lambda registry: registry.with_token(record, now))
    click.echo(write_token(record, registry.secret))
    click.echo(record.describe(), err=True)


def _revoke(store: "AccountStore", name: str, token_id: str) -> None:
    from tinybms_bridge.services.web.accounts import AccountError, AccountRegistry

    def edit(registry: AccountRegistry) -> AccountRegistry:
        record = registry.token(token_id)
        if record is None or record.user != registry.expect_account(name).name:
            raise AccountError("unknown_token", message("account.no_such_token", name=name, token=token_id))
        return registry.without_token(token_id)

    store.update(edit)
    click.echo(f"token {token_id} was revoked")
