"""The error of the codec."""

from tinybms_bridge.errors import LinkError

__all__ = ["FrameError"]


class FrameError(LinkError):
    """Bytes that are not the frame they should be: wrong start, length, shape, value or checksum."""

    def __init__(
        self,
        reason: str,
        frame: bytes,
        *,
        expected_crc: int | None = None,
        received_crc: int | None = None,
    ) -> None:
        super().__init__(reason)
        self.frame = frame
        """The bytes in question."""
        self.expected_crc = expected_crc
        """CRC computed over the bytes, or None when the CRC is not the problem."""
        self.received_crc = received_crc
        """CRC found in the bytes, or None when the CRC is not the problem."""

    def __str__(self) -> str:
        text = f"{self.reason}: {self.frame.hex(' ').upper() or 'no bytes'}"
        if self.expected_crc is None or self.received_crc is None:
            return text
        return f"{text} (CRC computed 0x{self.expected_crc:04X}, received 0x{self.received_crc:04X})"
