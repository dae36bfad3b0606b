"""Servers of HTTP and SMTP on this machine that do what they are told: answer, refuse, hang, or answer byte by byte."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.services.web.tls import ensure_self_signed

SLOW_S = 0.02
"""Between two bytes of a server that never comes to an end: no time-out of a single wait would ever end that."""

END_S = 30.0


@dataclass
class Served:
    """A server that runs, with what it was sent."""

    context: ssl.SSLContext | None = None
    port: int = 0
    connections: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self, *, tls: bool = False) -> None:
        """Listen on a free port of this machine."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.context if tls else None)
        self.port = self._server.sockets[0].getsockname()[1]

    async def end(self) -> None:
        """Listen no more, and let every connection go."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        raise NotImplementedError

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await self.talk(reader, writer)
        except asyncio.CancelledError:
            pass  # the end of the test
        finally:
            writer.close()
            with suppress(OSError, TimeoutError):  # an encrypted connection ends in several steps
                async with asyncio.timeout(END_S):
                    await writer.wait_closed()
            self._tasks.discard(task)

    @staticmethod
    async def slowly(writer: asyncio.StreamWriter, data: bytes) -> None:
        """Write some bytes one by one, again and again."""
        while True:
            for byte in data:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(SLOW_S)


@dataclass
class Asked:
    """A request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpServer(Served):
    """A server of HTTP."""

    answers: list[bytes | str] = field(default_factory=list)
    """One for each request, the last for all others: what is sent, or ``hang``, ``slow``, ``huge`` or ``close``."""
    asked: list[Asked] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """See ``Served.talk``."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.asked.append(Asked(head[0], headers, body))
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1] if self.answers else status(200)
        match answer:
            case bytes():
                writer.write(answer)
                await writer.drain()
            case "hang":
                await asyncio.Event().wait()
            case "slow":
                await self.slowly(writer, b"HTTP/1.1 200 OK\r\nX-" + b"x" * 1000)
            case "huge headers":
                writer.write(b"HTTP/1.1 200 OK\r\n")
                while True:
                    writer.write(b"X-Much: " + b"x" * 60_000 + b"\r\n")
                    await writer.drain()
            case "huge body":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
                while True:
                    writer.write(b"x" * 60_000)
                    await writer.drain()
            case _:
                assert answer == "close"


def status(code: int, *headers: str) -> bytes:
    """Return an answer of a server of HTTP."""
    lines = [f"HTTP/1.1 {code} Whatever", "Content-Length: 0", *headers, "", ""]
    return "\r\n".join(lines).encode()


@dataclass
class MailServer(Served):
    """A mail server."""

    starttls: bool = True
    auth: str = "PLAIN LOGIN"
    login: tuple[str, str] = ("boat", "hush hush")
    answers: dict[str, list[str]] = field(default_factory=dict)
    """In place of the usual ones, by the first word of a command: one for each time, the last for all others."""
    behaviour: str = ""
    """``hang`` and ``slow`` before the greeting, ``endless`` in the answer to EHLO, ``close`` after it."""
    mails: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    """Sender, recipients and text of each mail that was taken."""
    commands: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    """Of each login and each mail, whether it came encrypted."""

    def mail(self, number: int = -1) -> EmailMessage:
        """Return a mail as a mail program reads it."""
        return message_from_bytes(self.mails[number][2], policy=policy.default)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """See ``Served.talk``."""
        if self.behaviour == "hang":
            await asyncio.Event().wait()
        if self.behaviour == "slow":
            await self.slowly(writer, b"220-" + b"x" * 70 + b"\r\n")
        await self._say(writer, *self._answer("CONNECT", "220 mail.example.org ESMTP"))
        envelope: list[str] = []
        verb = ""
        while verb != "QUIT" and not (verb == "EHLO" and self.behaviour == "close"):
            line = (await reader.readuntil(b"\r\n")).decode().rstrip("\r\n")
            self.commands.append(line)
            verb, _, rest = line.partition(" ")
            verb = verb.upper()
            if verb == "MAIL":
                envelope.clear()
            if verb in ("MAIL", "RCPT", "DATA"):
                await self._take(verb, rest, envelope, reader, writer)
            else:
                await self._greet(verb, rest, reader, writer)

    async def _greet(self, verb: str, rest: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes before a mail and after it."""
        match verb:
            case "EHLO":
                await self._hello(writer, _is_encrypted(writer))
            case "STARTTLS":
                await self._say(writer, *self._answer("STARTTLS", "220 go"))
                assert self.context is not None
                await writer.start_tls(self.context)
            case "AUTH":
                self.encrypted.append(_is_encrypted(writer))
                await self._log_in(rest, reader, writer)
            case _:
                await self._say(writer, "221 bye" if verb == "QUIT" else "250 ok")

    async def _take(
        self,
        verb: str,
        rest: str,
        envelope: list[str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Take a mail, whose sender and recipients are the envelope."""
        who = rest.partition("<")[2].partition(">")[0]
        if verb != "DATA":
            (answer,) = self._answer(f"{verb} {who}", "250 ok")
            if answer.startswith("250"):
                envelope.append(who)
            await self._say(writer, answer)
            return
        await self._say(writer, *self._answer("DATA", "354 go"))
        data = await reader.readuntil(b"\r\n.\r\n")
        answers = self._answer("END", "250 2.0.0 taken")
        if answers[0].startswith("250"):
            self.mails.append((envelope[0], envelope[1:], data[:-3].replace(b"\r\n..", b"\r\n.")))
            self.encrypted.append(_is_encrypted(writer))
        await self._say(writer, *answers)

    async def _hello(self, writer: asyncio.StreamWriter, encrypted: bool) -> None:
        features = ["mail.example.org", "8BITMIME"]
        if self.starttls and not encrypted:
            features.append("STARTTLS")
        if self.auth:
            features.append(f"AUTH {self.auth}")
        while self.behaviour == "endless":
            await self._say(writer, *[f"250-{'x' * 500}"] * 50)
        await self._say(writer, *(f"250{'-' if each != features[-1] else ' '}{each}" for each in features))

    async def _log_in(self, rest: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, _, first = rest.partition(" ")
        if method == "PLAIN":
            given = tuple(base64.b64decode(first).decode().split("\0")[1:])
        else:
            await self._say(writer, f"334 {base64.b64encode(b'Password:').decode()}")
            second = (await reader.readuntil(b"\r\n")).strip()
            given = base64.b64decode(first).decode(), base64.b64decode(second).decode()
        good = given == self.login
        # a server that repeats what it was told: nobody may show that
        refusal = f"535 5.7.8 {' '.join(given)} {rest} is not accepted"
        await self._say(writer, *self._answer("AUTH", "235 2.7.0 welcome" if good else refusal))

    def _answer(self, word: str, usual: str) -> list[str]:
        chosen = self.answers.get(word) or self.answers.get(word.partition(" ")[0])
        if not chosen:
            return [usual]
        return [chosen.pop(0) if len(chosen) > 1 else chosen[0]]

    @staticmethod
    async def _say(writer: asyncio.StreamWriter, *lines: str) -> None:
        writer.write("".join(f"{line}\r\n" for line in lines).encode())
        await writer.drain()


def _is_encrypted(writer: asyncio.StreamWriter) -> bool:
    return writer.get_extra_info("ssl_object") is not None


@pytest.fixture(scope="session")
def own_certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate and key of a server on 127.0.0.1 that signs for itself."""
    return ensure_self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def server_context(own_certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """What a server encrypts with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*own_certificate)
    return context


@pytest.fixture(scope="session")
def authority(own_certificate: tuple[Path, Path]) -> str:
    """Whom to trust to trust that server."""
    return own_certificate[0].read_text()


Serve = Callable[..., Any]


@pytest.fixture
async def serve(server_context: ssl.SSLContext) -> AsyncIterator[Serve]:
    """Return what starts a server, ``http`` or ``mail``; each ends with the test."""
    begun: list[Served] = []

    async def start(kind: str, *, tls: bool = False, answers: Iterable[Any] | dict[str, Any] = (), **keys: Any) -> Any:
        if kind == "http":
            made: Served = HttpServer(server_context, answers=list(answers), **keys)
        else:
            made = MailServer(server_context, answers=dict(answers), **keys)
        await made.start(tls=tls)
        begun.append(made)
        return made

    yield start
    for each in begun:
        await each.end()


@pytest.fixture
def answer() -> Callable[..., bytes]:
    """Return what makes an answer of a server of HTTP: a status, and headers."""
    return status
