"""Image files made into pixels by Pillow, with limits, whatever the bytes are.

The orientation that EXIF data may ask for is ignored: the common copies of ImageNet were trained on
as they are stored. Alpha channels are dropped; values of 16 bits lose their lower 8.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from anode.data.batches import below
from anode.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "WEBP")
STORED = ("JPEG", "MPO", "PNG")  # in records; MPO: a JPEG with more pictures after it
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".webp")
MAX_PIXELS = 80_000_000  # below what Pillow warns of
MAX_SIDE = 65_535  # of JPEG
QUALITY = 90


def pillow() -> ModuleType:
    """Pillow's module `Image`; raises DataError with the way to install it."""
    try:
        from PIL import Image
    except ImportError:
        raise DataError("images need the Pillow package: pip install 'anode[images]'") from None
    return Image


def open_image(content: bytes, max_pixels: int = MAX_PIXELS) -> Image:
    """The image in `content`, its size checked, its pixels not decoded yet.

    Raises DataError, with the reason only, for bytes that are no image of a known format, or one
    that claims more pixels than `max_pixels` or sides over 65,535.
    """
    library = pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image: Image = library.open(io.BytesIO(content), formats=FORMATS)
    except library.DecompressionBombError:
        raise DataError(f"it claims more than {max_pixels} pixels") from None
    except Exception as error:  # Pillow's readers raise nearly everything
        raise DataError(_reason("it is no image of a known format", error)) from error
    width, height = image.size
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        raise DataError(f"it claims {width}x{height} pixels, more than are allowed")
    return image


def load(image: Image) -> Image:
    """`image` with its pixels decoded, in the mode RGB, or L if it is grey.

    Raises DataError, with the reason only, where they are damaged or cut short.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
            return _plain(image)
    except DataError:
        raise
    except Exception as error:
        raise DataError(_reason("its pixels cannot be decoded", error)) from error


def pixels(image: Image) -> np.ndarray:
    """The pixels u8[h, w, 3] of an image of mode RGB or L."""
    found = np.asarray(image)
    return found if found.ndim == 3 else np.broadcast_to(found[:, :, None], (*found.shape, 3))


def decode(content: bytes) -> np.ndarray:
    """The pixels u8[h, w, 3] of an image file; DataError gives the reason only."""
    return pixels(load(open_image(content)))


def is_stored(image: Image) -> bool:
    """Whether a file is kept in records as it is: JPEG or PNG, 8 bits, RGB or grey."""
    return image.format in STORED and image.mode in ("RGB", "L")


def encode(image: Image, quality: int = QUALITY) -> bytes:
    """A JPEG file of an image of mode RGB or L."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def shrink(image: Image, short_side: int) -> Image:
    """A decoded copy whose short side is `short_side`; images that have no more stay as they are.

    JPEG decodes itself to a power of two of the size, at least twice what is asked for.
    """
    width, height = image.size
    if min(width, height) <= short_side:
        return load(image)
    scaled = _scaled(width, height, short_side)
    image.draft(None, (2 * scaled[0], 2 * scaled[1]))
    return load(image).resize(scaled, pillow().Resampling.BICUBIC)


@dataclass(frozen=True)
class Cut:
    """How a square of `crop` pixels is cut out of an image.

    The image is first scaled so that its short side has a number of pixels in the range
    `short_side`, drawn evenly; None leaves it as it is. The square is in the middle, or anywhere
    if it is `random`; with `mirror`, every second one is turned from left to right.
    """

    crop: int
    short_side: tuple[int, int] | None = None
    random: bool = False
    mirror: bool = False

    def __call__(self, content: bytes, words: np.ndarray | None) -> np.ndarray:
        """The square u8[crop, crop, 3] of a file; the random `words` u64[4] choose, if any."""
        image = open_image(content)
        width, height = image.size
        sides = self.short_side
        if sides is None:
            scaled = width, height
        else:
            extra = 0 if words is None else int(below(words[0], sides[1] - sides[0] + 1))
            scaled = _scaled(width, height, sides[0] + extra)
        if min(scaled) < self.crop:
            raise DataError(
                f"its {width}x{height} pixels do not fill the crop of {self.crop}; give short_side"
            )
        free = scaled[0] - self.crop, scaled[1] - self.crop
        corner = free[0] // 2, free[1] // 2
        if self.random and words is not None:
            corner = int(below(words[1], free[0] + 1)), int(below(words[2], free[1] + 1))
        found = self._square(image, scaled, corner)
        turned = self.mirror and words is not None and below(words[3], 2) == 1
        return found[:, ::-1] if turned else found

    def _square(self, image: Image, scaled: tuple[int, int], corner: tuple[int, int]) -> np.ndarray:
        """The square at a corner of the scaled image, of which no more than that is computed."""
        left, top = corner
        right, bottom = left + self.crop, top + self.crop
        if image.size == scaled:
            return pixels(load(image).crop((left, top, right, bottom)))
        drafted = image.draft(None, scaled)  # a JPEG decodes itself to a half, quarter or eighth
        width, height = drafted[1][2:] if drafted else image.size
        across, down = width / scaled[0], height / scaled[1]
        box = left * across, top * down, right * across, bottom * down
        size = self.crop, self.crop
        return pixels(load(image).resize(size, pillow().Resampling.BILINEAR, box))


def _plain(image: Image) -> Image:
    """A decoded image in mode RGB or L."""
    if image.mode in ("RGB", "L"):
        return image
    if image.mode.startswith("I"):  # 16 bits, in Pillow's several ways
        return pillow().fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    if image.mode == "F":
        raise DataError("its pixels are floating-point numbers")
    return image.convert("RGB")


def _reason(what: str, error: Exception) -> str:
    """One line, without the addresses that Pillow's messages hold."""
    text = " ".join(str(error).split())
    return what if "<_io" in text or not text else f"{what} ({text})"


def _scaled(width: int, height: int, short_side: int) -> tuple[int, int]:
    """The size with this short side and, to a pixel, the same ratio of sides."""
    short = min(width, height)
    return round(width * short_side / short), round(height * short_side / short)
