"""The page of a BMS, in real Chromium before a running bridge on a simulated BMS."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tinybms_lab.testing.running_bridge import ANSWER_MS


@pytest.fixture
def held(bridge: Any, page: Page) -> Callable[[str], Any]:
    """Return a function that asks the bridge for the value that the BMS holds now."""

    def held(key: str) -> Any:
        found = page.request.get(f"{bridge.url}/api/tinybms/registers").json()["registers"]
        return next(each["value"] for each in found if each["key"] == key)

    return held


@pytest.fixture
def set_elsewhere(bridge: Any, page: Page) -> Callable[..., None]:
    """Return a function that sets a value in the BMS, as another administrator would."""

    def set_elsewhere(key: str, value: float) -> None:
        token = page.request.get(f"{bridge.url}/api/session").json()["csrf_token"]
        body = {"key": key, "value": value}
        answer = page.request.post(f"{bridge.url}/api/tinybms/write", data=body, headers={"X-CSRF-Token": token})
        assert answer.ok, answer.text()

    return set_elsewhere


def field(page: Page, key: str) -> Any:
    """Return the place of a setting."""
    return page.get_by_test_id(key)


def review(page: Page) -> Any:
    """Ask for the plan of what was typed, and return the place where it is shown."""
    page.get_by_role("button", name="Review before writing").click()
    return page.get_by_test_id("review")


def changes(plan: Any) -> Any:
    """Return the cells of the table of changes: setting, value now, value that will be."""
    return plan.get_by_role("cell")


def test_advice_is_reviewed_written_and_read_back(
    bridge: Any,
    page: Page,
    log_in: Callable[..., None],
    held: Callable[[str], Any],
    violations: Callable[[Page], list[str]],
) -> None:
    """From what an expert says to what the BMS holds: nothing is written before it was looked at."""
    log_in(page)
    page.goto(f"{bridge.url}/bms")
    advice = page.get_by_test_id("advice").get_by_role("listitem").filter(has_text="Cells may differ by")
    expect(advice).to_contain_text("0.015 V now, better 0.050 V")
    assert violations(page) == []

    advice.get_by_role("button", name="Put into the review").click()
    expect(field(page, "allowed_disbalance_v").get_by_role("textbox")).to_have_value("0.050")
    plan = review(page)
    expect(changes(plan)).to_have_text(["Cells may differ by 308", "0.015 V", "0.050 V"])
    assert held("allowed_disbalance_v") == 0.015
    assert violations(page) == []
    plan.get_by_role("button", name="Write 1 value to the BMS").click()

    expect(page.get_by_test_id("result-allowed_disbalance_v")).to_contain_text("written")
    assert held("allowed_disbalance_v") == 0.05
    page.get_by_test_id("review").get_by_role("button", name="Close").click()
    expect(field(page, "allowed_disbalance_v")).to_contain_text("differs from the default")
    expect(advice).to_have_count(0)


def test_what_the_bms_does_not_take_is_said_at_its_field(
    bridge: Any, page: Page, log_in: Callable[..., None], held: Callable[[str], Any]
) -> None:
    """A refused value stays where it was typed, with what is allowed; what needs a second yes waits for it."""
    log_in(page)
    page.goto(f"{bridge.url}/bms")
    current = field(page, "charge_over_current_cutoff_a")
    current.get_by_role("textbox").fill("900")
    expect(current).to_contain_text("The BMS takes 1 to 150 A now")
    page.get_by_role("button", name="Review before writing").click()
    expect(current.get_by_role("alert")).to_contain_text("allowed")
    expect(current.get_by_role("textbox")).to_have_value("900")
    expect(page.get_by_test_id("review")).to_have_count(0)
    current.get_by_role("button", name="Undo").click()

    field(page, "series_cells").get_by_role("textbox").fill("15")
    plan = review(page)
    expect(plan).to_contain_text("a wrong number makes every voltage and limit wrong")
    expect(plan.get_by_role("button", name="Write 1 value to the BMS")).to_be_disabled()
    plan.get_by_role("button", name="Cancel").click()
    assert held("series_cells") == 16


def test_what_somebody_else_has_set_meanwhile_is_told(
    bridge: Any,
    page: Page,
    log_in: Callable[..., None],
    held: Callable[[str], Any],
    set_elsewhere: Callable[..., None],
) -> None:
    """The plan that was looked at no longer holds: nothing is written, and it is made anew."""
    log_in(page)
    page.goto(f"{bridge.url}/bms")
    field(page, "over_heat_cutoff_c").get_by_role("textbox").fill("55")
    plan = review(page)
    expect(changes(plan)).to_have_text(["Everything is cut above 319", "60 °C", "55 °C"])
    set_elsewhere("over_heat_cutoff_c", 65)

    plan.get_by_role("button", name="Write 1 value to the BMS").click()
    expect(plan.get_by_role("alert")).to_contain_text("Somebody else has changed Everything is cut above")
    expect(changes(plan)).to_have_text(["Everything is cut above 319", "65 °C", "55 °C"])
    assert held("over_heat_cutoff_c") == 65
    plan.get_by_role("button", name="Write 1 value to the BMS").click()
    expect(page.get_by_test_id("result-over_heat_cutoff_c")).to_contain_text("written")
    assert held("over_heat_cutoff_c") == 55


def test_a_backup_is_compared_and_brought_back(
    bridge: Any,
    page: Page,
    tmp_path: Path,
    log_in: Callable[..., None],
    held: Callable[[str], Any],
    set_elsewhere: Callable[..., None],
) -> None:
    """The difference names what was changed since, and the BMS holds the old value afterwards."""
    log_in(page)
    page.goto(f"{bridge.url}/bms")
    with page.expect_download() as begun:
        page.get_by_role("button", name="Save a backup").click()
    file = tmp_path / "pack.json"
    begun.value.save_as(file)
    kept = json.loads(file.read_text())["settings"]["battery_capacity_ah"]
    set_elsewhere("battery_capacity_ah", kept + 20)
    page.get_by_role("button", name="Read again").click()

    page.get_by_label("Compare with a backup file").set_input_files(file)
    difference = page.get_by_test_id("difference")
    expect(difference).to_contain_text("1 setting differs")
    expect(difference.get_by_role("row").last).to_contain_text("Capacity of the battery")
    difference.get_by_role("button", name="Bring the backup back …").click()
    page.get_by_test_id("review").get_by_role("button", name="Write 1 value to the BMS").click()
    expect(page.get_by_test_id("result-battery_capacity_ah")).to_contain_text("written")
    assert held("battery_capacity_ah") == kept

    page.get_by_test_id("review").get_by_role("button", name="Close").click()
    backup = json.loads(file.read_text())
    backup["settings"]["series_cells"] = 15
    file.write_text(json.dumps(backup))
    page.get_by_label("Compare with a backup file").set_input_files(file)
    difference.get_by_role("button", name="Bring the backup back …").click()
    plan = page.get_by_test_id("review")
    expect(plan.get_by_role("alert")).to_contain_text("the backup is of 15 cells in series")
    plan.get_by_role("button", name="Plan it all the same").click()
    expect(changes(plan)).to_have_text(["Cells in series 307", "16 cells", "15 cells"])
    expect(plan.get_by_role("button", name="Write 1 value to the BMS")).to_be_disabled()
    plan.get_by_role("button", name="Cancel").click()

    file.write_text("{}")
    page.get_by_label("Compare with a backup file").set_input_files(file)
    expect(page.get_by_text("This file is no backup of a TinyBMS")).to_be_visible()


def test_an_action_is_asked_in_words(bridge: Any, page: Page, log_in: Callable[..., None]) -> None:
    """What it does for good is said before, in the words of the server, and confirmed by a typed word."""
    log_in(page)
    page.goto(f"{bridge.url}/bms")
    page.get_by_role("button", name="Clear its statistics").click()
    action = page.get_by_test_id("action")
    expect(action).to_contain_text("the BMS forgets its lifetime counters and extremes for good")
    go = action.get_by_role("button", name="Clear its statistics")
    expect(go).to_be_disabled()
    action.get_by_label("Type “yes” to confirm").fill("yes")
    go.click()

    expect(page.get_by_text("Clear its statistics: done")).to_be_visible()
    events = page.request.get(f"{bridge.url}/api/events?source=bridge").json()["events"]
    assert [each["by"] for each in events if each["code"] == "action.done"] == ["anna"]


def test_a_viewer_reads_everything_and_changes_nothing(
    bridge: Any,
    page: Page,
    viewer: tuple[str, str],
    log_in: Callable[..., None],
    violations: Callable[[Page], list[str]],
) -> None:
    """Values, ranges, advice and events without a field to type into; a pack that there is not is said."""
    log_in(page, viewer)
    page.goto(f"{bridge.url}/bms")
    cutoff = field(page, "over_voltage_cutoff_v")
    expect(cutoff).to_contain_text("3.750 V")
    expect(cutoff.get_by_role("textbox")).to_have_count(0)
    expect(page.get_by_text("Only an administrator can change it.")).to_be_visible()
    expect(page.get_by_role("button", name="Restart the BMS")).to_have_count(0)
    expect(page.get_by_role("button", name="Put into the review")).to_have_count(0)
    assert violations(page) == []

    page.goto(f"{bridge.url}/bms?pack=garage")
    expect(page.get_by_test_id("pack-gone")).to_contain_text("There is no pack garage")
    page.get_by_role("button", name="Pack main").click()
    expect(field(page, "over_voltage_cutoff_v")).to_contain_text("3.750 V")


@pytest.fixture
def wait_for_answers(bridge: Any, page: Page) -> Callable[[int], None]:
    """Return a function that sets how many milliseconds the bridge waits for an answer of the BMS."""

    def wait_for_answers(timeout_ms: int) -> None:
        token = page.request.get(f"{bridge.url}/api/session").json()["csrf_token"]
        change = {"hardware": {"uart": {"timeout_ms": timeout_ms}}}
        answer = page.request.post(f"{bridge.url}/api/settings", data=change, headers={"X-CSRF-Token": token})
        assert answer.ok, answer.text()

    return wait_for_answers


def test_a_silent_bms_loses_nothing_that_was_typed(
    bridge: Any,
    page: Page,
    log_in: Callable[..., None],
    held: Callable[[str], Any],
    wait_for_answers: Callable[[int], None],
) -> None:
    """The page says that it is silent, keeps value and plan, and writes once the BMS answers again."""
    log_in(page)
    wait_for_answers(300)
    page.goto(f"{bridge.url}/bms")
    typed = field(page, "low_temperature_charger_cutoff_c").get_by_role("textbox")
    typed.fill("3")
    bms = bridge.processes["simulate"]
    bms.send_signal(signal.SIGSTOP)
    try:
        expect(page.get_by_test_id("bms-silent")).to_be_visible()
        plan = review(page)
        expect(plan.get_by_role("alert")).to_contain_text("Nothing that you have typed is lost")
        plan.get_by_role("button", name="Back to the settings").click()
        expect(typed).to_have_value("3")
    finally:
        bms.send_signal(signal.SIGCONT)
        wait_for_answers(ANSWER_MS)
    expect(page.get_by_test_id("bms-silent")).to_have_count(0)
    expect(typed).to_have_value("3")
    plan = review(page)
    plan.get_by_role("button", name="Write 1 value to the BMS").click()
    expect(page.get_by_test_id("result-low_temperature_charger_cutoff_c")).to_contain_text("written")
    assert held("low_temperature_charger_cutoff_c") == 3


def test_a_pack_that_vanishes_takes_nothing_that_was_typed_with_it(
    bridge: Any, page: Page, log_in: Callable[..., None], wait_for: Callable[[Callable[[], object], str], None]
) -> None:
    """The page says that it is gone, shows no other one in its place, and goes on when it is back."""
    log_in(page)
    state = page.request.get(f"{bridge.url}/api/overview").json()
    said = {"topic": "overview", **state}
    sockets: list[WebSocketRoute] = []

    def answer(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.on_message(lambda _: socket.send(json.dumps(said)))

    def with_packs(packs: dict[str, Any]) -> None:
        said["packs"] = packs
        sockets[-1].send(json.dumps(said))

    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.route_web_socket("**/ws", answer)
    page.goto(f"{bridge.url}/bms")
    typed = field(page, "over_heat_cutoff_c").get_by_role("textbox")
    typed.fill("58")
    wait_for(lambda: sockets, "the page is connected")
    with_packs({"garage": state["packs"]["main"]})
    expect(page.get_by_test_id("pack-gone")).to_contain_text("There is no pack main any more.")
    expect(page.get_by_role("button", name="Pack garage")).to_be_visible()
    expect(typed).to_have_count(0)

    with_packs(state["packs"])
    expect(page.get_by_test_id("pack-gone")).to_have_count(0)
    expect(typed).to_have_value("58")
    expect(review(page)).to_contain_text("58 °C")

    with_packs({})
    expect(page.get_by_test_id("pack-gone")).to_contain_text("There is no pack main any more.")
    with_packs(state["packs"])
    expect(page.get_by_test_id("review")).to_contain_text("58 °C")
    assert failures == []
