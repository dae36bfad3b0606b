"""``python -m tinybms_lab.bench NAME...``: play some scenarios and print the table; all of them without a name."""

import sys

from rich.console import Console

from tinybms_bridge.suggestions import did_you_mean
from tinybms_lab.bench.report import show
from tinybms_lab.bench.runner import play_all
from tinybms_lab.bench.scenarios import SCENARIOS

__all__ = ["main"]


def main(names: list[str]) -> int:
    """Play and print; return 1 when the engine does not hold a criterion, 2 for a name that does not exist."""
    console = Console()
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        hint = did_you_mean(unknown[0], SCENARIOS)
        console.print(f"no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}{hint}", highlight=False)
        return 2
    results = list(play_all(names or list(SCENARIOS)))
    show(results, console)
    return int(any(result.engine.violations for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
