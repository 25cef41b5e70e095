"""The one error tree. HTTP codes, exit codes and retries are decided elsewhere, from these families.

DamageloopError
├── InvalidInputError      the caller's fault: bad file, parameter, request
│   └── InvalidImageError  a file that is no usable image, with a `code`
├── NotFoundError          the thing named does not exist
├── ConflictError          the present state forbids it
│   └── CancelledError     a person asked for the end
└── UnavailableError       an outside system failed; may be retried
    ├── NoChampionError    no model serves yet
    └── BusyError          more was asked for than can be done in time
"""

from __future__ import annotations


class DamageloopError(Exception):
    """Base of every error that the product raises on purpose. Its text is one sentence for a person.

    Attributes:
        retry_after_s: Seconds after which the same call may succeed, where that is known.
    """

    code = "error"
    retry_after_s: int | None = None


class InvalidInputError(DamageloopError):
    """The caller gave something that cannot be accepted."""

    code = "invalid_input"


class InvalidImageError(InvalidInputError):
    """A file is no image that can be used.

    Attributes:
        code: One of `empty`, `not_an_image`, `unsupported_format`, `truncated`, `too_large`,
            `too_many_pixels`, `too_small`, `decompression_bomb`, `unreadable`, `forgotten`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotFoundError(DamageloopError):
    """What was asked for does not exist."""

    code = "not_found"


class ConflictError(DamageloopError):
    """The present state forbids the request."""

    code = "conflict"


class CancelledError(ConflictError):
    """A person asked for the end of this job."""

    code = "cancelled"


class UnavailableError(DamageloopError):
    """An outside system did not do its part; the same call may succeed later."""

    code = "unavailable"


class NoChampionError(UnavailableError):
    """No model has been promoted yet, so nothing can answer."""

    code = "no_model"


class BusyError(UnavailableError):
    """More is waiting than can be answered in time."""

    code = "busy"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"There is more to do than can be done in time; try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s
