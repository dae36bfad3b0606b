"""Section ``advanced``: watchdog, files, history and keys of the firmware without a use here."""

from tinybms_bridge.config.models.base import Section, flag, number, text

__all__ = ["Advanced"]


class Advanced(Section):
    """Watchdog, storage and history."""

    enable_watchdog: bool = flag(True, "Watchdog", "Let systemd restart the bridge when its data path hangs.")
    watchdog_timeout_s: int = number(
        30, 5, 300, "s", "Watchdog timeout", "Longest hang of the data path before a restart (README: 30, tip 60)."
    )
    state_directory: str = text(
        "",
        "State directory",
        "Where counters, lists and users are kept; empty = systemd's state directory or ~/.local/state/tinybms-bridge.",
        rule="must be an absolute path, or empty",
        pattern=r"^(/[^\x00]*)?$",
        max_length=4096,
    )
    energy_save_interval_s: int = number(
        60,
        60,
        3600,
        "s",
        "Save interval",
        "Longest time between two saves of counters and charge state, which a power cut can cost; what matters is saved"
        " sooner.",
    )
    history_enabled: bool = flag(True, "History", "Keep a history of the battery in the state directory.")
    history_days_10s: int = number(
        2, 1, 14, "d", "Days by 10 s", "Days of recorded time that are kept in steps of 10 s; 1.3 MB a day."
    )
    history_days_1min: int = number(
        14, 1, 90, "d", "Days by the minute", "Days of recorded time that are kept in steps of 1 min; 0.2 MB a day."
    )
    history_days_15min: int = number(
        730, 30, 3650, "d", "Days by 15 min", "Days of recorded time that are kept in steps of 15 min; 15 KB a day."
    )
    enable_spiffs: bool = flag(
        True, "SPIFFS", "Flash file system of the firmware.", no_effect="no meaning on Linux: files are plain files"
    )
    enable_ota: bool = flag(
        False,
        "Update over the air",
        "Firmware update over the network.",
        no_effect="no effect: the bridge is updated as a package",
    )
    stack_size_bytes: int = number(
        8192,
        1024,
        1_048_576,
        "B",
        "Stack size",
        "Stack of a firmware task.",
        no_effect="no meaning on Linux: Python has no task stacks to size",
    )
