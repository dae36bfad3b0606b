"""``python -m tinybms_lab.bench``."""

import pytest

from tinybms_lab.bench import __main__ as entry
from tinybms_lab.bench import runner
from tinybms_lab.bench.scenarios import SCENARIOS


@pytest.fixture(autouse=True)
def short_scenarios(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every scenario last three minutes."""
    short = {name: scenario.shortened(0.05) for name, scenario in SCENARIOS.items()}
    monkeypatch.setattr(runner, "SCENARIOS", short)


def test_named_scenarios_are_played(capsys: pytest.CaptureFixture[str]) -> None:
    """A table with those, and status 1 since three minutes reach no float."""
    assert entry.main(["lto", "li-ion"]) == 1

    shown = capsys.readouterr().out
    assert "lto" in shown
    assert "li-ion" in shown
    assert "feed-in" not in shown


def test_status_0_says_that_everything_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """A night needs no float."""
    assert entry.main(["deep-discharge"]) == 0
    assert "ok" in capsys.readouterr().out


def test_an_unknown_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Together with the names that exist."""
    assert entry.main(["no-such"]) == 2

    shown = capsys.readouterr().out
    assert "no-such" in shown
    assert "sunny-day" in shown
