"""Train images as if taken in other light: exposure, white balance, blur, and the noise that little light brings."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from damageloop.training_params import PhotometricParams

# What a display makes of light, as far as an augmentation needs it.
GAMMA = 2.2
# Of streams that other parts of a training draw from, none is touched.
_STREAM = 7919


class Photometric:
    """Changes some images of each batch. Draws from a stream of its own: with a share of 0 nothing else changes."""

    def __init__(self, params: PhotometricParams, seed: int) -> None:
        self._params = params
        self._seed = seed
        self._stream = torch.Generator()
        self.begin_epoch(0)

    def begin_epoch(self, epoch: int) -> None:
        """Begin the epoch's own draws, so that a training that goes on after a kill draws the same."""
        self._stream.manual_seed((self._seed * _STREAM + epoch) % 2**63)

    def __call__(self, images: Tensor) -> Tensor:
        """Return images of shape (n_images, 3, height, width), RGB from 0 to 1, some of them changed."""
        share = self._params.share
        if share == 0.0 or not len(images):
            return images
        changed = [self._changed(image) if self._drawn() < share else image for image in images]
        return torch.stack(changed)

    def _changed(self, image: Tensor) -> Tensor:
        """Return one image in other light. Light is linear: exposure and white balance multiply it."""
        params = self._params
        low, high = params.stops
        gain = 2.0 ** (low + (high - low) * self._drawn())
        balance = [1.0 + params.white_balance * (2.0 * self._drawn() - 1.0) for _ in range(2)]
        gains = torch.tensor([balance[0], 1.0, balance[1]], device=image.device, dtype=image.dtype) * gain
        shown = (image.clamp(0.0, 1.0) ** GAMMA * gains.view(3, 1, 1)).clamp(0.0, 1.0) ** (1.0 / GAMMA)
        return self._noisy(self._blurred(shown))

    def _blurred(self, image: Tensor) -> Tensor:
        sigma = self._params.blur_px * self._drawn()
        if sigma < 0.3:
            # Hardly more than the pixel itself.
            return image
        blurred: Tensor = gaussian_blur(image, [2 * int(3.0 * sigma + 0.5) + 1] * 2, [sigma, sigma])
        return blurred

    def _noisy(self, image: Tensor) -> Tensor:
        deviation = self._params.noise * self._drawn()
        if deviation == 0.0:
            return image
        drawn = torch.randn(image.shape, generator=self._stream).to(image.device, image.dtype)
        # A photo has 256 levels: what is lost in the dark is lost.
        return ((image + drawn * deviation).clamp(0.0, 1.0) * 255.0).round() / 255.0

    def _drawn(self) -> float:
        return float(torch.rand((), generator=self._stream))
