"""Minibatches of the images in record files, decoded by worker processes ahead of their use."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterable
from os import PathLike
from types import TracebackType
from typing import Literal

import numpy as np

from anode.data.batches import Arrays, Last, Minibatches, Position
from anode.data.decode import pillow
from anode.data.loader_worker import SLOT, TASK, pack
from anode.data.records import ImageRecords, open_records
from anode.data.workers import Memory, Workers, cores
from anode.errors import DataError

WORKER = "anode.data.loader_worker:main"
Mean = Literal["channels", "image"] | np.ndarray | float | None


class ImageLoader(Minibatches):
    """Minibatches (images, labels) of what `anode data ingest` made; see `Minibatches`.

    Images are u8[n, crop, crop, 3], labels i32[n]. An image is scaled so that its short side has
    `short_side` pixels, or a number drawn from a range of them; None leaves it as it is. Then a
    square of `crop` pixels is cut out: with a `seed` anywhere, and every second one mirrored, else
    from the middle; `random_crop` and `mirror` say otherwise. These draws, like the order, depend
    on the seed, the epoch and the place in it, and on nothing else.

    A `mean` is subtracted, which makes the images f32: "channels" are the data set's three means,
    "image" is the middle of its mean image, an array broadcasts to [crop, crop, 3]. Without, a
    model's `preprocess` can do it inside the compiled step, on a quarter of the bytes.

    `workers` processes, by default one for each core, decode up to `prefetch` minibatches ahead,
    by default two for each. They start with the first minibatch and end with `close`, with the
    loader, or with this process, however that ends; shared memory has no name that could be left.
    Needs Pillow. Raises `DataError`, with shard and offset, when a damaged record's turn comes.
    """

    def __init__(
        self,
        records: ImageRecords | str | PathLike[str],
        batch_size: int,
        *,
        crop: int = 224,
        short_side: int | tuple[int, int] | None = None,
        seed: int | None = None,
        last: Last = "drop",
        random_crop: bool | None = None,
        mirror: bool | None = None,
        mean: Mean = None,
        workers: int | None = None,
        prefetch: int | None = None,
    ) -> None:
        pillow()
        self.records = records if isinstance(records, ImageRecords) else open_records(records)
        super().__init__(len(self.records), batch_size, seed=seed, last=last)
        self.crop, self.short_side = crop, _range(crop, short_side)
        self.random_crop = seed is not None if random_crop is None else random_crop
        self.mirror = self.random_crop if mirror is None else mirror
        if seed is None and (self.random_crop or self.mirror):
            raise DataError("random_crop and mirror draw random numbers: give a seed")
        if self.short_side and self.short_side[0] < self.short_side[1] and not self.random_crop:
            raise DataError(
                f"short_side={short_side}: a range is for random crops; give one number"
            )
        root = os.path.abspath(self.records.folder)
        self._files = [os.path.join(root, name) for name in self.records.files]
        self.mean = _mean(self.records, crop, mean)
        self.workers = cores() if workers is None else workers
        self.prefetch = 2 * self.workers if prefetch is None else prefetch
        if self.workers < 1 or self.prefetch < 1:
            raise DataError(f"workers={workers}, prefetch={prefetch}: give at least 1 of each")
        self._pipeline: _Pipeline | None = None

    def close(self) -> None:
        """End the worker processes; the next minibatch starts others."""
        if self._pipeline is not None:
            self._pipeline.workers.close()
            self._pipeline = None

    def __enter__(self) -> ImageLoader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _minibatch(self, position: Position) -> Arrays:
        rows = self._rows(position)
        try:
            if self._pipeline is None:
                self._pipeline = _Pipeline(self)
            slot = self._pipeline.wait(position)[: len(rows)]
            if self.mean is None:
                images = slot.copy()
            else:
                images = np.subtract(slot, self.mean, dtype=np.float32)
            self._pipeline.advance()
        except BaseException:  # Ctrl-C may have cut a message in two
            self.close()
            raise
        return images, self.records.index["label"][rows].astype(np.int32)

    def _rows(self, position: Position) -> np.ndarray:
        rows = self._rows_at(position)
        return np.arange(self.rows)[rows] if isinstance(rows, slice) else rows

    def _task(self, slot: int, position: Position) -> bytes:
        """The message that asks a worker for a minibatch."""
        rows = self._rows(position)
        images = np.empty(len(rows), TASK)
        for name in TASK.names or ():
            images[name] = self.records.index[name][rows]
        random = self.random_crop or self.mirror
        return pack(slot, images, self._draws_at(position, len(rows)) if random else None)


class _Pipeline:
    """The minibatches that worker processes are decoding or have decoded, oldest first."""

    def __init__(self, loader: ImageLoader) -> None:
        self.loader = loader
        shape = loader.prefetch, loader.batch_size, loader.crop, loader.crop, 3
        self.memory = Memory(math.prod(shape))
        self.slots = self.memory.bytes[: math.prod(shape)].reshape(shape)
        setup = {
            "bytes": math.prod(shape),
            "memory": self.memory.file,
            "shape": shape,
            "files": loader._files,
            "cut": (loader.crop, loader.short_side, loader.random_crop, loader.mirror),
        }
        self.workers = Workers(WORKER, loader.workers, setup, [self.memory.file])
        self.free = list(range(loader.prefetch))
        self.pending: deque[tuple[Position, int]] = deque()
        self.busy: dict[int, int] = {}  # slots asked for, and who was asked
        self.unwanted: set[int] = set()  # of these, those whose answer nobody waits for
        self.failed: dict[int, str] = {}

    def wait(self, position: Position) -> np.ndarray:
        """The slot with the minibatch at a position, u8[batch_size, crop, crop, 3], once it is."""
        if not self.pending or not self._same(self.pending[0][0], position):
            self._restart()
        self._fill(position)
        slot = self.pending[0][1]
        while slot in self.busy:
            self._receive()
        if slot in self.failed:
            raise DataError(self.failed[slot])
        return self.slots[slot]

    def advance(self) -> None:
        """Free the oldest slot and have it filled with the next minibatch."""
        position, slot = self.pending.popleft()
        self.free.append(slot)
        self._fill(self.loader._following(position))

    def _same(self, one: Position, other: Position) -> bool:
        """Without a seed, all epochs are the same."""
        return one == other if self.loader.seed is not None else one.batch == other.batch

    def _restart(self) -> None:
        """Forget what is pending: the loader was put somewhere else."""
        for _, slot in self.pending:
            if slot in self.busy:
                self.unwanted.add(slot)
            else:
                self._release(slot)
        self.pending.clear()

    def _fill(self, position: Position) -> None:
        """Have every free slot filled, from `position` on where nothing is pending."""
        while not self.free:
            if self.pending:
                return
            self._receive()
        at = self.loader._following(self.pending[-1][0]) if self.pending else position
        while self.free:
            slot = self.free.pop()
            asked = list(self.busy.values())
            worker = min(range(self.loader.workers), key=asked.count)
            self.busy[slot] = worker
            self.pending.append((at, slot))
            self.workers.send(worker, self.loader._task(slot, at))
            at = self.loader._following(at)

    def _receive(self) -> None:
        for _, message in self.workers.receive():
            (slot,) = SLOT.unpack_from(message)
            del self.busy[slot]
            if len(message) > SLOT.size:
                self.failed[slot] = message[SLOT.size :].decode()
            if slot in self.unwanted:
                self.unwanted.remove(slot)
                self._release(slot)

    def _release(self, slot: int) -> None:
        self.failed.pop(slot, None)
        self.free.append(slot)


def _range(crop: int, short_side: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if crop < 1:
        raise DataError(f"crop={crop}: give at least 1 pixel")
    if short_side is None:
        return None
    try:
        least, most = short_side if isinstance(short_side, Iterable) else (short_side,) * 2
    except ValueError:
        raise DataError(f"short_side={short_side}: give a number or two") from None
    if not crop <= least <= most < 1 << 16:
        raise DataError(f"short_side={short_side}: give {crop} pixels, the crop, or more")
    return least, most


def _mean(records: ImageRecords, crop: int, mean: Mean) -> np.ndarray | None:
    """What is subtracted, f32 and broadcast to [crop, crop, 3]."""
    if mean is None:
        return None
    if isinstance(mean, str):
        if mean not in ("channels", "image"):
            raise DataError(f"mean={mean!r}: choose 'channels', 'image', an array or None")
        if mean == "channels":
            mean = np.array(records.mean)
        else:
            start = (len(records.mean_image) - crop) // 2
            if start < 0:
                raise DataError(
                    f"mean='image': it has {len(records.mean_image)} pixels, less than the crop of "
                    f"{crop}; choose mean='channels'"
                )
            mean = records.mean_image[start : start + crop, start : start + crop]
    try:
        return np.broadcast_to(np.asarray(mean, np.float32), (crop, crop, 3))
    except ValueError:
        raise DataError(
            f"mean of shape {list(np.shape(mean))} does not broadcast to [{crop}, {crop}, 3]"
        ) from None
