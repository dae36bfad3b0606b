from pathlib import Path

import pytest

from tinybms_bridge.config.paths import default_path, log_directory, state_directory


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder with a home of its own."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def hide_system_file(monkeypatch: pytest.MonkeyPatch, *, present: bool) -> None:
    """Pretend that the file under /etc is there or not."""
    exists = Path.exists
    system = Path("/etc/tinybms-bridge/config.json")
    monkeypatch.setattr(Path, "exists", lambda path: present if path == system else exists(path))


def test_the_environment_wins(tmp_path: Path) -> None:
    """A service names its file."""
    Path("tinybms-bridge.json").touch()

    assert default_path({"TINYBMS_BRIDGE_CONFIG": "/srv/bms.json"}) == Path("/srv/bms.json")
    assert default_path({"TINYBMS_BRIDGE_CONFIG": "~/bms.json"}) == tmp_path / "home" / "bms.json"


def test_a_local_file_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trying things out in a folder needs no option."""
    hide_system_file(monkeypatch, present=True)
    Path("tinybms-bridge.json").touch()

    assert default_path({}) == Path("tinybms-bridge.json")


def test_the_system_file_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed bridge is configured for all users."""
    hide_system_file(monkeypatch, present=True)

    assert default_path({}) == Path("/etc/tinybms-bridge/config.json")


def test_the_user_file_is_the_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is the answer even when it does not exist: it is where a first save goes."""
    hide_system_file(monkeypatch, present=False)

    assert default_path({"TINYBMS_BRIDGE_CONFIG": ""}) == tmp_path / "home/.config/tinybms-bridge/config.json"


@pytest.mark.parametrize(
    ("configured", "environ", "expected"),
    [
        ("/srv/state", {"STATE_DIRECTORY": "/var/lib/x"}, "/srv/state"),
        ("", {"STATE_DIRECTORY": "/var/lib/tinybms-bridge"}, "/var/lib/tinybms-bridge"),
        ("", {"STATE_DIRECTORY": "/var/lib/one:/var/lib/two"}, "/var/lib/one"),
    ],
)
def test_state_goes_where_it_is_told(configured: str, environ: dict[str, str], expected: str) -> None:
    """The configuration first, then systemd's directory, of several the first."""
    assert state_directory(configured, environ) == Path(expected)


@pytest.mark.parametrize("environ", [{}, {"STATE_DIRECTORY": ""}])
def test_state_of_a_user_goes_home(environ: dict[str, str], tmp_path: Path) -> None:
    """Outside systemd nothing outside the home directory is written."""
    assert state_directory("", environ) == tmp_path / "home/.local/state/tinybms-bridge"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"LOGS_DIRECTORY": "/var/log/tinybms-bridge"}, "/var/log/tinybms-bridge"),
        ({"LOGS_DIRECTORY": "/var/log/one:/var/log/two"}, "/var/log/one"),
        ({"LOGS_DIRECTORY": ""}, "/srv/state"),
        ({}, "/srv/state"),
    ],
)
def test_the_log_goes_where_systemd_says(environ: dict[str, str], expected: str) -> None:
    """Of a service to the logs of the machine, else beside the state."""
    assert log_directory(Path("/srv/state"), environ) == Path(expected)
