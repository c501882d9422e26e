"""Record files: a data set of image files in shards, each with an index and check sums.

A shard has, with all numbers little-endian and nothing between the parts,

    header   64 bytes: "anodeimg", u32 version 1, u32 crc32 of index, sums and facts, u64 images,
             u64 offset of the index, u64 bytes of the file, u32 side of the sums, u32 bytes of the
             facts, u32 crc32 of the header up to here, zeros
    images   JPEG or PNG files, RGB or grey
    index    24 bytes an image: u64 offset, u32 bytes, u32 label, u32 crc32, u16 width, u16 height
    sums     u32[side, side, 3]: the images' middle squares, scaled to `side`, added up
    facts    JSON: the plan it belongs to, names of the images, what was rejected and why

In a folder, `manifest.json` has the plan and, once all is there, the result: the shards, the
classes, the means; `mean.idx` is the mean image, f32[side, side, 3].
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from anode.data.idx import read_idx
from anode.errors import DataError

MAGIC, VERSION = b"anodeimg", 1
HEADER = struct.Struct("<8sIIQQQIII")
HEADER_BYTES = 64
INDEX = np.dtype(
    [
        ("offset", "<u8"),
        ("size", "<u4"),
        ("label", "<u4"),
        ("crc32", "<u4"),
        ("width", "<u2"),
        ("height", "<u2"),
    ]
)
MAX_IMAGES = 1 << 20  # of a shard: sums of u8 stay below 2**32
MAX_SIDE = 1 << 12
MAX_JSON = 1 << 28
FORMAT = "anode images 1"
MANIFEST, MEAN, REJECTED = "manifest.json", "mean.idx", "rejected.txt"


@dataclass(frozen=True, eq=False)
class Shard:
    """What a shard's end says: the index of its images, their sums and the JSON facts."""

    path: Path
    index: np.ndarray
    sums: np.ndarray
    facts: dict[str, Any]


class ShardWriter:
    """Writes a shard, which appears under its name whole or not at all."""

    def __init__(self, path: Path, side: int) -> None:
        self.path = path
        self.partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        self.rows: list[tuple[int, ...]] = []
        self.sums = np.zeros((side, side, 3), np.uint32)
        self._file: BinaryIO = self.partial.open("wb")
        self._file.write(bytes(HEADER_BYTES))
        self._offset = HEADER_BYTES

    def add(self, content: bytes, label: int, size: tuple[int, int], square: np.ndarray) -> None:
        """Append a file of `size` (width, height); `square` is its middle, u8[side, side, 3]."""
        self._file.write(content)
        self.rows.append((self._offset, len(content), label, zlib.crc32(content), *size))
        self._offset += len(content)
        self.sums += square

    def finish(self, facts: dict[str, Any]) -> None:
        """Write the rest, make it last on the disk, and give the file its name."""
        text = json.dumps(facts, sort_keys=True).encode()
        tail = np.array(self.rows, INDEX).tobytes() + self.sums.tobytes() + text
        side, total = len(self.sums), self._offset + len(tail)
        header = HEADER.pack(
            MAGIC,
            VERSION,
            zlib.crc32(tail),
            len(self.rows),
            self._offset,
            total,
            side,
            len(text),
            0,
        )[:-4]
        self._file.write(tail)
        self._file.seek(0)
        self._file.write(header + struct.pack("<I", zlib.crc32(header)))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self.partial, self.path)


