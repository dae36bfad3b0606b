import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.alarm_rules import AlarmSettings
from tinybms_bridge.battery.freshness import FreshnessSettings
from tinybms_bridge.battery.limits import (
    ChargeDefaults,
    Chemistry,
    Curve,
    LimitSettings,
    Memory,
    SocSource,
    StateSettings,
    step,
)
from tinybms_bridge.battery.snapshot import Cells, PackValues, Ratings, Snapshot
from tinybms_bridge.config.battery import check_against_battery
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.config.models.hardware import CanInterface
from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.config.values import public_values
from tinybms_bridge.core.battery import BatterySettings
from tinybms_bridge.core.settings import (
    battery_settings,
    can_settings,
    client_settings,
    frame_settings,
    poll_settings,
    transmitter_settings,
)
from tinybms_bridge.errors import ConfigError
from tinybms_bridge.hal.can import CanSettings
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.tinybms.adaptive import AdaptiveSettings
from tinybms_bridge.tinybms.client import ClientSettings
from tinybms_bridge.tinybms.poller import PollSettings
from tinybms_bridge.victron.can.codec import FrameSettings
from tinybms_bridge.victron.can.transmitter import TransmitterSettings

PARTS: dict[str, Callable[[Configuration], object]] = {
    "client": client_settings,
    "poll": poll_settings,
    "pipeline": battery_settings,
    "frames": frame_settings,
    "transmitter": transmitter_settings,
    "can": can_settings,
}

LIMITS, STATES, FRESH = "pipeline.limits", "pipeline.limits.states", "pipeline.limits.freshness"
POLICY, PROTECTION, RATES = "pipeline.limits.policy", "pipeline.limits.protection", "pipeline.limits.rates"
ALARMS, ADAPTIVE = "pipeline.alarms", "poll.adaptive"

