"""Parts of a form, whichever way the body is cut into chunks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from api.limits import BodyLimit, BodyTooLargeError
from api.multipart import FormReader, MalformedFormError, Part, TooManyFilesError
from api.uploads import Upload, read_photos, stream_photos
from damageloop.errors import InvalidInputError

FORM = "multipart/form-data; boundary=line"


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    named = f'; filename="{filename}"' if filename is not None else ""
    header = f'--line\r\nContent-Disposition: form-data; name="{name}"{named}\r\nContent-Type: x/y\r\n\r\n'
    return header.encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--line--\r\n"


def chunks(body: bytes, size: int) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


def parts_of(body: bytes, size: int = 1000, max_files: int = 9, max_file_bytes: int = 10**6) -> list[Part]:
    reader = FormReader(FORM, max_files, 2, max_file_bytes)
    found = [each for chunk in chunks(body, size) for each in reader.feed(chunk)]
    reader.finish()
    return found


def request_of(body: bytes, size: int = 100, content_type: str = FORM) -> Request:
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks(body, size)]
    waiting = iter([*messages, {"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Message:
        return next(waiting)

    return Request({"type": "http", "headers": [(b"content-type", content_type.encode())]}, receive)


def read(body: bytes, max_images: int = 3) -> Upload:
    return asyncio.run(read_photos(request_of(body), max_images, ["currency"]))


@given(contents=st.lists(st.binary(max_size=300), max_size=4), size=st.integers(1, 400))
def test_contents_come_back_whichever_way_the_body_is_cut(contents: list[bytes], size: int) -> None:
    # A content with the boundary in it is no content: clients choose another boundary then.
    contents = [content.replace(b"--line", b"") for content in contents]
    body = form(*(part("images", content, f"{n}.jpg") for n, content in enumerate(contents)))
    if contents:
        found = parts_of(body, size)
        assert [each.content for each in found] == contents
        assert [each.filename for each in found] == [f"{n}.jpg" for n in range(len(contents))]


def test_photos_and_text_fields_are_told_apart() -> None:
    photo = part("images", b"\xff\xd8", "left\x00.jpg")
    upload = read(form(photo, part("vehicle_id", b"WVW 123"), part("currency", b"EUR")))
    assert upload == Upload([("left_.jpg", b"\xff\xd8")], "WVW 123", {"currency": "EUR"})


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (form(part("photos", b"x", "a")), "'photos' is unknown"),
        (form(part("images", b"x")), "must be a file"),
        (form(part("vehicle_id", b"x", "a")), "one text field"),
        (form(part("currency", b"x"), part("currency", b"x")), "one text field"),
        (form(part("vehicle_id", b"1")), "has 0"),
        (form(*[part("images", b"x", "a")] * 4), "has more"),
        (form(part("images", b"x", "a"))[:-6], "ends before its last boundary"),
        (form(part("images", b"x", "a"))[6:], "malformed"),
        (b"--line\r\nContent-Disposition: form-data\r\n\r\nx\r\n--line--\r\n", '"name" must be provided'),
        (form(part("vehicle_id", bytes(1_100_000))), "exceeded maximum size"),
    ],
)
def test_what_is_not_as_agreed_is_refused_in_a_sentence(body: bytes, sentence: str) -> None:
    with pytest.raises(InvalidInputError, match=sentence):
        read(body)


def test_numbers_of_parts_and_headers_are_bounded() -> None:
    with pytest.raises(TooManyFilesError):
        parts_of(form(*[part("images", b"", "a")] * 10))
    with pytest.raises(MalformedFormError, match="Too many fields"):
        parts_of(form(*[part("a", b"")] * 3))
    many = b"--line\r\n" + b"X: y\r\n" * 50 + b'Content-Disposition: form-data; name="a"\r\n\r\n\r\n--line--\r\n'
    for body in (many, b"--line\r\nX: " + b"y" * 10_000):
        with pytest.raises(MalformedFormError):
            parts_of(body)


def test_of_a_file_beyond_the_limit_one_byte_more_is_kept() -> None:
    found = parts_of(form(part("images", bytes(50), "a"), part("images", bytes(10), "b")), max_file_bytes=10)
    assert [len(each.content) for each in found] == [11, 10]


def test_photos_of_a_stream_come_before_the_body_has_ended() -> None:
    first = part("images", b"1", "a") + part("images", b"2", "b")

    async def begin() -> list[tuple[str, bytes]]:
        # Ends early, so that whoever waits for the whole body would see an error and no photo.
        stream = stream_photos(request_of(first + b"--line\r\n"), 9, 10**6)
        return [await anext(stream), await anext(stream)]

    assert asyncio.run(begin()) == [("a", b"1"), ("b", b"2")]


@pytest.mark.parametrize(
    ("body", "max_images", "max_bytes", "error"),
    [
        (form(part("images", b"x", "a")), 9, 20, BodyTooLargeError),
        (form(*[part("images", b"x", "a")] * 3), 2, 10**6, InvalidInputError),
        (form(part("vehicle_id", b"x")), 9, 10**6, InvalidInputError),
        (form(), 9, 10**6, InvalidInputError),
    ],
)
def test_a_stream_keeps_its_limits(body: bytes, max_images: int, max_bytes: int, error: type[Exception]) -> None:
    async def whole() -> list[tuple[str, bytes]]:
        return [photo async for photo in stream_photos(request_of(body), max_images, max_bytes)]

    with pytest.raises(error):
        asyncio.run(whole())


# --- limits on requests ---------------------------------------------------------------------------------------------


def status_of(headers: list[tuple[bytes, bytes]], grace_s: float = 30.0, is_endless: bool = False) -> int:
    """Return what a request is answered whose application reads the body; an endless one never sends it."""
    sent: list[Message] = []

    async def application(scope: object, receive: object, send: object) -> None:
        while (await receive())["more_body"]:  # type: ignore[operator]
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]

    async def receive() -> Message:
        if is_endless:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    limit = BodyLimit(application, 1000, 1000, grace_s)
    asyncio.run(limit({"type": "http", "path": "/v1/predictions", "headers": headers}, receive, send))
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"a", b"b")] * 100, 200),
        ([(b"a", b"b")] * 101, 431),
        ([(b"a", b"b" * 32_000)], 431),
        ([(b"content-length", b"1000")], 200),
        ([(b"content-length", b"1001")], 413),
    ],
)
def test_headers_alone_may_refuse_a_request(headers: list[tuple[bytes, bytes]], status: int) -> None:
    assert status_of(headers) == status


def test_a_body_that_does_not_come_is_not_waited_for_for_ever() -> None:
    assert status_of([], grace_s=0.0, is_endless=True) == 408
