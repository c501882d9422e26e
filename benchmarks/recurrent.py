"""`python -m benchmarks.recurrent`: a step of a character model, in anode, JAX and PyTorch.

Characters, as numbers, become one-hot rows in each contestant's own step. An LSTM with 128 units
over 20 and 40 steps of 64 rows, a layer to 65 classes at each step, softmax cross entropy and
RMSProp. All start from the same weights, and the losses of the first five steps are compared with
PyTorch's.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.environments import CONTESTANTS, Contestant, prepare
from benchmarks.measure import NET_TOLERANCE, Effort, Pythons, Row, race
from benchmarks.report import table

Floats = npt.NDArray[np.float32]
Characters = npt.NDArray[np.int32]
CLASSES, UNITS, BATCH = 65, 128, 64
RATE, DECAY, EPSILON = 0.002, 0.95, 1e-6
STEPS = (20, 40)
_NAMES = {"anode": "anode_lstm", "jax": "jax_lstm", "torch": "torch_lstm"}
RECURRENT = tuple(replace(c, module=_NAMES[c.name]) for c in CONTESTANTS if c.name in _NAMES)


@dataclass(frozen=True)
class Weights:
    """Of the LSTM, with the gates i, f, o, g side by side, and of the layer after it."""

    inputs: Floats  # (65, 4 · 128)
    inner: Floats  # (128, 4 · 128)
    bias: Floats
    out: Floats  # (128, 65)
    out_bias: Floats


def weights() -> Weights:
    random = np.random.RandomState(0)
    shapes = [(CLASSES, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,), (UNITS, CLASSES), (CLASSES,)]
    return Weights(*(random.uniform(-0.08, 0.08, shape).astype(np.float32) for shape in shapes))


def batch(steps: int) -> tuple[Characters, Characters]:
    """Characters (64, steps) and those that follow them."""
    text = np.random.RandomState(1).zipf(1.5, (BATCH, steps + 1)).astype(np.int32) % CLASSES
    return text[:, :-1].copy(), text[:, 1:].copy()


def measure(steps: int, pythons: Pythons, effort: Effort) -> list[Row]:
    entrants = race({"recurrent": steps}, pythons, effort)
    ran = [entrant for entrant in entrants if not entrant.skipped]
    others = [entrant for entrant in ran if entrant.name == "torch"]
    expected = (others or ran)[0].cold["losses"] if ran else []
    return [entrant.row(expected, NET_TOLERANCE) for entrant in entrants]


def cells(steps: int, rows: list[Row]) -> list[list[str]]:
    """A line for each contestant, anode first."""
    first = rows[0]
    return [
        [
            f"{steps} steps",
            row.contestant,
            f"{row.step_s * 1e3:.2f}",
            f"{row.ratio(first):.2f}",
            f"{row.spread:.0%}",
            f"{row.first_cold_s:.2f}",
            f"{row.first_warm_s:.2f}",
            f"{row.peak_mb:.0f}",
            "WRONG" if row.wrong else "agree",
        ]
        for row in rows
        if not row.skipped
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recurrent", description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--steps", type=int, default=30, help="timed steps in a round")
    chosen = parser.parse_args()
    effort = Effort(rounds=chosen.rounds, steps=chosen.steps)
    pythons: dict[Contestant, Any] = {c: prepare(c) for c in RECURRENT}
    head = ["model", "contestant", "step ms", "/ anode", "spread", "first cold s", "warm s"]
    found = [(steps, measure(steps, pythons, effort)) for steps in STEPS]
    lines = [line for steps, rows in found for line in cells(steps, rows)]
    print(table([*head, "memory MB", "losses"], lines))
    for row in found[0][1]:
        if row.skipped:
            print(f"Skipped: {row.skipped}")


if __name__ == "__main__":
    main()
