"""Networks that this repository's neon and the original train alike; the same code runs in both.

`/path/to/neon26 networks.py > networks.json`, with the original neon 2.6, records what
`test_networks` compares with.
"""

import json
import sys

import numpy as np

STEPS = 4


def _gaussian():
    from neon.initializers import Gaussian

    return Gaussian(scale=0.1)


def mlp():
    from neon.initializers import Constant, GlorotUniform, Xavier
    from neon.layers import Affine, Dropout
    from neon.transforms import Rectlin, Softmax, Tanh

    init = _gaussian()
    return [
        Affine(20, init=GlorotUniform(), bias=Constant(0.1), activation=Rectlin(slope=0.1)),
        Dropout(keep=0.8),
        Affine(15, init=Xavier(local=False), batch_norm=True, activation=Tanh()),
        Affine(4, init=init, activation=Softmax()),
    ]


def convolutions():
    from neon.initializers import Constant, Kaiming
    from neon.layers import LRN, Affine, Conv, Pooling
    from neon.transforms import Explin, Rectlin, Softmax

    init = _gaussian()
    return [
        Conv((3, 3, 6), init=Kaiming(), padding=1, batch_norm=True, activation=Rectlin()),
        Pooling(2),
        LRN(3, ascale=0.01, bpower=0.75),
        Conv((3, 2, 5), init=init, bias=Constant(0.2), strides=2, activation=Explin()),
        Conv((2, 2, 5), init=init, dilation=2, padding={"pad_h": 2, "pad_w": 1}),
        Pooling("all", op="avg"),
        Affine(4, init=init, activation=Softmax()),
    ]


def autoencoder():
    from neon.initializers import Constant
    from neon.layers import Conv, Deconv
    from neon.transforms import Logistic, Rectlin

    init = _gaussian()
    return [
        Conv((3, 3, 4), init=init, strides=2, activation=Rectlin()),
        Deconv((3, 3, 2), init=init, strides=2, bias=Constant(0.1), activation=Logistic()),
    ]


def volumes():
    from neon.layers import Affine, Conv, Pooling
    from neon.transforms import Rectlin, Softmax

    init = _gaussian()
    return [
        Conv((2, 3, 3, 4), init=init, padding=1, activation=Rectlin()),
        Pooling((2, 2, 2), op="max"),
        Affine(4, init=init, activation=Softmax()),
    ]


def residual():
    from neon.layers import Activation, Affine, Conv, MergeBroadcast, MergeSum, SkipNode
    from neon.transforms import Rectlin, Softmax

    init = _gaussian()

    def block():
        row = [
            Conv((3, 3, 4), init=init, padding=1, activation=Rectlin()),
            Conv((3, 3, 4), init=init, padding=1),
        ]
        return [MergeSum([row, SkipNode()]), Activation(Rectlin())]

    ends = [Conv((1, 1, 3), init=init), Conv((3, 3, 2), init=init, padding=1)]
    return [
        Conv((3, 3, 4), init=init, padding=1, activation=Rectlin()),
        *block(),
        MergeBroadcast(ends, merge="depth"),
        Affine(4, init=init, activation=Softmax()),
    ]


def tree():
    from neon.layers import Affine, BranchNode, SingleOutputTree
    from neon.transforms import Rectlin, Softmax, Tanh

    init = _gaussian()
    branch = BranchNode(name="fork")
    trunk = [Affine(12, init=init, activation=Rectlin()), branch]
    trunk.append(Affine(4, init=init, activation=Softmax()))
    side = [branch, Affine(8, init=init, activation=Tanh())]
    side.append(Affine(4, init=init, activation=Softmax()))
    return SingleOutputTree([trunk, side], alphas=[1, 0.5])


def words():
    from neon.layers import Affine, LookupTable
    from neon.transforms import Softmax

    init = _gaussian()
    return [
        LookupTable(vocab_size=11, embedding_dim=3, init=init, pad_idx=0),
        Affine(4, init=init, activation=Softmax()),
    ]


