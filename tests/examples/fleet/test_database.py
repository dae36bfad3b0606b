"""VictoriaMetrics as the consumer sees it, against a real socket: accepted, refused, away, or replaced meanwhile."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from examples.fleet.database import AwayError, Database, RefusedError

from tinybms_lab.testing.running_bridge import free_port


class Server:
    """Answers every import with what it is told to."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.logins: list[str | None] = []
        self.status = 204
        self.closes = False
        self.connections = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                outer.connections += 1
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.logins.append(self.headers["Authorization"])
                if outer.status == 0:
                    self.close_connection = True
                    return
                if outer.status < 300:
                    outer.bodies.append(body)
                text = b"" if outer.status == 204 else b"no such thing"
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(text)))
                if outer.closes:
                    self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(name="server")
def fixture_server() -> Iterator[Server]:
    """Run it."""
    server = Server()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(name="database")
def fixture_database(server: Server) -> Iterator[Database]:
    """Return the database behind it."""
    made = Database(server.url, "writer", "secret")
    try:
        yield made
    finally:
        made.close()


async def test_lines_are_written_over_one_connection(server: Server, database: Database) -> None:
    """As the text that it imports, with the login; nothing is sent for nothing."""
    await database.write(["a 1 5", "b 2 5"])
    await database.write([])
    await database.write(["c 3 6"])

    assert server.bodies == ["a 1 5\nb 2 5\n", "c 3 6\n"]
    assert server.connections == 1
    assert server.logins[0] == "Basic d3JpdGVyOnNlY3JldA=="


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_is_said_of_the_samples_is_a_refusal(server: Server, database: Database, status: int) -> None:
    """The same would be said again."""
    server.status = status
    with pytest.raises(RefusedError, match=f"{status} no such thing"):
        await database.write(["a 1"])


@pytest.mark.parametrize("status", [0, 301, 401, 403, 404, 408, 429, 500, 503])
async def test_everything_else_is_no_fault_of_the_samples(server: Server, database: Database, status: int) -> None:
    """A login that has changed, or a disk that is full there, must cost no message."""
    server.status = status
    with pytest.raises(AwayError):
        await database.write(["a 1"])

    server.status = 204
    await database.write(["a 1"])
    assert server.bodies == ["a 1\n"]


async def test_a_connection_that_broke_between_two_writes_is_noticed(server: Server, database: Database) -> None:
    """It may be another process that answers now, without the last seconds; a new connection alone would not tell."""
    await database.write(["a 1"])
    server.status = 0
    with pytest.raises(AwayError):
        await database.write(["b 1"])
    server.status = 204
    await database.write(["b 1"])

    assert server.bodies == ["a 1\n", "b 1\n"]
    assert server.connections == 2


async def test_a_connection_that_is_closed_in_good_order_is_replaced_at_once(
    server: Server, database: Database
) -> None:
    """VictoriaMetrics does so every two minutes; a restart between two writes would not be seen otherwise."""
    server.closes = True
    await database.write(["a 1"])
    async with asyncio.timeout(10.0):
        while server.connections < 2:
            await asyncio.sleep(0.01)

    await database.write(["b 1"])

    assert server.bodies == ["a 1\n", "b 1\n"]


async def test_nobody_there_is_away() -> None:
    """No exception of a library gets out."""
    with pytest.raises(AwayError):
        await Database(f"http://127.0.0.1:{free_port()}").write(["a 1"])


async def test_it_is_back_when_it_takes_a_sample(
    server: Server, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that answers and refuses everything is not back; each failure is told, and the pauses grow to their bound."""
    pauses: list[float] = []
    failures: list[str] = []
    server.status = 400

    async def sleep(pause_s: float) -> None:
        pauses.append(pause_s)
        server.status = 204 if len(pauses) == 9 else 400 if len(pauses) % 2 else 503

    monkeypatch.setattr("examples.fleet.database.asyncio.sleep", sleep)
    await database.until_back(lambda error: failures.append(str(error)), jitter=lambda: 0.5)

    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert len(failures) == 9
    assert server.bodies == ["tinybms_fleet_probe 1\n"]


@pytest.mark.parametrize("url", ["", "127.0.0.1:8428", "ftp://host", "http://", "http://host?x=1"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    """At the start, and not with the first message."""
    with pytest.raises(ValueError, match="no address of a database"):
        Database(url)
