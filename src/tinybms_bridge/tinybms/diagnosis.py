"""What a user should look at when the BMS does not answer, told from what was seen on the line."""

from tinybms_bridge.errors import BridgeError, DeviceRefused
from tinybms_bridge.tinybms.statistics import LinkStatistics
from tinybms_bridge.words import Message, message

__all__ = ["explain_failure"]


def explain_failure(error: BridgeError, statistics: LinkStatistics) -> Message:
    """Return what a failed request says, with what points at the cause while nothing was ever received well."""
    if statistics.success or isinstance(error, DeviceRefused):
        return error.description
    noise = statistics.garbage_bytes or statistics.crc_errors
    return message("link_failure.noise" if noise else "link_failure.silence", error=error.description)
