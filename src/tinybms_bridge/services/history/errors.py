"""What can go wrong with the history."""

from tinybms_bridge.errors import BridgeError

__all__ = ["HistoryError", "NewerHistoryError"]


class HistoryError(BridgeError):
    """The history cannot be written or read now; trying again later may help."""

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"history in {self.path}: {self.reason}"


class NewerHistoryError(HistoryError):
    """The file was made by a later version of the program; it is left alone."""
