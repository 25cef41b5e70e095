"""The arrays that strategies read hold what the database and the feature store say, of train alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from damageloop.domain.annotation import Annotation, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.image import Image
from damageloop.domain.round import ItemState, RoundKind, Share
from damageloop.domain.split import Split
from damageloop.services.rounds.candidates import MakeCandidates
from damageloop.services.rounds.choose_images import Choice
from damageloop.services.rounds.labeled_pool import class_names
from tests.factories import MOMENT, make_item
from tests.integration.round_world import RoundWorld, label, new_round_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RoundWorld]:
    with new_round_world(tmp_path) as found:
        yield found


def choose(world: RoundWorld, name: str, image_ids: list[int] | None = None, version: int | None = 1) -> Choice:
    with world.units(read_only=True) as work:
        train = work.images.unannotated([Split.TRAIN])
        wanted = [image for image in train if image_ids is None or image.id in image_ids]
        return MakeCandidates(world.features, world.params)(work, wanted, version, name)


def test_boxes_come_in_the_order_of_their_images(world: RoundWorld) -> None:
    found = choose(world, "ppal", [4, 5, 6, 7]).candidates
    with world.units(read_only=True) as work:
        predictions = work.predictions.of_version(1, [4, 5, 6, 7])
    boxes = [box for image_id in (4, 5, 6, 7) for box in predictions[image_id].detections]
    # Image i has i modulo 4 boxes.
    assert found.offsets.tolist() == [0, 0, 1, 3, 6]
    assert found.box_scores.tolist() == [box.confidence for box in boxes]
    assert found.box_class_scores.tolist() == [list(box.class_scores) for box in boxes]
    assert found.localization_entropy.tolist() == [box.localization_entropy for box in boxes]
    assert found.top_scores.tolist() == [predictions[i].top_score for i in (4, 5, 6, 7)]
    assert found.box_features is not None
    assert np.array_equal(found.box_features, world.features.read_boxes("1", [4, 5, 6, 7]).features)


def test_boxes_are_shares_of_width_and_height(world: RoundWorld) -> None:
    found = choose(world, "entropy", [5]).candidates
    with world.units(read_only=True) as work:
        (box,) = work.predictions.of_version(1, [5])[5].detections
    assert found.boxes_xyxyn is not None
    # The images are 100 x 80 pixels.
    expected = [box.box.x_min / 100, box.box.y_min / 80, box.box.x_max / 100, box.box.y_max / 80]
    assert found.boxes_xyxyn[0].tolist() == pytest.approx(expected)


def test_what_a_strategy_does_not_need_is_not_read(world: RoundWorld) -> None:
    found = choose(world, "entropy").candidates
    assert (found.embeddings, found.box_features, found.mirrored) == (None, None, None)
    assert found.review_seconds is not None


def test_the_mirrored_view_is_what_the_model_said_of_it(world: RoundWorld) -> None:
    found = choose(world, "flip_consistency", [6, 7]).candidates.mirrored
    with world.units(read_only=True) as work:
        predictions = work.predictions.of_version(1, [6, 7])
    assert found is not None
    assert found.offsets.tolist() == [0, 2, 5]
    mirrored = [box for i in (6, 7) for box in predictions[i].mirrored or ()]
    assert found.class_scores.tolist() == [list(box.class_scores) for box in mirrored]


def test_groups_are_those_of_near_duplicates_and_not_of_vehicles(world: RoundWorld) -> None:
    with world.units() as work:
        work.images.set_group([2, 9], "car-2")
        work.commit()
    groups = choose(world, "entropy", [1, 2, 9]).candidates.groups.tolist()
    assert groups[1] == groups[2] != groups[0]


def test_labeled_embeddings_are_of_train_and_of_what_is_under_review(world: RoundWorld) -> None:
    label(world, [3, 8, 41, 47])
    with world.units() as work:
        items = [make_item(12), make_item(48, 1, Share.AUDITED), make_item(13, 2)]
        work.rounds.add(1, RoundKind.QUERY, "entropy", 1, 0, MOMENT, items)
        work.rounds.set_item_states(1, [13], ItemState.WITHDRAWN)
        work.commit()
    labeled = choose(world, "uncertainty_herding").candidates.labeled
    assert labeled is not None
    assert labeled.embeddings is not None
    assert np.array_equal(labeled.embeddings, world.features.read("1", [3, 8, 12]))


def test_labeled_boxes_are_counted_by_the_columns_of_class_scores_in_train_alone(world: RoundWorld) -> None:
    label(world, [3, 8], "dent")
    label(world, [5], "scratch")
    label(world, [41, 47], "scratch")
    labeled = choose(world, "entropy").candidates.labeled
    assert labeled is not None
    assert labeled.class_counts is not None
    assert world.params.labels.classes == ("scratch", "dent")
    assert labeled.class_counts.tolist() == [1.0, 2.0]


def test_a_model_of_fewer_classes_has_the_first_ones_and_another_order_is_noticed(world: RoundWorld) -> None:
    with world.units(read_only=True) as work:
        predictions = list(work.predictions.of_version(1).values())
    assert class_names(predictions, ("scratch", "dent", "hail"), 2) == ("scratch", "dent")
    assert class_names(predictions, ("dent", "scratch"), 2) is None
    assert class_names(predictions, ("scratch",), 2) is None


# --- calibration -----------------------------------------------------------------------------------------------


def confirm(world: RoundWorld, image: Image) -> None:
    """Label an image exactly as the model sees it: each of its boxes is right."""
    with world.units() as work:
        boxes = tuple(
            LabeledBox(box.damage_class, Box(*box.box.as_tuple()))
            for box in work.predictions.of_version(1, [image.id])[image.id].detections
        )
        work.annotations.upsert(
            Annotation(image.id, Verdict.DAMAGED, boxes, "label-studio", f"c-{image.id}", "anna", MOMENT)
        )
        work.commit()


def calibration(world: RoundWorld) -> list[float]:
    labeled = choose(world, "entropy", [4]).candidates.labeled
    assert labeled is not None
    assert labeled.calibration is not None
    return [float(share) for share in labeled.calibration]


def test_without_reviews_a_score_is_taken_at_its_word(world: RoundWorld) -> None:
    assert calibration(world) == pytest.approx([(i + 0.5) / 15 for i in range(15)])


def test_reviews_of_val_calibrate_and_those_of_test_and_of_train_do_not(world: RoundWorld) -> None:
    images = {image.id: image for image in world.images()}
    # 51 is of test, 11 of train and was chosen: the model will be or was trained on it.
    for image_id in (51, 11):
        confirm(world, images[image_id])
    assert calibration(world) == pytest.approx([(i + 0.5) / 15 for i in range(15)])
    confirm(world, images[43])
    with world.units(read_only=True) as work:
        boxes = work.predictions.of_version(1, [43])[43].detections
    found = calibration(world)
    assert len(boxes) == 3
    assert sum(found) > 7.5
    assert all(found[int(box.confidence * 15)] > (int(box.confidence * 15) + 0.5) / 15 for box in boxes)


def test_explored_images_calibrate_the_version_under_which_they_were_reviewed(world: RoundWorld) -> None:
    images = {image.id: image for image in world.images()}
    confirm(world, images[11])
    for number, version in ((1, 2), (2, 1)):
        with world.units() as work:
            work.rounds.add(number, RoundKind.QUERY, "entropy", version, 0, MOMENT, [make_item(11, 0, Share.EXPLORED)])
            work.rounds.set_tasks(number, {11: 5})
            work.rounds.set_state(number, work.rounds.get(number).state.CLOSED, MOMENT)
            work.rounds.set_item_states(number, [11], ItemState.REVIEWED)
            work.commit()
        is_calibrated = calibration(world) != pytest.approx([(i + 0.5) / 15 for i in range(15)])
        assert is_calibrated == (version == 1)


# --- review seconds --------------------------------------------------------------------------------------------


def test_seconds_of_a_photo_without_boxes_are_looking_and_drawing_what_no_detection_shows(world: RoundWorld) -> None:
    choice = choose(world, "entropy", [4, 8])
    # 6 s and 0.3 undetected damages of 10 s.
    assert choice.seconds == {4: pytest.approx(9.0), 8: pytest.approx(9.0)}
    assert choice.candidates.review_seconds is not None
    assert choice.candidates.review_seconds.tolist() == pytest.approx([9.0, 9.0])


def test_by_hand_a_photo_takes_longer_than_with_its_pre_labels(world: RoundWorld) -> None:
    (image,) = [image for image in world.images() if image.id == 7]
    with world.units(read_only=True) as work:
        choice = MakeCandidates(world.features, world.params)(work, [image], 1, "entropy")
        assert choice.seconds_by_hand([image])[7] > choice.seconds[7]


def test_before_the_first_model_nothing_is_known_of_seconds(tmp_path: Path) -> None:
    with new_round_world(tmp_path, is_scored=False) as world:
        choice = choose(world, "random", version=None)
    assert choice.seconds == {}
    assert choice.candidates.review_seconds is None
    assert not choice.candidates.has_predictions
