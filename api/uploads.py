"""Reads photos out of a multipart body by hand, once the key was checked. Parts that are unknown are refused."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from damageloop.errors import InvalidInputError

PHOTOS = "images"
VEHICLE_ID = "vehicle_id"
MAX_NAME_LENGTH = 255
# More than are known, so that the sentence about an unknown part is ours.
MAX_FIELDS = 8


@dataclass(frozen=True, slots=True)
class Upload:
    """What a request for a prediction holds: (filename, content) of each photo."""

    photos: list[tuple[str, bytes]]
    vehicle_id: str | None


async def read_photos(request: Request, max_images: int) -> Upload:
    """Return the photos of a request.

    Raises:
        InvalidInputError: If the body is no multipart form, a part is unknown, or the number of photos is not allowed.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise InvalidInputError(f"Send multipart/form-data with 1 to {max_images} parts named {PHOTOS!r}.")
    try:
        # One more than allowed, so that the sentence about too many is ours.
        form = await request.form(max_files=max_images + 1, max_fields=MAX_FIELDS)
    except HTTPException as exc:
        raise InvalidInputError(_too_many_or(str(exc.detail), max_images)) from exc
    except (ValueError, LookupError) as exc:
        raise InvalidInputError("The multipart body is malformed.") from exc
    try:
        return await _upload(form, max_images)
    finally:
        await form.close()


async def _upload(form: FormData, max_images: int) -> Upload:
    photos: list[tuple[str, bytes]] = []
    vehicle_id: str | None = None
    for name, part in form.multi_items():
        if name == PHOTOS and isinstance(part, UploadFile):
            photos.append((_printable(part.filename or ""), await part.read()))
        elif name == VEHICLE_ID and isinstance(part, str) and vehicle_id is None:
            vehicle_id = _vehicle_id(part)
        else:
            raise InvalidInputError(_misfit(name))
    if not 1 <= len(photos) <= max_images:
        raise InvalidInputError(f"Send 1 to {max_images} parts named {PHOTOS!r}; this request has {len(photos)}.")
    return Upload(photos, vehicle_id)


def _misfit(name: str) -> str:
    if name == PHOTOS:
        return f"A part named {PHOTOS!r} must be a file with a filename."
    if name == VEHICLE_ID:
        return f"{VEHICLE_ID!r} must be one text field."
    return f"A part named {_printable(name)!r} is unknown; photos are parts named {PHOTOS!r}."


def _vehicle_id(text: str) -> str:
    if len(text) > MAX_NAME_LENGTH or not text.isprintable():
        raise InvalidInputError(f"{VEHICLE_ID!r} takes up to {MAX_NAME_LENGTH} printable characters.")
    return text


def _printable(text: str) -> str:
    """Return a name as the client gave it, but for characters that would harm a log or a page."""
    return "".join(c if c.isprintable() else "_" for c in text)[:MAX_NAME_LENGTH]


def _too_many_or(detail: str, max_images: int) -> str:
    if detail.startswith("Too many files"):
        return f"Send 1 to {max_images} parts named {PHOTOS!r}; this request has more."
    return f"The multipart body is malformed: {detail}"
