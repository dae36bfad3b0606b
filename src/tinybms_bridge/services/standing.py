"""How a service stands with whom it serves: shown, logged and told once, however often it tries again."""

import logging
from collections import Counter
from datetime import datetime

from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.link.state import ServiceCondition, ServiceState
from tinybms_bridge.words import Message

__all__ = ["ServiceStanding"]

log = logging.getLogger(__name__)

HEALTHY_AFTER_S = 60.0
"""Trouble that comes back sooner is the same trouble: a broker that is restarted each second is told once."""


class ServiceStanding:
    """What a service tells of itself, for pages, API and log.

    Args:
        name: Of the service, for example ``mqtt``.
        clock: Source of time.
        testable: Whether a person can have it tried.

    """

    def __init__(self, name: str, clock: Clock, *, testable: bool = False) -> None:
        self.counters: Counter[str] = Counter()
        """What it has done since the start, by name."""
        self._name = name
        self._clock = clock
        self._testable = testable
        self._condition = ServiceCondition.OFF
        self._where = ""
        self._since: datetime | None = None
        self._message: Message | None = None
        self._error: Message | None = None
        self._error_at: datetime | None = None
        self._working_since_s: float | None = None
        self._told = False

    def off(self) -> None:
        """Nobody wants it."""
        self._set(ServiceCondition.OFF, None)
        self._where, self._told = "", False

    def starting(self, where: str) -> None:
        """It tries to reach whom it serves; ``where`` is shown, so it must hold no secret."""
        self._where = where
        if self._condition is not ServiceCondition.TROUBLE:
            self._set(ServiceCondition.STARTING, None)

    def working(self, where: str | None = None) -> None:
        """It serves."""
        now_s = self._clock.monotonic()
        self._where = self._where if where is None else where
        if self._condition is ServiceCondition.WORKING:
            if self._told and self._working_since_s is not None and now_s - self._working_since_s >= HEALTHY_AFTER_S:
                self._told = False
                log.info("%s works again%s", self._name, self._at())
            return
        self._working_since_s = now_s
        if not self._told:
            log.info("%s works%s", self._name, self._at())
        self._set(ServiceCondition.WORKING, None)

    def trouble(self, why: Message) -> None:
        """It cannot serve now, and tries again by itself."""
        self.working_long_enough()
        self._error, self._error_at = why, self._clock.wall()
        if not self._told:
            self._told = True
            log.warning("%s does not work%s: %s; it is tried again", self._name, self._at(), why.text)
        self._set(ServiceCondition.TROUBLE, why)

    def working_long_enough(self) -> None:
        """Look whether an earlier trouble is over."""
        if self._condition is ServiceCondition.WORKING:
            self.working()

    def state(self) -> ServiceState:
        """Return how it stands now."""
        return ServiceState(
            name=self._name,
            condition=self._condition,
            since=self._since,
            where=self._where,
            message=self._message,
            last_error=self._error,
            last_error_at=self._error_at,
            counters=dict(self.counters),
            testable=self._testable,
        )

    def _at(self) -> str:
        return f" ({self._where})" if self._where else ""

    def _set(self, condition: ServiceCondition, why: Message | None) -> None:
        if condition is not self._condition:
            self._since = self._clock.wall()
        self._condition, self._message = condition, why
