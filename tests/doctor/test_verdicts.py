from collections.abc import Callable
from dataclasses import replace

import pytest

from tinybms_bridge.battery.advice import Advice, Weight
from tinybms_bridge.battery.bms_events import BmsEvent
from tinybms_bridge.battery.limits import BalancingMemory
from tinybms_bridge.battery.snapshot import BmsStatus, Cells, Identity, PackValues, Ratings, Snapshot
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.doctor.findings import Verdict
from tinybms_bridge.doctor.verdicts import (
    Polls,
    judge_advice,
    judge_balancing,
    judge_events,
    judge_history,
    judge_identity,
    judge_polling,
    judge_samples,
    judge_settings,
    judge_state,
)
from tinybms_bridge.tinybms.device_statistics import decode_statistics
from tinybms_bridge.words import message
from tinybms_lab.testing.words import said

RATINGS = Ratings(
    series_cells=4,
    fully_charged_cell_v=3.60,
    fully_discharged_cell_v=2.90,
    over_voltage_cell_v=3.75,
    under_voltage_cell_v=2.50,
    charge_over_current_a=60.0,
    discharge_over_current_a=120.0,
    discharge_peak_current_a=150.0,
    over_heat_c=60.0,
    low_temperature_charge_c=1.0,
    capacity_ah=100.0,
)


def sample(
    *cells_v: float, status: BmsStatus = BmsStatus.IDLE, raw: int = 0x97, number: int = 1, soc: float = 50.0
) -> Snapshot:
    """Return a sample of four cells."""
    cells_v = cells_v or (3.301, 3.302, 3.303, 3.304)
    pack = PackValues(sum(cells_v), 0.0, soc, status=status, status_raw=raw)
    return Snapshot(number, 0.1 * number, pack, Cells(cells_v), ratings=RATINGS)


def test_a_unit_tells_who_it_is() -> None:
    """With the number that its type label and the vendor's support ask for."""
    found = judge_identity(Identity("2.1", 3, 254, 24, 5, "00FF"))
    assert found.verdict is Verdict.OK
    assert found.text == "TinyBMS hardware 2.1, firmware 2.3.254, serial number 00FF"


def test_an_old_firmware_has_no_state_of_health() -> None:
    """Nothing is wrong with it, but a user who misses the value learns why."""
    assert "no state of health" in judge_identity(Identity("2.1", 1, 250)).text
    assert "no state of health" not in judge_identity(Identity("2.1", 1, 251)).text
    assert judge_identity(Identity("2.1", 1, 250)).verdict is Verdict.OK


def test_a_unit_without_a_version_is_odd() -> None:
    """Perhaps it is no TinyBMS."""
    assert judge_identity(Identity()).verdict is Verdict.WARNING


def test_sound_settings_are_described() -> None:
    """What the bridge derives its limits from."""
    (found,) = judge_settings(RATINGS, 0, Configuration())
    assert found.verdict is Verdict.OK
    assert found.text == "4 cells of 100 Ah, 2.50 to 3.75 V, charge up to 60 A, discharge up to 120 A"


def test_settings_that_contradict_each_other_are_problems() -> None:
    """Each one, and nothing else: a configuration cannot be judged against nonsense."""
    found = judge_settings(replace(RATINGS, series_cells=3, capacity_ah=0.0), 0, Configuration())
    assert [finding.verdict for finding in found] == [Verdict.PROBLEM, Verdict.PROBLEM]
    assert "3 series cells" in found[0].text
    assert "register 306" in found[1].text
    assert all("sends nothing" in finding.advice for finding in found)


def test_a_configuration_for_another_battery_is_a_problem() -> None:
    """More current than the BMS allows: it would cut."""
    config = interpret({"victron": {"max_charge_current_a": 200}}, "test").configuration
    found = judge_settings(RATINGS, 0, config)
    assert [finding.verdict for finding in found] == [Verdict.OK, Verdict.PROBLEM]
    assert "60 A (register 318)" in found[1].text


def test_text_between_answers_is_worth_a_warning() -> None:
    """Register 342 makes the BMS print by itself."""
    found = judge_settings(RATINGS, 3, Configuration())
    assert [finding.verdict for finding in found] == [Verdict.OK, Verdict.WARNING]
    assert "register 342" in found[1].advice


