"""Section ``logging``: what is written where."""

from dataclasses import dataclass
from typing import Annotated, Literal

from tinybms_bridge.config.models.base import Section, flag, number, text
from tinybms_bridge.words import message

__all__ = ["Logging"]

_NO_CONSOLE = message("no_effect.console")
_NO_CARD = message("no_effect.sd_card")


@dataclass(frozen=True, kw_only=True, slots=True)
class Logging(Section):
    """Log level, topics and destinations."""

    serial_baudrate: Annotated[
        int, number(300, 4_000_000, "bit/s", "Console speed", "Speed of the firmware's console.", no_effect=_NO_CONSOLE)
    ] = 115_200
    log_level: Annotated[
        Literal["ERROR", "WARNING", "INFO", "DEBUG"],
        text("Log level", "Least important messages that are still written."),
    ] = "INFO"
    log_uart_traffic: Annotated[
        bool, flag("Log UART traffic", "Write each frame of the serial line at level DEBUG.")
    ] = False
    log_can_traffic: Annotated[bool, flag("Log CAN traffic", "Write each CAN frame at level DEBUG.")] = False
    log_cvl_changes: Annotated[
        bool, flag("Log charge states", "Write each change of the charge state at level INFO.")
    ] = True
    output_serial: Annotated[
        bool, flag("Log to console", "Write to standard error; systemd puts that in the journal.")
    ] = True
    output_web: Annotated[
        bool, flag("Log for the browser", "Keep recent messages for the log page and GET /api/logs.")
    ] = True
    output_sd: Annotated[bool, flag("Log to an SD card", "Write to the firmware's SD card.", no_effect=_NO_CARD)] = (
        False
    )
    output_syslog: Annotated[bool, flag("Log to syslog", "Send messages to the syslog server below.")] = False
    syslog_server: Annotated[
        str,
        text(
            "Syslog server",
            "Host of the syslog server, with :PORT if it is not 514.",
            rule=message("must_be.host_and_port"),
            pattern=r"^([A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?)?$",
        ),
    ] = ""
