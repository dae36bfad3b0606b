"""The core's Unix socket."""

import errno
import gc
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tinybms_bridge.errors import LinkError
from tinybms_bridge.link.sockets import address_of, listen, peer_of

_LISTENS = """
import os, sys
from pathlib import Path
from tinybms_bridge.link.sockets import listen
listening = listen(Path(sys.argv[1]))
print("listening", flush=True)
if sys.argv[2] == "die":
    os._exit(1)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the socket is to be."""
    return tmp_path / "core.sock"


def other(path: Path, what: str) -> subprocess.Popen[str]:
    """Return another process that listens at the socket."""
    arguments = [sys.executable, "-c", _LISTENS, str(path), what]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "listening\n"
    return process


def connected(path: Path) -> bool:
    """Return whether somebody can connect."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        return True


def test_socket_is_for_user_and_group_only(path: Path) -> None:
    """Who may open it may do what an administrator may."""
    listening = listen(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert connected(path)
    listening.close()


def test_socket_of_a_process_that_was_killed_is_replaced(path: Path) -> None:
    """It leaves its file behind; a start after it needs no hand."""
    with other(path, "die") as process:
        process.wait(60)
    assert path.is_socket()

    listening = listen(path)

    assert connected(path)
    listening.close()


def test_socket_of_a_process_that_runs_is_left_to_it(path: Path) -> None:
    """The error says who has it."""
    with other(path, "stay") as process:
        with pytest.raises(LinkError) as caught:
            listen(path)
        assert connected(path)
        process.communicate("", 60)

    assert f"process {process.pid} ({sys.executable} -c" in caught.value.reason
    assert caught.value.reason.endswith(f"listens at {path}: another bridge runs there")
    assert caught.value.hint == "end it, or name another socket with --socket"


def test_path_may_be_longer_than_the_kernel_takes(tmp_path: Path) -> None:
    """A state directory of a long path costs nobody the bridge, nor what watches it."""
    path = tmp_path / ("d" * 100) / ("e" * 100) / "core.sock"
    path.parent.mkdir(parents=True)
    gc.collect()  # what other tests have left is closed before, not meanwhile
    open_before = len(os.listdir("/proc/self/fd"))

    with other(path, "stay") as process:
        with address_of(path) as address:
            assert connected(Path(address))
        with pytest.raises(LinkError, match="another bridge runs there"):
            listen(path)
        process.communicate("", 60)
    listening = listen(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    listening.close()
    assert not path.exists()
    assert len(os.listdir("/proc/self/fd")) == open_before


@pytest.mark.parametrize("folder", ["d", "d" * 200])
def test_directory_that_is_not_there_is_told(tmp_path: Path, folder: str) -> None:
    """Whatever its length, with what to do."""
    with pytest.raises(LinkError) as caught:
        listen(tmp_path / folder / "core.sock")

    assert caught.value.reason.endswith("No such file or directory")
    assert caught.value.hint == f"make the directory {tmp_path / folder}, or name another socket with --socket"


def test_file_that_is_no_socket_is_left_alone(path: Path) -> None:
    """Somebody named the wrong path."""
    path.write_text("letters of a life")

    with pytest.raises(LinkError, match="is there and no socket, so it is left alone"):
        listen(path)

    assert path.read_text() == "letters of a life"


def test_missing_directory_is_named(tmp_path: Path) -> None:
    """The state directory is made by who owns it, a runtime directory by the service manager."""
    with pytest.raises(LinkError) as caught:
        listen(tmp_path / "nowhere" / "core.sock")

    assert caught.value.reason == f"no socket can be made at {tmp_path}/nowhere/core.sock: No such file or directory"
    assert caught.value.hint == f"make the directory {tmp_path}/nowhere, or name another socket with --socket"


def test_closing_takes_the_file_away(path: Path) -> None:
    """So that a client knows at once that nobody is there; twice is fine."""
    listening = listen(path)

    listening.close()
    listening.close()

    assert not path.exists()


def test_closing_leaves_the_socket_of_a_successor(path: Path) -> None:
    """A slow end must not take away what the next one has made."""
    first = listen(path)
    path.unlink()
    second = listen(path)

    first.close()

    assert connected(path)
    second.close()


def test_other_end_is_named_by_the_kernel(path: Path) -> None:
    """Nobody can say that he is another."""
    listening = listen(path)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        listening.socket.setblocking(True)
        connection, _ = listening.socket.accept()
        with connection:
            assert peer_of(connection).pid == os.getpid()
            assert peer_of(connection).uid == os.getuid()
            assert str(peer_of(connection)) == f"process {os.getpid()}"
    listening.close()


def test_end_that_is_not_told_is_another_process() -> None:
    """A socket of another kind has no other end that the kernel knows."""
    with socket.socket(socket.AF_UNIX) as alone:
        alone.close()
        assert str(peer_of(alone)) == "another process"


@pytest.mark.parametrize(
    ("number", "told"),
    [(errno.EACCES, "belongs to another user"), (errno.ETIMEDOUT, "another process listens at")],
)
def test_socket_that_cannot_be_asked_is_left_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: str
) -> None:
    """Of another user, or of somebody too busy to answer: nobody's socket is removed on a guess."""
    listening = listen(path)

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(LinkError, match=told):
        listen(path)
    assert path.is_socket()
    listening.close()
