"""A bridge that does what the test says, a real Mosquitto, and a witness that hears everything at it."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiomqtt
import orjson
import pytest

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.inhibits import Direction, Inhibit
from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.battery.state import BatteryState, PackState
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.hal.blocking import in_thread
from tinybms_bridge.hal.clock import Clock, SystemClock
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.link.event_list import EventRecord, EventSource
from tinybms_bridge.link.events import Noted
from tinybms_bridge.link.state import CanState, PackDetails
from tinybms_bridge.services.mqtt.options import MqttOptions
from tinybms_bridge.services.mqtt.service import MqttService
from tinybms_bridge.services.ports import Hearing, Moment
from tinybms_bridge.services.standing import ServiceStanding
from tinybms_lab.testing.running_bridge import free_port

PATIENCE_S = 120.0
"""For what a busy machine may keep waiting."""


class FakeCore:
    """Implements as much of ``Core`` as MQTT asks for, with values that a test may replace."""

    version = "1.2.3"

    def __init__(self, clock: Clock, state: BatteryState) -> None:
        self.clock = clock
        self.store = ConfigStore(MemoryStorage())
        self.store.load()
        self.heard = Hearing(connected=True, since_s=3600.0)
        self.healthy = state.snapshot
        self.names: list[str] = ["main"]
        self.battery = BatteryState()
        self.records: list[EventRecord] = []
        self.stops: dict[Direction, Inhibit] = {}
        self.notes: list[Noted] = []
        self.disk_full = False
        self.fresh = True
        self.limits = state.limits
        self.energy = EnergyTotals(12_345.6, 2_345.6, 250.0, 45.0)

    def moment(self) -> Moment:
        """See ``Core``."""
        now_s = self.clock.monotonic()
        taken_s = now_s - (0.2 if self.fresh else 3600.0)
        pack = PackState(replace(self.healthy, taken_at_s=taken_s), Identity("2.1", 0, 254, 1, 1, "AB12"))
        self.battery = replace(
            self.battery,
            made_s=now_s if self.fresh else now_s - 3600.0,
            packs=dict.fromkeys(self.names, pack),
            decided=self.limits,
            freshness=self.limits.freshness,
            saved_energy=self.energy,
            energy=self.energy,
        )
        return Moment.of(self.battery, self.clock, self.heard)

    def packs(self) -> Mapping[str, PackDetails]:
        """See ``Core``."""
        return {name: PackDetails() for name in self.names}

    def outputs(self) -> Mapping[str, CanState]:
        """See ``Core``."""
        return {"can": CanState(up=True, gx_state="present")}

    def events(self) -> Sequence[EventRecord]:
        """See ``Core``."""
        return self.records

    def inhibits(self) -> Sequence[Inhibit]:
        """See ``Core``."""
        return list(self.stops.values())

    async def inhibit(self, direction: Direction, duration_s: float | None, reason: str, by: str) -> Inhibit:
        """See ``Core``."""
        if self.disk_full:
            raise OSError(28, "No space left on device")
        self.stops[direction] = Inhibit(direction, self.clock.wall(), None, reason, by)
        return self.stops[direction]

    async def release(self, direction: Direction) -> bool:
        """See ``Core``."""
        return self.stops.pop(direction, None) is not None

    def note(self, event: Noted) -> None:
        """See ``Core``."""
        self.notes.append(event)


@pytest.fixture
def core(make_state: Callable[..., BatteryState]) -> FakeCore:
    """A bridge with a 16-cell pack that is fresh, on the clock of the machine."""
    return FakeCore(SystemClock(), make_state())


@dataclass
class Heard:
    """One message at the broker."""

    topic: str
    payload: bytes
    retained: bool

    @property
    def document(self) -> Any:
        """Its JSON."""
        return orjson.loads(self.payload)


class Witness:
    """A client that hears everything."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.ready = asyncio.Event()

    async def listen(self, port: int, **options: Any) -> None:
        """Listen until cancelled, over every restart of the broker."""
        while True:
            with suppress(aiomqtt.MqttError, OSError):
                async with aiomqtt.Client("127.0.0.1", port, **options) as client:
                    await client.subscribe("#", qos=1)
                    self.ready.set()
                    async for each in client.messages:
                        assert isinstance(each.payload, bytes)
                        self.heard.append(Heard(str(each.topic), each.payload, bool(each.retain)))
            await asyncio.sleep(0.05)

    def of(self, topic: str) -> list[Heard]:
        """Return what came under one topic."""
        return [each for each in self.heard if each.topic == topic]


async def _until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Any]:
    """Return what waits until something holds."""
    return _until


