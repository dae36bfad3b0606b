"""Where the core's socket is."""

from pathlib import Path

import pytest

from tinybms_bridge.errors import ConfigError
from tinybms_bridge.link.path import SERVICE_DIRECTORY, client_paths, core_path

STATE = Path("/var/lib/bridge")


@pytest.mark.parametrize(
    ("option", "environ", "expected"),
    [
        ("/a/b.sock", {"TINYBMS_BRIDGE_SOCKET": "/c.sock", "RUNTIME_DIRECTORY": "/run/x"}, "/a/b.sock"),
        ("", {"TINYBMS_BRIDGE_SOCKET": "/c.sock", "RUNTIME_DIRECTORY": "/run/x"}, "/c.sock"),
        ("", {"RUNTIME_DIRECTORY": "/run/x"}, "/run/x/core.sock"),
        ("", {"RUNTIME_DIRECTORY": "/run/x:/run/y"}, "/run/x/core.sock"),
        ("", {"TINYBMS_BRIDGE_SOCKET": "", "RUNTIME_DIRECTORY": ""}, "/var/lib/bridge/core.sock"),
        ("", {}, "/var/lib/bridge/core.sock"),
    ],
)
def test_first_that_is_given_counts(option: str, environ: dict[str, str], expected: str) -> None:
    """Option, variable, runtime directory of a service manager, state directory, in this order."""
    assert core_path(option, STATE, environ) == Path(expected)


def test_home_may_be_written_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tilde is the home directory, as in a shell."""
    monkeypatch.setenv("HOME", "/home/somebody")

    assert core_path("~/s", STATE, {}) == Path("/home/somebody/s")


def test_client_looks_where_a_core_would_be() -> None:
    """Told where, it looks only there; else in the state directory and where the service has its socket."""
    assert client_paths("/x", STATE, {}) == (Path("/x"),)
    assert client_paths("", STATE, {"RUNTIME_DIRECTORY": "/run/x"}) == (Path("/run/x/core.sock"),)
    assert client_paths("", STATE, {}) == (STATE / "core.sock", SERVICE_DIRECTORY / "core.sock")


def test_path_that_is_too_long_is_refused() -> None:
    """The kernel cuts no path short: the error says how long it may be, and what to do."""
    longest = "/" + "ü" * 53
    assert core_path(longest, STATE, {}) == Path(longest)

    with pytest.raises(ConfigError) as caught:
        core_path(longest + "x", STATE, {})

    (problem,) = caught.value.problems
    assert problem.message == (
        "is 108 bytes long, and a socket takes 107: name a shorter path with --socket or TINYBMS_BRIDGE_SOCKET"
    )


def test_state_directory_of_a_long_path_is_no_place_to_look() -> None:
    """No core can have its socket there, so a client does not fail for it."""
    assert client_paths("", Path("/" + "x" * 200), {}) == (SERVICE_DIRECTORY / "core.sock",)
    with pytest.raises(ConfigError):
        core_path("", Path("/" + "x" * 200), {})
