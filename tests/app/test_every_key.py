"""Every key of the configuration: changed through the services while both processes run, and its effect seen."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.app import core
from tinybms_bridge.app.core import CoreStart, run_core
from tinybms_bridge.app.extras import Extra
from tinybms_bridge.app.services import Services, open_store
from tinybms_bridge.battery.notices import NoticeSettings
from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.config.battery import check_alone
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.keys import Key, keys_of
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.config.models import Section
from tinybms_bridge.config.paths import state_directory
from tinybms_bridge.core.bridge import Bridge, Machine
from tinybms_bridge.core.settings import can_settings
from tinybms_bridge.errors import ConfigError
from tinybms_bridge.hal.blocking import in_place, in_thread
from tinybms_bridge.hal.can import CanPort, CanSettings
from tinybms_bridge.hal.hardware_watchdog import HardwareSettings, HardwareWatchdog
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.link.client import LinkClient
from tinybms_bridge.link.events import ConfigChanged
from tinybms_bridge.link.mirror import Mirror
from tinybms_bridge.link.state import EVENTS, CoreState
from tinybms_lab.testing.can_memory import MemoryCanBus
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.link_place import PATIENCE_S
from tinybms_lab.testing.serial_memory import MemoryLine

BASE: dict[str, Any] = {"logging": {"syslog_server": "127.0.0.1:5599", "output_syslog": True}}
"""Without a server the switch of syslog could not be tried."""

OWNERS: dict[str, set[str]] = {
    "hardware.uart.device": {"serial"},
    "hardware.uart.timeout_ms": {"client"},
    "hardware.can": {"can"},
    "tinybms.uart_retry_count": {"client"},
    "tinybms.uart_retry_delay_ms": {"client"},
    "tinybms.write_soc": {"soc writer"},
    "tinybms": {"poller"},
    "packs": {"new start"},
    "battery": {"pipeline"},
    "cvl.series_cell_count": {"fit"},
    "cvl": {"pipeline"},
    "victron.pgn_update_interval_ms": {"period"},
    "victron.keepalive_timeout_ms": {"gx"},
    "victron.thresholds.soc_low_percent": {"notices"},
    "victron.thresholds.soc_high_percent": {"notices"},
    "victron.thresholds.derate_current_a": {"notices"},
    "victron.manufacturer_name": {"frames"},
    "victron.battery_name": {"frames", "mqtt", "mdns"},
    "victron.family_name": {"frames"},
    "victron.send_manufacturer": {"frames"},
    "victron.battery_model_id": {"frames"},
    "victron.send_discharge_voltage": {"frames"},
    "victron.system_status": {"frames"},
    "victron.installed_capacity_bytes": {"frames"},
    "victron": {"pipeline"},
    "logging.log_uart_traffic": {"uart traffic"},
    "logging.log_can_traffic": {"can traffic"},
    "logging.log_cvl_changes": {"charge states"},
    "logging": {"log"},
    "advanced.state_directory": {"folder", "log", "web", "mqtt"},
    "advanced.energy_save_interval_s": {"saving"},
    "advanced.history_enabled": {"history"},
    "advanced.history_days_10s": {"history"},
    "advanced.history_days_1min": {"history"},
    "advanced.history_days_15min": {"history"},
    "advanced.history_size_mb": {"history"},
    "advanced.hardware_watchdog": {"machine watchdog"},
    "advanced.hardware_watchdog_device": {"machine watchdog"},
    "advanced": {"watchdog"},
    "web_server.websocket_update_interval_ms": {"live"},
    "web_server.websocket_min_interval_ms": {"live"},
    "web_server.websocket_burst_window_ms": {"live"},
    "web_server.websocket_burst_max": {"live"},
    "web_server.websocket_max_payload_bytes": {"live"},
    "web_server.max_ws_clients": {"live"},
    "web_server": {"web", "pages"},
    "mqtt": {"mqtt"},
    "metrics": {"metrics"},
    "notifications": {"notifications"},
    "mdns": {"mdns"},
    "wifi.sta_hostname": {"mdns"},
    "web_server.enabled": {"web", "pages", "mdns", "metrics"},
    "web_server.listen_address": {"web", "pages", "mdns"},
    "web_server.enable_auth": {"web", "pages", "mdns"},
}
"""What a key drives: the entry with its own name, else that of its section."""

WITHOUT_SERVICE = ("wifi",)
"""Sections whose service is still to come: they must say so, but for what another service takes from them."""

TEXTS: dict[str, object] = {
    "hardware.uart.device": "/dev/ttyUSB7",
    "packs": {"main": {"uart": {"device": "/dev/ttyUSB0"}}, "b": {"uart": {"device": "/dev/ttyUSB8"}}},
    "hardware.can.channel": "can5",
    "hardware.can.options": {"fd": False},
    "victron.manufacturer_name": "Acme",
    "victron.battery_name": "House bank",
    "victron.family_name": "House",
    "logging.syslog_server": "127.0.0.1:5598",
    "advanced.state_directory": "/nowhere/else",
    "advanced.hardware_watchdog_device": "/dev/watchdog7",
    "mqtt.uri": "mqtt://broker.local",
    "mqtt.further_uris": ["mqtts://other.local:8884"],
    "mqtt.client_certificate": "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----",
    "mqtt.client_key": "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----",
    "mqtt.home_assistant.discovery_prefix": "ha",
    "mqtt.client_id": "another",
    "mqtt.username": "boat",
    "mqtt.password": "secret word",
    "mqtt.root_topic": "boat/battery",
    "mqtt.server_certificate": "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----",
    "wifi.sta_ssid": "Harbour",
    "wifi.sta_password": "secret word",
    "wifi.sta_hostname": "boat",
    "wifi.sta_static_ip": "192.168.1.20",
    "wifi.sta_gateway": "192.168.1.1",
    "wifi.sta_subnet": "255.255.0.0",
    "wifi.ap_fallback.ssid": "Boat",
    "wifi.ap_fallback.password": "secret word",
    "metrics.token": "a-token-of-32-characters-in-all-1",
    "web_server.username": "skipper",
    "web_server.listen_address": "127.0.0.1",
    "web_server.cors_origins": ["http://192.168.1.6:8123"],
    "web_server.tls_certificate": "/etc/bridge/cert.pem",
    "web_server.tls_key": "/etc/bridge/key.pem",
    "web_server.password": "another secret word",
    "notifications.site": "Boat",
    "notifications.only": ["low_soc"],
    "notifications.never": ["high_voltage"],
    "notifications.quiet_from": "22:00",
    "notifications.quiet_to": "07:00",
    "notifications.webhook.url": "http://127.0.0.1:9/another",
    "notifications.webhook.token": "secret-word",
    "notifications.webhook.server_certificate": "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----",
    "notifications.ntfy.url": "http://127.0.0.1:9",
    "notifications.ntfy.topic": "another",
    "notifications.ntfy.token": "secret-word",
    "notifications.ntfy.server_certificate": "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----",
    "notifications.email.server": "localhost",
    "notifications.email.username": "boat",
    "notifications.email.password": "secret word",
    "notifications.email.sender": "boat@example.org",
    "notifications.email.recipients": ["you@example.org"],
    "notifications.email.server_certificate": "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----",
}
"""Values of the keys that are neither numbers, switches nor choices."""

COMPANIONS: dict[str, dict[str, Any]] = {
    "wifi.mode": {"wifi": {"ap_fallback": {"enabled": True, "password": "secret word"}}},
    "wifi.sta_ip_mode": {"wifi": {"sta_static_ip": "192.168.1.20", "sta_gateway": "192.168.1.1"}},
    "wifi.ap_fallback.enabled": {"wifi": {"ap_fallback": {"password": "secret word"}}},
    "web_server.enable_auth": {"web_server": {"password": "secret word and more", "listen_address": ""}},
    "web_server.listen_address": {"web_server": {"enabled": True}},
    "mqtt.password": {"mqtt": {"username": "boat"}},
    "mqtt.client_certificate": {"mqtt": {"client_key": "-----BEGIN PRIVATE KEY-----"}},
    "metrics.token": {"metrics": {"enabled": True}},
    "web_server.enable_cors": {"web_server": {"cors_origins": ["http://192.168.1.5:8123"]}},
    "web_server.cors_origins": {"web_server": {"enable_cors": True}},
    "notifications.enabled": {"notifications": {"webhook": {"enabled": True, "url": "http://127.0.0.1:9/hook"}}},
    "notifications.quiet_from": {"notifications": {"quiet_from": "21:00", "quiet_to": "06:00"}},
    "notifications.webhook.enabled": {
        "notifications": {"ntfy": {"enabled": True, "url": "http://127.0.0.1:10", "topic": "boat"}}
    },
    "notifications.ntfy.enabled": {"notifications": {"webhook": {"enabled": True}}},
    "notifications.email.enabled": {
        "notifications": {"email": {"server": "127.0.0.1", "recipients": ["me@example.org"]}}
    },
    "notifications.email.username": {"notifications": {"email": {"username": "captain", "password": "word"}}},
}
"""What must already be set for a key to be changed at all."""


def leaves(model: type[Section], prefix: str = "") -> Iterator[tuple[str, Key]]:
    """Yield every key with its path."""
    for name, key in keys_of(model).items():
        if key.section is None:
            yield f"{prefix}{name}", key
        else:
            yield from leaves(key.section, f"{prefix}{name}.")


LEAVES = {path: key for path, key in leaves(Configuration) if len(key.choices) != 1}
"""The keys that can have more than one value."""


def nested(path: str, value: object) -> dict[str, Any]:
    """Return a document with one value."""
    document: Any = value
    for key in reversed(path.split(".")):
        document = {key: document}
    return dict(document)


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay one document over another."""
    result = dict(below)
    for key, value in above.items():
        inner = result.get(key)
        result[key] = merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return result


