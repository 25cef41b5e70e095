"""What calls raise.

DamageloopError
├── ConnectionFailedError       no answer: the platform is away, or the network is
├── UnexpectedAnswerError       an answer that is not this platform's
└── ProblemError                the platform said no; `code` is for programs, `str()` for people
    ├── InvalidRequestError     422, 413, 431, 400: the request must change
    ├── NotAllowedError         401, 403: the key is missing, unknown or lacks a scope
    ├── NotFoundError           404
    ├── ConflictError           409: the present state forbids it
    └── TryLaterError           429, 503, 408: `retry_after_s` says when, where the platform does
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class DamageloopError(Exception):
    """Base of all."""


class ConnectionFailedError(DamageloopError):
    """There was no answer, whatever was tried."""


class UnexpectedAnswerError(DamageloopError):
    """What answered is not this platform, or is of another version."""


class ProblemError(DamageloopError):
    """A problem by RFC 9457.

    Attributes:
        status: HTTP status.
        code: For programs, such as `no_readable_image`.
        images: What is wrong with each file, where the problem is about files.
        retry_after_s: Seconds to wait, where the platform said so.
    """

    def __init__(self, status: int, content: Mapping[str, Any], retry_after_s: float | None = None) -> None:
        super().__init__(str(content.get("detail") or content.get("title") or f"The platform answered {status}."))
        self.status = status
        self.code = str(content.get("code") or "unknown")
        self.images: list[dict[str, Any]] = list(content.get("images") or [])
        self.retry_after_s = retry_after_s


class InvalidRequestError(ProblemError):
    """Something in the request can't be accepted."""


class NotAllowedError(ProblemError):
    """The key is missing, unknown, ended, or lacks a scope."""


class NotFoundError(ProblemError):
    """What was asked for does not exist, or no more."""


class ConflictError(ProblemError):
    """The present state forbids it."""


class TryLaterError(ProblemError):
    """The platform is busy or has no model yet."""


_BY_STATUS: dict[int, type[ProblemError]] = {
    400: InvalidRequestError,
    401: NotAllowedError,
    403: NotAllowedError,
    404: NotFoundError,
    408: TryLaterError,
    409: ConflictError,
    413: InvalidRequestError,
    415: InvalidRequestError,
    422: InvalidRequestError,
    429: TryLaterError,
    431: InvalidRequestError,
    503: TryLaterError,
}


def problem_of(status: int, content: Mapping[str, Any], retry_after_s: float | None) -> ProblemError:
    """Return the error of a problem answer."""
    return _BY_STATUS.get(status, ProblemError)(status, content, retry_after_s)
