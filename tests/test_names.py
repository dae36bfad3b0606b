"""Names of classes over the product and the laboratory."""

import ast
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[1] / "src"


def public_classes() -> Mapping[str, list[str]]:
    """Return the modules of every public class by its name."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(SOURCES)))
    return found


def test_no_name_stands_for_two_classes() -> None:
    """A wrong import would be found by its type at the best, and by a reader never."""
    assert {name: modules for name, modules in public_classes().items() if len(modules) > 1} == {}
