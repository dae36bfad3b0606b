"""Why the fleet has no stream of its own: ``python -m rigs.fleet.own_stream``, a minute, with a loss that is expected.

A stream on ``fleet.>`` is made beside that of MQTT, with three replicas as well, and led by another node. That node is
killed while twenty bridges publish ten times a second. What bridges were told to be stored is looked for in both.
"""

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from examples.fleet import stream
from rigs.fleet.bridge import Bridge, Site
from rigs.fleet.cluster import Cluster, addresses, until

NAME, SUBJECTS = "OWN", "fleet.>"
BRIDGES, PERIOD_S, SECONDS = 20, 0.1, 14.0
PATIENCE_S = 60.0
ATTEMPTS = 30


async def prepare(cluster: Cluster) -> str:
    """Make the stream, have another node lead it, and return which."""
    settings = {"name": NAME, "subjects": [SUBJECTS], "storage": "file", "num_replicas": 3}
    connection = await cluster.connection("admin")
    try:
        await stream.request(connection, f"STREAM.CREATE.{NAME}", settings)
        for _ in range(ATTEMPTS):
            leader, other = await cluster.leader(NAME), await cluster.leader()
            if leader and other and leader != other:
                return leader
            await stream.request(connection, f"STREAM.LEADER.STEPDOWN.{NAME}")
            await asyncio.sleep(2.0)
    finally:
        await connection.close()
    sys.exit("error: both streams are led by one node, whatever is asked for")


async def publish(cluster: Cluster, victim: str) -> set[tuple[str, int]]:
    """Publish, kill in the middle, and return what was acknowledged."""
    bridges = []
    for number, (name, (user, password)) in enumerate(cluster.passwords.items()):
        site = Site(name, user, password, addresses(cluster, number))
        randomness = random.Random(number)  # noqa: S311
        bridges.append(Bridge(site, number, f"fleet/{name}/tinybms", 2.0, randomness, PERIOD_S))
    living = [asyncio.create_task(bridge.stay_connected()) for bridge in bridges]
    await until("all bridges are connected", lambda: all(bridge.connected for bridge in bridges))
    end_s = time.monotonic() + SECONDS
    measuring = [asyncio.create_task(bridge.measure(end_s)) for bridge in bridges]
    await asyncio.sleep(SECONDS / 2.0)
    cluster.programs[victim].kill()
    await asyncio.gather(*measuring)
    await asyncio.gather(*(bridge.close(PATIENCE_S) for bridge in bridges))
    for task in living:
        task.cancel()
    return {(bridge.boot, entry.seq) for bridge in bridges for entry in bridge.ledger if entry.acknowledged_s}


async def run(folder: Path) -> None:
    """Do all of it and tell."""
    cluster = Cluster(folder)
    cluster.lay_out([f"site-{number}" for number in range(BRIDGES)])
    try:
        await cluster.start()
        victim = await prepare(cluster)
        acknowledged = await publish(cluster, victim)
        own, mqtt = set(await cluster.stored(NAME, SUBJECTS)), set(await cluster.stored())
    finally:
        for program in reversed(cluster.programs.values()):
            program.end()
    print(
        f"node {victim} killed, which led the stream on {SUBJECTS} and not {stream.STREAM}: "
        f"{len(acknowledged)} messages acknowledged, of which the former does not have {len(acknowledged - own)} "
        f"and the latter {len(acknowledged - mqtt)}"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="rig-fleet-") as name:
        asyncio.run(run(Path(name)))
