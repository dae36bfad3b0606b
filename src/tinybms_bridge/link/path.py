"""Where the core's socket is: one rule for the core that makes it and for the clients that look for it.

The first that is given counts: the option ``--socket``, ``TINYBMS_BRIDGE_SOCKET``, the runtime directory that a service
manager made, the state directory. A client that was told nothing also looks where the service has its own.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from tinybms_bridge.errors import ConfigError, ConfigProblem

__all__ = ["SERVICE_DIRECTORY", "SOCKET_NAME", "SOCKET_VARIABLE", "check_length", "client_paths", "core_path"]

SOCKET_VARIABLE = "TINYBMS_BRIDGE_SOCKET"
SOCKET_NAME = "core.sock"
SERVICE_DIRECTORY = Path("/run/tinybms-bridge")
"""Runtime directory of the unit that is delivered."""

_LONGEST = 107
"""Bytes of a socket's path that the kernel takes: 108 with the zero at its end (unix(7))."""


def core_path(option: str, state_directory: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the core makes its socket. Raises ConfigError for a path that is too long for one."""
    return check_length(_chosen(option, environ) or state_directory / SOCKET_NAME)


def client_paths(option: str, state_directory: Path, environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Return where a client looks for the core, in order. Raises ConfigError for a given path that is too long."""
    chosen = _chosen(option, environ)
    if chosen is not None:
        return (check_length(chosen),)
    paths = (state_directory / SOCKET_NAME, SERVICE_DIRECTORY / SOCKET_NAME)
    return tuple(path for path in dict.fromkeys(paths) if _fits(path))


def check_length(path: Path) -> Path:
    """Return the path of a socket as it is. Raises ConfigError for one that is too long."""
    if not _fits(path):
        message = (
            f"is {len(os.fsencode(path))} bytes long, and a socket takes {_LONGEST}: name a shorter path"
            f" with --socket or {SOCKET_VARIABLE}"
        )
        raise ConfigError([ConfigProblem("socket", str(path), message)])
    return path


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= _LONGEST


def _chosen(option: str, environ: Mapping[str, str]) -> Path | None:
    given = option or environ.get(SOCKET_VARIABLE, "")
    if given:
        return Path(given).expanduser()
    runtime = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return Path(runtime) / SOCKET_NAME if runtime else None
