"""Results of scenarios with several packs: a table for the terminal, the same as Markdown, and a JSON document."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from rich.table import Table

from tinybms_lab.bench.criteria import CriterionViolation
from tinybms_lab.bench.packs.criteria import PacksMetrics

__all__ = ["PACK_HEADINGS", "Outcomes", "packs_comparison", "packs_legend", "packs_record", "packs_table"]

PACK_HEADINGS = (
    "Highest cell",
    "Least full pack",
    "Above its own limit",
    "Between packs",
    "Protections tripped",
    "Dark",
    "Broken",
)


class _Outcome(Protocol):
    """What is told of one controller in one scenario."""

    @property
    def violations(self) -> tuple[CriterionViolation, ...]: ...

    @property
    def packs(self) -> PacksMetrics | None: ...


Outcomes = tuple[str, Sequence[_Outcome]]
"""A scenario, and what the engine and the plain sum make of it."""


def packs_table(results: Sequence[Outcomes]) -> Table:
    """Return the table for a terminal: a row for the engine, and one for the plain sum."""
    shown = Table(title="Several packs", header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    for heading in ("Scenario", *PACK_HEADINGS):
        shown.add_column(heading, no_wrap=heading not in {"Protections tripped", "Broken"})
    for scenario, outcomes in results:
        for outcome in outcomes:
            first, last = outcome is outcomes[0], outcome is outcomes[-1]
            shown.add_row(scenario if first else "  plain sum", *_row(outcome), end_section=last)
    return shown


def packs_comparison(results: Sequence[Outcomes]) -> list[str]:
    """Return the same as the lines of a Markdown table: engine / plain sum in each column."""
    lines = [f"| {' | '.join(('Scenario', *PACK_HEADINGS))} |", "|" + "---|" * (1 + len(PACK_HEADINGS))]
    for scenario, outcomes in results:
        told = zip(*[_row(outcome) for outcome in outcomes], strict=True)
        lines.append(f"| `{scenario}` | {' | '.join(' / '.join(each) for each in told)} |")
    return lines


def packs_legend() -> str:
    """Return what the short words of the table mean."""
    return (
        "Highest cell of any pack; least full: the pack that gets least full, at its fullest; above its own limit: "
        "longest time in a row that a pack carried more than it alone would bear, current between packs apart; "
        "between packs: largest current of a pack while the battery as a whole rests; dark: longest time without "
        "loads, or with DCL 0, although a healthy pack could have carried them."
    )


def packs_record(packs: PacksMetrics) -> dict[str, object]:
    """Return the measures as a JSON document has them."""
    record = dataclasses.asdict(packs)
    record["rises"] = [
        {"pack": rise.fault.pack, "kind": rise.fault.kind.value, "limit": rise.limit, "to": rise.after}
        for rise in packs.rises
    ]
    return record


def _row(outcome: _Outcome) -> tuple[str, ...]:
    packs = outcome.packs
    assert packs is not None
    trips: Counter[str] = Counter()
    for pack in packs.packs:
        trips.update(pack.trips)
    return (
        f"{max(pack.highest_cell_v for pack in packs.packs):.3f} V",
        f"{min(pack.top_percent for pack in packs.packs):.1f} %",
        f"{packs.over_s:.0f} s",
        f"{packs.equalising_a:.0f} A",
        ", ".join(f"{count} {name}" for name, count in trips.items()) or "-",
        f"{packs.dark_s:.0f} s",
        ", ".join(dict.fromkeys(violation.name for violation in outcome.violations)) or "-",
    )
