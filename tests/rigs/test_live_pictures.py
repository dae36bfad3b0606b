"""The pictures of the live view in the documentation: drawn from a run of the real bridge, the same each time."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

pytestmark = pytest.mark.timeout(1200)  # a quarter of an hour of virtual time, on a busy machine

ROOT = Path(__file__).parents[2]
SENTENCES = {
    "live-normal": "Charging with",
    "live-alarm": "ALARM: high temperature",
    "live-hold": "Charging is stopped because no good data has come from the BMS for 8 s",
    "live-silent": "Nothing is sent; the GX has lost the BMS",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pictures of this revision are."""
    folder = tmp_path_factory.mktemp("pictures")
    command = [sys.executable, "-m", "rigs.live_pictures", "--out", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT)
    return folder


def words(picture: Path) -> str:
    """Return what a picture says, with single spaces."""
    return " ".join("".join(ET.parse(picture).getroot().itertext()).split())


@pytest.mark.parametrize("name", SENTENCES)
def test_pictures_show_the_four_states(folder: Path, name: str) -> None:
    """Each begins with the sentence of its state; the rows are whole."""
    said = words(folder / f"{name}.svg")
    assert SENTENCES[name] in said
    assert "…" not in said
    assert "q quit" in said


@pytest.mark.parametrize("place", ["drawn", "docs"])
@pytest.mark.parametrize("name", SENTENCES)
def test_pictures_load_nothing_from_elsewhere(folder: Path, place: str, name: str) -> None:
    """Whoever reads the documentation without a network, or wants to tell nobody, sees the same."""
    picture = (folder if place == "drawn" else ROOT / "docs" / "images") / f"{name}.svg"
    text = picture.read_text()
    addresses = [word for word in text.replace('"', " ").split() if "://" in word]
    assert set(addresses) == {"http://www.w3.org/2000/svg"}
    assert "@font-face" not in text
    assert "url(#" in text or "url(" not in text


@pytest.mark.parametrize("name", SENTENCES)
def test_the_documentation_shows_the_four_states(name: str) -> None:
    """The pictures of the repository are those of the rig."""
    assert SENTENCES[name] in words(ROOT / "docs" / "images" / f"{name}.svg")
    assert f"images/{name}.svg" in (ROOT / "docs" / "live-view.md").read_text()
