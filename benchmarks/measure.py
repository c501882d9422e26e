"""The measurement: contestants in turns on one model, and their imports one by one."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks import nets
from benchmarks.contestants import numpy_mlp
from benchmarks.environments import Contestant, ContestantError, installed_bytes
from benchmarks.models import MLP, batch_of, initial_layers, save_arrays
from benchmarks.process import ContestantProcess
from benchmarks.protocol import CHECKED_STEPS

PAUSE_S = 0.5  # between turns: the idle threads of OpenBLAS and OpenMP spin for a tenth of that
TOLERANCE = 1e-4
HALF_TOLERANCE = 0.1  # where products are in bf16
NET_TOLERANCE = 2e-3  # between two float32 computations, five steps deep

Pythons = dict[Contestant, Path]


@dataclass(frozen=True)
class Effort:
    """How much to measure."""

    rounds: int = 15
    steps: int = 100
    imports: int = 5
    threads: int = 2


@dataclass(frozen=True)
class Row:
    """One contestant on one model; `skipped` says in a sentence why there are no numbers."""

    contestant: str
    skipped: str = ""
    round_s: list[float] = field(default_factory=list)  # median step seconds of each round
    first_cold_s: float = 0.0
    first_warm_s: float = 0.0
    compile_cold_s: float = 0.0  # what the first step takes beyond a later one
    compile_warm_s: float = 0.0
    peak_mb: float = 0.0
    loss_error: float = 0.0  # largest relative difference to the expected first losses
    tolerance: float = TOLERANCE

    @property
    def step_s(self) -> float:
        return median(self.round_s)

    @property
    def spread(self) -> float:
        """The middle half of the rounds as a fraction of their median."""
        if len(self.round_s) < 2:
            return 0.0
        low, _, high = quantiles(self.round_s, n=4, method="inclusive")
        return (high - low) / self.step_s

    @property
    def wrong(self) -> bool:
        return not self.loss_error <= self.tolerance  # NaN is wrong too

    def ratio(self, other: Row) -> float:
        """How many times as long as `other` a step takes: the median of the rounds' ratios."""
        return median(a / b for a, b in zip(self.round_s, other.round_s, strict=True))


@dataclass(frozen=True)
class Installation:
    """What it costs to have and to import a contestant: medians over fresh processes."""

    contestant: str
    version: str = ""
    import_cpu_s: float = 0.0
    import_wall_s: float = 0.0
    installed_mb: float = 0.0


def expected_losses(mlp: MLP) -> list[float]:
    """The losses of the first steps, computed with NumPy in float64."""
    layers = [(w.astype(np.float64), b.astype(np.float64)) for w, b in initial_layers(mlp)]
    step = numpy_mlp.build(mlp, layers)
    images, labels = batch_of(mlp)
    return [float(step(images.astype(np.float64), labels)) for _ in range(CHECKED_STEPS)]


def measure_installation(contestant: Contestant, python: Path, effort: Effort) -> Installation:
    """Import the contestant in fresh processes; the first one only fills the disk cache."""
    replies = []
    with TemporaryDirectory() as scratch:
        for _ in range(effort.imports + 1):
            with ContestantProcess(
                contestant, python, Path(scratch) / "cache", effort.threads
            ) as process:
                replies.append(process.started)
    timed = replies[1:] or replies
    return Installation(
        contestant.name,
        timed[0]["version"],
        median(reply["import_cpu_s"] for reply in timed),
        median(reply["import_wall_s"] for reply in timed),
        installed_bytes(contestant) / 1e6,
    )


def measure_model(mlp: MLP, pythons: Pythons, effort: Effort) -> list[Row]:
    """All contestants on one model: first steps cold and warm, then rounds in turns."""
    with TemporaryDirectory() as scratch:
        arrays = Path(scratch) / "arrays.npz"
        save_arrays(mlp, arrays)
        entrants = race({**vars(mlp), "arrays": str(arrays)}, pythons, effort)
        expected = expected_losses(mlp)
        return [entrant.row(expected, TOLERANCE) for entrant in entrants]


def measure_net(name: str, pythons: Pythons, effort: Effort) -> list[Row]:
    """The same for a convolution net; the expected losses are those of the first PyTorch."""
    with TemporaryDirectory() as scratch:
        arrays = Path(scratch) / "arrays.npz"
        nets.save_arrays(nets.NETS[name], arrays)
        effort = replace(effort, steps=nets.NETS[name].steps)
        entrants = race({"net": name, "arrays": str(arrays)}, pythons, effort)
        ran = [entrant for entrant in entrants if not entrant.skipped]
        others = [entrant for entrant in ran if entrant.name.startswith("torch")]
        expected = (others or ran)[0].cold["losses"] if ran else []
        return [
            entrant.row(expected, HALF_TOLERANCE if "bf16" in entrant.name else NET_TOLERANCE)
            for entrant in entrants
        ]


def race(build: dict[str, Any], pythons: Pythons, effort: Effort) -> list[Entrant]:
    """Every contestant's first steps and rounds; their processes have ended."""
    with TemporaryDirectory() as scratch, ExitStack() as stack:
        entrants = [
            Entrant(contestant, python, build, Path(scratch) / contestant.name, effort, stack)
            for contestant, python in pythons.items()
        ]
        for number in range(effort.rounds):
            turn = number % len(entrants)  # nobody always runs after the same one
            for entrant in entrants[turn:] + entrants[:turn]:
                entrant.run_round()
        for entrant in entrants:
            entrant.finish()
    return entrants


class Entrant:
    """A contestant while one model is measured; after a failure it only keeps the reason."""

    def __init__(
        self,
        contestant: Contestant,
        python: Path,
        build: dict[str, Any],
        cache: Path,
        effort: Effort,
        stack: ExitStack,
    ) -> None:
        self.name, self.steps = contestant.name, effort.steps
        self.skipped = ""
        self.round_s: list[float] = []
        try:
            cache.mkdir()
            with ContestantProcess(contestant, python, cache, effort.threads) as process:
                self.cold = process.ask(build=build)
            process = ContestantProcess(contestant, python, cache, effort.threads)
            self.process = stack.enter_context(process)
            self.warm = self.process.ask(build=build)
        except ContestantError as error:
            self.skipped = str(error)

    def run_round(self) -> None:
        if self.skipped:
            return
        time.sleep(PAUSE_S)
        try:
            self.round_s.append(median(self.process.ask(run=self.steps)["step_s"]))
        except ContestantError as error:
            self.skipped = str(error)

    def finish(self) -> None:
        """Ask for what is known at the end."""
        self.peak_mb = 0.0 if self.skipped else self.process.ask(stats=True)["peak_mb"]

    def row(self, expected: list[float], tolerance: float) -> Row:
        if self.skipped:
            return Row(self.name, self.skipped)
        losses = self.cold["losses"] + self.warm["losses"]
        errors = np.abs(np.divide(losses, expected * 2) - 1)
        return Row(
            self.name,
            round_s=self.round_s,
            first_cold_s=self.cold["first_step_s"],
            first_warm_s=self.warm["first_step_s"],
            compile_cold_s=self.cold["compile_s"],
            compile_warm_s=self.warm["compile_s"],
            peak_mb=self.peak_mb,
            loss_error=float(errors.max()),
            tolerance=tolerance,
        )
