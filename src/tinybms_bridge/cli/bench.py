"""``tinybms-bridge bench``: measures of the bridge that need no hardware."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinybms_bridge.cli.common import EXIT_FAILURE, EXIT_REFUSED, fail, json_option, need_laboratory
from tinybms_bridge.suggestions import did_you_mean

if TYPE_CHECKING:
    from tinybms_lab.bench.runner import ScenarioResult

__all__ = ["bench_command"]


@click.group("bench")
def bench_command() -> None:
    """Measure the bridge without hardware: the charge control in a closed loop with simulated batteries and weather."""


@bench_command.command("charge")
@click.option("--only", "names", metavar="NAME", multiple=True, help="Play this scenario; may be given several times.")
@click.option(
    "--family",
    "families",
    type=click.Choice(["days", "profiles", "dirty", "long", "packs"]),
    multiple=True,
    help="Play the scenarios of this kind; may be given several times.",
)
@click.option("--list", "list_only", is_flag=True, help="Name the scenarios and end.")
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("bench-charge"),
    show_default=True,
    help="Where plots and page go.",
)
@click.option("--no-plots", is_flag=True, help="Print the table, write nothing.")
@click.option(
    "--baseline/--no-baseline", default=True, show_default=True, help="Compare with the ESP32 firmware's algorithm."
)
@json_option
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=lambda: os.cpu_count() or 1,
    show_default="all processors",
    help="Scenarios to play at once.",
)
def charge_command(
    names: tuple[str, ...],
    families: tuple[str, ...],
    list_only: bool,
    folder: Path,
    no_plots: bool,
    baseline: bool,
    as_json: bool,
    jobs: int,
) -> None:
    """Play the charge control against simulated batteries, weather and a GX.

    Each scenario runs with the bridge's engine and with the algorithm of the ESP32 firmware: unequal cells, clouds,
    feed-in, load steps, frost, restarts, silence. Those of several packs are played against the plain sum of what a
    bridge for each pack would say. A simulated day takes seconds. Plots and a page with everything are written to the
    folder of --out.

    \b
    Exit status: 0 when the engine holds every criterion in every scenario; 1 when not.
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped
    need_laboratory("bench")
    from tinybms_lab.bench.scenarios import FAMILIES, SCENARIOS

    wanted = {name: each for family in families or FAMILIES for name, each in FAMILIES[family].items()}
    if list_only and as_json:
        listed = [{"name": each.name, "hours": each.hours, "title": each.title} for each in wanted.values()]
        click.echo(json.dumps(listed, indent=1, ensure_ascii=False))
        return
    if list_only:
        for scenario in wanted.values():
            click.echo(f"{scenario.name:20} {scenario.hours:4.0f} h  {scenario.title}")
        return
    for name in names:
        if name not in SCENARIOS:
            fail(f"there is no scenario {name}{did_you_mean(name, SCENARIOS) or '; --list names them'}", EXIT_REFUSED)
    chosen = [*names, *(wanted if families or not names else ())]
    results = _play(list(dict.fromkeys(chosen)), baseline=baseline, plot=not no_plots, jobs=jobs)
    _show(results, as_json=as_json)
    if not no_plots:
        _write(results, folder)
    if any(result.engine.violations for result in results):
        sys.exit(EXIT_FAILURE)


@bench_command.command("story")
@click.option("--only", "names", metavar="NAME", multiple=True, help="Draw this picture; may be given several times.")
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("bench-story"),
    show_default=True,
    help="Where the pictures go.",
)
def story_command(names: tuple[str, ...], folder: Path) -> None:
    """Draw the days of docs/what-your-battery-does.md as the charge control plays them now.

    Takes some minutes; a month of balancing is among them.
    """
    need_laboratory("bench")
    from tinybms_lab.bench.plots import PlottingError, require
    from tinybms_lab.bench.story import STORIES, drawn

    for name in names:
        if name not in STORIES:
            fail(f"there is no story {name}; there are {', '.join(STORIES)}{did_you_mean(name, STORIES)}", EXIT_REFUSED)
    try:
        require()
    except PlottingError as error:
        fail(error)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in drawn(list(names or STORIES)):
            (folder / f"{name}.png").write_bytes(picture)
            click.echo(f"{folder / name}.png", err=True)
    except OSError as error:
        fail(f"{folder}: cannot be written: {error.strerror}")


def _play(names: Sequence[str], *, baseline: bool, plot: bool, jobs: int) -> "list[ScenarioResult]":
    """Return the results in the order of the names; tell on standard error how far it is."""
    from tinybms_lab.bench.plots import PlottingError, require
    from tinybms_lab.bench.runner import play_all

    if plot:
        try:
            require()
        except PlottingError as error:
            fail(error)
    results: dict[str, ScenarioResult] = {}
    for result in play_all(names, baseline=baseline, plot=plot, jobs=jobs):
        results[result.scenario] = result
        took_s = sum(outcome.took_s for outcome in result.outcomes)
        speed = result.simulated_s * len(result.outcomes) / max(took_s, 1e-9)
        click.echo(f"{len(results)}/{len(names)} {result.scenario}: {took_s:.1f} s, {speed:,.0f} times real", err=True)
    return [results[name] for name in dict.fromkeys(names)]


def _show(results: "Sequence[ScenarioResult]", *, as_json: bool) -> None:
    from rich.console import Console

    from tinybms_lab.bench.report import document, show

    if as_json:
        click.echo(json.dumps(document(results), indent=1))
        return
    show(results, Console())


def _write(results: "Sequence[ScenarioResult]", folder: Path) -> None:
    from tinybms_lab.bench.plots import write

    try:
        index = write(results, folder)
    except OSError as error:
        fail(f"{folder}: cannot be written: {error.strerror}")
    click.echo(f"plots: {index}", err=True)
