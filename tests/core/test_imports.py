import subprocess
import sys

_FORBIDDEN = (
    "pydantic",
    "pydantic_core",
    "annotated_types",
    "fastapi",
    "starlette",
    "uvicorn",
    "websockets",
    "rich",
    "click",
)


def test_the_core_loads_no_web_library_and_no_checker() -> None:
    """The process that may not fail is small: what it does not load can neither fail nor fill its memory."""
    code = f"import sys, tinybms_bridge.core.bridge; print([name for name in {_FORBIDDEN} if name in sys.modules])"

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"
