"""Shared by all tests: a blocked event loop fails the test, and files of tests are spread over the cores."""

from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import settings

# A loaded machine is no failure; what an example found is printed so that it can be repeated.
settings.register_profile("project", deadline=None, print_blob=True)
settings.load_profile("project")

_ON_ONE_BUS = ("test_commands", "test_reload", "test_web")
"""Tests that start the program as a user does, on the CAN bus that every program of this machine shares."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of one file, and those on one bus, in one process of pytest-xdist."""
    for item in items:
        shared = item.path.parent.name == "end_to_end" and item.path.stem in _ON_ONE_BUS
        item.add_marker(pytest.mark.xdist_group("bus" if shared else str(item.path)))


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """Raise in any test whose code blocks the event loop with a file, socket, DNS, sleep or subprocess call."""
    with blockbuster_ctx("tinybms_bridge") as detector:
        yield detector
