"""The service behind ``/metrics``: who may read, what is counted, what is loaded when."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tinybms_bridge.config.models.base import Secret
from tinybms_bridge.hal.blocking import in_place, in_thread
from tinybms_bridge.link.state import ServiceCondition
from tinybms_bridge.services.metrics import MetricsService
from tinybms_bridge.services.ports import MetricsSource
from tinybms_bridge.services.standing import ServiceStanding
from tinybms_lab.testing.fake_clock import FakeClock

TOKEN = "a-token-of-32-characters-in-all-1"


class Place:
    """Where the service is made, and what it offers there."""

    def __init__(self, told: Any, token: str = "") -> None:
        self.told = told
        self.standing = ServiceStanding("metrics", told.clock, testable=True)
        self.offered: list[MetricsSource | None] = []
        self.service = MetricsService(told, Secret(token), self.standing, self.offered.append, in_place)

    @property
    def counters(self) -> dict[str, int]:
        """What it has counted."""
        return dict(self.standing.state().counters)


@pytest.fixture
def place(make_told: Callable[..., Any]) -> Place:
    """A service with a token, of a battery that is well."""
    return Place(make_told(), TOKEN)


async def test_it_is_offered_while_it_runs(place: Place) -> None:
    """Who asks when it is off finds nothing; when it ends it takes itself back."""
    assert place.standing.state().condition is ServiceCondition.OFF
    running = asyncio.create_task(place.service.run())
    await asyncio.sleep(0)
    assert place.offered == [place.service]
    state = place.standing.state()
    assert (state.condition, state.where) == (ServiceCondition.WORKING, "/metrics")
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert place.offered == [place.service, None]


@pytest.mark.parametrize("token", ["", " ", TOKEN[:-1], TOKEN + " ", TOKEN.upper(), "é" * 40, "\ud800" * 3])
def test_only_the_token_itself_is_admitted(place: Place, token: str) -> None:
    """Whatever the header holds."""
    assert place.service.admits(TOKEN)
    assert not place.service.admits(token)


@pytest.mark.parametrize("token", ["", TOKEN])
def test_without_a_token_none_is_admitted(make_told: Callable[..., Any], token: str) -> None:
    """Also not the empty one."""
    service = Place(make_told()).service
    assert not service.has_token
    assert not service.admits(token)


def test_a_token_is_never_shown(place: Place) -> None:
    """Neither where it stands nor in what it tells of itself."""
    assert TOKEN not in repr(vars(place.service).get("_core"))
    assert TOKEN not in repr(place.standing.state())
    assert TOKEN.encode() not in place.service.scrape("")().text


def test_scrapes_and_refusals_are_counted(place: Place) -> None:
    """From the first look on both are there, with 0."""
    assert place.counters == {"scrapes": 0, "refused": 0}
    place.service.scrape("")
    place.service.scrape("")
    place.service.refused()
    assert place.counters == {"scrapes": 2, "refused": 1}


def test_a_service_that_is_made_anew_counts_on(make_told: Callable[..., Any]) -> None:
    """Another token is no other counter."""
    first = Place(make_told(), TOKEN)
    first.service.scrape("")
    MetricsService(first.told, Secret(), first.standing, first.offered.append, in_place)
    assert first.counters == {"scrapes": 1, "refused": 0}


async def test_a_scrape_is_of_its_moment(place: Place, clock: FakeClock) -> None:
    """The text that is made later, in its turn, tells what was when it was asked for."""
    make = place.service.scrape("")
    await clock.advance(120.0)
    assert b'tinybms_battery_freshness{state="FRESH"} 1.0' in (await in_thread(make)).text
    later = await in_thread(place.service.scrape(""))
    assert b'tinybms_battery_freshness{state="SILENT"} 1.0' in later.text


async def test_the_history_is_looked_at_once_a_minute(place: Place, clock: FakeClock) -> None:
    """It counts its rows for that; twenty scrapes in a minute are one look."""
    for _ in range(20):
        await in_thread(place.service.scrape(""))
        await clock.advance(2.0)
    assert place.told.history.looks == 1
    await clock.advance(30.0)
    assert b"tinybms_history_size_bytes 1.2e+06" in (await in_thread(place.service.scrape(""))).text
    assert place.told.history.looks == 2


def test_processes_are_told_apart(place: Place, make_told: Callable[..., Any]) -> None:
    """The core is asked about while it is heard: its number may be another program's afterwards."""
    text = place.service.scrape("")().text
    assert text.count(b"tinybms_process_resident_memory_bytes{process=") == 2
    away = Place(make_told("away")).service.scrape("")().text
    assert away.count(b"tinybms_process_resident_memory_bytes{process=") == 1


async def test_a_trial_says_how_much_there_is_and_who_asked(place: Place, clock: FakeClock) -> None:
    """In both languages; a trial is no scrape."""
    told = await place.service.test()
    assert told.code == "metrics.never_asked"
    assert told.parameters["values"] > 200
    place.service.scrape("")
    await clock.advance(12.0)
    told = await place.service.test()
    assert told.text.endswith("the last one was asked for 12 s ago")
    assert told.say("fr").endswith("la dernière a été demandée il y a 12 s")
    assert place.counters == {"scrapes": 1, "refused": 0}


LOADED = """
import sys
from tinybms_bridge.services.metrics import MetricsService
import tinybms_bridge.app.services, tinybms_bridge.services.web.routes
print(sorted(name for name in sys.modules if name.startswith("prometheus_client")))
"""


def test_the_library_is_not_loaded_before_the_first_scrape() -> None:
    """Who has no Prometheus server has the memory for something else: routes, service and all."""
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
