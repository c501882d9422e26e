"""A worker process of `ImageLoader`: decodes the images of minibatches into shared memory."""

from __future__ import annotations

import os
import struct
from functools import lru_cache
from typing import Any

import numpy as np

from anode.data.batches import DRAWS
from anode.data.decode import Cut
from anode.data.records import read_record
from anode.data.workers import Channel, Memory
from anode.errors import DataError

TASK = np.dtype([("shard", "<u4"), ("offset", "<u8"), ("size", "<u4"), ("crc32", "<u4")])
HEAD = struct.Struct("<III")  # slot, images, random words for each
SLOT = struct.Struct("<I")
OPEN_FILES = 64


def pack(slot: int, images: np.ndarray, words: np.ndarray | None) -> bytes:
    """The message that asks for a minibatch: a TASK for each image, u64[n, 4] words or none."""
    drawn = 0 if words is None else DRAWS
    random = b"" if words is None else words.astype("<u8").tobytes()
    return HEAD.pack(slot, len(images), drawn) + images.tobytes() + random


def main(channel: Channel, setup: dict[str, Any]) -> None:
    """Decode the minibatch of each message into its slot; answer with the slot and what failed."""
    memory = Memory(setup["bytes"], setup["memory"])
    slots = memory.bytes[: setup["bytes"]].reshape(setup["shape"])
    cut = Cut(*setup["cut"])

    @lru_cache(OPEN_FILES)
    def shard(number: int) -> _Open:
        return _Open(setup["files"][number])

    while True:
        message = channel.receive()
        slot, count, drawn = HEAD.unpack_from(message)
        tasks = np.frombuffer(message, TASK, count, HEAD.size)
        words = np.frombuffer(message, "<u8", count * drawn, HEAD.size + tasks.nbytes)
        failure = ""
        try:
            for row, (number, *place) in enumerate(tasks.tolist()):
                random = words[DRAWS * row :][:DRAWS] if drawn else None
                slots[slot, row] = _square(shard(number), place, cut, random)
        except DataError as error:
            failure = str(error)
        channel.send(SLOT.pack(slot) + failure.encode())


class _Open:
    """An open shard, closed when it is forgotten."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self.file = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error

    def __del__(self) -> None:
        if hasattr(self, "file"):
            os.close(self.file)


def _square(shard: _Open, place: list[int], cut: Cut, words: np.ndarray | None) -> np.ndarray:
    try:
        content = read_record(shard.path, shard.file, *place)
    except OSError as error:
        raise DataError(f"{shard.path}: cannot be read ({error.strerror})") from error
    try:
        return cut(content, words)
    except DataError as error:
        raise DataError(f"{shard.path}: the image at offset {place[0]}: {error}") from error
