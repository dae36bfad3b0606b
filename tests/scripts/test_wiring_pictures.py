"""The pictures of the wiring: those in docs are the script's, alike in both languages, and legible."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[2]
DRAWN = ROOT / "docs" / "pictures"
NAMES = ("bms-connector", "can-rj45", "isolation", "packs", "terminators")
LANGUAGES = ("en", "fr")
SVG = "{http://www.w3.org/2000/svg}"
CHARACTER = 0.56
"""Mean width of a character of Helvetica as a part of its size, with something to spare."""

each_picture = pytest.mark.parametrize("path", [DRAWN / f"{name}.{one}.svg" for name in NAMES for one in LANGUAGES])


def boxes(path: Path) -> list[tuple[str, float, float, float, float]]:
    """Return each text with left, top, right and bottom."""
    found = []
    for text in ET.parse(path).getroot().iter(f"{SVG}text"):
        size, said = float(text.attrib["font-size"]), text.text or ""
        width = len(said) * size * CHARACTER
        left = float(text.attrib["x"]) - {"start": 0.0, "middle": width / 2, "end": width}[text.attrib["text-anchor"]]
        base = float(text.attrib["y"])
        found.append((said, left, base - 0.75 * size, left + width, base + 0.2 * size))
    return found


def test_the_pictures_of_the_documentation_are_those_of_the_script(tmp_path: Path) -> None:
    """Who changes one by hand, or the script alone, is told so."""
    subprocess.run([sys.executable, ROOT / "scripts" / "wiring_pictures.py", tmp_path], check=True, capture_output=True)

    drawn = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}

    assert drawn == {path.name: path.read_text(encoding="utf-8") for path in DRAWN.iterdir()}
    assert sorted(drawn) == sorted(f"{name}.{one}.svg" for name in NAMES for one in LANGUAGES)


@each_picture
def test_words_stay_in_the_picture_and_off_each_other(path: Path) -> None:
    """With room for a font that is a little wider."""
    _, _, width, height = (float(part) for part in ET.parse(path).getroot().attrib["viewBox"].split())
    texts = boxes(path)

    outside = [
        said
        for said, left, top, right, bottom in texts
        if left < 8 or top < 8 or right > width - 8 or bottom > height - 6
    ]
    over = [
        (one[0], other[0])
        for number, one in enumerate(texts)
        for other in texts[:number]
        if one[1] < other[3] and other[1] < one[3] and one[2] < other[4] and other[2] < one[4]
    ]
    assert outside == []
    assert over == []


@each_picture
def test_words_are_text_on_a_ground_of_their_own(path: Path) -> None:
    """They can be read aloud and found, load nothing, and are legible on a dark page."""
    text = path.read_text(encoding="utf-8")
    root = ET.fromstring(text)

    assert root.find(f"{SVG}title") is not None
    assert root.find(f"{SVG}desc") is not None
    ground = root.find(f"{SVG}rect")
    assert ground is not None
    assert ground.attrib["fill"] == "#fbfcfd"
    assert set(re.findall(r"\w+://[^\"]*", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search("<(script|image|style|path)", text)


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_draw_the_same(name: str) -> None:
    """Lines, boxes and signals alike; only words differ."""

    def shape(language: str) -> list[tuple[str, dict[str, str]]]:
        root = ET.parse(DRAWN / f"{name}.{language}.svg").getroot()
        return [(part.tag, part.attrib) for part in root if part.tag in (f"{SVG}rect", f"{SVG}polyline", f"{SVG}text")]

    assert shape("en") == shape("fr")


@pytest.mark.parametrize("language", LANGUAGES)
def test_pins_are_those_of_the_table_of_the_page(language: str) -> None:
    """A wire drawn to another pin than the table names would be believed."""
    page = (ROOT / "docs" / ("wiring.md" if language == "en" else "wiring.fr.md")).read_text(encoding="utf-8")
    table = {signal: pin for pin, signal in re.findall(r"^\| (\d) \| (CAN-H|CAN-L|GND)", page, re.MULTILINE)}
    texts = [one for one in boxes(DRAWN / f"can-rj45.{language}.svg") if one[1] < 500]  # beside it is the small plug
    rows = {said: round(bottom) for said, _, _, _, bottom in texts if said in "12345678"}
    at_pin = {
        said: next(pin for pin, row in rows.items() if abs(row - bottom) <= 1)
        for said, left, _, _, bottom in texts
        if said in ("CAN-H", "CAN-L", "GND") and left < 200
    }

    assert at_pin == table == {"GND": "3", "CAN-H": "7", "CAN-L": "8"}
