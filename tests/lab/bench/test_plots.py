"""Pictures and the page."""

import builtins
import importlib
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from tinybms_lab.bench import plots
from tinybms_lab.bench.criteria import CRITERIA
from tinybms_lab.bench.plots import page, write
from tinybms_lab.bench.runner import ScenarioResult, play_scenario
from tinybms_lab.bench.scenario import Fault, FaultKind, Scenario

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(name="result")
def _result(calm: Scenario) -> ScenarioResult:
    """Return a result without a picture."""
    return play_scenario(replace(calm, hours=0.2))


@pytest.fixture(name="without_matplotlib")
def _without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide matplotlib."""
    real = importlib.import_module

    def missing(name: str, package: str | None = None) -> ModuleType:
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", missing)


def test_a_scenario_is_drawn(calm: Scenario) -> None:
    """Both runs in one PNG, with a restart that leaves gaps in the lines."""
    pytest.importorskip("matplotlib")
    restart = Fault(FaultKind.BRIDGE_RESTART, calm.start_s + 300.0, 8.0)
    result = play_scenario(replace(calm, hours=0.2, faults=(restart,)), plot=True)

    assert result.plot is not None
    assert result.plot.startswith(PNG)
    assert 10_000 < len(result.plot) < 60_000


def test_a_run_alone_is_drawn(calm: Scenario) -> None:
    """Without the baseline."""
    pytest.importorskip("matplotlib")
    result = play_scenario(replace(calm, hours=0.1), baseline=False, plot=True)

    assert result.plot is not None
    assert result.plot.startswith(PNG)


@pytest.mark.usefixtures("without_matplotlib")
def test_a_missing_matplotlib_is_explained() -> None:
    """What to install, and how to do without."""
    with pytest.raises(plots.PlottingError) as caught:
        plots.require()

    assert str(caught.value) == (
        f"plots need matplotlib: install it with {sys.executable} -m pip install matplotlib, "
        "or leave the plots out with --no-plots"
    )


@pytest.mark.usefixtures("without_matplotlib")
def test_drawing_without_matplotlib_is_refused(calm: Scenario) -> None:
    """With the same words, not with an ImportError."""
    with pytest.raises(plots.PlottingError):
        play_scenario(replace(calm, hours=0.01), baseline=False, plot=True)


def test_the_bench_itself_needs_no_matplotlib(monkeypatch: pytest.MonkeyPatch, calm: Scenario) -> None:
    """Table and measures work in a plain installation."""
    real = builtins.__import__

    def guarded(name: str, *arguments: object, **more: object) -> object:
        assert not name.startswith("matplotlib")
        return real(name, *arguments, **more)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr(builtins, "__import__", guarded)

    assert play_scenario(replace(calm, hours=0.05)).plot is None


def test_the_page_holds_everything(result: ScenarioResult) -> None:
    """Criteria, both rows, failures and the picture, in one file that loads nothing."""
    text = page([replace(result, plot=PNG)])

    for criterion in CRITERIA:
        assert criterion in text
    assert "firmware" in text
    assert "calm: FLOAT was not reached" in text
    assert 'src="data:image/png;base64,iVBORw0KGgo="' in text
    assert "http" not in text


def test_the_page_works_without_pictures(result: ScenarioResult) -> None:
    """No link leads nowhere."""
    text = page([result])

    assert "<img" not in text
    assert "<a href" not in text


def test_files_are_written_beside_the_page(result: ScenarioResult, tmp_path: Path) -> None:
    """A PNG for each scenario, the page, and the table as Markdown; the folder is made."""
    folder = tmp_path / "new" / "folder"
    index = write([replace(result, plot=PNG)], folder)

    assert index == folder / "index.html"
    assert sorted(path.name for path in folder.iterdir()) == ["calm.png", "index.html", "results.md"]
    assert (folder / "calm.png").read_bytes() == PNG
