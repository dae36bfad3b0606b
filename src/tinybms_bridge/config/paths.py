"""Where files are, unless the user says otherwise."""

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["default_path", "is_same", "log_directory", "state_directory"]


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the usual path of the configuration.

    ``$TINYBMS_BRIDGE_CONFIG``, else ``./tinybms-bridge.json`` if present, else ``/etc/tinybms-bridge/config.json`` if
    present, else ``~/.config/tinybms-bridge/config.json``, whether present or not.
    """
    chosen = environ.get("TINYBMS_BRIDGE_CONFIG")
    if chosen:
        return Path(chosen).expanduser()
    for candidate in (Path("tinybms-bridge.json"), Path("/etc/tinybms-bridge/config.json")):
        if candidate.exists():
            return candidate
    return Path.home() / ".config" / "tinybms-bridge" / "config.json"


def state_directory(configured: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the directory for counters and history: ``advanced.state_directory``, systemd's, or the user's."""
    if configured:
        return Path(configured)
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(given) if given else Path.home() / ".local" / "state" / "tinybms-bridge"


def log_directory(state: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the directory for the log: that of systemd, else the one for counters and history."""
    given = environ.get("LOGS_DIRECTORY", "").split(":")[0]
    return Path(given) if given else state


def is_same(one: Path, other: Path) -> bool:
    """Tell whether two paths are of one directory, whatever links lead there. Blocks."""
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there
        return one == other
