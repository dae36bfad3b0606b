import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_lab.bms.scenario_lines import line_of

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
