"""What the configuration says of the notifications; imported also while they are off."""

from dataclasses import dataclass

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.models.notifications import Notifications

__all__ = ["NOTIFY_FILE", "NotifyOptions", "notify_options"]

NOTIFY_FILE = "alarms-told.json"
"""Name of the file in the state directory."""


@dataclass(frozen=True, slots=True)
class NotifyOptions:
    """The section, and what it takes from others."""

    settings: Notifications
    site: str
    """Name of the site; empty for none."""


def notify_options(config: Configuration) -> NotifyOptions | None:
    """Return the options; None while they are off."""
    settings = config.notifications
    return NotifyOptions(settings, settings.site or config.victron.battery_name) if settings.enabled else None