class Mosquitto:
    """A broker in a process of its own, on a port of its own."""

    def __init__(self, folder: Path, lines: Sequence[str]) -> None:
        self.port = free_port()
        self._file = folder / f"mosquitto-{self.port}.conf"
        self._lines = lines
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Serve; the port answers when this returns."""
        listener = [line for line in self._lines if not line.startswith("#")]
        self._file.write_text("\n".join([f"listener {self.port} 127.0.0.1", *listener, "log_type none", "user root\n"]))
        self._process = subprocess.Popen(
            [shutil.which("mosquitto") or "mosquitto", "-c", str(self._file)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(int(PATIENCE_S / 0.05)):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            assert self._process.poll() is None, "mosquitto has ended"
            _sleep()
        raise AssertionError("mosquitto does not answer")

    def kill(self) -> None:
        """End it without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _sleep() -> None:
    subprocess.run(["sleep", "0.05"], check=True)


@pytest.fixture(scope="session")
def mosquitto_there() -> None:
    """Skip where there is no Mosquitto."""
    if shutil.which("mosquitto") is None:
        pytest.skip("mosquitto is not installed")


@pytest.fixture
def new_broker(tmp_path: Path, mosquitto_there: None) -> Iterator[Callable[..., Mosquitto]]:
    """Return what starts a broker with lines of its configuration."""
    started: list[Mosquitto] = []

    def start(*lines: str) -> Mosquitto:
        started.append(Mosquitto(tmp_path, lines or ("allow_anonymous true",)))
        started[-1].start()
        return started[-1]

    yield start
    for each in started:
        each.kill()


@pytest.fixture
def configured() -> Callable[..., MqttOptions]:
    """Return what makes options for a broker of this machine."""

    def make(port: int, **keys: Any) -> MqttOptions:
        document = {"enabled": True, "port": port, "publish_interval_ms": 200, "reconnect_interval_ms": 500, **keys}
        return MqttOptions(interpret({"mqtt": document}, "test").configuration.mqtt, "House battery")

    return make


class Published:
    """A service that publishes, and its witness."""

    def __init__(self, core: FakeCore, options: MqttOptions, memory: MemoryStorage, folder: Path | None) -> None:
        self.standing = ServiceStanding("mqtt", core.clock, testable=True)
        self.service = MqttService(core, replace(options, folder=folder), self.standing, memory, in_thread)  # type: ignore[arg-type]

    def condition(self) -> str:
        """Return how it stands."""
        return self.standing.state().condition


@pytest.fixture
def memory() -> MemoryStorage:
    """What has been announced."""
    return MemoryStorage()


@pytest.fixture
def publishing(core: FakeCore, memory: MemoryStorage) -> Callable[..., Any]:
    """Return what runs a service as long as a block of the test lasts."""

    @asynccontextmanager
    async def run(options: MqttOptions, folder: Path | None = None) -> AsyncIterator[Published]:
        published = Published(core, options, memory, folder)
        task = asyncio.create_task(published.service.run())
        try:
            yield published
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    return run


@pytest.fixture
async def witness() -> AsyncIterator[Callable[..., Any]]:
    """Return what listens at a broker."""
    tasks: list[asyncio.Task[None]] = []

    async def listen(port: int, **options: Any) -> Witness:
        found = Witness()
        tasks.append(asyncio.create_task(found.listen(port, **options)))
        await _until(found.ready.is_set)
        return found

    yield listen
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def event() -> Callable[[int], EventRecord]:
    """Return what makes an entry of the event list."""

    def make(number: int) -> EventRecord:
        at = datetime(2026, 1, 1, 12, 0, number, tzinfo=UTC)
        return EventRecord(number, at, EventSource.BRIDGE, Severity.INFO, "gx.present", "GX is there", by="anna")

    return make


class Authority:
    """Makes certificates with one authority."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.file = folder / "ca.pem"
        self._key = folder / "ca.key"
        _openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Test authority",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign",
            "-keyout", str(self._key), "-out", str(self.file),
        )  # fmt: skip

    def __call__(self, name: str, host: str) -> tuple[Path, Path]:
        """Return the files of a certificate and its key."""
        key, request, certificate = (self._folder / f"{name}.{ending}" for ending in ("key", "csr", "pem"))
        _openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={host}", "-keyout", str(key), "-out", str(request)
        )
        names = self._folder / f"{name}.ext"
        names.write_text(f"subjectAltName={'IP' if host[0].isdigit() else 'DNS'}:{host}\n")
        _openssl(
            "x509", "-req", "-in", str(request), "-CA", str(self.file), "-CAkey", str(self._key), "-CAcreateserial",
            "-days", "2", "-extfile", str(names), "-out", str(certificate),
        )  # fmt: skip
        return certificate, key


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority for certificates of this test."""
    return Authority(tmp_path)
