"""Checks of the times on the way from the BMS to the GX device."""

from collections.abc import Iterator

from tinybms_bridge.config.checks.finding import ConfigFinding, ordered
from tinybms_bridge.config.models.tinybms import TinyBms
from tinybms_bridge.config.models.victron import Victron
from tinybms_bridge.words import message

__all__ = ["link_findings"]


def link_findings(tinybms: TinyBms, victron: Victron) -> Iterator[ConfigFinding]:
    """Yield what does not fit between poll intervals and freshness."""
    base_ms, low_ms, high_ms = tinybms.poll_interval_ms, tinybms.poll_interval_min_ms, tinybms.poll_interval_max_ms
    yield from ordered("tinybms.poll_interval_min_ms", low_ms, "tinybms.poll_interval_ms", base_ms, "ms")
    yield from ordered("tinybms.poll_interval_ms", base_ms, "tinybms.poll_interval_max_ms", high_ms, "ms")
    fresh_s = victron.fresh_timeout_s
    if 2 * high_ms > fresh_s * 1000:
        yield ConfigFinding(
            ("tinybms.poll_interval_max_ms", "victron.fresh_timeout_s"),
            (
                message("config.polled_too_rarely", most_ms=fresh_s * 500, fresh_s=fresh_s),
                message("config.fresh_too_short", least_s=high_ms / 500, poll_ms=high_ms),
            ),
        )
