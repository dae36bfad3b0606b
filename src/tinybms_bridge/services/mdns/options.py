"""What the configuration says of the announcement."""

import ipaddress
from dataclasses import dataclass
from typing import Self

from tinybms_bridge import __version__
from tinybms_bridge.config.configuration import Configuration

__all__ = ["MdnsOptions"]


@dataclass(frozen=True, slots=True)
class MdnsOptions:
    """Under which names the web server is announced."""

    host: str
    """Wanted label before ``.local``."""
    instance: str
    """Wanted name in lists of services, which people read."""
    version: str = ""
    """Of the program; empty where nobody may read anything without a login."""

    @classmethod
    def from_config(cls, config: Configuration) -> Self | None:
        """Return the options of a configuration; None where nothing is to be announced."""
        web = config.web_server
        if not (config.mdns.enabled and web.enabled) or _is_loopback(web.listen_address):
            return None
        return cls(
            host=config.wifi.sta_hostname,
            instance=f"TinyBMS bridge ({config.victron.battery_name})",
            version="" if web.enable_auth else __version__,
        )


def _is_loopback(address: str) -> bool:
    return bool(address) and ipaddress.ip_address(address.partition("%")[0]).is_loopback
