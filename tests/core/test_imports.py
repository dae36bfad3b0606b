import subprocess
import sys

_FORBIDDEN = (
    "annotated_types",
    "can",
    "cantools",
    "click",
    "fastapi",
    "pydantic",
    "pydantic_core",
    "rich",
    "starlette",
    "uvicorn",
    "websockets",
)

_CODE = f"""
import importlib, pkgutil, sys
import tinybms_bridge.core
for module in pkgutil.walk_packages(tinybms_bridge.core.__path__, "tinybms_bridge.core."):
    importlib.import_module(module.name)
print([name for name in {_FORBIDDEN} if name in sys.modules])
"""


def test_the_core_loads_no_web_library_no_checker_and_no_can_library() -> None:
    """The process that may not fail is small: what it does not load can neither fail nor fill its memory."""
    result = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"
