"""Writes the traffic on both buses at level DEBUG, when it is asked for."""

import logging

from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.tinybms.statistics import TraceEntry
from tinybms_bridge.victron.can.frame_table import FRAME_FORMATS

__all__ = ["UartTraffic", "log_can_frame"]

log = logging.getLogger(__name__)

_PAUSE_S = 0.05
"""Silence after which received bytes belong to another frame; a serial adapter delivers one frame in several pieces."""


class UartTraffic:
    """Writes what goes to the BMS and comes from it, as hexadecimal digits; the pieces of a reply become one line.

    A reply is written when the next piece of traffic shows that it is complete.
    """

    def __init__(self) -> None:
        self._received = bytearray()
        self._last_s = 0.0

    def __call__(self, entry: TraceEntry) -> None:
        """Take the next piece of traffic."""
        if entry.direction != "rx" or entry.at_s - self._last_s > _PAUSE_S:
            self.flush()
        if entry.direction == "rx":
            self._received += entry.data
            self._last_s = entry.at_s
        else:
            log.debug("UART %s %s", entry.direction, entry.data.hex(" ").upper() or entry.note)

    def flush(self) -> None:
        """Write what was received and not yet written."""
        if self._received:
            log.debug("UART rx %s", self._received.hex(" ").upper())
            self._received.clear()


def log_can_frame(frame: CanFrame, direction: str) -> None:
    """Write one CAN frame with its name; ``direction`` is ``tx``, ``rx`` or, for one that was not sent, ``dropped``."""
    known = FRAME_FORMATS.get(frame.arbitration_id)
    name = "" if known is None else f" {known.name}"
    log.debug("CAN %s %03X%s %s", direction, frame.arbitration_id, name, frame.data.hex(" ").upper())
