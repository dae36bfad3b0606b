"""Standard error: with time and level for a terminal, with syslog priorities for the journal."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from tinybms_bridge.services.logs.lines import LogLine

__all__ = ["PRIORITIES", "Console", "is_journal"]

PRIORITIES: Mapping[str, int] = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}
"""Severities of syslog (RFC 5424, section 6.2.1), which sd-daemon(3) writes as ``<6>`` before each line."""


def is_journal(stream: TextIO | None, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether a stream is the one that systemd connected to the journal (systemd.exec(5), JOURNAL_STREAM)."""
    if stream is None:
        return False
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class Console:
    """Writes lines to ``stream``, or to what is standard error at that moment; a closed one swallows them."""

    def __init__(self, stream: TextIO | None = None, *, journal: bool | None = None) -> None:
        self._stream = stream
        self._journal = is_journal(stream or sys.stderr) if journal is None else journal

    def write(self, lines: Sequence[LogLine]) -> None:
        """See ``Target.write``."""
        stream = self._stream or sys.stderr
        if stream is None or stream.closed:  # the program was started without standard error
            return
        stream.write("".join(self._format(line) for line in lines))
        stream.flush()

    def _format(self, line: LogLine) -> str:
        if not self._journal:
            return f"{line}\n"
        priority = PRIORITIES[line.level]
        return "".join(f"<{priority}>{part}\n" for part in line.text.split("\n"))
