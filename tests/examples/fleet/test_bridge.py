"""What a bridge of a fleet is configured with, and what starts the consumer: accepted by those who read it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from examples.fleet.sites import permissions

from examples.fleet import consumer, messages
from tinybms_bridge.config.keys import keys_of
from tinybms_bridge.config.loader import parse
from tinybms_bridge.config.models import Mqtt

FOLDER = Path(__file__).parents[3] / "examples" / "fleet"


def configured() -> dict[str, dict[str, object]]:
    """Return the example."""
    found: dict[str, dict[str, object]] = json.loads((FOLDER / "bridge.json").read_text(encoding="utf-8"))
    return found


def test_the_configuration_of_a_bridge_is_good() -> None:
    """What people copy first is taken by the checker of the product."""
    content = configured()
    if "further_uris" not in keys_of(Mqtt):
        content["mqtt"].pop("further_uris")

    configuration, _ = parse(json.dumps(content).encode(), "bridge.json")

    assert configuration.mqtt.enabled
    assert configuration.mqtt.default_qos == 1


def test_its_topics_are_those_that_the_nodes_allow_and_the_consumer_takes() -> None:
    """User, topics and name of the connection belong to one site; a dot in the latter NATS would refuse."""
    mqtt = configured()["mqtt"]
    user, root = str(mqtt["username"]), str(mqtt["root_topic"])
    subject = f"{root}/battery/state".replace("/", ".")
    payload = b'{"boot": "0123456789abcdef", "seq": 1, "at": "2027-01-15T08:00:00Z"}'

    message = messages.opened(subject, payload, 1_800_000_000_000, {"hill-farm"})

    assert message.site == mqtt["client_id"] == user.partition(".")[0]
    (allowed,) = permissions(user)["publish"]
    assert subject.startswith(allowed.removesuffix(">"))
    assert len({str(mqtt["uri"]), *map(str, mqtt["further_uris"])}) == 3  # type: ignore[call-overload]


def test_the_unit_of_the_consumer_starts_it() -> None:
    """With options that it has."""
    unit = (FOLDER / "fleet-consumer.service").read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    words = line.split("fleet.consumer")[1].split()

    options = consumer.parser().parse_args(words)

    assert options.servers.count("tls://") == 3


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing: apt install systemd")
def test_systemd_finds_no_mistake_in_the_unit(tmp_path: Path) -> None:
    """But for the program, which is elsewhere here."""
    unit = tmp_path / "fleet-consumer.service"
    text = (FOLDER / "fleet-consumer.service").read_text(encoding="utf-8")
    unit.write_text(text.replace("/opt/fleet/venv/bin/python", "/bin/true"), encoding="utf-8")

    done = subprocess.run(["systemd-analyze", "verify", str(unit)], check=False, capture_output=True, text=True)

    assert done.returncode == 0
    assert "fleet-consumer.service:" not in done.stderr
