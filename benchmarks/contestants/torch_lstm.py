"""PyTorch, eager: the character model with nn.LSTM, which takes the gates as i, f, g, o."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.protocol import RecurrentBuild, Step, serve


def load() -> tuple[str, RecurrentBuild]:
    import numpy as np
    import torch
    from torch import nn

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

    def turned(gates: Any) -> Any:
        """(…, 4n) of i, f, o, g as (4n, …) of i, f, g, o."""
        i, f, o, g = np.split(gates, 4, axis=-1)
        return torch.from_numpy(np.concatenate([i, f, g, o], axis=-1).T.copy())

    def build(steps: int) -> Step:
        from benchmarks.recurrent import CLASSES, DECAY, EPSILON, RATE, UNITS, weights

        given = weights()
        lstm, out = nn.LSTM(CLASSES, UNITS, batch_first=True), nn.Linear(UNITS, CLASSES)
        with torch.no_grad():
            lstm.weight_ih_l0.copy_(turned(given.inputs))
            lstm.weight_hh_l0.copy_(turned(given.inner))
            lstm.bias_ih_l0.copy_(turned(given.bias))
            lstm.bias_hh_l0.zero_()
            out.weight.copy_(torch.from_numpy(given.out.T.copy()))
            out.bias.copy_(torch.from_numpy(given.out_bias))
        lstm.bias_hh_l0.requires_grad_(False)  # one bias, as in the other contestants
        parameters = [p for p in (*lstm.parameters(), *out.parameters()) if p.requires_grad]
        optimizer = torch.optim.RMSprop(parameters, RATE, DECAY, EPSILON, foreach=True)

        def step(x: Any, y: Any) -> Any:
            rows = nn.functional.one_hot(torch.from_numpy(x).long(), CLASSES).float()
            logits = out(lstm(rows)[0])
            targets = torch.from_numpy(y).long()
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step

    return torch.__version__, build


if __name__ == "__main__":
    serve(load)