def test_quick_reads_are_fine() -> None:
    """Mean and longest, in milliseconds."""
    found = judge_polling(Polls((10.0, 20.0, 30.0)), slow_ms=55.0)
    assert found.verdict is Verdict.OK
    assert found.text == "3 reads took 20 ms each, 30 ms at most"


def test_slow_reads_are_a_warning() -> None:
    """The bridge then polls less often."""
    assert judge_polling(Polls((56.0,)), slow_ms=55.0).verdict is Verdict.WARNING
    assert judge_polling(Polls((54.0,)), slow_ms=55.0).verdict is Verdict.OK


def test_repeated_reads_are_a_warning_with_their_causes() -> None:
    """A line with errors works until it does not."""
    found = judge_polling(Polls((10.0,), retries=3, timeouts=2, crc_errors=1), slow_ms=55.0)
    assert found.verdict is Verdict.WARNING
    assert found.text.endswith("3 repeated (2 without an answer, 1 corrupted)")
    assert "isolated" in found.advice


def test_believable_samples_are_fine() -> None:
    """The same judgement as in the bridge."""
    assert judge_samples([sample(number=1), sample(number=2)], 4, 4).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("samples", "what"),
    [
        ([sample(3.3, 0.0, 3.3, 3.3)], "cell 2"),
        ([sample(), sample(3.3, 3.3, 3.3, 5.2, number=2)], "cell 4"),
    ],
)
def test_unbelievable_samples_are_a_problem(samples: list[Snapshot], what: str) -> None:
    """An open sense wire: the bridge would not use it."""
    found = judge_samples(samples, 4, 4)
    assert found.verdict is Verdict.PROBLEM
    assert what in found.text
    assert "register 307 (4 cells)" in found.advice


def test_an_absurd_field_is_a_warning() -> None:
    """The bridge does without it, and somebody has to look after it."""
    found = judge_samples([sample(soc=120.0)], 4, 4)
    assert found.verdict is Verdict.WARNING
    assert "state of charge is 120" in found.text


def test_another_number_of_cells_than_set_is_a_warning() -> None:
    """A wrong register 307 gives a wrong pack voltage."""
    found = judge_samples([sample()], 5, 4)
    assert found.verdict is Verdict.WARNING
    assert "detects 5 cells and is set to 4" in found.text


@pytest.mark.parametrize(
    ("first_v", "verdict"), [(2.65, Verdict.WARNING), (2.9, Verdict.OK), (2.4, Verdict.OK), (3.3, Verdict.OK)]
)
def test_a_missing_lowest_sense_wire_is_recognised(first_v: float, verdict: Verdict) -> None:
    """Cell 1 then reads 0.6 to 0.7 V low (user manual); a cell that is simply low is none of that."""
    found = judge_samples([sample(first_v, 3.3, 3.3, 3.3)], 4, 4)
    assert found.verdict is verdict
    assert ("sense wire" in found.advice) is (verdict is Verdict.WARNING)


@pytest.mark.parametrize(
    ("status", "raw", "verdict", "words"),
    [
        (BmsStatus.IDLE, 0x97, Verdict.OK, "idle:"),
        (BmsStatus.FULLY_CHARGED, 0x92, Verdict.OK, "fully charged:"),
        (BmsStatus.FAULT, 0x9B, Verdict.PROBLEM, "fault:"),
        (BmsStatus.UNKNOWN, 0x95, Verdict.WARNING, "unknown status 0x95:"),
    ],
)
def test_the_state_of_the_battery(status: BmsStatus, raw: int, verdict: Verdict, words: str) -> None:
    """An undocumented status stays unknown, and is never shown as charging."""
    found = judge_state(sample(status=status, raw=raw))
    assert found.verdict is verdict
    assert found.text.startswith(words)
    assert "13.21 V" in found.text


Judge = Callable[..., list[tuple[Verdict, str]]]


