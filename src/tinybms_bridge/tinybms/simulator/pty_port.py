"""A pseudo-terminal that stands for a serial port, with a stable name beside it."""

import os
import pty
import re
import termios
import tty
from pathlib import Path

__all__ = ["PtyPort", "known_speeds"]

_SPEED_FIELDS = (4, 5)
"""Places of input and output speed in the list of ``termios.tcgetattr``."""


def known_speeds() -> dict[int, int]:
    """Return the constant of this system for each speed in baud."""
    names = (name for name in dir(termios) if re.fullmatch(r"B[1-9]\d*", name))
    return {int(name[1:]): getattr(termios, name) for name in names}


class PtyPort:
    """An open pseudo-terminal in raw mode: the device's end of a port that clients open by ``path``.

    The clients' end stays open here too, so that one client may go and another come without a hang-up. Opening and
    unlinking touch the file system: do both off the event loop.

    Args:
        baudrate: speed of the device, set on the clients' end as well; a client may then set another.
        link: symbolic link to the port, put in place atomically.

    Raises:
        ValueError: a speed that this system does not know.
        OSError: the system refuses a pseudo-terminal, or something that is no link stands where the link should be.

    """

    def __init__(self, baudrate: int, link: Path | None = None) -> None:
        speeds = known_speeds()
        if baudrate not in speeds:
            raise ValueError(f"{baudrate} baud is not a speed of this system")
        self._speed = speeds[baudrate]
        self._link = link
        self.master, self._slave = pty.openpty()
        self.path = os.ttyname(self._slave)
        """Device file for the client."""
        try:
            self._configure()
            if link is not None:
                _point(link, self.path)
        except OSError:
            self.hang_up()
            self.unlink()
            raise

    @property
    def speed_matches(self) -> bool:
        """Whether the client has left the line at the speed of the device."""
        attributes = termios.tcgetattr(self._slave)
        return all(attributes[field] == self._speed for field in _SPEED_FIELDS)

    def hang_up(self) -> None:
        """Close the port: a client reads end of file or an error from now on. May be called again; never blocks.

        The number of the terminal stays taken until ``unlink``: whoever opens the path again finds nobody, and not
        the next terminal that the system opens.
        """
        descriptor, self.master = self.master, -1
        if descriptor >= 0:
            os.close(descriptor)

    def unlink(self) -> None:
        """Remove the link if it still leads here, and give the terminal back. May be called again."""
        link, self._link = self._link, None
        if link is not None and link.is_symlink() and str(link.readlink()) == self.path:
            link.unlink()
        descriptor, self._slave = self._slave, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _configure(self) -> None:
        tty.setraw(self._slave, termios.TCSANOW)
        attributes = termios.tcgetattr(self._slave)
        for field in _SPEED_FIELDS:
            attributes[field] = self._speed
        termios.tcsetattr(self._slave, termios.TCSANOW, attributes)
        os.set_blocking(self.master, False)


def _point(link: Path, target: str) -> None:
    if link.exists() and not link.is_symlink():
        raise FileExistsError(f"{link} exists and is not a symbolic link")
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        temporary.symlink_to(target)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(link)) from error
    temporary.replace(link)
