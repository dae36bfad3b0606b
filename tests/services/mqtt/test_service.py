"""The publisher at a real broker: what it tells, and what it survives."""

import asyncio
import gc
import math
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiomqtt
import orjson
import pytest

from tinybms_bridge.battery.alarms import AlarmCause, AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.inhibits import Direction
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.services.mqtt.announced import load_announced
from tinybms_bridge.services.mqtt.documents import Sealer
from tinybms_bridge.services.mqtt.publications import Publication, Publications
from tinybms_bridge.words import message

ROOT = "victron/tinybms"
PATIENCE_S = 120.0


async def test_battery_packs_alarms_and_presence_are_there_for_who_comes_later(
    core: Any, publishing: Any, new_broker: Any, witness: Any, configured: Any, until: Any
) -> None:
    """Whoever connects after the bridge gets the retained states at once, under the names of the API."""
    broker = new_broker()
    topics = ("status", "battery/state", "battery/alarms", "packs/main/state", "packs/main/registers")

    def knows(witness: Any) -> bool:
        return all(witness.of(f"{ROOT}/{topic}") for topic in topics)

    first = await witness(broker.port)
    async with publishing(configured(broker.port)):
        await until(lambda: knows(first))
        late = await witness(broker.port)
        await until(lambda: knows(late))
        state = late.of(f"{ROOT}/battery/state")[0]
        assert state.retained
        assert state.document["voltage"] == 53.12
        assert state.document["current"] == -12.3
        assert state.document["cvl_voltage_v"] == 56.0
        assert state.document["state"] == "BULK"
        assert state.document["charged_kwh"] == 12.346
        assert state.document["gx"] is True
        assert late.of(f"{ROOT}/packs/main/state")[0].document["cells_mv"][:2] == [3310, 3325]
        assert late.of(f"{ROOT}/packs/main/registers")[0].document["registers"][0]["name"] == "cell_1_voltage"
        assert late.of(f"{ROOT}/battery/alarms")[0].document["level"] == "ok"
        assert late.of(f"{ROOT}/status")[0].document["state"] == "online"
    await until(lambda: late.of(f"{ROOT}/status")[-1].document["state"] == "offline")


async def test_every_message_has_boot_number_and_time(
    publishing: Any, new_broker: Any, witness: Any, configured: Any, until: Any
) -> None:
    """Who gets a message twice, or out of order, can tell: numbers are never used twice in one boot."""
    broker = new_broker()
    heard = await witness(broker.port)
    async with publishing(configured(broker.port, firmware_topics=True)):
        await until(lambda: len(heard.of(f"{ROOT}/battery/state")) >= 4)
    told = [each.document for each in heard.heard]
    assert len({each["boot"] for each in told}) == 1
    numbers = [each["seq"] for each in told]
    assert len(set(numbers)) == len(numbers)
    assert all(each["at"].endswith("Z") for each in told)


async def test_alarms_are_told_in_words_when_they_change(
    core: Any, publishing: Any, new_broker: Any, witness: Any, configured: Any, until: Any
) -> None:
    """With what it rests on, what it means and what to do, in the chosen language; once for each change."""
    broker = new_broker()
    heard = await witness(broker.port)
    wanted = {"home_assistant": {"language": "fr"}}
    async with publishing(configured(broker.port, **wanted)):
        await until(lambda: heard.of(f"{ROOT}/battery/alarms"))
        cause = AlarmCause(message("said", text="cellule 3"))
        levels = {AlarmName.HIGH_VOLTAGE: AlarmLevel.ALARM, AlarmName.CELL_IMBALANCE: AlarmLevel.WARNING}
        alarms = Alarms(levels, {AlarmName.HIGH_VOLTAGE: cause})
        core.battery = replace(core.battery, alarms=alarms)
        await until(lambda: len(heard.of(f"{ROOT}/battery/alarms")) == 2)
        count = len(heard.of(f"{ROOT}/battery/state"))
        await until(lambda: len(heard.of(f"{ROOT}/battery/state")) > count + 2)
    (_, told) = heard.of(f"{ROOT}/battery/alarms")
    assert told.document["level"] == "alarm"
    assert [each["name"] for each in told.document["active"]] == ["high_voltage", "cell_imbalance"]
    first = told.document["active"][0]
    assert (first["kind"], first["level"]) == ("alarm", "alarm")
    assert "cellule 3" in first["text"]
    assert first["advice"]
    assert heard.of(f"{ROOT}/battery/state")[-1].document["alarms"] == {"high_voltage": 2, "cell_imbalance": 1}


