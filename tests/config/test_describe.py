import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.describe import json_schema, markdown
from tinybms_bridge.config.keys import every_key
from tinybms_bridge.config.loader import parse

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = sorted((DOCS / "examples").glob("*.json"))


def test_the_document_is_up_to_date() -> None:
    """docs/configuration.md is made from the models and must be renewed with them."""
    assert (DOCS / "configuration.md").read_text(encoding="utf-8") == markdown()


def test_the_document_is_renewed_by_the_module(capsys: pytest.CaptureFixture[str]) -> None:
    """The command that the document names prints it."""
    with pytest.warns(RuntimeWarning, match=r"config\.describe"):
        runpy.run_module("tinybms_bridge.config.describe", run_name="__main__")

    assert capsys.readouterr().out == markdown()


def test_every_key_is_in_the_document() -> None:
    """No setting is undocumented, those of each entry of a map neither."""
    text = markdown()

    for path, key in every_key(Configuration):
        if key.section is not None:
            continue
        section, _, name = path.rpartition(".")
        if key.entries is not None:
            assert f"## `{path}`\n\n{key.meaning.help}" in text, path
            continue
        table = text.split(f"## `{section}`")[1].split("\n## ")[0]
        assert f"| `{name}` |" in table, path
        assert key.meaning.help in table, path


def test_tables_are_well_formed() -> None:
    """Each row has the columns of its head."""
    rows = [line for line in markdown().splitlines() if line.startswith("|")]

    assert len(rows) > 100
    assert {line.replace("\\|", "").count("|") for line in rows} == {5}


def test_the_sample_of_the_document_is_good() -> None:
    """What users copy first must work without a remark."""
    sample = markdown().split("```json\n")[1].split("```")[0]

    configuration, notices = parse(sample, "document")

    assert configuration.victron.max_charge_current_a == 50.0
    assert notices == []


def test_the_examples_of_the_document_exist() -> None:
    """Links in the document lead somewhere, and every example is linked."""
    text = markdown()

    assert len(EXAMPLES) >= 4
    for path in EXAMPLES:
        assert f"(examples/{path.name})" in text


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_good(path: Path) -> None:
    """Ready-made files load without a problem and without a remark."""
    configuration, notices = parse(path.read_bytes(), path.name)

    assert configuration.hardware.can.bitrate == 500_000
    assert notices == []


def test_the_li_ion_example_fits_its_battery() -> None:
    """14 cells with a cutoff of 4.2 V."""
    from tinybms_bridge.config.battery import check_against_battery

    configuration, _ = parse((DOCS / "examples" / "li-ion-14s.json").read_bytes(), "li-ion")

    assert (
        check_against_battery(
            configuration,
            series_cells=14,
            fully_charged_cell_v=4.1,
            over_voltage_cell_v=4.2,
            under_voltage_cell_v=2.9,
            charge_cutoff_a=20.0,
            discharge_cutoff_a=60.0,
        )
        == []
    )


def properties(path: str) -> dict[str, Any]:
    """Return the schema of a key."""
    schema = json_schema()
    node: dict[str, Any] = schema
    for key in path.split("."):
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        node = node["properties"][key]
    return node


def test_the_schema_is_json() -> None:
    """Editors and the settings page read it."""
    schema = json.loads(json.dumps(json_schema()))

    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["additionalProperties"] is False


def test_the_schema_knows_units_and_ranges() -> None:
    """The settings page shows both."""
    node = properties("tinybms.uart_retry_delay_ms")

    assert node["unit"] == "ms"
    assert (node["minimum"], node["maximum"], node["default"]) == (0, 1000, 100)
    assert node["title"] == "Retry delay"


def test_the_schema_says_what_a_wrong_value_is_answered_with() -> None:
    """A form tells a mistake in the same words before anything is sent."""
    assert properties("victron.max_charge_current_a")["rule"] == "must be a number from 0 to 750 A, or null"
    assert properties("mqtt.uri")["rule"].startswith("must be mqtt://HOST")


def test_the_schema_speaks_french() -> None:
    """Titles, help and sections."""
    schema = json_schema("fr")
    key = schema["$defs"]["Uart"]["properties"]["device"]

    assert key["title"] == "Port série"
    assert schema["$defs"]["Curves"]["description"].startswith("Réduction des courants")


def test_the_schema_knows_choices_and_secrets() -> None:
    """Lists become menus, secrets are never filled in."""
    assert properties("cvl.chemistry")["enum"] == ["auto", "lfp", "li-ion", "lto"]
    assert properties("hardware.can.bitrate")["enum"][0] == 25_000
    assert properties("mqtt.password")["writeOnly"] is True


def test_the_schema_accepts_the_other_name_of_cvl() -> None:
    """An editor must not mark the firmware's name as unknown."""
    assert json_schema()["properties"]["cvl_algorithm"]["$ref"] == "#/$defs/Cvl"


def test_the_schema_marks_keys_without_effect() -> None:
    """The settings page can leave them out."""
    assert "no meaning on Linux" in properties("hardware.uart.rx_pin")["no_effect"]
