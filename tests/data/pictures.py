"""Image files for the tests: photographs in small, and every kind of trouble."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def picture(number: int, width: int = 40, height: int = 30) -> Image.Image:
    """A smooth picture in colours that differs from every other number's."""
    y, x = np.mgrid[:height, :width] / 10
    waves = [np.sin((number + 1) * 0.7 + x * (c + 1) + y) for c in range(3)]
    return Image.fromarray((127 + 120 * np.stack(waves, axis=-1)).astype(np.uint8))


def encoded(image: Image.Image, format: str = "JPEG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def jpeg(number: int, width: int = 40, height: int = 30) -> bytes:
    return encoded(picture(number, width, height), quality=95)


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG file of a few bytes whose header promises any size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data


def jpeg_that_claims(width: int, height: int) -> bytes:
    content = jpeg(0)
    return content.replace(struct.pack(">HH", 30, 40), struct.pack(">HH", height, width), 1)


# What an ingest leaves out, and a word of the reason.
DAMAGED = {
    "cut.jpg": (jpeg(1, 80, 60)[:-400], "decoded"),
    "head.jpg": (jpeg(1)[:30], "no image"),
    "empty.jpg": (b"", "it is"),
    "text.jpg": (b"<html>404 Not Found</html>", "no image"),
    "cut.png": (encoded(picture(1, 80, 60), "PNG")[:-900], "decoded"),
    "huge.png": (png_that_claims(60_000, 60_000), "claims"),
    "wide.png": (png_that_claims(70_000, 1), "claims"),
    "huge.jpg": (jpeg_that_claims(65_000, 65_000), "claims"),
    "short.png": (png_that_claims(1000, 1000), "decoded"),
    "script.py": (b"print('not an image')", "no image"),
}


def sixteen_bits() -> Image.Image:
    ramp = np.arange(30 * 40, dtype=np.uint16).reshape(30, 40) * 54
    return Image.fromarray(ramp)


# What is converted, and the pixels u8[h, w, 3] that it stands for.
def converted() -> dict[str, tuple[bytes, np.ndarray]]:
    plain = picture(5)
    rgb, grey = np.asarray(plain), np.asarray(plain.convert("L"))
    alpha = plain.convert("RGBA")
    alpha.putalpha(128)
    three = (30, 40, 3)
    return {
        "cmyk.jpg": (encoded(plain.convert("CMYK"), quality=95), rgb),
        "deep.png": (
            encoded(sixteen_bits(), "PNG"),
            np.broadcast_to((np.asarray(sixteen_bits()) >> 8)[..., None], three),
        ),
        "alpha.png": (encoded(alpha, "PNG"), rgb),
        "two.png": (
            encoded(plain.convert("1"), "PNG"),
            np.broadcast_to(np.asarray(plain.convert("1"))[..., None] * 255, three),
        ),
        "palette.gif": (
            encoded(plain.convert("P"), "GIF"),
            np.asarray(plain.convert("P").convert("RGB")),
        ),
        "plain.bmp": (encoded(plain, "BMP"), rgb),
        "deep.pgm": (
            b"P5 40 30 65535 " + np.asarray(sixteen_bits()).astype(">u2").tobytes(),
            np.broadcast_to((np.asarray(sixteen_bits()) >> 8)[..., None], three),
        ),
        "grey.webp": (
            encoded(plain.convert("L"), "WEBP", lossless=True),
            np.broadcast_to(grey[..., None], three),
        ),
    }


def write_tree(root: Path, classes: int = 3, images: int = 7, damaged: bool = True) -> Path:
    """A folder for each class; the second class has the damaged files too."""
    for c in range(classes):
        folder = root / f"class{c}"
        folder.mkdir(parents=True)
        for i in range(images):
            number = c * images + i
            (folder / f"{i}.jpg").write_bytes(jpeg(number, 40 + number, 30 + number % 3))
    if damaged:
        for name, (content, _) in DAMAGED.items():
            (root / "class1" / name).write_bytes(content)
    return root