DRIVEN: list[tuple[str, object, dict[str, object]]] = [
    ("victron.thresholds.soc_low_percent", 12, {"pipeline.notices.soc_low_percent": 12.0}),
    ("victron.thresholds.soc_high_percent", 95, {"pipeline.notices.soc_high_percent": 95.0}),
    ("victron.thresholds.derate_current_a", 3, {"pipeline.notices.derate_current_a": 3.0}),
    ("hardware.uart.timeout_ms", 450, {"client.timeout_s": 0.45}),
    ("tinybms.uart_retry_count", 5, {"client.attempts": 5}),
    ("tinybms.uart_retry_delay_ms", 250, {"client.retry_delay_s": 0.25}),
    ("tinybms.poll_interval_ms", 200, {f"{ADAPTIVE}.base_ms": 200}),
    ("tinybms.poll_interval_min_ms", 50, {f"{ADAPTIVE}.min_ms": 50}),
    ("tinybms.poll_interval_max_ms", 800, {f"{ADAPTIVE}.max_ms": 800}),
    ("tinybms.poll_backoff_step_ms", 30, {f"{ADAPTIVE}.backoff_step_ms": 30}),
    ("tinybms.poll_recovery_step_ms", 5, {f"{ADAPTIVE}.recovery_step_ms": 5}),
    ("tinybms.poll_latency_target_ms", 60, {f"{ADAPTIVE}.latency_target_ms": 60}),
    ("tinybms.poll_latency_slack_ms", 25, {f"{ADAPTIVE}.latency_slack_ms": 25}),
    ("tinybms.poll_failure_threshold", 4, {f"{ADAPTIVE}.failure_threshold": 4}),
    ("tinybms.poll_success_threshold", 9, {f"{ADAPTIVE}.success_threshold": 9}),
    ("cvl.charge_defaults", "before", {f"{LIMITS}.defaults": ChargeDefaults.BEFORE}),
    ("cvl.chemistry", "lto", {f"{LIMITS}.chemistry": Chemistry.LTO}),
    ("cvl.chemistry", "li-ion", {f"{LIMITS}.chemistry": Chemistry.LI_ION}),
    ("cvl.bulk_voltage_v", 54.5, {f"{LIMITS}.bulk_voltage_v": 54.5}),
    ("cvl.over_voltage_margin_v", 0.35, {f"{LIMITS}.over_voltage_margin_v": 0.35}),
    ("cvl.cell_max_voltage_v", 3.6, {f"{LIMITS}.cell_max_v": 3.6}),
    ("cvl.floor_cell_voltage_v", 3.1, {f"{LIMITS}.floor_cell_v": 3.1}),
    ("cvl.resting_cell_voltage_v", 3.3, {f"{LIMITS}.resting_cell_v": 3.3}),
    ("victron.max_charge_current_a", 80, {f"{LIMITS}.max_charge_current_a": 80}),
    ("victron.max_discharge_current_a", 90.5, {f"{LIMITS}.max_discharge_current_a": 90.5}),
    ("victron.current_fraction", 0.8, {f"{LIMITS}.current_fraction": 0.8}),
    ("cvl.soc_source", "bms", {f"{LIMITS}.soc_source": SocSource.BMS}),
    ("cvl.enabled", False, {f"{STATES}.enabled": False}),
    ("cvl.bulk_soc_threshold", 70, {f"{STATES}.bulk_soc_percent": 70}),
    ("cvl.transition_soc_threshold", 88, {f"{STATES}.transition_soc_percent": 88}),
    ("cvl.float_soc_threshold", 97, {f"{STATES}.float_soc_percent": 97}),
    ("cvl.float_exit_soc", 90, {f"{STATES}.float_exit_soc_percent": 90}),
    ("cvl.soc_hysteresis_percent", 1.5, {f"{STATES}.soc_hysteresis_percent": 1.5}),
    ("cvl.float_approach_offset_mv", 75, {f"{STATES}.float_approach_offset_v": 0.075}),
    ("cvl.float_offset_mv", 250, {f"{STATES}.float_offset_v": 0.25}),
    ("cvl.maximum_ccl_in_float_a", 12, {f"{STATES}.maximum_ccl_in_float_a": 12}),
    ("cvl.imbalance_hold_threshold_mv", 80, {f"{STATES}.imbalance_hold_mv": 80}),
    ("cvl.imbalance_release_threshold_mv", 30, {f"{STATES}.imbalance_release_mv": 30}),
    ("cvl.imbalance_hold_max_s", 3600, {f"{STATES}.imbalance_hold_max_s": 3600}),
    ("cvl.imbalance_drop_per_mv", 0.001, {f"{STATES}.imbalance_drop_v_per_mv": 0.001}),
    ("cvl.imbalance_drop_max_v", 1.5, {f"{STATES}.imbalance_drop_max_v": 1.5}),
    ("cvl.sustain_soc_entry_percent", 3, {f"{STATES}.sustain_entry_soc_percent": 3}),
    ("cvl.sustain_soc_exit_percent", 12, {f"{STATES}.sustain_exit_soc_percent": 12}),
    ("cvl.sustain_voltage_v", 49.5, {f"{STATES}.sustain_voltage_v": 49.5}),
    ("cvl.sustain_per_cell_voltage_v", 3.1, {f"{STATES}.sustain_cell_v": 3.1}),
    ("cvl.sustain_ccl_limit_a", 7, {f"{STATES}.sustain_ccl_a": 7}),
    ("cvl.sustain_dcl_limit_a", 8, {f"{STATES}.sustain_dcl_a": 8}),
    ("cvl.imbalance_min_cell_voltage_v", 3.4, {f"{STATES}.imbalance_min_cell_v": 3.4}),
    ("cvl.keep_lost_sensor", False, {f"{LIMITS}.keep_lost_sensor": False}),
    ("cvl.profile", "storage", {f"{POLICY}.profile": "storage"}),
    ("cvl.soc_max_percent", 90, {f"{POLICY}.soc_max_percent": 90}),
    ("cvl.soc_min_percent", 20, {f"{POLICY}.soc_min_percent": 20}),
    ("cvl.soc_window_hysteresis_percent", 3, {f"{POLICY}.soc_window_hysteresis_percent": 3}),
    ("cvl.storage_soc_percent", 60, {f"{POLICY}.storage_soc_percent": 60}),
    ("cvl.full_charge_interval_days", 30, {f"{POLICY}.full_charge_interval_days": 30}),
    ("cvl.balance_at_full_voltage", True, {f"{POLICY}.balance_at_full_voltage": True}),
    ("cvl.force_charge_start_percent", 10, {f"{POLICY}.force_charge_start_percent": 10}),
    ("cvl.force_charge_stop_percent", 40, {f"{POLICY}.force_charge_stop_percent": 40}),
    ("cvl.cell_safety_threshold_v", 3.5, {f"{PROTECTION}.threshold_v": 3.5}),
    ("cvl.cell_safety_release_v", 3.45, {f"{PROTECTION}.release_v": 3.45}),
    ("cvl.cell_protection_kp", 100, {f"{PROTECTION}.gain": 100}),
    ("cvl.dynamic_current_nominal_a", 200, {f"{PROTECTION}.nominal_current_a": 200}),
    ("cvl.protection_relearn_s", 2700, {f"{PROTECTION}.relearn_s": 2700}),
    ("cvl.max_recovery_step_v", 0.2, {f"{RATES}.cvl_step_v": 0.2}),
    (
        "victron.cvl_update_interval_ms",
        10_000,
        {f"{RATES}.cvl_interval_s": 10.0},
    ),
    ("cvl.current_rise_s", 60, {f"{RATES}.current_rise_s": 60}),
    (
        "cvl.curves.charge_by_soc",
        [[0, 1], [100, 0.2]],
        {f"{LIMITS}.curves": (("charge_by_soc", Curve(((0.0, 1.0), (100.0, 0.2)))),)},
    ),
    ("victron.fresh_timeout_s", 2.5, {f"{FRESH}.fresh_timeout_s": 2.5}),
    ("victron.stale_hold_s", 0, {f"{FRESH}.hold_s": 0}),
    ("victron.start_samples", 7, {f"{FRESH}.start_samples": 7}),
    ("victron.return_samples", 9, {f"{FRESH}.return_samples": 9}),
    (
        "victron.thresholds.overvoltage_v",
        58.4,
        {f"{ALARMS}.overvoltage_v": 58.4, f"{LIMITS}.alarm_voltage_v": 58.4},
    ),
    ("victron.thresholds.undervoltage_v", 42, {f"{ALARMS}.undervoltage_v": 42}),
    ("victron.thresholds.overtemp_c", 50, {f"{ALARMS}.overtemp_c": 50}),
    ("victron.thresholds.low_temp_charge_c", 2, {f"{ALARMS}.low_temp_charge_c": 2}),
    ("victron.thresholds.imbalance_warn_mv", 60, {f"{ALARMS}.imbalance_warn_mv": 60}),
    ("victron.thresholds.imbalance_alarm_mv", 180, {f"{ALARMS}.imbalance_alarm_mv": 180}),
    ("battery.packs_missing", "stop", {"pipeline.stop_when_missing": True}),
    ("battery.join_delta_v", 1.5, {"pipeline.join_delta_v": 1.5}),
    ("victron.manufacturer_name", "Acme", {"frames.manufacturer_name": "Acme"}),
    ("victron.battery_name", "House bank", {"frames.battery_name": "House bank"}),
    ("victron.family_name", "House", {"frames.family_name": "House"}),
    ("victron.battery_model_id", 4711, {"frames.battery_model_id": 4711}),
    ("victron.send_discharge_voltage", False, {"frames.discharge_voltage_in_351": False}),
    ("victron.system_status", 2, {"frames.system_status": 2}),
    ("victron.installed_capacity_bytes", 8, {"frames.installed_capacity_bytes": 8}),
    ("victron.pgn_update_interval_ms", 500, {"transmitter.period_s": 0.5}),
    ("hardware.can.bitrate", 250_000, {"can.bitrate_bps": 250_000}),
    ("hardware.can.channel", "vcan1", {"can.channel": "vcan1"}),
    ("hardware.can.options", {"fd": False, "port": 5}, {"can.extra": {"fd": False, "port": 5}}),
    ("hardware.can.interface", "gs_usb", {"can.interface": "gs_usb", "can.channel": ""}),
    ("hardware.can.mode", "loopback", {"can.extra": {"receive_own_messages": True}, "can.accept_ids": ()}),
]

