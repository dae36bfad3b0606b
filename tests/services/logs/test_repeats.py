from collections.abc import Callable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.services.logs.lines import AUDIT_SOURCE, LogLine
from tinybms_bridge.services.logs.repeats import Repeats

Make = Callable[..., LogLine]


def texts(lines: list[LogLine]) -> list[str]:
    """Return the texts of lines."""
    return [line.text for line in lines]


def test_different_lines_pass(line: Make) -> None:
    """Nothing is held back that was not said before."""
    repeats = Repeats()
    assert [texts(repeats.offer(line(f"line {number}"), 0.0)) for number in range(3)] == [
        ["line 0"],
        ["line 1"],
        ["line 2"],
    ]


def test_same_line_again_is_counted(line: Make) -> None:
    """A fault each 100 ms is one line, and its count when something else happens."""
    repeats = Repeats()
    assert texts(repeats.offer(line("gone"), 0.0)) == ["gone"]
    for moment in range(1, 38):
        assert repeats.offer(line("gone"), moment / 10) == []
    assert texts(repeats.offer(line("back"), 4.0)) == ["gone (repeated 37 times)", "back"]
    assert texts(repeats.offer(line("more"), 5.0)) == ["more"]


def test_count_is_told_while_the_fault_lasts(line: Make) -> None:
    """A fault that never ends is told once a minute, with its count, not only at the end."""
    repeats, told = Repeats(window_s=60.0), []
    for second in range(181):
        told += texts(repeats.offer(line("gone"), float(second)))
        told += texts(list(repeats.due(float(second))))
    assert told[0] == "gone"
    assert len(told) == 4
    assert all(text.startswith("gone (repeated ") for text in told[1:])


def test_single_repetition_is_told_as_such(line: Make) -> None:
    """Once, not 1 times."""
    repeats = Repeats()
    repeats.offer(line("gone"), 0.0)
    repeats.offer(line("gone"), 1.0)
    assert texts(list(repeats.due(60.0))) == ["gone (repeated once)"]
    assert list(repeats.due(120.0)) == []


def test_alternating_lines_are_written_a_few_times_only(line: Make) -> None:
    """A loose plug: up and down each second is ten lines a minute, then counts."""
    repeats, told = Repeats(window_s=60.0, burst=5), []
    for moment in range(59):
        told += texts(repeats.offer(line(("up", "down")[moment % 2]), float(moment)))
    assert told == ["up", "down"] * 5
    assert sorted(texts(list(repeats.due(61.0)))) == ["down (repeated 24 times)", "up (repeated 25 times)"]


def test_line_after_a_quiet_minute_is_new(line: Make) -> None:
    """What happens again much later is news."""
    repeats = Repeats(window_s=60.0)
    repeats.offer(line("gone"), 0.0)
    assert texts(repeats.offer(line("gone"), 61.0)) == ["gone"]


def test_level_and_source_are_part_of_the_cause(line: Make) -> None:
    """The same words from another part, or more urgent, are another cause."""
    repeats = Repeats()
    repeats.offer(line("gone"), 0.0)
    assert texts(repeats.offer(line("gone", level="ERROR"), 1.0)) == ["gone"]
    assert texts(repeats.offer(line("gone", source="tinybms_bridge.y"), 2.0)) == ["gone"]


def test_details_are_never_counted(line: Make) -> None:
    """Whoever turns on DEBUG wants every frame, also identical ones."""
    repeats = Repeats()
    assert [texts(repeats.offer(line("frame", level="DEBUG"), 0.0)) for _ in range(9)] == [["frame"]] * 9


def test_rest_is_told_at_the_end(line: Make) -> None:
    """The last count is not lost with the program, and is told once."""
    repeats = Repeats()
    for _ in range(4):
        repeats.offer(line("gone"), 0.0)
    assert texts(list(repeats.rest())) == ["gone (repeated 3 times)"]
    assert list(repeats.rest()) == []


def test_count_of_a_traceback_is_one_line(line: Make) -> None:
    """The traceback was shown with the first."""
    repeats = Repeats()
    repeats.offer(line("failed\nTraceback\n  x"), 0.0)
    repeats.offer(line("failed\nTraceback\n  x"), 1.0)
    assert texts(list(repeats.rest())) == ["failed (repeated once)"]


def test_flood_of_different_lines_needs_no_memory(line: Make) -> None:
    """Thousands of texts a minute are written and forgotten; what was counted before is told."""
    repeats, told = Repeats(), []
    for text in ("gone", "gone", *(f"line {number}" for number in range(5000))):
        told += texts(repeats.offer(line(text), 0.0))
    assert len(told) == 5002
    assert told[:3] == ["gone", "gone (repeated once)", "line 0"]
    assert len(repeats._spells) <= 200


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.0, 30.0)), max_size=200))
def test_every_line_is_written_or_counted(line: Make, steps: list[tuple[str, float]]) -> None:
    """Whatever comes when: no occurrence is lost, and none is told twice."""
    repeats, now_s = Repeats(), 0.0
    shown: list[str] = []
    for text, pause_s in steps:
        now_s += pause_s
        shown += texts(repeats.offer(line(text), now_s))
    shown += texts(list(repeats.rest()))
    told = dict.fromkeys("abc", 0)
    for each in shown:
        text, _, count = each.partition(" (repeated ")
        told[text] += 1 if not count else 1 if count == "once)" else int(count.split()[0])
    assert told == {text: sum(step[0] == text for step in steps) for text in "abc"}


def test_deeds_are_never_counted(line: Make) -> None:
    """Two equal lines of the audit are two deeds; what was refused may be a flood and is counted."""
    repeats = Repeats()
    deed = replace(line("PUT /api/inhibits/charge by boss"), source=AUDIT_SOURCE, level="INFO")
    refused = replace(deed, text="login of boss refused", level="WARNING")
    assert [len(repeats.offer(deed, float(second))) for second in range(9)] == [1] * 9
    assert [len(repeats.offer(refused, float(second))) for second in range(9)] == [1] + [0] * 8
