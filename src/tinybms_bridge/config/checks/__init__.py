"""Checks across keys: each yields findings with the numbers that do not fit together."""

from tinybms_bridge.config.checks.charging import MPPT_RISE_V, PEAK_TOLERANCE_V, charging_findings
from tinybms_bridge.config.checks.finding import CROSS_CHECK, Finding
from tinybms_bridge.config.checks.link import link_findings
from tinybms_bridge.config.checks.network import network_findings

__all__ = [
    "CROSS_CHECK",
    "MPPT_RISE_V",
    "PEAK_TOLERANCE_V",
    "Finding",
    "charging_findings",
    "link_findings",
    "network_findings",
]
