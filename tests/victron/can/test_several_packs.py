"""What a GX is told of several packs; and of one, what it was always told."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.snapshot import Temperatures
from tinybms_bridge.battery.state import BatteryState, PackCondition
from tinybms_bridge.victron.can.codec import FrameSettings, decode_frame, encode_frames
from tinybms_lab.testing.packs import battery_of, four_packs, one_pack, pack_state, sixteen_packs

RECORDED: Mapping[str, Mapping[str, str]] = json.loads(Path(__file__).with_name("one_pack_frames.json").read_text())
"""The frames as they were before several packs could be one battery."""


def values(state: BatteryState, identifier: int) -> Mapping[str, Any]:
    """Return what a frame of the burst says."""
    frames = {frame.arbitration_id: frame for frame in encode_frames(state, FrameSettings())}
    return decode_frame(frames[identifier]).values


def modules(state: BatteryState) -> tuple[Any, ...]:
    """Return online, blocking charge, blocking discharge, offline."""
    return tuple(values(state, 0x372).values())


def with_sensor_of_the_board(state: BatteryState) -> BatteryState:
    """Return the state of one pack without an external sensor."""
    pack = state.packs["main"]
    assert pack.latest is not None
    inside = replace(pack.latest, temperatures=Temperatures(internal_c=31.5))
    return replace(state, packs={"main": replace(pack, latest=inside)})


def limited(state: BatteryState, **changes: Any) -> BatteryState:
    """Return a state with other limits."""
    return replace(state, decided=replace(state.limits, **changes))


ONE_PACK: Mapping[str, Callable[[BatteryState], BatteryState]] = {
    "in use": lambda state: state,
    "held": lambda state: replace(limited(state, freshness=Freshness.HOLD, ccl_a=0.0), freshness=Freshness.HOLD),
    "both blocked": lambda state: limited(state, ccl_a=0.0, dcl_a=0.04),
    "no own sensor": with_sensor_of_the_board,
}


@pytest.mark.parametrize("case", RECORDED)
def test_one_pack_is_told_as_before(case: str) -> None:
    """Byte for byte: several packs are no reason to look at the battery of others again."""
    frames = encode_frames(ONE_PACK[case](one_pack()), FrameSettings())
    assert {f"{frame.arbitration_id:03X}": frame.data.hex() for frame in frames} == RECORDED[case]


def test_modules_are_counted() -> None:
    """Of four packs one is silent, so offline, and the BMS of another has cut charging; one that joins is online."""
    assert modules(four_packs()) == (3, 1, 0, 1)


def test_a_limit_of_nothing_blocks_every_module() -> None:
    """Nothing may flow into any of them, whatever each could bear."""
    assert modules(limited(four_packs(), ccl_a=0.0)) == (3, 4, 0, 1)
    assert modules(limited(four_packs(), dcl_a=0.0)) == (3, 1, 4, 1)


def test_a_held_battery_has_no_module_online() -> None:
    """In HOLD nobody knows of any pack."""
    held = limited(four_packs(), freshness=Freshness.HOLD, ccl_a=0.0)
    assert modules(held) == (0, 4, 0, 4)


@pytest.mark.parametrize(
    ("condition", "counts"),
    [
        (PackCondition.IN_USE, (2, 0, 0, 0)),
        (PackCondition.JOINING, (2, 0, 0, 0)),
        (PackCondition.STARTING, (1, 0, 0, 1)),
        (PackCondition.SILENT, (1, 0, 0, 1)),
        (PackCondition.ODD, (1, 0, 0, 1)),
        (PackCondition.OUT_OF_SERVICE, (1, 0, 0, 0)),
    ],
)
def test_each_condition_counts(condition: PackCondition, counts: tuple[int, ...]) -> None:
    """What is taken out of service is no module; what counts as silent is offline."""
    assert modules(battery_of({"a": pack_state(1), "b": pack_state(2, condition)})) == counts


def test_a_pack_in_hold_is_not_online() -> None:
    """It has given no good data for seconds, and may not be called silent yet."""
    assert modules(battery_of({"a": pack_state(1), "b": pack_state(2, freshness=Freshness.HOLD)})) == (1, 0, 0, 1)


def test_extremes_are_of_every_pack_that_counts() -> None:
    """Highest and lowest cell, warmest and coldest sensor, each with pack and place."""
    state = four_packs()
    assert values(state, 0x373) == {
        "lowest_cell_voltage": 3200,
        "highest_cell_voltage": 3620,
        "lowest_cell_temperature": 278,
        "highest_cell_temperature": 304,
    }
    assert [values(state, each)["text"] for each in (0x374, 0x375, 0x376, 0x377)] == ["d C01", "b C03", "d T1", "a T2"]
    assert values(state, 0x356)["temperature"] == 31.0


def test_a_board_stands_in_for_the_sensors_of_its_pack_only() -> None:
    """A warm board counts where nothing else is connected, and not beside real sensors of its own pack."""
    bare = pack_state(1)
    assert bare.latest is not None
    bare = replace(bare, latest=replace(bare.latest, temperatures=Temperatures(internal_c=40.0)))
    state = battery_of({"a": bare, "b": pack_state(2)})
    assert (values(state, 0x377)["text"], values(state, 0x376)["text"]) == ("a INT", "b T1")


def test_sixteen_packs_with_long_names() -> None:
    """Every text has its eight characters at most, and names the pack."""
    state = sixteen_packs("battery-house-{:02d}")
    assert [values(state, each)["text"] for each in (0x374, 0x375)] == ["bh01 C01", "bh16 C04"]
    assert modules(state) == (16, 0, 0, 0)


def test_capacity_and_energy_are_of_the_battery() -> None:
    """Capacity is that of all packs that count, energy the battery's own counter."""
    state = four_packs()
    assert values(state, 0x379)["capacity"] == 300
    assert values(state, 0x35F)["online_capacity"] == 300
    assert values(state, 0x378) == {"charged": 123400.0, "discharged": 98700.0}


def test_the_battery_is_known_by_its_first_unit() -> None:
    """Also while that is silent; a pack that was taken out gives the name up."""
    packs = {"a": pack_state(7, PackCondition.SILENT), "b": pack_state(8)}
    assert values(battery_of(packs), 0x381)["text"] == "00000007"
    packs["a"] = replace(packs["a"], condition=PackCondition.OUT_OF_SERVICE)
    assert values(battery_of(packs), 0x381)["text"] == "00000008"
