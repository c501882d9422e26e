"""Ingest: image files made into shards of record files, resumable, by several processes."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anode.data.batches import permutation
from anode.data.decode import MAX_PIXELS, QUALITY
from anode.data.ingestion_worker import prepare, read_entry
from anode.data.records import (
    FORMAT,
    MANIFEST,
    MAX_IMAGES,
    MEAN,
    REJECTED,
    Shard,
    fitting,
    listed_shards,
    open_records,
    read_manifest,
    read_record,
    read_shard,
    replaced,
    unwritable,
)
from anode.data.sources import Entry, Source, list_source
from anode.data.workers import Workers, cores
from anode.errors import DataError

SIDE = 256  # of the mean image, where the images are not smaller
TRIED = 1000  # images that may be damaged before the first good one
WORKER = "anode.data.ingestion_worker:main"


@dataclass(frozen=True)
class Options:
    """What decides the bytes that `ingest` writes, beside its source.

    Images whose short side has more than `short_side` pixels are made smaller, if it is given.
    `shuffle` puts the images in the order of `seed`. A shard has up to `shard_images`; what is not
    kept as it is becomes JPEG of `quality`; larger images than `max_pixels` are rejected.
    """

    short_side: int | None = None
    shuffle: bool = False
    seed: int = 0
    shard_images: int = 1024
    quality: int = QUALITY
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        bounds = {
            "short_side": (1, 1 << 15),
            "seed": (0, 2**64 - 1),
            "shard_images": (1, MAX_IMAGES),
            "quality": (1, 100),
            "max_pixels": (1, MAX_PIXELS),
        }
        for name, (least, most) in bounds.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise DataError(f"{name}={value}: choose {least} to {most}")
        if self.seed and not self.shuffle:
            raise DataError(f"seed={self.seed} is of the order of shuffled images: shuffle them")


@dataclass(frozen=True)
class Ingested:
    """How far an ingest is: images written and rejected, of `total`; `before` by earlier runs."""

    images: int
    rejected: int
    total: int
    before: int

    @property
    def done(self) -> int:
        return self.images + self.rejected


Report = Callable[[Ingested], None]


def ingest(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    options: Options | None = None,
    *,
    names: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    report: Report = lambda _: None,
) -> Ingested:
    """Write the images of a source (see `list_source`) as record files (see `records`).

    JPEG and PNG files of 8 bits, RGB or grey, are kept byte for byte; others (CMYK, palettes,
    alpha, 16 bits, other formats) become RGB or grey JPEG files. Files that are damaged, no images,
    or too large are left out, counted and listed in `rejected.txt`. The same source and options
    give the same bytes with any number of `workers`, by default one for each core.

    Shards appear whole. After a kill, an error or Ctrl-C at any moment, the same call makes those
    that are missing. Raises DataError for what cannot be read or written, for a source that has
    changed since, and for a folder with anything else in it.
    """
    options, folder = options or Options(), Path(folder)
    if workers is not None and workers < 1:
        raise DataError(f"workers={workers}: give at least 1")
    listed = list_source(source, names)
    order = permutation(len(listed.entries), options.seed, 0) if options.shuffle else None
    entries = listed.entries if order is None else [listed.entries[row] for row in order]
    with _writing(folder), _locked(folder):
        plan = _agreed(folder, _plan(listed, options, entries))
        _remove_partials(folder)
        cut = [
            entries[i : i + plan["shard_images"]]
            for i in range(0, len(entries), plan["shard_images"])
        ]
        parts = {f"shard-{i:05}.anodeimg": part for i, part in enumerate(cut)}
        try:
            _make(folder, plan, parts, workers or cores(), len(entries), report)
        finally:
            _remove_partials(folder)
        return _finish(folder, plan, list(parts), len(entries))


def _plan(source: Source, options: Options, entries: Sequence[Entry]) -> dict[str, Any]:
    """Everything that decides the bytes of the shards, as JSON."""
    plan = {
        "source": source.digest(),
        "images": len(entries),
        "classes": list(source.classes),
        "short_side": options.short_side,
        "seed": options.seed if options.shuffle else None,
        "shard_images": options.shard_images,
        "quality": options.quality,
        "max_pixels": options.max_pixels,
        "side": 1,
    }
    for entry in entries[:TRIED]:
        with suppress(DataError):
            return {**plan, "side": min(SIDE, *prepare(read_entry(entry), plan).size)}
    raise DataError(f"{entries[0].name}: it and the next {len(entries[:TRIED]) - 1} are no images")


def _agreed(folder: Path, plan: dict[str, Any]) -> dict[str, Any]:
    """The plan, written to a new folder, or compared with that of a folder to go on with."""
    if not (folder / MANIFEST).exists():
        others = [path.name for path in folder.iterdir() if not path.name.endswith(".partial")]
        if others:
            raise DataError(f"{folder}: has {others[0]} in it; give a new folder")
        _write_manifest(folder, plan, None)
        return plan
    kept = read_manifest(folder)["plan"]
    changed = [name for name in plan if kept.get(name) != plan[name]]
    if "source" in changed:
        raise DataError(
            f"{folder}: was begun with other images than the source has; use a new folder"
        )
    if changed:
        name = changed[0]
        raise DataError(f"{folder}: was begun with {name} {kept.get(name)}, not {plan[name]}")
    return plan


def _make(
    folder: Path,
    plan: dict[str, Any],
    parts: dict[str, list[Entry]],
    count: int,
    total: int,
    report: Report,
) -> None:
    """Make the shards that are missing, each by one of `count` worker processes."""
    images = rejected = 0
    missing = []
    for name in parts:
        found = _existing(folder / name, plan)
        if found is None:
            missing.append(name)
        else:
            images, rejected = images + len(found.index), rejected + len(found.facts["rejected"])
    before = images + rejected
    report(Ingested(images, rejected, total, before))
    tasks = iter(missing)
    workers = Workers(WORKER, min(count, len(missing)), {"plan": plan, "folder": str(folder)})
    try:
        now = {w: (0, 0) for w in range(len(workers.processes)) if _give(workers, w, tasks, parts)}
        while now:
            for worker, message in workers.receive():
                found = json.loads(message)
                now[worker] = found["images"], found["rejected"]
                if found["finished"]:
                    images, rejected = images + now[worker][0], rejected + now[worker][1]
                    now[worker] = 0, 0
                    if not _give(workers, worker, tasks, parts):
                        del now[worker]
            current = [sum(counts) for counts in zip(*now.values(), strict=True)] or [0, 0]
            report(Ingested(images + current[0], rejected + current[1], total, before))
    finally:
        workers.close()


def _give(
    workers: Workers, worker: int, tasks: Iterator[str], parts: dict[str, list[Entry]]
) -> bool:
    """Give a worker the next shard to make, if there is one."""
    name = next(tasks, None)
    if name is not None:
        workers.send(worker, json.dumps({"file": name, "entries": parts[name]}).encode())
    return name is not None


def _existing(path: Path, plan: dict[str, Any]) -> Shard | None:
    """A shard that an earlier run made, if it is whole and of this plan."""
    if not path.exists():
        return None
    with suppress(DataError):
        shard = read_shard(path)
        fitting(shard, plan["source"])
        return shard
    return None


def _finish(folder: Path, plan: dict[str, Any], files: list[str], total: int) -> Ingested:
    """Write the list of what was rejected, the mean image and the manifest."""
    sums = np.zeros((plan["side"], plan["side"], 3), np.uint64)
    squares = np.zeros(3, np.uint64)
    rejected: list[tuple[str, str]] = []
    shards, images, converted = [], 0, 0
    for name in files:
        shard = read_shard(folder / name)
        sums += shard.sums
        squares += np.array(shard.facts["squares"], np.uint64)
        rejected += shard.facts["rejected"]
        images, converted = images + len(shard.index), converted + shard.facts["converted"]
        size = (folder / name).stat().st_size
        shards.append({"file": name, "images": len(shard.index), "bytes": size})
    with replaced(folder / REJECTED) as file:
        lines = (f"{_one_line(name)}\t{_one_line(reason)}\n" for name, reason in rejected)
        file.write("".join(lines).encode(errors="backslashreplace"))
    if not images:
        raise DataError(f"{folder / REJECTED}: all {total} files were rejected; see why in there")
    mean = idx_bytes((sums / images).astype(np.float32))
    with replaced(folder / MEAN) as file:
        file.write(mean)
    count = images * plan["side"] ** 2
    means = sums.sum((0, 1), dtype=np.uint64) / count
    deviations = np.sqrt(np.maximum(squares / count - means**2, 0))
    result = {
        "images": images,
        "rejected": len(rejected),
        "converted": converted,
        "shards": shards,
        "mean": means.tolist(),
        "std": deviations.tolist(),
        "mean_crc32": zlib.crc32(mean),
    }
    _write_manifest(folder, plan, result)
    return Ingested(images, len(rejected), total, total)


def check(
    folder: str | os.PathLike[str], report: Callable[[int, int], None] = lambda done, total: None
) -> list[str]:
    """What is wrong with record files, a sentence for each problem: every byte is read.

    `report` gets bytes read and all bytes. Raises DataError where there is no manifest, or the
    ingest is not complete.
    """
    root = Path(folder)
    manifest = read_manifest(root)
    shards = listed_shards(root, manifest)
    problems: list[str] = []
    done, total = 0, sum(size for _, _, size in shards)
    for path, _, size in shards:
        problems += _problems(path)
        done += size
        report(done, total)
    with _noting(problems):
        open_records(root)
    with _noting(problems):
        try:
            right = zlib.crc32((root / MEAN).read_bytes()) == manifest["result"].get("mean_crc32")
        except OSError as error:
            raise DataError(f"{root / MEAN}: cannot be read ({error.strerror})") from error
        if not right:
            raise DataError(f"{root / MEAN}: damaged: it does not have its crc32; ingest again")
    return list(dict.fromkeys(problems))


def _problems(path: Path) -> list[str]:
    problems: list[str] = []
    with _noting(problems):
        shard = read_shard(path)
        with path.open("rb") as file:
            for offset, size, crc in shard.index[["offset", "size", "crc32"]].tolist():
                with _noting(problems):
                    read_record(path, file.fileno(), offset, size, crc)
    return problems


@contextmanager
def _noting(problems: list[str]) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        problems.append(str(error))


def idx_bytes(array: np.ndarray) -> bytes:
    """A file as `read_idx` reads it, of an array f32."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 0x0D, array.ndim, *array.shape)
    return header + array.astype(">f4").tobytes()


def _write_manifest(folder: Path, plan: dict[str, Any], result: dict[str, Any] | None) -> None:
    with replaced(folder / MANIFEST) as file:
        text = json.dumps({"format": FORMAT, "plan": plan, "result": result}, indent=1)
        file.write(text.encode() + b"\n")


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Makes the folder, and a sentence of an error to write in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise unwritable(folder, error) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keeps other processes from ingesting into a folder; the lock ends with this one."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise DataError(f"{folder}: another process is ingesting into it; wait for it") from None
    finally:
        os.close(handle)


def _remove_partials(folder: Path) -> None:
    """Remove what processes that were killed had begun."""
    for path in folder.glob(".*.partial"):
        with suppress(OSError):
            path.unlink()


def _one_line(text: str) -> str:
    return " ".join(text.split())