NOT_IN_THE_CONFIGURATION = {
    "client.wake_after_s",
    "client.wake_wait_s",
    "client.quiet_s",
    "client.drain_max_s",
    "client.gap_s",
    "poll.ratings_interval_s",
    "poll.ratings_retry_s",
    "poll.identity_retry_s",
    "poll.reconnect_min_s",
    "poll.reconnect_max_s",
    "poll.silent_after",
    "pipeline.limits.rates.cvl_least_rise_v",
    "pipeline.limits.inhibited.charge",
    "pipeline.limits.inhibited.discharge",
    "pipeline.alarms.charging_above_a",
    "pipeline.alarms.delay_s",
    "pipeline.notices.delay_s",
    "pipeline.notices.soc_hysteresis_percent",
    "pipeline.notices.current_hysteresis_a",
    "frames.separate_manufacturer",
    "frames.send_high_resolution_soc",
    "frames.unknown_soh_percent",
    "frames.optional_frames",
    "transmitter.spread",
}
"""Settings that belong to the vendor's protocol, to the hand of the user, or to nobody yet."""


def flat(value: object, prefix: str) -> dict[str, object]:
    """Return the leaves of nested settings by dotted name."""
    if not is_dataclass(value) or isinstance(value, type):
        return {prefix: value}
    leaves: dict[str, object] = {}
    for field in fields(value):
        leaves |= flat(getattr(value, field.name), f"{prefix}.{field.name}")
    return leaves


