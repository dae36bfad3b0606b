"""Section ``notifications``: who is told of alarms, by which rules and on which ways."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Literal
from urllib.parse import urlsplit

from tinybms_bridge.config.models.base import Secret, Section, certificate, flag, number, text
from tinybms_bridge.words import message

__all__ = ["Email", "Notifications", "Ntfy", "Webhook"]

_NAME = re.compile(r"[a-z0-9_]{1,40}")
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,10}")
"""A mail address as servers take it everywhere; none can begin another header or another recipient."""
_MOST_NAMES = 50
_MOST_RECIPIENTS = 20


def _is_url(value: str) -> bool:
    """Tell whether a text is an address of HTTP that no header and no log could be broken with."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    plain = re.fullmatch(r"[!-~]{1,2000}", value) is not None and "@" not in parts.netloc and "#" not in value
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0 and plain


def _is_secret_url_or_empty(value: Secret) -> bool:
    return not value.value or _is_url(value.value)


def _is_bare_url(value: str) -> bool:
    return _is_url(value) and urlsplit(value).path in ("", "/") and not urlsplit(value).query


def _matches_or_empty(pattern: str) -> Callable[[Secret], bool]:
    return lambda value: not value.value or re.fullmatch(pattern, value.value) is not None


def _are_names(values: list[str]) -> bool:
    return len(values) <= _MOST_NAMES and all(_NAME.fullmatch(value) for value in values)


def _is_address_or_empty(value: str) -> bool:
    return not value or _ADDRESS.fullmatch(value) is not None


def _are_addresses(values: list[str]) -> bool:
    return len(values) <= _MOST_RECIPIENTS and all(_ADDRESS.fullmatch(value) for value in values)


