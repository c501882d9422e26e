"""anode: the DCGAN of `anode.models`, a native function for each of the two networks' steps."""

from __future__ import annotations

from typing import Any

from benchmarks.protocol import GanBuild, Step, serve


def load() -> tuple[str, GanBuild]:
    import anode
    from anode import layers, models

    def build() -> Step:
        from benchmarks.gan import BETA, NOISE, RATE, WIDTH

        gan = layers.GAN(models.generator(WIDTH), models.discriminator(WIDTH), NOISE)
        judge = gan.discriminator_step(layers.Adam(RATE, BETA))
        fool = gan.generator_step(layers.Adam(RATE, BETA))

        def step(images: Any, labels: Any) -> Any:
            return judge(images) + fool(images)

        return step

    return anode.__version__, build


if __name__ == "__main__":
    serve(load)
