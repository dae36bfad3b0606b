"""Checks of the doctor: what a bridge needs of the machine beside its ports: a web port, a place for its state, time.

None of it keeps frames from being sent, so nothing here is worse than a warning.
"""

import errno
import os
import shlex
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tinybms_bridge.cli.doctor.findings import Finding, as_sentence, ok, skipped, warning
from tinybms_bridge.cli.processes import Process, processes_listening
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.models import WebServer
from tinybms_bridge.config.paths import state_directory
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.clock import EARLIEST_WALL, SystemClock, clock_is_synchronised
from tinybms_bridge.hal.directory_lock import directory_holder
from tinybms_bridge.hal.system_errors import error_number
from tinybms_bridge.services.web.service import bind

__all__ = ["examine_machine", "judge_clock", "judge_state_directory", "judge_web_port"]

_WEB, _STATE, _CLOCK = "web port", "state directory", "clock"
_LEAST_FREE_BYTES = 50_000_000
"""Three times what the history takes at most (docs/history.md), so that a copy and the log have room."""
_WITHOUT_STATE = "Until then energy, charge state, events, users and history do not survive a restart."
_WITHOUT_TIME = (
    "Events, days of the history and log lines get wrong dates, a certificate counts as not yet valid, and logins and "
    "tokens end at a wrong time. Let the machine reach a time server "
    "(sudo timedatectl set-ntp true), or give it a clock module."
)


def examine_machine(config: Configuration, bridges: Sequence[Process]) -> list[Finding]:
    """Return what was found; changes nothing. Blocks.

    Args:
        config: Of the bridge.
        bridges: Bridges that run on this machine: the port and the directory are theirs.

    """
    folder = state_directory(config.advanced.state_directory)
    return [
        judge_web_port(config.web_server, bridges),
        judge_state_directory(folder, bridges),
        judge_clock(SystemClock().wall(), clock_is_synchronised()),
    ]


def judge_web_port(web: WebServer, bridges: Sequence[Process]) -> Finding:
    """Tell whether the web server can have its port, and who has it if not."""
    if not web.enabled:
        return skipped(_WEB, "the web server is off (web_server.enabled)")
    try:
        bind(web.listen_address, web.port).close()
    except LinkError as error:
        if error_number(error.__cause__) == errno.EADDRINUSE:
            return _taken(web.port, bridges)
        return warning(_WEB, error.reason, as_sentence(error.hint))
    return ok(_WEB, f"port {web.port} is free")


def _taken(port: int, bridges: Sequence[Process]) -> Finding:
    holders = processes_listening(port)
    bridge = next((each for each in holders if each.is_bridge), None if holders else next(iter(bridges), None))
    if bridge is not None:
        return ok(_WEB, f"port {port} is in use by the running bridge (process {bridge.pid}), as it should be")
    names = ", ".join(str(each) for each in holders) or f"another program (sudo ss -ltnp 'sport = :{port}' tells which)"
    return warning(_WEB, f"port {port} is in use by {names}", "End that program, or choose another web_server.port.")


def judge_state_directory(folder: Path, bridges: Sequence[Process]) -> Finding:
    """Tell whether a bridge can keep its state in a directory, and who keeps it there now."""
    try:
        return _judge_state_directory(folder, bridges)
    except OSError as error:
        advice = f"Run the doctor as the user of the bridge, or set advanced.state_directory. {_WITHOUT_STATE}"
        return warning(_STATE, f"{folder} cannot be examined: {error.strerror or error}", advice)


def _judge_state_directory(folder: Path, bridges: Sequence[Process]) -> Finding:
    if folder.exists() and not folder.is_dir():
        return warning(
            _STATE, f"{folder} is no directory", f"Move it away, or set advanced.state_directory. {_WITHOUT_STATE}"
        )
    there = next(each for each in (folder, *folder.absolute().parents) if each.is_dir())
    if not os.access(there, os.W_OK | os.X_OK):
        text = f"no permission to write in {there}" + ("" if there == folder else f", so that {folder} cannot be made")
        advice = (
            f"sudo install -d -o $USER {shlex.quote(str(folder))}, or set advanced.state_directory. {_WITHOUT_STATE}"
        )
        return warning(_STATE, text, advice)
    free_mb = shutil.disk_usage(there).free / 1e6
    if free_mb * 1e6 < _LEAST_FREE_BYTES:
        advice = "Make room: a full disk keeps energy, events and history from being saved."
        return warning(_STATE, f"only {free_mb:.1f} MB are free for {folder}", advice)
    if there != folder:
        return ok(_STATE, f"{folder} does not exist yet and can be made; {free_mb:.0f} MB are free")
    holder = directory_holder(folder)
    if not holder:
        return ok(_STATE, f"{folder} can be written; {free_mb:.0f} MB are free")
    text = f"{folder} belongs to {holder}; {free_mb:.0f} MB are free"
    if bridges:
        return ok(_STATE, text)
    return warning(
        _STATE, text, "A bridge started here would end at once; end that program, or set advanced.state_directory."
    )


def judge_clock(now: datetime, synchronised: bool | None) -> Finding:
    """Tell whether the time of the machine can be right; ``synchronised``: what the kernel says, None for nothing."""
    text = f"{now.astimezone():%Y-%m-%d %H:%M:%S %Z}"
    if now < EARLIEST_WALL:
        return warning(_CLOCK, f"it shows {text}, before this program was written", _WITHOUT_TIME)
    if synchronised is False:
        return warning(_CLOCK, f"it shows {text} and is not synchronised, so that it may be wrong", _WITHOUT_TIME)
    return ok(_CLOCK, f"{text}, synchronised" if synchronised else text)
