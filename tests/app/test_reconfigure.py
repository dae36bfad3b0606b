"""Every key of the configuration: changed while the bridge runs, and its effect seen."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.app.reconfigure import LogParts, Reconfigurer, log_settings
from tinybms_bridge.app.web import add_web
from tinybms_bridge.battery.notices import NoticeSettings
from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.config.battery import check_alone
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.keys import Key, keys_of
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.config.models import Section
from tinybms_bridge.config.paths import state_directory
from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.core.bridge import Bridge, Machine
from tinybms_bridge.core.config_watch import ConfigWatch
from tinybms_bridge.core.event_log import EventLog
from tinybms_bridge.core.settings import can_settings, history_settings
from tinybms_bridge.errors import ConfigError, ConfigProblem
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.hal.can import CanFrame, CanPort, CanSettings
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort
from tinybms_bridge.hal.storage import FileStorage, MemoryStorage
from tinybms_bridge.link.events import ChangeSource, ConfigChanged
from tinybms_bridge.services.logs import LogStore
from tinybms_lab.bms import BmsOptions, Responder, SimulatedBms
from tinybms_lab.testing.can_memory import MemoryCanBus, MemoryCanPort
from tinybms_lab.testing.fake_clock import FakeClock

BASE: dict[str, Any] = {"logging": {"syslog_server": "127.0.0.1:5599", "output_syslog": True}}
"""Without a server the switch of syslog could not be tried."""

OWNERS: dict[str, set[str]] = {
    "hardware.uart.device": {"serial"},
    "hardware.uart.timeout_ms": {"client"},
    "hardware.can": {"can"},
    "tinybms.uart_retry_count": {"client"},
    "tinybms.uart_retry_delay_ms": {"client"},
    "tinybms.poll_interval_ms": {"poller", "interval"},
    "tinybms.write_soc": {"soc writer"},
    "tinybms": {"poller"},
    "cvl.series_cell_count": {"fit"},
    "cvl": {"pipeline"},
    "victron.pgn_update_interval_ms": {"period"},
    "victron.keepalive_timeout_ms": {"gx"},
    "victron.thresholds.soc_low_percent": {"notices"},
    "victron.thresholds.soc_high_percent": {"notices"},
    "victron.thresholds.derate_current_a": {"notices"},
    "victron.manufacturer_name": {"frames"},
    "victron.battery_name": {"frames"},
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
    "advanced.state_directory": {"folder", "log", "web"},
    "advanced.energy_save_interval_s": {"saving"},
    "advanced.history_enabled": {"history"},
    "advanced.history_days_10s": {"history"},
    "advanced.history_days_1min": {"history"},
    "advanced.history_days_15min": {"history"},
    "advanced": {"watchdog"},
    "web_server.websocket_update_interval_ms": {"live"},
    "web_server.websocket_min_interval_ms": {"live"},
    "web_server.websocket_burst_window_ms": {"live"},
    "web_server.websocket_burst_max": {"live"},
    "web_server.websocket_max_payload_bytes": {"live"},
    "web_server.max_ws_clients": {"live"},
    "web_server": {"web", "pages"},
}
"""What a key drives: the entry with its own name, else that of its section."""

WITHOUT_SERVICE = ("wifi", "mqtt")
"""Sections whose service is still to come: they must say so."""

TEXTS: dict[str, object] = {
    "hardware.uart.device": "/dev/ttyUSB7",
    "hardware.can.channel": "can5",
    "hardware.can.options": {"fd": False},
    "victron.manufacturer_name": "Acme",
    "victron.battery_name": "House bank",
    "victron.family_name": "House",
    "logging.syslog_server": "127.0.0.1:5598",
    "advanced.state_directory": "/nowhere/else",
    "mqtt.uri": "mqtt://broker.local",
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
    "web_server.username": "skipper",
    "web_server.listen_address": "127.0.0.1",
    "web_server.cors_origins": ["http://192.168.1.5:8123"],
    "web_server.tls_certificate": "/etc/bridge/cert.pem",
    "web_server.tls_key": "/etc/bridge/key.pem",
    "web_server.password": "secret word and more",
}
"""Values of the keys that are neither numbers, switches nor choices."""

COMPANIONS: dict[str, dict[str, Any]] = {
    "wifi.mode": {"wifi": {"ap_fallback": {"enabled": True, "password": "secret word"}}},
    "wifi.sta_ip_mode": {"wifi": {"sta_static_ip": "192.168.1.20", "sta_gateway": "192.168.1.1"}},
    "wifi.ap_fallback.enabled": {"wifi": {"ap_fallback": {"password": "secret word"}}},
    "web_server.enable_auth": {"web_server": {"password": "secret word and more"}},
    "mqtt.password": {"mqtt": {"username": "boat"}},
    "web_server.enable_cors": {"web_server": {"cors_origins": ["http://192.168.1.5:8123"]}},
    "web_server.cors_origins": {"web_server": {"enable_cors": True}},
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


class Line:
    """A serial line in memory to a simulated TinyBMS."""

    def __init__(self, clock: FakeClock) -> None:
        bms = SimulatedBms.build(clock, cells=16, soc=0.5, capacity_ah=100.0, options=BmsOptions(asleep_allowed=False))
        self._responder = Responder(bms, clock)
        self._on_data: OnData | None = None
        self.closed = 0

    async def open(self, on_data: OnData, _on_lost: OnLost) -> SerialPort:
        """Open the port."""
        self._on_data = on_data
        return self

    def write(self, data: bytes) -> None:
        """Answer as the BMS does."""
        for reply in self._responder.feed(data):
            asyncio.get_running_loop().call_soon(self._deliver, reply.data)

    def expect(self, count: int) -> None:
        """See ``SerialPort.expect``."""

    async def close(self) -> None:
        """Release the port."""
        self.closed += 1
        self._on_data = None

    def _deliver(self, data: bytes) -> None:
        if self._on_data is not None:
            self._on_data(data)


class Rig:
    """A running bridge whose configuration changes."""

    def __init__(self, tmp_path: Path, web: Any) -> None:
        self.web = web
        self.clock = FakeClock()
        self.line = Line(self.clock)
        self.bus = MemoryCanBus()
        self.ports: list[MemoryCanPort] = []
        self.opened_serial: list[str] = []
        self.opened_can: list[CanSettings] = []
        self.path = tmp_path / "config.json"
        self.full = False
        self.heard: list[CanFrame] = []
        self.bus.open().subscribe(self.heard.append)
        self.task: asyncio.Task[None] | None = None
        self.adjust: Callable[[Configuration], Configuration] = lambda config: config

    async def start(self, document: dict[str, Any]) -> None:
        """Run until frames are sent and the changes are followed."""
        await asyncio.to_thread(self._load, document)
        machine = Machine(
            self.clock,
            self._open_serial,
            self._open_can,
            MemoryStorage(),
            use=self._use,
            folder=lambda: state_directory(self.config.advanced.state_directory),
            run_blocking=in_place,
        )
        self.bridge = Bridge(self.config, machine, SavedUnits())
        self.logs = LogStore(log_settings(self.config, keep=True), console=logging.NullHandler)
        self.event_log = EventLog(self.bridge.bus, log_charge_states=self.config.logging.log_cvl_changes)
        self.settings = Reconfigurer(self.bridge, LogParts(self.logs, self.event_log), lambda new: self.adjust(new))
        self.news = self.bridge.bus.subscribe(ConfigChanged, depth=100)
        self.watch = ConfigWatch(self.path, self.store, self.clock, self._reload, run_blocking=in_place)
        self.bridge.supervisor.add("settings", partial(self.settings.run, self.store))
        self.bridge.supervisor.add("config-watch", self.watch.run)
        self.end_web = add_web(self.bridge, self.store, self.logs, lambda: None)
        self.task = asyncio.create_task(self.bridge.run())
        await self.until(lambda: any(frame.arbitration_id == 0x351 for frame in self.heard) and self.web.runs)

    async def until(self, condition: Callable[[], object]) -> None:
        """Let time pass until a condition holds."""
        end_s = self.clock.monotonic() + 900.0
        while not condition():
            assert self.clock.monotonic() < end_s, "it did not happen"
            assert self.task is not None
            assert not self.task.done(), "the bridge has ended"
            await self.clock.advance(0.05)

    async def change(self, document: dict[str, Any]) -> ConfigChanged:
        """Put a document in the place of the configuration, as the API does, and wait for the news."""
        await asyncio.to_thread(self.store.replace, document)
        return await self.told()

    async def edit(self, text: str) -> None:
        """Change the file by hand."""
        await asyncio.to_thread(self.path.write_text, text)

    async def told(self) -> ConfigChanged:
        """Wait for the next news of a change and until the ports are open again."""
        await self.until(lambda: len(self.news))
        envelope = self.news.take()
        assert envelope is not None
        assert isinstance(envelope.event, ConfigChanged)
        await self.until(lambda: self.bridge.can.transmitter is not None and self.bridge.pack.client.connected)
        return envelope.event

    def observe(self) -> dict[str, object]:
        """Return what is in force in each part."""
        bridge = self.bridge
        return {
            "client": bridge.pack.client.settings,
            "poller": bridge.pack.poller.settings,
            "soc writer": bridge.config.tinybms.write_soc,
            "interval": bridge.pack.poller.interval.interval_ms,
            "pipeline": replace(bridge.battery.settings, notices=NoticeSettings()),
            "frames": bridge.can._frame_settings,
            "notices": bridge.battery.settings.notices,
            "gx": bridge.can.gx.timeout_s,
            "period": bridge.can.transmitter.settings if bridge.can.transmitter else None,
            "serial": (self.opened_serial[-1], len(self.opened_serial), self.line.closed),
            "can": (self.opened_can[-1], len(self.opened_can), self.ports[-1].statistics.up),
            "watchdog": (bridge.guard.enabled, bridge.guard.timeout_s),
            "saving": (bridge.keeper.interval_s, bridge.supervisor.parts["state"].restarts),
            "folder": self.config.advanced.state_directory,
            "history": history_settings(self.config),
            "log": self.logs.settings,
            "charge states": self.event_log.log_charge_states,
            "uart traffic": bridge.pack.client.on_traffic,
            "can traffic": bridge.can.on_traffic,
            "fit": bridge.advisor.conflicts,
            "web": len(self.web.runs),
            "pages": self.web.runs[-1],
            "live": self.web.watch.hub.settings,
        }

    async def end(self) -> None:
        """Stop as a signal does."""
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task
            self.end_web()
            await asyncio.to_thread(self.logs.close)

    def _load(self, document: dict[str, Any]) -> None:
        self.path.write_text(json.dumps(document))
        self.store = ConfigStore(FileStorage(self.path))
        self.config = self.store.load()

    def _reload(self) -> None:
        with self.settings.source(ChangeSource.FILE):
            self.store.reload_if_changed()

    def _use(self, config: Configuration) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.config = config

    async def _open_serial(self, on_data: OnData, on_lost: OnLost) -> SerialPort:
        self.opened_serial.append(self.config.hardware.uart.device)
        return await self.line.open(on_data, on_lost)

    async def _open_can(self) -> CanPort:
        self.opened_can.append(can_settings(self.config))
        self.ports.append(self.bus.open())
        return self.ports[-1]


@pytest.fixture
async def rig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, web: Any
) -> AsyncIterator[Rig]:
    """A bridge that is not started yet; it ends with the test."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    caplog.set_level(logging.INFO, "tinybms_bridge")
    rig = Rig(tmp_path, web)
    yield rig
    await rig.end()


