"""Which long tests coverage leaves out, so that the gates see the same in less time."""

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage
from hypothesis import given
from hypothesis import strategies as st
from scripts.untraced_tests import DEAR_S, LIST, LONG_S, ROOT, key, reached_by, seconds_of, superfluous

ARCS = st.sets(st.tuples(st.just(1), st.integers(0, 6), st.integers(0, 2)))
TESTS = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(ARCS, st.floats(0.1, 30.0)))


@given(TESTS)
def test_next_to_nothing_is_lost(tests: dict[str, tuple[set[tuple[int, int, int]], float]]) -> None:
    """Only long ones are left out, and each only with what would be dear to reach."""
    reached = {name: arcs for name, (arcs, _) in tests.items()}
    took_s = {name: duration_s for name, (_, duration_s) in tests.items()}
    untraced = superfluous(reached, took_s)

    kept = set[tuple[int, int, int]]().union(*(reached[name] for name in reached.keys() - untraced))
    for name in untraced:
        assert took_s[name] >= LONG_S
        assert took_s[name] > DEAR_S * len(reached[name] - kept)


def test_the_cheaper_of_two_alike_is_traced() -> None:
    """Whichever comes first in the alphabet."""
    arcs = {(1, 2, 3)}
    assert superfluous({"a": arcs, "b": arcs}, {"a": 9.0, "b": 3.0}) == {"a"}
    assert superfluous({"a": arcs, "b": arcs}, {"a": 3.0, "b": 9.0}) == {"b"}


def test_what_the_tools_write_is_read(tmp_path: Path) -> None:
    """Contexts of coverage.py and times of pytest lead to the same test, all its parameters together."""
    data, times = tmp_path / "coverage", tmp_path / "times.xml"
    with closing(sqlite3.connect(data)) as database, database:
        database.execute("create table context (id integer, context text)")
        database.execute("create table arc (file_id integer, context_id integer, fromno integer, tono integer)")
        names = [
            (1, "tests/core/test_a.py::TestB::test_c[1-x]|run"),
            (2, "tests/core/test_a.py::TestB::test_c[2]|setup"),
        ]
        database.executemany("insert into context values (?, ?)", names)
        database.executemany("insert into arc values (?, ?, ?, ?)", [(7, 1, 10, 11), (7, 2, 10, -1)])
    case = '<testcase classname="tests.core.test_a.TestB" name="test_c[%s]" time="1.5" />'
    times.write_text(f"<testsuites><testsuite>{case % '1-x'}{case % '2'}</testsuite></testsuites>")

    (test,) = reached_by(data)
    assert reached_by(data)[test] == {(7, 10, 11), (7, 10, -1)}
    assert seconds_of(times) == {key(test): 3.0}


def test_every_test_of_the_list_is_there() -> None:
    """One that was renamed would be traced again, unseen."""
    for line in LIST.read_text().splitlines():
        file, name, *_ = line.split("::")
        assert re.search(rf"^(async def |def ){name}\(|^{name}: ", (ROOT / file).read_text(), re.MULTILINE), line


@dataclass
class Item:
    """What pytest has collected."""

    nodeid: str
    marks: list[str] = field(default_factory=list)

    def add_marker(self, mark: str) -> None:
        """See ``pytest.Item.add_marker``."""
        self.marks.append(mark)


def test_those_of_the_list_are_marked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no others; and none while the script looks."""
    conftest: Any = request.config.pluginmanager.get_plugin(str(ROOT / "tests" / "conftest.py"))
    listed = [Item(f"{line}[1-x]") for line in LIST.read_text().splitlines()]
    other = Item(f"{Path(__file__).relative_to(ROOT)}::test_next_to_nothing_is_lost")
    monkeypatch.setenv("TRACE_ALL_TESTS", "1")
    conftest.pytest_collection_modifyitems([*listed, other])
    assert [each.marks for each in listed] == [[]] * len(listed)
    monkeypatch.delenv("TRACE_ALL_TESTS")
    conftest.pytest_collection_modifyitems([*listed, other])

    assert [each.marks for each in listed] == [["no_cover"]] * len(listed)
    assert other.marks == []


@pytest.mark.no_cover
def test_nothing_is_measured() -> None:
    """A test with this mark, under coverage too: see below."""
    assert Coverage.current() is None


def test_the_mark_has_an_effect_in_the_processes_of_make_coverage(tmp_path: Path) -> None:
    """There the plugin's own way to stop leaves a second tracer, with which long tests take as long as ever."""
    command = [sys.executable, "-m", "pytest", "-n", "1", "-p", "no:cacheprovider", "--cov=tinybms_bridge.battery"]
    command += ["--cov-report=", f"{Path(__file__)}::test_nothing_is_measured"]
    environment = os.environ | {"COVERAGE_FILE": str(tmp_path / "coverage")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
