"""The hand-written NumPy training step: the plain baseline, and the oracle of the loss check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.protocol import Build, Step, serve

if TYPE_CHECKING:
    from benchmarks.models import MLP, Layers


def gradients(layers: Layers, images: Any, labels: Any) -> tuple[Any, Layers]:
    """The mean softmax cross entropy of a batch and its gradient by every weight and bias."""
    import numpy as np

    inputs = [images]
    for weight, bias in layers[:-1]:
        inputs.append(np.maximum(inputs[-1] @ weight + bias, 0))
    logits = inputs[-1] @ layers[-1][0] + layers[-1][1]
    logits -= logits.max(axis=1, keepdims=True)
    ct = np.exp(logits)
    sums = ct.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    loss = (np.log(sums[:, 0]) - logits[rows, labels]).mean()
    ct /= sums
    ct[rows, labels] -= 1
    ct /= len(labels)
    return loss, _backward(layers, inputs, ct)


def _backward(layers: Layers, inputs: list[Any], ct: Any) -> Layers:
    """Gradients of every layer, given each layer's input and the cotangent of the logits."""
    result = []
    for index in reversed(range(len(layers))):
        result.append((inputs[index].T @ ct, ct.sum(axis=0)))
        if index:
            ct = ct @ layers[index][0].T
            ct *= inputs[index] > 0
    return result[::-1]


def build(mlp: MLP, layers: Layers) -> Step:
    """The step in the dtype of `layers`, which it updates in place."""
    import numpy as np

    velocities = [tuple(np.zeros_like(array) for array in layer) for layer in layers]

    def step(images: Any, labels: Any) -> Any:
        loss, found = gradients(layers, images, labels)
        for layer, velocity, gradient in zip(layers, velocities, found, strict=True):
            for w, v, g in zip(layer, velocity, gradient, strict=True):
                v *= mlp.momentum
                v += g
                w -= mlp.rate * v
        return loss

    return step


def load() -> tuple[str, Build]:
    import numpy as np

    return np.__version__, build


if __name__ == "__main__":
    serve(load)
