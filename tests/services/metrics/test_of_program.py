"""What the metrics say of the program itself."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tinybms_bridge import __version__
from tinybms_bridge.hal.process_use import ProcessUse
from tinybms_bridge.services.metrics.family import PREFIX, Picture
from tinybms_bridge.services.metrics.of_program import PROGRAM
from tinybms_bridge.words import message

Values = dict[tuple[str, ...], float | None]


def values(picture: Picture, name: str) -> Values:
    """Return the series of a family by their labels."""
    (family,) = (each for each in PROGRAM if each.name == PREFIX + name)
    return dict(family.read(picture))


def test_both_processes_and_their_versions(make_told: Callable[..., Any]) -> None:
    """An update of one alone is seen; of a core that is away only that it is away, and since when."""
    here, away = Picture.take(make_told()), Picture.take(make_told("away"))
    assert set(values(here, "build")) == {("services", __version__), ("core", "0.2.0")}
    assert set(values(away, "build")) == {("services", __version__)}
    assert (values(here, "core_up"), values(away, "core_up")) == ({(): 1.0}, {(): 0.0})
    assert (values(here, "core_unheard_seconds"), values(away, "core_unheard_seconds")) == ({(): 0.0}, {(): 60.0})
    assert (values(here, "core_uptime_seconds"), values(away, "core_uptime_seconds")) == ({(): 3600.0}, {})
    assert set(values(here, "core_last_end")) == {("watchdog", "uart")}


def test_what_the_processes_take(make_told: Callable[..., Any]) -> None:
    """Where the system tells it."""
    picture = replace(
        Picture.take(make_told()), uses={"services": ProcessUse(50_000_000, None, 7, 3.5), "core": ProcessUse()}
    )
    assert values(picture, "process_resident_memory_bytes") == {("services",): 50_000_000, ("core",): None}
    assert values(picture, "process_cpu_seconds") == {("services",): 3.5, ("core",): None}


def test_parts_and_their_restarts(make_told: Callable[..., Any]) -> None:
    """A part of a core that is not heard is neither up nor down."""
    here, away = Picture.take(make_told()), Picture.take(make_told("away"))
    assert values(here, "part_running") == {("uart",): 1.0, ("can",): 1.0, ("web",): 0.0}
    assert values(here, "part_restarts")["web",] == 3
    assert values(away, "part_running") == {("web",): 1.0}


def test_services_with_whom_they_serve(make_told: Callable[..., Any]) -> None:
    """Each condition with 0 or 1, and whatever they count."""
    picture = Picture.take(make_told())
    conditions = values(picture, "service_condition")
    assert [labels for labels, now in conditions.items() if now] == [("mqtt", "trouble"), ("metrics", "working")]
    assert len(conditions) == 8
    assert values(picture, "service_events") == {("mqtt", "published"): 40, ("metrics", "scrapes"): 7}
    assert values(picture, "service_kept_bytes") == {("mqtt", "kept"): 1200}, "it falls too, so it is no counter"


def test_the_history(make_told: Callable[..., Any]) -> None:
    """Whether it can be written, how large it is, and what was lost."""
    told = make_told().history.told
    picture = replace(Picture.take(make_told()), history=told)
    broken = replace(picture, history=replace(told, error="disk full", message=message("said", text="disk full")))
    assert (values(picture, "history_working"), values(broken, "history_working")) == ({(): 1.0}, {(): 0.0})
    assert values(picture, "history_size_bytes") == {(): 1_200_000}
    assert values(picture, "history_batches_lost") == {(): 1}


def test_the_watchdog(make_told: Callable[..., Any]) -> None:
    """Fed how often, and which part of the path hangs."""
    told = make_told()
    (part,) = told.guard.parts
    assert values(Picture.take(told), "watchdog_feeds") == {(): 12}
    assert values(Picture.take(told), "watchdog_part_hanging") == {("uart",): float(part.hangs)}
