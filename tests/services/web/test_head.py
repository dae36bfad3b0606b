"""HEAD wherever there is GET."""

import httpx
import pytest


@pytest.mark.parametrize("path", ["/api/thing", "/api/session", "/api/nothing"])
async def test_head_is_get_without_the_body(nobody: httpx.AsyncClient, path: str) -> None:
    """The same status and headers, whatever the answer is."""
    got, head = await nobody.get(path), await nobody.head(path)

    assert head.status_code == got.status_code
    assert head.headers == got.headers
    assert int(head.headers["content-length"]) == len(got.content) > 0
    assert head.content == b""


async def test_head_needs_what_get_needs(nobody: httpx.AsyncClient) -> None:
    """It is no way around a login."""
    assert (await nobody.head("/api/users")).status_code == 401


async def test_what_cannot_be_read_has_no_head(nobody: httpx.AsyncClient) -> None:
    """A route that only changes something."""
    assert (await nobody.head("/api/login")).status_code == 405
