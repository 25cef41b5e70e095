"""Pictures of the instruction lie where Label Studio serves them, and are no images of the store; a bucket has none."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from damageloop.adapters.label_studio.instructions import address_of
from damageloop.bootstrap.initialise import reconnect
from damageloop.bootstrap.labeling_page import labeling_page, put_examples
from damageloop.errors import InvalidInputError
from damageloop.settings import Settings
from tests.fakes.photos import make_params


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a picture of a dent, as `python -m samples.examples` would write one."""
    (tmp_path / "home" / "examples").mkdir(parents=True)
    Image.new("RGB", (480, 360), "grey").save(tmp_path / "home" / "examples" / "dent.jpg")
    return tmp_path / "home"


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_pictures_lie_below_the_document_root_where_their_addresses_say(
    home: Path, tmp_path: Path, scheme: str
) -> None:
    settings = Settings(home=home, image_store_url=f"{scheme}{tmp_path / 'photos'}")
    folder = put_examples(make_params(), settings)
    assert folder == tmp_path / "photos" / "examples"
    (picture,) = folder.iterdir()
    assert address_of(picture.read_bytes()).endswith(f"?d=examples/{picture.name}")
    assert f"?d=examples/{picture.name}" in labeling_page(make_params(), settings).instruction
    assert put_examples(make_params(), settings) == folder
    assert len(list(folder.iterdir())) == 1


def test_with_images_in_a_bucket_nothing_is_written_anywhere_and_no_picture_is_promised(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(home=home, image_store_url="s3://bucket/photos")
    before = sorted(tmp_path.rglob("*"))
    assert put_examples(make_params(), settings) is None
    assert "<img" not in labeling_page(make_params(), settings).instruction
    with pytest.raises(InvalidInputError, match="DAMAGELOOP_IMAGE_STORE_URL"):
        reconnect(settings)
    assert sorted(tmp_path.rglob("*")) == before
