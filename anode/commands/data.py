"""`anode data`: record files of images, made and checked, and the files of old scripts."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from anode.data.ingestion import Ingested, Options, check, ingest
from anode.data.legacy import KINDS, write_legacy
from anode.data.records import REJECTED, open_records
from anode.errors import AnodeError, DataError

app = typer.Typer()
DEFAULT = Options()

Folder = Annotated[str, typer.Argument(metavar="OUT", help="Folder of the record files.")]


class Stopped(AnodeError):
    """An ingest that Ctrl-C ended."""

    exit_code = 130


@app.callback(invoke_without_command=True)
def start(context: typer.Context) -> None:
    """Record files of images, made and checked, and the files that old scripts look for."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command("ingest")
def ingest_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Folder with a subfolder or a tar for each class, a tar of these, or a text file "
            "of lines with a path and a label.",
        ),
    ],
    out: Folder,
    short_side: Annotated[
        int | None, typer.Option(help="Make larger images smaller, such as 256.")
    ] = None,
    shuffle: Annotated[
        bool, typer.Option("--shuffle", help="Put them in the order of a seed.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of that order.")] = DEFAULT.seed,
    names: Annotated[
        str | None, typer.Option(help="File of lines with a class and its words.")
    ] = None,
    shard_images: Annotated[int, typer.Option(help="Of a record file.")] = DEFAULT.shard_images,
    quality: Annotated[int, typer.Option(help="Of JPEG files made anew.")] = DEFAULT.quality,
    max_pixels: Annotated[
        int, typer.Option(help="Reject images that claim more.")
    ] = DEFAULT.max_pixels,
    workers: Annotated[int | None, typer.Option(help="Processes, by default one a core.")] = None,
) -> None:
    """Make record files of images.

    What is no image, damaged or cut short is left out, counted and listed in rejected.txt. A run
    that was stopped, killed or found the disk full goes on when it is given again.
    """
    console = Console()
    options = Options(short_side, shuffle, seed, shard_images, quality, max_pixels)
    try:
        with _bar(console, MofNCompleteColumn()) as bar:
            task = bar.add_task("reading the source", total=None, text="")

            def report(now: Ingested) -> None:
                if bar.tasks[0].total is None:  # the source has been read: the clock starts
                    bar.reset(task, total=now.total, completed=now.before, description="")
                speed = _speed(bar, now)
                text = f"{speed:,.0f} images/s, {now.rejected:,} rejected"
                bar.update(task, completed=now.done, text=text)

            ingest(source, out, options, names=names, workers=workers, report=report)
    except KeyboardInterrupt:
        raise Stopped(
            f"stopped; the record files in {out} are kept, the same command goes on from there"
        ) from None
    show(console, out)


@app.command("check")
def check_command(out: Folder) -> None:
    """Read all of the record files and compare them with their check sums."""
    console = Console()
    with _bar(console, TaskProgressColumn()) as bar:
        task = bar.add_task("", total=None, text="")

        def report(done: int, total: int) -> None:
            bar.update(task, total=total, completed=done, text=f"{done / 2**20:,.0f} MiB")

        problems = check(out, report)
    for problem in problems:
        console.print(problem, markup=False, highlight=False, soft_wrap=True)
    if problems:
        raise DataError(f"{out}: {len(problems)} problem{'s' * (len(problems) > 1)}, listed above")
    show(console, out)


@app.command("legacy")
def legacy_command(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"{', '.join(KINDS)}.")],
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="mnist: a folder of four IDX files, or - for anode's own; cifar10: a folder of "
            "batches or images; ptb, shakespeare: a text; imdb: a folder or zip of reviews in pos "
            "and neg.",
        ),
    ],
    out: Annotated[str, typer.Argument(metavar="OUT", help="The folder to write to.")],
) -> None:
    """Make the files that scripts for neon and ngraph look for in the folder after -w."""
    for path in write_legacy(kind, source, out):
        print(path)


def show(console: Console, out: str) -> None:
    """What a folder of record files holds."""
    records = open_records(out)
    rejected = len((records.folder / REJECTED).read_bytes().splitlines())
    mean, std = (
        ", ".join(f"{value:.2f}" for value in values) for values in (records.mean, records.std)
    )
    size = int(records.index["size"].sum())
    for line in (
        f"{len(records):,} images of {len(records.classes):,} classes, {size / 2**20:,.1f} MiB, "
        f"in {len(records.files):,} record files",
        f"mean of red, green, blue {mean}; standard deviation {std}",
        *([f"{rejected:,} rejected, see {records.folder / REJECTED}"] if rejected else []),
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _bar(console: Console, count: MofNCompleteColumn | TaskProgressColumn) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        count,
        TextColumn("{task.fields[text]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _speed(bar: Progress, now: Ingested) -> float:
    """Images per second of this run, without what earlier ones did."""
    elapsed = bar.tasks[0].elapsed or 0.0
    return (now.done - now.before) / elapsed if elapsed else 0.0
