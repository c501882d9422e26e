"""`python -m benchmarks.gan`: a DCGAN's step on MNIST-sized images, in anode and in PyTorch.

A step trains the discriminator on 64 real and 64 generated images, and the generator on 64, with
Adam. The networks are those of `anode.models`; the noise is drawn in the step. Initial weights and
noise differ between contestants, so losses are not compared.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from benchmarks.environments import NET_CONTESTANTS, TORCH, Contestant, prepare
from benchmarks.measure import Effort, race
from benchmarks.report import table

BATCH, NOISE, WIDTH = 64, 64, 64
RATE, BETA = 0.0002, 0.5
CONTESTANTS = (
    replace(NET_CONTESTANTS[0], module="anode_gan"),
    Contestant("torch", "torch_gan", "torch", TORCH),
    Contestant("torch nhwc", "torch_gan", "torch", TORCH, ("--channels-last",)),
)


def images() -> npt.NDArray[np.float32]:
    """The fixed real images f32[64, 28, 28, 1], between −1 and 1."""
    return np.random.RandomState(0).uniform(-1, 1, (BATCH, 28, 28, 1)).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gan", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    effort = Effort(rounds=parser.parse_args().rounds, steps=10)
    entrants = race({"gan": True}, {c: prepare(c) for c in CONTESTANTS}, effort)
    rows = [e.row(e.cold["losses"], float("inf")) for e in entrants if not e.skipped]
    head = ["contestant", "step ms", "/ anode", "spread", "first cold s", "memory MB"]
    cells = [
        [
            row.contestant,
            f"{row.step_s * 1e3:.1f}",
            f"{row.ratio(rows[0]):.2f}",
            f"{row.spread:.0%}",
            f"{row.first_cold_s:.2f}",
            f"{row.peak_mb:.0f}",
        ]
        for row in rows
    ]
    print(table(head, cells))
    for entrant in entrants:
        if entrant.skipped:
            print(f"Skipped: {entrant.skipped}")


if __name__ == "__main__":
    main()
