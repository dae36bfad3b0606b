"""Webhook and ntfy against real servers on this machine, most of them bad ones."""

import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tinybms_bridge.config.models.base import Secret
from tinybms_bridge.config.models.notifications import Ntfy, Webhook
from tinybms_bridge.hal.blocking import in_own_thread
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.services.notify.failures import DeliveryError, delivery_error
from tinybms_bridge.services.notify.messages import AlarmNews, Notification, Wording
from tinybms_bridge.services.notify.sockets import Deadline
from tinybms_bridge.services.notify.ways import Letter, NotifyWay, NtfyWay, WebhookWay
from tinybms_bridge.words import message
from tinybms_lab.testing.running_bridge import free_port

AT = datetime(2026, 1, 1, 14, 5, tzinfo=UTC)
TOKEN, TOPIC, KEY = "tk-hush-hush", "topic-hush-hush", "key-hush-hush"

Serve = Callable[..., Any]


def letter(event: str = "raised", level: str = "alarm", site: str = "Hütte ☀") -> Letter:
    """Return a message as it is sent."""
    news: Any = (AlarmNews(event, "high_voltage", level, 0.0, None),) if event != "test" else ()  # type: ignore[arg-type]
    told = Notification("4711", AT, news, {"soc_percent": 81.5, "voltage": 53.1, "current": -12.3})
    return Letter(told, Wording("fr", site)(told, AT), AT)


async def send(way: NotifyWay, limit_s: float = 60.0, **keys: str) -> None:
    """Send in a thread as the program does; raise what the program makes of a failure."""
    try:
        await in_own_thread(way.send, letter(**keys), Deadline(limit_s, SystemClock().awake))
    except Exception as error:  # noqa: BLE001 -- as in ``Delivery``
        raise delivery_error(error, limit_s) from None


async def failure(way: NotifyWay, limit_s: float = 60.0) -> DeliveryError:
    """Return why a message could not be sent."""
    with pytest.raises(DeliveryError) as caught:
        await send(way, limit_s)
    for secret in (TOKEN, TOPIC, KEY):
        assert secret not in str(caught.value)
        assert secret not in repr(caught.value)
    return caught.value


def webhook(
    port: int, scheme: str = "http", path: str = f"/hook/{KEY}?x=1", host: str = "127.0.0.1", **keys: Any
) -> WebhookWay:
    """Return the way to a server of the test."""
    return WebhookWay(Webhook(enabled=True, url=Secret(f"{scheme}://{host}:{port}{path}"), token=Secret(TOKEN), **keys))


def ntfy(port: int, scheme: str = "http", **keys: Any) -> NtfyWay:
    """Return the way to a server of the test."""
    url = f"{scheme}://127.0.0.1:{port}"
    return NtfyWay(Ntfy(enabled=True, url=url, topic=Secret(TOPIC), token=Secret(TOKEN), **keys))


async def test_a_webhook_gets_everything_as_json(serve: Serve) -> None:
    """One POST to the whole address, with the token, in UTF-8."""
    server = await serve("http")
    await send(webhook(server.port))
    (asked,) = server.asked
    assert asked.line == f"POST /hook/{KEY}?x=1 HTTP/1.1"
    assert asked.headers["host"] == f"127.0.0.1:{server.port}"
    assert asked.headers["content-type"] == "application/json; charset=utf-8"
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert asked.headers["user-agent"].startswith("tinybms-bridge/")
    assert json.loads(asked.body) == letter().words.document


async def test_an_address_may_have_neither_path_nor_token(serve: Serve) -> None:
    """Then the root is asked, without a header that says who asks."""
    server = await serve("http")
    await send(WebhookWay(Webhook(enabled=True, url=Secret(f"http://127.0.0.1:{server.port}"))))
    assert server.asked[0].line == "POST / HTTP/1.1"
    assert "authorization" not in server.asked[0].headers


