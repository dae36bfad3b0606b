"""Where the log lines of this process go, from the first moment on."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["EarlyHandler", "logging_through", "set_up_logging"]


class EarlyHandler(logging.StreamHandler[TextIO]):
    """Writes to standard error until a log book takes over."""


def set_up_logging(level: str, handler: logging.Handler | None = None) -> None:
    """Send log lines of this program to standard error, or to ``handler``; libraries only from WARNING up."""
    handler = handler or EarlyHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # An adapter that is gone is reported by the bridge itself, once; python-can repeats it for each call.
    logging.getLogger("can").setLevel(logging.CRITICAL)
    logging.getLogger("tinybms_bridge").setLevel(level)


@contextmanager
def logging_through(handler: logging.Handler) -> Iterator[None]:
    """Let a handler take the log lines of the whole program, in place of the early one, until the block ends."""
    root = logging.getLogger()
    early = [each for each in root.handlers if isinstance(each, EarlyHandler)]
    for each in early:
        root.removeHandler(each)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        for each in early:
            root.addHandler(each)