def read_shard(path: Path) -> Shard:
    """The index, sums and facts of a shard, not its images.

    What the header promises is compared with the file's size before memory is taken. Raises
    DataError for a file that is missing, damaged or cut short.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            images, side, facts, start, check = _header(path, file.read(HEADER_BYTES), size)
            file.seek(start)
            tail = file.read(size - start)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if zlib.crc32(tail) != check or len(tail) != size - start:
        raise _damaged(path, "its index does not have its crc32")
    index = np.frombuffer(tail, INDEX, images)
    offsets = index["offset"]
    if images and not HEADER_BYTES <= offsets.min() <= offsets.max() <= start:
        raise _damaged(path, "its index points outside of the images")
    if images and (offsets + index["size"]).max() > start:
        raise _damaged(path, "its index points outside of the images")
    sums = np.frombuffer(tail, "<u4", 3 * side * side, index.nbytes).reshape(side, side, 3)
    return Shard(path, index, sums, _facts(path, tail[len(tail) - facts :]))


def _header(path: Path, content: bytes, size: int) -> tuple[int, int, int, int, int]:
    """Images, side, bytes of facts, offset and crc32 of the index, once they fit together."""
    if len(content) < HEADER_BYTES or content[:8] != MAGIC:
        raise DataError(f"{path}: no shard of anode's record files; check the path")
    _, version, check, images, start, total, side, facts, own = HEADER.unpack_from(content)
    if zlib.crc32(content[: HEADER.size - 4]) != own:
        raise _damaged(path, "its header does not have its crc32")
    if version != VERSION:
        raise DataError(f"{path}: version {version} of the format, not {VERSION}; use its anode")
    if images > MAX_IMAGES or side > MAX_SIDE or facts > MAX_JSON:
        raise _damaged(path, "its header promises too much")
    tail = images * INDEX.itemsize + 12 * side * side + facts
    if total != size or start + tail != size or start < HEADER_BYTES:
        raise _damaged(path, f"it has {size} bytes, its header promises {total}")
    return images, side, facts, start, check


def _facts(path: Path, text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
        str(found["plan"]), int(found["converted"])
        list(found["names"]), dict(found["rejected"]), np.array(found["squares"], np.uint64)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise _damaged(path, "its facts are not what ingest writes") from error
    return dict(found)


def _damaged(path: Path, how: str) -> DataError:
    return DataError(
        f"{path}: damaged: {how}; delete it and ingest again, which makes only it anew"
    )


@dataclass(frozen=True, eq=False)
class ImageRecords:
    """A data set that `anode data ingest` made.

    `index` has a row for each image with the fields of INDEX and `shard`, a number in `files`.
    `mean` and `std` are of the channels red, green and blue, from 0 to 255, over the pixels of the
    images' middle squares.
    """

    folder: Path
    files: tuple[str, ...]
    index: np.ndarray
    classes: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __len__(self) -> int:
        return len(self.index)

    @property
    def labels(self) -> np.ndarray:
        """The images' labels, i32[n]."""
        return self.index["label"].astype(np.int32)

    @cached_property
    def mean_image(self) -> np.ndarray:
        """The mean of the images' middle squares, f32[side, side, 3]."""
        return read_idx(self.folder / MEAN)

    def read(self, row: int) -> bytes:
        """The file of an image, checked; DataError has the name of the shard and the offset."""
        found = self.index[row]
        path = self.folder / self.files[found["shard"]]
        try:
            with path.open("rb") as file:
                return read_record(path, file.fileno(), *found[["offset", "size", "crc32"]].item())
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def read_record(path: object, file: int, offset: int, size: int, check: int) -> bytes:
    """The bytes of an image in an open shard; DataError where they do not have their crc32."""
    content = os.pread(file, size, offset)
    if len(content) != size or zlib.crc32(content) != check:
        raise DataError(
            f"{path}: damaged: the image of {size} bytes at offset {offset} does not have its "
            "crc32; delete the file and ingest again, which makes only it anew"
        )
    return content


def open_records(folder: str | os.PathLike[str]) -> ImageRecords:
    """The data set that `anode data ingest` wrote to `folder`: all indexes, no images.

    Raises DataError where it is not complete, or a shard is missing, damaged or of another plan.
    """
    root = Path(folder)
    manifest = read_manifest(root)
    listed = listed_shards(root, manifest)
    try:
        mean, std = (tuple(map(float, manifest["result"][name])) for name in ("mean", "std"))
        classes, plan = tuple(map(str, manifest["plan"]["classes"])), manifest["plan"]["source"]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{root / MANIFEST}: no manifest of anode's record files") from error
    shards = [read_shard(path) for path, _, _ in listed]
    for shard, (_, images, _) in zip(shards, listed, strict=True):
        fitting(shard, plan, images)
    index = np.empty(sum(len(s.index) for s in shards), [*INDEX.descr, ("shard", "<u4")])
    for name in INDEX.names or ():
        index[name] = np.concatenate([shard.index[name] for shard in shards])
    index["shard"] = np.repeat(np.arange(len(shards)), [len(shard.index) for shard in shards])
    if len(index) and index["label"].max() >= len(classes):
        raise DataError(f"{root}: label {index['label'].max()} is beyond {len(classes)} classes")
    files = tuple(path.name for path, _, _ in listed)
    return ImageRecords(root, files, index, classes, mean, std)  # type: ignore[arg-type]


def listed_shards(root: Path, manifest: dict[str, Any]) -> list[tuple[Path, int, int]]:
    """Path, images and bytes of each shard of a complete manifest; else DataError."""
    if manifest["result"] is None:
        raise DataError(f"{root}: not complete; run the same anode data ingest again to finish it")
    try:
        return [
            (root / os.path.basename(shard["file"]), int(shard["images"]), int(shard["bytes"]))
            for shard in manifest["result"]["shards"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{root / MANIFEST}: no manifest of anode's record files") from error


def fitting(shard: Shard, plan: str, images: int | None = None) -> None:
    """Raise DataError unless a shard is of a plan's source and has the images known of it."""
    if shard.facts["plan"] != plan:
        raise DataError(f"{shard.path}: of another data set; delete it and ingest again")
    if images is not None and len(shard.index) != images:
        raise DataError(f"{shard.path}: {len(shard.index)} images, the manifest has {images}")


def read_manifest(root: Path) -> dict[str, Any]:
    """The manifest of a folder, with `plan` and `result`; DataError where there is none."""
    path = root / MANIFEST
    try:
        if path.stat().st_size > MAX_JSON:
            raise DataError(f"{path}: larger than a manifest can be")
        found = json.loads(path.read_bytes())
        if found["format"] != FORMAT or not {"plan", "result"} <= found.keys():
            raise ValueError(path)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); anode data ingest makes it"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{path}: no manifest of anode's record files") from error
    return dict(found)


def unwritable(path: Path, error: OSError) -> DataError:
    """The error for a full disk and the like."""
    return DataError(
        f"{path}: cannot be written ({error.strerror}); what is done is kept: make room and run "
        "the same command again"
    )


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` in one step when all has gone well."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink()
