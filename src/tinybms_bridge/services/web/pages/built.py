"""The built pages: ``ui/`` beside the source made them, ``services/web/ui`` holds them.

``index.html`` is one page for all paths. The server writes three things into it: in the head what who runs no script
needs, the state of this moment as JSON, so that the first value needs no further request, and the battery in words,
which stands there until the script takes its place. Everything else is kept compressed.
"""

import asyncio
import gzip
import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from tinybms_bridge.services.web.pages.elements import STYLE_PATH, Child, element, markup
from tinybms_bridge.words import ENGLISH, Language

__all__ = ["Asset", "BuiltPages", "built_pages"]

_TYPES = {".js": "text/javascript", ".webmanifest": "application/manifest+json", ".svg": "image/svg+xml"}
_PLACES = ("<!--head-->", "<!--boot-->", "<!--body-->")


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the pages."""

    media_type: str
    packed: bytes
    """By gzip; empty for what does not get smaller."""
    plain: bytes
    """Empty where ``packed`` is there: ``unpacked`` makes it for who reads no gzip."""

    @property
    def unpacked(self) -> bytes:
        """The file as it is."""
        return gzip.decompress(self.packed) if self.packed else self.plain


@dataclass(frozen=True, slots=True)
class BuiltPages:
    """Everything that the build has made."""

    template: tuple[str, ...]
    """The page, cut where the server writes into it."""
    files: Mapping[str, Asset]
    """By path, for example ``/assets/index-1234.js``."""

    def page(self, boot: str, *body: Child, error: str = "", refresh_s: int = 0, language: Language = ENGLISH) -> bytes:
        """Return the page. ``boot``: the state of this moment as JSON; ``error``: what programs may read of a refusal.

        ``refresh_s``: how often the page loads itself anew where no script runs; ``language``: of ``body``.
        """
        head: list[Child] = [element("meta", name="error", content=error)] if error else []
        plain: list[Child] = [element("link", rel="stylesheet", href=STYLE_PATH)]
        if refresh_s:
            plain.append(element("meta", http_equiv="refresh", content=str(refresh_s)))
        state = boot.replace("<", "\\u003c")  # a text in it ends no script
        before, between, after, end = self.template
        before = before.replace('<html lang="en">', f'<html lang="{language}">', 1)
        filled = (before, markup(*head, element("noscript", *plain)), between, state, after, markup(*body), end)
        return "".join(filled).encode("utf-8", "replace")


async def built_pages() -> BuiltPages:
    """Return the pages, which are read once. Raises ValueError when they are not what the server can fill."""
    return await asyncio.get_running_loop().run_in_executor(None, _read)


@cache
def _read() -> BuiltPages:
    root = resources.files("tinybms_bridge.services.web") / "ui"
    text = (root / "index.html").read_text(encoding="utf-8")
    template = []
    for place in _PLACES:
        part, found, text = text.partition(place)
        if not found:
            raise ValueError(f"the built pages have no {place}")
        template.append(part)
    return BuiltPages((*template, text), dict(_files(root, "/")))


def _files(folder: Traversable, path: str) -> Iterator[tuple[str, Asset]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _files(each, f"{path}{each.name}/")
        elif each.name != "index.html":
            packed, name = each.name.endswith(".gz"), each.name.removesuffix(".gz")
            kind = _TYPES.get(name[name.rfind(".") :]) or mimetypes.guess_type(name)[0] or "application/octet-stream"
            content = each.read_bytes()
            yield f"{path}{name}", Asset(kind, content if packed else b"", b"" if packed else content)
