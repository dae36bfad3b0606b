import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.snapshot import (
    BmsStatus,
    Cells,
    Identity,
    PackValues,
    Snapshot,
    Temperatures,
    firmware_text,
)


@pytest.mark.parametrize("status", [status for status in BmsStatus if status is not BmsStatus.UNKNOWN])
def test_documented_status_is_recognised(status: BmsStatus) -> None:
    """Every documented value of register 50 has a name."""
    assert BmsStatus.from_raw(status.value) is status


@given(st.integers(0, 0xFFFF))
def test_undocumented_status_is_unknown(raw: int) -> None:
    """A value the vendor does not document is never taken for charging, as the firmware took 0."""
    documented = {0x91, 0x92, 0x93, 0x96, 0x97, 0x9B}
    assert (BmsStatus.from_raw(raw) is BmsStatus.UNKNOWN) == (raw not in documented)


def test_extremes_of_cells_carry_their_numbers() -> None:
    """Lowest and highest cell are named by their number from 1, as the GX shows them."""
    cells = Cells((3.301, 3.350, 3.299, 3.340))

    assert (cells.count, cells.min_v, cells.max_v) == (4, 3.299, 3.350)
    assert (cells.min_number, cells.max_number) == (3, 2)
    assert cells.delta_mv == pytest.approx(51.0)


@given(st.lists(st.floats(0.0, 6.5), min_size=1, max_size=16))
def test_cell_numbers_point_at_the_extremes(voltages_v: list[float]) -> None:
    """The numbers index the very cells that have the extreme voltages, also with equal cells."""
    cells = Cells(tuple(voltages_v))

    assert cells.voltages_v[cells.min_number - 1] == min(voltages_v)
    assert cells.voltages_v[cells.max_number - 1] == max(voltages_v)
    assert cells.delta_mv >= 0.0


@pytest.mark.parametrize(
    ("temperatures", "coldest_c", "hottest_c"),
    [
        (Temperatures(), None, None),
        (Temperatures(internal_c=30.0), 30.0, 30.0),
        (Temperatures(internal_c=45.0, external_1_c=20.0), 20.0, 20.0),
        (Temperatures(internal_c=45.0, external_1_c=20.0, external_2_c=-5.0), -5.0, 20.0),
        (Temperatures(internal_c=-40.0, external_2_c=0.0), 0.0, 0.0),
    ],
)
def test_external_sensors_stand_for_the_cells(
    temperatures: Temperatures, coldest_c: float | None, hottest_c: float | None
) -> None:
    """The board's own sensor counts only when no external one is connected; 0 degrees is a temperature."""
    assert (temperatures.coldest_c, temperatures.hottest_c) == (coldest_c, hottest_c)


@pytest.mark.parametrize(("current_a", "power_w"), [(10.0, 500.0), (-10.0, -500.0), (0.0, 0.0)])
def test_power_is_positive_into_the_battery(current_a: float, power_w: float) -> None:
    """The sign of the power follows the sign of the current: positive charges."""
    assert PackValues(voltage_v=50.0, current_a=current_a, soc_percent=50.0).power_w == power_w


def test_snapshot_cannot_be_changed(make_snapshot: Callable[..., Snapshot]) -> None:
    """A sample handed to the sender never mixes old and new values, because nobody can change it."""
    snapshot = make_snapshot()

    with pytest.raises(AttributeError):
        snapshot.pack.voltage_v = 0.0  # type: ignore[misc]  # the point of the test
    with pytest.raises(AttributeError):
        snapshot.sequence = 2  # type: ignore[misc]  # the point of the test


def test_the_firmware_version_is_written_in_one_way() -> None:
    """As the vendor writes it: the numbers of registers 501 and 502 side by side look like another version."""
    known = Identity("2.1", 3, 254, 24, 5, "00FF")

    assert known.firmware == "2.3.254"
    assert str(known) == "TinyBMS hardware 2.1, firmware 2.3.254, serial number 00FF"
    assert known.as_dict()["firmware"] == "2.3.254"
    assert str(Identity()) == "TinyBMS hardware unknown, firmware of unknown version, serial number unknown"
    assert Identity().firmware == ""
    assert (firmware_text(251), firmware_text(0)) == ("2.3.251", "of unknown version")


def test_no_text_of_the_project_shortens_a_firmware_version() -> None:
    """Neither program nor page says "firmware 254"; the public number of register 501 is put into no sentence."""
    root = Path(__file__).parents[2]
    files = [*root.glob("src/**/*.py"), *root.glob("src/**/*.csv"), *root.glob("docs/**/*.md"), *root.glob("*.md")]
    short = re.compile(
        r"(?<!-)\bfirmware(?: of)? 2[2-9]\d\b|\bfirmware [1-9]\.2[2-9]\d\b|\{[^}]*firmware_public\}", re.IGNORECASE
    )

    found = [f"{path.name}: {text[0]}" for path in files for text in short.finditer(path.read_text(encoding="utf-8"))]

    assert len(files) > 100
    assert found == []