def configured(document: dict[str, Any]) -> Configuration:
    """Return the configuration of a document. Blocks."""
    return interpret(document, "test").configuration


def value_at(config: Configuration, path: str) -> object:
    """Return the value in force."""
    value: object = config
    for key in path.split("."):
        value = getattr(value, key)
    return value


def candidates(path: str, key: Key) -> Iterator[object]:
    """Yield values to try, likely ones first."""
    if path in TEXTS:
        yield TEXTS[path]
    elif path.startswith("cvl.curves."):
        temperature = path.endswith("temperature")
        yield [[-10, 0], [45, 1]] if temperature else [[0, 1], [50, 0.9], [100, 0.8]]
        yield [[3.0, 1], [3.5, 0.5]]
        yield [[3.5, 0.5], [3.0, 1]]
        yield [[2.5, 0], [3.0, 1]]
    elif key.choices:
        yield from key.choices
    elif key.type is bool:
        yield from (True, False)
    else:
        bounds = key.range
        assert bounds is not None, f"no value known for {path}"
        whole = key.type is int
        low, high = bounds
        near = [] if key.default is None else [key.default + step for step in (1, -1, 0.5, 0.05, -0.05)]
        spread = [low + (high - low) * part / 40 for part in range(41)]
        for value in (*near, *spread):
            if low <= value <= high:
                yield round(value) if whole else value


