"""Where the core's socket is: one rule for the core that makes it and for the clients that look for it.

The first that is given counts: the option ``--socket``, ``TINYBMS_BRIDGE_SOCKET``, the runtime directory that a service
manager made, the state directory. A client that was told nothing also looks where the service has its own.
"""

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["SERVICE_DIRECTORY", "SOCKET_NAME", "SOCKET_VARIABLE", "client_paths", "core_path"]

SOCKET_VARIABLE = "TINYBMS_BRIDGE_SOCKET"
SOCKET_NAME = "core.sock"
SERVICE_DIRECTORY = Path("/run/tinybms-bridge")
"""Runtime directory of the unit that is delivered."""


def core_path(option: str, state_directory: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the core makes its socket."""
    return _chosen(option, environ) or state_directory / SOCKET_NAME


def client_paths(option: str, state_directory: Path, environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Return where a client looks for the core, in order."""
    chosen = _chosen(option, environ)
    if chosen is not None:
        return (chosen,)
    return tuple(dict.fromkeys((state_directory / SOCKET_NAME, SERVICE_DIRECTORY / SOCKET_NAME)))


def _chosen(option: str, environ: Mapping[str, str]) -> Path | None:
    given = option or environ.get(SOCKET_VARIABLE, "")
    if given:
        return Path(given).expanduser()
    runtime = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return Path(runtime) / SOCKET_NAME if runtime else None