_time = partial(text, rule=message("must_be.time_of_day"), pattern=r"^(?:(?:[01][0-9]|2[0-3]):[0-5][0-9])?$")
_names = partial(text, rule=message("must_be.alarm_names", most=_MOST_NAMES), holds=_are_names)
_token = partial(text, rule=message("must_be.token"), holds=_matches_or_empty(r"[!-~]{1,1000}"))
_of_server = partial(
    certificate, "Server certificate", "Certificate authority of the server as PEM text; empty uses the system's."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Webhook(Section):
    """A request (POST) with a JSON object to an address of yours, for Home Assistant, Node-RED, a chat or a script."""

    enabled: Annotated[bool, flag("Webhook", "Send each message as a JSON object to an address.")] = False
    url: Annotated[
        Secret,
        text(
            "Address",
            "Where to send; kept secret as a whole, because it often carries a key.",
            rule=message("must_be.url"),
            holds=_is_secret_url_or_empty,
        ),
    ] = Secret()
    token: Annotated[
        Secret, _token("Bearer token", "Sent in the header Authorization, never to another address; empty for none.")
    ] = Secret()
    server_certificate: Annotated[str, _of_server()] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ntfy(Section):
    """Push messages on phones and computers through a server of ntfy, a public one or your own."""

    enabled: Annotated[bool, flag("Push by ntfy", "Send each message to a topic of an ntfy server.")] = False
    url: Annotated[
        str,
        text(
            "Server",
            "Address of the ntfy server, without the topic.",
            rule=message("must_be.bare_url"),
            holds=_is_bare_url,
        ),
    ] = "https://ntfy.sh"
    topic: Annotated[
        Secret,
        text(
            "Topic",
            "Topic to publish to; kept secret, because on a public server whoever knows it can read along.",
            rule=message("must_be.ntfy_topic"),
            holds=_matches_or_empty(r"[A-Za-z0-9_-]{1,64}"),
        ),
    ] = Secret()
    token: Annotated[Secret, _token("Access token", "Access token of the server; empty for none.")] = Secret()
    server_certificate: Annotated[str, _of_server()] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Email(Section):
    """E-mail through a mail server (SMTP)."""

    enabled: Annotated[bool, flag("E-mail", "Send each message as an e-mail.")] = False
    server: Annotated[
        str,
        text(
            "Mail server",
            "Name or address of the mail server (SMTP), without a port.",
            rule=message("must_be.mail_server"),
            pattern=r"^(?:[A-Za-z0-9._:-]{1,253})?$",
        ),
    ] = ""
    port: Annotated[
        int | None,
        number(1, 65535, "", "Port", "Port of the mail server; null = 587 (starttls), 465 (tls) or 25 (none)."),
    ] = None
    security: Annotated[
        Literal["starttls", "tls", "none"],
        text(
            "Encryption",
            "Encrypt before anything is told (starttls), from the first byte (tls), or not at all (none).",
        ),
    ] = "starttls"
    username: Annotated[
        str,
        text(
            "User name",
            "User name at the mail server; empty for none.",
            rule=message("must_be.printable_or_empty", longest=256),
            pattern=r"^[^\x00-\x1F\x7F]{0,256}$",
        ),
    ] = ""
    password: Annotated[
        Secret,
        text(
            "Password",
            "Password at the mail server; empty for none.",
            rule=message("must_be.printable_or_empty", longest=1000),
            holds=_matches_or_empty(r"[^\x00-\x1F\x7F]{1,1000}"),
        ),
    ] = Secret()
    sender: Annotated[
        str,
        text(
            "Sender",
            "Mail address in whose name it is sent; empty takes the first recipient.",
            rule=message("must_be.mail_address"),
            holds=_is_address_or_empty,
        ),
    ] = ""
    recipients: Annotated[
        list[str],
        text(
            "Recipients",
            "Mail addresses that are told, 20 at most.",
            rule=message("must_be.mail_addresses", most=_MOST_RECIPIENTS),
            holds=_are_addresses,
        ),
    ] = field(default_factory=list)
    server_certificate: Annotated[str, _of_server()] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Notifications(Section):
    """Messages about alarms to people and other systems."""

    enabled: Annotated[bool, flag("Notifications", "Tell of alarms on the ways below.")] = False
    language: Annotated[Literal["en", "fr"], text("Language", "Language of the messages.")] = "en"
    site: Annotated[
        str,
        text(
            "Name of the site",
            "Stands before each message, so that several sites can be told apart; empty takes `victron.battery_name`.",
            rule=message("must_be.printable_or_empty", longest=64),
            pattern=r"^[^\x00-\x1F\x7F-\x9F\u2028\u2029]{0,64}$",
        ),
    ] = ""
    level: Annotated[
        Literal["warning", "alarm"],
        text("Least level", "Tell of warnings and alarms (warning), or of alarms only (alarm)."),
    ] = "warning"
    delay_s: Annotated[float, number(0, 3600, "s", "Delay", "An alarm that lasts for less is not told.")] = 10.0
    all_clear: Annotated[bool, flag("All clear", "Tell also when something is over that was told.")] = True
    only: Annotated[
        list[str], _names("Only these", "Names of the alarms and notices that are told; an empty list is all.")
    ] = field(default_factory=list)
    never: Annotated[
        list[str],
        _names(
            "Never these",
            "Names of the alarms and notices that are not told; by default what comes with every full charge.",
        ),
    ] = field(default_factory=lambda: ["high_soc", "derating"])
    quiet_from: Annotated[
        str, _time("Quiet from", "Beginning of the quiet hours in the time of the machine, as HH:MM; empty for none.")
    ] = ""
    quiet_to: Annotated[
        str, _time("Quiet to", "End of the quiet hours, as HH:MM; earlier than the beginning is on the next day.")
    ] = ""
    quiet_level: Annotated[
        Literal["none", "alarm"],
        text("In quiet hours", "What is told in quiet hours all the same: nothing (none), or alarms (alarm)."),
    ] = "alarm"
    webhook: Webhook = field(default_factory=Webhook)
    ntfy: Ntfy = field(default_factory=Ntfy)
    email: Email = field(default_factory=Email)