@pytest.mark.parametrize(
    ("event", "level", "priority", "tag"),
    [
        ("raised", "alarm", 5, "rotating_light"),
        ("raised", "warning", 3, "warning"),
        ("cleared", "alarm", 2, "white_check_mark"),
        ("test", "", 3, "bell"),
    ],
)
async def test_ntfy_gets_title_text_and_priority(serve: Serve, event: str, level: str, priority: int, tag: str) -> None:
    """As JSON, which carries every letter, and the topic, which no log of an address has then."""
    server = await serve("http")
    await send(ntfy(server.port), event=event, level=level)
    (asked,) = server.asked
    assert asked.line == "POST / HTTP/1.1"
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    words = letter(event, level).words
    assert json.loads(asked.body) == {
        "topic": TOPIC,
        "title": words.title,
        "message": words.body,
        "priority": priority,
        "tags": [tag],
    }
    assert words.title.startswith("Hütte ☀ : ")


async def test_a_text_that_ntfy_would_make_a_file_of_is_cut(serve: Serve) -> None:
    """Where quiet hours have held back dozens; letters stay whole."""
    server = await serve("http")
    news = tuple(AlarmNews("raised", "high_voltage", "alarm", 0.0, message("said", text="é" * 100)) for _ in range(50))
    told = Notification("1", AT, news)
    await in_own_thread(
        ntfy(server.port).send, Letter(told, Wording("fr", "x" * 64)(told, AT), AT), Deadline(60.0, SystemClock().awake)
    )
    text = json.loads(server.asked[0].body)["message"]
    assert 3000 < len(text.encode()) <= 3500
    assert text.endswith("…")


@pytest.mark.parametrize("make", [webhook, ntfy])
async def test_the_connection_is_encrypted_and_the_server_known(
    serve: Serve, authority: str, make: Callable[..., NotifyWay]
) -> None:
    """By an authority of one's own; a stranger is told nothing at all."""
    server = await serve("http", tls=True)
    await send(make(server.port, "https", server_certificate=authority))
    assert len(server.asked) == 1
    found = await failure(make(server.port, "https"))
    assert found.why.code == "notify.certificate_unknown"
    assert not found.refused
    assert len(server.asked) == 1


