"""The live view of several packs: battery and packs on one screen, also with sixteen, and keys that choose one."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tinybms_bridge.battery.state import BatteryState, PackCondition
from tinybms_bridge.cli.live import LastLines, LiveView
from tinybms_bridge.link.state import CanState, CoreState, PackDetails, UartState
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.packs import battery_of, four_packs, one_pack, pack_state, sixteen_packs

View = Callable[..., LiveView]


def core_of(battery: BatteryState) -> CoreState:
    """Return the state of a core with this battery; the line of a silent pack is down."""
    lines = {
        name: PackDetails(
            UartState(up=True, device=f"/dev/tty{name}", success=100, latency_last_ms=11.0)
            if pack.is_online
            else UartState(reason="no answer within 300 ms", device=f"/dev/tty{name}")
        )
        for name, pack in battery.packs.items()
    }
    return CoreState(battery=battery, packs=lines, outputs={"can": CanState(up=True, gx_state="present")})


@pytest.fixture
def view_of(clock: FakeClock) -> View:
    """Return a function that makes the view of a battery."""
    return lambda battery: LiveView(lambda: core_of(battery), clock, LastLines(), "test")


def screen(view: LiveView, width: int = 100, height: int = 40) -> list[str]:
    """Return the rows of the screen."""
    rows = [line.plain.rstrip() for line in view.picture(width, height)]
    assert all(len(row) <= width for row in rows)
    assert len(rows) <= height
    return rows


def test_battery_and_packs_are_on_one_screen(view_of: View) -> None:
    """Each pack with its condition, values, share of the current and what is the matter; extremes with their pack."""
    rows = screen(view_of(four_packs()))
    text = " ".join(" ".join(rows).split())
    assert "(d no. 1) to 3.620 V (b no. 3)" in text
    assert "a in use 13.30 V +24.0 A 60 % cells 3.310 to 3.340 V, 60 % of the current" in text
    assert "takes nothing (cell 3 at 3.62 V); high voltage" in text
    assert "c silent 2 min ago: 13.30 V" in text
    assert "d joining 12.86 V +16.0 A 20 %" in text
    assert "high voltage (pack b)" in text
    assert "pack a: 60 % of the current is its own, and it bears 95.0 A" in text


def test_where_there_is_little_room_trouble_comes_first(view_of: View) -> None:
    """At 80 by 24 sixteen packs do not fit: the silent and the blocked one are seen all the same."""
    packs = dict(sixteen_packs().packs)
    packs["pack-09"] = pack_state(9, PackCondition.SILENT)
    packs["pack-12"] = replace(packs["pack-12"], charge_blocked=True)
    rows = screen(view_of(battery_of(packs)), 80, 24)
    found = [row for row in rows if row.startswith("pack-")]
    assert found[0].split()[:2] == ["pack-09", "silent"]
    assert found[1].startswith("pack-12 ")


def test_sixteen_packs_have_a_page_of_their_own(view_of: View) -> None:
    """One line each at 100 columns, in the order of the configuration."""
    view = view_of(sixteen_packs())
    view.page = "packs"
    found = [row.split()[0] for row in screen(view) if row.startswith("pack-")]
    assert found == [f"pack-{number:02d}" for number in range(1, 17)]


def test_a_key_chooses_a_pack(view_of: View) -> None:
    """For the pages of packs, cells and counters; once around is the battery again, and the other key goes back."""
    view = view_of(four_packs())
    chosen = []
    for _ in range(5):
        view.key("p")
        chosen.append(view.pack)
    assert chosen == ["a", "b", "c", "d", ""]
    view.key("P")
    assert view.pack == "d"
    view.key("P")
    view.key("P")
    assert view.pack == "b"
    view.page = "cells"
    rows = screen(view)
    assert "Pack    b" in rows
    assert any("3.6200 V" in row and "highest" in row for row in rows)
    view.page = "counters"
    assert any(row.startswith("BMS b") for row in screen(view))
    view.page = "packs"
    assert any(row.startswith("CCL") and "0.0 A" in row and "cell 3" in row for row in screen(view))
    assert "p pack: b" in screen(view)[-1]


def test_tab_goes_over_the_pages_that_there_are(view_of: View) -> None:
    """One pack has no page of packs, and no key for it."""
    several, one = view_of(four_packs()), view_of(one_pack())
    for view in (several, one):
        view.key("\t")
    assert (several.page, one.page) == ("packs", "cells")
    one.key("p")
    assert one.pack == ""
    assert "pack:" not in screen(one)[-1]
    assert not any(row.startswith("main ") for row in screen(one))


def test_a_pack_that_is_gone_is_no_longer_chosen(clock: FakeClock) -> None:
    """Somebody has taken it out of the configuration while it was shown."""
    batteries = [four_packs()]
    view = LiveView(lambda: core_of(batteries[-1]), clock, LastLines(), "test")
    for _ in range(4):
        view.key("p")
    batteries.append(battery_of({name: pack for name, pack in four_packs().packs.items() if name != "d"}))
    view.page = "cells"
    assert "Pack    a" in screen(view)
