"""What a training needs, against numbers worked out by hand, and what is told where there is too little."""

from __future__ import annotations

from dataclasses import replace

import pytest

from damageloop.domain.training_needs import MIB, Resources, TrainingSize, in_words, needs, shortfalls

SIZE = TrainingSize(n_images=1000, image_bytes=0, image_size=640, batch_size=16, weights_bytes=5_400_000)
PLENTY = Resources(64 * 1024 * MIB, 64 * 1024 * MIB, 65536)


def test_memory_is_the_program_the_weights_and_the_batch() -> None:
    # 1000 MiB + 5.4 MB * 2 * 5 + 16 * 640 * 640 * 630 bytes
    assert needs(SIZE).memory_bytes == 1_048_576_000 + 54_000_000 + 4_128_768_000


def test_disk_is_the_copies_of_the_weights_and_a_little_for_each_image() -> None:
    assert needs(SIZE).disk_bytes == 5_400_000 * 18 + 1000 * 8192 + 104_857_600
    assert needs(replace(SIZE, image_bytes=7)).disk_bytes - needs(SIZE).disk_bytes == 7


def test_a_network_twice_as_large_keeps_twice_as_much_of_each_image() -> None:
    larger = replace(SIZE, weights_bytes=2 * SIZE.weights_bytes)
    assert needs(larger).memory_bytes - 1_048_576_000 == 2 * (54_000_000 + 4_128_768_000)


# Peaks that were measured (docs/reliability.md): image size, batch size, MiB.
@pytest.mark.parametrize(
    ("image_size", "batch_size", "measured_mib"),
    [(96, 8, 1007), (256, 16, 1496), (320, 16, 1860), (640, 8, 2979), (640, 16, 4584)],
)
def test_the_estimate_is_above_what_was_measured_and_not_far(
    image_size: int, batch_size: int, measured_mib: int
) -> None:
    estimate = needs(replace(SIZE, image_size=image_size, batch_size=batch_size)).memory_bytes / MIB
    assert measured_mib <= estimate <= 1.15 * measured_mib


def test_nothing_is_told_where_there_is_enough() -> None:
    assert shortfalls(needs(SIZE), PLENTY) == []
    exactly = needs(SIZE)
    assert shortfalls(exactly, exactly) == []


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        (replace(PLENTY, memory_bytes=100 * MIB), "100 MiB are free: end other programs"),
        (replace(PLENTY, disk_bytes=10 * MIB), "10 MiB are free: make space"),
        (replace(PLENTY, open_files=256), "this account may open 256"),
    ],
)
def test_each_shortfall_is_one_sentence_with_what_mends_it(lacking: Resources, words: str) -> None:
    (found,) = shortfalls(needs(SIZE), lacking)
    assert words in found


def test_people_see_both_needs_and_what_is_free() -> None:
    assert in_words(Resources(2 * MIB, 3 * MIB, 512), Resources(4 * MIB, 5000 * MIB, 1024)) == (
        "needs 2 MiB of memory (4 MiB free), 3 MiB of disk (5,000 MiB free) and up to 512 open files (limit 1024)"
    )


def test_on_a_gpu_the_batch_needs_no_memory_of_the_machine() -> None:
    on_gpu = needs(replace(SIZE, is_on_gpu=True, batch_size=512))
    assert on_gpu.memory_bytes == needs(replace(SIZE, batch_size=0)).memory_bytes < needs(SIZE).memory_bytes
