"""Train images in other light, by numbers that can be checked by hand."""

from __future__ import annotations

import pytest
import torch

from damageloop.training_params import PhotometricParams
from workers.stages.photometric import GAMMA, Photometric

GREY = torch.full((8, 3, 32, 32), 0.5)


def test_without_a_share_nothing_is_touched() -> None:
    images = torch.rand(4, 3, 8, 8)
    assert Photometric(PhotometricParams(stops=(-2.0, -2.0)), 0)(images) is images
    assert len(Photometric(PhotometricParams(share=1.0), 0)(images[:0])) == 0


@pytest.mark.parametrize("stops", [-2.0, -1.0, 1.0])
def test_exposure_is_linear_in_light(stops: float) -> None:
    changed = Photometric(PhotometricParams(share=1.0, stops=(stops, stops)), 0)(GREY)
    # Light times 2 ** stops, shown through the display's gamma.
    expected = min(1.0, (0.5**GAMMA * 2.0**stops) ** (1.0 / GAMMA))
    assert changed.mean().item() == pytest.approx(expected, abs=1e-4)


def test_the_share_of_images_is_changed() -> None:
    many = torch.full((600, 3, 4, 4), 0.5)
    changed = Photometric(PhotometricParams(share=0.3, stops=(-1.0, -1.0)), 1)(many)
    n_changed = int((changed.mean(dim=(1, 2, 3)) < 0.45).sum())
    assert abs(n_changed / 600 - 0.3) < 0.06


def test_an_epoch_draws_the_same_when_it_is_begun_again() -> None:
    params = PhotometricParams(share=0.5, stops=(-3.0, 0.0), noise=0.1, blur_px=2.0, white_balance=0.2)
    one, other = Photometric(params, 5), Photometric(params, 5)
    one(GREY)
    one.begin_epoch(3)
    other.begin_epoch(3)
    assert torch.equal(one(GREY), other(GREY))
    one.begin_epoch(4)
    assert not torch.equal(one(GREY), Photometric(params, 6)(GREY))


def test_noise_and_blur_stay_within_what_an_image_can_be() -> None:
    images = torch.rand(8, 3, 32, 32)
    changed = Photometric(PhotometricParams(share=1.0, noise=0.3, blur_px=3.0), 2)(images)
    assert changed.shape == images.shape
    assert float(changed.min()) >= 0.0
    assert float(changed.max()) <= 1.0
    assert not torch.equal(changed, images)


def test_the_global_stream_of_random_numbers_is_left_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    Photometric(PhotometricParams(share=1.0, stops=(-1.0, 1.0), noise=0.1), 0)(GREY)
    assert torch.equal(torch.rand(3), expected)
