"""Checks of the times on the way from the BMS to the GX device."""

from collections.abc import Iterator

from tinybms_bridge.config.checks.finding import ConfigFinding, ordered
from tinybms_bridge.config.models.tinybms import TinyBms
from tinybms_bridge.config.models.victron import Victron

__all__ = ["link_findings"]


def link_findings(tinybms: TinyBms, victron: Victron) -> Iterator[ConfigFinding]:
    """Yield what does not fit between poll intervals and freshness."""
    base_ms, low_ms, high_ms = tinybms.poll_interval_ms, tinybms.poll_interval_min_ms, tinybms.poll_interval_max_ms
    yield from ordered("tinybms.poll_interval_min_ms", low_ms, "tinybms.poll_interval_ms", base_ms, "ms")
    yield from ordered("tinybms.poll_interval_ms", base_ms, "tinybms.poll_interval_max_ms", high_ms, "ms")
    fresh_s = victron.fresh_timeout_s
    if 2 * high_ms > fresh_s * 1000:
        reason = "so that charging goes on while the BMS answers"
        yield ConfigFinding(
            ("tinybms.poll_interval_max_ms", "victron.fresh_timeout_s"),
            (
                f"must be at most {fresh_s * 500:g} ms, half of victron.fresh_timeout_s ({fresh_s:g} s), {reason}",
                f"must be at least {high_ms / 500:g} s, twice tinybms.poll_interval_max_ms ({high_ms} ms), {reason}",
            ),
        )
