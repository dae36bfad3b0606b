import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tinybms_bridge.cli import users as module
from tinybms_bridge.cli.users import users_command
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.storage import FileStorage
from tinybms_bridge.services.web.accounts import AccountRegistry, AccountStore, Role
from tinybms_bridge.services.web.accounts.credentials import matches, read_token

Users = Callable[..., Result]
PASSWORD = "correct horse"


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one, in which click's runner types."""
    monkeypatch.setattr(module, "_has_terminal", lambda: True)


@pytest.fixture
def users(tmp_path: Path) -> Users:
    """Return a function that runs ``users`` with arguments on an empty state directory."""

    def run(*arguments: str, typed: str | None = None) -> Result:
        directory = ["--state-directory", str(tmp_path)]
        return CliRunner(env={"COLUMNS": "160"}).invoke(users_command, [*directory, *arguments], input=typed)

    return run


@pytest.fixture
def registry(tmp_path: Path) -> Callable[[], AccountRegistry]:
    """Return a function that reads what is stored."""
    return AccountStore(FileStorage(tmp_path / "users.json")).read


@pytest.fixture
def boss(users: Users) -> None:
    """The first administrator."""
    assert users("add", "Boss", "--role", "admin", "--password-stdin", typed=f"{PASSWORD}\n").exit_code == 0


@pytest.fixture
def guest(users: Users, boss: None) -> None:
    """A viewer beside the administrator."""
    assert users("add", "guest", "--password-stdin", typed=f"{PASSWORD}\n").exit_code == 0


def test_an_empty_list_says_how_to_begin(users: Users) -> None:
    """And makes no file."""
    result = users("list")

    assert result.exit_code == 0
    assert "users add NAME --role admin" in result.output


def test_a_user_is_added_with_a_password_typed_twice(
    users: Users, registry: Callable[[], AccountRegistry], tmp_path: Path
) -> None:
    """Nothing that was typed is shown, and the file is private."""
    result = users("add", "Boss", "--role", "admin", typed=f"{PASSWORD}\n{PASSWORD}\n")
    account = registry().expect_account("boss")

    assert result.exit_code == 0, result.output
    assert account.role is Role.ADMIN
    assert matches(PASSWORD, account.password)
    assert PASSWORD not in result.output
    assert stat.S_IMODE((tmp_path / "users.json").stat().st_mode) == 0o600


def test_two_different_passwords_are_asked_for_again(users: Users, registry: Callable[[], AccountRegistry]) -> None:
    """A slip of the finger does not lock anybody out."""
    users("add", "boss", typed=f"{PASSWORD}\nother password\n{PASSWORD}\n{PASSWORD}\n")

    assert matches(PASSWORD, registry().expect_account("boss").password)


