"""A worker process of `ingest`: makes shards, one after another, of the images it is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from anode.data.decode import encode, is_stored, load, open_image, pillow, pixels, shrink
from anode.data.records import ShardWriter, unwritable
from anode.data.sources import Entry
from anode.data.workers import Channel
from anode.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_FILE = 1 << 28
REPORT = 0.1  # seconds between two reports of how far a shard is


def main(channel: Channel, setup: dict[str, Any]) -> None:
    """Make the shard of each message; setup has the plan and the folder."""
    while True:
        task = json.loads(channel.receive())
        path = Path(setup["folder"]) / task["file"]
        try:
            make_shard(path, setup["plan"], [Entry(*e) for e in task["entries"]], channel.send)
        except OSError as error:
            raise unwritable(path, error) from error


def make_shard(
    path: Path, plan: dict[str, Any], entries: list[Entry], send: Callable[[bytes], None]
) -> None:
    """Write one shard; `send` gets {"images", "rejected", "finished"} about it, now and then."""
    writer = ShardWriter(path, plan["side"])
    names: list[str] = []
    rejected: list[tuple[str, str]] = []
    squares, said, converted = np.zeros(3, np.uint64), monotonic(), 0

    def report(finished: bool) -> None:
        found = {"images": len(names), "rejected": len(rejected), "finished": finished}
        send(json.dumps(found).encode())

    for entry in entries:
        try:
            ready = prepare(read_entry(entry), plan)
        except DataError as error:
            rejected.append((entry.name, str(error)))
        else:
            names.append(entry.name)
            converted += ready.converted
            columns = (ready.square.astype(np.uint16) ** 2).sum(0, dtype=np.uint32)
            squares += columns.sum(0, dtype=np.uint64)
            writer.add(ready.content, entry.label, ready.size, ready.square)
        if monotonic() - said > REPORT:
            said = monotonic()
            report(False)
    facts = {"names": names, "rejected": rejected, "converted": converted}
    writer.finish({**facts, "plan": plan["source"], "squares": squares.tolist()})
    report(True)


class Ready(NamedTuple):
    """An image as it goes into a record."""

    content: bytes
    size: tuple[int, int]
    square: np.ndarray
    converted: bool


def read_entry(entry: Entry) -> bytes:
    """The bytes of an image; DataError gives the reason only."""
    if entry.size > MAX_FILE:
        raise DataError(f"its {entry.size} bytes are more than {MAX_FILE}")
    if entry.size == 0:
        raise DataError("it is empty, or not there")
    try:
        with open(entry.path, "rb") as file:
            file.seek(entry.offset)
            content = file.read(entry.size)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"it cannot be read ({reason})") from error
    if len(content) < entry.size:
        raise DataError(f"its file ends after {len(content)} of {entry.size} bytes")
    return content


def prepare(content: bytes, plan: dict[str, Any]) -> Ready:
    """An image file decoded once, and made into a smaller or a JPEG file if the plan needs it."""
    image, short_side = open_image(content, plan["max_pixels"]), plan["short_side"]
    size, side = image.size, plan["side"]
    if is_stored(image) and (short_side is None or min(size) <= short_side):
        image.draft(None, (side, side))  # decoded smaller, if more is not needed
        return Ready(content, size, middle(load(image), side), False)
    plain = load(image) if short_side is None else shrink(image, short_side)
    return Ready(encode(plain, plan["quality"]), plain.size, middle(plain, side), True)


def middle(image: Image, side: int) -> np.ndarray:
    """The largest square in the middle, scaled to u8[side, side, 3]."""
    width, height = image.size
    short = min(width, height)
    left, top = (width - short) // 2, (height - short) // 2
    box = left, top, left + short, top + short
    if short == side:
        return pixels(image.crop(box))
    return pixels(image.resize((side, side), pillow().Resampling.BILINEAR, box))
