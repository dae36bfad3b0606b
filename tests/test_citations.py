"""What docstrings and comments cite: each page is there, and has the section that is named."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SOURCES = sorted((ROOT / "src").rglob("*.py"))
DBC = ROOT / "src" / "tinybms_bridge" / "victron" / "can" / "victron_bms.dbc"

NUMBER = r"\d+(?:\.\d+)?"
CITATION = re.compile(rf"\b([\w-]+)\.md(?:#([\w-]+)|, ({NUMBER}(?:(?:,| and| to) {NUMBER})*))?")
"""``victron-can.md``, ``victron-can.md, 2 and 4``, ``api.md#what-is-live``."""

UNRESOLVED = re.compile(
    r"\bRev [BD], (?:section|event)|(?:protocol|firmware) reference|reference (?:firmware|victron-can|charging-physics)"
    r"|(?<!RFC \d{4}, )\bsections? \d"
)
"""What looks like a citation and names no page; those of an RFC lead to the RFC."""

WRITTEN = {"results"}
"""Pages that a command writes."""

FROM_BOOKS = {"Diffusion, 1975, section 6.3.4"}


def prose_of(path: Path) -> Iterator[str]:
    """Yield each docstring, of modules, classes, functions and values, and each comment, in one line."""
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield " ".join(node.value.value.split())
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string.lstrip("# ")


def page_named(name: str) -> Path | None:
    """Return the page of a name, from the reference, the docs or the root."""
    places = (DOCS / "reference", DOCS, ROOT)
    return next((place / f"{name}.md" for place in places if (place / f"{name}.md").is_file()), None)


def headings_of(page: Path) -> list[str]:
    """Return the headings of a page."""
    return re.findall(r"^#+ +(.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)


def mistakes_in(text: str) -> Iterator[str]:
    """Yield what a text cites that is not there."""
    for found in CITATION.finditer(text):
        name, anchor, numbers = found.groups()
        if name in WRITTEN:
            continue
        page = page_named(name)
        if page is None:
            yield f"no page {name}.md"
            continue
        headings = headings_of(page)
        for number in re.findall(NUMBER, numbers or ""):
            if not any(re.match(rf"{re.escape(number)}\.? ", heading) for heading in headings):
                yield f"{name}.md has no section {number}"
        if anchor and anchor not in {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}:
            yield f"{name}.md has no heading #{anchor}"
    plain = text
    for book in FROM_BOOKS:
        plain = plain.replace(book, "")
    yield from (f"names no page: {found[0]}" for found in UNRESOLVED.finditer(plain))


def test_every_citation_of_the_code_leads_to_a_section() -> None:
    """A page or section that goes, or is renumbered, takes its citations along."""
    wrong = {
        f"{path.relative_to(ROOT)}: {mistake}"
        for path in SOURCES
        for text in prose_of(path)
        for mistake in mistakes_in(text)
    }

    assert sorted(wrong) == []


def test_there_are_citations_to_check() -> None:
    """The pages of the reference are there because the code cites them; one that is not cited yet says so."""
    cited = {found[1] for path in SOURCES for text in prose_of(path) for found in CITATION.finditer(text)}
    pages = {page.stem for page in (DOCS / "reference").glob("*.md")}

    assert pages - cited <= {"venus-dbus"}


def test_the_sections_in_the_table_of_the_frames_are_those_of_its_page() -> None:
    """Comments of the DBC, which API and frame page show, name sections of ``victron-can.md``."""
    text = DBC.read_text(encoding="utf-8")
    numbers = set(re.findall(r"\(section (\d)\)", text))
    headings = headings_of(DOCS / "reference" / "victron-can.md")

    assert "victron-can.md" in text
    assert len(numbers) >= 4
    assert all(any(heading.startswith(f"{number}. ") for heading in headings) for number in numbers)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("see tinybms-protocol.md, 9.9", "tinybms-protocol.md has no section 9.9"),
        ("see tinybms-protocol.md, 1.2 and 8.4", "tinybms-protocol.md has no section 8.4"),
        ("see nowhere.md", "no page nowhere.md"),
        ("see api.md#what-was-live", "api.md has no heading #what-was-live"),
        ("(protocol reference, 5.3)", "names no page: protocol reference"),
        ("as section 5 says", "names no page: section 5"),
    ],
)
def test_what_leads_nowhere_is_noticed(text: str, mistake: str) -> None:
    """The test of the test above."""
    assert mistake in list(mistakes_in(text))


@pytest.mark.parametrize("text", ["RFC 9110, section 9.3.2", "docs/api.md#what-is-live", "victron-can.md, 2 and 4."])
def test_what_leads_somewhere_is_accepted(text: str) -> None:
    """Pages of the docs, sections, anchors, and documents of the IETF."""
    assert list(mistakes_in(text)) == []