def settings_of(config: Configuration) -> dict[str, object]:
    """Return every setting of every part."""
    leaves: dict[str, object] = {}
    for name, make in PARTS.items():
        leaves |= flat(make(config), name)
    return leaves


def configured(path: str, value: object) -> Configuration:
    """Return the configuration of a file that holds one key."""
    document: Any = value
    for key in reversed(path.split(".")):
        document = {key: document}
    return interpret(document, "test").configuration


BARE = settings_of(Configuration())


@pytest.mark.parametrize(("path", "value", "expected"), DRIVEN, ids=[f"{p}={v}" for p, v, _ in DRIVEN])
def test_key_drives_its_setting_and_no_other(path: str, value: object, expected: dict[str, object]) -> None:
    """Changing a key changes what it says, in the unit of the part, and nothing else."""
    changed = {name: new for name, new in settings_of(configured(path, value)).items() if new != BARE[name]}
    assert changed == expected


def test_every_setting_is_driven_or_known_to_be_fixed() -> None:
    """A setting that is added without a key, or a key that is forgotten here, shows up."""
    driven = {name for _, _, expected in DRIVEN for name in expected}
    plausibility = {name for name in BARE if name.startswith("pipeline.plausibility.")}
    assert set(BARE) - driven - plausibility == NOT_IN_THE_CONFIGURATION


@pytest.mark.parametrize(
    ("make", "default"),
    [
        (client_settings, ClientSettings()),
        (poll_settings, PollSettings()),
        (battery_settings, BatterySettings()),
        (frame_settings, FrameSettings()),
        (transmitter_settings, TransmitterSettings()),
    ],
    ids=lambda part: type(part).__name__ if is_dataclass(part) else "",
)
def test_bare_configuration_is_the_default_of_each_part(make: Callable[[Configuration], object], default: Any) -> None:
    """A part that is built without a configuration behaves as one that is built from an empty file."""
    assert make(Configuration()) == default


def test_nothing_configured_comes_from_the_bms() -> None:
    """Voltages, currents and alarm thresholds that nobody has set stay open, for the BMS's own settings."""
    pipeline = battery_settings(Configuration())
    assert pipeline.alarms == AlarmSettings()
    limits = pipeline.limits
    assert {limits.chemistry, limits.bulk_voltage_v, limits.alarm_voltage_v, limits.cell_max_v} == {None}
    assert {
        limits.floor_cell_v,
        limits.resting_cell_v,
        limits.max_charge_current_a,
        limits.max_discharge_current_a,
    } == {None}


def test_floor_wins_over_its_old_name() -> None:
    """With both names today's counts, whether it is the higher or the lower one; the old one alone is the floor."""
    for floor_v, reduction_v in ((3.1, 3.2), (3.2, 3.1), (3.1, None)):
        cvl = {"floor_cell_voltage_v": floor_v, "cell_min_float_voltage_v": reduction_v}
        config = interpret({"cvl": cvl}, "test").configuration
        assert battery_settings(config).limits.floor_cell_v == floor_v
    alone = interpret({"cvl": {"cell_min_float_voltage_v": 3.15}}, "test").configuration
    assert battery_settings(alone).limits.floor_cell_v == 3.15


def test_real_can_bus_is_the_default() -> None:
    """Without a word about CAN: socketcan on can0 at 500 kbit/s, receiving what a GX or a second BMS sends."""
    accepted = (0x305, 0x307, 0x351, 0x355, 0x356, 0x35A)
    assert can_settings(Configuration()) == CanSettings("socketcan", "can0", 500_000, {}, accepted)


def test_channel_is_used_only_where_it_was_meant() -> None:
    """The default channel is socketcan's; another adapter takes its own unless the user names one."""
    slcan = interpret({"hardware": {"can": {"interface": "slcan", "channel": "/dev/ttyACM0"}}}, "test").configuration
    assert can_settings(slcan).channel == "/dev/ttyACM0"
    named = interpret({"hardware": {"can": {"interface": "slcan", "channel": "can0"}}}, "test").configuration
    assert can_settings(named).channel == "can0"
    assert can_settings(configured("hardware.can.interface", "slcan")).channel == ""