def another(path: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return a valid document in which exactly this key has another value."""
    before = value_at(interpret(document, "test").configuration, path)
    for value in candidates(path, LEAVES[path]):
        changed = merged(document, nested(path, value))
        with suppress(ConfigError):
            wanted = interpret(changed, "test").configuration
            if value_at(wanted, path) != before and not check_alone(wanted):
                return changed
    raise AssertionError(f"no other value is accepted for {path}")


INDEPENDENT = ("logging", "wifi")
"""Sections whose keys hide each other's effect: each is tried from the beginning, the others one after the other."""


class NoDevice(HardwareWatchdog):
    """A watchdog of the machine that is never opened."""

    wanted: HardwareSettings | None = None

    def apply(self, wanted: HardwareSettings | None) -> None:
        """See ``HardwareWatchdog.apply``."""
        self.wanted = wanted


class Console:
    """A terminal that shows nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        """Open nothing."""

    def offer(self, _line: object) -> None:
        """Take a line."""

    def stop(self) -> None:
        """End."""

    def join(self, _timeout_s: float) -> None:
        """Wait for nothing."""


class Rig:
    """Both processes on a machine in memory, joined by a real socket."""

    def __init__(self, home: Path, web: Any) -> None:
        self.web = web
        self.clock = FakeClock()
        self.line = MemoryLine(self.clock)
        self.bus = MemoryCanBus()
        self.hardware_watchdog = NoDevice()
        self.opened_serial: list[str] = []
        self.opened_can: list[CanSettings] = []
        self.path = home / "config.json"
        self.socket = home / "core.sock"
        self.bridge: Bridge
        self.config = Configuration()
        self.tasks: list[asyncio.Task[None]] = []
        self.extras: dict[str, object] = {}
        """With what each service that may be wanted runs."""
        self.new_starts = 0
        """How often the core was to begin anew, which it does for other packs."""

    async def run_extra(self, extra: Any) -> None:
        """Stand in for ``Extra._run``: nothing of this machine leaves it."""
        self.extras[extra.name] = extra._wanted
        await asyncio.Event().wait()

    def machine(self, config: Configuration, *, keep: bool) -> Machine:
        """Stand in for ``machine_for``."""
        self.config = config
        return Machine(
            self.clock,
            self._open_serial,
            self._open_can,
            MemoryStorage(),
            hardware_watchdog=self.hardware_watchdog,
            use=self._use,
            folder=lambda: state_directory(self.config.advanced.state_directory),
            keeps=keep,
            run_blocking=in_place,
        )

    def build(self, config: Configuration, machine: Machine, saved: SavedUnits) -> Bridge:
        """Stand in for ``Bridge``; this battery takes any configuration."""
        self.bridge = Bridge(config, machine, saved)
        self.bridge.refuse_conflicts = lambda wanted: None  # type: ignore[method-assign]
        return self.bridge

    async def start(self, document: dict[str, Any]) -> None:
        """Run until frames are sent and the pages are served."""
        await in_place(self.path.write_text, json.dumps(document))
        start = CoreStart(
            interpret(document, "test").configuration, path=self.path, socket=str(self.socket), services=False
        )
        self.tasks.append(asyncio.create_task(run_core(start)))
        await self.until(self.socket.is_socket)
        self.mirror = Mirror(CoreState, EVENTS, self.clock.monotonic)
        link = LinkClient([self.socket], self.mirror, self.clock, who="services", program_version="9.9")
        self.tasks.append(asyncio.create_task(link.run()))
        await self.until(lambda: self.mirror.state.core.version)
        store = await in_thread(open_store, self.mirror.state.configuration)
        self.services = Services(link, self.mirror, self.clock, store, quiet=False)
        self.told_core = self.bridge.bus.subscribe(ConfigChanged, depth=100)
        self.told_services = self.services.bus.subscribe(ConfigChanged, depth=100)
        self.tasks.append(asyncio.create_task(self.services.run()))
        await self.until(lambda: self.web.runs and self.bridge.can.transmitter is not None)
        await self.until(lambda: self.bridge.pack.ratings is not None)
        self.bridge.on_other_packs = self._start_anew

    def _start_anew(self) -> None:
        self.new_starts += 1

    async def until(self, condition: Callable[[], object]) -> None:
        """Let time pass, for sockets and threads too, until a condition holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                for task in self.tasks:
                    assert not task.done() or task.result() is None
                await self.clock.advance(0.05)
                await asyncio.sleep(0.001)

    async def change(self, document: dict[str, Any]) -> tuple[ConfigChanged, ConfigChanged]:
        """Put a document in the place of the configuration, as the API does, until both processes have told of it."""
        replacing = asyncio.create_task(asyncio.to_thread(self.services.store.replace, document))
        await self.until(replacing.done)
        replacing.result()
        await self.until(lambda: len(self.told_core) and len(self.told_services))
        await self.until(lambda: self.bridge.can.transmitter is not None and self.bridge.pack.client.connected)
        await self.until(lambda: self.services.folder == self._folder())
        events = [each.take() for each in (self.told_core, self.told_services)]
        first, second = (None if each is None else each.event for each in events)
        assert isinstance(first, ConfigChanged)
        assert isinstance(second, ConfigChanged)
        return first, second

    def observe(self) -> dict[str, object]:
        """Return what is in force in each part of both processes."""
        bridge, services = self.bridge, self.services
        event_log: Any = bridge.supervisor.parts["log"].run
        return {
            "client": bridge.pack.client.settings,
            "poller": bridge.pack.poller.settings,
            "soc writer": bridge.config.tinybms.write_soc,
            "pipeline": replace(bridge.battery.settings, notices=NoticeSettings()),
            "frames": bridge.can._frame_settings,
            "notices": bridge.battery.settings.notices,
            "gx": bridge.can.gx.timeout_s,
            "period": bridge.can.transmitter.settings if bridge.can.transmitter else None,
            "serial": (self.opened_serial[-1], len(self.opened_serial), self.line.closed),
            "can": (self.opened_can[-1], len(self.opened_can)),
            "watchdog": (bridge.guard.enabled, bridge.guard.timeout_s),
            "machine watchdog": self.hardware_watchdog.wanted,
            "saving": (bridge.keeper.interval_s, bridge.supervisor.parts["state"].restarts),
            "folder": self._folder(),
            "history": services.history.settings,
            "log": (services.logs.settings, services._console is None, logging.getLogger("tinybms_bridge").level),
            "charge states": event_log.__self__._log_charge_states,
            "uart traffic": bridge.pack.client.on_traffic is not None,
            "can traffic": bridge.can._log_traffic,
            "fit": bridge.advisor.conflicts,
            "new start": self.new_starts,
            "web": len(self.web.runs),
            "pages": self.web.runs[-1],
            "live": self.web.watch.broadcaster.settings,
            **{extra.name: self.extras[extra.name] for extra in services.extras},
        }

    async def end(self) -> None:
        """Stop both as a signal does."""
        for task in reversed(self.tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _folder(self) -> Path:
        return state_directory(self.config.advanced.state_directory)

    def _use(self, config: Configuration) -> None:
        self.config = config

    async def _open_serial(self, on_data: OnData, on_lost: OnLost) -> SerialPort:
        self.opened_serial.append(self.config.hardware.uart.device)
        return await self.line.open(on_data, on_lost)

    async def _open_can(self) -> CanPort:
        self.opened_can.append(can_settings(self.config))
        return self.bus.open()


@pytest.fixture
async def rig(
    checks_here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, web: Any
) -> AsyncIterator[Rig]:
    """Both processes, not started yet; they end with the test."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    caplog.set_level(logging.INFO, "tinybms_bridge")
    rig = Rig(tmp_path, web)
    monkeypatch.setattr(core, "machine_for", rig.machine)
    monkeypatch.setattr(core, "Bridge", rig.build)
    monkeypatch.setattr(Extra, "_run", lambda extra: rig.run_extra(extra))
    for name in ("core", "services"):
        monkeypatch.setattr(f"tinybms_bridge.app.{name}.LogOutput", Console)
    level = logging.getLogger("tinybms_bridge").level
    yield rig
    await rig.end()
    logging.getLogger("tinybms_bridge").setLevel(level)


def owner(path: str) -> set[str]:
    """Return what a key drives; nothing for keys without a meaning here."""
    if LEAVES[path].meaning.no_effect or (path.partition(".")[0] in WITHOUT_SERVICE and path not in OWNERS):
        return set()
    name = path
    while name not in OWNERS:
        name = name.rpartition(".")[0]
    return OWNERS[name]


def changes(before: dict[str, object], after: dict[str, object]) -> set[str]:
    """Return what is in force in another way."""
    return {name for name in before if before[name] != after[name]}


def part_of(path: str) -> str:
    """Return the section whose keys are tried in one run."""
    return path.partition(".")[0]


@pytest.mark.parametrize("section", sorted({part_of(path) for path in LEAVES}))
async def test_every_key_takes_effect_without_a_restart(rig: Rig, tmp_path: Path, section: str) -> None:
    """A change reaches the part that the key drives, no other, and everybody in both processes is told its path."""
    TEXTS["advanced.state_directory"] = str(tmp_path / "elsewhere")
    await rig.start(BASE)
    present = BASE
    for path in (each for each in LEAVES if part_of(each) == section):
        document = merged(BASE if section in INDEPENDENT else present, COMPANIONS.get(path, {}))
        changed = await in_thread(another, path, document)  # ports of packs are looked up
        if await in_thread(configured, document) != await in_thread(configured, present):
            await rig.change(document)
            await settled(rig)
        before, tables = rig.observe(), rig.bridge.supervisor.parts["uart"].restarts
        opened = {"serial": len(rig.opened_serial), "can": len(rig.opened_can), "web": len(rig.web.runs)}
        events = await rig.change(changed)
        await settled(rig, **{name: count + (name in owner(path)) for name, count in opened.items()})
        with suppress(TimeoutError):  # then it is told below what is missing
            await rig.until(lambda before=before, path=path: owner(path) <= changes(before, rig.observe()))  # type: ignore[misc]
        after, present = rig.observe(), changed
        different = changes(before, after)
        told = ("packs.main", "packs.b") if path == "packs" else (path,)
        assert [event.paths for event in events] == [told, told], path
        wanted = value_at(await in_thread(configured, changed), path)
        assert value_at(rig.bridge.config, path) == value_at(rig.services.config, path) == wanted, path
        allowed = {"fit"}
        if "folder" in owner(path):
            allowed = {"fit", "pages"}  # the folder is also that of the certificate
        assert owner(path) <= different <= owner(path) | allowed, path
        assert rig.bridge.supervisor.parts["uart"].restarts - tables == ("serial" in owner(path)), path
    assert [part.error for part in rig.bridge.supervisor.parts.values() if part.error] == []


async def settled(rig: Rig, serial: int = 0, can: int = 0, web: int = 0) -> None:
    """Wait until ports and pages have been opened so often, and all is at work again."""
    await rig.until(
        lambda: len(rig.opened_serial) >= serial and len(rig.opened_can) >= can and len(rig.web.runs) >= web
    )
    await rig.until(lambda: rig.bridge.can.transmitter is not None and rig.bridge.pack.ratings is not None)
    await rig.until(lambda: all(rig.extras.get(each.name) == each._wanted for each in rig.services.extras))
    end_s = rig.clock.monotonic() + 0.2
    await rig.until(lambda: rig.clock.monotonic() >= end_s)


def test_keys_without_an_effect_say_why() -> None:
    """A key that does nothing says in the schema that it has no meaning, or in a notice that its service is missing."""
    silent = {path for path in LEAVES if not owner(path)}
    waiting = {path for path in silent if path.partition(".")[0] in WITHOUT_SERVICE}
    assert len(silent - waiting) == 14
    assert all(LEAVES[path].meaning.no_effect for path in silent - waiting)
    for path in waiting:
        changed = interpret(another(path, merged(BASE, COMPANIONS.get(path, {}))), "test")
        (notice,) = (each for each in changed.notices if each.path == path.partition(".")[0])
        assert notice.message.text.startswith("no effect yet: ")
