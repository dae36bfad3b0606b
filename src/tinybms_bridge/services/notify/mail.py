"""E-mail through a mail server (SMTP), encrypted before anything is told unless the configuration says otherwise."""

import base64
import re
import smtplib
import socket
from collections.abc import Mapping
from contextlib import suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY

from tinybms_bridge.config.models.notifications import Email
from tinybms_bridge.services.notify.failures import DeliveryError
from tinybms_bridge.services.notify.sockets import Deadline, open_socket
from tinybms_bridge.services.notify.ways import Letter, certificate_context
from tinybms_bridge.words import Message, message

__all__ = ["EmailWay", "mail_of"]

_PORTS: Mapping[str, int] = {"starttls": 587, "tls": 465, "none": 25}
_LIMIT_S = 60.0
"""For everything: servers that keep spammers waiting answer after half a minute."""
_ENHANCED = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}(?= |$)")
"""A code of RFC 3463 at the beginning of an answer; of the rest nothing is shown."""


class EmailWay:
    """One e-mail to all recipients."""

    name = "email"
    limit_s = _LIMIT_S

    def __init__(self, settings: Email) -> None:
        self._settings = settings
        self.where = f"e-mail ({settings.server})"
        self._left: tuple[str, tuple[str, ...]] = "", ()
        """Of the message that was tried last: who has yet to get it, where others have."""

    def send(self, letter: Letter, deadline: Deadline) -> Message | None:
        """See ``NotifyWay.send``; who has a message already does not get it again while it is tried for the others."""
        settings = self._settings
        begun, left = self._left
        recipients = left if begun == letter.told.id else tuple(settings.recipients)
        client = _Client(settings, deadline)
        try:
            client.begin()
            mail = mail_of(letter, settings).as_bytes(policy=SMTP_POLICY)
            refused = client.sendmail(_sender(settings), recipients, mail)
            with suppress(OSError, smtplib.SMTPException):
                client.quit()
        except smtplib.SMTPRecipientsRefused as error:
            refused = error.recipients
        except smtplib.SMTPException as error:
            if isinstance(error.__context__, OSError):  # of a time-out the library says that nobody is connected
                raise error.__context__ from None
            raise _failure(error) from None
        finally:
            client.close()
        return self._judge(letter.told.id, recipients, {who: answer[0] for who, answer in refused.items()})

    def _judge(self, told: str, recipients: tuple[str, ...], refused: Mapping[str, int]) -> Message | None:
        later = tuple(who for who, code in refused.items() if code < 500)
        if later:
            self._left = told, later
            raise DeliveryError(message("notify.mail_later", code=refused[later[0]], count=len(later)))
        self._left = "", ()
        if not refused:
            return None
        why = message("notify.mail_recipients", code=next(iter(refused.values())), count=len(refused))
        if len(refused) == len(recipients):
            raise DeliveryError(why, refused=True)
        return why


class _Client(smtplib.SMTP):
    """``smtplib`` on sockets with a deadline; asks for no name of this machine, which may block for long."""

    def __init__(self, settings: Email, deadline: Deadline) -> None:
        super().__init__(local_hostname="localhost")
        self._settings = settings
        self._deadline = deadline
        self._host = settings.server  # the name that the certificate has to have

    def begin(self) -> None:
        """Connect, encrypt and log in. Blocks. Raises SMTPException, OSError or DeliveryError."""
        settings = self._settings
        code, answer = self.connect(settings.server, settings.port or _PORTS[settings.security])
        if code != 220:
            raise smtplib.SMTPConnectError(code, answer)
        self.local_hostname = _literal(self.sock)
        self.ehlo_or_helo_if_needed()
        if settings.security == "starttls":
            if not self.has_extn("starttls"):
                raise DeliveryError(message("notify.mail_no_starttls"))
            self.starttls(context=certificate_context(settings.server_certificate, self._deadline))
            self.ehlo_or_helo_if_needed()
        if settings.username:
            self._log_in(settings.username, settings.password.value)

    def _get_socket(self, host: str, port: int, _timeout: float) -> socket.socket:
        """Take the place of what ``smtplib`` connects with."""
        found = open_socket(host, port, self._deadline)
        if self._settings.security != "tls":
            return found
        return certificate_context(self._settings.server_certificate, self._deadline).wrap_socket(
            found, server_hostname=host
        )

    def _log_in(self, user: str, password: str) -> None:
        """Log in once, in UTF-8: ``login`` of the library takes ASCII, and tries a wrong password by every method."""
        methods = self.esmtp_features.get("auth", "").upper().split()
        if "PLAIN" in methods:
            both = f"\x00{user}\x00{password}"
            code, answer = self.docmd("AUTH", f"PLAIN {_base64(both)}")
        elif "LOGIN" in methods:
            code, answer = self.docmd("AUTH", f"LOGIN {_base64(user)}")
            if code == 334:
                code, answer = self.docmd(_base64(password))
        else:
            raise DeliveryError(message("notify.mail_no_login"))
        if code not in (235, 503):  # 503: logged in already
            raise smtplib.SMTPAuthenticationError(code, answer)


def mail_of(letter: Letter, settings: Email) -> EmailMessage:
    """Return the e-mail; a line break in a name is no line break here."""
    told, words = letter.told, letter.words
    sender = _address(_sender(settings), str(words.document["site"]))
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = [_address(each) for each in settings.recipients]
    mail["Subject"] = words.title
    mail["Date"] = letter.at
    mail["Message-ID"] = f"<{told.id}@{sender.domain}>"  # the same when it is sent a second time
    mail["Auto-Submitted"] = "auto-generated"  # keeps absence notes from being answered
    if told.level == "alarm":
        mail["Importance"] = "high"
    mail.set_content(f"{words.body}\n", cte="quoted-printable")
    return mail


def _sender(settings: Email) -> str:
    return settings.sender or settings.recipients[0]


def _address(text: str, name: str = "") -> Address:
    user, _, domain = text.rpartition("@")
    return Address(name, user, domain)


def _literal(connection: socket.socket | None) -> str:
    """Return who we are to a mail server: our address, as RFC 5321, section 4.1.3 has it."""
    address = "127.0.0.1"
    if connection is not None:
        with suppress(OSError):
            address = str(connection.getsockname()[0]).partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _failure(error: smtplib.SMTPException) -> DeliveryError:
    """Return what a server means that refuses: 5yz never, 4yz later (RFC 5321, section 4.2.1)."""
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return DeliveryError(message("notify.connection_ended"))
    if not isinstance(error, smtplib.SMTPResponseException):
        return DeliveryError(message("notify.not_smtp"))
    code, found = error.smtp_code, _ENHANCED.match(_bytes(error.smtp_error))
    if not 400 <= code < 600:
        return DeliveryError(message("notify.not_smtp"))
    enhanced = found[0].decode() if found else ""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return DeliveryError(message("notify.mail_login", code=code, enhanced=enhanced), refused=code >= 500)
    if isinstance(error, smtplib.SMTPSenderRefused):
        return DeliveryError(message("notify.mail_sender", code=code, enhanced=enhanced), refused=code >= 500)
    return DeliveryError(message("notify.mail_refused", code=code, enhanced=enhanced), refused=code >= 500)


def _bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