def binary():
    from neon.initializers import Uniform
    from neon.layers import BinaryAffine
    from neon.transforms import Identity, Sign

    return [
        BinaryAffine(16, init=Uniform(-1, 1), batch_norm=True, activation=Sign()),
        BinaryAffine(4, init=Uniform(-1, 1), batch_norm=True, activation=Identity()),
    ]


def networks():
    """Name -> (function that gives layers, shape of the input, kind of the cost)."""
    return {
        "mlp": (mlp, 10, "multi"),
        "convolutions": (convolutions, (2, 9, 8), "multi"),
        "autoencoder": (autoencoder, (2, 9, 7), "sum"),
        "volumes": (volumes, (2, 4, 6, 6), "multi"),
        "residual": (residual, (3, 6, 6), "multi"),
        "tree": (tree, 10, "tree"),
        "words": (words, (1, 1), "multi"),
        "binary": (binary, 12, "hinge"),
    }


def cost_of(kind):
    """The cost of a network."""
    from neon.layers import GeneralizedCost, Multicost
    from neon.transforms import CrossEntropyMulti, SquareHingeLoss, SumSquared

    if kind == "tree":
        costs = [GeneralizedCost(costfunc=CrossEntropyMulti()) for _ in range(2)]
        return Multicost(costs=costs, weights=[1, 0.25])
    functions = {"multi": CrossEntropyMulti, "sum": SumSquared, "hinge": SquareHingeLoss}
    return GeneralizedCost(costfunc=functions[kind]())


def optimizer_of(kind):
    """The optimiser of a network."""
    from neon.optimizers import Adam, GradientDescentMomentum, RMSProp, ShiftAdaMax

    if kind == "hinge":
        return ShiftAdaMax(learning_rate=0.01)
    if kind == "sum":
        return Adam(learning_rate=0.01)
    if kind == "tree":
        return RMSProp(learning_rate=0.01)
    return GradientDescentMomentum(0.1, 0.9, wdecay=0.001)


class Data:
    """Minibatches of random numbers, the same each epoch."""

    def __init__(self, be, shape, kind):
        rng = np.random.RandomState(7)
        self.shape, self.ndata, self.nbatches = shape, be.bsz * STEPS, STEPS
        self.batches = []
        for _ in range(STEPS):
            if shape == (1, 1):
                x = be.array(rng.randint(0, 11, (1, be.bsz)), dtype=np.int32)
            else:
                x = be.array(rng.uniform(-1, 1, (int(np.prod(shape)), be.bsz)))
            t = be.array(np.eye(4)[rng.randint(0, 4, be.bsz)].T)
            self.batches.append((x, x if kind == "sum" else t))

    def __iter__(self):
        return iter(self.batches)

    def reset(self):
        """Begin anew."""


class Costs:
    """Callbacks that note the cost of each minibatch."""

    def __init__(self, cost):
        self.cost, self.found = cost, []

    def on_minibatch_end(self, epoch, minibatch):
        """Note the cost, or costs."""
        parts = getattr(self.cost, "costs", [self.cost])
        self.found += [float(np.asarray(part.cost).ravel()[0]) for part in parts]

    def __getattr__(self, name):
        if name.startswith("on_"):
            return lambda *args: None
        raise AttributeError(name)


def trained(be, name):
    """The costs of the minibatches of two epochs, and the sums of |weights| of each layer."""
    from neon.models import Model

    make, shape, kind = networks()[name]
    cost = cost_of(kind)
    model = Model(make())
    callbacks = Costs(cost)
    model.fit(Data(be, shape, kind), cost, optimizer_of(kind), 2, callbacks)
    weights = [layer.W.get() for layer in model.layers_to_optimize if hasattr(layer, "W")]
    sums = [float(np.abs(weight).sum()) for weight in weights]
    y = model.fprop(Data(be, shape, kind).batches[0][0], inference=True).get()
    return {"costs": callbacks.found, "weights": sums, "output": y[:2, :3].ravel().tolist()}


def main():
    """Print the numbers of all networks."""
    from neon.backends import gen_backend

    found = {}
    for name in sorted(networks()):
        be = gen_backend("cpu", rng_seed=0, batch_size=8)
        found[name] = trained(be, name)
    json.dump(found, sys.stdout, indent=1, sort_keys=True)


if __name__ == "__main__":
    main()