@pytest.fixture
def judge() -> Judge:
    """Return the verdicts and texts on a log with these numbers."""

    def run(status: BmsStatus, *numbers: int) -> list[tuple[Verdict, str]]:
        events = [BmsEvent(100 + second, number) for second, number in enumerate(numbers)]
        return [(finding.verdict, finding.text) for finding in judge_events(events, status)]

    return run


def test_a_log_with_nothing_open_is_fine(judge: Judge) -> None:
    """However long it is."""
    assert judge(BmsStatus.IDLE, 0x61, 0x03, 0x79) == [(Verdict.OK, "3 in the log, none open")]


def test_an_open_fault_is_a_problem_and_an_open_warning_is_not(judge: Judge) -> None:
    """Each with its words."""
    found = judge(BmsStatus.FAULT, 0x31, 0x03)
    assert [verdict for verdict, _ in found] == [Verdict.WARNING, Verdict.PROBLEM]
    assert found[1][1].startswith("open: Cell over-voltage")


def test_a_fault_whose_cause_is_lost_is_a_problem(judge: Judge) -> None:
    """Somebody cleared the log while the fault went on."""
    ((verdict, text),) = judge(BmsStatus.FAULT, 0x64)
    assert verdict is Verdict.PROBLEM
    assert "does not tell which" in text


def test_an_unknown_status_hides_no_fault(judge: Judge) -> None:
    """0x95 proves nothing."""
    ((verdict, _),) = judge(BmsStatus.UNKNOWN, 0x03)
    assert verdict is Verdict.PROBLEM


def test_history_counts_protections() -> None:
    """All five kinds together."""
    words = [0] * 18
    words[5:10] = [1, 2, 4, 8, 16]
    words[12] = 40
    found = judge_history(decode_statistics(words))
    assert found.verdict is Verdict.OK
    assert found.text == "31 protections and 40 full charges so far"


def test_a_bms_whose_program_hung_is_worth_a_warning() -> None:
    """A watchdog reset, of both kinds."""
    for cause in (2, 3):
        words = [0] * 18
        words[14] = cause
        assert judge_history(decode_statistics(words)).verdict is Verdict.WARNING


def test_advice_names_its_command_with_the_port() -> None:
    """What is better otherwise is a warning; what the owner may choose, or only has to know, is none."""
    found = judge_advice(
        [
            Advice(
                300,
                Weight.CHOICE,
                message("advice.gentle_voltage", cost_percent=5.0),
                "fully_charged_voltage_v",
                4.15,
                4.1,
                "V",
            ),
            Advice(308, Weight.ADVISED, message("advice.disbalance"), "allowed_disbalance_v", 0.015, 0.05, "V"),
            Advice(
                320,
                Weight.URGENT,
                message("advice.frost"),
                "low_temperature_charger_cutoff_c",
                -20.0,
                0.0,
                "°C",
                said("not here"),
            ),
            Advice(340, Weight.NOTE, message("advice.single_port")),
        ],
        "/dev/ttyUSB0",
    )
    assert [finding.verdict for finding in found] == [Verdict.OK, Verdict.WARNING, Verdict.WARNING, Verdict.OK]
    assert found[0].text.startswith("your choice: register 300")
    assert found[1].advice == "tinybms-bridge settings set allowed_disbalance_v=0.05 --device /dev/ttyUSB0"
    assert [finding.advice for finding in found[2:]] == ["", ""]


def test_a_unit_as_an_expert_sets_it_needs_no_advice() -> None:
    """One good finding, so that a user sees that it was looked at."""
    (found,) = judge_advice([])
    assert found.verdict is Verdict.OK


def test_a_register_303_near_full_is_told_with_the_balance() -> None:
    """There the BMS bleeds on balancing days only, so it takes longer."""
    ratings = replace(RATINGS, capacity_ah=280.0, early_balancing_cell_v=3.55)
    apart = BalancingMemory(spread_ah=8.4, work_ah=8.0)
    [late] = judge_balancing(apart, ratings)
    [usual] = judge_balancing(apart, replace(ratings, early_balancing_cell_v=3.40))
    assert (late.verdict, usual.verdict) == (Verdict.WARNING, Verdict.OK)
    assert "3.55 V" in late.advice
    assert judge_balancing(BalancingMemory(), ratings) == []
