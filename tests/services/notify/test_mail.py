"""E-mail against a real mail server on this machine, which refuses, hangs, comes to no end or tells secrets back."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest

from tinybms_bridge.config.models.base import Secret
from tinybms_bridge.config.models.notifications import Email
from tinybms_bridge.hal.blocking import in_own_thread
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.services.notify.failures import DeliveryError, delivery_error
from tinybms_bridge.services.notify.mail import EmailWay, mail_of
from tinybms_bridge.services.notify.messages import AlarmNews, Notification, WordedNotification, Wording
from tinybms_bridge.services.notify.sockets import Deadline
from tinybms_bridge.services.notify.ways import Letter
from tinybms_bridge.words import Message
from tinybms_lab.testing.running_bridge import free_port

AT = datetime(2026, 1, 1, 14, 5, 30, tzinfo=UTC)
USER, PASSWORD = "boat", "hush hush"

Serve = Callable[..., Any]


def letter(site: str = "Hütte ☀", id_: str = "4711", level: Any = "alarm") -> Letter:
    """Return a message as it is sent."""
    told = Notification(id_, AT, (AlarmNews("raised", "low_temperature_charge", level),))
    return Letter(told, Wording("fr", site)(told, AT), AT)


def settings(port: int, **keys: Any) -> Email:
    """Return how a server of the test is reached."""
    usual: dict[str, Any] = {
        "security": "none",
        "sender": "boat@example.org",
        "recipients": ["me@example.org", "you@example.com"],
    }
    return Email(enabled=True, server="127.0.0.1", port=port, **{**usual, **keys})


def with_login(port: int, password: str = PASSWORD, **keys: Any) -> Email:
    """Return the same with user name and password."""
    return settings(port, username=USER, password=Secret(password), **keys)


async def send(way: EmailWay, sent: Letter, limit_s: float = 60.0) -> Message | None:
    """Send in a thread as the program does; raise what the program makes of a failure."""
    try:
        return await in_own_thread(way.send, sent, Deadline(limit_s, SystemClock().awake))
    except Exception as error:  # noqa: BLE001 -- as in ``Delivery``
        raise delivery_error(error, limit_s) from None


async def failure(chosen: Email, limit_s: float = 60.0) -> DeliveryError:
    """Return why a message could not be sent."""
    with pytest.raises(DeliveryError) as caught:
        await send(EmailWay(chosen), letter(), limit_s)
    assert PASSWORD not in str(caught.value)
    return caught.value


async def test_a_mail_is_as_a_mail_program_wants_it(serve: Serve) -> None:
    """Everybody in one mail, in UTF-8, with who, when, an own number, and no answer of an absence note."""
    server = await serve("mail", auth="")
    assert await send(EmailWay(settings(server.port)), letter()) is None
    ((sender, recipients, _),) = server.mails
    assert (sender, recipients) == ("boat@example.org", ["me@example.org", "you@example.com"])
    mail: EmailMessage = server.mail()
    assert mail["Subject"] == "Hütte ☀ : Température basse en charge : alarme"
    assert mail["From"] == "Hütte ☀ <boat@example.org>"
    assert mail["To"] == "me@example.org, you@example.com"
    assert mail["Date"].datetime == AT
    assert mail["Message-ID"] == "<4711@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Importance"] == "high"
    assert mail.get_content_type() == "text/plain"
    text = mail.get_content()
    assert text.splitlines() == list(letter().words.lines)
    assert "La batterie est trop froide pour être chargée" in text
    assert server.commands[0].upper() == "EHLO [127.0.0.1]"
    assert server.commands[-1].upper() == "QUIT"
    assert all(line.isascii() for line in server.commands)


async def test_a_mail_without_a_sender_comes_from_the_first_recipient(serve: Serve) -> None:
    """Most mail servers take nothing else from somebody who has logged in."""
    server = await serve("mail", auth="")
    await send(EmailWay(settings(server.port, sender="")), letter(site="", level="warning"))
    mail: EmailMessage = server.mail()
    assert (mail["From"], mail["Importance"]) == ("me@example.org", None)


def test_no_name_can_add_a_header() -> None:
    """Neither through the name of the site nor through a text."""
    told = letter()
    evil = Letter(
        told.told,
        Wording("en", "Boat\r\nBcc: spy@example.org\r\n\r\nHello")(told.told, AT),
        AT,
    )
    mail = mail_of(
        Letter(evil.told, WordedNotification(evil.words.title, evil.words.lines, {"site": "Boat Bcc: x"}), AT),
        settings(25),
    )
    assert mail["Bcc"] is None
    assert mail["Subject"].startswith("Boat Bcc: spy@example.org Hello: ")
    assert len(mail.as_bytes().split(b"\n\n", 1)[0].splitlines()) < 15


@pytest.mark.parametrize(("security", "tls"), [("starttls", False), ("tls", True)])
@pytest.mark.parametrize("methods", ["PLAIN LOGIN", "LOGIN", "XOAUTH2 PLAIN"])
async def test_login_and_mail_go_encrypted(
    serve: Serve, authority: str, security: str, tls: bool, methods: str
) -> None:
    """By either kind of encryption and either kind of login; nothing is told before."""
    server = await serve("mail", tls=tls, auth=methods)
    await send(EmailWay(with_login(server.port, security=security, server_certificate=authority)), letter())
    assert server.encrypted == [True, True]
    assert len(server.mails) == 1


async def test_a_login_may_have_any_letters(serve: Serve, authority: str) -> None:
    """In UTF-8, as RFC 4616 has it."""
    server = await serve("mail", login=("böot", "größe ☀"))
    chosen = settings(
        server.port, security="starttls", server_certificate=authority, username="böot", password=Secret("größe ☀")
    )
    await send(EmailWay(chosen), letter())
    assert len(server.mails) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_server_that_nobody_trusts_is_told_nothing(serve: Serve, security: str) -> None:
    """Whoever stands in between gets neither password nor mail; it is tried again, as the clock may be wrong only."""
    server = await serve("mail", tls=security == "tls")
    found = await failure(with_login(server.port, security=security))
    assert (found.why.code, found.refused) == ("notify.certificate_unknown", False)
    assert (server.mails, server.encrypted) == ([], [])


async def test_a_server_without_encryption_is_told_nothing(serve: Serve) -> None:
    """Somebody in between may have taken the offer out."""
    server = await serve("mail", starttls=False)
    found = await failure(with_login(server.port, security="starttls"))
    assert (found.why.code, found.refused) == ("notify.mail_no_starttls", False)
    assert [each.split()[0].upper() for each in server.commands] == ["EHLO"]


async def test_the_other_kind_of_encryption_is_told(serve: Serve, authority: str) -> None:
    """The usual mistake: port and kind do not belong together."""
    server = await serve("mail")
    assert (await failure(with_login(server.port, security="tls"))).why.code == "notify.no_tls"
    server = await serve("mail", tls=True)
    found = await failure(with_login(server.port, security="starttls", server_certificate=authority), limit_s=2.0)
    assert found.why.code in ("notify.no_answer", "notify.connection_ended")


async def test_a_wrong_password_is_tried_once_and_never_shown(serve: Serve) -> None:
    """The server repeats what it was told; a try with each method would lock the account."""
    server = await serve("mail")
    found = await failure(with_login(server.port, password="wrong " + PASSWORD))
    assert (found.why.code, found.refused) == ("notify.mail_login", True)
    assert found.why.text == "the mail server does not accept user name and password (535 5.7.8)"
    assert sum(line.startswith("AUTH") for line in server.commands) == 1


async def test_a_login_that_nobody_offers_is_told(serve: Serve) -> None:
    """Often it is offered only once the connection is encrypted."""
    server = await serve("mail", auth="")
    found = await failure(with_login(server.port))
    assert (found.why.code, found.refused) == ("notify.mail_no_login", False)
    server = await serve("mail", auth="GSSAPI NTLM")
    assert (await failure(with_login(server.port))).why.code == "notify.mail_no_login"


@pytest.mark.parametrize(
    ("answers", "reason", "refused"),
    [
        ({"CONNECT": ["554 go away"]}, "notify.mail_refused", True),
        ({"CONNECT": ["421 too many of you"]}, "notify.mail_refused", False),
        ({"MAIL": ["550 5.7.1 who are you"]}, "notify.mail_sender", True),
        ({"MAIL": ["451 4.3.0 later"]}, "notify.mail_sender", False),
        ({"RCPT": ["550 5.1.1 nobody of this name"]}, "notify.mail_recipients", True),
        ({"RCPT": ["450 4.2.0 grey"]}, "notify.mail_later", False),
        ({"DATA": ["554 5.6.0 no"]}, "notify.mail_refused", True),
        ({"END": ["552 5.3.4 too large"]}, "notify.mail_refused", True),
        ({"END": ["452 4.3.1 disk full"]}, "notify.mail_refused", False),
        ({"CONNECT": ["HTTP/1.1 400 Bad Request"]}, "notify.not_smtp", False),
    ],
)
async def test_5yz_is_never_and_4yz_later(
    serve: Serve, answers: dict[str, list[str]], reason: str, refused: bool
) -> None:
    """RFC 5321, section 4.2.1; of the words of the server only the codes are shown."""
    server = await serve("mail", auth="", answers=answers)
    found = await failure(settings(server.port))
    assert (found.why.code, found.refused) == (reason, refused)
    assert "nobody" not in found.why.text
    assert server.mails == []


async def test_greylisting_is_waited_for_and_nobody_gets_it_twice(serve: Serve) -> None:
    """Who has the mail already is left out while it is tried again for the others; the next mail is for all again."""
    server = await serve("mail", auth="", answers={"RCPT you@example.com": ["450 4.2.0 grey", "250 ok"]})
    way = EmailWay(settings(server.port))
    with pytest.raises(DeliveryError, match="accepts 1 recipient later only"):
        await send(way, letter())
    assert await send(way, letter()) is None
    assert await send(way, letter(id_="4712")) is None
    assert [mail[1] for mail in server.mails] == [
        ["me@example.org"],
        ["you@example.com"],
        ["me@example.org", "you@example.com"],
    ]


async def test_a_recipient_that_is_refused_keeps_nobody_else_from_it(serve: Serve) -> None:
    """It is told, and not tried again."""
    server = await serve("mail", auth="", answers={"RCPT you@example.com": ["550 5.1.1 nobody"]})
    remark = await send(EmailWay(settings(server.port)), letter())
    assert remark is not None
    assert remark.text == "the mail server does not accept 1 recipient (550)"
    assert [mail[1] for mail in server.mails] == [["me@example.org"]]


@pytest.mark.parametrize("behaviour", ["hang", "slow"])
@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
async def test_a_server_that_comes_to_no_end_is_left_in_time(serve: Serve, behaviour: str, security: str) -> None:
    """Whether it accepts and hangs or greets byte by byte: one deadline counts for all of it."""
    server = await serve("mail", behaviour=behaviour)
    found = await failure(settings(server.port, security=security), limit_s=0.5)
    assert found.why.code in ("notify.no_answer", "notify.no_tls")
    assert found.why.code == "notify.no_answer" or (behaviour, security) == ("slow", "tls")


async def test_an_answer_without_an_end_is_bounded(serve: Serve) -> None:
    """It may not fill the memory."""
    server = await serve("mail", behaviour="endless")
    assert (await failure(settings(server.port))).why.code == "notify.too_much"


async def test_a_server_that_goes_away_is_told(serve: Serve) -> None:
    """In the middle of a conversation, or before it."""
    server = await serve("mail", behaviour="close")
    assert (await failure(settings(server.port))).why.code == "notify.connection_ended"
    assert (await failure(settings(free_port()))).why.code == "notify.connection_refused"


def test_what_may_be_shown_is_the_server() -> None:
    """Neither user nor recipients."""
    assert EmailWay(with_login(25)).where == "e-mail (127.0.0.1)"