def owner(path: str) -> set[str]:
    """Return what a key drives; nothing for keys without a meaning here."""
    if LEAVES[path].meaning.no_effect or path.partition(".")[0] in WITHOUT_SERVICE:
        return set()
    name = path
    while name not in OWNERS:
        name = name.rpartition(".")[0]
    return OWNERS[name]


@pytest.mark.parametrize("path", LEAVES)
async def test_every_key_takes_effect_without_a_restart(rig: Rig, path: str) -> None:
    """A change reaches the part that the key drives, no other part, and everybody is told its path."""
    document = merged(BASE, COMPANIONS.get(path, {}))
    changed = another(path, document)
    await rig.start(document)
    before, tables = rig.observe(), rig.bridge.supervisor.parts["uart"].restarts
    event = await rig.change(changed)
    if "serial" in owner(path):
        await rig.until(lambda: len(rig.opened_serial) == 2)
    if "can" in owner(path):
        await rig.until(lambda: len(rig.opened_can) == 2 and rig.bridge.can.transmitter is not None)
    if "web" in owner(path):
        await rig.until(lambda: len(rig.web.runs) == 2)
    after = rig.observe()
    different = {name for name in before if before[name] != after[name]}
    assert event == ConfigChanged((path,), ChangeSource.API)
    assert value_at(rig.bridge.config, path) == value_at(interpret(changed, "test").configuration, path)
    allowed = {"fit", "pages"} if "folder" in owner(path) else {"fit"}  # the folder is also that of the certificate
    assert owner(path) <= different <= owner(path) | allowed
    assert rig.bridge.supervisor.parts["uart"].restarts - tables == (1 if "serial" in owner(path) else 0)


