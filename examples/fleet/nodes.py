"""The configuration of the three NATS nodes, from one template: cluster, JetStream, MQTT, TLS.

Every node gets its own file and the same ``accounts.conf`` (see `sites.py`) beside it.
"""

import argparse
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from .sites import save
from .stream import NODES

__all__ = ["Node", "main", "parser", "rendered", "secret_in"]

TEMPLATE = Path(__file__).with_name("node.conf.template")
SECRET = "route.password"  # noqa: S105  # the file, not what is in it
CLIENT, ROUTE, MONITOR, MQTT, MQTT_TLS = 4222, 6222, 8222, 1883, 8883


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its name, where the others and bridges reach it, its ports."""

    name: str
    host: str
    client: int = CLIENT
    route: int = ROUTE
    monitor: int = MONITOR
    mqtt: int = MQTT

    @classmethod
    def of(cls, text: str, *, tls: bool) -> "Node":
        """Return the node of ``NAME=HOST``.

        Raises:
            ValueError: It is something else.
        """
        name, equals, host = text.partition("=")
        if not equals or not name.isidentifier() or not host or set(host) & set('"/ '):
            raise ValueError(f"{text!r} is no node, expected NAME=HOST such as a=10.0.0.1")
        return cls(name, host, mqtt=MQTT_TLS if tls else MQTT)


def rendered(
    node: Node,
    nodes: Sequence[Node],
    *,
    folder: str,
    secret: str,
    store: str = "",
    size: str = "60GB",
    sync: str = "2m",
    tls: str = "",
    listen: str = "0.0.0.0",  # noqa: S104  # what a server in a network of its own listens on
) -> str:
    """Return the configuration of one node.

    Args:
        node: Which one.
        nodes: All of them.
        folder: Where log and process id go.
        secret: What the nodes know each other by.
        store: Where JetStream keeps its files; below `folder` where it is empty.
        size: How much that may become, such as ``60GB``.
        sync: How often it is forced onto the disk, or ``always``.
        tls: Folder with ``NAME.pem``, ``NAME.key`` and ``ca.pem``; empty for connections in the clear.
        listen: Address that bridges and other nodes come to.
    """
    files = f'cert_file: "{tls}/{node.name}.pem", key_file: "{tls}/{node.name}.key", ca_file: "{tls}/ca.pem"'
    scheme = "nats-route://route:" + secret
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        name=node.name,
        client=f"{listen}:{node.client}",
        monitor=f"127.0.0.1:{node.monitor}",
        route=f"{listen}:{node.route}",
        mqtt=f"{listen}:{node.mqtt}",
        routes=", ".join(f'"{scheme}@{other.host}:{other.route}"' for other in nodes if other != node),
        folder=folder,
        store=store or f"{folder}/{node.name}",
        size=size,
        sync=sync,
        secret=secret,
        replicas=min(len(nodes), NODES),
        tls_cluster=f"  tls {{ {files}, verify: true, timeout: 5 }}\n" if tls else "",
        tls_mqtt=f"  tls {{ {files}, timeout: 10 }}\n" if tls else "",
        tls_client=f"tls {{ {files}, timeout: 10 }}\n" if tls else "",
    )


def nodes_of(words: Sequence[str], *, tls: bool) -> list[Node]:
    """Return the nodes of a cluster.

    Raises:
        ValueError: One is none, or they are not an odd number with names of their own.
    """
    nodes = [Node.of(text, tls=tls) for text in words]
    if len({node.name for node in nodes}) != len(nodes) or len(nodes) % 2 == 0:
        raise ValueError(f"{len(nodes)} nodes: expected an odd number with names of their own, three as a rule")
    return nodes


def secret_in(folder: Path) -> str:
    """Return what the nodes know each other by, made the first time."""
    path = folder / SECRET
    if not path.exists():
        save(path, secrets.token_urlsafe(24) + "\n")
    return path.read_text(encoding="utf-8").strip()


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    made = argparse.ArgumentParser(
        prog="python -m fleet.nodes",
        description="Write the configuration of each node into a folder.",
        epilog="Example: python -m fleet.nodes a=10.0.0.1 b=10.0.0.2 c=10.0.0.3 --tls /etc/nats/tls",
    )
    made.add_argument("node", nargs="+", metavar="NAME=HOST", help="a node and where the others reach it; three")
    made.add_argument("--folder", type=Path, default=Path(), help="where to write them (here)")
    made.add_argument("--home", default="/var/lib/nats", help="folder of a node for its store, log and process id")
    made.add_argument("--size", default="60GB", help="how much JetStream may keep on a node (60GB)")
    made.add_argument("--sync", default="2m", help="how often it is forced onto the disk: 2m, or always (2m)")
    made.add_argument(
        "--tls", default="", help="folder of a node with NAME.pem, NAME.key, ca.pem; MQTT is on 8883 then"
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Write one file for each node; return 1 where that cannot be done."""
    options = parser().parse_args(arguments)
    try:
        nodes = nodes_of(options.node, tls=bool(options.tls))
        secret = secret_in(options.folder)
        for node in nodes:
            text = rendered(
                node, nodes, folder=options.home, secret=secret, size=options.size, sync=options.sync, tls=options.tls
            )
            save(options.folder / f"{node.name}.conf", text)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join(f"{options.folder / node.name}.conf" for node in nodes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