async def test_a_certificate_for_another_name_is_refused(
    serve: Serve, authority: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has one may still be somebody else; the name is not shown, since it may be part of the secret."""
    server = await serve("http", tls=True)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", server.port))])
    found = await failure(webhook(server.port, "https", host=f"{KEY}.example.org", server_certificate=authority))
    assert found.why.code == "notify.certificate_name"


async def test_an_authority_that_cannot_be_read_is_told(serve: Serve) -> None:
    """It has the lines of a certificate and rubbish between them."""
    server = await serve("http", tls=True)
    rubbish = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----"
    found = await failure(webhook(server.port, "https", server_certificate=rubbish))
    assert found.why.code == "notify.bad_certificate_key"


async def test_a_port_that_does_not_encrypt_is_told(serve: Serve) -> None:
    """What answers is no encryption."""
    server = await serve("mail")
    assert (await failure(webhook(server.port, "https"))).why.code == "notify.no_tls"


@pytest.mark.parametrize(
    ("code", "reason", "refused"),
    [
        (301, "notify.http_elsewhere", True),
        (307, "notify.http_elsewhere", True),
        (401, "notify.http_forbidden", True),
        (403, "notify.http_forbidden", True),
        (404, "notify.http_refused", True),
        (413, "notify.http_refused", True),
        (408, "notify.http_status", False),
        (429, "notify.http_status", False),
        (500, "notify.http_status", False),
        (503, "notify.http_status", False),
    ],
)
async def test_what_a_server_answers_decides_whether_it_is_tried_again(
    serve: Serve, answer: Callable[..., bytes], code: int, reason: str, refused: bool
) -> None:
    """What would be answered again and again is not asked again and again."""
    server = await serve("http", answers=[answer(code)])
    found = await failure(webhook(server.port))
    assert (found.why.code, found.refused) == (reason, refused)
    assert found.why.parameters["status"] == code


async def test_another_address_is_not_followed(serve: Serve, answer: Callable[..., bytes]) -> None:
    """Neither the token nor the key goes to whoever is named there, nor is the name shown."""
    other = await serve("http")
    server = await serve("http", answers=[answer(301, f"Location: http://127.0.0.1:{other.port}/{KEY}")])
    assert (await failure(webhook(server.port))).refused
    assert (other.connections, len(server.asked)) == (0, 1)


@pytest.mark.parametrize(
    ("header", "wait_s"), [("120", 120.0), ("99999999", 0.0), ("tomorrow", 0.0), ("-5", 0.0), ("²", 0.0)]
)
async def test_a_server_may_ask_to_wait(serve: Serve, answer: Callable[..., bytes], header: str, wait_s: float) -> None:
    """In whole seconds; what else it says is not heard."""
    server = await serve("http", answers=[answer(429, f"Retry-After: {header}")])
    assert (await failure(webhook(server.port))).wait_s == wait_s


@pytest.mark.parametrize("behaviour", ["hang", "slow"])
async def test_a_server_that_comes_to_no_end_is_left_in_time(serve: Serve, behaviour: str) -> None:
    """Whether it says nothing or a byte now and then: one deadline counts for all of it."""
    server = await serve("http", answers=[behaviour])
    found = await failure(webhook(server.port), limit_s=0.5)
    assert (found.why.code, found.refused) == ("notify.no_answer", False)


async def test_a_server_that_never_ends_its_handshake_is_left_in_time(serve: Serve, authority: str) -> None:
    """It takes the connection and says nothing: the encryption has the same deadline."""
    server = await serve("mail", behaviour="hang")
    found = await failure(webhook(server.port, "https", server_certificate=authority), limit_s=0.5)
    assert found.why.code == "notify.no_answer"


async def test_nobody_there_is_told() -> None:
    """A port where nobody listens."""
    assert (await failure(webhook(free_port()))).why.code == "notify.connection_refused"


async def test_answers_are_bounded(serve: Serve) -> None:
    """Headers without an end are not read to an end; of the body nothing is read."""
    server = await serve("http", answers=["huge headers"])
    assert (await failure(webhook(server.port))).why.code in ("notify.too_much", "notify.not_http")
    server = await serve("http", answers=["huge body"])
    await send(webhook(server.port))


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (["close"], "notify.connection_ended"),
        ([b"220 mail.example.org ESMTP\r\n"], "notify.not_http"),
        ([b"HTTP/1.1 abc\r\n\r\n"], "notify.not_http"),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"], "notify.not_http"),
    ],
)
async def test_what_is_no_answer_is_told(serve: Serve, answers: list[Any], reason: str) -> None:
    """Somebody else listens there."""
    server = await serve("http", answers=answers)
    assert (await failure(webhook(server.port))).why.code == reason


async def test_a_name_that_nobody_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network, or with a slip of the pen."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-3, f"Temporary failure in name resolution of {KEY}")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    found = await failure(webhook(80, host="hooks.example.org"))
    assert (found.why.code, found.refused) == ("notify.no_name", False)


async def test_a_dead_address_leaves_time_for_the_next(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with IPv6 that goes nowhere: the name has another address."""
    server = await serve("http")
    found = [(2, 1, 6, "", ("127.0.0.1", port)) for port in (free_port(), server.port)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    await send(webhook(server.port))
    assert len(server.asked) == 1


async def test_a_host_that_no_name_can_be_is_not_tried_for_ever() -> None:
    """The library fails on it in its own way; its words, which repeat the name, are not told."""
    found = await failure(webhook(80, host=f"{KEY}..example.org"))
    assert (found.why.code, found.refused) == ("notify.unexpected", True)


def test_what_may_be_shown_of_an_address_holds_no_secret() -> None:
    """Of a webhook nothing, of ntfy the server."""
    assert webhook(1).where == "webhook"
    assert ntfy(1).where == "ntfy (127.0.0.1)"
