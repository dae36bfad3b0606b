import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinybms_bridge.services.web.accounts import Role
from tinybms_bridge.services.web.security.gate import audit, audit_login
from tinybms_bridge.services.web.security.sessions import User, Via

BOSS = User("boss", Role.ADMIN, Via.SESSION, "10.0.0.1")


def test_a_line_says_who_did_what_from_where(caplog: pytest.LogCaptureFixture) -> None:
    """With what the route adds."""
    audit(BOSS, "POST /api/settings", changed="cvl.enabled", count=1)

    assert caplog.messages == ["POST /api/settings by boss (session) from 10.0.0.1, changed=cvl.enabled, count=1"]
    assert caplog.records[0].name == "tinybms_bridge.audit"


def test_a_line_is_written_at_every_level_of_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log of warnings alone still tells who stopped the charger."""
    monkeypatch.setattr(logging.getLogger("tinybms_bridge"), "level", logging.ERROR)

    audit(BOSS, "PUT /api/inhibits/charge")

    assert caplog.messages == ["PUT /api/inhibits/charge by boss (session) from 10.0.0.1"]


def test_what_was_refused_is_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    """As a warning, with the reason before the facts, whatever these are called."""
    audit(BOSS, "POST /api/x", failure="refused with 422 invalid_settings", action="restart")

    assert caplog.messages == [
        "POST /api/x by boss (session) from 10.0.0.1: refused with 422 invalid_settings, action=restart"
    ]
    assert caplog.records[0].levelno == logging.WARNING


@pytest.mark.parametrize("name", ["password", "wifi_password", "new_token", "psk", "client_secret", "API_KEY"])
def test_secrets_are_masked(caplog: pytest.LogCaptureFixture, name: str) -> None:
    """A route that passes one by mistake does not tell it."""
    audit(BOSS, "change", **{name: "opensesame"})

    assert "opensesame" not in caplog.text
    assert f"{name}=********" in caplog.text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.text(max_size=300), st.text(max_size=300))
def test_a_line_stays_one_short_line(caplog: pytest.LogCaptureFixture, name: str, address: str) -> None:
    """A user name must not write log lines of its own."""
    caplog.clear()

    audit_login(name, address, "refused")

    (line,) = caplog.messages
    assert line.isprintable()
    assert len(line) < 300


def test_a_refused_login_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """It shows up in a log that hides informations."""
    audit_login("boss", "10.0.0.1", "accepted")
    audit_login("boss", "10.0.0.1", "refused")

    assert [record.levelno for record in caplog.records] == [logging.INFO, logging.WARNING]
    assert caplog.messages[1] == "login of boss from 10.0.0.1 refused"
