"""A process full of simulated bridges: ``python -m rigs.fleet.load SPEC LEDGER``.

It connects them, says ``connected`` with their number, waits for a line, lets them measure, waits until everything is
acknowledged, and writes what every one of them has sent and what was acknowledged.
"""

import asyncio
import json
import random
import ssl
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rigs.fleet.bridge import Bridge, Site

__all__ = ["ledger_of", "main"]

AT_ONCE = 50
"""Bridges that begin to connect in a second: a fleet does not come out of nothing."""
LOOK_S = 0.1


def ledger_of(bridge: Bridge) -> dict[str, Any]:
    """Return what a bridge knows of its messages, those apart that were wills."""
    return {
        "site": bridge.site.name,
        "boot": bridge.boot,
        "connections": bridge.connections,
        "refused": bridge.refused,
        "entries": [
            {
                "seq": entry.seq,
                "topic": entry.topic,
                "at_ms": entry.at_ms,
                "voltage": entry.content.get("voltage"),
                "sent_s": entry.sent_s,
                "acknowledged_s": entry.acknowledged_s,
                "times": entry.times,
            }
            for entry in bridge.ledger
            if entry.topic
        ],
    }


def bridges_of(spec: Mapping[str, Any]) -> list[Bridge]:
    """Return the bridges of a specification."""
    context = ssl.create_default_context(cafile=spec["authority"]) if spec["authority"] else None
    made = []
    for each in spec["sites"]:
        brokers = [(str(host), int(port)) for host, port in each["brokers"]]
        site = Site(each["name"], each["user"], each["password"], brokers, spec["packs"])
        randomness = random.Random(f"{spec['seed']} {site.name}")  # noqa: S311
        root = f"fleet/{site.name}/tinybms"
        made.append(Bridge(site, each["number"], root, spec["reconnect_s"], randomness, spec["period_s"], context))
    return made


async def run(spec: Mapping[str, Any], ledger: Path) -> None:
    """Let the bridges of a specification live."""
    loop = asyncio.get_running_loop()
    bridges = bridges_of(spec)
    living = []
    for index, bridge in enumerate(bridges):
        living.append(asyncio.create_task(bridge.stay_connected()))
        if index % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(1.0)
    while not all(bridge.connected for bridge in bridges):  # noqa: ASYNC110  # a thousand of them
        await asyncio.sleep(LOOK_S)
    print(f"connected {len(bridges)}", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    end_s = time.monotonic() + spec["seconds"]
    measuring = [asyncio.create_task(bridge.measure(end_s)) for bridge in bridges]
    cutting = asyncio.create_task(cut(bridges, spec["cut"], spec["seconds"], random.Random(spec["seed"])))  # noqa: S311
    await asyncio.gather(*measuring)
    await cutting
    await asyncio.gather(*(bridge.close(spec["patience_s"]) for bridge in bridges))
    for task in living:
        task.cancel()
    text = "\n".join(json.dumps(ledger_of(bridge)) for bridge in bridges)
    await loop.run_in_executor(None, ledger.write_text, text)


async def cut(bridges: list[Bridge], share: float, seconds: float, randomness: random.Random) -> None:
    """Cut the connection of a share of the bridges, one after the other, in the middle of what they do."""
    chosen = randomness.sample(bridges, round(share * len(bridges)))
    for bridge in chosen:
        await asyncio.sleep(0.9 * seconds / len(chosen))
        bridge.cut_next = True


def main(spec: str, ledger: str) -> None:
    """Run what is specified in a file."""
    asyncio.run(run(json.loads(Path(spec).read_text(encoding="utf-8")), Path(ledger)))


if __name__ == "__main__":
    main(*sys.argv[1:])
