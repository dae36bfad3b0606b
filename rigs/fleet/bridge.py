"""A simulated bridge of a fleet: publishes as the MQTT service does, goes on to the next broker, and keeps a ledger.

What it publishes is the contract of the service: every message has boot id, sequence number and the time of its data;
what no broker has acknowledged when a connection ends is sent again from the spool, below ``replay`` and not retained.
"""

import asyncio
import json
import random
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle

from rigs.fleet.mqtt import Connection, Login, connect

__all__ = ["Bridge", "Entry", "Site", "battery_state", "pack_state"]

IN_FLIGHT = 20
"""Messages of one bridge that wait for their acknowledgement, as paho has it: a long spool does not flood a broker."""
CONNECT_S = 15.0
"""A broker whose JetStream has just lost its leader answers after seconds."""


@dataclass(frozen=True, slots=True)
class Site:
    """One bridge: its name in topics, its credential, the brokers in its order."""

    name: str
    user: str
    password: str
    brokers: Sequence[tuple[str, int]]
    packs: int = 0
    """Packs whose state is published beside that of the battery."""


@dataclass(slots=True)
class Entry:
    """One message of the ledger."""

    seq: int
    topic: str
    at_ms: int
    retain: bool
    content: dict[str, object]
    sent_s: float | None = None
    """When it was sent first, by the monotonic clock."""
    acknowledged_s: float | None = None
    times: int = 0
    """How often it was sent."""


