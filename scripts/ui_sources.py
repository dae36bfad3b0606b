#!/usr/bin/env python3
"""Make what the browser pages take from the program: ``ui/src/generated``, with the API as types and every word.

    scripts/ui_sources.py [FOLDER]

``openapi.json`` becomes types by ``npm run types``. A page that names a field or a word that there is not fails its
type check.
"""

import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from tinybms_bridge.services.ports import Core
from tinybms_bridge.services.web.app import create_app
from tinybms_bridge.services.web.live.watch import Watch
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.words import LANGUAGES
from tinybms_bridge.words.pages import PAGES

FOLDER = Path(__file__).resolve().parents[1] / "ui" / "src" / "generated"


def words_of(page: str) -> Mapping[str, tuple[str, ...]]:
    """Return the words of a page: for each key those of each language, in the order of ``LANGUAGES``."""
    found: Mapping[str, tuple[str, ...]] = importlib.import_module(f"tinybms_bridge.words.pages.{page}").WORDS
    return found


def words_module(page: str) -> str:
    """Return the module with the words of a page."""
    found = words_of(page)
    rows = {language: {key: words[place] for key, words in found.items()} for place, language in enumerate(LANGUAGES)}
    text = json.dumps(rows, ensure_ascii=False, indent=1)
    return f"// Made by scripts/ui_sources.py from words/pages/{page}.py\nexport default {text} as const;\n"


def openapi() -> str:
    """Return the description of the API; no bridge is needed for it."""
    nobody = object()  # nothing is asked of a bridge while the application is put together
    document = create_app(cast("Core", nobody), WebOptions(), watch=cast("Watch", nobody)).openapi()
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def main(folder: Path = FOLDER) -> None:
    """Write everything."""
    (folder / "words").mkdir(parents=True, exist_ok=True)
    (folder / "openapi.json").write_text(openapi(), encoding="utf-8")
    for page in PAGES:
        (folder / "words" / f"{page}.ts").write_text(words_module(page), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
