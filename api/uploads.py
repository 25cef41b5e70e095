"""Reads photos out of a multipart body, once the key was checked. Parts that are unknown are refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field

from fastapi import Request

from api.limits import BodyTooLargeError
from api.multipart import FormReader, MalformedFormError, Part, TooManyFilesError
from damageloop.errors import InvalidInputError

PHOTOS = "images"
VEHICLE_ID = "vehicle_id"
MAX_NAME_LENGTH = 255
# More than are known, so that the sentence about an unknown part is ours.
MAX_FIELDS = 8
# Of a photo that is larger so much is kept in memory, which is enough to refuse it by.
MAX_PHOTO_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class Upload:
    """What a request with photos holds: (filename, content) of each, and the text fields that its route knows."""

    photos: list[tuple[str, bytes]]
    vehicle_id: str | None
    texts: Mapping[str, str] = field(default_factory=dict)


async def read_photos(request: Request, max_images: int, texts: Collection[str] = ()) -> Upload:
    """Return the photos of a request, and the text fields of these names.

    Raises:
        InvalidInputError: If the body is no multipart form, a part is unknown, or the number of photos is not allowed.
    """
    photos: list[tuple[str, bytes]] = []
    vehicle_id: str | None = None
    found: dict[str, str] = {}
    async for part in _parts(request, max_images):
        if part.name == PHOTOS and part.filename is not None:
            photos.append((_printable(part.filename), part.content))
        elif part.name == VEHICLE_ID and part.filename is None and vehicle_id is None:
            vehicle_id = _vehicle_id(part.text)
        elif part.name in texts and part.filename is None and part.name not in found:
            found[part.name] = part.text
        else:
            raise InvalidInputError(_misfit(part.name, {VEHICLE_ID, *texts}))
    _check_number(len(photos), max_images)
    return Upload(photos, vehicle_id, found)


async def stream_photos(request: Request, max_images: int, max_bytes: int) -> AsyncIterator[tuple[str, bytes]]:
    """Yield (filename, content) of each photo of a request as soon as it is whole; one is in memory at a time.

    What was yielded stands when a later part is refused: it is for the caller to undo it.

    Args:
        max_images: As many photos may come; at least one must.
        max_bytes: As many bytes may the body have.

    Raises:
        InvalidInputError: If the body is no multipart form, or holds anything but photos.
        BodyTooLargeError: If the body has more bytes.
    """
    n_photos = 0
    async for part in _parts(request, max_images, max_bytes):
        if part.name != PHOTOS or part.filename is None:
            raise InvalidInputError(_misfit(part.name, ()))
        n_photos += 1
        yield _printable(part.filename), part.content
    _check_number(n_photos, max_images)


async def _parts(request: Request, max_images: int, max_bytes: int | None = None) -> AsyncIterator[Part]:
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        raise InvalidInputError(f"Send multipart/form-data with 1 to {max_images} parts named {PHOTOS!r}.")
    n_bytes = 0
    try:
        reader = FormReader(content_type, max_images, MAX_FIELDS, MAX_PHOTO_BYTES)
        async for chunk in request.stream():
            n_bytes += len(chunk)
            if max_bytes is not None and n_bytes > max_bytes:
                raise BodyTooLargeError(max_bytes)
            for part in reader.feed(chunk):
                yield part
        reader.finish()
    except TooManyFilesError as exc:
        raise InvalidInputError(f"Send 1 to {max_images} parts named {PHOTOS!r}; this request has more.") from exc
    except MalformedFormError as exc:
        raise InvalidInputError(f"The multipart body is malformed: {exc}") from exc


def _check_number(n_photos: int, max_images: int) -> None:
    if not 1 <= n_photos <= max_images:
        raise InvalidInputError(f"Send 1 to {max_images} parts named {PHOTOS!r}; this request has {n_photos}.")


def _misfit(name: str, known: Collection[str]) -> str:
    if name == PHOTOS:
        return f"A part named {PHOTOS!r} must be a file with a filename."
    if name in known:
        return f"{name!r} must be one text field."
    others = f", other parts {', '.join(sorted(known))}" if known else ""
    return f"A part named {_printable(name)!r} is unknown; photos are parts named {PHOTOS!r}{others}."


def _vehicle_id(text: str) -> str:
    if len(text) > MAX_NAME_LENGTH or not text.isprintable():
        raise InvalidInputError(f"{VEHICLE_ID!r} takes up to {MAX_NAME_LENGTH} printable characters.")
    return text


def _printable(text: str) -> str:
    """Return a name as the client gave it, but for characters that would harm a log or a page."""
    return "".join(c if c.isprintable() else "_" for c in text)[:MAX_NAME_LENGTH]