def test_keys_without_an_effect_say_why() -> None:
    """A key that does nothing says in the schema that it has no meaning, or in a notice that its service is missing."""
    silent = {path for path in LEAVES if not owner(path)}
    waiting = {path for path in silent if path.partition(".")[0] in WITHOUT_SERVICE}
    assert len(silent - waiting) == 14
    assert all(LEAVES[path].meaning.no_effect for path in silent - waiting)
    for path in waiting:
        changed = interpret(another(path, merged(BASE, COMPANIONS.get(path, {}))), "test")
        (notice,) = (each for each in changed.notices if each.path == path.partition(".")[0])
        assert notice.message.startswith("no effect yet: ")


async def test_frame_period_changes_on_the_bus(rig: Rig) -> None:
    """From one burst a second to five, once the next burst of the old period has begun."""
    await rig.start({})
    await rig.change({"victron": {"pgn_update_interval_ms": 200}})
    await rig.clock.advance(1.0)
    rig.heard.clear()
    for _ in range(40):
        await rig.clock.advance(0.05)
    assert sum(frame.arbitration_id == 0x351 for frame in rig.heard) == pytest.approx(10, abs=1)


async def test_changed_limit_is_sent_at_once(rig: Rig) -> None:
    """A lower charge current reaches the GX without waiting for the next second."""
    await rig.start({})
    await rig.change({"victron": {"max_charge_current_a": 7}})
    await rig.clock.advance(0.1)
    (*_, last) = [frame for frame in rig.heard if frame.arbitration_id == 0x351]
    assert int.from_bytes(last.data[2:4], "little", signed=True) <= 70


