"""A few whole bridges beside the simulated ones: a simulated TinyBMS, core and services each, with the MQTT service."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path

from benchmarks.parts import program, simulator

from rigs.fleet.cluster import Cluster, addresses

__all__ = ["NAMES", "gaps", "running", "told"]

NAMES = ("whole-bridge-a", "whole-bridge-b", "whole-bridge-c")
FIRST_DATA_S = 60.0
LOOK_S = 0.5


def configuration(cluster: Cluster, number: int, device: str, folder: Path) -> dict[str, object]:
    """Return what one is configured with: examples/fleet/bridge.json with addresses and credential of the rig."""
    name = NAMES[number]
    user, password = cluster.passwords[name]
    scheme = "mqtts" if cluster.tls else "mqtt"
    uris = [f"{scheme}://{host}:{port}" for host, port in addresses(cluster, number)]
    return {
        "hardware": {
            "uart": {"device": device},
            "can": {"interface": "udp_multicast", "channel": f"239.74.163.{number + 71}"},
        },
        "web_server": {"enabled": False},
        "advanced": {"state_directory": str(folder / "state")},
        "mqtt": {
            "enabled": True,
            "uri": uris[0],
            "further_uris": uris[1:],
            "client_id": name,
            "username": user,
            "password": password,
            "root_topic": f"fleet/{name}/tinybms",
            "default_qos": 1,
            "server_certificate": cluster.authority.read_text(encoding="utf-8") if cluster.authority else "",
        },
    }


@asynccontextmanager
async def running(cluster: Cluster, count: int) -> AsyncIterator[None]:
    """Run so many, and begin once the nodes have heard each."""
    async with AsyncExitStack() as stack:
        for number in range(count):
            folder = cluster.folder / NAMES[number]
            folder.mkdir()
            device = await stack.enter_async_context(simulator(folder))
            path = folder / "config.json"
            content = configuration(cluster, number, device, folder)
            await asyncio.to_thread(path.write_text, json.dumps(content), "utf-8")
            await stack.enter_async_context(program(folder, "run", "--plain", "-c", str(path)))
        async with asyncio.timeout(FIRST_DATA_S):
            while not set(NAMES[:count]) <= cluster.written().keys():  # noqa: ASYNC110  # other processes
                await asyncio.sleep(LOOK_S)
        yield


def gaps(times_ms: Sequence[int]) -> float:
    """Return the longest time without a sample, in seconds."""
    return max((b - a for a, b in pairwise(sorted(times_ms))), default=0) / 1000.0


def told(written: Mapping[str, Mapping[int, float]], count: int) -> list[str]:
    """Return what became of each."""
    return [
        f"{name}, the product itself: {len(written.get(name, {}))} states in the database, longest time without one "
        f"{gaps([*written.get(name, {})]):.1f} s"
        for name in NAMES[:count]
    ]
