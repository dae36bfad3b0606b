"""The log lines of an outage: one when it begins, one when it is over, and no more when it comes and goes."""

import logging
import threading
import time
from collections.abc import Callable

__all__ = ["OutageLog"]

_QUIET_S = 60.0


class OutageLog:
    """Reports outages of one thing; may be called from any thread.

    An outage that begins less than ``quiet_s`` after the last reported one goes to the debug level with its end.
    """

    def __init__(
        self,
        logger: logging.Logger,
        name: str,
        *,
        quiet_s: float = _QUIET_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._name = name
        self._quiet_s = quiet_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._since_s: float | None = None
        self._reported_at_s = float("-inf")
        self._level = logging.DEBUG

    @property
    def active(self) -> bool:
        """Whether an outage is going on."""
        return self._since_s is not None

    def begin(self, what: str) -> None:
        """Note a failure: a warning when it starts an outage, otherwise a debug line."""
        with self._lock:
            now_s = self._monotonic()
            fresh = self._since_s is None and now_s - self._reported_at_s >= self._quiet_s
            if fresh:
                self._reported_at_s = now_s
            if self._since_s is None:
                self._since_s = now_s
                self._level = logging.WARNING if fresh else logging.DEBUG
        self._logger.log(logging.WARNING if fresh else logging.DEBUG, "%s: %s", self._name, what)

    def end(self) -> None:
        """Note a success: the end of the outage, if there is one."""
        if self._since_s is None:
            return
        with self._lock:
            since_s, self._since_s = self._since_s, None
        if since_s is not None:
            level = logging.INFO if self._level == logging.WARNING else logging.DEBUG
            self._logger.log(level, "%s: works again after %.1f s", self._name, self._monotonic() - since_s)
