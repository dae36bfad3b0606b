"""On which ways a message goes out: what they have in common, and those over HTTP, a webhook and ntfy.

``http.client`` and ``smtplib`` of the standard library, in a thread: together they take half a megabyte, httpx beside
the web server takes six, and both processes are to stay below 120. What a library would add is not wanted here: no
address is followed from one answer to another, so that no token goes to a stranger, and no answer is read beyond its
headers.
"""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from tinybms_bridge import __version__
from tinybms_bridge.config.models.notifications import Ntfy, Webhook
from tinybms_bridge.services.notify.failures import DeliveryError
from tinybms_bridge.services.notify.messages import Notification, WordedNotification, one_line
from tinybms_bridge.services.notify.sockets import Deadline, open_socket, tls_context
from tinybms_bridge.words import JsonValue, Message, message

__all__ = ["Letter", "NotifyWay", "NtfyWay", "WebhookWay", "certificate_context"]

HTTP_LIMIT_S = 20.0
"""For name, connection, request and answer together."""
_MOST_NTFY_BYTES = 3500
"""ntfy makes a file of a message above 4096 bytes."""
_MOST_NTFY_TITLE = 200
"""ntfy refuses a title above 250 bytes; letters of French take two at most."""
_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
"""Refusals that pass."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as it is sent now."""

    told: Notification
    words: WordedNotification
    at: datetime
    """Now, UTC."""


class NotifyWay(Protocol):
    """One way to people or programs."""

    @property
    def name(self) -> str:
        """``webhook``, ``ntfy`` or ``email``."""
        ...

    @property
    def where(self) -> str:
        """What may be shown of its address."""
        ...

    @property
    def limit_s(self) -> float:
        """How long it may take."""
        ...

    def send(self, letter: Letter, deadline: Deadline) -> Message | None:
        """Send a message, and return what did not go well although it is sent. Blocks until the deadline at most.

        Raises DeliveryError, OSError, and whatever a server that does not keep to its protocol makes of a library.
        """
        ...


def certificate_context(authority: str, deadline: Deadline) -> ssl.SSLContext:
    """Return what encrypts a connection. Raises DeliveryError for an authority that cannot be read."""
    try:
        return tls_context(authority, deadline)
    except ssl.SSLError:
        raise DeliveryError(message("notify.bad_certificate_key")) from None


class WebhookWay:
    """A POST with everything as JSON to an address, all of which is secret."""

    name = "webhook"
    where = "webhook"
    limit_s = HTTP_LIMIT_S

    def __init__(self, settings: Webhook) -> None:
        self._settings = settings

    def send(self, letter: Letter, deadline: Deadline) -> None:
        """See ``NotifyWay.send``."""
        settings = self._settings
        url = urlsplit(settings.url.value)
        _post(url, settings.token.value, letter.words.document, settings.server_certificate, deadline)


class NtfyWay:
    """A POST to a server of ntfy; the topic is in the body, where no log of a server or proxy has it."""

    name = "ntfy"
    limit_s = HTTP_LIMIT_S

    def __init__(self, settings: Ntfy) -> None:
        self._settings = settings
        self.where = f"ntfy ({urlsplit(settings.url).hostname})"

    def send(self, letter: Letter, deadline: Deadline) -> None:
        """See ``NotifyWay.send``."""
        settings = self._settings
        priority, tag = _LOOKS[letter.told.level or letter.told.event]
        document = {
            "topic": settings.topic.value,
            "title": one_line(letter.words.title)[:_MOST_NTFY_TITLE],
            "message": _cut(letter.words.body, _MOST_NTFY_BYTES),
            "priority": priority,
            "tags": [tag],
        }
        _post(urlsplit(settings.url), settings.token.value, document, settings.server_certificate, deadline)


_LOOKS: Mapping[str, tuple[int, str]] = {
    "alarm": (5, "rotating_light"),
    "warning": (3, "warning"),
    "cleared": (2, "white_check_mark"),
    "several": (2, "white_check_mark"),
    "test": (3, "bell"),
}
"""Priority and sign of a message on the phone, by its level, else by what kind it is; 5 rings through everything."""


def _cut(text: str, most_bytes: int) -> str:
    """Return the beginning of a text that fits, with whole letters."""
    data = text.encode()
    return text if len(data) <= most_bytes else data[: most_bytes - 3].decode(errors="ignore") + "…"


def _post(url: SplitResult, token: str, document: Mapping[str, JsonValue], authority: str, deadline: Deadline) -> None:
    """Send a JSON object. Blocks. Raises DeliveryError for an answer that is no success."""
    host, encrypted = url.hostname or "", url.scheme == "https"
    port = url.port or (443 if encrypted else 80)
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": f"tinybms-bridge/{__version__}",
        "Connection": "close",
    }
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection: HTTPConnection
    if encrypted:
        context = certificate_context(authority, deadline)
        connection = HTTPSConnection(host, port, context=context)
        connection.sock = context.wrap_socket(open_socket(host, port, deadline), server_hostname=host)
    else:
        connection = HTTPConnection(host, port)
        connection.sock = open_socket(host, port, deadline)
    try:
        body = json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
        connection.request("POST", f"{url.path or '/'}{'?' if url.query else ''}{url.query}", body, headers)
        answer = connection.getresponse()
        _judge(answer.status, answer.getheader("Retry-After", ""))
    except HTTPException as error:
        if isinstance(error, ConnectionError):
            raise
        raise DeliveryError(message("notify.not_http")) from None
    finally:
        connection.close()


def _judge(status: int, retry_after: str) -> None:
    """Raise DeliveryError unless a status is a success."""
    if 200 <= status < 300:
        return
    if status >= 500 or status in _AGAIN:
        wait_s = float(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 6 else 0.0
        raise DeliveryError(message("notify.http_status", status=status), wait_s=wait_s)
    if 300 <= status < 400:
        raise DeliveryError(message("notify.http_elsewhere", status=status), refused=True)
    if status in (401, 403):
        raise DeliveryError(message("notify.http_forbidden", status=status), refused=True)
    raise DeliveryError(message("notify.http_refused", status=status), refused=True)
