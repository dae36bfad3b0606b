"""A site with a credential of its own that sends what no bridge would; and what the nodes themselves must refuse."""

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from rigs.fleet.cluster import Cluster, addresses
from rigs.fleet.mqtt import Connection, Login, RefusedError, connect

__all__ = ["BOOT", "SITE", "publish"]

SITE = "hostile"
BOOT = "f" * 16
OWN = f"fleet/{SITE}/tinybms"
PERIOD_S = 0.2
LARGE = 60_000


def messages() -> Iterator[tuple[str, bytes]]:
    """Yield topics with payloads, without end; each kind is one that the consumer has a reason for."""
    seq = 0
    while True:
        at = datetime.now(UTC).isoformat()
        for changes in (
            {"voltage": "51.2"},
            {"voltage": 1e300, "soc_percent": 50},
            {"at": "1970-01-01T00:00:01Z"},
            {"at": "2099-01-01T00:00:00Z"},
            {"at": 5},
            {"boot": "../../etc"},
            {"seq": "1"},
            {f"name {seq}": 1, f"value_{seq}": 1},
        ):
            seq += 1
            yield f"{OWN}/battery/state", json.dumps({"boot": BOOT, "seq": seq, "at": at} | changes).encode()
        yield f"{OWN}/battery/state", b"\xff\xfe{garbage"
        yield f"{OWN}/battery/state", b"[" * LARGE
        yield f"{OWN}/no/such thing", b"{}"
        yield "fleet/site-0000/tinybms/battery/state", json.dumps({"boot": BOOT, "seq": seq, "at": at}).encode()
        yield "$MQTT/msgs/fleet/site-0000/tinybms/battery/state", b"{}"


async def publish(cluster: Cluster, seconds: float) -> list[str]:
    """Send it for a while, and try a wrong password; return what is to be told."""
    user, password = cluster.passwords[SITE]
    acknowledged: list[int] = []
    lost = asyncio.Event()
    sent = connections = refused = 0
    end_s = time.monotonic() + seconds
    stream, connection = messages(), None
    while time.monotonic() < end_s:
        try:
            if connection is None or lost.is_set():
                lost.clear()
                connection = await _connected(cluster, user, password, acknowledged, lost, connections)
                connections += 1
            topic, payload = next(stream)
            connection.publish(topic, payload, 1 + sent % 65_535, retain=False)
            sent += 1
        except OSError:
            pass
        await asyncio.sleep(PERIOD_S)
    if connection is not None:
        connection.disconnect()
    for number in range(len(cluster.nodes)):
        try:
            await _connected(cluster, user, "wrong", acknowledged, lost, number)
        except RefusedError as error:
            refused = error.code
        except OSError:
            continue
    words = (
        f"a hostile site: {sent} sent over {connections} connections, {len(acknowledged)} acknowledged; "
        f"with a wrong password refused with code {refused}"
    )
    return [words]


async def _connected(
    cluster: Cluster, user: str, password: str, acknowledged: list[int], lost: asyncio.Event, number: int
) -> Connection:
    login = Login(SITE, user, password, f"{OWN}/status", b"gone")
    address = addresses(cluster, number)[0]
    async with asyncio.timeout(5.0):
        return await connect(address, login, acknowledged.append, lost.set, cluster.client_tls)
