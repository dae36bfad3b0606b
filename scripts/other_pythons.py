#!/usr/bin/env python3
"""Shows that the program works on every Python that its classifiers name and this machine has.

    scripts/other_pythons.py [--list] [--only 3.12] [-- ARGUMENTS OF PYTEST]

For each: an environment ``.venv-3.x`` with the libraries of ``requirements/dev.txt``, an import of every module with
warnings as errors, and the quick tests of what the frames rest on. Those that are not here are named, and are no
failure. Ends with status 1 if one was red. The whole suite runs in ``make test``, on the Python that that one found.
"""

import argparse
import os
import shutil
import subprocess
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
QUICK = ("tests/battery", "tests/tinybms", "tests/victron", "tests/link")
SLOW = ("tests/battery/limits", "tests/tinybms/test_link_properties.py")

_IMPORT_ALL = """
import importlib, pkgutil, sys
import tinybms_bridge, tinybms_lab
for package in (tinybms_bridge, tinybms_lab):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


def main() -> int:
    """Run what is asked for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="only say which are here")
    parser.add_argument("--only", metavar="3.x", help="one of them")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest")
    arguments = parser.parse_args()
    found = {version: find(version) for version in named_versions() if arguments.only in (None, version)}
    for version, python in found.items():
        print(f"{version}: {python or 'not on this machine (PATH, ~/.pyenv/versions)'}", flush=True)
    if arguments.list:
        return 0
    red = [version for version, python in found.items() if python and not is_green(version, python, arguments.pytest)]
    print(f"red: {', '.join(red)}" if red else "nothing was red")
    return 1 if red else 0


def named_versions() -> list[str]:
    """Return the versions that the classifiers name, as 3.x."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [each.rpartition(" ")[2] for each in project["classifiers"] if each.startswith("Programming Language")]
    return [name for name in names if name.startswith("3.")]


def find(version: str) -> str | None:
    """Return the path of a Python of this version, or None."""
    on_path = shutil.which(f"python{version}")
    kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for candidate in [*([on_path] if on_path else []), *(str(path) for path in reversed(kept))]:
        answer = subprocess.run([candidate, "-c", "import ensurepip, venv"], capture_output=True, check=False)
        if answer.returncode == 0:
            return candidate
    return None


def is_green(version: str, python: str, pytest: Sequence[str]) -> bool:
    """Make the environment of a version where that is to be done, and tell whether all works in it."""
    begun_s = time.monotonic()
    own = ROOT / f".venv-{version}"
    own_python = str(own / "bin" / "python")
    lock = ROOT / "requirements" / "dev.txt"
    stamp = own / ".installed"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != lock.read_text(encoding="utf-8"):
        subprocess.run([python, "-m", "venv", "--clear", str(own)], check=True)
        install = [own_python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*install, "-r", str(lock)], check=True)
        stamp.write_text(lock.read_text(encoding="utf-8"), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    ignored = [f"--ignore={path}" for path in SLOW]
    steps = {
        "imports": [own_python, "-W", "error", "-c", _IMPORT_ALL],
        "tests": [own_python, "-m", "pytest", "-q", "-n", "auto", "-p", "no:cacheprovider", *QUICK, *ignored, *pytest],
    }
    green = True
    for name, command in steps.items():
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        lines = (done.stdout + done.stderr).strip().splitlines()
        print(f"{version} {name}: {'green' if done.returncode == 0 else 'RED'} {lines[-1] if lines else ''}".rstrip())
        if done.returncode:
            print("\n".join(lines[-40:]))
            green = False
    print(f"{version}: {time.monotonic() - begun_s:.0f} s", flush=True)
    return green


if __name__ == "__main__":
    raise SystemExit(main())
