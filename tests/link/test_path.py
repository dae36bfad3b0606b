"""Where the core's socket is."""

from pathlib import Path

import pytest

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
