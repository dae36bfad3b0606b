"""What a user should look at when the BMS does not answer, told from what was seen on the line."""

from tinybms_bridge.errors import BridgeError, DeviceRefused
from tinybms_bridge.tinybms.statistics import LinkStatistics

__all__ = ["explain_failure"]


def explain_failure(error: BridgeError, statistics: LinkStatistics) -> str:
    """Return the text of a failed request, with what points at the cause while nothing was ever received well."""
    if statistics.success or isinstance(error, DeviceRefused):
        return str(error)
    if statistics.garbage_bytes or statistics.crc_errors:
        return (
            f"{error}; bytes arrive but no valid frame, which a TinyBMS sends at 115200 baud 8N1: "
            "check the ground, and that this is the port of the BMS"
        )
    return f"{error}; nothing was received: check that RX and TX are crossed, the ground, and that the BMS is awake"
