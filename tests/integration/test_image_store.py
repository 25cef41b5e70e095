"""The image store on real files of every kind that people send."""

from __future__ import annotations

import functools
import hashlib
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from damageloop.adapters.images import FsspecImageStore
from damageloop.adapters.photos.decoding import ImageLimits, decode_rgb
from damageloop.adapters.photos.quality import measure_quality
from damageloop.domain.image import StoredImage, store_key
from damageloop.errors import ConflictError, InvalidImageError, InvalidInputError, NotFoundError

LIMITS = ImageLimits(max_file_bytes=500_000, max_pixels=1_000_000, min_side_px=32)
SECRET = b"N 48.1374 E 11.5755"

# How a camera that is held in another way stores the upright picture: what orientation 1 to 8 undoes.
TURNED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


def photo(width: int = 96, height: int = 64) -> np.ndarray:
    """Return a smooth picture whose four corners differ, so that every turn shows."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = 255.0 * x / width, 255.0 * y / height
    return np.stack([red, green, (red + 2 * green) % 160], axis=2).astype(np.uint8)


def encoded(image: Image.Image | np.ndarray, image_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, image_format, **options)
    return buffer.getvalue()


def exif_with(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = SECRET.decode()
    return exif.tobytes()


def png_with_header(width: int, height: int, padding: int = 0) -> bytes:
    """Return a PNG that declares a size and holds almost no data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 100)) + b"".join([chunk(b"teXt", b"x" * padding)] if padding else [])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FsspecImageStore:
    """Return a store on a folder and on an fsspec file system that is not local."""
    root = tmp_path / "store"
    return FsspecImageStore(root if request.param == "local" else f"memory:/{root}", LIMITS)


def key_of(stored: StoredImage) -> str:
    return store_key(stored.sha256, stored.extension)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_every_orientation_is_turned_upright(store: FsspecImageStore, orientation: int, image_format: str) -> None:
    turned = np.ascontiguousarray(TURNED[orientation](photo()))
    content = encoded(turned, image_format, exif=exif_with(orientation), quality=95)
    stored = store.put(content, "photo")
    pixels = store.load(key_of(stored))
    assert stored.size_wh == (96, 64)
    assert pixels.shape == (64, 96, 3)
    assert np.abs(pixels.astype(int) - photo()).mean() < 8  # a wrong turn is off by 40 and more
    assert decode_rgb(content, LIMITS).shape == pixels.shape


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_no_metadata_is_stored(store: FsspecImageStore, orientation: int, image_format: str) -> None:
    content = encoded(photo(), image_format, exif=exif_with(orientation), icc_profile=b"profile of " + SECRET)
    assert SECRET in content or image_format == "PNG"  # PNG compresses its profile
    stored_bytes = store.read(key_of(store.put(content, "photo")))
    image = Image.open(io.BytesIO(stored_bytes))
    assert SECRET not in stored_bytes
    assert not image.getexif()
    assert not image.info.get("icc_profile")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0, "restart_marker_rows": 1}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_an_upright_jpeg_keeps_its_pixels_to_the_bit(
    store: FsspecImageStore, options: dict[str, object], mode: str
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (70, 90, 3)).astype(np.uint8)
    image = Image.fromarray(noise).convert(mode)
    content = encoded(image, "JPEG", exif=exif_with(1), comment=SECRET, **options)
    stored = store.put(content + b"trailing " + SECRET, "photo.jpg")
    stored_bytes = store.read(key_of(stored))
    assert SECRET not in stored_bytes
    assert len(stored_bytes) < len(content)
    before, after = (np.asarray(Image.open(io.BytesIO(data))) for data in (content, stored_bytes))
    assert np.array_equal(before, after)


def test_a_phone_s_jpeg_with_a_second_picture_keeps_the_first_alone(store: FsspecImageStore) -> None:
    second = Image.fromarray(255 - photo())
    content = encoded(photo(), "MPO", save_all=True, append_images=[second], quality=95)
    stored = store.put(content, "photo.jpg")
    stored_bytes = store.read(key_of(stored))
    assert stored.extension == "jpg"
    assert Image.open(io.BytesIO(stored_bytes)).format == "JPEG"
    assert len(stored_bytes) < len(content) * 0.6
    assert np.abs(store.load(key_of(stored)).astype(int) - photo()).mean() < 4


def test_storing_twice_gives_the_same_name(store: FsspecImageStore) -> None:
    for image_format in ("JPEG", "PNG", "WEBP"):
        content = encoded(photo(), image_format, exif=exif_with(6))
        first, second = store.put(content, "a"), store.put(content, "b")
        assert first == second
        assert first.source_sha256 == hashlib.sha256(content).hexdigest()
        assert first.sha256 == hashlib.sha256(store.read(key_of(first))).hexdigest()
        assert first.n_bytes == len(store.read(key_of(first)))


