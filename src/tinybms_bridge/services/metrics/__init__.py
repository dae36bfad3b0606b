"""Metrics: what a Prometheus server reads at ``/metrics``; its library is loaded with the first scrape."""

from tinybms_bridge.services.metrics.service import MetricsService

__all__ = ["MetricsService"]
