"""Checks of the doctor: what a bridge needs of the machine beside its ports: a web port, a place for its state, time.

None of it keeps frames from being sent, so nothing here is worse than a warning.
"""

import errno
import os
import shlex
import shutil
import socket
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from tinybms_bridge.config.models import WebServer
from tinybms_bridge.doctor.findings import Finding, ok, remedy_of, skipped, warning
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.clock import EARLIEST_WALL, SystemClock, clock_is_synchronised
from tinybms_bridge.hal.directory_lock import directory_holder
from tinybms_bridge.hal.processes import Process, processes_listening
from tinybms_bridge.hal.system_errors import error_number
from tinybms_bridge.words import message

__all__ = ["Bind", "examine_machine", "judge_clock", "judge_state_directory", "judge_web_port"]

Bind = Callable[[str, int], socket.socket]
"""Returns a socket that listens at an address and a port. Raises LinkError that says what to do."""

_WEB, _STATE, _CLOCK = "web port", "state directory", "clock"
_LEAST_FREE_BYTES = 50_000_000
"""Three times what the history takes at most (docs/history.md), so that a copy and the log have room."""


def examine_machine(web: WebServer, folder: Path, bridges: Sequence[Process], bind: Bind) -> list[Finding]:
    """Return what was found; changes nothing. Blocks.

    Args:
        web: As configured.
        folder: The state directory.
        bridges: Bridges that run on this machine: the port and the directory are theirs.
        bind: How the web server takes its port.

    """
    return [
        judge_web_port(web, bridges, bind),
        judge_state_directory(folder, bridges),
        judge_clock(SystemClock().wall(), clock_is_synchronised()),
    ]


def judge_web_port(web: WebServer, bridges: Sequence[Process], bind: Bind) -> Finding:
    """Tell whether the web server can have its port, and who has it if not."""
    if not web.enabled:
        return skipped(_WEB, message("doctor.web_off"))
    try:
        bind(web.listen_address, web.port).close()
    except LinkError as error:
        if error_number(error.__cause__) == errno.EADDRINUSE:
            return _taken(web.port, bridges)
        return warning(_WEB, error.what, remedy_of(error))
    return ok(_WEB, message("doctor.web_free", port=web.port))


def _taken(port: int, bridges: Sequence[Process]) -> Finding:
    holders = processes_listening(port)
    own = [each for each in holders if each.is_bridge or each.is_services]
    bridge = next(iter(own or ([] if holders else bridges)), None)
    if bridge is not None:
        return ok(_WEB, message("doctor.web_bridge", port=port, pid=bridge.pid))
    if not holders:
        return warning(_WEB, message("doctor.web_taken", port=port))
    return warning(_WEB, message("doctor.web_held", port=port, holders=[str(each) for each in holders]))


def judge_state_directory(folder: Path, bridges: Sequence[Process]) -> Finding:
    """Tell whether a bridge can keep its state in a directory, and who keeps it there now."""
    try:
        return _judge_state_directory(folder, bridges)
    except OSError as error:
        reason = error.strerror or str(error)
        return warning(_STATE, message("doctor.state_unknown", folder=str(folder), reason=reason))


def _judge_state_directory(folder: Path, bridges: Sequence[Process]) -> Finding:
    if folder.exists() and not folder.is_dir():
        return warning(_STATE, message("doctor.state_no_directory", folder=str(folder)))
    there = next(each for each in (folder, *folder.absolute().parents) if each.is_dir())
    if not os.access(there, os.W_OK | os.X_OK):
        command, missing = f"sudo install -d -o $USER {shlex.quote(str(folder))}", there != folder
        told = message(
            "doctor.state_forbidden", place=str(there), folder=str(folder) if missing else "", command=command
        )
        return warning(_STATE, told)
    free_mb = shutil.disk_usage(there).free / 1e6
    if free_mb * 1e6 < _LEAST_FREE_BYTES:
        return warning(_STATE, message("doctor.state_full", folder=str(folder), free_mb=free_mb))
    if there != folder:
        return ok(_STATE, message("doctor.state_to_be_made", folder=str(folder), free_mb=free_mb))
    holder = directory_holder(folder)
    if not holder:
        return ok(_STATE, message("doctor.state_fine", folder=str(folder), free_mb=free_mb))
    told = message("doctor.state_held", folder=str(folder), holder=holder, free_mb=free_mb)
    return ok(_STATE, told) if bridges else warning(_STATE, told, message("doctor.state_two_bridges"))


def judge_clock(now: datetime, synchronised: bool | None) -> Finding:
    """Tell whether the time of the machine can be right; ``synchronised``: what the kernel says, None for nothing."""
    text = f"{now.astimezone():%Y-%m-%d %H:%M:%S %Z}"
    if now < EARLIEST_WALL:
        return warning(_CLOCK, message("doctor.clock_old", time=text))
    if synchronised is False:
        return warning(_CLOCK, message("doctor.clock_unsynchronised", time=text))
    return ok(_CLOCK, message("doctor.clock", time=text, synchronised=synchronised is True))
