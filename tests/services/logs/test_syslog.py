import logging
import os
import re
import socket
from collections.abc import Callable, Iterator

import pytest

from tinybms_bridge.hal.logs import LogLine
from tinybms_bridge.services.logs.syslog import open_syslog, server_address
from tinybms_lab.testing.log_lines import log_line

Send = Callable[..., None]


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A syslog server on this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(30.0)
        yield listener


@pytest.fixture
def send(server: socket.socket) -> Iterator[Send]:
    """Return what sends lines to the server, as from a machine of a name."""
    opened: list[logging.Handler] = []

    def send(*lines: LogLine, name: str = "boat") -> None:
        opened.append(open_syslog(f"127.0.0.1:{server.getsockname()[1]}", hostname=lambda: name))
        for line in lines:
            opened[-1].handle(line.record())

    yield send
    for handler in opened:
        handler.close()


@pytest.mark.parametrize(
    ("level", "priority"), [("DEBUG", 31), ("INFO", 30), ("WARNING", 28), ("ERROR", 27), ("CRITICAL", 26)]
)
def test_datagram_is_that_of_rfc_5424(server: socket.socket, send: Send, level: str, priority: int) -> None:
    """Priority of a daemon, version, time, host, program, process, logger, no structured data, text."""
    send(log_line("16 cells at 3.4 V", level=level, number=1))
    assert server.recv(4096).decode() == (
        f"<{priority}>1 2026-01-01T00:00:01.000000Z boat tinybms-bridge {os.getpid()} tinybms_bridge.x - "
        "16 cells at 3.4 V"
    )


def test_every_line_is_a_datagram(server: socket.socket, send: Send) -> None:
    """In order, also several at once."""
    send(log_line("one"), log_line("two"))
    assert [server.recv(4096).decode().rsplit(" ", 1)[1] for _ in range(2)] == ["one", "two"]


def test_datagram_is_bounded_and_in_one_line(server: socket.socket, send: Send) -> None:
    """Every receiver takes 2048 bytes; a traceback becomes one line."""
    send(log_line("failed\nTraceback " + "x" * 3000))
    data = server.recv(4096)
    assert len(data) == 2048
    assert b"failed | Traceback xxx" in data


@pytest.mark.parametrize(("name", "shown"), [("", "-"), ("my boat", "myboat"), ("schön", "schn")])
def test_host_name_is_printable(server: socket.socket, send: Send, name: str, shown: str) -> None:
    """A name with a space would shift every field."""
    send(log_line(), name=name)
    assert re.match(rf"<30>1 \S+ {re.escape(shown)} tinybms-bridge ", server.recv(4096).decode())


@pytest.mark.parametrize(
    ("text", "address"), [("log.local", ("log.local", 514)), ("10.0.0.1:1514", ("10.0.0.1", 1514))]
)
def test_port_may_be_given(text: str, address: tuple[str, int]) -> None:
    """The usual port, or another."""
    assert server_address(text) == address


@pytest.mark.parametrize("text", ["", ":514", "host:0", "host:65536"])
def test_address_that_cannot_be_is_refused(text: str) -> None:
    """With the form that is expected."""
    with pytest.raises(ValueError, match="is no syslog server; use HOST or HOST:PORT"):
        server_address(text)


def test_name_is_looked_up_once(server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with each line; a name that is not known is an error for the output, which tries again later."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def ask(host: str, *arguments: int) -> object:
        asked.append(host)
        if len(asked) == 1:
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return real("127.0.0.1", *arguments[:1], *arguments[1:]) if host == "log.local" else real(host, *arguments)

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    name = f"log.local:{server.getsockname()[1]}"
    with pytest.raises(OSError, match="Temporary failure"):
        open_syslog(name)
    handler = open_syslog(name)
    for text in ("one", "two"):
        handler.handle(log_line(text).record())
    handler.close()
    assert asked.count("log.local") == 2
    assert server.recv(4096).endswith(b" one")
