"""Section ``metrics``: what a Prometheus server may read."""

import re
from dataclasses import dataclass
from typing import Annotated

from tinybms_bridge.config.models.base import Secret, Section, flag, text
from tinybms_bridge.words import message

__all__ = ["PrometheusMetrics"]

_SHORTEST, _LONGEST = 16, 256
"""Characters of a token: shorter ones can be guessed, longer ones help nobody."""
_TOKEN_RULE = message("must_be.scrape_token", shortest=_SHORTEST, longest=_LONGEST)
_TOKEN = re.compile(rf"[\x21-\x7e]{{{_SHORTEST},{_LONGEST}}}")
"""What may stand behind ``Bearer`` in one piece."""


def _is_token_or_empty(value: Secret) -> bool:
    return not value.value or _TOKEN.fullmatch(value.value) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class PrometheusMetrics(Section):
    """Metrics for Prometheus."""

    enabled: Annotated[
        bool, flag("Metrics", "Serve `/metrics` for Prometheus on the port of the web server; without it nothing is.")
    ] = True
    token: Annotated[
        Secret,
        text(
            "Token",
            "Bearer token of the Prometheus server; empty, only programs on this machine and logins of the bridge may"
            " read.",
            rule=_TOKEN_RULE,
            holds=_is_token_or_empty,
        ),
    ] = Secret()
