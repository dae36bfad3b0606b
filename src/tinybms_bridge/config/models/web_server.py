"""Section ``web_server``: browser interface, REST API and WebSocket."""

from pydantic import SecretStr

from tinybms_bridge.config.models.base import Section, flag, number, secret, text

__all__ = ["WebServer"]


class WebServer(Section):
    """Web server and live data."""

    port: int = number(80, 1, 65535, "", "Port", "Port of the web server; below 1024 the service needs a right.")
    websocket_update_interval_ms: int = number(
        1000, 100, 60_000, "ms", "Live update interval", "Time between two live messages to a browser."
    )
    websocket_min_interval_ms: int = number(
        100, 100, 60_000, "ms", "Shortest live interval", "Shortest time between two live messages, events included."
    )
    websocket_burst_window_ms: int = number(
        1000, 100, 60_000, "ms", "Burst window", "Time over which a burst of live messages is counted."
    )
    websocket_burst_max: int = number(4, 1, 100, "", "Burst limit", "Live messages allowed in one burst window.")
    websocket_max_payload_bytes: int = number(
        4096, 1024, 1_048_576, "B", "Longest live message", "A longer live message is not sent."
    )
    enable_cors: bool = flag(
        False,
        "CORS",
        "Let pages of other sites read the API; off by default, unlike the firmware, for safety.",
    )
    enable_auth: bool = flag(
        False, "Login for reading", "Ask for a login for reading too; whatever changes something always needs one."
    )
    username: str = text(
        "admin",
        "User name",
        "User name of the login.",
        rule="must be 1 to 64 printable characters",
        pattern=r"^[^\x00-\x1F\x7F]{1,64}$",
    )
    password: SecretStr = secret(
        "Password", "Password of the login; there is no default, the first start shows a one-time setup token."
    )
    max_ws_clients: int = number(4, 1, 50, "", "Live clients", "Browsers that may receive live data at once.")
