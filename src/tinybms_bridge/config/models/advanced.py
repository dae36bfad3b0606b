"""Section ``advanced``: watchdog, files and keys of the firmware without a use here."""

from tinybms_bridge.config.models.base import Section, flag, number, text

__all__ = ["Advanced"]


class Advanced(Section):
    """Watchdog and storage."""

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
        300, 60, 3600, "s", "Save interval", "Time between two saves of the energy counters."
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
