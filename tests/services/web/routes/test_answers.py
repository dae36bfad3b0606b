"""What all answers share: no number pretends to a precision that nobody has measured."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import LimitCode, Quantity, Reason
from tinybms_bridge.battery.snapshot import Cells, Temperatures
from tinybms_bridge.link.state import CanState, MonitoredFrame, TraceLine, UartState
from tinybms_bridge.services.ports import Moment
from tinybms_bridge.services.web.live.messages import Topic, encode

NOISE = 17.112225551017573
"""As means and differences of times come."""

AS_THEY_ARE = ("/api/settings", "/api/settings/schema", "/api/openapi.json")
"""What a person has typed is shown digit by digit."""


def fractions(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each fraction of a document."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from fractions(entry, f"{path}.{key}")
    elif isinstance(value, list):
        for entry in value:
            yield from fractions(entry, f"{path}[]")
    elif isinstance(value, Written):
        yield path, value.text


class Written:
    """A fraction as it stands in the text."""

    def __init__(self, text: str) -> None:
        self.text = text

    @property
    def decimals(self) -> int:
        """Digits behind the point; many for one with an exponent."""
        return 99 if "e" in self.text.lower() else len(self.text.partition(".")[2])


def long_ones(text: str) -> dict[str, str]:
    """Return each fraction with more decimals than any unit is worth; a step of raw values may have six."""
    document = json.loads(text, parse_float=Written)
    allowed = {path: 6 if path.endswith(".scale") else 4 for path, _ in fractions(document)}
    return {path: shown for path, shown in fractions(document) if Written(shown).decimals > allowed[path]}


@pytest.fixture
def noisy(core: Any, moment: Moment, make_frame: Callable[..., MonitoredFrame], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bridge in which every number is a sum of binary fractions."""
    view = moment.view
    assert view.measured is not None
    assert view.limits is not None
    pack = replace(view.measured.pack, voltage_v=NOISE * 3, current_a=NOISE, soc_percent=NOISE, soh_percent=NOISE)
    measured = replace(
        view.measured,
        pack=pack,
        cells=Cells(tuple(3.0 + NOISE / 100 for _ in range(16))),
        temperatures=Temperatures(NOISE, NOISE, NOISE),
    )
    reason = Reason(Quantity.CVL, LimitCode.STATE, 53.690000000000005, NOISE, NOISE)
    limits = replace(view.limits, cvl_v=53.690000000000005, ccl_a=NOISE, dcl_a=NOISE, reasons=(reason,))
    core.uptime_s = NOISE
    core.now = replace(
        moment,
        view=replace(view, measured=measured, limits=limits),
        battery=replace(moment.battery, energy=EnergyTotals(NOISE, NOISE, NOISE, NOISE)),
    )
    core.uart_figures = UartState(
        up=True, latency_last_ms=NOISE, latency_max_ms=NOISE, latency_avg_ms=NOISE, poll_interval_ms=NOISE
    )
    core.can_figures = CanState(up=True, jitter_max_ms=NOISE, gx_silent_for_s=NOISE)
    core.seen_frames.extend([make_frame(1), make_frame(2, 0x356, "6114D3FEEB00")])

    async def trace(_pack: str = "") -> list[TraceLine]:
        return [TraceLine(NOISE, "tx", "AA 03")]

    monkeypatch.setattr(core, "trace", trace)
    return core


async def test_no_answer_has_more_decimals_than_its_units(noisy: Any, app: FastAPI, visitor: httpx.AsyncClient) -> None:
    """Every route that can be read, so that a new one cannot forget it."""
    found = {}
    read = [path for path, operations in app.openapi()["paths"].items() if "get" in operations and "{" not in path]
    for path in read:
        answer = await visitor.get(path)
        if path not in AS_THEY_ARE and answer.headers["content-type"].startswith("application/json"):
            found[path] = long_ones(answer.text)
    assert {path: each for path, each in found.items() if each} == {}
    assert found.keys() >= {"/api/status", "/api/limits", "/api/diagnostics", "/api/history", "/api/tinybms/info"}


@pytest.mark.parametrize("topic", list(Topic))
async def test_no_live_message_has_either(noisy: Any, topic: Topic) -> None:
    """The same rule for what is sent each second."""
    assert long_ones(encode(noisy, topic, 0).text or "{}") == {}


def test_the_rule_sees_noise() -> None:
    """The two tests above would find what the demonstration once showed."""
    text = '{"uart": {"latency_avg_ms": 17.11222555101757}, "fields": [{"scale": 0.000001}], "step": 1e-07, "v": 53.69}'
    assert long_ones(text) == {".uart.latency_avg_ms": "17.11222555101757", ".step": "1e-07"}