async def test_old_data_is_not_shown_as_present(
    core: Any, publishing: Any, new_broker: Any, witness: Any, configured: Any, until: Any
) -> None:
    """In SILENT measured values and limits are null; the last ones are beside them with their time."""
    core.fresh = False
    broker = new_broker()
    heard = await witness(broker.port)
    async with publishing(configured(broker.port)):
        await until(lambda: heard.of(f"{ROOT}/battery/state") and heard.of(f"{ROOT}/packs/main/state"))
    state = heard.of(f"{ROOT}/battery/state")[0].document
    assert state["freshness"] == "SILENT"
    assert {state[name] for name in ("voltage", "current", "soc_percent", "cvl_voltage_v", "ccl_limit_a")} == {None}
    assert state["last"]["voltage"] == 53.12
    assert heard.of(f"{ROOT}/packs/main/state")[0].document["voltage"] is None


async def test_will_tells_that_the_bridge_is_gone(
    core: Any, new_broker: Any, witness: Any, tmp_path: Path, until: Any
) -> None:
    """A bridge that is killed is offline for everybody, also for who comes later."""
    broker = new_broker()
    heard = await witness(broker.port)
    code = f"""
import asyncio
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.services.mqtt.connection import brokers_of, connected

async def main():
    config = interpret({{"mqtt": {{"enabled": True, "port": {broker.port}}}}}, "test").configuration.mqtt
    async with connected(config, brokers_of(config)[0], ("{ROOT}/status", b'{{"state":"offline"}}'), None) as client:
        await client.publish("{ROOT}/status", b'{{"state":"online"}}', qos=1, retain=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    await until(lambda: heard.of(f"{ROOT}/status"))
    process.kill()
    await process.wait()
    await until(lambda: heard.of(f"{ROOT}/status")[-1].document["state"] == "offline")
    late = await witness(broker.port)
    await until(lambda: late.of(f"{ROOT}/status"))
    assert late.of(f"{ROOT}/status")[0].retained


async def test_what_happened_without_a_broker_is_replayed_beside_the_live_messages(
    core: Any, publishing: Any, new_broker: Any, witness: Any, configured: Any, until: Any, tmp_path: Path
) -> None:
    """A broker that was away gets every state once it is back, in order, under a topic that nobody takes for now."""
    broker = new_broker()
    async with publishing(configured(broker.port, default_qos=1), tmp_path / "spool") as published:
        await until(lambda: published.condition() == "working")
        broker.kill()
        await until(lambda: published.condition() == "trouble")
        before = published.standing.counters["published"]
        await until(lambda: published.service._spool.kept_bytes > 4000)
        async with published.service._spool._busy:  # so that nothing is replayed before somebody listens
            broker.start()
            heard = await witness(broker.port)
            await until(lambda: published.standing.counters["published"] > before)
        await until(lambda: len(heard.of(f"{ROOT}/replay/battery/state")) >= 3)
        await until(lambda: published.standing.counters["replayed"] >= len(heard.of(f"{ROOT}/replay/battery/state")))
        live = heard.of(f"{ROOT}/battery/state")
        replayed = heard.of(f"{ROOT}/replay/battery/state")
    numbers = [each.document["seq"] for each in replayed]
    assert numbers == sorted(set(numbers))
    assert not any(each.retained for each in replayed)
    assert not {each.document["seq"] for each in live} & set(numbers)


async def test_nothing_is_lost_over_kills_of_the_broker(
    core: Any, publishing: Any, new_broker: Any, configured: Any, until: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """With QoS 1 every state is confirmed by a broker or kept for the next one, however often the broker dies."""
    made, confirmed = set(), set()
    publish, states = aiomqtt.Client.publish, Publications.states

    async def noted(client: aiomqtt.Client, topic: str, payload: bytes, **options: Any) -> None:
        await publish(client, topic, payload, **options)
        if topic.endswith("battery/state"):
            confirmed.add(orjson.loads(payload)["seq"])

    def told(publications: Publications) -> Iterator[Publication]:
        for each in states(publications):
            if each.topic.endswith("battery/state"):
                made.add(orjson.loads(each.payload)["seq"])
            yield each

    monkeypatch.setattr(aiomqtt.Client, "publish", noted)
    monkeypatch.setattr(Publications, "states", told)
    broker = new_broker()
    async with publishing(configured(broker.port, default_qos=1), tmp_path / "spool") as published:
        for _ in range(3):
            await until(lambda: published.condition() == "working")
            count = len(confirmed)
            await until(lambda count=count: len(confirmed) > count + 2)
            broker.kill()
            await until(lambda: published.condition() == "trouble")
            broker.start()
        await until(lambda: published.condition() == "working")
        count = len(confirmed)
        await until(lambda: len(confirmed) > count + 2)
        latest = max(confirmed)
        await until(lambda: {each for each in made if each <= latest} <= confirmed)
    assert published.service._spool.dropped == 0


async def test_wrong_password_is_told_once_and_tried_again(
    core: Any, publishing: Any, new_broker: Any, configured: Any, until: Any, tmp_path: Path, caplog: Any
) -> None:
    """The state says what to correct; the log says it once, and never the password."""
    passwords = tmp_path / "passwords"
    passwords.write_text("boat:right horse\n")
    passwords.chmod(0o600)
    await asyncio.to_thread(subprocess.run, ["mosquitto_passwd", "-U", str(passwords)], check=True)
    broker = new_broker("allow_anonymous false", f"password_file {passwords}")
    options = configured(broker.port, username="boat", password="wrong horse")
    with caplog.at_level("INFO"):
        async with publishing(options) as published:
            await until(lambda: published.condition() == "trouble")
            first = published.standing.state().last_error_at
            await until(lambda: published.standing.state().last_error_at != first)
            told = published.standing.state().message
            assert told is not None
            assert "user name or password is wrong" in told.text
            with pytest.raises(LinkError, match="user name or password is wrong"):
                await published.service.test()
    assert sum("does not work" in each.message for each in caplog.records) == 1
    assert "horse" not in caplog.text
    async with publishing(configured(broker.port, username="boat", password="right horse")) as published:
        await until(lambda: published.condition() == "working")
        assert "took a message" in (await published.service.test()).text


@pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")  # the library leaves a socket to the collector
async def test_encrypted_with_certificates_on_both_sides(
    core: Any,
    publishing: Any,
    new_broker: Any,
    configured: Any,
    until: Any,
    tmp_path: Path,
    authority: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """TLS with an authority of one's own, and a certificate by which the broker knows the bridge."""
    monkeypatch.setattr("tinybms_bridge.services.mqtt.connection.CONNECT_TIMEOUT_S", 3.0)  # for what is refused
    server, client = authority("server", "127.0.0.1"), authority("client", "boat")
    broker = new_broker(
        f"cafile {authority.file}", f"certfile {server[0]}", f"keyfile {server[1]}", "require_certificate true",
        "use_identity_as_username true", "allow_anonymous true",
    )  # fmt: skip
    keys = {
        "uri": "mqtts://127.0.0.1",
        "server_certificate": authority.file.read_text(),
        "client_certificate": client[0].read_text(),
        "client_key": client[1].read_text(),
    }
    async with publishing(configured(broker.port, **keys)) as published:
        await until(lambda: published.condition() == "working")
    async with publishing(configured(broker.port, **{**keys, "client_certificate": "", "client_key": ""})) as published:
        await until(lambda: published.condition() == "trouble")
    async with publishing(configured(broker.port, **{**keys, "server_certificate": ""})) as published:
        await until(lambda: says(published, "not trusted"))
    broken = {**keys, "client_key": "-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----"}
    async with publishing(configured(broker.port, **broken)) as published:
        await until(lambda: says(published, "client_certificate and its key cannot be used"))
    gc.collect()


