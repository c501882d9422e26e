"""Images and labels listed in a manifest, as the loader aeon reads them.

A manifest is a text: a header such as `@FILE<tab>STRING`, then a line for each example. The
configuration is aeon's, of its later form (`etl`, `augmentation`) or its first
(`type: "image,label"` with an `image` and a `label` part). What it asks for beyond images and
labels, or beyond the augmentations here, is an error at construction, never ignored.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from anode.data.batches import Arrays, Minibatches, Position, draws, permutation
from anode.data.decode import load, open_image, pillow, pixels
from anode.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_MANIFEST = 1 << 30
MAX_FILE = 1 << 28
# What only says how aeon works, not what comes out.
HOW = frozenset({
    "block_size", "cache_directory", "decode_thread_count", "iteration_mode", "node_count",
    "iteration_mode_count", "node_id", "pinned", "single_thread", "macrobatch_size",
    "shuffle_every_epoch", "web_server_port",
})  # fmt: skip
WHAT = frozenset({
    "manifest_filename", "manifest_root", "batch_size", "minibatch_size", "type", "etl",
    "augmentation", "image", "label", "shuffle_enable", "shuffle_manifest", "random_seed",
    "subset_fraction",
})  # fmt: skip
IMAGE = frozenset({"type", "name", "height", "width", "channels", "channel_major", "bgr_to_rgb",
                   "output_type"})  # fmt: skip
LABEL = frozenset({"type", "name", "binary", "output_type"})
NUMBERS = ("STRING", "ASCII_INT", "ASCII_FLOAT")
GREY = np.array([0.299, 0.587, 0.114])  # of red, green, blue
# The principal components of ImageNet's colours. Source: Krizhevsky et al. 2012, with the values
# that its reimplementations use.
SPREAD = np.array([55.46, 4.794, 1.148])
DIRECTIONS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)


@dataclass(frozen=True)
class Augmentation:
    """How an image becomes one of `width` × `height`; ranges are (least, most), drawn evenly.

    The part of an image that is cut out has the shape of the result, stretched by
    `horizontal_distortion`, and `scale` times the largest size that fits; with `do_area_scale`
    that share of the image's area. It is in the middle if `center`, else anywhere. Without
    `crop_enable` the whole image is taken; with `padding`, which needs that, a part of its own size
    from anywhere in the image with so many pixels of black all round.
    `lighting` is the spread of a shift along the principal components of colours.
    """

    width: int
    height: int
    scale: tuple[float, float] = (1.0, 1.0)
    horizontal_distortion: tuple[float, float] = (1.0, 1.0)
    do_area_scale: bool = False
    crop_enable: bool = True
    center: bool = True
    flip_enable: bool = False
    padding: int = 0
    contrast: tuple[float, float] = (1.0, 1.0)
    brightness: tuple[float, float] = (1.0, 1.0)
    saturation: tuple[float, float] = (1.0, 1.0)
    lighting: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, width: Any, height: Any, given: Mapping[str, Any]) -> Self:
        """From a configuration; DataError for what it asks for that is not here."""
        options = {key: value for key, value in given.items() if key != "type"}
        known = cls.__dataclass_fields__
        for name in set(options) - set(known):
            raise DataError(f"the augmentation {name!r} is not there; choose from {_list(known)}")
        ranges = {key: (float(v[0]), float(v[1])) for key, v in options.items() if _is_range(v)}
        made = cls(int(width), int(height), **{**options, **ranges})
        if min(made.width, made.height) < 1 or not 0 < made.scale[0] <= made.scale[1] <= 1:
            raise DataError(
                f"images of {width}x{height} with a scale of {made.scale} cannot be made"
            )
        if made.padding and made.crop_enable:
            raise DataError("padding cuts out a part itself; it needs crop_enable=False")
        return made

    def __call__(self, image: Image, random: np.random.Generator) -> np.ndarray:
        """The pixels u8[height, width, 3] that are made of a decoded image."""
        if self.padding:
            image = _shifted(image, *random.integers(-self.padding, self.padding + 1, 2).tolist())
        box = self._box(image.size, random) if self.crop_enable else (0, 0, *image.size)
        size = self.width, self.height
        found = pixels(image.resize(size, pillow().Resampling.BILINEAR, box))
        if self.flip_enable and random.random() < 0.5:
            found = found[:, ::-1]
        return self._coloured(found, random)

    def _box(
        self, size: tuple[int, int], random: np.random.Generator
    ) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of what is cut out."""
        share = random.uniform(*self.scale)
        stretch = random.uniform(*self.horizontal_distortion)
        ratio = self.width * stretch / self.height
        across, down = min(size[0], size[1] * ratio), min(size[1], size[0] / ratio)
        if self.do_area_scale:
            share = min(1.0, (share * size[0] * size[1] / (across * down)) ** 0.5)
        across, down = across * share, down * share
        at = (0.5, 0.5) if self.center else (random.random(), random.random())
        left, top = (size[0] - across) * at[0], (size[1] - down) * at[1]
        return left, top, left + across, top + down

    def _coloured(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """The image with its saturation, brightness, contrast and lighting changed."""
        changes = (self.saturation, self.brightness, self.contrast)
        if all(change == (1.0, 1.0) for change in changes) and self.lighting == (0.0, 0.0):
            return image
        saturation, brightness, contrast = (random.uniform(*change) for change in changes)
        found = image.astype(np.float64)
        grey = found @ GREY
        found = found * saturation + grey[..., np.newaxis] * (1 - saturation)
        found = found * brightness * contrast + grey.mean() * brightness * (1 - contrast)
        found += DIRECTIONS @ (SPREAD * random.normal(*self.lighting, 3))
        return found.round().clip(0, 255).astype(np.uint8)


class ManifestLoader(Minibatches):
    """Minibatches ((name, array), …) of images u8[n, c, h, w] and labels u32[n, 1].

    Channels are blue, green, red, unless the configuration says `bgr_to_rgb`. The last minibatch
    of an epoch is filled up from its start. Orders and augmentations depend on `random_seed`, the
    epoch and the place in it, not on how many threads decode; they are not aeon's.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config = _later_form(config)
        for name in set(config) - HOW - WHAT:
            raise DataError(f"aeon's option {name!r} is not there; leave it out")
        self.seed_of_images = int(config.get("random_seed", 0))
        self.columns = [_Column.of(part, config.get("augmentation", ())) for part in config["etl"]]
        root = config.get("manifest_root") or ""
        self.manifest = _read_manifest(config["manifest_filename"], root, self.columns)
        count = max(1, int(len(self.manifest) * float(config.get("subset_fraction", 1.0))))
        if config.get("shuffle_manifest"):
            order = permutation(len(self.manifest), self.seed_of_images, 2**64 - 1)
            self.manifest = [self.manifest[i] for i in order]
        self.manifest = self.manifest[:count]
        seed = self.seed_of_images if config.get("shuffle_enable") else None
        super().__init__(count, int(config["batch_size"]), seed=seed, last="wrap")
        self._threads = ThreadPoolExecutor(min(8, os.cpu_count() or 1))

    @property
    def ndata(self) -> int:
        """The number of examples of an epoch."""
        return self.rows

    @property
    def axes_info(self) -> list[tuple[str, list[tuple[str, int]]]]:
        """The name and the axes of each array of a minibatch, without that of examples."""
        return [(column.name, column.axes) for column in self.columns]

    def reset(self) -> None:
        """Begin with the first minibatch of an epoch."""
        self.position = (self.position.epoch, 0)

    def __iter__(self) -> Iterator[Any]:
        for arrays in super().__iter__():
            yield tuple((column.name, a) for column, a in zip(self.columns, arrays, strict=True))

    def _minibatch(self, position: Position) -> Arrays:
        rows = self._rows_at(position)
        chosen = range(self.rows)[rows] if isinstance(rows, slice) else rows
        words = draws(
            self.seed_of_images, position.epoch, position.batch * self.batch_size, len(chosen)
        )
        found = []
        for i, column in enumerate(self.columns):
            items = [self.manifest[row][i] for row in chosen]
            found.append(np.stack(list(self._threads.map(column, items, words))))
        return tuple(found)


@dataclass(frozen=True)
class _Column:
    """A part of `etl`: what a column of the manifest becomes."""

    name: str
    augmentation: Augmentation | None  # of images
    channels: int = 3
    rgb: bool = False
    last: bool = False  # channels
    binary: bool = False  # of labels

    @classmethod
    def of(cls, part: Mapping[str, Any], augmentations: Any) -> Self:
        kind = part.get("type")
        known = {"image": IMAGE, "label": LABEL}.get(str(kind))
        if known is None:
            raise DataError(
                f"AeonDataLoader reads 'image' and 'label', not {kind!r}; for other data write an "
                "iterator, such as neon.data.ArrayIterator"
            )
        for name in set(part) - known:
            raise DataError(f"AeonDataLoader: {kind} has no option {name!r} here; leave it out")
        name = str(part.get("name", kind))
        if kind == "label":
            return cls(name, None, binary=bool(part.get("binary", False)))
        given = [a for a in augmentations if a.get("type") == "image"]
        made = Augmentation.of(part["width"], part["height"], given[0] if given else {})
        channels = int(part.get("channels", 3))
        if channels not in (1, 3):
            raise DataError(f"AeonDataLoader: images have 1 or 3 channels, not {channels}")
        last = not part.get("channel_major", True)
        return cls(name, made, channels, bool(part.get("bgr_to_rgb", False)), last)

    @property
    def axes(self) -> list[tuple[str, int]]:
        if self.augmentation is None:
            return [("L", 1)]
        sizes = [
            ("C", self.channels),
            ("H", self.augmentation.height),
            ("W", self.augmentation.width),
        ]
        return sizes[1:] + sizes[:1] if self.last else sizes

    def __call__(self, item: str, words: np.ndarray) -> np.ndarray:
        if self.augmentation is None:
            return np.array([self._label(item)], np.uint32)
        random = np.random.Generator(np.random.Philox(key=words[:2]))
        try:
            image = load(open_image(_content(item)))
            made = self.augmentation(image, random)
        except DataError as error:
            raise DataError(f"{item}: {error}") from error
        if self.channels == 1:
            made = (made @ GREY).round().astype(np.uint8)[..., np.newaxis]
        ordered = made if self.rgb else made[..., ::-1]
        return ordered if self.last else ordered.transpose(2, 0, 1)

    def _label(self, item: str) -> int:
        try:
            if not os.path.isabs(item):
                return int(float(item))
            content = _content(item)
            return int.from_bytes(content, "little") if self.binary else int(content)
        except ValueError as error:
            raise DataError(f"{item}: is no label ({error})") from error


def _later_form(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration of aeon's first form in the later one; DataError where parts are missing."""
    found = dict(config)
    if "etl" not in found and "type" in found:
        parts = [part.strip() for part in str(found["type"]).split(",")]
        options = [dict(found.get(part, {}), type=part) for part in parts]
        plain = [
            {k: v for k, v in o.items() if o["type"] != "image" or k in IMAGE} for o in options
        ]
        rest = [
            {k: v for k, v in o.items() if k not in IMAGE} for o in options if o["type"] == "image"
        ]
        found |= {"etl": plain, "augmentation": [dict(r, type="image") for r in rest]}
    if "batch_size" not in found and "minibatch_size" in found:
        found["batch_size"] = found["minibatch_size"]
    for name in ("manifest_filename", "batch_size", "etl"):
        if name not in found:
            raise DataError(f"AeonDataLoader: the configuration has no {name!r}")
    return found


def _read_manifest(path: str, root: str, columns: list[_Column]) -> list[tuple[str, ...]]:
    """The items of each line: paths from `root` on, labels as they are."""
    try:
        if os.path.getsize(path) > MAX_MANIFEST:
            raise DataError(f"{path}: larger than {MAX_MANIFEST} bytes")
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({reason}); check the path") from error
    header = lines[0] if lines else ""
    if not header.startswith("@"):
        raise DataError(
            f"{path}: the manifest has no header such as '@FILE<tab>STRING'; "
            "neon.data.convert_manifest adds one"
        )
    kinds = header[1:].split("\t")
    if len(kinds) < len(columns) or not {*kinds} <= {"FILE", *NUMBERS}:
        raise DataError(f"{path}: the header {header!r} is not of {len(columns)} known columns")
    kept = [line.split("\t") for line in lines[1:] if line and line[0] != "#"]
    if not kept or any(len(row) != len(kinds) for row in kept):
        raise DataError(f"{path}: not every line has {len(kinds)} columns, or there is none")
    base = os.path.abspath(
        os.path.join(os.path.dirname(path), root) if root else os.path.dirname(path)
    )
    located = partial(_located, base, kinds[: len(columns)])
    return [located(row) for row in kept]


def _located(base: str, kinds: list[str], row: list[str]) -> tuple[str, ...]:
    return tuple(
        os.path.join(base, item) if kind == "FILE" else item
        for kind, item in zip(kinds, row, strict=False)
    )


def _content(path: str) -> bytes:
    try:
        if os.path.getsize(path) > MAX_FILE:
            raise DataError(f"larger than {MAX_FILE} bytes")
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _shifted(image: Image, across: int, down: int) -> Image:
    """The image moved right and down, black where it was."""
    found = pillow().new(image.mode, image.size)
    found.paste(image, (across, down))
    return found


def _is_range(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2


def _list(names: Any) -> str:
    return ", ".join(sorted(names))
