import logging
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.logs import logging_through, set_up_logging


class Lines(logging.Handler):
    """Collects formatted lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        self.lines.append(self.format(record))


@pytest.fixture
def loggers() -> Iterator[None]:
    """Put the loggers back as they were."""
    names = ("", "can", "tinybms_bridge")
    levels = {name: logging.getLogger(name).level for name in names}
    handlers = logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.usefixtures("loggers")
def test_log_shows_this_program_and_silences_the_libraries() -> None:
    """Our lines from the chosen level up, others only when they warn, python-can never."""
    handler = Lines()
    set_up_logging("INFO", handler)
    logging.getLogger("tinybms_bridge.core.bridge").info("sending")
    logging.getLogger("tinybms_bridge.core.bridge").debug("details")
    logging.getLogger("asyncio").info("loop")
    logging.getLogger("asyncio").warning("slow callback")
    logging.getLogger("can.bus").error("adapter gone")
    assert [line.split(" ", 2)[2] for line in handler.lines] == ["INFO    sending", "WARNING slow callback"]
    assert handler.lines[0][:4].isdigit()


@pytest.mark.usefixtures("loggers")
@pytest.mark.parametrize(("level", "count"), [("DEBUG", 4), ("INFO", 3), ("WARNING", 2), ("ERROR", 1)])
def test_level_is_the_chosen_one(level: str, count: int) -> None:
    """Every level of the configuration has its effect."""
    handler = Lines()
    set_up_logging(level, handler)
    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logging.getLogger("tinybms_bridge.x").log(number, "line")
    assert len(handler.lines) == count


@pytest.mark.usefixtures("loggers")
def test_setting_up_twice_writes_each_line_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The second call, with the configured level, replaces the first; lines go to standard error."""
    set_up_logging("INFO")
    set_up_logging("INFO")
    logging.getLogger("tinybms_bridge.x").info("once")
    out, err = capsys.readouterr()
    assert (out, err.count("once")) == ("", 1)


@pytest.mark.usefixtures("loggers")
def test_log_book_takes_over_and_gives_back(capsys: pytest.CaptureFixture[str]) -> None:
    """While a bridge runs its log book has the lines; before and after they go to standard error, each once."""
    set_up_logging("INFO")
    logger, book = logging.getLogger("tinybms_bridge.x"), Lines()
    logger.info("before")
    with logging_through(book):
        logger.info("during")
    logger.info("after")
    err = capsys.readouterr().err
    assert ("before" in err, "during" in err, "after" in err) == (True, False, True)
    assert book.lines == ["during"]


@pytest.mark.usefixtures("loggers")
def test_other_handlers_stay(capsys: pytest.CaptureFixture[str]) -> None:
    """The live view shows the last lines whatever else happens to them; an error gives back, too."""
    view = Lines()
    set_up_logging("INFO", view)
    with suppress(LinkError), logging_through(Lines()):
        logging.getLogger("tinybms_bridge.x").info("during")
        raise LinkError("gone")
    assert len(view.lines) == 1
    assert view in logging.getLogger().handlers
    assert not any(handler is not view and isinstance(handler, Lines) for handler in logging.getLogger().handlers)
    assert capsys.readouterr().err == ""
