"""Section ``advanced``: watchdog, files, history and keys of the firmware without a use here."""

from dataclasses import dataclass
from typing import Annotated

from tinybms_bridge.config.models.base import Section, flag, number, text
from tinybms_bridge.words import message

__all__ = ["Advanced"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Advanced(Section):
    """Watchdog, storage and history."""

    enable_watchdog: Annotated[bool, flag("Watchdog", "Let systemd restart the bridge when its data path hangs.")] = (
        True
    )
    watchdog_timeout_s: Annotated[
        int,
        number(5, 300, "s", "Watchdog timeout", "Longest hang of the data path before a restart (README: 30, tip 60)."),
    ] = 30
    hardware_watchdog: Annotated[
        bool,
        flag(
            "Watchdog of the machine",
            "Let the hardware restart the machine when the bridge hangs; not beside systemd's RuntimeWatchdogSec.",
        ),
    ] = False
    hardware_watchdog_device: Annotated[
        str,
        text(
            "Device of the watchdog",
            "The watchdog of the machine.",
            rule=message("must_be.absolute_path"),
            pattern=r"^/[^\x00]+$",
            longest=4096,
        ),
    ] = "/dev/watchdog"
    state_directory: Annotated[
        str,
        text(
            "State directory",
            "Where counters, lists and users are kept; empty = systemd's state directory or"
            " ~/.local/state/tinybms-bridge.",
            rule=message("must_be.absolute_path"),
            pattern=r"^(/[^\x00]*)?$",
            longest=4096,
        ),
    ] = ""
    energy_save_interval_s: Annotated[
        int,
        number(
            60,
            3600,
            "s",
            "Save interval",
            "Longest time between two saves of counters and charge state, which a power cut can cost; what matters is"
            " saved sooner.",
        ),
    ] = 60
    history_enabled: Annotated[bool, flag("History", "Keep a history of the battery in the state directory.")] = True
    history_days_10s: Annotated[
        int, number(1, 14, "d", "Days by 10 s", "Days of recorded time that are kept in steps of 10 s; 1.3 MB a day.")
    ] = 2
    history_days_1min: Annotated[
        int,
        number(
            1, 90, "d", "Days by the minute", "Days of recorded time that are kept in steps of 1 min; 0.2 MB a day."
        ),
    ] = 14
    history_days_15min: Annotated[
        int,
        number(30, 3650, "d", "Days by 15 min", "Days of recorded time that are kept in steps of 15 min; 15 KB a day."),
    ] = 730
    history_size_mb: Annotated[
        int,
        number(
            32,
            4096,
            "MB",
            "Size of the history",
            "Largest size of the history; beyond it the oldest rows of the shortest steps go, days never.",
        ),
    ] = 256
    enable_spiffs: Annotated[
        bool,
        flag("SPIFFS", "Flash file system of the firmware.", no_effect=message("no_effect.spiffs")),
    ] = True
    enable_ota: Annotated[
        bool,
        flag(
            "Update over the air",
            "Firmware update over the network.",
            no_effect=message("no_effect.over_the_air"),
        ),
    ] = False
    stack_size_bytes: Annotated[
        int,
        number(
            1024,
            1_048_576,
            "B",
            "Stack size",
            "Stack of a firmware task.",
            no_effect=message("no_effect.stack_size"),
        ),
    ] = 8192
