import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tinybms_bridge.tinybms.settings import (
    BmsSettings,
    Outcome,
    Readout,
    Report,
    Result,
    backup_of,
    differences,
    make_plan,
)
from tinybms_bridge.tinybms.settings.describe import (
    document,
    outcome_text,
    rows_of_differences,
    rows_of_plan,
    rows_of_report,
    rows_of_settings,
    unit_text,
)
from tinybms_bridge.words import Message
from tinybms_lab.testing.words import said

Make = Callable[..., Readout]


def test_the_unit_is_named(readout: Make) -> None:
    """Serial number, firmware, cells; what is unknown is called so."""
    assert unit_text(readout()) == f"serial number {'00' * 12}, firmware 2.3.254, 16 cells"
    assert unit_text(Readout(readout().words)) == "serial number unknown, firmware of unknown version, 16 cells"


def test_settings_become_rows(readout: Make) -> None:
    """Register, name, value, unit."""
    rows = rows_of_settings(readout(), limits=False)

    assert len(rows) == 38
    assert rows[0] == ["300", "fully_charged_voltage_v", "3.6", "V"]
    assert rows[-1] == ["343", "broadcast_protocol", "ca_v3", ""]


def test_limits_become_further_columns(readout: Make) -> None:
    """Whose limits they are, and the default; a setting that is not there has none."""
    rows = {row[1]: row[2:] for row in rows_of_settings(readout({317: 50}, own=({}, {317: 60})), limits=True)}
    old = {row[1]: row[2:] for row in rows_of_settings(readout(firmware=242), limits=True)}

    assert rows["discharge_over_current_cutoff_a"] == ["50", "A", "1 to 60", "bms", "150"]
    assert rows["distance_unit"] == ["kilometer", "", "meter, kilometer, feet, mile, yard", "bms", "kilometer"]
    assert old["battery_max_cycles"] == ["not available", "cycles"]
    assert old["series_cells"] == ["16", "cells", "4 to 16", "vendor", "-"]


def test_the_document_is_json(readout: Make) -> None:
    """For the API and for other programs: numbers are numbers."""
    made = json.loads(json.dumps(document(readout({317: 50}, own=({}, {317: 60})))))
    entries = {entry["name"]: entry for entry in made["settings"]}

    assert made["identity"]["firmware_internal"] == 254
    assert made["own_limits"] is True
    assert entries["discharge_over_current_cutoff_a"] == {
        "name": "discharge_over_current_cutoff_a",
        "title": "Discharge over-current cutoff",
        "register": 317,
        "unit": "A",
        "available": True,
        "value": 50,
        "default": 150,
        "note": entries["discharge_over_current_cutoff_a"]["note"],
        "allowed": [1, 60],
        "allowed_by": "bms",
    }
    assert entries["distance_unit"]["allowed"] == ["meter", "kilometer", "feet", "mile", "yard"]


def test_a_setting_that_is_not_there_has_no_value_in_the_document(readout: Make) -> None:
    """Nor a range."""
    made = document(readout(firmware=242))
    assert isinstance(made["settings"], list)
    entry = next(each for each in made["settings"] if each["name"] == "battery_max_cycles")

    assert (entry["available"], entry["value"], "allowed" in entry) == (False, None, False)
    assert made["own_limits"] is False


def test_plans_and_differences_become_rows(readout: Make) -> None:
    """Old and new side by side."""
    plan = make_plan(readout(), {"over_voltage_cutoff_v": 3.8, "series_cells": 16})
    backup = backup_of(readout({315: 3700}), datetime(2026, 3, 1, tzinfo=UTC))

    assert rows_of_plan(plan) == [["315", "over_voltage_cutoff_v", "3.75", "3.8", "V"]]
    assert rows_of_differences(differences(backup, readout())) == [["315", "over_voltage_cutoff_v", "3.75", "3.7", "V"]]


async def test_a_report_leaves_out_what_was_right_before(bms: BmsSettings) -> None:
    """A restore mentions 38 settings and changes three."""
    report = await bms.apply(await bms.plan({"over_voltage_cutoff_v": 3.8, "series_cells": 16}))

    assert rows_of_report(report) == [["315", "over_voltage_cutoff_v", "3.75", "3.8", "V", "written"]]


@pytest.mark.parametrize(("detail", "text"), [(None, "refused"), (said("CRC error"), "refused: CRC error")])
def test_an_outcome_is_told_with_its_cause(readout: Make, detail: Message | None, text: str) -> None:
    """What there is to say, and no more."""
    (change,) = make_plan(readout(), {"over_voltage_cutoff_v": 3.8}).changes
    result = Result(change, Outcome.REFUSED, None, detail)

    assert outcome_text(result) == text
    assert not Report((result,)).good
