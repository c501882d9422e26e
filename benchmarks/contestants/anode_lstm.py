"""anode: the character model of layers, its step one native function."""

from __future__ import annotations

from typing import Any

from benchmarks.protocol import RecurrentBuild, Step, serve


def load() -> tuple[str, RecurrentBuild]:
    import anode
    from anode import layers

    class PerStep(layers.CrossEntropyMulti):
        """The mean over the steps of a row."""

        def rows(self, prediction: Any, t: Any) -> Any:
            return super().rows(prediction, t) / float(t.shape[1])

    def build(steps: int) -> Step:
        from benchmarks.recurrent import CLASSES, DECAY, EPSILON, RATE, UNITS, batch, weights

        given = weights()
        optimizer = layers.RMSProp(DECAY, RATE, EPSILON, epsilon_in_root=False)
        model = layers.Model(
            [
                layers.OneHot(CLASSES),
                layers.LSTM(UNITS, given.inputs, given.inner, bias=given.bias),
                layers.Affine(CLASSES, given.out, given.out_bias, activation=layers.Softmax()),
            ]
        )
        model.build(batch(steps)[0])
        step: Any = model.training_step(PerStep(), optimizer)
        return step

    return anode.__version__, build


if __name__ == "__main__":
    serve(load)
