"""The frame around every page, in real Chromium before a running bridge."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect


def test_the_frame_is_there_and_clean(bridge: Any, page: Page, violations: Callable[[Page], list[str]]) -> None:
    """Name, icons, menu; nothing that axe would mend, no error in the console, nothing asked of another host."""
    errors: list[str] = []
    asked: list[str] = []
    page.on("console", lambda line: errors.append(line.text) if line.type in ("error", "warning") else None)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(bridge.url)

    expect(page.get_by_role("link", name="tinybms-bridge")).to_be_visible()
    assert [url for url in asked if not url.startswith((bridge.url, "data:"))] == []
    assert violations(page) == []
    assert errors == []
