"""PyTorch: the same DCGAN, eager, with --channels-last."""

from __future__ import annotations

import os
import sys
from typing import Any

from benchmarks.protocol import GanBuild, Step, serve


def load() -> tuple[str, GanBuild]:
    import torch
    from torch import nn

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    last = "--channels-last" in sys.argv
    kind = torch.channels_last if last else torch.contiguous_format

    def networks(noise: int, width: int) -> tuple[nn.Module, nn.Module]:
        wide, leaky = 2 * width, nn.LeakyReLU(0.2, inplace=True)
        generator = nn.Sequential(
            nn.Linear(noise, 49 * wide, bias=False),
            nn.BatchNorm1d(49 * wide),
            nn.ReLU(inplace=True),
            nn.Unflatten(1, (wide, 7, 7)),
            nn.ConvTranspose2d(wide, width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(width, 1, 4, 2, 1),
            nn.Tanh(),
        )
        discriminator = nn.Sequential(
            *(nn.Conv2d(1, width, 4, 2, 1), leaky),
            *(nn.Conv2d(width, wide, 4, 2, 1, bias=False), nn.BatchNorm2d(wide), leaky),
            *(nn.Flatten(), nn.Linear(49 * wide, 1)),
        )
        return generator.to(memory_format=kind), discriminator.to(memory_format=kind)

    def build() -> Step:
        from benchmarks.gan import BETA, NOISE, RATE, WIDTH

        generator, discriminator = networks(NOISE, WIDTH)
        softplus = nn.functional.softplus
        adams = [
            torch.optim.Adam(network.parameters(), RATE, (BETA, 0.999), fused=True)
            for network in (generator, discriminator)
        ]

        def step(images: Any, labels: Any) -> Any:
            real = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=kind)
            fake = generator(torch.randn(len(real), NOISE))
            adams[1].zero_grad()
            right, wrong = discriminator(real), discriminator(fake.detach())
            judged = softplus(wrong).mean() + softplus(-right).mean()
            judged.backward()
            adams[1].step()
            adams[0].zero_grad()
            fooled = softplus(-discriminator(generator(torch.randn(len(real), NOISE)))).mean()
            fooled.backward()
            adams[0].step()
            return judged.detach() + fooled.detach()

        return step

    return torch.__version__, build


if __name__ == "__main__":
    serve(load)