def test_without_a_terminal_nothing_is_done(
    users: Users, registry: Callable[[], AccountRegistry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script is told how to give the password; one that arrives unasked is not taken, nor shown."""
    monkeypatch.setattr(module, "_has_terminal", lambda: False)
    for command in (("add", "boss"), ("add", "boss", "--role", "admin")):
        result = users(*command, typed=f"{PASSWORD}\n{PASSWORD}\n")

        assert result.exit_code == 2
        assert "--password-stdin" in result.output
        assert "--password-file" in result.output
        assert PASSWORD not in result.output
    assert registry().accounts == ()


def test_nobody_is_asked_where_there_is_no_terminal(tmp_path: Path) -> None:
    """The whole program in a session of its own, as cron and ansible start it."""
    command = [sys.executable, "-m", "tinybms_bridge", "users", "--state-directory", str(tmp_path), "add", "boss"]
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, start_new_session=True, input="", timeout=120
    )

    assert ended.returncode == 2
    assert ended.stderr.startswith("error: there is no terminal to ask for a password")


def test_an_interrupted_question_does_nothing(users: Users, registry: Callable[[], AccountRegistry]) -> None:
    """Ctrl-D at the prompt."""
    result = users("add", "boss", typed="")

    assert result.exit_code == 1
    assert "nothing was done" in result.output
    assert registry().accounts == ()


def test_a_password_is_the_first_line_of_a_file(
    users: Users, registry: Callable[[], AccountRegistry], tmp_path: Path
) -> None:
    """As secret stores write it, with or without a line break."""
    (tmp_path / "one").write_text(f"{PASSWORD}\nnot this\n")
    (tmp_path / "two").write_bytes(b"another password\r\n")

    added = users("add", "boss", "--role", "admin", "--password-file", str(tmp_path / "one"))
    assert (added.exit_code, added.output) == (0, "boss was added as admin\n")
    assert matches(PASSWORD, registry().expect_account("boss").password)
    assert users("password", "boss", "--password-file", str(tmp_path / "two")).exit_code == 0
    assert matches("another password", registry().expect_account("boss").password)


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (None, 2, "No such file"),
        (b"", 1, "password is"),
        (b"\xff\xfe\xff", 2, "no text in UTF-8"),
        (b"x" * 5000, 1, "password is"),
    ],
)
def test_a_password_file_that_cannot_be_used_is_told(
    users: Users, tmp_path: Path, data: bytes | None, status: int, words: str
) -> None:
    """In one line, without what is in it."""
    if data is not None:
        (tmp_path / "secret").write_bytes(data)
    result = users("add", "boss", "--password-file", str(tmp_path / "secret"))

    assert result.exit_code == status
    assert words in result.output
    assert len(result.output.splitlines()) == 1
    assert "xxx" not in result.output


def test_two_sources_of_a_password_are_refused(users: Users, tmp_path: Path) -> None:
    """Which one counts would be a guess."""
    result = users("add", "boss", "--password-stdin", "--password-file", "x", typed=f"{PASSWORD}\n")

    assert result.exit_code == 2
    assert "exclude each other" in result.output


def test_a_viewer_alone_is_told_to_be_too_little(users: Users) -> None:
    """The newcomer who forgot --role learns it before the first 403."""
    result = users("add", "guest", "--password-stdin", typed=f"{PASSWORD}\n")

    assert (result.exit_code, result.stdout) == (0, "guest was added as viewer\n")
    assert "no administrator yet (--role admin)" in result.stderr


def test_the_setup_token_is_printed_again_and_alone(users: Users, registry: Callable[[], AccountRegistry]) -> None:
    """The same each time, and the one that a running bridge finds in the file."""
    first, second = users("setup-token"), users("setup-token")

    assert first.exit_code == 0, first.output
    assert first.stdout == second.stdout == f"{registry().setup_token}\n"
    assert registry().opens_setup(first.stdout.strip())


@pytest.mark.usefixtures("boss")
def test_with_an_administrator_there_is_no_setup_token(users: Users, registry: Callable[[], AccountRegistry]) -> None:
    """It says who there is instead."""
    result = users("setup-token")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "there is an administrator already: boss" in result.stderr
    assert registry().setup_token == ""


def test_the_directory_is_that_of_the_configuration(tmp_path: Path) -> None:
    """A bridge with ``advanced.state_directory`` and the command see the same users; a broken file is told."""
    (tmp_path / "bridge.json").write_text(json.dumps({"advanced": {"state_directory": str(tmp_path / "far")}}))
    (tmp_path / "broken.json").write_text("{")
    run = CliRunner().invoke
    config = ["-c", str(tmp_path / "bridge.json")]

    assert run(users_command, [*config, "setup-token"]).exit_code == 0
    assert (tmp_path / "far" / "users.json").exists()
    usual = run(users_command, ["list"], env={"TINYBMS_BRIDGE_CONFIG": str(tmp_path / "bridge.json")})
    assert usual.exit_code == 0
    assert "no users yet" in usual.output
    broken = run(users_command, ["-c", str(tmp_path / "broken.json"), "list"])
    assert broken.exit_code == 2
    assert "--state-directory can" in broken.stderr


@pytest.mark.parametrize(
    ("name", "password", "words"),
    [("a b", PASSWORD, "user name is"), ("boss", "short", "password is"), ("boss", "", "password is")],
)
def test_a_bad_name_or_password_is_refused(users: Users, name: str, password: str, words: str) -> None:
    """With the rule, in one line."""
    result = users("add", name, "--password-stdin", typed=f"{password}\n")

    assert result.exit_code == 1
    assert result.output.startswith("error: a ")
    assert words in result.output


def test_a_bad_name_is_told_before_the_password_is_asked_for(users: Users) -> None:
    """Nobody types a password twice for nothing."""
    assert "Password" not in users("add", "a b", typed="").output


@pytest.mark.usefixtures("boss")
def test_a_name_is_given_once(users: Users) -> None:
    """Capitals do not make another one."""
    result = users("add", "BOSS", "--password-stdin", typed=f"{PASSWORD}\n")

    assert (result.exit_code, result.output) == (1, 'error: there is already a user "boss"\n')


@pytest.mark.usefixtures("guest")
def test_the_list_shows_users_and_tokens_without_secrets(users: Users, registry: Callable[[], AccountRegistry]) -> None:
    """Enough to revoke a token."""
    token = users("token", "guest", "--label", "grafana").stdout.strip()
    shown = users("list").output

    assert "boss" in shown
    assert "admin" in shown
    assert f"token {registry().tokens[0].id}  guest  viewer" in shown
    assert token not in shown
    assert "scrypt" not in shown


@pytest.mark.usefixtures("guest")
def test_a_user_is_removed(users: Users, registry: Callable[[], AccountRegistry]) -> None:
    """With the tokens."""
    users("token", "guest")

    assert users("remove", "Guest").output == "guest was removed\n"
    assert registry().account("guest") is None
    assert registry().tokens == ()


@pytest.mark.usefixtures("boss")
@pytest.mark.parametrize(("name", "words"), [("boss", "last administrator"), ("nobody", 'no user "nobody"')])
def test_who_cannot_be_removed_stays(
    users: Users, registry: Callable[[], AccountRegistry], name: str, words: str
) -> None:
    """Nobody locks himself out."""
    result = users("remove", name)

    assert result.exit_code == 1
    assert words in result.output
    assert registry().account("boss") is not None


@pytest.mark.usefixtures("guest")
def test_a_password_is_replaced(users: Users, registry: Callable[[], AccountRegistry]) -> None:
    """The role stays unless another one is named."""
    users("password", "guest", "--password-stdin", typed="another password\n")
    assert matches("another password", registry().expect_account("guest").password)
    assert registry().expect_account("guest").role is Role.VIEWER

    users("password", "guest", "--role", "admin", "--password-stdin", typed="another password\n")
    assert registry().expect_account("guest").role is Role.ADMIN


@pytest.mark.usefixtures("boss")
def test_the_password_of_nobody_is_not_asked_for(users: Users) -> None:
    """A mistyped name is told first."""
    result = users("password", "nobody")

    assert (result.exit_code, result.output) == (1, 'error: there is no user "nobody"\n')


@pytest.mark.usefixtures("boss")
def test_a_token_is_the_only_thing_on_standard_output(users: Users, registry: Callable[[], AccountRegistry]) -> None:
    """So that a script can take it from there."""
    result = users("token", "boss", "--role", "admin", "--days", "30", "--label", "backup")
    record = read_token(result.stdout.strip(), registry(), SystemClock().wall())

    assert (record.user, record.role, record.label) == ("boss", Role.ADMIN, "backup")
    assert (record.expires_at - record.created_at).days == 30
    assert record.id in result.stderr


@pytest.mark.usefixtures("guest")
@pytest.mark.parametrize(
    ("name", "options", "role"),
    [("boss", [], "admin"), ("boss", ["--role", "viewer"], "viewer"), ("guest", [], "viewer")],
)
def test_a_token_says_which_role_it_has(
    users: Users, registry: Callable[[], AccountRegistry], name: str, options: list[str], role: str
) -> None:
    """Unasked it is that of its user: a script of the administrator is not stopped by 403 at its first change."""
    result = users("token", name, *options)

    assert registry().tokens[0].role == role
    assert f"of {name} with the role {role}, valid until" in result.stderr


@pytest.mark.usefixtures("guest")
def test_a_token_can_do_no_more_than_its_user(users: Users, registry: Callable[[], AccountRegistry]) -> None:
    """Asking for more gives what the user has."""
    users("token", "guest", "--role", "admin")

    assert registry().tokens[0].role is Role.VIEWER


@pytest.mark.usefixtures("guest")
def test_a_token_is_revoked_by_its_id(users: Users, registry: Callable[[], AccountRegistry]) -> None:
    """Of the user that was named only."""
    users("token", "guest")
    token_id = registry().tokens[0].id

    assert users("token", "boss", "--revoke", token_id).exit_code == 1
    assert users("token", "guest", "--revoke", token_id).output == f"token {token_id} was revoked\n"
    assert registry().tokens == ()


@pytest.mark.parametrize("days", ["0", "3651", "x"])
def test_a_lifetime_out_of_range_is_a_usage_error(users: Users, days: str) -> None:
    """With click's own words."""
    assert users("token", "boss", "--days", days).exit_code == 2


def test_a_damaged_file_is_told(users: Users, tmp_path: Path) -> None:
    """One line, no trace, and the file stays as it is."""
    (tmp_path / "users.json").write_text(json.dumps({"version": 99}))

    result = users("list")

    assert result.exit_code == 1
    assert "version 99 is not known here" in result.output
    assert json.loads((tmp_path / "users.json").read_text()) == {"version": 99}


def test_the_help_names_every_command(users: Users) -> None:
    """And says where the users are."""
    shown = users("--help").output

    for command in ("list", "add", "remove", "password", "token", "setup-token"):
        assert command in shown


def test_the_list_as_json(users: Users, guest: None) -> None:
    """Users and tokens for another program, without anything secret."""
    users("token", "guest", "--label", "backup")

    document = json.loads(users("list", "--json").stdout)

    assert document["users"] == [{"name": "boss", "role": "admin"}, {"name": "guest", "role": "viewer"}]
    assert [set(token) for token in document["tokens"]] == [{"id", "user", "role", "label", "expires_at"}]
    assert (document["tokens"][0]["user"], document["tokens"][0]["label"]) == ("guest", "backup")


def test_the_list_as_json_without_users(users: Users) -> None:
    """An empty list, not a sentence."""
    assert json.loads(users("list", "--json").stdout) == {"users": [], "tokens": []}
