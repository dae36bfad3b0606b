"""Libraries that others do without, left out to save memory."""

import subprocess
import sys

import pytest

from tinybms_bridge.hal import leave_out as module
from tinybms_bridge.hal.leave_out import leave_out, without_openssl


def fresh(program: str) -> str:
    """Return what a program says in an interpreter of its own."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_what_is_left_out_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were not installed; what is loaded already stays."""
    name = "chunk" if sys.version_info < (3, 13) else "this"
    monkeypatch.delitem(sys.modules, name, raising=False)
    assert leave_out(name, "sys") == [name]
    try:
        with pytest.raises(ImportError):
            __import__(name)
        assert leave_out(name) == []
    finally:
        del sys.modules[name]


def test_a_process_without_tls_does_without_openssl() -> None:
    """Event loops work, hashes are the same, and who needs TLS after all gets it."""
    program = """
from tinybms_bridge.hal.leave_out import without_openssl
without_openssl()
import asyncio, hashlib, sys
print(any(name in sys.modules for name in ("ssl", "_ssl", "_hashlib")))
print(hashlib.sha256(b"x").hexdigest())
async def spawn():
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    return await process.wait()
print(asyncio.run(spawn()))
import ssl
print(ssl.create_default_context() is not None)
"""
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert fresh(program).split() == ["False", digest, "0", "True"]


def test_the_core_loads_no_openssl() -> None:
    """4 MB of 40: nothing that the core imports needs it, and nothing asyncio has is missed."""
    program = """
from tinybms_bridge.hal.leave_out import without_openssl
import tinybms_bridge.cli.run, sys
print("asyncio" in sys.modules)
without_openssl()
import tinybms_bridge.app.core, tinybms_bridge.hal.serial, tinybms_bridge.hal.socketcan
print([name for name in ("ssl", "_ssl", "_hashlib", "hmac", "secrets") if name in sys.modules])
"""
    assert fresh(program).split("\n") == ["False", "[]"]


def test_a_python_without_hashes_of_its_own_keeps_those_of_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    """There would be none otherwise."""
    asked: list[str] = []
    monkeypatch.setattr(module, "find_spec", lambda _name: None)
    monkeypatch.setattr(module, "leave_out", lambda *names: asked.extend(names))
    without_openssl()
    assert asked == []
