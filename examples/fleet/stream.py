"""The stream that holds what bridges publish, its durable consumer, and taking messages from it.

A node acknowledges an MQTT message of QoS 1 when the stream ``$MQTT_msgs`` has it on two nodes of three, and that
stream alone: a stream of one's own on ``fleet.>`` hears the same message without anybody waiting for it, and misses
all that comes while it has no leader. By default ``$MQTT_msgs`` keeps only what somebody still wants; here it keeps
everything for some days, which is the only change made to it.
"""

import argparse
import asyncio
import contextlib
import json
import ssl
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

__all__ = [
    "CONSUMER",
    "STREAM",
    "Entry",
    "Nodes",
    "Pull",
    "connect",
    "consumer_settings",
    "main",
    "parser",
    "stream_settings",
]

STREAM = "$MQTT_msgs"
SUBJECTS = "$MQTT.msgs."
"""Before the subject of a message: the topic with dots for its slashes."""
FILTER = f"{SUBJECTS}fleet.>"
CONSUMER = "fleet"
NODES = 3

DAY_NS = 86_400 * 10**9
ACK_WAIT_S = 30
"""Longer than a batch takes to settle; what a consumer had in hand when it died comes again after it."""
PENDING = 200_000
"""Messages on their way to the database: twenty thousand a second while it catches up, at ten seconds each."""
BATCH = 5_000
"""Messages of one write: some 100 000 samples, 8 MB."""
FETCH_S = 1.0
GRACE_S = 3.0
"""A node that has not even said that there is nothing is one that was lost."""
PAUSE_S = 0.25
NOTHING_MORE = ("404", "408")
"""How a node ends a request for which there were no messages, or fewer than wanted."""
HEARTBEAT_S = 5
REQUEST_S = 5.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One message as the stream has it."""

    subject: str
    """That of the bridge: ``fleet.hill-farm.tinybms.battery.state``."""
    payload: bytes
    number: int
    arrived_ms: int
    waiting: int
    """How many are behind it."""
    reply: str
    """Where it is acknowledged."""


class Nodes(Protocol):
    """A connection to the nodes, as far as it is used of nats-py, which has no types to rely on."""

    async def request(self, subject: str, payload: bytes = b"", timeout: float = 0.5) -> Any:  # noqa: ANN401, ASYNC109
        """Return the answer to a request."""

    async def publish(self, subject: str, payload: bytes = b"", reply: str = "") -> None:
        """Publish."""

    async def subscribe(self, subject: str, *, cb: Callable[[Any], Awaitable[None]]) -> object:
        """Have each message of a subject handed over."""

    def new_inbox(self) -> str:
        """Return a subject that nobody else has."""

    def jetstream(self) -> Any:  # noqa: ANN401
        """Return its own view of JetStream."""

    async def close(self) -> None:
        """End it."""


def stream_settings(days: float, size_gb: float, *, compress: bool, replicas: int = NODES) -> dict[str, Any]:
    """Return what the stream is to be, as the API of JetStream has it."""
    return {
        "name": STREAM,
        "subjects": [f"{SUBJECTS}>"],
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "num_replicas": replicas,
        "max_age": int(days * DAY_NS),
        "max_bytes": int(size_gb * 1e9),
        "compression": "s2" if compress else "none",
        "allow_msg_ttl": True,
        "description": "What bridges publish at QoS 1; retention set by tinybms-bridge, examples/fleet",
    }


def consumer_settings() -> dict[str, Any]:
    """Return what the durable consumer is to be."""
    return {
        "durable_name": CONSUMER,
        "filter_subject": FILTER,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": ACK_WAIT_S * 10**9,
        "max_deliver": -1,
        "max_ack_pending": PENDING,
    }


async def request(connection: Nodes, subject: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what the API of JetStream answers.

    Raises:
        RuntimeError: It says no.
    """
    payload = b"" if body is None else json.dumps(body).encode()
    answer: dict[str, Any] = json.loads((await connection.request(f"$JS.API.{subject}", payload, REQUEST_S)).data)
    if "error" in answer:
        error = answer["error"]
        raise RuntimeError(f"{subject}: {error.get('description', error)} ({error.get('err_code', '')})")
    return answer


