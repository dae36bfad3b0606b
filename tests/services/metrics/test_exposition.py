"""The text of a scrape: read by promtool and by the parsers of the library, in every state, with any names."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families as parse_plain

from tinybms_bridge.battery.snapshot import Cells
from tinybms_bridge.hal.process_use import ProcessUse
from tinybms_bridge.services.metrics.exposition import expose
from tinybms_bridge.services.metrics.families import FAMILIES
from tinybms_bridge.services.metrics.family import MetricKind, Picture

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian package prometheus)"
)

parse_openmetrics: Callable[[str], Any] = openmetrics_parser.text_string_to_metric_families  # the library has no type

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
"""What Prometheus 2.42 sends."""


def picture_of(told: Any) -> Picture:
    """Return a whole picture, as a scrape has it."""
    uses = {"core": ProcessUse(30_000_000, None, 4, 60.0), "services": ProcessUse(50_000_000, None, 7, 12.5)}
    return replace(Picture.take(told), history=told.history.told, uses=uses)


def series(
    text: bytes, parse: Callable[[str], Any] = parse_plain
) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every value by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for metric in parse(text.decode())
        for sample in metric.samples
    }


@needs_promtool
def test_promtool_finds_nothing_to_say(make_told: Callable[..., Any], state_names: Sequence[str]) -> None:
    """``promtool check metrics`` on the text of every state: it can be read, and names, units and helps are right."""
    for state in state_names:
        text = expose(picture_of(make_told(state)), "").text
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), state


@needs_promtool
def test_promtool_would_say_something() -> None:
    """The test of the test above: a unit that is none of Prometheus, and a help that is missing."""
    text = b"# TYPE tinybms_line_latency_milliseconds gauge\ntinybms_line_latency_milliseconds 14\n"
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert done.returncode != 0
    assert b"base unit" in done.stderr
    assert b"no help text" in done.stderr


def test_both_formats_say_the_same(make_told: Callable[..., Any], state_names: Sequence[str]) -> None:
    """Also to the strict parser of OpenMetrics, which knows units and types."""
    for state in state_names:
        picture = picture_of(make_told(state))
        plain, other = expose(picture, ""), expose(picture, OPENMETRICS)
        assert series(plain.text) == series(other.text, parse_openmetrics), state
        assert len(series(plain.text)) == plain.samples == other.samples
        assert other.text.endswith(b"# EOF\n")


def test_each_family_has_its_type_and_unit(make_told: Callable[..., Any]) -> None:
    """Nothing comes beside the families of the table: no figures of Python or of the library."""
    exposed = expose(picture_of(make_told("three packs")), OPENMETRICS).text.decode()
    found = {each.name: each for each in parse_openmetrics(exposed)}
    assert list(found) == [each.name for each in FAMILIES]
    for family in FAMILIES:
        assert (found[family.name].type, found[family.name].unit) == (family.kind.value, family.unit)
        assert found[family.name].documentation == family.help
        names = {sample.name for sample in found[family.name].samples}
        assert names == {family.shown_name}
        if family.kind is MetricKind.INFO:
            assert {sample.value for sample in found[family.name].samples} == {1.0}


NAMES = ('a "quoted" one', "back\\slash", "line\nbreak", "Größe {1}")


@pytest.mark.parametrize(("accept", "parse"), [("", parse_plain), (OPENMETRICS, parse_openmetrics)])
def test_any_name_of_a_pack_comes_through(
    make_told: Callable[..., Any], accept: str, parse: Callable[[str], Any]
) -> None:
    """Quotes, backslashes and line breaks are escaped: no name makes up a line of its own."""
    found = series(expose(picture_of(make_told("odd names")), accept).text, parse)
    packs = {dict(labels).get("pack") for _, labels in found}
    assert packs == {None, *NAMES}


def test_what_is_no_number_is_left_out(make_told: Callable[..., Any]) -> None:
    """A BMS without cells has no lowest one; not even ``NaN`` is told, which rules treat oddly."""
    told = make_told()
    pack = told.battery.main
    told.battery = replace(told.battery, packs={"main": replace(pack, latest=replace(pack.latest, cells=Cells(())))})
    text = expose(picture_of(told), "").text
    assert b"NaN" not in text
    assert b"cell_voltage_min" not in text


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html,application/xhtml+xml", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=0.0.4", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=0.0.1", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=abc", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=2.é", "text/plain; version=0.0.4; charset=utf-8"),
        ('application/openmetrics-text; version=2."x"', "text/plain; version=0.0.4; charset=utf-8"),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"),
        (PROMETHEUS_2, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"),
    ],
)
def test_the_format_is_the_one_asked_for(make_told: Callable[..., Any], accept: str, media_type: str) -> None:
    """As the library of Prometheus negotiates; what nobody can make is answered in the plain format."""
    made = expose(picture_of(make_told()), accept)
    assert made.media_type == media_type
    assert made.text.startswith(b"# HELP tinybms_")


HEADERS = st.text(max_size=60).map("application/openmetrics-text; version={}".format) | st.text(max_size=2000)


def test_no_header_breaks_it(make_told: Callable[..., Any]) -> None:
    """Whatever a client says it reads; the answer's own header stays plain ASCII without control characters."""
    picture = Picture.take(make_told("away"))

    @given(HEADERS)
    def probe(accept: str) -> None:
        made = expose(picture, accept)
        assert made.media_type.isascii()
        assert made.media_type.isprintable()

    probe()
