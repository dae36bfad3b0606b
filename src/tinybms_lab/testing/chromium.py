"""Chromium of the system, for tests of the pages, for their pictures and for what they cost."""

import shutil

__all__ = ["FLAGS", "chromium_path"]

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
"""It asks nobody for anything, needs no graphics, and runs as any user."""


def chromium_path() -> str | None:
    """Return the program; None where there is none (Debian: package ``chromium``)."""
    return shutil.which("chromium") or shutil.which("chromium-browser")
