"""docs/mqtt.md against a real broker: its topics are those that there are, its commands do what they say."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.hal.blocking import in_thread
from tinybms_bridge.services.mqtt.orders import NAMES

PAGE = (Path(__file__).parents[3] / "docs" / "mqtt.md").read_text(encoding="utf-8")
ROOT = "victron/tinybms"


def commands() -> list[list[str]]:
    """Return the words of each command of the page."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


@pytest.mark.skipif(shutil.which("mosquitto_pub") is None, reason="needs mosquitto-clients")
async def test_every_command_of_the_page_is_carried_out(
    core: Any,
    new_broker: Callable[..., Any],
    configured: Callable[..., Any],
    publishing: Callable[..., Any],
    witness: Callable[..., Any],
    until: Callable[..., Any],
) -> None:
    """As typed, but for the address of the broker; each kind of command is shown, and each is answered with success."""
    broker = new_broker()
    heard = await witness(broker.port)
    async with publishing(configured(broker.port, commands=True)) as published:
        await until(lambda: published.condition() == "working")
        for words in commands():
            assert words[:3] == ["mosquitto_pub", "-h", "192.168.1.5"]
            name = words[words.index("-t") + 1].removeprefix(f"{ROOT}/command/")
            here = [words[0], "-h", "127.0.0.1", "-p", str(broker.port), *words[3:]]
            await in_thread(partial(subprocess.run, here, check=True, timeout=60.0))
            topic = f"{ROOT}/result/{name}"
            await until(partial(heard.of, topic))
            (answer,) = heard.of(topic)
            assert answer.document["success"], answer.document
    assert {words[words.index("-t") + 1].rpartition("/")[2] for words in commands()} == set(NAMES)
    assert heard.of(f"{ROOT}/result/inhibit")[0].document["id"] == 1


async def test_every_topic_is_on_the_page(
    core: Any,
    new_broker: Callable[..., Any],
    configured: Callable[..., Any],
    publishing: Callable[..., Any],
    witness: Callable[..., Any],
    until: Callable[..., Any],
    event: Callable[[int], Any],
) -> None:
    """Whoever looks for a topic finds it in the table, or in the list of the firmware's."""
    rows = re.findall(r"^\| (`.*?) \| ", PAGE.partition("## Topics")[2].partition("```json")[0], flags=re.MULTILINE)
    told = [topic for row in rows for topic in re.findall(r"`([^`]+)`", row)]
    list_ = PAGE.partition("### Topics of the firmware")[2].partition("\n## ")[0]
    told += re.findall(r"`([a-z_]{6,})`", list_)
    patterns = [re.sub("[A-Z]+", ".+", topic) for topic in told if topic != "KEY"]
    broker = new_broker()
    heard = await witness(broker.port)
    core.records = [event(1)]
    async with publishing(configured(broker.port, value_topics=True, firmware_topics=True)):
        await until(lambda: heard.of(f"{ROOT}/packs/main/registers") and heard.of(f"{ROOT}/alarm_communication"))
    topics = {each.topic.removeprefix(f"{ROOT}/") for each in heard.heard}
    assert [topic for topic in sorted(topics) if not any(re.fullmatch(each, topic) for each in patterns)] == []
    assert {topic for topic in told if topic.startswith(("alarm_", "max_"))} <= topics


async def test_the_example_has_the_names_that_are_published(
    core: Any,
    new_broker: Callable[..., Any],
    configured: Callable[..., Any],
    publishing: Callable[..., Any],
    witness: Callable[..., Any],
    until: Callable[..., Any],
) -> None:
    """A reader builds on the example: no name more, none less, none misspelt."""
    example = next(
        json.loads(block)
        for block in re.findall(r"^```json\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
        if '"boot"' in block
    )
    broker = new_broker()
    heard = await witness(broker.port)
    async with publishing(configured(broker.port)):
        await until(lambda: heard.of(f"{ROOT}/battery/state"))
    assert list(heard.of(f"{ROOT}/battery/state")[0].document) == list(example)
