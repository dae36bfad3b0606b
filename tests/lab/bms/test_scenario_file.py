from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.errors import ConfigError
from tinybms_lab.bms import (
    FIRMWARES,
    LI_ION,
    LOW_POWER,
    BmsScenario,
    CellOrder,
    EventId,
    OffMap,
    OutOfRange,
    load_scenario,
    parse_scenario,
)
from tinybms_lab.bms.scenario import PackPlan
from tinybms_lab.bms.scenario_file import line_of

HEAD = 'title = "A test"\nduration = "1h"\n'


def parse(text: str) -> BmsScenario:
    """Return the scenario of a text with the two keys that each must have."""
    return parse_scenario(HEAD + text, name="test")


def problems(text: str, *, head: str = HEAD) -> list[str]:
    """Return every problem of a text as a user reads it."""
    with pytest.raises(ConfigError) as caught:
        parse_scenario(head + text, name="test")
    return [str(problem) for problem in caught.value.problems]


def test_the_least_scenario() -> None:
    """A title and a duration; the rest is a usual pack at rest."""
    scenario = parse("")

    assert (scenario.name, scenario.title, scenario.duration_s) == ("test", "A test", 3600.0)
    assert (scenario.pack.cells, scenario.pack.soc, scenario.steps, scenario.ends_with) == (16, 0.6, (), ())


def test_everything_that_can_be_said() -> None:
    """Each table reaches its place."""
    scenario = parse(
        """
        ends_with = ["charging_started", "charging_complete"]
        [pack]
        chemistry = "li-ion"
        cells = 14
        capacity_ah = 66
        soc = 83.5
        ambient_c = -4
        soc_spread = 1
        capacity_spread = 2
        resistance_spread = 3
        [bms]
        firmware = 242
        board = "low"
        external_sensors = 1
        external_current_sensor = true
        asleep_allowed = false
        lifetime_s = 16777215
        first_event_slot = 48
        off_map = "garbage"
        warning_is_fault = true
        out_of_range = "clamp"
        keeps_partial_writes = true
        write_busy_s = 0.5
        adapter_on_5v = true
        [line]
        block_length = "address"
        cell_order = "highest"
        newest_count = 3
        newest_order = "oldest"
        all_order = "newest"
        packet_id = "total"
        chunk = 64
        [settings]
        automatic_recovery = 12
        [[step]]
        at = "5min"
        current_a = -10
        note = "a load"
        """
    )

    assert scenario.ends_with == (EventId.CHARGING_STARTED, EventId.CHARGING_COMPLETE)
    assert (scenario.pack.chemistry, scenario.pack.cells, scenario.pack.soc) == (LI_ION, 14, 0.835)
    assert (scenario.pack.soc_spread, scenario.pack.capacity_spread, scenario.pack.resistance_spread) == (
        0.01,
        0.02,
        0.03,
    )
    assert (scenario.bms["firmware"], scenario.bms["board"]) == (FIRMWARES[242], LOW_POWER)
    assert (scenario.bms["off_map"], scenario.bms["out_of_range"]) == (OffMap.GARBAGE, OutOfRange.CLAMP)
    assert (scenario.quirks.cell_order, scenario.quirks.newest_count) == (CellOrder.HIGHEST_FIRST, 3)
    assert scenario.chunk == 64
    assert scenario.settings.words(lambda _address: 0) == {332: 12}
    assert [step["at"] for step in scenario.steps] == [300.0]
    assert list(scenario.steps[0].items()) == [("at", 300.0), ("current_a", -10.0), ("note", "a load")]


def test_all_mistakes_are_told_at_once_with_line_and_what_is_allowed() -> None:
    """Nobody mends a file one mistake at a time."""
    found = problems(
        """[pack]
chemistry = "lead"
cels = 4
[bms]
firmware = 250
[settings]
automatic_recovery = 99
[[step]]
current_a = "much"
[[step]]
at = "soon"
fault = { bit_flip = 2 }
"""
    )

    assert found == [
        "line 4: pack.chemistry = 'lead': must be one of lfp, li-ion, lto",
        f"line 5: pack.cels: is not known: use {', '.join(PackPlan.model_fields)}; did you mean cells?",
        "line 7: bms.firmware = 250: must be one of 242, 254; did you mean 254?",
        "line 9: settings.automatic_recovery = 99: automatic_recovery = 99: allowed is a whole number 0..30 s",
        'line 10: step[1].at: is missing: give a time such as "10s"',
        "line 11: step[1].current_a = 'much': must be a number of -1000 to 1000",
        'line 13: step[2].at = \'soon\': must be a time such as "90s", "5min", "2h" or "1h 30min"',
        "line 14: step[2].fault = {'bit_flip': 2}: must be a number of 0 to 1",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[step]]\nat = "1s"\n', "line 3: step[1]: does nothing: add one of current_a, charger"),
        ("[step]\nat = 1\n", "line 3: step: must be written as [[step]]"),
        ("pack = 5\n", "line 3: pack = 5: must be a table: [pack]"),
        ("settings = 5\n", "line 3: settings = 5: must be a table of settings, such as"),
        ("[bmss]\n", "line 3: bmss: is not known"),
        ('ends_with = ["done"]\n', "line 3: ends_with = ['done']: must be one of under_voltage"),
        (
            "[settings]\nfully_charged_voltage = 4.4\n",
            "line 4: settings.fully_charged_voltage = 4.4: is outside 2.81 to 3.74 V",
        ),
        (
            "[settings]\ndischarge_over_current_cutoff = 700\n",
            "discharge_over_current_cutoff = 700: is outside 1 to 150 A",
        ),
        (
            "[[step]]\nat = 1\nbreak_wire = 7\n[pack]\ncells = 4\n",
            "step[1].break_wire = 7: must be a whole number of 0 to 4",
        ),
    ],
)
def test_single_mistakes(text: str, message: str) -> None:
    """Each kind of mistake names its place."""
    (found,) = problems(text)

    assert message in found


