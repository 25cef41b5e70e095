"""Parts of a multipart body as they come in, on python-multipart's parser: no temporary file, every number bounded."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

MAX_TEXT_BYTES = 1_000_000
_INVALID = "Invalid multipart data."


class MalformedFormError(ValueError):
    """The body is no multipart form as the standard says; the text says why, to a client."""


class TooManyFilesError(MalformedFormError):
    """The body holds more files than are allowed."""


@dataclass(slots=True)
class Part:
    """One part of a form. A text field has no `filename`."""

    name: str = ""
    filename: str | None = None
    content: bytes = b""
    charset: str = "utf-8"

    @property
    def text(self) -> str:
        return _decoded(self.content, self.charset)


@dataclass(slots=True)
class _OpenPart:
    """The part that is being read."""

    disposition: bytes = b""
    part: Part = field(default_factory=Part)
    pieces: list[bytes] = field(default_factory=list)
    n_bytes: int = 0


class FormReader:
    """Takes chunks of a body and gives back the parts that they complete.

    Args:
        content_type: The request's header; names the boundary.
        max_files: More parts with a filename are refused.
        max_fields: More parts without one are refused.
        max_file_bytes: Of a larger file one byte more is kept and the rest dropped, so that it can still be told.

    Raises:
        MalformedFormError: If there is no boundary.
    """

    def __init__(self, content_type: str, max_files: int, max_fields: int, max_file_bytes: int) -> None:
        _, options = parse_options_header(content_type)
        if b"boundary" not in options:
            raise MalformedFormError("Missing boundary in multipart.")
        self._left = {"files": max_files, "fields": max_fields}
        self._max_fields, self._max_file_bytes = max_fields, max_file_bytes
        self._charset = _known_charset(options.get(b"charset", b"utf-8"))
        self._open: _OpenPart | None = None
        self._header_name, self._header_value = b"", b""
        self._complete: list[Part] = []
        self._is_at_end = False
        try:
            self._parser = MultipartParser(options[b"boundary"], self._callbacks())  # type: ignore[arg-type]
        except (FormParserError, ValueError) as exc:
            raise MalformedFormError(_INVALID) from exc

    def feed(self, chunk: bytes) -> Iterator[Part]:
        """Yield the parts that this chunk completes. Raises MalformedFormError."""
        try:
            self._parser.write(chunk)
        except FormParserError as exc:
            raise MalformedFormError(_INVALID) from exc
        complete, self._complete = self._complete, []
        while complete:  # each is let go of before the next one is handed on
            yield complete.pop(0)

    def finish(self) -> None:
        """Check that the body is whole. Raises MalformedFormError."""
        if not self._is_at_end:
            raise MalformedFormError("It ends before its last boundary.")

    def _callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._on_part_begin,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_end": self._on_end,
        }

    def _on_part_begin(self) -> None:
        self._open = _OpenPart()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._open is not None and self._header_name.lower() == b"content-disposition":
            self._open.disposition = self._header_value
        self._header_name, self._header_value = b"", b""

    def _on_headers_finished(self) -> None:
        if self._open is None:
            return
        _, options = parse_options_header(self._open.disposition)
        if b"name" not in options:
            raise MalformedFormError('The Content-Disposition header field "name" must be provided.')
        filename = options.get(b"filename")
        kind = "fields" if filename is None else "files"
        self._left[kind] -= 1
        if self._left["files"] < 0:
            raise TooManyFilesError("Too many files.")
        if self._left["fields"] < 0:
            raise MalformedFormError(f"Too many fields. Maximum number of fields is {self._max_fields}.")
        self._open.part = Part(
            _decoded(options[b"name"], self._charset),
            None if filename is None else _decoded(filename, self._charset),
            charset=self._charset,
        )

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        now = self._open
        if now is None:
            return
        if now.part.filename is None and now.n_bytes + end - start > MAX_TEXT_BYTES:
            raise MalformedFormError(f"Part exceeded maximum size of {MAX_TEXT_BYTES // 1000}KB.")
        end = min(end, start + self._max_file_bytes + 1 - now.n_bytes)
        if end > start:
            now.pieces.append(data[start:end])
            now.n_bytes += end - start

    def _on_part_end(self) -> None:
        if self._open is not None:
            self._open.part.content = b"".join(self._open.pieces)
            self._complete.append(self._open.part)
        self._open = None

    def _on_end(self) -> None:
        self._is_at_end = True


def _known_charset(name: bytes) -> str:
    try:
        return codecs.lookup(name.decode("latin-1")).name
    except (LookupError, ValueError):
        return "latin-1"


def _decoded(data: bytes, charset: str) -> str:
    try:
        return data.decode(charset)
    except (UnicodeDecodeError, LookupError):
        return data.decode("latin-1")
