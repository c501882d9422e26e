"""Augmentation of images in memory, from random words that `Batches` draws for each row."""

from dataclasses import dataclass

import numpy as np

from anode.data.batches import below
from anode.errors import DataError


@dataclass(frozen=True)
class RandomCrop:
    """Pads images with zeros on all sides, cuts out their own size at random, mirrors every second.

    The usual augmentation of CIFAR-10 (K. He et al., "Deep Residual Learning for Image
    Recognition", 2015, section 4.2). Images are [n, h, w] or [n, h, w, c], of any element type;
    `pad` is in pixels; without `mirror` none is turned. Raises DataError for arrays of other ranks.
    """

    pad: int = 4
    mirror: bool = True

    def __post_init__(self) -> None:
        if self.pad < 0:
            raise DataError(f"pad={self.pad}: give 0 or more pixels")

    def __call__(self, images: np.ndarray, words: np.ndarray) -> np.ndarray:
        if images.ndim not in (3, 4):
            raise DataError(
                f"images {list(images.shape)}: RandomCrop takes [n, h, w] or [n, h, w, c]"
            )
        n, height, width = images.shape[:3]
        rest = [(0, 0)] * (images.ndim - 3)
        padded = np.pad(images, [(0, 0), (self.pad, self.pad), (self.pad, self.pad), *rest])
        tops, lefts = below(words[:, :2].T, 2 * self.pad + 1)
        turned = below(words[:, 2], 2) == 1 if self.mirror else np.zeros(n, bool)
        found = np.empty_like(images)
        for out, image, top, left, turn in zip(found, padded, tops, lefts, turned, strict=True):
            cut = image[top : top + height, left : left + width]
            out[...] = cut[:, ::-1] if turn else cut
        return found
