"""`anode train`: a model is trained, evaluated, kept and drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from anode.commands.display import Display, percent
from anode.commands.settings import Keep, Settings, check_threads, settings_of
from anode.data import Batches, ImageSet, Splits
from anode.errors import AnodeError, CheckpointError, DataError
from anode.frontends import layers as nn
from anode.pictures import digit_sheet, learning_curves
from anode.runtime import checkpoint

CHECKPOINT, CURVES, DIGITS = "checkpoint.safetensors", "curves.png", "digits.png"
CORRECT, WRONG = 36, 72  # images on the sheet, at most
TEST_BATCH = 1000
FOLDER = "runs/mnist"
COST, ACCURACY = nn.CrossEntropyMulti(), nn.Accuracy()


class Stopped(AnodeError):
    """Training that Ctrl-C ended; the message says what is kept."""

    exit_code = 130


@dataclass(frozen=True)
class Run:
    """One run of training: the settings, where it runs, and where its files go."""

    settings: Settings
    out: Path
    resume: Path | None = None
    backend: str | None = None
    threads: int | None = None

    @staticmethod
    def of(given: Mapping[str, Any]) -> Run:
        """The run for the options that were given; with `resume` the checkpoint has the others.

        That is a file, or the folder of a run.
        """
        place = {name: given.get(name) for name in ("backend", "threads")}
        own = {k: v for k, v in given.items() if k not in ("out", "resume", "backend", "threads")}
        check_threads(place["threads"], place["backend"])
        if given.get("resume") is None:
            return Run(Settings(**own), Path(given.get("out", FOLDER)), **place)
        resume = Path(given["resume"])
        if resume.is_dir():
            resume /= CHECKPOINT
        settings = settings_of(checkpoint.load(resume)[1], resume, own)
        return Run(settings, Path(given.get("out", resume.parent)), resume, **place)

    @property
    def checkpoint(self) -> Path:
        return self.out / CHECKPOINT


def train(run: Run, console: Console) -> None:
    """Train to the last epoch and write checkpoint, learning curves and a sheet of digits.

    A checkpoint is written after each epoch, whole or not at all. Raises AnodeError for settings,
    data, checkpoints or folders that cannot be used, and Stopped on Ctrl-C.
    """
    settings = run.settings
    splits = settings.splits()
    model = settings.network(run.backend, run.threads)
    if run.resume is not None:
        take_up(model, run)
    batches = settings.minibatches(splits.train)
    prepare(run.out)
    show_data(console, splits, batches)
    display = Display(console, splits.train.images.shape[1:], settings.batch)
    test = in_order(splits.test)
    callbacks = [nn.Evaluate(test, (COST, ACCURACY)), display, Keep(settings)]
    callbacks.append(nn.Checkpoint(run.checkpoint))
    try:
        history = model.fit(batches, COST, settings.solver(), settings.epochs, callbacks)
        finish(run, model, splits.test, history, console)
    except KeyboardInterrupt:
        raise Stopped(kept(run, model)) from None


def take_up(model: nn.Model, run: Run) -> None:
    """Load the checkpoint that a run resumes."""
    assert run.resume is not None
    model.load(run.resume)
    if model.progress.epoch >= run.settings.epochs:
        raise CheckpointError(
            f"{run.resume} has all its {model.progress.epoch} epochs; "
            f"give a larger number with --epochs to train on"
        )


def prepare(folder: Path) -> None:
    """Make the folder of a run's files, before anything is trained in vain."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"--out {folder}: cannot be made ({error.strerror})") from error


def show_data(console: Console, splits: Splits, batches: Batches) -> None:
    images = f"{len(splits.train):,} training and {len(splits.test):,} test images"
    left = len(splits.train) - len(batches) * batches.batch_size
    rest = f" ({left} images, others each epoch, are left over)" if left else ""
    line = f"{images}, {len(batches):,} minibatches of {batches.batch_size}{rest}"
    console.print(line, highlight=False, soft_wrap=True)
    console.print()


def finish(
    run: Run, model: nn.Model, test: ImageSet, history: nn.History, console: Console
) -> None:
    """Draw the pictures and say what was reached."""
    found = history.epochs
    measured = {
        "train loss": found["cost"],
        "test loss": found["CrossEntropyMulti"],
        "test accuracy": found["Accuracy"],
    }
    learning_curves(
        measured, run.out / CURVES, f"{run.settings.model}, tested on {len(test):,} images"
    )
    draw_digits(model, test, run.out / DIGITS)
    loss, accuracy = found["CrossEntropyMulti"][-1], found["Accuracy"][-1]
    console.print()
    console.print(f"test loss {loss:.4f}, test accuracy {percent(accuracy)}", highlight=False)
    for name in (CHECKPOINT, CURVES, DIGITS):
        console.print(f"wrote {run.out / name}", highlight=False, soft_wrap=True)


def draw_digits(model: nn.Model, test: ImageSet, path: Path) -> None:
    """A sheet of the first images classified correctly, and of the first ones that were not."""
    predicted = model.get_outputs(in_order(test)).argmax(axis=1)
    right = predicted == test.labels
    rows = np.concatenate([np.flatnonzero(right)[:CORRECT], np.flatnonzero(~right)[:WRONG]])
    title = f"{right.sum():,} of {len(test):,} test images right"
    images, labels = test.images[rows], test.labels[rows]
    digit_sheet(images, labels, predicted[rows], path, title, classes=test.classes)


def in_order(images: ImageSet) -> Batches:
    """Every image once, in the order of the file."""
    return Batches((images.images, images.labels), TEST_BATCH, last="keep")


def kept(run: Run, model: nn.Model) -> str:
    """What Ctrl-C leaves."""
    epochs = model.progress.epoch
    if not epochs:
        return "stopped in the first epoch, before a checkpoint was written"
    return (
        f"stopped after {epochs} epoch{'s' * (epochs > 1)}; "
        f"anode train mnist --resume {run.checkpoint} goes on from there"
    )
