"""Command ``demo``: what it refuses, and what it shows of the GX. Its run is tested in end_to_end."""

import pytest
from click.testing import CliRunner

from tinybms_bridge.cli.demo import _gx_text, demo_command
from tinybms_bridge.victron.simulator import GxMode, GxView


def test_an_island_cannot_sell() -> None:
    """Two options that contradict each other are told before anything starts."""
    result = CliRunner().invoke(demo_command, ["--feed-in", "--island"])

    assert result.exit_code != 0
    assert "--feed-in and --island exclude each other" in result.output


@pytest.mark.parametrize(
    ("view", "told"),
    [
        (GxView(mode=GxMode.FEEDING_IN, load_w=350.0, served_w=350.0, sold_w=1200.0), "loads 350 W"),
        (GxView(mode=GxMode.FEEDING_IN, load_w=350.0, served_w=350.0, sold_w=1200.0), "grid -1200 W"),
        (GxView(mode=GxMode.DISCHARGING, load_w=500.0, served_w=500.0, grid_w=80.0), "grid +80 W"),
        (GxView(mode=GxMode.DARK, load_w=500.0, served_w=0.0), "loads 0 of 500 W"),
        (GxView(mode=GxMode.WAITING), "Simulated GX waiting\n"),
        (
            GxView(mode=GxMode.CHARGING, cvl_v=57.6, ccl_a=90.0, dcl_a=135.0),
            "obeys CVL 57.6 V, CCL 90.0 A, DCL 135.0 A",
        ),
    ],
)
def test_the_gx_is_told_in_words(view: GxView, told: str) -> None:
    """What is sold counts against what is bought; loads in the dark are told apart."""
    assert told in _gx_text(view).plain
