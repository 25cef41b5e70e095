"""A job context for handlers that a test runs by hand."""

from __future__ import annotations


class NoContext:
    """Implements `JobContext`: nobody listens, cancels or takes over."""

    def progress(self, share: float, message: str, detail: object = None, /) -> None:
        assert 0.0 <= share <= 1.0, message

    def is_cancelled(self) -> bool:
        return False

    def is_taken_over(self) -> bool:
        return False
