"""Connections, and compressed messages: right for every client, made once for all, with nothing kept for one."""

import resource
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import NegotiationError, PayloadTooBig, ProtocolError
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.typing import ExtensionParameter

from tinybms_bridge.services.web.connections import Packer, SharedDeflateFactory, connection_cap

TEXT = b'{"voltage":53.12,"current":-12.5,"soc_percent":87.3,"cells":[3320,3321,3322,3323]}' * 12


def agreed(
    packer: Packer, client: ClientPerMessageDeflateFactory | None = None
) -> tuple[PerMessageDeflate, PerMessageDeflate]:
    """Return the extension of the server and that of a client, as they agree."""
    client = client or ClientPerMessageDeflateFactory()
    answer, ours = SharedDeflateFactory(packer).process_request_params(client.get_request_params(), [])
    return ours, client.process_response_params(answer, [])


def offered(*parameters: ExtensionParameter) -> PerMessageDeflate:
    """Return the extension of the server for what a client offers."""
    return SharedDeflateFactory(Packer()).process_request_params(parameters, [])[1]


@pytest.mark.parametrize("bits", [None, 9, 10, 12, 15])
def test_a_client_reads_what_is_sent(bits: int | None) -> None:
    """With any window that it asks for; message after message, of any length."""
    ours, theirs = agreed(Packer(), ClientPerMessageDeflateFactory(server_max_window_bits=bits))
    for text in (TEXT, TEXT * 40, TEXT, b"short", b""):
        sent = ours.encode(Frame(Opcode.TEXT, text))
        assert bytes(theirs.decode(sent).data) == text
        assert sent.rsv1 == (len(text) >= 256)


@given(st.lists(st.text(max_size=2000), max_size=5))
def test_any_text_comes_through(texts: list[str]) -> None:
    """Whatever its characters."""
    ours, theirs = agreed(Packer())
    for text in texts:
        assert bytes(theirs.decode(ours.encode(Frame(Opcode.TEXT, text.encode()))).data) == text.encode()


def test_a_thousand_clients_cost_one_compression() -> None:
    """The same message for all; those that follow in another moment or ask for a smaller window have their own."""
    packer = Packer()
    clients = [agreed(packer)[0] for _ in range(1000)]
    frames = [client.encode(Frame(Opcode.TEXT, bytes(TEXT))) for client in clients]
    assert packer.packed == 1
    assert all(frame.data is frames[0].data for frame in frames)
    small, _ = agreed(packer, ClientPerMessageDeflateFactory(server_max_window_bits=9))
    small.encode(Frame(Opcode.TEXT, TEXT))
    assert packer.packed == 2


def test_what_was_compressed_is_forgotten() -> None:
    """Memory does not grow with the messages."""
    packer = Packer()
    for number in range(1000):
        packer.pack(TEXT + str(number).encode(), 12)
    assert len(packer._kept) == 32


def test_nothing_is_kept_for_a_connection() -> None:
    """Neither side may need what came before: a window for each of a thousand clients would be tens of megabytes."""
    ours, theirs = agreed(Packer())
    assert not hasattr(ours, "encoder")
    assert not hasattr(ours, "decoder")
    assert ours.local_no_context_takeover
    assert theirs.local_no_context_takeover


def test_control_frames_are_not_compressed() -> None:
    """A ping is a ping."""
    ours, _ = agreed(Packer())
    frame = Frame(Opcode.PING, b"x" * 300)
    assert ours.encode(frame) is frame


def test_a_bomb_from_a_client_is_stopped() -> None:
    """A few bytes that become megabytes end the connection before they do."""
    ours, theirs = agreed(Packer())
    bomb = theirs.encode(Frame(Opcode.TEXT, b"0" * 10_000_000))
    with pytest.raises(PayloadTooBig):
        ours.decode(bomb, max_size=16_384)


@pytest.mark.parametrize("data", [b"\xff\xff\xff", zlib.compress(TEXT)])
def test_nonsense_from_a_client_is_an_error_of_its_own(data: bytes) -> None:
    """It ends that connection."""
    ours, _ = agreed(Packer())
    with pytest.raises(ProtocolError):
        ours.decode(Frame(Opcode.TEXT, data, rsv1=True), max_size=16_384)


@pytest.mark.parametrize(
    "parameter",
    [("server_max_window_bits", "8"), ("server_max_window_bits", "99"), ("server_max_window_bits", None), ("x", "y")],
)
def test_an_offer_that_cannot_be_met_is_declined(parameter: ExtensionParameter) -> None:
    """The connection goes on without compression."""
    with pytest.raises(NegotiationError):
        offered(parameter)


def test_what_browsers_offer() -> None:
    """Chrome and Firefox offer just this."""
    assert offered(("client_max_window_bits", None)).local_max_window_bits == 12


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "cap", "raised"),
    [
        (1024, 524_288, 1100, 1100, 1228),
        (1024, resource.RLIM_INFINITY, 1100, 1100, 1228),
        (1024, 1024, 1100, 896, 1024),
        (4096, 4096, 1100, 1100, None),
        (256, 1000, 50, 50, None),
        (100, 100, 50, 1, 100),
    ],
)
def test_connections_leave_files_for_uart_and_can(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, wanted: int, cap: int, raised: int | None
) -> None:
    """A thousand idle sockets must not keep the bridge from opening its port again."""
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))

    assert connection_cap(wanted) == cap
    assert limits == ([] if raised is None else [(raised, hard)])
