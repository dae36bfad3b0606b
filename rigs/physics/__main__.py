"""``python -m rigs.physics``: compare the cells of the bench with PyBaMM's, then play batteries of them."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import before

from rigs.physics import batteries, comparison
from tinybms_lab.bench.controllers import Controller
from tinybms_lab.bench.runner import engine_for
from tinybms_lab.bench.scenario import Scenario

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Run and print; return 1 where the cells differ too much, 2 where PyBaMM is missing."""
    parser = argparse.ArgumentParser(prog="python -m rigs.physics", description=__doc__)
    parser.add_argument("--store", action="store_true", help="write PyBaMM's curves for the tests")
    parser.add_argument("--only", choices=("cells", "batteries"), help="one half")
    parser.add_argument("--scenario", action="append", help="only this scenario; may be repeated")
    parser.add_argument("--revision", help="play the batteries with the engine of this earlier revision")
    options = parser.parse_args(arguments)
    code = 0 if options.only == "batteries" else _compare(store=options.store)
    if options.only != "cells":
        _play(options.scenario or batteries.NAMES, options.revision)
    return code


def _play(names: Sequence[str], revision: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if revision is not None:
            before.load(revision, Path(folder))
        controller_for: Callable[[Scenario], Controller] = engine_for if revision is None else before.EarlierEngine
        for line in batteries.table(batteries.play_all(names, controller_for)):
            print(line, flush=True)


def _compare(*, store: bool) -> int:
    try:
        import pybamm
    except ImportError as error:
        print(f"PyBaMM is not installed ({error}): nothing is compared. `make rig-physics` installs it.", flush=True)
        return 2
    differences = comparison.compare()
    print(f"PyBaMM {pybamm.__version__}\n\n{comparison.table(differences)}\n", flush=True)
    if store:
        comparison.store(differences, pybamm.__version__)
    wrong = [each.profile.name for each in differences if not each.kept]
    if wrong:
        print(f"more than {1000.0 * comparison.BOUND_V:.0f} mV apart: {', '.join(wrong)}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
