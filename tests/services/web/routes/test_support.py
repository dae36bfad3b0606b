"""``GET /api/support-bundle``."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.keys import keys_of
from tinybms_bridge.config.models.base import Section
from tinybms_bridge.doctor.findings import warning
from tinybms_bridge.link.event_list import EventRecord, EventSource
from tinybms_bridge.link.state import MonitoredFrame, TraceLine
from tinybms_bridge.services.web.accounts import Account, AccountRegistry, Role
from tinybms_bridge.services.web.accounts.credentials import new_record, write_token
from tinybms_bridge.services.web.security import AUDIT, Gate
from tinybms_bridge.tinybms.frames import ReadModbus
from tinybms_bridge.tinybms.settings import parse_backup
from tinybms_bridge.victron.can.candump import Recorded, parse_line
from tinybms_bridge.words import JsonValue, message

PLANTED = "sEkReT-long-enough"


async def unpacked(client: httpx.AsyncClient, query: str = "") -> dict[str, str]:
    """Return every file of a bundle."""
    answer = await client.get(f"/api/support-bundle{query}", headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert "content-encoding" not in answer.headers, "packed already"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def secret_paths(model: type[Section] = Configuration, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the path of every key of the configuration that holds a secret."""
    found = []
    for name, key in keys_of(model).items():
        if key.section is not None:
            found += secret_paths(key.section, (*prefix, name))
        elif key.is_secret:
            found.append((*prefix, name))
    return found


FORMS = {"url": "https://example.org/{}-~&", "topic": "{}", "client_key": "-----BEGIN PRIVATE KEY-----{}-~&"}
"""Of secrets that have to look like something."""


def planted_secrets() -> dict[tuple[str, ...], str]:
    """Return another secret for every key that holds one."""
    return {
        path: FORMS.get(path[-1], "{}-~&").format(f"{PLANTED}-{number}") for number, path in enumerate(secret_paths())
    }


def planted_document() -> dict[str, Any]:
    """Return a configuration with a secret at every place for one, and with names of users."""
    email = {"username": f"{PLANTED}-mail", "sender": f"{PLANTED}@x.org", "recipients": [f"me.{PLANTED}@x.org"]}
    document: dict[str, Any] = {
        "mqtt": {"username": f"{PLANTED}-broker"},
        "web_server": {"username": f"{PLANTED}-web"},
        "notifications": {"email": email},
    }
    for path, secret in planted_secrets().items():
        place = document
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place[path[-1]] = secret
    return document


@pytest.fixture
def planted(core: Any, app: FastAPI, make_frame: Callable[..., MonitoredFrame]) -> list[str]:
    """Secrets everywhere; returns all that must not be found, users included."""
    core.storage.data = json.dumps(planted_document()).encode()
    core.store.load()
    assert core.store.error is None, core.store.error
    gate: Gate = app.state.gate
    users = (
        Account("anna-boss", Role.ADMIN, f"{PLANTED}-hash-1"),
        Account("gustave", Role.VIEWER, f"{PLANTED}-hash-2"),
    )
    record = new_record("anna-boss", "kitchen tablet", Role.ADMIN, gate.clock.wall(), 1)
    registry = AccountRegistry(users, (record,), bytes(range(32)), f"{PLANTED}-setup")
    gate.accounts.registry = registry
    gate.accounts._store.update(lambda _: registry)
    token = write_token(record, registry.secret)
    values = list(planted_secrets().values())
    for value in values:
        core.logs.write("ERROR", f"the server said: {value} is wrong")
        core.logs.write("DEBUG", json.dumps({"x": value}))
    for line in (
        f"Authorization: Bearer {token}",
        f"GET /ws?token={token} HTTP/1.1",
        f"mqtt://me:{PLANTED}@broker",
        f"password={PLANTED}",
        f"Cookie: tinybms_session={PLANTED}",
        f'{{"psk": "{PLANTED} with words"}}',
        f"setup token {PLANTED}-setup",
        "login of anna-boss from 192.168.1.7 accepted",
    ):
        core.logs.write("INFO", line)
    core.logs.write("INFO", "POST /api/settings by gustave (session)", source=AUDIT)
    parameters: dict[str, JsonValue] = {"reason": f"password: {PLANTED} of Anna-Boss"}
    core.event_list.append(
        EventRecord(
            1, None, EventSource.BRIDGE, Severity.INFO, "x", "gustave said so", by="gustave", parameters=parameters
        )
    )
    core.found = [warning("configuration", message("said", text=f"mqtt.password = {values[0]}"))]
    core.traffic = [TraceLine(1.0, "tx", ReadModbus(0, 56).encode().hex(" ").upper())]
    core.seen_frames.append(make_frame())
    return [PLANTED, token, "anna-boss", "gustave", "kitchen tablet", registry.secret.hex()]


async def test_no_secret_and_no_name_leaves_the_machine(
    client: httpx.AsyncClient, planted: list[str], core: Any
) -> None:
    """One is planted in every secret of the configuration, in lines of the log, in events, and as user and token."""
    found = await unpacked(client)

    for name, text in found.items():
        for secret in planted:
            assert secret.lower() not in text.lower(), f"{secret} in {name}"
    assert "is wrong" in found["log.txt"], "the lines themselves are there"
    assert "user-1" in found["log.txt"]


async def test_everything_that_helps_is_there(
    client: httpx.AsyncClient, core: Any, make_frame: Callable[..., MonitoredFrame]
) -> None:
    """Each file as the program that reads it wants it."""
    core.seen_frames.append(make_frame())
    core.traffic = [TraceLine(1.0, "tx", ReadModbus(0, 56).encode().hex(" ").upper())]
    core.found = [warning("history", message("doctor.history_hung", protections=3, full=7))]
    core.logs.write("INFO", "started")
    found = await unpacked(client, "?lang=fr")
    documents = {name: json.loads(text) for name, text in found.items() if name.endswith(".json")}

    assert all(name in found for name in found["README.txt"].split() if name.endswith((".json", ".log")))
    assert documents["versions.json"]["tinybms-bridge"] == "1.2.3"
    assert documents["configuration.json"]["cvl"]["enabled"] is True
    assert documents["doctor.json"]["findings"][0]["title"] == "passé"
    assert documents["diagnostics.json"]["core"]["connected"] is True
    assert documents["status.json"]["voltage"] == 54.32
    assert documents["limits.json"]["reasons"]
    assert documents["uart.json"]["lines"][0]["meaning"] == "lecture des registres 0 à 55"
    assert documents["missing.json"] == {}
    assert "started" in found["log.txt"]
    assert isinstance(parse_line(found["can.log"]), Recorded)
    assert parse_backup(found["bms-settings.json"].encode()).identity.serial_number


async def test_what_cannot_be_had_is_told(client: httpx.AsyncClient, core: Any) -> None:
    """A BMS that is silent keeps nobody from getting help."""
    core.bms.silent = True
    found = await unpacked(client)

    assert "did not answer" in json.loads(found["missing.json"])["bms-settings.json"]
    assert "bms-settings.json" not in found
    assert found["can.log"] == ""


async def test_it_is_a_file_with_a_name(client: httpx.AsyncClient) -> None:
    """Two of them do not replace each other."""
    answer = await client.get("/api/support-bundle")
    assert answer.headers["content-disposition"] == 'attachment; filename="tinybms-bridge-20260101-000000.zip"'
