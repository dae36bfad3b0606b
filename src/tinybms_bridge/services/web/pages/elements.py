"""HTML as a tree: what is a string becomes text, whatever is in it."""

import re
from xml.etree import ElementTree as ET

__all__ = ["STYLE_PATH", "Child", "Element", "document", "element", "markup", "prose", "table"]

Element = ET.Element
Child = str | Element

STYLE_PATH = "/page.css"
"""Where the style sheet is served: the Content-Security-Policy allows no style in a page."""

_CODE = re.compile(r"``?([^`]+)``?")
_CONTROLS = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127), "\N{REPLACEMENT CHARACTER}")


def element(tag: str, *children: Child, **attributes: str) -> Element:
    """Return an element; ``class_`` and the like lose their underscore."""
    made = Element(tag, {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()})
    last: Element | None = None
    for child in children:
        if isinstance(child, Element):
            made.append(child)
            last = child
        elif last is None:
            made.text = (made.text or "") + _printable(child)
        else:
            last.tail = (last.tail or "") + _printable(child)
    return made


def table(rows: list[tuple[Child, ...]], head: tuple[str, ...] = (), **attributes: str) -> Element:
    """Return a table; the first cell of a row is its name. It scrolls by itself where it is wider than a phone."""
    parts = [element("thead", element("tr", *(element("th", name, scope="col") for name in head)))] if head else []
    lines = [
        element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in rest))
        for first, *rest in rows
    ]
    return element("div", element("table", *parts, element("tbody", *lines), **attributes), class_="wide")


def prose(text: str) -> list[Child]:
    """Return a docstring as text with its code: what stands between one or two backquotes."""
    parts = _CODE.split(text)
    return [element("code", part) if index % 2 else part for index, part in enumerate(parts)]


def document(title: str, *body: Child, version: str) -> bytes:
    """Return a whole page."""
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("link", rel="stylesheet", href=f"{STYLE_PATH}?{version}"),
        element("link", rel="icon", href="data:,"),
        element("title", title),
    ]
    root = element("html", element("head", *head), element("body", *body), lang="en")
    return f"<!DOCTYPE html>\n{markup(root)}".encode()


def markup(*parts: Child) -> str:
    """Return the HTML of elements and texts."""
    whole: str = ET.tostring(element("div", *parts), encoding="unicode", method="html")
    return whole.removeprefix("<div>").removesuffix("</div>")


def _printable(text: str) -> str:
    """Return text without what no HTML may hold; lone surrogates would have no encoding at all."""
    if text.isprintable():
        return text
    return text.translate(_CONTROLS).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
