"""One name for one thing: the flat message of ``/ws`` held against ``/api/status``."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.view import Last, View
from tinybms_bridge.services.web.face import Direction, Picture
from tinybms_bridge.services.web.live.messages import status_message
from tinybms_bridge.services.web.live.status import LiveStatus
from tinybms_bridge.services.web.routes.status import Status

OLD_NAMES = {"cells": "cells_mv", "balancing": "balancing_bits"}
"""Of the message, with what replaces them; they go with version 1.0."""

OF_STATUS_ONLY = {"stats.uart", "stats.can", "stats.eventbus", "stats.energy"}
"""Too long for a message that goes out each second."""


def tree(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield each key of a document with its path and value; a list is a value."""
    if isinstance(value, dict):
        for key, entry in value.items():
            below = f"{path}.{key}".lstrip(".")
            yield below, entry
            yield from tree(entry, below)


async def both(visitor: httpx.AsyncClient, face: Any) -> tuple[dict[str, object], dict[str, object]]:
    """Return the trees of both documents at one moment."""
    return dict(tree((await visitor.get("/api/status")).json())), dict(tree(json.loads(status_message(face))))


@pytest.fixture(params=["fresh", "old", "nothing yet"])
async def moment(request: pytest.FixtureRequest, face: Any, picture: Picture) -> str:
    """A bridge in one of the states in which the documents differ most."""
    await face.inhibit(Direction.CHARGE, None, "test", "boss")
    assert picture.view.measured is not None
    last = Last(picture.view.measured, 60.0, picture.view.limits)
    pictures = {
        "fresh": picture,
        "old": replace(picture, view=View(Freshness.SILENT, age_s=60.0, last=last)),
        "nothing yet": replace(picture, view=View()),
    }
    face.now = pictures[request.param]
    return str(request.param)


async def test_both_documents_name_and_tell_the_same(visitor: httpx.AsyncClient, face: Any, moment: str) -> None:
    """A client written for the one reads the other; neither may gain a name that the other has under another one."""
    status, live = await both(visitor, face)
    only_live = {path: value for path, value in live.items() if path not in status}
    only_status = {path for path in status if path not in live and not path.startswith(tuple(OF_STATUS_ONLY))}
    assert {path.partition(".")[0] for path in only_live} == OLD_NAMES.keys(), moment
    assert only_status == set()
    shared = status.keys() & live.keys()
    assert {path: live[path] for path in shared if path != "stats"} == {
        path: status[path] for path in shared if path != "stats"
    }


async def test_old_names_tell_the_same_as_the_new_ones(visitor: httpx.AsyncClient, face: Any, moment: str) -> None:
    """Until 1.0 nobody has to change anything."""
    status, live = await both(visitor, face)
    assert {old: live[old] for old in OLD_NAMES} == {old: status[new] for old, new in OLD_NAMES.items()}, moment


def test_old_names_are_marked_as_such() -> None:
    """And no new name is: a field of the message alone is either old, or belongs into both documents."""
    of_message_only = LiveStatus.model_fields.keys() - Status.model_fields.keys()
    deprecated = {name for name, field in LiveStatus.model_fields.items() if field.deprecated}
    assert of_message_only == deprecated == OLD_NAMES.keys()
    for old, new in OLD_NAMES.items():
        assert f"``{new}``" in str(LiveStatus.model_fields[old].description)
