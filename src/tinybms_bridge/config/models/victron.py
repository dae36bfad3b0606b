"""Section ``victron``: frames to the GX device, alarm thresholds and the user's current limits."""

from typing import Annotated

from tinybms_bridge.battery.gx import (
    INSTALLED_CAPACITY_BYTES,
    LONGEST_BURST_MS,
    RESERVED_NAMES,
    SHORTEST_BURST_MS,
    reserved_beginning,
)
from tinybms_bridge.config.models.base import Section, flag, listed, must, number, text

__all__ = ["Thresholds", "Victron"]

_NAME_RULE = (
    "must be 1 to {} ASCII characters and not begin with "
    f"{', '.join(RESERVED_NAMES[:-1])} or {RESERVED_NAMES[-1]}, which a GX treats apart"
)
_NO_KEEPALIVE = "no effect: 0x305 is sent by the GX device; the bridge only listens for it"


def _is_plain_name(value: str) -> bool:
    return bool(value.strip()) and reserved_beginning(value) is None


class Thresholds(Section):
    """Levels at which alarms and warnings are raised."""

    undervoltage_v: float | None = number(
        None,
        3,
        80,
        "V",
        "Low voltage",
        "Pack voltage of the low-voltage alarm, beside that of the cells; null = cells only"
        " (the README shows 42.0 for 16).",
    )
    overvoltage_v: float | None = number(
        None,
        3,
        80,
        "V",
        "High voltage",
        "Pack voltage of the high-voltage alarm, beside that of the cells; also bounds the charge voltage;"
        " null = cells only.",
    )
    overtemp_c: float | None = number(
        None, 20, 90, "°C", "High temperature", "Temperature of the alarm; null = from the BMS."
    )
    low_temp_charge_c: float | None = number(
        None, -40, 20, "°C", "Too cold to charge", "Temperature below which charging is alarmed; null = from the BMS."
    )
    imbalance_warn_mv: float | None = number(
        None,
        1,
        2000,
        "mV",
        "Imbalance warning",
        "Difference of the cells that raises a warning; null = twice register 308 of the BMS, but at least 100 mV.",
    )
    imbalance_alarm_mv: float | None = number(
        None,
        1,
        2000,
        "mV",
        "Imbalance alarm",
        "Difference of the cells that raises an alarm; null = twice the warning.",
    )
    soc_low_percent: float = number(10, 0, 50, "%", "Low SOC", "State of charge at or below which a warning is raised.")
    soc_high_percent: float = number(
        99, 50, 100, "%", "High SOC", "State of charge at or above which a warning is raised."
    )
    derate_current_a: float = number(
        1, 0, 100, "A", "Derating", "A current limit at or below this counts as derating and raises a warning."
    )


class Victron(Section):
    """The battery as the GX device sees it."""

    pgn_update_interval_ms: int = number(
        1000,
        SHORTEST_BURST_MS,
        LONGEST_BURST_MS,
        "ms",
        "Frame period",
        "Time between two bursts of frames; a GX gives the BMS up after 3000.",
    )
    cvl_update_interval_ms: int = number(
        20_000, 500, 60_000, "ms", "CVL period", "Shortest time between two rises of the charge voltage limit."
    )
    keepalive_interval_ms: int = number(
        1000, 200, 10_000, "ms", "Keep-alive period", "Period of the firmware's own 0x305.", no_effect=_NO_KEEPALIVE
    )
    keepalive_timeout_ms: int = number(
        10_000, 1000, 600_000, "ms", "Keep-alive timeout", "Silence of the GX device before it is reported as lost."
    )
    manufacturer_name: Annotated[str, must(_is_plain_name)] = text(
        "ENEPAQ",
        "Manufacturer",
        "Manufacturer in frame 0x35E, with send_manufacturer or for a battery without a name.",
        rule=_NAME_RULE.format(8),
        pattern=r"^[\x20-\x7E]{1,8}$",
    )
    battery_name: Annotated[str, must(_is_plain_name)] = text(
        "TinyBMS s516",
        "Battery name",
        "Name in frames 0x370 and 0x371; the firmware's names say 16 cells, which not every pack has.",
        rule=_NAME_RULE.format(16),
        pattern=r"^[\x21-\x7E]([\x20-\x7E]{0,14}[\x21-\x7E])?$",
    )
    send_manufacturer: bool = flag(
        False,
        "Send the manufacturer",
        "Send the manufacturer in 0x35E beside a long battery name; Victron's document wants the same text in both.",
    )
    family_name: Annotated[str, must(_is_plain_name)] = text(
        "TinyBMS",
        "Family name",
        "Battery family in frame 0x382.",
        rule=_NAME_RULE.format(8),
        pattern=r"^[\x21-\x7E]([\x20-\x7E]{0,6}[\x21-\x7E])?$",
    )
    battery_model_id: int = number(0, 0, 65_535, "", "Model number", "Battery model in frame 0x35F.")
    send_discharge_voltage: bool = flag(
        True, "Send the discharge voltage", "Add the battery-low voltage to frame 0x351, as newer GX firmware reads it."
    )
    system_status: int = number(
        0,
        0,
        2,
        "",
        "System status",
        "Status bits of 0x35A: 0 is not supported; Victron gives no coding of 1 and 2.",
    )
    installed_capacity_bytes: Annotated[int, must(INSTALLED_CAPACITY_BYTES.__contains__)] = listed(
        2,
        INSTALLED_CAPACITY_BYTES,
        "B",
        "Length of 0x379",
        "Bytes of the capacity frame: 2 as Victron has it, or 8 with zeros for readers that fail on a short frame.",
    )
    max_charge_current_a: float | None = number(
        None, 0, 750, "A", "Highest charge current", "Never ask for more; null = a share of the BMS's cutoff."
    )
    max_discharge_current_a: float | None = number(
        None, 0, 750, "A", "Highest discharge current", "Never allow more; null = a share of the BMS's cutoff."
    )
    current_fraction: float = number(
        0.9, 0.5, 1, "", "Share of the cutoff", "Share of the BMS's over-current cutoff used where no maximum is given."
    )
    fresh_timeout_s: float = number(
        3, 1, 10, "s", "Fresh for", "Time without a good sample after which charging is stopped; a GX waits 3."
    )
    stale_hold_s: float = number(
        30, 0, 60, "s", "Hold for", "Time without charging, after which the bridge falls silent and the GX stops."
    )
    start_samples: int = number(3, 1, 20, "", "Samples to start", "Good samples in a row before the first frame.")
    return_samples: int = number(3, 1, 20, "", "Samples to return", "Good samples in a row that end a silence.")
    thresholds: Thresholds = Thresholds()
