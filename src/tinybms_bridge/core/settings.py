"""From the configuration to the settings of each part: the only place that knows both."""

from tinybms_bridge.battery.alarm_rules import AlarmSettings
from tinybms_bridge.battery.notices import NoticeSettings
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.limits import limit_settings
from tinybms_bridge.core.battery import BatterySettings
from tinybms_bridge.errors import ConfigError, ConfigProblem
from tinybms_bridge.hal.can import CanSettings
from tinybms_bridge.hal.hardware_watchdog import HardwareSettings
from tinybms_bridge.tinybms.adaptive import AdaptiveSettings
from tinybms_bridge.tinybms.client import ClientSettings
from tinybms_bridge.tinybms.poller import PollSettings
from tinybms_bridge.victron.can.codec import FrameSettings
from tinybms_bridge.victron.can.gx import IDENTIFICATION_ID, KEEP_ALIVE_ID
from tinybms_bridge.victron.can.neighbours import BMS_IDS
from tinybms_bridge.victron.can.transmitter import TransmitterSettings
from tinybms_bridge.words import message

__all__ = [
    "battery_settings",
    "can_settings",
    "client_settings",
    "frame_settings",
    "hardware_watchdog_settings",
    "poll_settings",
    "transmitter_settings",
]

_OWN_CHANNELS = {"socketcan": "can0"}
"""What an adapter uses when no channel is given, where python-can has no default of its own."""

_LEAST_MACHINE_S = 60
"""Shorter, a restart of the bridge on a small board might end in one of the machine."""


def client_settings(config: Configuration, timeout_ms: int | None = None) -> ClientSettings:
    """Return the times of the dialogue with a BMS; ``timeout_ms`` where its pack has one of its own."""
    return ClientSettings(
        attempts=config.tinybms.uart_retry_count,
        retry_delay_s=config.tinybms.uart_retry_delay_ms / 1000.0,
        timeout_s=(config.hardware.uart.timeout_ms if timeout_ms is None else timeout_ms) / 1000.0,
    )


def poll_settings(config: Configuration) -> PollSettings:
    """Return the cadence of the poller."""
    tinybms = config.tinybms
    return PollSettings(
        adaptive=AdaptiveSettings(
            base_ms=tinybms.poll_interval_ms,
            min_ms=tinybms.poll_interval_min_ms,
            max_ms=tinybms.poll_interval_max_ms,
            backoff_step_ms=tinybms.poll_backoff_step_ms,
            recovery_step_ms=tinybms.poll_recovery_step_ms,
            latency_target_ms=tinybms.poll_latency_target_ms,
            latency_slack_ms=tinybms.poll_latency_slack_ms,
            failure_threshold=tinybms.poll_failure_threshold,
            success_threshold=tinybms.poll_success_threshold,
        )
    )


def battery_settings(config: Configuration) -> BatterySettings:
    """Return the settings of limits, alarms and notices."""
    return BatterySettings(
        limits=limit_settings(config),
        alarms=_alarm_settings(config),
        notices=_notice_settings(config),
        stop_when_missing=config.battery.packs_missing == "stop",
        join_delta_v=config.battery.join_delta_v,
    )


def _alarm_settings(config: Configuration) -> AlarmSettings:
    thresholds = config.victron.thresholds
    return AlarmSettings(
        overvoltage_v=thresholds.overvoltage_v,
        undervoltage_v=thresholds.undervoltage_v,
        overtemp_c=thresholds.overtemp_c,
        low_temp_charge_c=thresholds.low_temp_charge_c,
        imbalance_warn_mv=thresholds.imbalance_warn_mv,
        imbalance_alarm_mv=thresholds.imbalance_alarm_mv,
    )


def _notice_settings(config: Configuration) -> NoticeSettings:
    """Return the thresholds of the bridge's own notices."""
    thresholds = config.victron.thresholds
    return NoticeSettings(
        soc_low_percent=thresholds.soc_low_percent,
        soc_high_percent=thresholds.soc_high_percent,
        derate_current_a=thresholds.derate_current_a,
    )


def frame_settings(config: Configuration) -> FrameSettings:
    """Return the choices about the Victron frames. Raises ConfigError for a name that a GX would misread."""
    victron = config.victron
    try:
        return FrameSettings(
            manufacturer_name=victron.manufacturer_name,
            battery_name=victron.battery_name,
            family_name=victron.family_name,
            separate_manufacturer=victron.send_manufacturer,
            battery_model_id=victron.battery_model_id,
            discharge_voltage_in_351=victron.send_discharge_voltage,
            system_status=victron.system_status,
            installed_capacity_bytes=victron.installed_capacity_bytes,
        )
    except ValueError as error:
        raise ConfigError([ConfigProblem("victron", None, message("said", text=error))]) from error


def transmitter_settings(config: Configuration) -> TransmitterSettings:
    """Return the cadence of the bursts."""
    return TransmitterSettings(period_s=config.victron.pgn_update_interval_ms / 1000.0)


def hardware_watchdog_settings(config: Configuration) -> HardwareSettings | None:
    """Return what is wanted of the watchdog of the machine; None for nothing.

    It is more patient than the service manager, which restarts the bridge alone and needs as long again for it.
    """
    advanced = config.advanced
    if not advanced.hardware_watchdog:
        return None
    timeout_s = max(_LEAST_MACHINE_S, 2 * advanced.watchdog_timeout_s)
    return HardwareSettings(advanced.hardware_watchdog_device, timeout_s)


def can_settings(config: Configuration) -> CanSettings:
    """Return how to open the CAN adapter."""
    can = config.hardware.can
    options: dict[str, object] = dict(can.options)
    if can.mode == "loopback":
        options["receive_own_messages"] = True
    return CanSettings(
        interface=can.interface,
        channel=can.channel or _OWN_CHANNELS.get(can.interface, ""),
        bitrate_bps=can.bitrate,
        extra=options,
        accept_ids=() if can.mode == "loopback" else (KEEP_ALIVE_ID, IDENTIFICATION_ID, *BMS_IDS),
    )
