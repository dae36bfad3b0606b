"""From the configuration to the settings of each part: the only place that knows both."""

from dataclasses import replace

from tinybms_bridge.battery.alarm_rules import AlarmSettings
from tinybms_bridge.battery.freshness import FreshnessSettings
from tinybms_bridge.battery.limits import (
    CURVE_NAMES,
    ChargeProfile,
    Curve,
    PolicySettings,
    ProtectionSettings,
    RateSettings,
    SocSource,
    StateSettings,
)
from tinybms_bridge.battery.notices import NoticeSettings
from tinybms_bridge.config.battery import limit_settings
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.core.battery import BatterySettings
from tinybms_bridge.errors import ConfigError, ConfigProblem
from tinybms_bridge.hal.can import CanSettings
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
    "poll_settings",
    "transmitter_settings",
]

_OWN_CHANNELS = {"socketcan": "can0"}
"""What an adapter uses when no channel is given, where python-can has no default of its own."""


def client_settings(config: Configuration) -> ClientSettings:
    """Return the times of the dialogue with the BMS."""
    return ClientSettings(
        attempts=config.tinybms.uart_retry_count,
        retry_delay_s=config.tinybms.uart_retry_delay_ms / 1000.0,
        timeout_s=config.hardware.uart.timeout_ms / 1000.0,
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
    victron, cvl = config.victron, config.cvl
    return BatterySettings(
        limits=replace(
            limit_settings(config),
            current_fraction=victron.current_fraction,
            states=_state_settings(config),
            policy=_policy_settings(config),
            protection=_protection_settings(config),
            keep_lost_sensor=cvl.keep_lost_sensor,
            soc_source=SocSource(cvl.soc_source),
            curves=_curves(config),
            rates=RateSettings(
                cvl_interval_s=victron.cvl_update_interval_ms / 1000.0,
                cvl_step_v=cvl.max_recovery_step_v,
                current_rise_s=cvl.current_rise_s,
            ),
            freshness=FreshnessSettings(
                fresh_timeout_s=victron.fresh_timeout_s,
                hold_s=victron.stale_hold_s,
                start_samples=victron.start_samples,
                return_samples=victron.return_samples,
            ),
        ),
        alarms=_alarm_settings(config),
        notices=_notice_settings(config),
    )


def _state_settings(config: Configuration) -> StateSettings:
    cvl = config.cvl
    return StateSettings(
        enabled=cvl.enabled,
        bulk_soc_percent=cvl.bulk_soc_threshold,
        transition_soc_percent=cvl.transition_soc_threshold,
        float_soc_percent=cvl.float_soc_threshold,
        float_exit_soc_percent=cvl.float_exit_soc,
        soc_hysteresis_percent=cvl.soc_hysteresis_percent,
        float_approach_offset_v=cvl.float_approach_offset_mv / 1000.0,
        float_offset_v=None if cvl.float_offset_mv is None else cvl.float_offset_mv / 1000.0,
        maximum_ccl_in_float_a=cvl.maximum_ccl_in_float_a,
        imbalance_hold_mv=cvl.imbalance_hold_threshold_mv,
        imbalance_release_mv=cvl.imbalance_release_threshold_mv,
        imbalance_hold_max_s=cvl.imbalance_hold_max_s,
        imbalance_min_cell_v=cvl.imbalance_min_cell_voltage_v,
        imbalance_drop_v_per_mv=cvl.imbalance_drop_per_mv,
        imbalance_drop_max_v=cvl.imbalance_drop_max_v,
        sustain_entry_soc_percent=cvl.sustain_soc_entry_percent,
        sustain_exit_soc_percent=cvl.sustain_soc_exit_percent,
        sustain_voltage_v=cvl.sustain_voltage_v,
        sustain_cell_v=cvl.sustain_per_cell_voltage_v,
        sustain_ccl_a=cvl.sustain_ccl_limit_a,
        sustain_dcl_a=cvl.sustain_dcl_limit_a,
    )


def _policy_settings(config: Configuration) -> PolicySettings:
    cvl = config.cvl
    return PolicySettings(
        profile=ChargeProfile(cvl.profile),
        soc_max_percent=cvl.soc_max_percent,
        soc_min_percent=cvl.soc_min_percent,
        soc_window_hysteresis_percent=cvl.soc_window_hysteresis_percent,
        storage_soc_percent=cvl.storage_soc_percent,
        full_charge_interval_days=cvl.full_charge_interval_days,
        balance_at_full_voltage=cvl.balance_at_full_voltage,
        force_charge_start_percent=cvl.force_charge_start_percent,
        force_charge_stop_percent=cvl.force_charge_stop_percent,
    )


def _protection_settings(config: Configuration) -> ProtectionSettings:
    cvl = config.cvl
    return ProtectionSettings(
        threshold_v=cvl.cell_safety_threshold_v,
        release_v=cvl.cell_safety_release_v,
        gain=cvl.cell_protection_kp,
        nominal_current_a=cvl.dynamic_current_nominal_a,
        relearn_s=cvl.protection_relearn_s,
    )


def _curves(config: Configuration) -> tuple[tuple[str, Curve], ...]:
    chosen = ((name, getattr(config.cvl.curves, name)) for name in CURVE_NAMES)
    return tuple(
        (name, Curve(tuple((float(x), float(fraction)) for x, fraction in points)))
        for name, points in chosen
        if points is not None
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
