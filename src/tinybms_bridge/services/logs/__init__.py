"""The log: recent lines in memory, and outlets to the console, a rotating file and a syslog server."""

from tinybms_bridge.services.logs.book import LogBook, LogSettings
from tinybms_bridge.services.logs.lines import LogLine, LogPage
from tinybms_bridge.services.logs.rotating import LOG_FILE

__all__ = ["LOG_FILE", "LogBook", "LogLine", "LogPage", "LogSettings"]
