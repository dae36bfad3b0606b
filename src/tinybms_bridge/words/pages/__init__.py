"""Words of the browser pages, one module for each page: a key, and beside it the words in English and in French.

The build of the pages takes them (``scripts/ui_sources.py``); no process loads them. Fields are ``{name}``, and
``{name:one|many}`` for a word that follows a number; numbers and times come in the form of the language already.
"""

PAGES = ("common", "overview", "history", "settings", "packs", "connections", "bms", "diagnostics", "access", "setup")
"""Names of the modules; ``common`` is what every page has."""
