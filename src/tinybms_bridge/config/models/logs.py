"""Section ``logging``: what is written where."""

from typing import Literal

from tinybms_bridge.config.models.base import Section, flag, number, text

__all__ = ["Logging"]

_NO_CONSOLE = "no meaning on Linux: the log goes to the journal, not to a serial console"
_NO_CARD = "no meaning on Linux: there is no SD card writer; the journal keeps the log"


class Logging(Section):
    """Log level, topics and destinations."""

    serial_baudrate: int = number(
        115_200, 300, 4_000_000, "bit/s", "Console speed", "Speed of the firmware's console.", no_effect=_NO_CONSOLE
    )
    log_level: Literal["ERROR", "WARNING", "INFO", "DEBUG"] = text(
        "INFO", "Log level", "Least important messages that are still written."
    )
    log_uart_traffic: bool = flag(False, "Log UART traffic", "Write each frame of the serial line at level DEBUG.")
    log_can_traffic: bool = flag(False, "Log CAN traffic", "Write each CAN frame at level DEBUG.")
    log_cvl_changes: bool = flag(True, "Log charge states", "Write each change of the charge state at level INFO.")
    output_serial: bool = flag(True, "Log to console", "Write to standard error; systemd puts that in the journal.")
    output_web: bool = flag(True, "Log for the browser", "Keep recent messages for the log page and GET /api/logs.")
    output_sd: bool = flag(False, "Log to an SD card", "Write to the firmware's SD card.", no_effect=_NO_CARD)
    output_syslog: bool = flag(False, "Log to syslog", "Send messages to the syslog server below.")
    syslog_server: str = text(
        "",
        "Syslog server",
        "Host of the syslog server, with :PORT if it is not 514.",
        rule="must be HOST or HOST:PORT, or empty",
        pattern=r"^([A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?)?$",
    )
