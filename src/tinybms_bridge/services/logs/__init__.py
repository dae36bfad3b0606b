"""The log: recent lines in memory for the pages, a rotating file, a syslog server."""

from tinybms_bridge.services.logs.rotating_file import LOG_FILE
from tinybms_bridge.services.logs.store import LogSettings, LogStore

__all__ = ["LOG_FILE", "LogSettings", "LogStore"]
