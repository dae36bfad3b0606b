"""Checks across keys: each yields findings with the numbers that do not fit together."""

from tinybms_bridge.config.checks.charging import charging_findings
from tinybms_bridge.config.checks.finding import ConfigFinding
from tinybms_bridge.config.checks.link import link_findings
from tinybms_bridge.config.checks.network import network_findings
from tinybms_bridge.config.checks.notifications import notification_findings
from tinybms_bridge.config.checks.packs import pack_findings
from tinybms_bridge.config.checks.target import (
    PEAK_TOLERANCE_V,
    Target,
    bulk_findings,
    ceiling_findings,
    floor_findings,
    preset_of,
)

__all__ = [
    "PEAK_TOLERANCE_V",
    "ConfigFinding",
    "Target",
    "bulk_findings",
    "ceiling_findings",
    "charging_findings",
    "floor_findings",
    "link_findings",
    "network_findings",
    "notification_findings",
    "pack_findings",
    "preset_of",
]
