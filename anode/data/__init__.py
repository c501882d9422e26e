"""Data sets, their file formats, and the seeded order in which minibatches are drawn."""

from anode.data.batches import Batches, Position
from anode.data.idx import read_idx
from anode.data.image_sets import (
    DIGITS,
    FASHION,
    ImageSet,
    Splits,
    load_fashion_mnist,
    load_mnist,
)

__all__ = [
    "DIGITS",
    "FASHION",
    "Batches",
    "ImageSet",
    "Position",
    "Splits",
    "load_fashion_mnist",
    "load_mnist",
    "read_idx",
]