@pytest.mark.parametrize(("head", "missing"), [('title = "x"\n', "duration"), ('duration = "1h"\n', "title")])
def test_title_and_duration_are_needed(head: str, missing: str) -> None:
    """The list of scenarios shows them."""
    assert problems("", head=head) == [f"{missing}: is missing"]


def test_settings_may_need_each_other() -> None:
    """Both voltages raised together fit."""
    scenario = parse("[settings]\nfully_charged_voltage = 4.2\nover_voltage_cutoff = 4.25\n")

    assert scenario.settings.words(lambda _address: 0) == {300: 4200, 315: 4250}


def test_text_that_is_not_toml_names_the_place() -> None:
    """Line and column come from the parser."""
    (found,) = problems("[pack\n")

    assert "is not TOML" in found
    assert "at line 3, column 6" in found


def test_a_file_is_named_in_its_error(tmp_path: Path) -> None:
    """And gives the scenario its name."""
    path = tmp_path / "my-day.toml"
    path.write_text(HEAD, encoding="utf-8")
    assert load_scenario(path).name == "my-day"

    path.write_text("title = 1\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_scenario(path)
    assert caught.value.source == str(path)
    assert "my-day.toml" in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """By the operating system."""
    with pytest.raises(FileNotFoundError):
        load_scenario(tmp_path / "none.toml")


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.integers(-(10**6), 10**6).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["true", "false", '"10s"', '"lfp"', "[]", "{}", '["load"]', "{ current_a = 5 }", "{ 3 = 4 }"]),
)
KEYS = st.sampled_from(
    ["at", "current_a", "charger", "break_wire", "cell_soc", "fault", "write", "stuck_switches", "note", "restart", "x"]
)


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=5), max_size=3), st.dictionaries(KEYS, VALUES, max_size=3))
def test_whatever_the_values_are_a_file_is_taken_or_refused(steps: list[dict[str, str]], top: dict[str, str]) -> None:
    """With ConfigError and nothing else; what is taken can be built into steps."""
    lines = [HEAD, *(f"{key} = {value}" for key, value in top.items())]
    for step in steps:
        lines += ["[[step]]", *(f"{key} = {value}" for key, value in step.items())]
    found: list[int] = []
    with suppress(ConfigError):
        found.append(len(parse_scenario("\n".join(lines), name="any").steps))

    assert found in ([], [len(steps)])


TEXT = """\
# a comment with title = "no"
title = "x"
"duration" = "1h"

[pack]
cells = 4
soc= 50

[[step]]
at = "1s"
current_a = 1

[[ step ]]  # the second
at = "2s"
fault = { noise = 1 }
[step.cell_soc]
3 = 50

[bms]
firmware = 242
"""


@pytest.mark.parametrize(
    ("section", "index", "key", "line"),
    [
        ("", 0, "title", 2),
        ("", 0, "duration", 3),
        ("pack", 0, "", 5),
        ("pack", 0, "cells", 6),
        ("pack", 0, "soc", 7),
        ("step", 0, "", 9),
        ("step", 0, "current_a", 11),
        ("step", 1, "", 13),
        ("step", 1, "at", 14),
        ("step", 1, "fault", 15),
        ("step", 1, "cell_soc", 16),
        ("bms", 0, "firmware", 20),
        ("", 0, "pack", 5),
        ("", 0, "step", 9),
    ],
)
def test_keys_are_found(section: str, index: int, key: str, line: int) -> None:
    """In their section, not in another of the same name."""
    assert line_of(TEXT, section, index, key) == line


@pytest.mark.parametrize(
    ("section", "index", "key", "line"),
    [
        ("pack", 0, "chemistry", 5),
        ("step", 0, "fault", 9),
        ("step", 2, "at", None),
        ("settings", 0, "", None),
        ("", 0, "cells", None),
        ("", 0, "bmss", None),
        ("", 0, "", None),
    ],
)
def test_a_missing_key_leads_to_its_section(section: str, index: int, key: str, line: int | None) -> None:
    """A key that should be there is wanted there; without a section there is no line."""
    assert line_of(TEXT, section, index, key) == line


@given(st.text(max_size=200), st.sampled_from(["", "pack", "step"]), st.integers(0, 3), st.text(max_size=5))
def test_any_text_has_a_line_or_none(text: str, section: str, index: int, key: str) -> None:
    """It is a help for people and never stands in the way."""
    line = line_of(text, section, index, key)

    assert line is None or 1 <= line <= len(text.splitlines())
