"""Every request that the seed's README shows, as it shows it."""

from functools import reduce
from typing import Any

import httpx
import pytest


@pytest.mark.parametrize(
    ("path", "selector"),
    [
        ("/api/status", ""),
        ("/api/status", "stats.can"),
        ("/api/status", "stats.uart_success_count"),
        ("/api/status", "stats.uart_errors"),
        ("/api/status", "stats.can_tx_count"),
        ("/api/status", "stats.can_tx_errors"),
        ("/api/status", "stats.victron_keepalive_ok"),
        ("/api/diagnostics", "uart"),
        ("/api/diagnostics", "heap_free"),
        ("/api/diagnostics", "watchdog"),
        ("/api/settings", "hardware.uart"),
        ("/api/settings", "hardware.can.mode"),
        ("/api/settings", "web_server.websocket_update_interval_ms"),
        ("/api/settings", "advanced.watchdog_timeout_s"),
        ("/api/settings", "advanced.enable_watchdog"),
        ("/api/tinybms/registers", "registers"),
    ],
)
async def test_curl_and_jq(visitor: httpx.AsyncClient, path: str, selector: str) -> None:
    """The value that the README looks for is found, without a login and without a header."""
    answer = await visitor.get(path, headers={"accept": "*/*", "user-agent": "curl/8"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    keys = [key for key in selector.split(".") if key]
    found: Any = reduce(lambda document, key: document[key], keys, answer.json())
    assert found is not None


async def test_sizes_for_small_clients(visitor: httpx.AsyncClient) -> None:
    """The status with 16 cells stays a few kilobytes, as the README promises 2 to 3."""
    status = await visitor.get("/api/status")
    assert len(status.content) < 4096
    assert len(status.json()["registers"]) == 29
