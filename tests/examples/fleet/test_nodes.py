"""The configuration of the nodes: made from one template, whole, and each for its own node."""

import re
from pathlib import Path

import pytest
from examples.fleet.nodes import main


def written(folder: Path, *words: str) -> dict[str, str]:
    """Write the files of three nodes, and return them."""
    assert main(["a=10.0.0.1", "b=10.0.0.2", "c=nats-c.example.org", "--folder", str(folder), *words]) == 0
    return {path.stem: path.read_text() for path in sorted(folder.glob("*.conf"))}


def test_each_node_knows_itself_and_the_others(tmp_path: Path) -> None:
    """Its own name and store, routes to the two others with what the cluster shares, no field left open."""
    files = written(tmp_path)
    secret = (tmp_path / "route.password").read_text().strip()

    assert set(files) == {"a", "b", "c"}
    for name, text in files.items():
        assert f'server_name: "{name}"' in text
        assert f'store_dir: "/var/lib/nats/{name}"' in text
        routes = re.findall(r'"nats-route://route:([^@]+)@([^:]+):6222"', text)
        hosts = {"a": "10.0.0.1", "b": "10.0.0.2", "c": "nats-c.example.org"}
        assert routes == [(secret, host) for other, host in hosts.items() if other != name]
        assert not re.search(r"\$[a-z]", text)
        assert text.count("{") == text.count("}")
        assert 'include "./accounts.conf"' in text
        assert (tmp_path / f"{name}.conf").stat().st_mode & 0o777 == 0o600


def test_what_mqtt_needs_has_three_replicas(tmp_path: Path) -> None:
    """Left alone, nodes that start have made do with two, and nobody could connect after one was lost."""
    assert all("stream_replicas: 3 " in text for text in written(tmp_path).values())


def test_connections_are_encrypted_on_wish(tmp_path: Path) -> None:
    """Of bridges, of the nodes among each other with certificates on both sides, and of the consumer."""
    plain = written(tmp_path)
    assert all("tls" not in text.replace("tls_", "") and ':1883"' in text for text in plain.values())

    files = written(tmp_path, "--tls", "/etc/nats/tls")

    for name, text in files.items():
        assert text.count(f'cert_file: "/etc/nats/tls/{name}.pem"') == 3
        assert text.count("verify: true") == 1
        assert '0.0.0.0:8883"' in text


def test_the_secret_of_the_cluster_stays(tmp_path: Path) -> None:
    """Files that are written again fit the nodes that run."""
    assert written(tmp_path) == written(tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a"], "'a' is no node, expected NAME=HOST"),
        (["a="], "is no node"),
        (['a=10.0.0.1"', "b=x", "c=y"], "is no node"),
        (["a=x", "b=y"], "2 nodes: expected an odd number"),
        (["a=x", "a=y", "b=z"], "3 nodes: expected an odd number with names of their own"),
    ],
)
def test_nodes_that_make_no_cluster_are_told(
    tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two nodes are worse than one: either of them lost stops both."""
    assert main([*words, "--folder", str(tmp_path)]) == 1
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
