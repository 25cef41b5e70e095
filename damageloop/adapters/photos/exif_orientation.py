"""One number out of an EXIF block: how the camera was held. Nothing else of it is read."""

from __future__ import annotations

import struct

_TAG, _SHORT = 0x0112, 3
_ENTRY_BYTES = 12


def read_orientation(tiff: bytes) -> int | None:
    """Return the orientation as it is stored, 0 when there is none, None when the block is odd.

    Args:
        tiff: What follows `Exif` and two zero bytes in a JPEG.
    """
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return None
    (first,) = struct.unpack_from(f"{order}I", tiff, 4)
    if first < 8 or first + 2 > len(tiff):
        return None
    (n_entries,) = struct.unpack_from(f"{order}H", tiff, first)
    if first + 2 + n_entries * _ENTRY_BYTES > len(tiff):
        return None
    entry = struct.Struct(f"{order}HHIHxx")
    found = [
        rest for tag, *rest in entry.iter_unpack(tiff[first + 2 : first + 2 + n_entries * _ENTRY_BYTES]) if tag == _TAG
    ]
    if not found:
        return 0
    kind, count, value = found[0]
    return int(value) if len(found) == 1 and kind == _SHORT and count == 1 else None
