"""200 sequences for CTC, degenerate ones among them, and what PyTorch makes of them.

`TORCH -m tests.ops.ctc_cases` writes ctc_torch.npz, by PyTorch 2's `ctc_loss` on log-softmaxes of
these logits in f64, of which the gradients are kept as f32. Impossible alignments have gradient 0:
PyTorch's with `zero_infinity`, without which they are NaN.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

RECORDED = Path(__file__).with_name("ctc_torch.npz")
ROWS = 25
SHAPES = (  # steps, classes, most labels, the blank, the logits' deviation
    (1, 2, 1, 0, 1.0),
    (3, 3, 4, 2, 1.0),
    (5, 4, 3, 1, 1.0),
    (6, 2, 6, 0, 1.0),  # one label, which repeats
    (8, 5, 8, 4, 1.0),
    (8, 6, 2, 3, 20.0),
    (12, 4, 5, 0, 5.0),
    (16, 3, 9, 0, 0.0),
)


class Case(NamedTuple):
    """A batch of sequences: logits f64[steps, rows, classes], their labels, and all lengths."""

    logits: np.ndarray
    labels: np.ndarray
    times: np.ndarray
    lengths: np.ndarray
    weights: np.ndarray  # of the rows' losses, for the gradient
    blank: int


def cases() -> Iterator[Case]:
    for seed, (steps, classes, most, blank, deviation) in enumerate(SHAPES):
        random = np.random.RandomState(seed)
        logits = random.normal(0, deviation, (steps, ROWS, classes))
        labels = random.randint(0, classes - 1, (ROWS, most))
        labels += labels >= blank
        times = random.randint(1, steps + 1, ROWS)
        lengths = random.randint(0, most + 1, ROWS)
        times[:8] = steps
        lengths[:3] = 0  # nothing said, in all the time
        lengths[3:6] = np.minimum(times[3:6], most)  # a label each time, if none repeats
        labels[6:10] = labels[6:10, :1]  # the same again and again
        lengths[10:12], times[11] = 0, 1
        lengths[12] = most
        times[12] = 1
        weights = random.normal(size=ROWS)
        yield Case(logits, labels, times, lengths, weights, blank)


def by_torch(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """PyTorch's losses, and the gradients by the logits."""
    import torch

    integers = [torch.tensor(values) for values in (case.labels, case.times, case.lengths)]

    def loss(x: torch.Tensor, zero_infinity: bool) -> torch.Tensor:
        return torch.nn.functional.ctc_loss(
            x.log_softmax(-1),
            *integers,
            blank=case.blank,
            reduction="none",
            zero_infinity=zero_infinity,
        )

    logits = torch.tensor(case.logits, requires_grad=True)
    loss(logits, True).backward(torch.tensor(case.weights))
    return loss(logits, False).detach().numpy(), logits.grad.numpy()


if __name__ == "__main__":
    found = [by_torch(case) for case in cases()]
    arrays = {f"loss_{i}": loss for i, (loss, _) in enumerate(found)}
    arrays |= {f"gradient_{i}": ct.astype(np.float32) for i, (_, ct) in enumerate(found)}
    np.savez_compressed(RECORDED, **arrays)
