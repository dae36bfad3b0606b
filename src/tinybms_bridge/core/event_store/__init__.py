"""The bridge's own event list: what it noticed and what the BMS logged, kept over restarts."""

from tinybms_bridge.core.event_store.recorder import EventRecorder
from tinybms_bridge.core.event_store.records import level_news, line_of, news_of, record_of
from tinybms_bridge.core.event_store.store import EVENTS_FILE, EventStore

__all__ = ["EVENTS_FILE", "EventRecorder", "EventStore", "level_news", "line_of", "news_of", "record_of"]
