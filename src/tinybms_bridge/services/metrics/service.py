"""The metrics as a service: who may read them, and what they are at the moment of a scrape.

Nothing runs here: a Prometheus server asks, and the web server passes the question on.
"""

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from tinybms_bridge.config.models.base import Secret
from tinybms_bridge.hal.blocking import RunBlocking, in_thread
from tinybms_bridge.hal.process_use import process_use
from tinybms_bridge.services.metrics.family import Picture
from tinybms_bridge.services.ports import Core, Exposition, HistoryState, MetricsSource
from tinybms_bridge.services.standing import ServiceStanding
from tinybms_bridge.words import Message, message

__all__ = ["MetricsService"]

_WHERE = "/metrics"
_HISTORY_S = 60.0
"""The history counts its rows for its state, which takes longer than all the rest; it writes once a minute."""


class MetricsService:
    """What is asked for at ``/metrics``; a ``MetricsSource`` while it runs.

    Args:
        core: The bridge.
        token: Bearer token that may read; empty for none.
        standing: Where it tells how often it was asked.
        offer: Gets this service when it begins, and None when it ends.
        run_blocking: Runs what blocks.

    """

    def __init__(
        self,
        core: Core,
        token: Secret,
        standing: ServiceStanding,
        offer: Callable[[MetricsSource | None], None],
        run_blocking: RunBlocking = in_thread,
    ) -> None:
        self._core = core
        self._token = token.value.encode()
        self._standing = standing
        self._offer = offer
        self._run_blocking = run_blocking
        self._asked_s: float | None = None
        self._history = HistoryState(enabled=False)
        self._history_s: float | None = None
        standing.counters.update(scrapes=0, refused=0)

    async def run(self) -> None:
        """Answer until cancelled."""
        self._standing.working(_WHERE)
        self._offer(self)
        try:
            await asyncio.Event().wait()
        finally:
            self._offer(None)

    async def test(self) -> Message:
        """Make the metrics as for a scrape and return how many there are, and when somebody asked for them last."""
        made = await self._run_blocking(self._expose, Picture.take(self._core), "")
        if self._asked_s is None:
            return message("metrics.never_asked", values=made.samples)
        return message("metrics.asked", values=made.samples, age_s=self._core.clock.monotonic() - self._asked_s)

    @property
    def has_token(self) -> bool:
        """Whether there is a token that may read."""
        return bool(self._token)

    def admits(self, token: str) -> bool:
        """Return whether it is the token; the time that takes tells nothing about it."""
        return self.has_token and hmac.compare_digest(token.encode("utf-8", "surrogatepass"), self._token)

    def refused(self) -> None:
        """Count somebody who may not read."""
        self._standing.counters["refused"] += 1

    def scrape(self, accept: str) -> Callable[[], Exposition]:
        """Count a scrape, and return what makes its text of this moment; that blocks."""
        self._standing.counters["scrapes"] += 1
        self._asked_s = self._core.clock.monotonic()
        return partial(self._expose, Picture.take(self._core), accept)

    def _expose(self, picture: Picture, accept: str) -> Exposition:
        from tinybms_bridge.services.metrics.exposition import expose

        uses = {"services": process_use()}
        if picture.heard and picture.info.pid:
            uses["core"] = process_use(picture.info.pid)
        return expose(replace(picture, history=self._history_state(), uses=uses), accept)

    def _history_state(self) -> HistoryState:
        now_s = self._core.clock.monotonic()
        if self._history_s is None or now_s - self._history_s >= _HISTORY_S:
            self._history, self._history_s = self._core.history.state(), now_s
        return self._history
