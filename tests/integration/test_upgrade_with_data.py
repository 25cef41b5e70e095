"""A platform that is in use is brought to the newest revision with everything that it knows."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from sqlalchemy import text

from damageloop.adapters.database.migrate import _config, is_current, upgrade
from damageloop.adapters.database.unit_of_work import make_engine

_IMAGE = """INSERT INTO images (id, sha256, source_sha256, extension, file_name, width, height, n_bytes, brightness,
    contrast, sharpness, perceptual_hash, vehicle, split, status, origin, created_at)
    VALUES (1, 'a', 'b', 'jpg', '1.jpg', 10, 10, 9, 1, 1, 1, '0', 'car-7', 'train', 'active', 'import', '2026-01-01')"""
_PREDICTION = """INSERT INTO predictions (id, image_id, model_version, detections, top_score, created_at)
    VALUES (1, 1, 1, '[]', 0.1, '2026-01-01')"""


def test_images_that_others_refer_to_keep_their_vehicle_as_group(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'used.sqlite'}"
    engine = make_engine(url)
    with engine.begin() as connection:
        command.upgrade(_config(connection), "0001")
        connection.execute(text(_IMAGE))
        connection.execute(text(_PREDICTION))
    upgrade(url)
    assert is_current(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT group_key FROM images")).scalars().all() == ["car-7"]
        assert connection.execute(text("SELECT mirrored FROM predictions")).scalars().all() == [None]
    engine.dispose()
