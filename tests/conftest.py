"""Shared by all tests: a blocked event loop fails the test; and a web server that does not serve."""

import asyncio
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import settings

from tinybms_bridge.hal.storage import Storage
from tinybms_bridge.services.web.options import WebOptions

# A loaded machine is no failure; what an example found is printed so that it can be repeated.
settings.register_profile("project", deadline=None, print_blob=True)
settings.load_profile("project")


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """Raise in any test whose code blocks the event loop with a file, socket, DNS, sleep or subprocess call."""
    with blockbuster_ctx("tinybms_bridge") as detector:
        yield detector


class _FakeWeb:
    """Stands in for the web server and remembers with what it ran."""

    runs: ClassVar[list[WebOptions]] = []
    users: Storage
    face: Any

    def __init__(self, face: object, options: WebOptions, storage: Storage, *_: object, **__: object) -> None:
        self.options = options
        type(self).users, type(self).face = storage, face

    async def run(self) -> None:
        """Serve until cancelled."""
        self.runs.append(self.options)
        await asyncio.Event().wait()


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> type[_FakeWeb]:
    """No web server; ``runs`` has the options of each start, ``users`` and ``face`` what it was given."""
    monkeypatch.setattr("tinybms_bridge.services.web.service.WebService", _FakeWeb)
    monkeypatch.setattr(_FakeWeb, "runs", [])
    return _FakeWeb
