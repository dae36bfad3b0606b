"""Command ``bench``."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tinybms_bridge.cli.bench import bench_command
from tinybms_lab.bench import plots, runner
from tinybms_lab.bench import story as stories
from tinybms_lab.bench.scenarios import FAMILIES, SCENARIOS


@pytest.fixture(autouse=True)
def short_scenarios(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let every scenario last three minutes, and run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    short = {name: scenario.shortened(0.05) for name, scenario in SCENARIOS.items()}
    monkeypatch.setattr(runner, "SCENARIOS", short)


def charge(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(bench_command, ["charge", "--jobs", "1", *arguments])


def test_the_scenarios_are_listed() -> None:
    """Name, length and title of each; nothing is played."""
    result = charge("--list")

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == len(SCENARIOS)
    assert "seasons               720 h  30 days from midwinter to midsummer" in result.stdout


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_listed_by_itself(family: str) -> None:
    """The choices of the option are the families that there are."""
    result = charge("--list", "--family", family)

    assert [line.split()[0] for line in result.stdout.splitlines()] == list(FAMILIES[family])


def test_several_packs_are_played_against_the_plain_sum() -> None:
    """A table of their own says what becomes of each pack."""
    result = charge("--only", "packs-silent-weak", "--no-plots")

    assert "Several packs" in result.stdout
    assert "plain sum" in result.stdout
    assert "firmware" not in result.stdout


def test_a_family_and_a_name_are_played_together() -> None:
    """Each scenario once, the named ones first."""
    result = charge("--only", "lto", "--family", "packs", "--no-plots", "--no-baseline", "--json")
    names = [scenario["name"] for scenario in json.loads(result.stdout)["scenarios"]]

    assert names == ["lto", *FAMILIES["packs"]]


def test_one_scenario_is_played() -> None:
    """A table on standard output, progress on standard error, status 0 as nothing is broken."""
    result = charge("--only", "deep-discharge", "--no-plots")

    assert result.exit_code == 0
    assert "deep-discharge" in result.stdout
    assert "firmware" in result.stdout
    assert result.stderr.startswith("1/1 deep-discharge: ")


def test_a_broken_criterion_is_status_1() -> None:
    """For scripts; and it is told in words."""
    result = charge("--only", "lto", "--no-plots")

    assert result.exit_code == 1
    assert "lto: FLOAT was not reached" in result.stdout


def test_the_baseline_can_be_left_out() -> None:
    """Only our own row."""
    assert "firmware" not in charge("--only", "deep-discharge", "--no-plots", "--no-baseline").stdout


def test_several_scenarios_keep_their_order() -> None:
    """As given on the command line, each once."""
    result = charge("--only", "deep-discharge", "--only", "lto", "--only", "deep-discharge", "--no-plots", "--json")
    names = [scenario["name"] for scenario in json.loads(result.stdout)["scenarios"]]

    assert names == ["deep-discharge", "lto"]


def test_json_is_all_there_is_on_standard_output() -> None:
    """One object that another program can read."""
    result = charge("--only", "deep-discharge", "--no-plots", "--json")
    scenario = json.loads(result.stdout)["scenarios"][0]

    assert scenario["name"] == "deep-discharge"
    assert set(scenario["controllers"]) == {"engine", "firmware"}


@pytest.mark.parametrize(("name", "hint"), [("load-step", "did you mean load-steps?"), ("xyz", "--list names them")])
def test_an_unknown_scenario_is_refused(name: str, hint: str) -> None:
    """With the nearest name, where there is one."""
    result = charge("--only", name)

    assert result.exit_code == 2
    assert result.stderr == f"error: there is no scenario {name}; {hint}\n"


def test_plots_and_page_are_written(tmp_path: Path) -> None:
    """To the folder that was asked for, whose page is named at the end."""
    pytest.importorskip("matplotlib")
    folder = tmp_path / "out"
    result = charge("--only", "deep-discharge", "--out", str(folder))

    assert result.exit_code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["deep-discharge.png", "index.html", "results.md"]
    assert result.stderr.splitlines()[-1] == f"plots: {folder / 'index.html'}"


def test_no_plots_means_no_files(tmp_path: Path) -> None:
    """Nothing is left behind."""
    charge("--only", "deep-discharge", "--no-plots")

    assert list(tmp_path.iterdir()) == []


def test_a_missing_matplotlib_is_told_before_anything_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a minute to learn it."""

    def missing() -> None:
        raise plots.PlottingError

    monkeypatch.setattr(plots, "require", missing)
    result = charge("--only", "deep-discharge")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: plots need matplotlib")
    assert "deep-discharge" not in result.stderr


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """After the table, which is not lost."""
    pytest.importorskip("matplotlib")
    (tmp_path / "file").write_text("")
    result = charge("--only", "deep-discharge", "--out", str(tmp_path / "file" / "out"))

    assert result.exit_code == 1
    assert "deep-discharge" in result.stdout
    assert "cannot be written" in result.stderr


def test_the_command_loads_nothing_heavy() -> None:
    """Its help must not wait for plotting or tables."""
    code = (
        "import sys, tinybms_bridge.cli.bench; "
        "print([m for m in ('matplotlib', 'numpy', 'rich', 'tinybms_lab.bench') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def story(*arguments: str) -> Result:
    """Run the command that draws days for people."""
    return CliRunner().invoke(bench_command, ["story", *arguments])


def test_a_story_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into the folder that was asked for, named as the picture of the documentation."""
    pytest.importorskip("matplotlib")
    short = {name: replace(each, scenario=each.scenario.shortened(0.05)) for name, each in stories.STORIES.items()}
    monkeypatch.setattr(stories, "STORIES", short)
    folder = tmp_path / "new" / "pictures"
    result = story("--only", "story-sunny-day", "--out", str(folder))

    assert result.exit_code == 0
    assert [path.name for path in folder.iterdir()] == ["story-sunny-day.png"]
    assert result.stderr == f"{folder / 'story-sunny-day.png'}\n"


def test_an_unknown_story_is_refused() -> None:
    """With the names that there are."""
    result = story("--only", "rain")

    assert result.exit_code == 2
    assert result.stderr.startswith("error: there is no story rain; there are story-sunny-day, ")


def test_a_folder_for_stories_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Before a minute was spent on playing."""
    pytest.importorskip("matplotlib")
    (tmp_path / "file").write_text("")
    result = story("--out", str(tmp_path / "file" / "out"))

    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
