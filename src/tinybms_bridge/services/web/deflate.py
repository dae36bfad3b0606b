"""Compressed WebSocket messages (permessage-deflate, RFC 7692) at the cost of one compression for all clients.

Each message is compressed by itself (``server_no_context_takeover``), so the same bytes go to everybody, and neither
side keeps a window of 32 KB for each connection. Messages here repeat the same names: by itself one shrinks to a third.
"""

import zlib
from collections import OrderedDict
from collections.abc import Sequence

from websockets.extensions.base import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.typing import ExtensionParameter

__all__ = ["Packer", "SharedDeflateFactory"]

_FROM_BYTES = 256
"""A shorter message goes as it is."""
_LEVEL = 6
_WINDOW_BITS = 12
"""4 KB: hardly any message is longer. A client may ask for less."""
_MEMORY_LEVEL = 5
_KEPT = 32
"""Messages of one moment: one for each topic, and for clients that follow at another pace."""
_EMPTY_BLOCK = b"\x00\x00\xff\xff"


class Packer:
    """Compresses, and keeps what was compressed last; one for each server."""

    def __init__(self) -> None:
        self.packed = 0
        """Messages that were compressed."""
        self._kept: OrderedDict[tuple[bytes, int], bytes] = OrderedDict()

    def pack(self, data: bytes, window_bits: int) -> bytes:
        """Return the payload of a compressed message (RFC 7692, section 7.2.1)."""
        key = (data, window_bits)
        found = self._kept.get(key)
        if found is None:
            encoder = zlib.compressobj(_LEVEL, wbits=-window_bits, memLevel=_MEMORY_LEVEL)
            found = (encoder.compress(data) + encoder.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_EMPTY_BLOCK)
            self.packed += 1
            self._kept[key] = found
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found


class _SharedDeflate(PerMessageDeflate):
    def __init__(self, agreed: PerMessageDeflate, packer: Packer) -> None:
        super().__init__(
            remote_no_context_takeover=agreed.remote_no_context_takeover,
            local_no_context_takeover=agreed.local_no_context_takeover,
            remote_max_window_bits=agreed.remote_max_window_bits,
            local_max_window_bits=min(agreed.local_max_window_bits, _WINDOW_BITS),
        )
        self._packer = packer

    def encode(self, frame: Frame) -> Frame:
        """Return a frame for the wire; the server sends whole messages only."""
        if frame.opcode is not Opcode.TEXT or not frame.fin or len(frame.data) < _FROM_BYTES:
            return frame
        packed = self._packer.pack(bytes(frame.data), self.local_max_window_bits)
        return Frame(frame.opcode, packed, frame.fin, rsv1=True)


class SharedDeflateFactory(ServerPerMessageDeflateFactory):
    """Agrees with a client on compression without anything that has to be kept between messages."""

    def __init__(self, packer: Packer) -> None:
        super().__init__(server_no_context_takeover=True, client_no_context_takeover=True)
        self._packer = packer

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        """Return what is answered, and the extension. Raises NegotiationError for an offer that cannot be met."""
        answer, agreed = super().process_request_params(params, accepted_extensions)
        return answer, _SharedDeflate(agreed, self._packer)