async def test_another_adapter_leaves_the_other_bus_alone(rig: Rig) -> None:
    """The CAN channel is reopened while the BMS is read, and the other way round."""
    await rig.start({})
    await rig.change({"hardware": {"can": {"channel": "can3"}}})
    await rig.until(lambda: len(rig.ports) == 2)
    assert (rig.line.closed, rig.ports[0].statistics.up) == (0, False)
    assert rig.opened_can[-1].channel == "can3"
    await rig.change({"hardware": {"can": {"channel": "can3"}, "uart": {"device": "/dev/ttyUSB7"}}})
    await rig.until(lambda: len(rig.opened_serial) == 2)
    assert (rig.line.closed, len(rig.ports)) == (1, 2)
    assert rig.opened_serial == ["/dev/ttyUSB0", "/dev/ttyUSB7"]


async def test_edited_file_is_in_force_within_two_seconds(rig: Rig) -> None:
    """An editor is as good as the API; the news names the file as the source."""
    await rig.start({})
    await rig.until(lambda: rig.bridge.supervisor.parts["config-watch"].state == "running")
    await rig.edit(json.dumps({"victron": {"stale_hold_s": 12}}))
    event = await rig.told()
    assert event == ConfigChanged(("victron.stale_hold_s",), ChangeSource.FILE)
    assert rig.bridge.battery.settings.limits.freshness.hold_s == 12


