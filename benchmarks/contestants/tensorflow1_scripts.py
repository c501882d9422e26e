"""TensorFlow-1 scripts, where `tensorflow` is anode (`--anode`) or `tensorflow.compat.v1`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from benchmarks.protocol import ScriptBuild, Step, serve


@dataclass(frozen=True)
class Loss:
    """The loss as it is when it is asked for; a script's step does not fetch it."""

    session: Any
    loss: Any
    feeds: dict[Any, Any]

    def __float__(self) -> float:
        return float(self.session.run(self.loss, feed_dict=self.feeds))


def module() -> tuple[str, Any]:
    """The version that serves, and the module."""
    if "--anode" in sys.argv:
        import anode
        from anode import compat

        compat.install("tensorflow")
        import tensorflow as tf

        return anode.__version__, tf
    import tensorflow

    tensorflow.compat.v1.disable_v2_behavior()
    return tensorflow.__version__, tensorflow.compat.v1


def load() -> tuple[str, ScriptBuild]:
    version, tf = module()

    def build(name: str) -> Step:
        from benchmarks.tensorflow1 import SCRIPTS, initial_values

        graph = SCRIPTS[name].build(tf)
        session = tf.Session()
        values = initial_values(tf)
        session.run(tf.global_variables_initializer())
        session.run(values)

        def step(images: Any, labels: Any) -> Loss:
            session.run(graph.train, feed_dict={graph.images: images, graph.labels: labels})
            return Loss(session, graph.loss, {graph.images: images, graph.labels: labels})

        return step

    return version, build


if __name__ == "__main__":
    serve(load)
