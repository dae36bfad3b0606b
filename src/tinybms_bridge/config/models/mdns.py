"""Section ``mdns``: the name by which the web server is found in the local network."""

from dataclasses import dataclass
from typing import Annotated

from tinybms_bridge.config.models.base import Section, flag

__all__ = ["Mdns"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mdns(Section):
    """Name in the local network."""

    enabled: Annotated[
        bool,
        flag(
            "Name in the network",
            "Tell the local network where the web server is: `http://NAME.local`, where NAME is `wifi.sta_hostname`.",
        ),
    ] = True
