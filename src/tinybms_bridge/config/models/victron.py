"""Section ``victron``: frames to the GX device, alarm thresholds and the user's current limits."""

from dataclasses import dataclass, field
from typing import Annotated

from tinybms_bridge.battery.gx import (
    INSTALLED_CAPACITY_BYTES,
    LONGEST_BURST_MS,
    RESERVED_NAMES,
    SHORTEST_BURST_MS,
    reserved_beginning,
)
from tinybms_bridge.config.models.base import Section, flag, listed, number, text
from tinybms_bridge.words import message

__all__ = ["Thresholds", "Victron"]

_SHORT_NAME = message("must_be.gx_name", longest=8, reserved=RESERVED_NAMES)
_LONG_NAME = message("must_be.gx_name", longest=16, reserved=RESERVED_NAMES)
_NO_KEEPALIVE = message("no_effect.keep_alive")


def _is_plain_name(value: str) -> bool:
    return bool(value.strip()) and reserved_beginning(value) is None


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds(Section):
    """Levels at which alarms and warnings are raised."""

    undervoltage_v: Annotated[
        float | None,
        number(
            3,
            80,
            "V",
            "Low voltage",
            "Pack voltage of the low-voltage alarm, beside that of the cells; null = cells only"
            " (the README shows 42.0 for 16).",
        ),
    ] = None
    overvoltage_v: Annotated[
        float | None,
        number(
            3,
            80,
            "V",
            "High voltage",
            "Pack voltage of the high-voltage alarm, beside that of the cells; also bounds the charge voltage;"
            " null = cells only.",
        ),
    ] = None
    overtemp_c: Annotated[
        float | None, number(20, 90, "°C", "High temperature", "Temperature of the alarm; null = from the BMS.")
    ] = None
    low_temp_charge_c: Annotated[
        float | None,
        number(
            -40, 20, "°C", "Too cold to charge", "Temperature below which charging is alarmed; null = from the BMS."
        ),
    ] = None
    imbalance_warn_mv: Annotated[
        float | None,
        number(
            1,
            2000,
            "mV",
            "Imbalance warning",
            "Difference of the cells that raises a warning; null = twice register 308 of the BMS, but at least 100 mV.",
        ),
    ] = None
    imbalance_alarm_mv: Annotated[
        float | None,
        number(
            1, 2000, "mV", "Imbalance alarm", "Difference of the cells that raises an alarm; null = twice the warning."
        ),
    ] = None
    soc_low_percent: Annotated[
        float, number(0, 50, "%", "Low SOC", "State of charge at or below which a warning is raised.")
    ] = 10.0
    soc_high_percent: Annotated[
        float, number(50, 100, "%", "High SOC", "State of charge at or above which a warning is raised.")
    ] = 99.0
    derate_current_a: Annotated[
        float,
        number(0, 100, "A", "Derating", "A current limit at or below this counts as derating and raises a warning."),
    ] = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Victron(Section):
    """The battery as the GX device sees it."""

    pgn_update_interval_ms: Annotated[
        int,
        number(
            SHORTEST_BURST_MS,
            LONGEST_BURST_MS,
            "ms",
            "Frame period",
            "Time between two bursts of frames; a GX gives the BMS up after 3000.",
        ),
    ] = 1000
    cvl_update_interval_ms: Annotated[
        int, number(500, 60_000, "ms", "CVL period", "Shortest time between two rises of the charge voltage limit.")
    ] = 20_000
    keepalive_interval_ms: Annotated[
        int,
        number(200, 10_000, "ms", "Keep-alive period", "Period of the firmware's own 0x305.", no_effect=_NO_KEEPALIVE),
    ] = 1000
    keepalive_timeout_ms: Annotated[
        int,
        number(1000, 600_000, "ms", "Keep-alive timeout", "Silence of the GX device before it is reported as lost."),
    ] = 10_000
    manufacturer_name: Annotated[
        str,
        text(
            "Manufacturer",
            "Manufacturer in frame 0x35E, with send_manufacturer or for a battery without a name.",
            rule=_SHORT_NAME,
            pattern=r"^[\x20-\x7E]{1,8}$",
            holds=_is_plain_name,
        ),
    ] = "ENEPAQ"
    battery_name: Annotated[
        str,
        text(
            "Battery name",
            "Name in frames 0x370 and 0x371; the firmware's names say 16 cells, which not every pack has.",
            rule=_LONG_NAME,
            pattern=r"^[\x21-\x7E]([\x20-\x7E]{0,14}[\x21-\x7E])?$",
            holds=_is_plain_name,
        ),
    ] = "TinyBMS s516"
    send_manufacturer: Annotated[
        bool,
        flag(
            "Send the manufacturer",
            "Send the manufacturer in 0x35E beside a long battery name;"
            " Victron's document wants the same text in both.",
        ),
    ] = False
    family_name: Annotated[
        str,
        text(
            "Family name",
            "Battery family in frame 0x382.",
            rule=_SHORT_NAME,
            pattern=r"^[\x21-\x7E]([\x20-\x7E]{0,6}[\x21-\x7E])?$",
            holds=_is_plain_name,
        ),
    ] = "TinyBMS"
    battery_model_id: Annotated[int, number(0, 65_535, "", "Model number", "Battery model in frame 0x35F.")] = 0
    send_discharge_voltage: Annotated[
        bool,
        flag(
            "Send the discharge voltage", "Add the battery-low voltage to frame 0x351, as newer GX firmware reads it."
        ),
    ] = True
    system_status: Annotated[
        int,
        number(
            0, 2, "", "System status", "Status bits of 0x35A: 0 is not supported; Victron gives no coding of 1 and 2."
        ),
    ] = 0
    installed_capacity_bytes: Annotated[
        int,
        listed(
            INSTALLED_CAPACITY_BYTES,
            "B",
            "Length of 0x379",
            "Bytes of the capacity frame: 2 as Victron has it, or 8 with zeros for readers that fail on a short frame.",
        ),
    ] = 2
    max_charge_current_a: Annotated[
        float | None,
        number(0, 750, "A", "Highest charge current", "Never ask for more; null = a share of the BMS's cutoff."),
    ] = None
    max_discharge_current_a: Annotated[
        float | None,
        number(0, 750, "A", "Highest discharge current", "Never allow more; null = a share of the BMS's cutoff."),
    ] = None
    current_fraction: Annotated[
        float,
        number(
            0.5, 1, "", "Share of the cutoff", "Share of the BMS's over-current cutoff used where no maximum is given."
        ),
    ] = 0.9
    fresh_timeout_s: Annotated[
        float,
        number(1, 10, "s", "Fresh for", "Time without a good sample after which charging is stopped; a GX waits 3."),
    ] = 3.0
    stale_hold_s: Annotated[
        float,
        number(0, 60, "s", "Hold for", "Time without charging, after which the bridge falls silent and the GX stops."),
    ] = 30.0
    start_samples: Annotated[
        int, number(1, 20, "", "Samples to start", "Good samples in a row before the first frame.")
    ] = 3
    return_samples: Annotated[
        int, number(1, 20, "", "Samples to return", "Good samples in a row that end a silence.")
    ] = 3
    thresholds: Thresholds = field(default_factory=Thresholds)