def test_cmyk_becomes_rgb(store: FsspecImageStore) -> None:
    stored = store.put(encoded(Image.fromarray(photo()).convert("CMYK"), "JPEG", quality=95), "print.jpg")
    assert Image.open(io.BytesIO(store.read(key_of(stored)))).mode == "RGB"
    assert np.abs(store.load(key_of(stored)).astype(int) - photo()).mean() < 4


def test_sixteen_bit_gray_is_scaled_and_not_clipped(store: FsspecImageStore) -> None:
    levels = np.tile(np.arange(64, dtype=np.uint16) * 1028, (40, 1))  # 4, in eight bits, a column
    stored = store.put(encoded(Image.fromarray(levels), "PNG"), "deep.png")
    pixels = store.load(key_of(stored))
    assert pixels[0, :, 0].tolist() == [4 * column for column in range(64)]
    assert stored.quality.brightness == pytest.approx(126.0)


def test_a_palette_with_transparency_becomes_rgb_on_white(store: FsspecImageStore) -> None:
    image = Image.new("P", (40, 40), 0)
    image.putpalette([0, 0, 0, 200, 10, 10])
    image.paste(1, (0, 0, 20, 40))
    stored = store.put(encoded(image, "PNG", transparency=0), "logo.png")
    pixels = store.load(key_of(stored))
    assert pixels[5, 5].tolist() == [200, 10, 10]
    assert pixels[5, 35].tolist() == [255, 255, 255]


def test_half_transparent_pixels_are_mixed_with_white() -> None:
    content = encoded(Image.new("RGBA", (40, 40), (0, 0, 0, 128)), "PNG")
    assert decode_rgb(content, LIMITS)[0, 0].tolist() == [127, 127, 127]