def battery_state(number: int, seq: int, age_ms: int) -> dict[str, object]:
    """Return the state of a battery of 16 cells as the service publishes it; its voltage tells messages apart."""
    voltage = round(48.0 + number % 100 / 100.0 + seq % 1000 / 10_000.0, 4)
    current = round(20.0 - (number * 7 + seq) % 400 / 10.0, 1)
    soc_percent = round(50.0 + (number + seq / 100.0) % 50.0, 1)
    return {
        "voltage": voltage,
        "current": current,
        "soc_percent": soc_percent,
        "bms_soc_percent": soc_percent,
        "soh_percent": 98.5,
        "temperature": round(21.0 + (seq // 20) % 40 / 10.0, 1),
        "min_cell_mv": 3301,
        "max_cell_mv": 3309 + seq % 7,
        "cell_imbalance_mv": 8 + seq % 7,
        "online_status": 145,
        "power_w": round(voltage * current, 1),
        "time_left_s": None,
        "freshness": "FRESH",
        "age_ms": age_ms,
        "status": "CHARGING",
        "cells_mv": [3301 + (seq + cell) % 7 for cell in range(16)],
        "temperatures": [27.0, 25.0, 25.0],
        "balancing_bits": 0,
        "remark": "",
        "state": "BULK",
        "cvl_voltage_v": 55.2,
        "ccl_limit_a": 100.0,
        "dcl_limit_a": 150.0,
        "discharge_voltage_v": 44.8,
        "charging_allowed": True,
        "discharging_allowed": True,
        "full": False,
        "charged_kwh": round(1234.0 + seq / 1000.0, 3),
        "discharged_kwh": 1101.25,
        "level": "ok",
        "alarms": {},
        "inhibits": [],
        "charge_inhibited": False,
        "discharge_inhibited": False,
        "gx": True,
        "packs": 1,
        "profile": "normal",
        "log_level": "INFO",
        "version": "0.2.0",
        "last": None,
    }


ONLY_OF_THE_BATTERY = frozenset((
    "remark", "state", "cvl_voltage_v", "ccl_limit_a", "dcl_limit_a", "discharge_voltage_v", "charging_allowed",
    "discharging_allowed", "full", "charged_kwh", "discharged_kwh", "level", "alarms", "inhibits", "charge_inhibited",
    "discharge_inhibited", "gx", "packs", "profile", "log_level", "version",
))  # fmt: skip


def pack_state(battery: dict[str, object], name: str) -> dict[str, object]:
    """Return the state of one pack of it."""
    measured = {key: value for key, value in battery.items() if key not in ONLY_OF_THE_BATTERY}
    identity = {"lowest_cell": 3, "highest_cell": 2, "serial_number": "53494D554C41544544000001", "firmware": "2.3.254"}
    return {"pack": name, **measured, **identity}


@dataclass(slots=True)
class Bridge:
    """One bridge from its start to its end."""

    site: Site
    number: int
    root: str
    reconnect_s: float
    randomness: random.Random
    period_s: float = 1.0
    tls: ssl.SSLContext | None = None
    ledger: list[Entry] = field(default_factory=list)
    connections: int = 0
    refused: int = 0
    boot: str = ""
    cut_next: bool = False
    """Cut the connection right after the next message, so that its acknowledgement is lost."""
    _connection: Connection | None = None
    _waiting: list[Entry] = field(default_factory=list)
    _in_flight: dict[int, Entry] = field(default_factory=dict)
    _identifiers: Iterator[int] = field(default_factory=lambda: cycle(range(1, 65_536)))
    _lost: asyncio.Event = field(default_factory=asyncio.Event)
    _brokers: Iterator[tuple[str, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.boot = f"{self.randomness.getrandbits(64):016x}"
        self._brokers = cycle(self.site.brokers)

    @property
    def unacknowledged(self) -> int:
        """Messages that no broker has acknowledged."""
        return len(self._waiting) + len(self._in_flight)

    @property
    def connected(self) -> bool:
        """Whether a broker has accepted it."""
        return self._connection is not None

    async def stay_connected(self) -> None:
        """Connect, and again whenever the connection is lost, to the next broker; ends by being cancelled."""
        while True:
            address = next(self._brokers)
            will = self._encoded(self._next_seq(), _now_ms(), {"state": "offline"})
            login = Login(self.site.name, self.site.user, self.site.password, f"{self.root}/status", will)
            self._lost = asyncio.Event()
            try:
                async with asyncio.timeout(CONNECT_S):
                    made = await connect(address, login, self._acknowledged, self._lost.set, self.tls)
            except OSError:  # a time-out is one as well
                self.refused += 1
            else:
                self.connections += 1
                self._connection = made
                self._publish("status", {"state": "online"}, retain=True)
                self._send_waiting()
                await self._lost.wait()
                self._connection = None
                self._waiting[:0] = [*self._in_flight.values()]
                self._in_flight.clear()
            await asyncio.sleep(self.reconnect_s * self.randomness.uniform(1.0, 1.2))

    async def measure(self, until_s: float, on_published: Callable[[], None] = lambda: None) -> None:
        """Publish the state of battery and packs once in a period, until a time of the monotonic clock."""
        due_s = time.monotonic() + self.randomness.uniform(0.0, self.period_s)
        while due_s < until_s:
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            state = battery_state(self.number, len(self.ledger) + 1, self.randomness.randrange(100))
            self._publish("battery/state", state, retain=True)
            for pack in map(chr, range(ord("a"), ord("a") + self.site.packs)):
                self._publish(f"packs/{pack}/state", pack_state(state, pack), retain=True)
            on_published()
            due_s += self.period_s

    async def close(self, patience_s: float) -> None:
        """Wait until all is acknowledged, but not for ever, and end as a bridge does that is switched off."""
        end_s = time.monotonic() + patience_s
        while self.unacknowledged and time.monotonic() < end_s:  # noqa: ASYNC110  # thousands of them, one clock
            await asyncio.sleep(0.1)
        if self._connection is not None:
            self._connection.disconnect()

    def _next_seq(self) -> int:
        self.ledger.append(Entry(len(self.ledger) + 1, "", _now_ms(), retain=False, content={}))
        return len(self.ledger)

    def _publish(self, topic: str, content: dict[str, object], *, retain: bool) -> None:
        entry = Entry(len(self.ledger) + 1, topic, _now_ms(), retain, content)
        self.ledger.append(entry)
        self._waiting.append(entry)
        self._send_waiting()

    def _send_waiting(self) -> None:
        while self._connection is not None and self._waiting and len(self._in_flight) < IN_FLIGHT:
            self._send(self._connection, self._waiting.pop(0))

    def _send(self, connection: Connection, entry: Entry) -> None:
        identifier = next(self._identifiers)
        self._in_flight[identifier] = entry
        late = entry.times > 0 or _now_ms() - entry.at_ms > 1000.0 * self.period_s
        entry.times += 1
        if entry.sent_s is None:
            entry.sent_s = time.monotonic()
        payload = self._encoded(entry.seq, entry.at_ms, entry.content)
        topic = f"{self.root}/replay/{entry.topic}" if late else f"{self.root}/{entry.topic}"
        connection.publish(topic, payload, identifier, retain=entry.retain and not late)
        if self.cut_next:
            self.cut_next = False
            connection.abort()

    def _acknowledged(self, identifier: int) -> None:
        entry = self._in_flight.pop(identifier, None)
        if entry is not None:
            entry.acknowledged_s = time.monotonic()
        self._send_waiting()

    def _encoded(self, seq: int, at_ms: int, content: dict[str, object]) -> bytes:
        at = datetime.fromtimestamp(at_ms / 1000.0, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return json.dumps({"boot": self.boot, "seq": seq, "at": at, **content}, separators=(",", ":")).encode()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
