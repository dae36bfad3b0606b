from collections.abc import Callable
from typing import Any

import pytest

from tinybms_bridge.battery.alarm_words import ALARM_NAMES

Complaints = Callable[[object], dict[str, str]]

WEBHOOK = {"webhook": {"enabled": True, "url": "https://example.org/hook"}}


def notifications(**keys: Any) -> dict[str, Any]:
    """Make a document with keys of section ``notifications``."""
    return {"notifications": keys}


@pytest.mark.parametrize(
    "way",
    [
        WEBHOOK,
        {"ntfy": {"enabled": True, "topic": "boat"}},
        {"email": {"enabled": True, "server": "smtp.example.org", "recipients": ["me@example.org"]}},
    ],
)
def test_one_way_is_enough(way: dict[str, Any], complaints: Complaints) -> None:
    """Each by itself, with what it needs."""
    assert complaints(notifications(enabled=True, **way)) == {}


def test_somebody_must_be_told(complaints: Complaints) -> None:
    """Switched on without a way, nobody would ever hear of an alarm."""
    assert complaints(notifications(enabled=True)) == {
        "notifications.enabled": "needs a way: notifications.webhook.enabled, notifications.ntfy.enabled or "
        "notifications.email.enabled"
    }


@pytest.mark.parametrize(
    ("way", "missing"),
    [("webhook", ["webhook.url"]), ("ntfy", ["ntfy.topic"]), ("email", ["email.server", "email.recipients"])],
)
def test_a_way_needs_where_to(way: str, missing: list[str], complaints: Complaints) -> None:
    """Every missing key is named, whether or not anything is told yet."""
    told = f"must be given, because notifications.{way}.enabled is true"
    assert complaints(notifications(**{way: {"enabled": True}})) == {f"notifications.{key}": told for key in missing}


@pytest.mark.parametrize(("given", "missing"), [("username", "password"), ("password", "username")])
def test_a_login_is_both(given: str, missing: str, complaints: Complaints) -> None:
    """One of the two alone logs in nowhere."""
    assert complaints(notifications(email={given: "hush"})) == {
        f"notifications.email.{missing}": f"must be given, because notifications.email.{given} is given"
    }


@pytest.mark.parametrize("key", ["only", "never"])
def test_a_name_that_is_no_alarm_is_told_with_the_nearest(key: str, complaints: Complaints) -> None:
    """Else a slip of the pen would keep every alarm back, or none."""
    assert complaints(notifications(**{key: ["low_soc", "high_volage"]})) == {
        f"notifications.{key}": "has high_volage, which is no alarm and no notice; did you mean high_voltage?"
    }
    assert complaints(notifications(**{key: list(ALARM_NAMES)})) == {}
    assert complaints(notifications(**{key: []})) == {}


def test_quiet_hours_have_both_ends(complaints: Complaints) -> None:
    """And last for some time."""
    for given, missing in (("quiet_from", "quiet_to"), ("quiet_to", "quiet_from")):
        assert complaints(notifications(**{given: "22:00"})) == {
            f"notifications.{missing}": f"must be given, because notifications.{given} is given"
        }
    assert complaints(notifications(quiet_from="22:00", quiet_to="07:00")) == {}
    assert complaints(notifications(quiet_from="07:00", quiet_to="07:00")) == {
        "notifications.quiet_from": "must differ from notifications.quiet_to"
    }
