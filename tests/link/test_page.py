"""The page of the link says what the code does."""

import re
from pathlib import Path

from tinybms_bridge.link import outbox, server, session, wire
from tinybms_bridge.link.failures import FailureKind

PAGE = (Path(__file__).parents[2] / "docs" / "link.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading."""
    _, _, rest = PAGE.partition(f"\n## {heading}\n")
    section = rest.partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines[1:]]


def test_every_type_of_message_is_told() -> None:
    """And no other, from the side that sends it."""
    told = {cells[0].strip("`"): cells[1] for cells in rows("Messages")}

    assert told.keys() == wire.FROM_CORE.keys() | wire.FROM_CLIENT.keys()
    for name, side in told.items():
        assert ("core" in side or "both" in side) == (name in wire.FROM_CORE)
        assert ("client" in side or "both" in side) == (name in wire.FROM_CLIENT)


def test_every_kind_of_failure_is_told() -> None:
    """And no other."""
    told = re.findall(r"`(\w+)`", " ".join(cells[0] for cells in rows("Failures")))

    assert sorted(told) == sorted(FailureKind)


def test_bounds_are_those_in_force() -> None:
    """Each number of the table."""
    bounds = session.SessionBounds()
    told = [[float(number) for number in re.findall(r"\d+", cells[1])] for cells in rows("What a client can cost")]

    assert told == [
        [wire.MOST_FROM_CLIENT / 1024, wire.MOST_FROM_CORE / 1024 / 1024],
        [outbox.MOST_EVENTS],
        [bounds.commands],
        [bounds.messages_per_s, bounds.bytes_each / 1024],
        [server.MOST_CLIENTS, server.MOST_OF_A_PROCESS],
        [server.CONNECTIONS_PER_S, server.CONNECTIONS_AT_ONCE],
        [bounds.hello_s],
        [bounds.silent_s],
    ]
    assert bounds.commands == wire.MOST_IN_FLIGHT
    assert f'"link_version": "{wire.LINK_VERSION}"' in PAGE
