"""Sets of labelled images; MNIST, which comes with anode, and others in the same four files."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from anode.data.idx import read_idx
from anode.errors import DataError

DIGITS = tuple("0123456789")
FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

SHIPPED = Path(__file__).parent / "mnist"
# md5 of the uncompressed official files: a gzip header holds a time, so that of the .gz varies.
SHIPPED_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images of one size.

    `images` is u8[n, h, w] if they are grey, u8[n, h, w, 3] if they have colours; `labels`,
    integers of shape [n], are indices into `classes`.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice) -> "ImageSet":
        """A view of some rows."""
        return ImageSet(self.images[rows], self.labels[rows], self.classes)


@dataclass(frozen=True, eq=False)
class Splits:
    """The parts of a data set; `valid` is None unless rows were set aside for validation."""

    train: ImageSet
    valid: ImageSet | None
    test: ImageSet


def load_mnist(
    folder: str | PathLike[str] | None = None,
    *,
    validation: int = 0,
    classes: tuple[str, ...] = DIGITS,
) -> Splits:
    """The 60,000 training and 10,000 test images of MNIST, in the official order.

    `validation` sets aside that many rows as TensorFlow 1's `input_data.read_data_sets` does: its
    default is the *first* 5,000 rows of the training file, and training keeps the rest. Without
    `folder` the files are those shipped with anode, and their md5 is checked. A `folder` holds the
    four files under their official names, with or without `.gz` (which comes first); any set of
    28x28 images with these names is read. Raises `DataError` where files are missing, damaged or
    disagree with each other.
    """
    root = SHIPPED if folder is None else Path(folder)
    train = _image_set(root, "train", classes)
    return split(train, _image_set(root, "t10k", classes), validation, root)


def load_fashion_mnist(folder: str | PathLike[str], *, validation: int = 0) -> Splits:
    """The images of Fashion-MNIST, whose four files carry the names of MNIST's; see `load_mnist`.

    `folder` is where they are: they do not come with anode (Debian: `dataset-fashion-mnist`).
    """
    return load_mnist(folder, validation=validation, classes=FASHION)


def split(train: ImageSet, test: ImageSet, validation: int, source: object) -> Splits:
    """The splits with the first `validation` rows of training set aside; DataError beyond them."""
    if not 0 <= validation < len(train):
        raise DataError(
            f"validation={validation}: choose 0 to {len(train) - 1} of the {len(train)} training "
            f"images in {source}"
        )
    valid = train[:validation] if validation else None
    return Splits(train[validation:], valid, test)


def _image_set(root: Path, part: str, classes: tuple[str, ...]) -> ImageSet:
    images = _read(root, f"{part}-images-idx3-ubyte")
    labels = _read(root, f"{part}-labels-idx1-ubyte")
    if images.shape[1:] != (28, 28) or images.dtype != np.uint8:
        raise DataError(
            f"{root}: {part} images are {images.dtype}{list(images.shape)}, not uint8[n, 28, 28]; "
            "read other files with read_idx"
        )
    if labels.shape != images.shape[:1] or labels.dtype != np.uint8:
        raise DataError(
            f"{root}: {part} labels are {labels.dtype}{list(labels.shape)} for {len(images)} "
            "images; use the labels of the same set"
        )
    if len(labels) and labels.max() >= len(classes):
        raise DataError(
            f"{root}: {part} label {labels.max()} is beyond the {len(classes)} classes; "
            "pass classes= with a name for each"
        )
    return ImageSet(images, labels, classes)


def _read(root: Path, name: str) -> np.ndarray:
    found = [path for path in (root / f"{name}.gz", root / name) if path.is_file()]
    if not found:
        raise DataError(
            f"{root}: has no {name}.gz and no {name}; give the folder of the four files"
        )
    return read_idx(found[0], SHIPPED_MD5[name] if root == SHIPPED else None)
