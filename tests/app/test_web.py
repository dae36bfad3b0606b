"""What the web server as a part of the bridge tells whoever sits at the terminal."""

from pathlib import Path

import pytest

from tinybms_bridge.app.restart import own_command
from tinybms_bridge.app.web import users_command


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a working directory of their own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_usual_directory_needs_no_option(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also under systemd, whose directory the shell of a user does not know: there it is named."""
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/tinybms-bridge")
    usual = home / ".local" / "state" / "tinybms-bridge"

    assert users_command(usual) == "tinybms-bridge users"
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/tinybms-bridge")
    service = users_command(Path("/var/lib/tinybms-bridge"))
    assert service == "tinybms-bridge users --state-directory /var/lib/tinybms-bridge"
    assert users_command(Path("/my disk")) == "tinybms-bridge users --state-directory '/my disk'"


@pytest.mark.parametrize(
    ("python", "shown"),
    [("{here}/.venv/bin/python", ".venv/bin/tinybms-bridge"), ("/far/bin/python", "/far/bin/tinybms-bridge")],
)
def test_a_program_that_is_not_on_the_path_is_named_by_its_place(
    home: Path, monkeypatch: pytest.MonkeyPatch, python: str, shown: str
) -> None:
    """A newcomer types off the screen what works in this folder."""
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("sys.executable", python.format(here=home))

    assert own_command() == shown
