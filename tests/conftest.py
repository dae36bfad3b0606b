"""Shared by all tests: a blocked event loop fails the test."""

from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import settings

# A loaded machine is no failure; what an example found is printed so that it can be repeated.
settings.register_profile("project", deadline=None, print_blob=True)
settings.load_profile("project")


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """Raise in any test whose code blocks the event loop with a file, socket, DNS, sleep or subprocess call."""
    with blockbuster_ctx("tinybms_bridge") as detector:
        yield detector
