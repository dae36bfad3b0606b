"""Section ``battery``: how several packs are one battery."""

from dataclasses import dataclass
from typing import Annotated, Literal

from tinybms_bridge.config.models.base import Section, number, text

__all__ = ["SeveralPacks"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SeveralPacks(Section):
    """Several packs as one battery; without effect while there is one."""

    packs_missing: Annotated[
        Literal["go_on", "stop"],
        text(
            "When a pack is silent",
            "Go on carefully with the others (go_on), or stop as with a single pack that is silent (stop).",
        ),
    ] = "go_on"
    join_delta_v: Annotated[
        float | None,
        number(
            0.1,
            20,
            "V",
            "Joining difference",
            "A pack whose voltage is further from the others gets a careful start; null = 0.05 V per cell.",
        ),
    ] = None
