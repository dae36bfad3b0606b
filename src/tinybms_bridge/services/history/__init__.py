"""History: what the battery did, in SQLite, in three resolutions and by day."""

from tinybms_bridge.services.history.history import History
from tinybms_bridge.services.history.levels import HISTORY_FILE, HistoryError, HistorySettings

__all__ = ["HISTORY_FILE", "History", "HistoryError", "HistorySettings"]
