"""anode: the model of `anode.layers`, one native function per step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.protocol import Build, Step, serve

if TYPE_CHECKING:
    from benchmarks.models import MLP, Layers


def load() -> tuple[str, Build]:
    import anode
    from anode import layers as nn

    def build(mlp: MLP, initial: Layers) -> Step:
        activations = [nn.Rectlin()] * (len(initial) - 1) + [nn.Softmax()]
        model = nn.Model(
            [
                nn.Affine(
                    weight.shape[1],
                    init=nn.Array(weight),
                    bias=nn.Array(bias),
                    activation=activation,
                )
                for (weight, bias), activation in zip(initial, activations, strict=True)
            ]
        )
        optimizer = nn.GradientDescentMomentum(mlp.rate, mlp.momentum)
        train = model.training_step(nn.CrossEntropyMulti(), optimizer)

        def step(images: Any, labels: Any) -> Any:
            return train(images, labels)

        return step

    return anode.__version__, build


if __name__ == "__main__":
    serve(load)
