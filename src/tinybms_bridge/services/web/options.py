"""What the web server is told by the configuration."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tinybms_bridge.config.models import WebServer

__all__ = ["WebOptions"]


@dataclass(frozen=True, slots=True)
class WebOptions:
    """Address, openness and limits of the web server."""

    enabled: bool = True
    """Whether the server listens at all."""
    port: int = 8080
    """TCP port; 0 lets the system choose one."""
    listen_address: str = ""
    """Address of the interface to listen on; empty for all, IPv4 and IPv6."""
    open_reading: bool = True
    """Whoever is near may read without a login; changing something needs one all the same."""
    reading_from_anywhere: bool = False
    """Open reading is for far addresses too."""
    origins: tuple[str, ...] = ()
    """Other sites whose pages may use the API; never with the cookie. ``*`` stands for all."""
    certificate: str = ""
    """Path of a certificate chain (PEM); with ``key`` it turns TLS on."""
    key: str = ""
    self_signed: bool = False
    """Make a certificate of our own if none is given."""
    certificate_directory: Path | None = None
    """Where a self-signed certificate is kept."""
    max_connections: int = 1100
    max_body_bytes: int = 65_536
    body_timeout_s: float = 15.0
    """Time in which the body of a request has to arrive."""
    head_timeout_s: float = 10.0
    """Time in which a connection has to show a complete request head."""
    idle_timeout_s: float = 15.0
    """Time that a connection is kept for a next request."""
    stuck_timeout_s: float = 20.0
    """Time after which a client that does not take its data is cut off."""

    @property
    def encrypted(self) -> bool:
        """Whether the server speaks TLS."""
        return bool(self.certificate or self.self_signed)

    @classmethod
    def from_config(cls, web: WebServer, state_directory: Path) -> Self:
        """Return the options of a configuration."""
        return cls(
            enabled=web.enabled,
            port=web.port,
            listen_address=web.listen_address,
            open_reading=not web.enable_auth,
            reading_from_anywhere=web.reading_from_anywhere,
            origins=tuple(web.cors_origins) if web.enable_cors else (),
            certificate=web.tls_certificate,
            key=web.tls_key,
            self_signed=web.tls_self_signed,
            certificate_directory=state_directory,
        )
