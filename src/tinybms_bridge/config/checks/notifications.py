"""Checks of the notifications: what each way needs, names of alarms, and the quiet hours."""

from collections.abc import Iterator

from tinybms_bridge.battery.alarm_words import ALARM_NAMES
from tinybms_bridge.config.checks.finding import ConfigFinding
from tinybms_bridge.config.models.notifications import Email, Notifications
from tinybms_bridge.suggestions import nearest
from tinybms_bridge.words import message

__all__ = ["notification_findings"]

_SECTION = "notifications"


def notification_findings(notifications: Notifications) -> Iterator[ConfigFinding]:
    """Yield what does not fit in the section ``notifications``."""
    yield from _ways(notifications)
    yield from _names(notifications)
    yield from _quiet_hours(notifications)


def _ways(notifications: Notifications) -> Iterator[ConfigFinding]:
    webhook, ntfy, email = notifications.webhook, notifications.ntfy, notifications.email
    ways = {"webhook": webhook.enabled, "ntfy": ntfy.enabled, "email": email.enabled}
    if notifications.enabled and not any(ways.values()):
        paths = (f"{_SECTION}.enabled", *(f"{_SECTION}.{way}.enabled" for way in ways))
        yield ConfigFinding(paths, (message("config.no_way_to_tell", keys=paths[1:]),))
    if webhook.enabled and not webhook.url.value:
        yield _needed("webhook.url", "webhook.enabled")
    if ntfy.enabled and not ntfy.topic.value:
        yield _needed("ntfy.topic", "ntfy.enabled")
    if email.enabled:
        yield from (
            _needed(f"email.{key}", "email.enabled") for key in ("server", "recipients") if not getattr(email, key)
        )
    yield from _login(email)


def _login(email: Email) -> Iterator[ConfigFinding]:
    given = {"username": bool(email.username), "password": bool(email.password.value)}
    for key, other in (("username", "password"), ("password", "username")):
        if given[other] and not given[key]:
            needed = message("config.needed_with", key=f"{_SECTION}.email.{other}")
            yield ConfigFinding((f"{_SECTION}.email.{key}", f"{_SECTION}.email.{other}"), (needed,))


def _needed(key: str, switch: str) -> ConfigFinding:
    told = message("config.needed_if", key=f"{_SECTION}.{switch}", value="true")
    return ConfigFinding((f"{_SECTION}.{key}", f"{_SECTION}.{switch}"), (told,))


def _names(notifications: Notifications) -> Iterator[ConfigFinding]:
    for key in ("only", "never"):
        unknown = [name for name in getattr(notifications, key) if name not in ALARM_NAMES]
        if unknown:
            meant = nearest(unknown[0], ALARM_NAMES)
            yield ConfigFinding(
                (f"{_SECTION}.{key}",), (message("config.unknown_alarm", name=unknown[0], meant=meant),)
            )


def _quiet_hours(notifications: Notifications) -> Iterator[ConfigFinding]:
    begin, end = notifications.quiet_from, notifications.quiet_to
    paths = (f"{_SECTION}.quiet_from", f"{_SECTION}.quiet_to")
    if bool(begin) != bool(end):
        missing, given = paths if end else paths[::-1]
        yield ConfigFinding((missing, given), (message("config.needed_with", key=given),))
    elif begin and begin == end:
        yield ConfigFinding(paths, tuple(message("config.must_differ", key=path) for path in paths[::-1]))
