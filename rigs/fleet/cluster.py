"""Three nodes, the database and the consumer as docs/fleet.md has them, in a folder and on free ports of loopback."""

import asyncio
import io
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from examples.fleet import nodes as node_files
from examples.fleet import sites as credentials
from examples.fleet import stream
from rigs.fleet import mqtt
from rigs.fleet.processes import LOOPBACK, Program, fetched, found
from tinybms_lab.testing.running_bridge import free_port

__all__ = ["Cluster", "until"]

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("a", "b", "c")
LOOK_S = 0.1
PATIENCE_S = 60.0
DATABASE_WORDS = ("-retentionPeriod=2", "-search.latencyOffset=0s", "-dedup.minScrapeInterval=1ms", "-loggerLevel=WARN")


async def until(what: str, true: Callable[[], bool], patience_s: float = PATIENCE_S) -> float:
    """Wait for something; return after how many seconds it was there. Ends the rig where it never is."""
    begun_s = time.monotonic()
    while not true():
        if time.monotonic() - begun_s > patience_s:
            sys.exit(f"error: not within {patience_s:.0f} s: {what}")
        await asyncio.sleep(LOOK_S)
    return time.monotonic() - begun_s


@dataclass(slots=True)
class Cluster:
    """Everything beside the bridges."""

    folder: Path
    tls: bool = False
    compress: bool = True
    nodes: list[node_files.Node] = field(init=False)
    programs: dict[str, Program] = field(default_factory=dict)
    passwords: dict[str, tuple[str, str]] = field(default_factory=dict)
    """User and password by site."""
    database: str = ""
    metrics: str = ""

    def __post_init__(self) -> None:
        ports = [free_port() for _ in range(4 * len(NAMES) + 2)]
        self.nodes = [
            node_files.Node(name, LOOPBACK, *ports[4 * index : 4 * index + 4]) for index, name in enumerate(NAMES)
        ]
        self.database, self.metrics = f"http://{LOOPBACK}:{ports[-2]}", f"{LOOPBACK}:{ports[-1]}"

    @property
    def authority(self) -> Path | None:
        """What certificates are checked with."""
        return self.folder / "tls/ca.pem" if self.tls else None

    @property
    def servers(self) -> list[str]:
        """Where the nodes are for their own clients."""
        return [f"{'tls' if self.tls else 'nats'}://{LOOPBACK}:{node.client}" for node in self.nodes]

    def lay_out(self, sites: Iterable[str]) -> None:
        """Write the configuration of the nodes and make the credentials, by the commands of the documentation."""
        if self.tls:
            make_certificates(self.folder / "tls")
        secret = node_files.secret_in(self.folder)
        for node in self.nodes:
            text = node_files.rendered(
                node, self.nodes, folder=str(self.folder), secret=secret, size="8GB", listen=LOOPBACK,
                tls=str(self.folder / "tls") if self.tls else "",
            )  # fmt: skip
            credentials.save(self.folder / f"{node.name}.conf", text)
        users = dict(line.split() for line in self.sites_command("init"))
        for name, password in users.items():
            credentials.save(self.folder / f"{name}.password", password)
        added = [line.split() for line in self.sites_command("add", *sites)]
        self.passwords = {user.partition(".")[0]: (user, password) for user, password in added}
        self._plan_programs()

    def sites_command(self, *words: str) -> list[str]:
        """Carry out `python -m fleet.sites`, and return what it prints."""
        said = io.StringIO()
        with redirect_stdout(said):
            status = credentials.main(["--folder", str(self.folder), *words])
        if status:
            sys.exit(f"error: fleet.sites {' '.join(words)} has failed")
        return said.getvalue().splitlines()

    def _plan_programs(self) -> None:
        server = found("nats-server", "scripts/bootstrap.sh fleet")
        for node in self.nodes:
            words = [server, "-c", str(self.folder / f"{node.name}.conf")]
            self.programs[node.name] = Program(f"node {node.name}", words, self.folder / f"{node.name}.out")
        words = [
            found("victoria-metrics", "apt install victoria-metrics"),
            f"-storageDataPath={self.folder / 'victoria'}",
            f"-httpListenAddr={self.database.removeprefix('http://')}",
            *DATABASE_WORDS,
        ]
        self.programs["database"] = Program("VictoriaMetrics", words, self.folder / "victoria.out")
        words = [
            *(sys.executable, "-m", "examples.fleet.consumer", "--servers", ",".join(self.servers)),
            *("--password-file", str(self.folder / "fleet.password"), "--sites", str(self.folder / "sites.json")),
            *("--state", str(self.folder / "window.db"), "--database", self.database, "--metrics", self.metrics),
            *(("--authority", str(self.authority)) if self.tls else ()),
        ]
        environment = {"PYTHONPATH": str(ROOT)}
        self.programs["consumer"] = Program("consumer", words, self.folder / "consumer.out", environment)

    async def start(self) -> None:
        """Start nodes, stream, database and consumer, and wait until each is well."""
        for node in self.nodes:
            self.programs[node.name].start()
        for node in self.nodes:
            await until(f"node {node.name} is well", lambda node=node: self.node_is_well(node))  # type: ignore[misc]
        settings = stream.stream_settings(7.0, 8.0, compress=self.compress)
        connection = await self.connection("admin")
        try:
            for _ in range(100):
                try:
                    print(f"stream {stream.STREAM}: {await stream.prepare(connection, settings)}", flush=True)
                    break
                except (RuntimeError, TimeoutError) as error:  # the nodes have just begun to elect their leader
                    last = error
                    await asyncio.sleep(LOOK_S)
            else:
                sys.exit(f"error: no stream: {last}")
        finally:
            await connection.close()
        await self._warm_up()
        self.programs["database"].start()
        await until("the database is well", lambda: self.answers(f"{self.database}/health"))
        self.programs["consumer"].start()
        await until("the consumer is well", lambda: self.answers(f"http://{self.metrics}/metrics"))

    async def _warm_up(self) -> None:
        """Connect to each node once: the first bridge ever has the streams of MQTT made, which takes seconds."""
        site, (user, password) = next(iter(self.passwords.items()))
        login = mqtt.Login(site, user, password, f"fleet/{site}/tinybms/status", b"{}")
        for node in self.nodes:
            for _ in range(20):
                try:
                    async with asyncio.timeout(15.0):
                        made = await mqtt.connect(
                            (LOOPBACK, node.mqtt), login, lambda _: None, lambda: None, self.client_tls
                        )
                except OSError:
                    await asyncio.sleep(LOOK_S)
                else:
                    made.disconnect()
                    break
            else:
                sys.exit(f"error: node {node.name} takes no bridge")

    @property
    def client_tls(self) -> ssl.SSLContext | None:
        """How bridges encrypt."""
        return ssl.create_default_context(cafile=str(self.authority)) if self.authority else None

    def node_is_well(self, node: node_files.Node) -> bool:
        """Return whether a node says that it has all that it should have."""
        return self.answers(f"http://{LOOPBACK}:{node.monitor}/healthz")

    @staticmethod
    def answers(url: str) -> bool:
        """Return whether a server is there and says that it is well."""
        try:
            fetched(url, 2.0)
        except OSError:
            return False
        return True

    async def connection(self, user: str) -> stream.Nodes:
        """Return a connection to the nodes."""
        password = stream.password_of(self.folder / f"{user}.password")
        return await stream.connect(self.servers, user, password, self.authority, lambda _: None)

    async def leader(self, name: str = stream.STREAM) -> str:
        """Return the node that leads a stream; empty while none does."""
        connection = await self.connection("admin")
        try:
            return str((await stream.request(connection, f"STREAM.INFO.{name}"))["cluster"].get("leader", ""))
        finally:
            await connection.close()

    async def deliver_again(self) -> None:
        """Have everything in the stream delivered once more."""
        connection = await self.connection("admin")
        try:
            settings = stream.stream_settings(7.0, 8.0, compress=self.compress)
            print(f"stream {stream.STREAM}: {await stream.prepare(connection, settings, again=True)}", flush=True)
        finally:
            await connection.close()

    async def waiting(self) -> int:
        """Return how many messages of the stream the consumer has not acknowledged."""
        connection = await self.connection("admin")
        try:
            about = await stream.request(connection, f"CONSUMER.INFO.{stream.STREAM}.{stream.CONSUMER}")
            return int(about["num_pending"]) + int(about["num_ack_pending"])
        finally:
            await connection.close()

    async def entry_bytes(self) -> float:
        """Return the mean size of an entry of the stream."""
        connection = await self.connection("admin")
        try:
            state = (await stream.request(connection, f"STREAM.INFO.{stream.STREAM}"))["state"]
            return int(state["bytes"]) / max(1, int(state["messages"]))
        finally:
            await connection.close()

    async def stored(self, name: str = stream.STREAM, subjects: str = stream.FILTER) -> dict[tuple[str, int], int]:
        """Return how often each message is in a stream, by boot id and sequence number."""
        connection = await self.connection("admin")
        found_there: dict[tuple[str, int], int] = {}
        try:
            info = await stream.request(connection, f"STREAM.INFO.{name}")
            last, seen = info["state"]["last_seq"], 0
            subscription = await connection.jetstream().subscribe(subjects, stream=name, ordered_consumer=True)
            while seen < last:
                message = await subscription.next_msg(timeout=PATIENCE_S)
                seen = message.metadata.sequence.stream
                key = _key_of(message.data)
                if key is not None:
                    found_there[key] = found_there.get(key, 0) + 1
        finally:
            await connection.close()
        return found_there

    def written(self) -> dict[str, dict[int, float]]:
        """Return the voltages in the database, by site and time."""
        fetched(f"{self.database}/internal/force_flush")
        values: dict[str, dict[int, float]] = {}
        for line in fetched(f"{self.database}/api/v1/export?match[]=tinybms_battery_voltage").splitlines():
            series = json.loads(line)
            values.setdefault(series["metric"]["site"], {}).update(
                zip(series["timestamps"], series["values"], strict=True)
            )
        return values

    def consumer_counts(self) -> dict[str, float]:
        """Return what the consumer counts."""
        page = fetched(f"http://{self.metrics}/metrics").decode()
        return {
            name.removeprefix("tinybms_fleet_"): float(value)
            for name, _, value in (line.rpartition(" ") for line in page.splitlines() if not line.startswith("#"))
        }