@pytest.mark.parametrize("interface", get_args(CanInterface))
@pytest.mark.parametrize("method", ["update", "replace"])
@pytest.mark.parametrize("channel", [{}, {"channel": "7"}])
def test_adapter_is_the_same_after_the_settings_were_sent_back(
    interface: str, method: str, channel: dict[str, str]
) -> None:
    """What GET shows can be sent back unchanged: the next start opens the same adapter, whichever it is."""
    storage = MemoryStorage(json.dumps({"hardware": {"can": {"interface": interface, **channel}}}).encode())
    store = ConfigStore(storage)
    before = can_settings(store.load())
    change = getattr(store, method)(public_values(store.configuration))
    assert change.changed_paths == ()
    assert can_settings(change.new) == before
    assert can_settings(ConfigStore(storage).load()) == before


def test_loopback_keeps_the_options_of_the_user() -> None:
    """The test mode is added to what the adapter needs anyway, without changing the configuration."""
    config = interpret({"hardware": {"can": {"mode": "loopback", "options": {"port": 5}}}}, "test").configuration
    assert can_settings(config).extra == {"port": 5, "receive_own_messages": True}
    assert config.hardware.can.options == {"port": 5}


@pytest.mark.parametrize(
    ("key", "name"), [("battery_name", "LG RESU"), ("manufacturer_name", "DYNESS"), ("family_name", "BYD")]
)
def test_name_of_another_maker_is_an_error_of_the_configuration(key: str, name: str) -> None:
    """A GX would apply that maker's limits: refused in words for the user, not with a traceback."""
    config = Configuration()  # past its own checks, which know fewer names than the frames do
    victron = replace(config.victron, **{key: name})  # type: ignore[arg-type]  # each of these keys is a text
    config = replace(config, victron=victron)
    with pytest.raises(ConfigError, match=f"{key} '{name}' begins like") as caught:
        frame_settings(config)
    assert [problem.path for problem in caught.value.problems] == ["victron"]


def test_states_and_freshness_are_those_of_the_engine() -> None:
    """The engine gets its own kinds of settings, ready for use."""
    pipeline = battery_settings(Configuration())
    assert (pipeline.limits.states, pipeline.limits.freshness) == (StateSettings(), FreshnessSettings())
    assert (pipeline.limits, poll_settings(Configuration()).adaptive) == (LimitSettings(), AdaptiveSettings())


VOLTAGES = {
    "bulk_voltage_v": st.floats(40, 68),
    "floor_cell_voltage_v": st.floats(2.5, 4.2),
    "resting_cell_voltage_v": st.floats(2.5, 4.2),
    "cell_max_voltage_v": st.floats(3.3, 4.2),
    "series_cell_count": st.just(16),
    "chemistry": st.sampled_from(["lfp", "li-ion"]),
}


@given(st.fixed_dictionaries({}, optional=VOLTAGES), st.sampled_from([(3.6, 3.65), (3.45, 4.2), (4.1, 4.25)]))
@settings(max_examples=200)
def test_accepted_configuration_never_charges_above_its_target(
    cvl: dict[str, object], levels_v: tuple[float, float]
) -> None:
    """Whatever passes both checks: neither floor nor resting voltage lifts the charge voltage above the target."""
    full_v, over_v = levels_v
    try:
        config = interpret({"cvl": cvl}, "test").configuration
    except ConfigError:
        return
    ratings = Ratings(16, full_v, 2.9, over_v, 2.8, 30.0, 60.0, None, 60.0, 0.0, 100.0)
    problems = check_against_battery(
        config,
        series_cells=16,
        fully_charged_cell_v=full_v,
        over_voltage_cell_v=over_v,
        under_voltage_cell_v=2.8,
        charge_cutoff_a=30.0,
        discharge_cutoff_a=60.0,
    )
    if problems:
        return
    memory, found = Memory(), None
    for number in range(1, 4):
        now_s = 1000.0 + number / 10
        snapshot = Snapshot(number, now_s, PackValues(52.8, 0.0, 50.0), Cells((3.3,) * 16), ratings=ratings)
        found, memory = step(snapshot, battery_settings(config).limits, memory, now_s)
    assert found is not None
    target_v = config.cvl.bulk_voltage_v or full_v * 16
    assert found.cvl_v <= target_v + 1e-5
