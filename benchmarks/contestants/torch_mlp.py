"""PyTorch: `nn.Sequential`, `cross_entropy` and `SGD`, eager, or with --compile compiled."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.protocol import Build, Step, serve

if TYPE_CHECKING:
    from benchmarks.models import MLP, Layers


def load() -> tuple[str, Build]:
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

    def network(initial: Layers) -> torch.nn.Sequential:
        modules: list[torch.nn.Module] = []
        for weight, bias in initial:
            linear = torch.nn.Linear(*weight.shape)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(weight.T))
                linear.bias.copy_(torch.from_numpy(bias))
            modules += [linear, torch.nn.ReLU()]
        return torch.nn.Sequential(*modules[:-1])

    def build(mlp: MLP, initial: Layers) -> Step:
        model = network(initial)
        optimizer = torch.optim.SGD(
            model.parameters(), lr=mlp.rate, momentum=mlp.momentum, fused=True
        )

        def loss_of(images: Any, labels: Any) -> Any:
            return torch.nn.functional.cross_entropy(model(images), labels)

        if "--compile" in sys.argv:
            loss_of = torch.compile(loss_of)

        def step(images: Any, labels: Any) -> Any:
            loss = loss_of(torch.from_numpy(images), torch.from_numpy(labels))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step

    return torch.__version__, build


if __name__ == "__main__":
    serve(load)
