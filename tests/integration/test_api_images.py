"""Routes about one image: thumbnails of stored bytes, and neighbours."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from damageloop.adapters.photos.thumbnail import shrink
from damageloop.domain.image import Origin
from damageloop.domain.key import Scope
from damageloop.domain.split import Split
from damageloop.errors import ConflictError
from tests.integration.api_world import ApiWorld, make_photo
from tests.integration.test_api import check_problem


def add_image(world: ApiWorld, content: bytes, number: int = 1, split: Split = Split.TRAIN) -> int:
    examined = world.images.examine(content)
    world.images.keep(examined)
    with world.units() as work:
        added = work.images.add(examined.stored, f"{number}.jpg", f"car{number}", split, Origin.IMPORT)
        work.commit()
    return added.id


def opened(response: Any) -> Image.Image:
    assert response.headers["content-type"] == "image/jpeg"
    image = Image.open(io.BytesIO(response.content))
    assert image.format == "JPEG"
    return image


def test_a_thumbnail_fits_its_square_and_keeps_the_shape(world: ApiWorld) -> None:
    image_id = add_image(world, make_photo((640, 480)))
    client = world.client(Scope.REVIEW)
    assert opened(client.get(f"/v1/images/{image_id}/thumbnail")).size == (256, 192)
    assert opened(client.get(f"/v1/images/{image_id}/thumbnail?size=64")).size == (64, 48)
    for size in (8, 513, "large"):
        check_problem(client.get(f"/v1/images/{image_id}/thumbnail?size={size}"), 422, "invalid_input")


def test_a_small_image_is_not_enlarged_whatever_its_format(world: ApiWorld) -> None:
    image_id = add_image(world, make_photo((100, 80), "PNG"))
    assert opened(world.client(Scope.REVIEW).get(f"/v1/images/{image_id}/thumbnail?size=512")).size == (100, 80)


def test_a_thumbnail_that_the_client_has_is_not_sent_again(world: ApiWorld) -> None:
    image_id = add_image(world, make_photo())
    client, path = world.client(Scope.REVIEW), f"/v1/images/{image_id}/thumbnail"
    first = client.get(path)
    assert first.headers["cache-control"] == "private, max-age=3600"
    again = client.get(path, headers={"If-None-Match": f'"other", {first.headers["etag"]}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    other_size = client.get(f"{path}?size=100", headers={"If-None-Match": first.headers["etag"]})
    assert other_size.status_code == 200


def test_an_image_whose_bytes_are_gone_has_no_thumbnail(world: ApiWorld) -> None:
    image_id = add_image(world, make_photo())
    (stored,) = world.folder.glob("images/sha256/*/*.jpg")
    stored.unlink()
    client = world.client(Scope.REVIEW)
    check_problem(client.get(f"/v1/images/{image_id}/thumbnail"), 404, "not_found")
    check_problem(client.get("/v1/images/99/thumbnail"), 404, "not_found")


def test_damaged_bytes_are_a_conflict() -> None:
    for content in (b"", b"no image", make_photo()[:2000]):
        with pytest.raises(ConflictError):
            shrink(content, 64)


def test_neighbours_come_nearest_first_with_their_source(world: ApiWorld) -> None:
    world.promote()
    ids = [add_image(world, make_photo((64 + n, 64)), n, split) for n, split in enumerate(Split)]
    # About the centre (1/3, -1/6): (4, 1) and (4, 4) sixths, cosine 20 / (sqrt(17) sqrt(32)).
    rows = np.array([[1, 0], [1, 0.5], [-1, -1]], dtype=np.float32)
    world.features.append("1", ids, rows)
    client = world.client(Scope.REVIEW)
    found = client.get(f"/v1/images/{ids[0]}/similar").json()
    assert found["source"] == "1"
    assert [item["image_id"] for item in found["items"]] == [ids[1], ids[2]]
    assert found["items"][0] == {
        "image_id": ids[1],
        "similarity": pytest.approx(0.8575, abs=1e-3),
        "split": "val",
        "vehicle": "car1",
        "file_name": "1.jpg",
    }
    assert len(client.get(f"/v1/images/{ids[0]}/similar?limit=1").json()["items"]) == 1


def test_an_image_without_features_has_no_neighbours_yet(world: ApiWorld) -> None:
    image_id = add_image(world, make_photo())
    client = world.client(Scope.REVIEW)
    assert client.get(f"/v1/images/{image_id}/similar").json() == {"items": [], "source": None}
    check_problem(client.get("/v1/images/99/similar"), 404, "not_found")
    check_problem(client.get(f"/v1/images/{image_id}/similar?limit=0"), 422, "invalid_input")


def test_images_are_for_reviewers(world: ApiWorld) -> None:
    for path in ("", "/thumbnail", "/similar"):
        check_problem(world.client(Scope.PREDICT).get(f"/v1/images/1{path}"), 403, "missing_scope")