@functools.cache
def refused() -> dict[str, tuple[str, bytes]]:
    """Return files that must be refused: name to code and content."""
    noise = np.random.default_rng(1).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    frames = [Image.fromarray(photo()), Image.fromarray(255 - photo())]
    animated = {"save_all": True, "append_images": frames[1:], "duration": 100}
    jpeg, png, webp = (encoded(noise, kind) for kind in ("JPEG", "PNG", "WEBP"))
    return {
        "empty": ("empty", b""),
        "text": ("not_an_image", b"Dear Sir or Madam, please find attached"),
        "gif": ("unsupported_format", encoded(photo(), "GIF")),
        "bmp": ("unsupported_format", encoded(photo(), "BMP")),
        "tiff": ("unsupported_format", encoded(photo(), "TIFF")),
        "heic": ("unsupported_format", b"\0\0\0\x18ftypheic" + bytes(64)),
        "animated webp": ("unsupported_format", encoded(frames[0], "WEBP", **animated)),
        "animated png": ("unsupported_format", encoded(frames[0], "PNG", **animated)),
        "cut jpeg": ("truncated", jpeg[: len(jpeg) // 2]),
        "cut progressive jpeg": ("truncated", encoded(noise, "JPEG", progressive=True)[:9000]),
        "cut png": ("truncated", png[: len(png) // 2]),
        "cut webp": ("truncated", webp[: len(webp) // 2]),
        "jpeg without data": ("truncated", jpeg[:20]),
        "png without data": ("truncated", png[:20]),
        "webp without data": ("truncated", webp[:14]),
        "too many bytes": ("too_large", encoded(photo(), "JPEG") + bytes(500_000)),
        "too many pixels": ("too_many_pixels", png_with_header(2000, 1000, padding=20_000)),
        "bomb": ("decompression_bomb", png_with_header(9000, 9000)),
        "bomb beyond Pillow's own limit": ("decompression_bomb", png_with_header(60_000, 60_000)),
        "too small": ("too_small", encoded(photo(31, 400), "PNG")),
    }


@pytest.mark.parametrize("name", refused())
def test_unusable_files_are_refused_with_a_code_and_a_sentence(store: FsspecImageStore, name: str) -> None:
    code, content = refused()[name]
    for action in (lambda: store.put(content, name), lambda: decode_rgb(content, LIMITS)):
        with pytest.raises(InvalidImageError) as caught:
            action()
        assert caught.value.code == code
        assert str(caught.value).endswith(".")
        assert ": " in str(caught.value)


def test_a_huge_declared_size_is_refused_before_memory_is_taken() -> None:
    import tracemalloc

    tracemalloc.start()
    with pytest.raises(InvalidImageError):
        decode_rgb(png_with_header(13_000, 13_000), LIMITS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of broken EXIF and goes on
def test_random_damage_never_raises_anything_but_an_image_error(store: FsspecImageStore) -> None:
    rng = np.random.default_rng(2)
    sources = [encoded(photo(), kind, exif=exif_with(6)) for kind in ("JPEG", "PNG", "WEBP")]
    for _ in range(300):
        content = bytearray(sources[rng.integers(3)])
        for place in rng.integers(0, len(content), rng.integers(1, 12)):
            content[place] = rng.integers(256)
        try:
            store.put(bytes(content[: rng.integers(1, len(content) + 1)]), "damaged")
        except InvalidImageError:
            continue


def test_linking_gives_the_same_bytes_and_replaces_what_was_there(store: FsspecImageStore, tmp_path: Path) -> None:
    key = key_of(store.put(encoded(photo(), "JPEG"), "photo.jpg"))
    target = tmp_path / "deep" / "down" / "a.jpg"
    for _ in range(2):
        store.link(key, target)
        assert target.read_bytes() == store.read(key)


def test_a_local_store_links_instead_of_copying(tmp_path: Path) -> None:
    store = FsspecImageStore(tmp_path / "store", LIMITS)
    key = key_of(store.put(encoded(photo(), "JPEG"), "photo.jpg"))
    store.link(key, tmp_path / "a.jpg")
    assert (tmp_path / "store" / key).samefile(tmp_path / "a.jpg")


def test_damaged_bytes_are_found_and_mended_by_the_next_put(tmp_path: Path) -> None:
    store = FsspecImageStore(tmp_path / "store", LIMITS)
    content = encoded(photo(), "JPEG")
    stored = store.put(content, "photo.jpg")
    key = key_of(stored)
    assert store.verify(key, stored.sha256)
    path = tmp_path / "store" / key
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-10])
    assert not store.verify(key, stored.sha256)
    with pytest.raises(ConflictError, match="damaged"):
        store.link(key, tmp_path / "a.jpg")
    store.put(content, "photo.jpg")
    assert store.verify(key, stored.sha256)


def test_what_is_not_there_is_told(store: FsspecImageStore) -> None:
    key = store_key("0" * 64, "jpg")
    with pytest.raises(NotFoundError):
        store.read(key)
    assert not store.verify(key, "0" * 64)


@pytest.mark.parametrize("key", ["../secrets/admin-api-key", "sha256/00/x.jpg", "/etc/passwd", ""])
def test_keys_that_leave_the_store_are_refused(store: FsspecImageStore, key: str) -> None:
    with pytest.raises(InvalidInputError):
        store.read(key)


def test_quality_numbers_of_a_known_picture() -> None:
    half_black = np.zeros((100, 100, 3), dtype=np.uint8)
    half_black[:, 50:] = 200
    quality = measure_quality(half_black)
    assert quality.brightness == pytest.approx(100.0)
    assert quality.contrast == pytest.approx(100.0)
    flat = measure_quality(np.full((100, 100, 3), 128, dtype=np.uint8))
    assert (flat.contrast, flat.sharpness) == (0.0, 0.0)


def test_blur_lowers_sharpness_and_the_resolution_hardly_changes_it() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    sharp = np.asarray(Image.fromarray(noise).resize((512, 512), Image.Resampling.NEAREST))
    large = np.asarray(Image.fromarray(noise).resize((1024, 1024), Image.Resampling.NEAREST))
    blurred = np.asarray(Image.fromarray(noise).resize((512, 512), Image.Resampling.BICUBIC))
    assert measure_quality(blurred).sharpness < 0.5 * measure_quality(sharp).sharpness
    assert measure_quality(large).sharpness == pytest.approx(measure_quality(sharp).sharpness, rel=0.01)


def test_the_perceptual_hash_follows_the_picture_and_not_its_bytes(store: FsspecImageStore) -> None:
    def bits_apart(first: str, second: str) -> int:
        return (int(first, 16) ^ int(second, 16)).bit_count()

    original = store.put(encoded(photo(192, 128), "JPEG", quality=95), "a.jpg").perceptual_hash
    smaller = store.put(encoded(photo(96, 64), "WEBP", quality=60), "b.webp").perceptual_hash
    other = store.put(encoded(np.ascontiguousarray(photo()[::-1, ::-1]), "JPEG"), "c.jpg").perceptual_hash
    assert len(original) == 16
    assert bits_apart(original, smaller) <= 6 < bits_apart(original, other)
