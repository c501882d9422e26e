"""PyTorch on the convolution nets: eager or --compile, --channels-last, --bf16 (autocast)."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.protocol import NetBuild, Step, serve

if TYPE_CHECKING:
    from benchmarks.nets import Arrays, Net


def load() -> tuple[str, NetBuild]:
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    channels_last, bf16 = "--channels-last" in sys.argv, "--bf16" in sys.argv

    def build(net: Net, arrays: Arrays) -> Step:
        from benchmarks.contestants.torch_layers import sequence

        model = sequence(net.layers, net.image, arrays)
        if channels_last:
            model = model.to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(
            model.parameters(), lr=net.rate, momentum=net.momentum, fused=True
        )
        forward = torch.compile(model) if "--compile" in sys.argv else model
        kind = torch.channels_last if channels_last else torch.contiguous_format

        def step(images: Any, labels: Any) -> Any:
            x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=kind)
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = torch.nn.functional.cross_entropy(forward(x), torch.from_numpy(labels))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step

    return torch.__version__, build


if __name__ == "__main__":
    serve(load)