async def prepare(connection: Nodes, settings: dict[str, Any], *, again: bool = False) -> str:
    """Make the stream and its consumer, or bring them to what is wanted; return what was done, in words.

    Args:
        connection: That of a user who may do so.
        settings: What the stream is to be.
        again: Have all that is in the stream delivered once more.
    """
    try:
        present = (await request(connection, f"STREAM.INFO.{STREAM}"))["config"]
    except RuntimeError:
        await request(connection, f"STREAM.CREATE.{STREAM}", settings)
        done = "made"
    else:
        changed = [key for key, value in settings.items() if present.get(key) != value]
        done = f"changed: {', '.join(changed)}" if changed else "as it should be"
        if changed:
            await request(connection, f"STREAM.UPDATE.{STREAM}", present | settings)
    for name in await _mqtt_streams(connection):
        config = (await request(connection, f"STREAM.INFO.{name}"))["config"]
        if config["num_replicas"] < settings["num_replicas"]:
            await request(connection, f"STREAM.UPDATE.{name}", config | {"num_replicas": settings["num_replicas"]})
            done += f"; {name} has {settings['num_replicas']} replicas now"
    if again:
        await request(connection, f"CONSUMER.DELETE.{STREAM}.{CONSUMER}")
        done += "; everything in it is delivered again"
    wanted = {"stream_name": STREAM, "config": consumer_settings()}
    await request(connection, f"CONSUMER.DURABLE.CREATE.{STREAM}.{CONSUMER}", wanted)
    return done


async def _mqtt_streams(connection: Nodes) -> list[str]:
    """Return the other streams of MQTT, of sessions and retained messages: without them nobody can connect."""
    names = (await request(connection, "STREAM.NAMES", {})).get("streams") or []
    return [name for name in names if name.startswith("$MQTT_") and name != STREAM]


async def replicas(connection: Nodes) -> int | None:
    """Return how many nodes have all of the stream; None while none tells."""
    try:
        cluster = (await request(connection, f"STREAM.INFO.{STREAM}")).get("cluster") or {}
    except (RuntimeError, OSError, _errors()):
        return None
    others = cluster.get("replicas") or []
    whole = [each for each in others if each.get("current") and not each.get("offline")]
    return int(bool(cluster.get("leader"))) + len(whole)


class Pull:
    """Takes messages of the durable consumer, a batch at a time; whatever happens to nodes is nothing taken."""

    def __init__(self, connection: Nodes, batch: int = BATCH) -> None:
        self._connection = connection
        self._batch = batch
        self._inbox = ""
        self._taken: list[Entry] = []
        self._ended = asyncio.Event()
        self._wanted = 0
        self._refusal = ""

    async def fetch(self) -> list[Entry]:
        """Return what came within a second, or sooner a full batch.

        Raises:
            ConnectionError: There is no node at present that answers for the consumer; the next call asks again.
        """
        begun_s = asyncio.get_running_loop().time()
        self._ended.clear()
        self._refusal = ""
        self._wanted = self._batch
        trouble = ""
        try:
            async with asyncio.timeout(FETCH_S + GRACE_S):
                await self._ask()
                await self._ended.wait()
        except TimeoutError:
            trouble = "no node answers for the consumer"
        except _errors() as error:
            trouble = str(error) or type(error).__name__
        taken, self._taken = self._taken, []
        if not taken:
            early_s = FETCH_S - (asyncio.get_running_loop().time() - begun_s)
            await asyncio.sleep(min(max(0.0, early_s), PAUSE_S))  # a refusal comes at once
            if trouble or self._refusal:
                raise ConnectionError(trouble or self._refusal)
        return taken

    async def _ask(self) -> None:
        if not self._inbox:
            inbox = self._connection.new_inbox()
            await self._connection.subscribe(inbox, cb=self._on_message)
            self._inbox = inbox
        wish = {"batch": self._batch, "expires": int(FETCH_S * 1e9)}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{CONSUMER}"
        await self._connection.publish(subject, json.dumps(wish).encode(), reply=self._inbox)

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        """Say that these are done with; where that gets lost they come again."""
        await self._answer(entries, b"+ACK")

    async def give_back(self, entries: Sequence[Entry]) -> None:
        """Have these delivered again at once."""
        await self._answer(entries, b"-NAK")

    async def _answer(self, entries: Sequence[Entry], word: bytes) -> None:
        with contextlib.suppress(_errors()):
            for entry in entries:
                await self._connection.publish(entry.reply, word)

    async def _on_message(self, message: Any) -> None:  # noqa: ANN401
        if not message.reply.startswith("$JS.ACK."):
            headers = message.headers or {}
            if headers.get("Status") not in NOTHING_MORE:
                description = (headers.get("Description") or "").partition("\n")[0].strip()
                self._refusal = f"{headers.get('Status')} {description or 'nobody leads it at present'}"
            self._ended.set()
            return
        about = message.metadata
        self._taken.append(
            Entry(
                subject=message.subject.removeprefix(SUBJECTS),
                payload=message.data,
                number=about.sequence.stream,
                arrived_ms=round(about.timestamp.timestamp() * 1000.0),
                waiting=about.num_pending,
                reply=message.reply,
            )
        )
        self._wanted -= 1
        if not self._wanted:
            self._ended.set()


