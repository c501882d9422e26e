"""JAX: the whole step is one jitted function whose parameters and velocities are donated."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.protocol import Build, Step, serve

if TYPE_CHECKING:
    from benchmarks.models import MLP, Layers


def load() -> tuple[str, Build]:
    import jax
    import jax.numpy as jnp

    def loss_of(layers: Any, images: Any, labels: Any) -> Any:
        hidden = images
        for weight, bias in layers[:-1]:
            hidden = jax.nn.relu(hidden @ weight + bias)
        logits = hidden @ layers[-1][0] + layers[-1][1]
        targets = jax.nn.one_hot(labels, logits.shape[1])
        return -(targets * jax.nn.log_softmax(logits)).sum(axis=1).mean()

    def build(mlp: MLP, initial: Layers) -> Step:
        @partial(jax.jit, donate_argnums=(0, 1))
        def update(layers: Any, velocities: Any, images: Any, labels: Any) -> Any:
            loss, found = jax.value_and_grad(loss_of)(layers, images, labels)
            velocities = jax.tree.map(lambda v, g: mlp.momentum * v + g, velocities, found)
            layers = jax.tree.map(lambda w, v: w - mlp.rate * v, layers, velocities)
            return layers, velocities, loss

        layers = jax.tree.map(jnp.array, initial)
        velocities = jax.tree.map(jnp.zeros_like, layers)

        def step(images: Any, labels: Any) -> Any:
            nonlocal layers, velocities
            layers, velocities, loss = update(layers, velocities, images, labels)
            jax.block_until_ready((layers, velocities, loss))
            return loss

        return step

    return jax.__version__, build


if __name__ == "__main__":
    serve(load)