def _key_of(payload: bytes) -> tuple[str, int] | None:
    try:
        content: Mapping[str, Any] = json.loads(payload)
        return str(content["boot"]), int(content["seq"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def make_certificates(folder: Path) -> None:
    """Make an authority and a certificate for each node, good on loopback for a day."""
    folder.mkdir()
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"),
        *("-subj", "/CN=fleet rig", "-keyout", folder / "ca.key", "-out", folder / "ca.pem"),
    )
    extensions = folder / "extensions"
    extensions.write_text(f"subjectAltName=IP:{LOOPBACK}\nextendedKeyUsage=serverAuth,clientAuth\n")
    for name in NAMES:
        request = folder / f"{name}.csr"
        _openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", folder / f"{name}.key", "-out", request),
        )
        _openssl(
            *("x509", "-req", "-in", request, "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-days", "1"),
            *("-CAcreateserial", "-extfile", extensions, "-out", folder / f"{name}.pem"),
        )


def _openssl(*words: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, words)], check=False, capture_output=True, text=True)  # noqa: S603, S607
    if done.returncode:
        sys.exit(f"error: openssl {words[0]}: {done.stderr}")


def addresses(cluster: Cluster, number: int) -> Sequence[tuple[str, int]]:
    """Return the brokers in the order of one bridge: each of three begins with another one."""
    ordered = [cluster.nodes[(number + step) % len(cluster.nodes)] for step in range(len(cluster.nodes))]
    return [(LOOPBACK, node.mqtt) for node in ordered]