async def connect(
    servers: Sequence[str], user: str, password: str, authority: Path | None, say: Callable[[str], object] = print
) -> Nodes:
    """Return a connection to whichever node is there, kept up for ever; what happens to it is said.

    Raises:
        OSError: No node is there, or none takes the credential.
    """
    import nats

    async def on_error(error: Exception) -> None:
        say(f"nodes: {str(error) or type(error).__name__}")

    async def on_back() -> None:
        say(f"nodes: connected again, to {connection.connected_url.netloc}")

    async def on_lost() -> None:
        say("nodes: connection lost")

    options: dict[str, Any] = {"tls": ssl.create_default_context(cafile=str(authority))} if authority else {}
    if user:
        options |= {"user": user, "password": password, "inbox_prefix": f"_INBOX_{user}"}
    try:
        connection: Any = await nats.connect(
            [*servers],
            name=f"tinybms fleet {user}",
            error_cb=on_error,
            reconnected_cb=on_back,
            disconnected_cb=on_lost,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.5,
            ping_interval=HEARTBEAT_S,
            connect_timeout=5,
            allow_reconnect=True,
            **options,
        )
    except _errors() as error:
        raise OSError(f"{', '.join(servers)}: {str(error) or type(error).__name__}") from None
    made: Nodes = connection
    return made


def _errors() -> type[Exception]:
    """Return what the client of NATS raises for a node that is away, slow or of another opinion."""
    from nats.errors import Error

    found: type[Exception] = Error
    return found


def add_servers(parser: argparse.ArgumentParser, user: str) -> None:
    """Add how to reach the nodes."""
    parser.add_argument("--servers", default="nats://127.0.0.1:4222", help="the nodes, with commas between them")
    parser.add_argument("--user", default=user, help=f"user at the nodes ({user})")
    parser.add_argument("--password-file", type=Path, help="file with its password, for nobody else to read")
    parser.add_argument("--authority", type=Path, help="certificate authority of the nodes (PEM): connect with TLS")


def password_of(path: Path | None) -> str:
    """Return the password in a file, empty for none."""
    return "" if path is None else path.read_text(encoding="utf-8").strip()


async def _prepare(options: argparse.Namespace) -> str:
    password = password_of(options.password_file)
    servers = options.servers.split(",")
    connection = await connect(servers, options.user if password else "", password, options.authority)
    try:
        settings = stream_settings(options.days, options.size_gb, compress=not options.plain, replicas=options.replicas)
        return await prepare(connection, settings, again=options.again)
    finally:
        await connection.close()


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    made = argparse.ArgumentParser(
        prog="python -m fleet.stream",
        description="Make the stream and its durable consumer, or change them to what is given; may be repeated.",
    )
    add_servers(made, "admin")
    made.add_argument("--days", type=float, default=7.0, help="how long the stream keeps a message (7)")
    made.add_argument("--size-gb", type=float, default=50.0, help="largest size on each node, the oldest goes (50)")
    made.add_argument("--replicas", type=int, default=NODES, help="nodes that have each message (3)")
    made.add_argument("--again", action="store_true", help="deliver all of it again, for a database that is empty")
    made.add_argument("--plain", action="store_true", help="do not compress: less CPU, three times the disk")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the stream and its consumer; return 1 where that cannot be done."""
    options = parser().parse_args(arguments)
    try:
        done = asyncio.run(_prepare(options))
    except (OSError, RuntimeError, TimeoutError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{STREAM}: {done}; consumer {CONSUMER} takes {FILTER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
