"""Libraries that others import if they can and do well without: left out where they would only take memory.

``None`` in ``sys.modules`` is Python's own way to say that there is no such module.
"""

import sys
from importlib.util import find_spec

__all__ = ["leave_out", "without_openssl"]

_OWN_HASHES = ("_md5", "_sha1", "_blake2", "_sha3") + (
    ("_sha2",) if sys.version_info >= (3, 12) else ("_sha256", "_sha512")
)


def leave_out(*names: str) -> list[str]:
    """Let imports of these modules fail from now on, unless they are loaded already; return those that will."""
    missing = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(missing))  # type: ignore[arg-type]  # None, see above
    return missing


def without_openssl() -> None:
    """Load asyncio and hashlib without OpenSSL, 4 MB, for a process that speaks no TLS; to be called before others do.

    Python has the hashes itself. Where it was built without them everything stays as it is. Who imports ``ssl`` later
    gets it all the same.
    """
    if all(find_spec(name) for name in _OWN_HASHES):
        left_out = leave_out("ssl", "_hashlib")

        import asyncio  # noqa: F401 -- whoever comes later finds it loaded
        import hashlib  # noqa: F401

        for name in left_out:
            del sys.modules[name]
