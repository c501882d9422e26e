"""JAX: the character model as lax.scan, the whole step one jitted function."""

from __future__ import annotations

from dataclasses import astuple
from functools import partial
from typing import Any

from benchmarks.protocol import RecurrentBuild, Step, serve


def load() -> tuple[str, RecurrentBuild]:
    import jax
    import jax.numpy as jnp

    def loss_of(weights: Any, x: Any, y: Any) -> Any:
        inputs, inner, bias, out, out_bias = weights

        def cell(state: Any, x: Any) -> Any:
            h, c = state
            i, f, o, g = jnp.split(x + h @ inner, 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zeros = jnp.zeros((x.shape[0], inner.shape[0]))
        rows = jax.nn.one_hot(x.T, inputs.shape[0])
        projected = rows @ inputs + bias  # of all steps, before the loop
        _, hidden = jax.lax.scan(cell, (zeros, zeros), projected)
        logits = hidden @ out + out_bias
        targets = jnp.swapaxes(y, 0, 1)[..., None]
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), targets, axis=2).mean()

    def build(steps: int) -> Step:
        from benchmarks.recurrent import DECAY, EPSILON, RATE, weights

        @partial(jax.jit, donate_argnums=(0, 1))
        def update(weights: Any, squares: Any, x: Any, y: Any) -> Any:
            loss, found = jax.value_and_grad(loss_of)(weights, x, y)
            squares = jax.tree.map(lambda a, g: DECAY * a + (1 - DECAY) * g * g, squares, found)
            new = [
                w - RATE * g / (jnp.sqrt(a) + EPSILON)
                for w, a, g in zip(weights, squares, found, strict=True)
            ]
            return new, squares, loss

        values = [jnp.array(value) for value in astuple(weights())]
        squares = jax.tree.map(jnp.zeros_like, values)

        def step(x: Any, y: Any) -> Any:
            nonlocal values, squares
            values, squares, loss = update(values, squares, x, y)
            jax.block_until_ready((values, squares, loss))
            return loss

        return step

    return jax.__version__, build


if __name__ == "__main__":
    serve(load)
