from collections.abc import Callable

import pytest

Complaints = Callable[[object], dict[str, str]]

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://hooks.example.org/services/T0/B0/xyz",
        "http://192.168.1.5:8123/api/webhook/abc?key=1",
        "https://[fd00::5]/x",
        "https://example.org/a@b",
    ],
)
def test_addresses_of_webhooks_are_accepted(url: str, complaints: Complaints) -> None:
    """With a path and a query, which often hold the key."""
    assert complaints({"notifications": {"webhook": {"url": url}}}) == {}


@pytest.mark.parametrize(
    "url",
    [
        "hooks.example.org",
        "ftp://example.org/x",
        "https://",
        "https://user:word@example.org/",
        "https://example.org/a b",
        "https://example.org/\r\nX-Evil: 1",
        "https://example.org/#part",
        "https://example.org:0/",
        "https://example.org:99999/",
        "https://exämple.org/",
        "https://[fd00::5/x",
    ],
)
def test_what_is_no_address_is_refused_without_showing_it(url: str, complaints: Complaints) -> None:
    """It may hold a key all the same, and a line break in it would be a header of its own."""
    assert complaints({"notifications": {"webhook": {"url": url}}}) == {
        "notifications.webhook.url": "must be http://... or https://... in ASCII, without user name, spaces and #; "
        "empty for none"
    }


@pytest.mark.parametrize("url", ["https://ntfy.sh", "http://10.0.0.5:8080/"])
def test_a_server_of_ntfy_is_accepted(url: str, complaints: Complaints) -> None:
    """Public or own."""
    assert complaints({"notifications": {"ntfy": {"url": url}}}) == {}


@pytest.mark.parametrize("url", ["", "ntfy.sh", "https://ntfy.sh/my-topic", "https://ntfy.sh?topic=x"])
def test_the_topic_is_no_part_of_the_server(url: str, complaints: Complaints) -> None:
    """Behind the server it would be shown, and it is a secret."""
    assert list(complaints({"notifications": {"ntfy": {"url": url}}})) == ["notifications.ntfy.url"]


@pytest.mark.parametrize("topic", ["a/b", "x" * 65, "two words", "é"])
def test_a_topic_that_ntfy_does_not_take_is_refused(topic: str, complaints: Complaints) -> None:
    """Its own rule for topics."""
    assert list(complaints({"notifications": {"ntfy": {"topic": topic}}})) == ["notifications.ntfy.topic"]


@pytest.mark.parametrize("token", ["a b", "tk\r\nX: 1", "é", "x" * 1001])
@pytest.mark.parametrize("way", ["webhook", "ntfy"])
def test_a_token_that_no_header_can_carry_is_refused(way: str, token: str, complaints: Complaints) -> None:
    """A line break in it would be a header of its own."""
    assert list(complaints({"notifications": {way: {"token": token}}})) == [f"notifications.{way}.token"]


@pytest.mark.parametrize("address", ["me@example.org", "first.last+boat@mail.example.co.uk", "root@localhost"])
def test_mail_addresses_are_accepted(address: str, complaints: Complaints) -> None:
    """Those that people have."""
    assert complaints({"notifications": {"email": {"sender": address, "recipients": [address]}}}) == {}


@pytest.mark.parametrize(
    "address",
    [
        "me",
        "@example.org",
        "a@b@c",
        "me@example.org, you@example.org",
        "me@example.org\nBcc: x@y",
        "Me <me@x.org>",
        "é@x",
    ],
)
def test_what_is_no_mail_address_is_refused(address: str, complaints: Complaints) -> None:
    """Nobody can add a recipient or a header through one."""
    found = complaints({"notifications": {"email": {"sender": address, "recipients": [address]}}})
    assert list(found) == ["notifications.email.sender", "notifications.email.recipients"]


def test_recipients_are_bounded(complaints: Complaints) -> None:
    """A mail server would take a list of hundreds for spam."""
    assert complaints({"notifications": {"email": {"recipients": ["me@x.org"] * 20}}}) == {}
    assert list(complaints({"notifications": {"email": {"recipients": ["me@x.org"] * 21}}})) == [
        "notifications.email.recipients"
    ]


@pytest.mark.parametrize("server", ["smtp.example.org:587", "smtp example", "smtp://x", "x" * 254])
def test_a_mail_server_is_a_name_or_an_address(server: str, complaints: Complaints) -> None:
    """The port has a key of its own; an IPv6 address has colons, too."""
    found = list(complaints({"notifications": {"email": {"server": server}}}))
    assert found == ([] if server == "smtp.example.org:587" else ["notifications.email.server"])
    assert complaints({"notifications": {"email": {"server": "fd00::25"}}}) == {}


@pytest.mark.parametrize("time", ["24:00", "7:30", "07:60", "0730", "07:30:00", "٠٧:٣٠"])
def test_times_of_day_are_hours_and_minutes(time: str, complaints: Complaints) -> None:
    """Of 24 hours, with two digits each."""
    assert complaints({"notifications": {"quiet_from": time, "quiet_to": "23:59"}}) == {
        "notifications.quiet_from": "must be HH:MM from 00:00 to 23:59, or empty"
    }


@pytest.mark.parametrize("site", ["two\nlines", "tab\there", "bell\x07", "x" * 65, "\u2028"])
def test_the_name_of_a_site_is_one_line(site: str, complaints: Complaints) -> None:
    """It stands in the subject of a mail."""
    assert list(complaints({"notifications": {"site": site}})) == ["notifications.site"]
    assert complaints({"notifications": {"site": "Hütte « Süd » ☀"}}) == {}


@pytest.mark.parametrize("way", ["webhook", "ntfy", "email"])
def test_certificates_are_pem_text(way: str, complaints: Complaints) -> None:
    """As with MQTT; a path is a mistake."""
    key = f"notifications.{way}.server_certificate"
    assert complaints({"notifications": {way: {"server_certificate": PEM}}}) == {}
    assert list(complaints({"notifications": {way: {"server_certificate": "/etc/ca.pem"}}})) == [key]
