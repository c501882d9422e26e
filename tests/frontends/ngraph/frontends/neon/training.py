"""Small models and the costs of their first steps, for ngraph-python and for anode's.

python training.py    with ngraph-python ac032c83 itself (Python 3.6) writes recorded_training.json
"""

import json
import os

import numpy as np

BATCH, STEPS, ITERATIONS = 8, 5, 6


class Models:
    """The models, made of the modules of one ngraph."""

    def __init__(self, ng, ngt, neon):
        self.ng, self.ngt, self.neon = ng, ngt, neon

    def optimizers(self):
        n = self.neon
        schedule = {"name": "schedule", "base_lr": 0.1, "gamma": [0.5, 0.1], "schedule": [2, 4]}
        return {
            "plain": lambda: n.GradientDescentMomentum(0.1),
            "momentum": lambda: n.GradientDescentMomentum(0.1, 0.9, wdecay=0.01),
            "nesterov": lambda: n.GradientDescentMomentum(0.1, 0.9, nesterov=True),
            "clipped": lambda: n.GradientDescentMomentum(
                0.5, gradient_clip_norm=0.1, gradient_clip_value=0.02, weight_clip_value=0.3
            ),
            "schedule": lambda i: n.GradientDescentMomentum(schedule, 0.9, iteration=i),
            "rmsprop": lambda: n.RMSProp(learning_rate=0.02, wdecay=0.01, momentum_coef=0.5),
            "adam": lambda: n.Adam(0.02, gradient_clip_norm=1.0),
            "adagrad": lambda: n.Adagrad(0.05),
        }

    def layers(self):
        n = self.neon
        init = n.UniformInit(-0.3, 0.3)
        tanh, relu, gate = n.Tanh(), n.Rectlin(), n.Logistic()
        images = {
            "affine": [n.Affine(n.KaimingInit(), 7, activation=relu)],
            "glorot, leaky": [n.Affine(n.GlorotInit(), 7, activation=n.Rectlin(0.1))],
            "batch norm": [n.Affine(n.XavierInit(), 7, activation=relu, batch_norm=True)],
            "convolution": [
                n.Convolution((3, 3, 4), init, padding=1, bias_init=init, activation=relu),
                n.Pooling((2, 2), strides=2),
            ],
            "strides, same": [
                n.Convolution(
                    (3, 2, 4), init, strides=2, padding="same", activation=tanh, batch_norm=True
                ),
                n.Pooling((2, 2), pool_type="avg"),
            ],
            "deconvolution": [
                n.Deconvolution((3, 3, 2), init, strides=2, activation=relu),
                n.Pooling((2, 2), strides=2, pool_type="avg"),
            ],
            "branches": [
                n.Convolution((1, 1, 3), init),
                n.Parallel([n.Convolution((1, 1, k), init) for k in (2, 3)]),
                n.ResidualModule(n.Convolution((1, 1, 5), init, activation=relu)),
            ],
        }
        recurrent = {
            "recurrent": [n.Recurrent(5, init, activation=tanh)],
            "recurrent, backward": [n.Recurrent(5, init, activation=tanh, backward=True)],
            "recurrent, stateful": [n.Recurrent(5, init, activation=tanh, reset_cells=False)],
            "recurrent, batch norm": [n.Recurrent(5, init, activation=relu, batch_norm=True)],
            "birnn": [n.BiRNN(5, init, activation=tanh, sum_out=True)],
            "birnn, joined": [n.BiRNN(5, init, activation=tanh, reset_cells=True, concat_out=True)],
            "lstm": [n.LSTM(5, init, activation=tanh, gate_activation=gate)],
            "lstm, stateful": [
                n.LSTM(5, init, init, activation=tanh, gate_activation=gate, reset_cells=False)
            ],
            "lstm, two": [
                n.LSTM(5, init, activation=tanh, gate_activation=gate),
                n.LSTM(4, init, activation=tanh, gate_activation=gate, backward=True),
            ],
            "lstm, batch norm": [
                n.LSTM(5, init, activation=tanh, gate_activation=gate, batch_norm=True)
            ],
            "look-up table": [
                n.LookupTable(9, 6, init, pad_idx=0),
                n.Recurrent(5, init, activation=tanh),
            ],
            "cell": [self.unrolled(n.RNNCell(5, init, activation=tanh))],
            "cell, batch norm": [
                self.unrolled(n.RNNCell(5, init, activation=tanh, batch_norm=True))
            ],
        }
        return images, recurrent

    def unrolled(self, cell):
        return lambda x: self.neon.unroll(cell, STEPS, x)

    def names(self):
        images, recurrent = self.layers()
        return [*images, *recurrent, *self.optimizers()]

    def costs(self, name):
        """The costs of the first minibatches, from seed 0."""
        np.random.seed(0)
        images, recurrent = self.layers()
        if name in recurrent:
            return self.trained(recurrent[name], self.words(), self.optimizers()["rmsprop"])
        optimizer = self.optimizers().get(name, self.optimizers()["momentum"])
        return self.trained(images.get(name, images["affine"]), self.images(), optimizer)

    def images(self):
        draw = np.random.RandomState(1)
        pixels = draw.uniform(size=(BATCH * 4, 3, 6, 6)).astype("f")
        return {
            "x": {"data": pixels, "axes": ("N", "C", "H", "W")},
            "y": {"data": draw.randint(0, 4, BATCH * 4), "axes": ("N",)},
        }

    def words(self):
        words = np.random.RandomState(1).randint(0, 9, (BATCH * 4, STEPS))
        axes = ("N", "REC")
        return {
            "x": {"data": words, "axes": axes},
            "y": {"data": (words + 1) % 4, "axes": axes},
        }

    def trained(self, layers, data, make_optimizer):
        ng, n = self.ng, self.neon
        train = n.ArrayIterator(data, BATCH, total_iterations=ITERATIONS, shuffle=True)
        inputs = train.make_placeholders(include_iteration=True)
        n.ax.Y.length = 4
        words, table = ng.make_axis(9, name="words"), isinstance(layers[0], n.LookupTable)
        if inputs["x"].axes.recurrent_axis() is not None and not table:
            layers = [n.Preprocess(lambda x: ng.one_hot(x, axis=words)), *layers]
        last = n.Affine(n.GaussianInit(std=0.3), axes=n.ax.Y, activation=n.Softmax())
        target = ng.one_hot(inputs["y"], axis=n.ax.Y)
        loss = ng.cross_entropy_multi(n.Sequential([*layers, last])(inputs["x"]), target)
        scheduled = make_optimizer.__code__.co_argcount
        optimizer = make_optimizer(*[inputs["iteration"]] * scheduled)
        cost = ng.sequential([optimizer(loss), ng.mean(loss, out_axes=())])
        step = n.make_bound_computation(self.ngt.make_transformer(), {"cost": cost}, inputs)
        return [float(step(minibatch)["cost"]) for minibatch in train]


if __name__ == "__main__":
    import ngraph
    import ngraph.frontends.neon
    import ngraph.transformers

    np.float = float
    models = Models(ngraph, ngraph.transformers, ngraph.frontends.neon)
    found = {}
    for name in models.names():
        found[name] = models.costs(name)
        print(name, found[name])
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recorded_training.json")
    with open(path, "w") as file:
        json.dump(found, file, indent=0)