async def test_bad_file_changes_nothing_and_is_told_once(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Every mistake in a line of its own, once; the next good file is in force again."""
    await rig.start({"victron": {"stale_hold_s": 12}})
    before = rig.observe()
    await rig.edit(json.dumps({"victron": {"stale_hold_s": 600}, "tinybms": {"uart_retry_count": "x"}}))
    await rig.until(lambda: any("configuration not used" in line for line in caplog.messages))
    for _ in range(60):
        await rig.clock.advance(0.1)
    told = [line for line in caplog.messages if "configuration not used" in line]
    assert len(told) == 2
    assert rig.observe() == before
    await rig.edit(json.dumps({"victron": {"stale_hold_s": 14}}))
    assert (await rig.told()).paths == ("victron.stale_hold_s",)
    await rig.until(lambda: "the configuration file can be used again" in caplog.messages)


async def test_refused_change_leaves_everything(rig: Rig) -> None:
    """What the store refuses never reaches the bridge."""
    await rig.start({})
    before = rig.observe()
    with pytest.raises(ConfigError):
        await asyncio.to_thread(rig.store.update, {"victron": {"stale_hold_s": 600}})
    await rig.clock.advance(1.0)
    assert rig.observe() == before
    assert len(rig.news) == 0


async def test_command_line_wins_over_later_changes(rig: Rig) -> None:
    """What was chosen at the start stays for this run; only what is in force afterwards is told as changed."""

    def adjust(config: Configuration) -> Configuration:
        return replace(config, logging=replace(config.logging, log_level="ERROR"))

    await rig.start({})
    rig.adjust = adjust
    event = await rig.change({"logging": {"log_level": "DEBUG"}})
    assert event.paths == ("logging.log_level",)
    assert rig.bridge.config.logging.log_level == rig.logs.settings.level == "ERROR"


async def test_change_that_cannot_be_adjusted_is_told(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """An override that does not fit the new configuration keeps the old one in force."""

    def adjust(_config: Configuration) -> Configuration:
        raise ConfigError([ConfigProblem("hardware", None, "does not fit")])

    await rig.start({})
    rig.adjust = adjust
    before = rig.observe()
    await asyncio.to_thread(rig.store.update, {"victron": {"stale_hold_s": 9}})
    await rig.until(lambda: any("the changed configuration is not used" in line for line in caplog.messages))
    assert rig.observe() == before
    assert len(rig.news) == 0


async def test_state_directory_that_cannot_be_used_is_told(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """A full disk does not keep the other keys of the same change from taking effect."""
    await rig.start({})
    rig.full = True
    folder = rig.logs.settings.folder
    await rig.change({"advanced": {"state_directory": "/full"}, "victron": {"stale_hold_s": 5}})
    assert rig.bridge.battery.settings.limits.freshness.hold_s == 5
    assert rig.logs.settings.folder == folder
    assert any("No space left on device; the old one stays in use" in line for line in caplog.messages)


async def test_change_made_while_nobody_listened_is_caught_up(rig: Rig) -> None:
    """A change between loading and listening, or during a restart of the part, is not lost."""
    await rig.start({})
    rig.bridge.supervisor.restart("settings")
    await asyncio.to_thread(rig.store.update, {"victron": {"stale_hold_s": 3}})
    event = await rig.told()
    assert event.paths == ("victron.stale_hold_s",)


async def test_changes_in_quick_succession_end_with_the_last(rig: Rig) -> None:
    """Ten changes from two threads: the bridge ends where the store does."""
    await rig.start({})
    await asyncio.gather(
        *(asyncio.to_thread(rig.store.update, {"victron": {"stale_hold_s": second}}) for second in range(1, 11))
    )
    await rig.until(lambda: rig.bridge.config.victron.stale_hold_s == rig.store.configuration.victron.stale_hold_s)
    await rig.until(lambda: len(rig.news) > 0)
    assert rig.bridge.battery.settings.limits.freshness.hold_s == rig.store.configuration.victron.stale_hold_s
