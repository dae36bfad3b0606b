"""Section ``web_server``: browser interface, REST API and WebSocket."""

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Annotated

from tinybms_bridge.config.models.base import Secret, Section, flag, number, text
from tinybms_bridge.words import message

__all__ = ["WebServer"]

_NO_ACCOUNT = message("no_effect.account")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]{1,255}")
_ORIGIN_RULE = message("must_be.origins")


def _are_origins(values: list[str]) -> bool:
    return len(values) <= 20 and all(value == "*" or _ORIGIN.fullmatch(value) for value in values)


def _is_address_or_empty(value: str) -> bool:
    try:
        return not value or bool(ipaddress.ip_address(value))
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class WebServer(Section):
    """Web server and live data."""

    enabled: Annotated[
        bool, flag("Web server", "Serve pages, REST and live data; off, only an edit of the file turns it on again.")
    ] = True
    port: Annotated[
        int,
        number(
            1,
            65535,
            "",
            "Port",
            "Port of the web server; the firmware's 80 needs a right (CAP_NET_BIND_SERVICE),"
            " like every port below 1024.",
        ),
    ] = 8080
    listen_address: Annotated[
        str,
        text(
            "Listen on",
            "IP address of the interface on which the server listens; empty for all,"
            " `127.0.0.1` for this machine alone.",
            rule=message("must_be.address"),
            holds=_is_address_or_empty,
        ),
    ] = ""
    websocket_update_interval_ms: Annotated[
        int, number(100, 60_000, "ms", "Live update interval", "Time between two live messages to a browser.")
    ] = 1000
    websocket_min_interval_ms: Annotated[
        int,
        number(
            100, 60_000, "ms", "Shortest live interval", "Shortest time between two live messages, events included."
        ),
    ] = 100
    websocket_burst_window_ms: Annotated[
        int, number(100, 60_000, "ms", "Burst window", "Time over which a burst of live messages is counted.")
    ] = 1000
    websocket_burst_max: Annotated[
        int, number(1, 100, "", "Burst limit", "Live messages allowed in one burst window.")
    ] = 4
    websocket_max_payload_bytes: Annotated[
        int,
        number(
            1024,
            1_048_576,
            "B",
            "Longest live message",
            "A longer flat live message goes out without its registers, or not at all; other topics have no bound.",
        ),
    ] = 4096
    enable_cors: Annotated[
        bool,
        flag(
            "CORS",
            "Let pages of the sites in `cors_origins` use the API; off by default, unlike the firmware, for safety.",
        ),
    ] = False
    cors_origins: Annotated[
        list[str],
        text(
            "Allowed sites",
            "Sites whose pages may use the API while `enable_cors` is on; never with a browser's login.",
            rule=_ORIGIN_RULE,
            holds=_are_origins,
        ),
    ] = field(default_factory=list)
    enable_auth: Annotated[
        bool, flag("Login for reading", "Ask for a login for reading too; whatever changes something always needs one.")
    ] = False
    reading_from_anywhere: Annotated[
        bool,
        flag(
            "Reading from anywhere",
            "Without `enable_auth`, let addresses beyond this machine, private networks and its own links read too.",
        ),
    ] = False
    username: Annotated[
        str,
        text(
            "User name",
            "User name of the firmware's login.",
            rule=message("must_be.printable", longest=64),
            pattern=r"^[^\x00-\x1F\x7F]{1,64}$",
            no_effect=_NO_ACCOUNT,
        ),
    ] = "admin"
    password: Annotated[
        Secret,
        text(
            "Password",
            "Password of the firmware's login; there is no default, the first start shows a setup token.",
            no_effect=_NO_ACCOUNT,
        ),
    ] = Secret()
    tls_certificate: Annotated[
        str,
        text("Certificate", "Path of a certificate chain (PEM); with `tls_key` the server speaks HTTPS.", longest=4096),
    ] = ""
    tls_key: Annotated[
        str,
        text("Private key", "Path of the private key (PEM, without a password) of `tls_certificate`.", longest=4096),
    ] = ""
    tls_self_signed: Annotated[
        bool, flag("Own certificate", "Speak HTTPS with a certificate made here, if none is given; needs `openssl`.")
    ] = False
    max_ws_clients: Annotated[
        int,
        number(
            1,
            1000,
            "",
            "Live clients",
            "Browsers that may receive live data at once; the firmware's 4 was its memory's.",
        ),
    ] = 32