def says(published: Any, words: str) -> bool:
    """Tell whether it does not work for this reason: a busy machine may have had another one first."""
    told = published.standing.state().message
    return published.condition() == "trouble" and told is not None and words in told.text


async def test_broker_that_accepts_and_never_answers(
    core: Any, publishing: Any, configured: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that swallows everything is given up, and the state says so."""
    monkeypatch.setattr("tinybms_bridge.services.mqtt.connection.CONNECT_TIMEOUT_S", 0.3)

    open_ones: set[asyncio.StreamWriter] = set()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.add(writer)
        with suppress(ConnectionError):
            while await reader.read(1000):
                pass
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        open_ones.discard(writer)

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        async with publishing(configured(port)) as published:
            await until(lambda: published.condition() == "trouble")
            told = published.standing.state().message
            assert told is not None
            assert "does not answer" in told.text
        await until(lambda: not open_ones)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("mqtt://127.0.0.1", "le serveur n'est pas joint : connexion refusée"),
        ("mqtt://no-such-name.invalid", "le nom du serveur n'est pas connu"),
    ],
)
async def test_broker_that_is_not_there_is_told_in_the_language_of_the_reader(
    publishing: Any, configured: Any, until: Any, uri: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens, or nobody knows the name: both are told by code, so that they can be said in French."""
    look_up = socket.getaddrinfo

    def without_network(host: str, *rest: Any, **options: Any) -> Any:
        if host.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", without_network)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        async with publishing(configured(closed.getsockname()[1], uri=uri)) as published:
            await until(lambda: published.condition() == "trouble")
            told = published.standing.state().message
            assert told is not None
            assert words in told.say("fr")


async def test_next_broker_is_taken_when_the_first_is_gone(
    core: Any, publishing: Any, new_broker: Any, configured: Any, until: Any
) -> None:
    """Of several brokers the next is tried at once, and after the last the first again."""
    one, two = new_broker(), new_broker()
    options = configured(one.port, further_uris=[f"mqtt://127.0.0.1:{two.port}"])
    async with publishing(options) as published:

        def at(broker: Any) -> bool:
            return published.standing.state().where.endswith(f":{broker.port}") and bool(
                published.condition() == "working"
            )

        await until(lambda: at(one))
        one.kill()
        await until(lambda: at(two))
        one.start()
        two.kill()
        await until(lambda: at(one))


async def test_two_bridges_under_one_name_are_told(
    core: Any, new_broker: Any, publishing: Any, configured: Any, until: Any
) -> None:
    """Two bridges that overwrite each other say so, whether they have one client id or two."""
    broker = new_broker()
    async with publishing(configured(broker.port)) as one:
        await until(lambda: one.condition() == "working")
        async with publishing(configured(broker.port, client_id="other")):
            await until(lambda: one.condition() == "trouble")
            told = one.standing.state().message
            assert told is not None
            assert told.code == "mqtt.twin"


async def test_events_are_told_once_each_and_without_names(
    core: Any, publishing: Any, new_broker: Any, witness: Any, configured: Any, until: Any, memory: MemoryStorage,
    event: Any,
) -> None:  # fmt: skip
    """Also over a restart of the services; who did something is not for everybody at a broker."""
    core.records = [event(1), event(2)]
    broker = new_broker()
    heard = await witness(broker.port)
    async with publishing(configured(broker.port)):
        await until(lambda: heard.of(f"{ROOT}/events"))
        core.records = [*core.records, event(3)]
        await until(lambda: len(heard.of(f"{ROOT}/events")) == 2)
    core.records = [*core.records, event(4)]
    async with publishing(configured(broker.port)):
        await until(lambda: len(heard.of(f"{ROOT}/events")) == 3)
    assert [each.document["number"] for each in heard.of(f"{ROOT}/events")] == [2, 3, 4]
    assert b"anna" not in b"".join(each.payload for each in heard.heard)


async def test_energy_never_falls_for_a_moment(
    core: Any, publishing: Any, new_broker: Any, witness: Any, configured: Any, until: Any
) -> None:
    """A core that begins anew counts as unknown, not as 0: Home Assistant would count all of it again."""
    broker = new_broker()
    heard = await witness(broker.port)
    async with publishing(configured(broker.port)):
        await until(lambda: heard.of(f"{ROOT}/battery/state"))
        core.energy = EnergyTotals()
        await until(lambda: heard.of(f"{ROOT}/battery/state")[-1].document["charged_kwh"] is None)
        core.energy = EnergyTotals(12_000.0, 2_345.6, 250.0, 45.0)
        count = len(heard.of(f"{ROOT}/battery/state"))
        await until(lambda: len(heard.of(f"{ROOT}/battery/state")) > count + 2)
        core.energy = EnergyTotals(12_400.0, 2_345.6, 250.0, 45.0)
        await until(lambda: heard.of(f"{ROOT}/battery/state")[-1].document["charged_kwh"] == 12.4)
    found = [each.document["charged_kwh"] for each in heard.of(f"{ROOT}/battery/state")]
    assert set(found) == {12.346, None, 12.4}


async def test_commands_are_carried_out_and_answered(
    core: Any, publishing: Any, new_broker: Any, witness: Any, configured: Any, until: Any
) -> None:
    """Inhibit, release, profile and log level, each with its own answer."""
    broker = new_broker()
    heard = await witness(broker.port)
    async with publishing(configured(broker.port, commands=True)) as published:
        await until(lambda: published.condition() == "working")
        async with aiomqtt.Client("127.0.0.1", broker.port) as client:

            async def ask(name: str, document: dict[str, Any]) -> Any:
                count = len(heard.of(f"{ROOT}/result/{name}"))
                await client.publish(f"{ROOT}/command/{name}", orjson.dumps(document), qos=1)
                await until(lambda: len(heard.of(f"{ROOT}/result/{name}")) > count)
                return heard.of(f"{ROOT}/result/{name}")[-1].document

            answer = await ask("inhibit", {"id": 7, "direction": "charge", "duration_s": 60, "reason": "cables"})
            assert answer["success"] is True
            assert answer["id"] == 7
            assert core.stops[Direction.CHARGE].by == "mqtt"
            await until(lambda: heard.of(f"{ROOT}/battery/state")[-1].document["charge_inhibited"] is True)
            assert (await ask("release", {"direction": "charge"}))["success"] is True
            assert (await ask("profile", {"profile": "storage"}))["success"] is True
            assert core.store.configuration.cvl.profile == "storage"
            assert (await ask("log_level", {"log_level": "DEBUG"}))["success"] is True
            refused = await ask("profile", {"profile": "turbo"})
            assert refused["success"] is False
            assert "turbo" in refused["message"] or "normal" in refused["message"]


async def test_without_leave_no_command_is_heard(
    core: Any, publishing: Any, new_broker: Any, witness: Any, configured: Any, until: Any
) -> None:
    """Whoever may publish at the broker decides nothing unless the owner wants that."""
    broker = new_broker()
    heard = await witness(broker.port)
    async with publishing(configured(broker.port)) as published:
        await until(lambda: published.condition() == "working")
        async with aiomqtt.Client("127.0.0.1", broker.port) as client:
            await client.publish(f"{ROOT}/command/inhibit", b'{"direction":"discharge"}', qos=1)
        count = len(heard.of(f"{ROOT}/battery/state"))
        await until(lambda: len(heard.of(f"{ROOT}/battery/state")) > count + 2)
    assert core.stops == {}


async def test_values_by_themselves_and_the_topics_of_the_firmware(
    core: Any, publishing: Any, new_broker: Any, witness: Any, configured: Any, until: Any
) -> None:
    """Both on wish only; a single value is sent when it changes."""
    broker = new_broker()
    heard = await witness(broker.port)
    async with publishing(configured(broker.port, value_topics=True, firmware_topics=True)):
        await until(lambda: heard.of(f"{ROOT}/battery/soc_percent") and heard.of(f"{ROOT}/system_state"))
        count = len(heard.of(f"{ROOT}/battery/state"))
        await until(lambda: len(heard.of(f"{ROOT}/battery/state")) > count + 2)
    assert [each.payload for each in heard.of(f"{ROOT}/battery/soc_percent")] == [b"81.53"]
    assert heard.of(f"{ROOT}/packs/main/cells_mv/2")[0].payload == b"3325"
    voltage = heard.of(f"{ROOT}/battery_pack_voltage")[0].document
    assert voltage["dbus_path"] == "/Dc/0/Voltage"
    assert voltage["value"] == 53.12


async def test_home_assistant_is_told_and_untold(
    core: Any, publishing: Any, new_broker: Any, witness: Any, configured: Any, until: Any, memory: MemoryStorage
) -> None:
    """A device for the battery and one for each pack; what goes, or is switched off, is removed."""
    broker = new_broker()
    wanted = {"home_assistant": {"enabled": True}}
    battery, pack = "homeassistant/device/victron_tinybms/config", "homeassistant/device/victron_tinybms_pack_b/config"
    heard = await witness(broker.port)
    core.names = ["a", "b"]
    async with publishing(configured(broker.port, **wanted)):
        await until(lambda: heard.of(battery) and heard.of(pack))
        assert heard.of(pack)[-1].document["device"]["via_device"] == "victron_tinybms"
        core.names = ["a"]
        await until(lambda: heard.of(pack)[-1].payload == b"")
    assert battery in load_announced(memory).topics
    async with publishing(configured(broker.port, enabled=False, **wanted)) as published:
        await until(lambda: heard.of(battery)[-1].payload == b"")
        await until(lambda: load_announced(memory).topics == ())  # "off" is also how it stands before it begins
        await until(lambda: published.condition() == "off")


async def test_garbage_retained_on_our_topics_changes_nothing(
    core: Any, publishing: Any, new_broker: Any, witness: Any, configured: Any, until: Any
) -> None:
    """What a broker has kept under our topics is no command, and spoils no state."""
    broker = new_broker()
    heard = await witness(broker.port)
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        for topic, payload in (
            ("command/inhibit", b'{"direction":"discharge"}'),
            ("command/profile", b"\xff\xfe not json"),
            ("status", b"\x00\x01"),
            ("battery/state", b"[" * 2000),
        ):
            await client.publish(f"{ROOT}/{topic}", payload, qos=1, retain=True)
    async with publishing(configured(broker.port, commands=True)) as published:
        await until(lambda: published.condition() == "working" and len(heard.of(f"{ROOT}/result/inhibit")) == 1)
        await until(lambda: heard.of(f"{ROOT}/battery/state")[-1].payload.startswith(b"{"))
    assert core.stops == {}
    assert heard.of(f"{ROOT}/result/inhibit")[0].document["code"] == "mqtt.retained_command"


def test_numbers_that_are_none_are_no_json_of_their_own() -> None:
    """NaN is not JSON: a reader would lose the whole message for one value."""
    sealed = orjson.loads(
        Sealer("b").seal({"x": math.nan, "y": 1.23456}, __import__("datetime").datetime.now().astimezone())
    )
    assert sealed["x"] is None
    assert sealed["y"] == 1.235
