import ast
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge import words
from tinybms_bridge.words import LANGUAGES, Message, codes, knows, message, say


@pytest.mark.parametrize(
    ("code", "parameters", "english", "french"),
    [
        (
            "limit.cell_voltage",
            {"cell": 3, "value": 3.4567, "share_percent": 40.0},
            "cell 3 is at 3.457 V, 40 % is left",
            "la cellule 3 est à 3,457 V, il reste 40 %",
        ),
        (
            "view.hold",
            {"age_s": 12.0},
            "charging is stopped because no good data has come from the BMS for 12 s",
            "la charge est arrêtée, car aucune donnée valable n'est venue du BMS depuis 12 s",
        ),
        (
            "view.hold",
            {},
            "charging is stopped because no good data has come from the BMS",
            "la charge est arrêtée, car aucune donnée valable n'est venue du BMS",
        ),
        (
            "balancing.apart",
            {"spread_ah": 8.06, "spread_percent": 2.9, "at_least": True, "days": 1.2, "day": True},
            "cells are at least 8.1 Ah (2.9 %) apart: balanced in about 1 day; a balancing day goes on",
            (
                "les cellules ont au moins 8,1 Ah (2,9 %) d'écart : équilibrées dans environ 1 jour ; une journée "
                "d'équilibrage est en cours"
            ),
        ),
        (
            "balancing.apart",
            {"spread_ah": 8.06, "spread_percent": 2.9, "at_least": False, "days": 8.9, "day": False},
            "cells are 8.1 Ah (2.9 %) apart: balanced in about 9 days",
            "les cellules ont 8,1 Ah (2,9 %) d'écart : équilibrées dans environ 9 jours",
        ),
        (
            "limit.sensor_lost",
            {"detail": "external sensor 1", "value": -1.5, "share_percent": 0.0},
            "external sensor 1 is lost: its last -1.5 °C count, 0 % is left",
            "capteur externe 1 perdu : sa dernière valeur, -1,5 °C, compte, il reste 0 %",
        ),
        (
            "limit.bms_fault",
            {"detail": message("bms.over_voltage").document()},
            "the BMS reports: Cell over-voltage: a cell is above the cutoff, charging is off",
            "le BMS signale : Surtension de cellule : une cellule est au-dessus de la coupure, la charge est coupée",
        ),
    ],
)
def test_code_and_parameters_become_a_sentence(
    code: str, parameters: dict[str, object], english: str, french: str
) -> None:
    """Numbers, plurals, optional parts, names and messages within are those of each language."""
    assert say(code, parameters) == english
    assert say(code, parameters, "fr") == french


@pytest.mark.parametrize(
    ("cells", "english", "french"),
    [
        ((4,), "cell 4 holds about 8 %", "la cellule 4 contient environ 8 %"),
        ((4, 8), "cells 4 and 8 hold about 8 %", "les cellules 4 et 8 contiennent environ 8 %"),
        ((4, 8, 9), "cells 4, 8 and 9 hold about 8 %", "les cellules 4, 8 et 9 contiennent environ 8 %"),
    ],
)
def test_a_list_is_joined_and_counted(cells: tuple[int, ...], english: str, french: str) -> None:
    """Noun and verb follow the number of cells."""
    told = message("battery.weak_cell", cells=cells, less_percent=8.0)

    assert told.text.startswith(english)
    assert told.say("fr").startswith(french)


def test_none_is_singular_in_french_only() -> None:
    """French has "0 jour", English "0 days"."""
    parameters = {"spread_ah": 1.0, "spread_percent": 1.0, "days": 0.2}

    assert say("balancing.apart", parameters).endswith("0 days")
    assert say("balancing.apart", parameters, "fr").endswith("0 jour")


def test_what_is_not_known_is_told_in_the_text_that_came_beside_it() -> None:
    """A code or a parameter of a later version is no reason to show nothing."""
    assert Message("later.code", {"a": 1}, "Something new").say("fr") == "Something new"
    assert Message("later.code").say("fr") == "later.code"
    assert say("limit.soc", {"value": "many"}, "fr", "a text") == "état de charge de many %, il reste ? %"
    assert say("limit.bms_fault", {"detail": {"text": "no code"}}, "fr", "a text") == "a text"
    assert say("limit.bms_fault", {"detail": {"code": "later.code", "text": "no light"}}, "fr").endswith(": no light")


def test_a_parameter_that_is_missing_is_shown_as_such() -> None:
    """A sentence without its number is better than none."""
    assert say("limit.stale", {}) == "no good data from the BMS for ? s"


def test_a_message_holds_what_json_can_hold() -> None:
    """It crosses the link and lies in files: what is no number there becomes nothing."""
    told = message("limit.stale", value=float("inf"), cells=(1, 2), nested=message("view.lost"), other=object)

    assert json.loads(json.dumps(told.document(), allow_nan=False)) == told.document()
    assert (told.parameters["value"], told.parameters["cells"]) == (None, [1, 2])
    assert told.parameters["nested"]["code"] == "view.lost"


def test_advice_stands_beside_the_sentence() -> None:
    """A code with ``.advice`` is advice on the code before it."""
    assert message("bms.discharged").advice("fr") == "Chargez la batterie (niveau : registre 301)."
    assert message("bms.started").advice() == ""
    assert knows("bms.discharged.advice")
    assert not knows("bms.started.advice")


def test_french_is_loaded_only_when_it_is_asked_for() -> None:
    """The core shows English only, and has no use for the memory of another language."""
    program = (
        "import sys, tinybms_bridge.words as w; w.message('view.lost'); "
        "print('tinybms_bridge.words.french' in sys.modules); w.say('view.lost', {}, 'fr'); "
        "print('tinybms_bridge.words.french' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert found.stdout.split() == ["False", "True"]


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.integers())


@given(code=st.sampled_from(sorted(codes())), language=st.sampled_from(LANGUAGES), value=values)
def test_no_parameter_breaks_a_sentence(code: str, language: str, value: object) -> None:
    """Whatever comes over a wire or out of a file, something is shown, and nothing is raised."""
    names = ("value", "threshold", "detail", "cells", "days", "share_percent", "level", "cause", "reason")

    assert say(code, dict.fromkeys(names, value), "fr" if language == "fr" else "en", "beside")


def test_a_choice_is_joined_with_or() -> None:
    """What one of several is meant, each language says with its own word."""
    told = message("config.misplaced_key", sections=['"mqtt"', '"web_server"'])

    assert told.text == 'unknown key here; it belongs to "mqtt" or "web_server"'
    assert told.say("fr") == 'clé inconnue ici ; sa place est dans "mqtt" ou "web_server"'


@pytest.mark.parametrize("path", sorted(Path(words.__file__).parent.rglob("*.py")), ids=lambda path: path.stem)
def test_no_key_stands_twice(path: Path) -> None:
    """The second would silently take the place of the first, with other words."""
    written = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Dict)]
    keys = [[key.value for key in each.keys if isinstance(key, ast.Constant)] for each in written]

    assert [key for names in keys for key, count in Counter(names).items() if count > 1] == []
