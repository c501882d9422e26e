"""Data sets, their file formats, and the seeded order in which minibatches are drawn."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from anode.data.augment import RandomCrop
from anode.data.batches import Batches, Minibatches, Position

if TYPE_CHECKING:
    from anode.data.audio import read_sound
    from anode.data.cifar import load_cifar10, load_cifar100
    from anode.data.idx import read_idx
    from anode.data.image_folders import load_images
    from anode.data.image_sets import (
        DIGITS,
        FASHION,
        ImageSet,
        Splits,
        load_fashion_mnist,
        load_mnist,
    )
    from anode.data.ingestion import ingest
    from anode.data.loader import ImageLoader
    from anode.data.records import ImageRecords, open_records
    from anode.data.replay import FrameStack, Replay, Transitions
    from anode.data.sequences import SequenceBatches

__all__ = [
    "DIGITS",
    "FASHION",
    "Batches",
    "FrameStack",
    "ImageLoader",
    "ImageRecords",
    "ImageSet",
    "Minibatches",
    "Position",
    "RandomCrop",
    "Replay",
    "SequenceBatches",
    "Splits",
    "Transitions",
    "ingest",
    "load_cifar10",
    "load_cifar100",
    "load_fashion_mnist",
    "load_images",
    "load_mnist",
    "open_records",
    "read_idx",
    "read_sound",
]
_LATER = {  # they need what takes its time to import: processes, archives, sound, random numbers
    "DIGITS": "anode.data.image_sets",
    "FASHION": "anode.data.image_sets",
    "FrameStack": "anode.data.replay",
    "ImageLoader": "anode.data.loader",
    "ImageRecords": "anode.data.records",
    "ImageSet": "anode.data.image_sets",
    "Replay": "anode.data.replay",
    "SequenceBatches": "anode.data.sequences",
    "Splits": "anode.data.image_sets",
    "Transitions": "anode.data.replay",
    "ingest": "anode.data.ingestion",
    "load_cifar10": "anode.data.cifar",
    "load_cifar100": "anode.data.cifar",
    "load_fashion_mnist": "anode.data.image_sets",
    "load_images": "anode.data.image_folders",
    "load_mnist": "anode.data.image_sets",
    "open_records": "anode.data.records",
    "read_idx": "anode.data.idx",
    "read_sound": "anode.data.audio",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'anode.data' has no attribute {name!r}")
