"""A picture in the formats of Prometheus. Only this module loads its library: with the first scrape, in a thread."""

import math
import re
from collections.abc import Callable, Iterator

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from tinybms_bridge.services.metrics.families import FAMILIES
from tinybms_bridge.services.metrics.family import Family, MetricKind, Picture
from tinybms_bridge.services.ports import Exposition

__all__ = ["BridgeCollector", "expose"]

_LONGEST_ACCEPT = 1024
"""Of the header by which a client says what it reads; Prometheus sends some 200 characters."""
_MEDIA_TYPE = re.compile(r"[\w/.;=+ -]+", re.ASCII)
"""The library repeats the version that a client names."""


class BridgeCollector(Collector):
    """Gives the families of one picture, and nothing of the library or of Python.

    A family without a value is left out: what nobody knows is absent.
    """

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self.samples = 0
        """Values that were given."""

    def collect(self) -> Iterator[Metric]:
        """Yield each family that has a value now."""
        for family in FAMILIES:
            metric = self._metric(family)
            if metric.samples:
                self.samples += len(metric.samples)
                yield metric

    def _metric(self, family: Family) -> Metric:
        found = [
            (values, number)
            for values, number in family.read(self._picture)
            if number is not None and math.isfinite(number)
        ]
        if family.kind is MetricKind.INFO:
            told = InfoMetricFamily(family.name, family.help, labels=family.labels)
            for values, _ in found:
                told.add_metric(values, {})
            return told
        make = CounterMetricFamily if family.kind is MetricKind.COUNTER else GaugeMetricFamily
        metric = make(family.name, family.help, labels=family.labels, unit=family.unit)
        for values, number in found:
            metric.add_metric(values, number)
        return metric


def expose(picture: Picture, accept: str) -> Exposition:
    """Return a picture as text, in the format that a client accepts or else in the plain one. Takes milliseconds."""
    encode, media_type = _encoder(accept)
    collector = BridgeCollector(picture)
    return Exposition(encode(collector), media_type, collector.samples)


def _encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    try:
        encode, media_type = choose_encoder(accept[:_LONGEST_ACCEPT])
    except (TypeError, ValueError):  # a version that is no number
        return generate_latest, CONTENT_TYPE_PLAIN_0_0_4
    return (encode, media_type) if _MEDIA_TYPE.fullmatch(media_type) else (generate_latest, CONTENT_TYPE_PLAIN_0_0_4)
