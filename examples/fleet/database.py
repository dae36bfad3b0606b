"""VictoriaMetrics as the consumer needs it: samples are accepted or not, and whether it was away meanwhile is known.

It answers before a sample is on its disk: one that is killed loses what it took in the last seconds. That is why a
connection is kept open between two writes. As long as it holds, the process that took the samples lives; when it
breaks, `AwayError` tells the consumer to write again what it wrote a short while ago.
"""

import asyncio
import http.client
import random
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

__all__ = ["PROBE", "AwayError", "Database", "RefusedError"]

IMPORT = "/api/v1/import/prometheus"
PROBE = "tinybms_fleet_probe 1"
"""A sample of our own that nothing can be wrong with."""
ANSWER_S = 30.0
"""A merge or a slow disk may hold it up; what takes longer is tried again."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
OWN_FAULT = (400, 413, 422)
"""What says something of the samples. A login that is not taken, or a path that is not there, is none of it."""


class AwayError(OSError):
    """The database cannot be reached, or has been replaced by another process since the last write."""


class RefusedError(ValueError):
    """The database answers that what it was given is wrong; it would say so again."""


class Database:
    """One VictoriaMetrics, written to by one request at a time."""

    def __init__(self, url: str, user: str = "", password: str = "") -> None:
        """Take an address such as ``http://127.0.0.1:8428``; user and password where a vmauth is before it.

        Raises:
            ValueError: It is no address.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise ValueError(f"{url!r} is no address of a database, expected http://HOST:PORT")
        self._make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path.rstrip("/")
        self._headers = {"Content-Type": "text/plain"} | _basic(user, password)
        self._connection: http.client.HTTPConnection | None = None

    async def write(self, lines: Sequence[str]) -> None:
        """Have samples accepted.

        Raises:
            AwayError: They may be lost, and so may be what was accepted shortly before.
            RefusedError: It does not want them.
        """
        if lines:
            await asyncio.to_thread(self._post, "\n".join([*lines, ""]).encode())

    async def until_back(
        self, on_failure: Callable[[AwayError], None], jitter: Callable[[], float] = random.random
    ) -> None:
        """Return when it takes a sample, with pauses that grow; `on_failure` gets each failure."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self.write([PROBE])
            except AwayError as error:
                on_failure(error)
            except RefusedError as error:
                on_failure(AwayError(str(error)))
            else:
                return
            await asyncio.sleep(pause_s * (0.75 + jitter() / 2.0))
            pause_s = min(2.0 * pause_s, LONGEST_PAUSE_S)

    def close(self) -> None:
        """Give the connection up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, body: bytes) -> None:
        try:
            connection = self._connection or self._connected()
            connection.request("POST", self._path + IMPORT, body, self._headers)
            answer = connection.getresponse()
            text = answer.read(500)
            answer.read()
            if answer.will_close:  # in good order, as it does every two minutes: at once a new one, to miss no restart
                self.close()
                self._connected()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise AwayError(str(error) or type(error).__name__) from None
        words = f"{answer.status} {text.decode(errors='replace').strip()}"
        if answer.status in OWN_FAULT:
            raise RefusedError(words)
        if answer.status >= 300:
            raise AwayError(words)

    def _connected(self) -> http.client.HTTPConnection:
        connection = self._make(self._host, self._port, timeout=ANSWER_S)
        connection.connect()
        connection.auto_open = 0  # a connection that was closed is an error here, never a new one
        self._connection = connection
        return connection


def _basic(user: str, password: str) -> dict[str, str]:
    if not user:
        return {}
    from base64 import b64encode

    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}
