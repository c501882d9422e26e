"""Outputs, errors and gradients of recurrent layers over some minibatches, by the `neon` there is.

recurrent_values.json has neon 2.6's: `python recurrent_values.py > recurrent_values.json`
(Python 3.6).
"""

import json

import numpy as np

BATCH, STEPS, INPUTS, N = 4, 5, 3, 2
LAYERS = ("Recurrent", "LSTM", "GRU", "BiRNN", "BiLSTM", "BiBNRNN")
OUTPUTS = ("RecurrentSum", "RecurrentMean", "RecurrentLast", "BiSum")


def backend():
    from neon.backends import gen_backend

    return gen_backend(backend="cpu", batch_size=BATCH, rng_seed=0)


def rounded(array):
    return [float(f"{x:.4g}") for x in np.asarray(array, dtype=np.float64).ravel()]


def prepared(layer, shape):
    """The layer with its tensors, as in the midst of a model."""
    from neon.layers.container import DeltasTree

    layer.configure(shape)
    layer.prev_layer = True
    layer.allocate()
    deltas = DeltasTree()
    layer.allocate_deltas(deltas)
    deltas.allocate_buffers()
    layer.set_deltas(deltas)
    return layer


def layer_of(kind, **options):
    from neon.initializers import Gaussian
    from neon.layers import recurrent
    from neon.transforms import Logistic, Rectlin, Tanh

    options["activation"] = Rectlin() if kind == "BiBNRNN" else Tanh()
    if kind in ("LSTM", "BiLSTM", "GRU"):
        options["gate_activation"] = Logistic()
    return getattr(recurrent, kind)(N, Gaussian(scale=0.7), **options)


def minibatches(kind, reset, be):
    """What a layer gives for three minibatches in one tensor, and one in another."""
    rng, found = np.random.RandomState(3), {}
    layer = prepared(layer_of(kind, reset_cells=reset), (INPUTS, STEPS))
    found["W"] = rounded(layer.W.get())
    first, other = (be.array(rng.randn(INPUTS, STEPS * BATCH)) for _ in range(2))
    error = be.empty(layer.outputs.shape)
    for i in range(4):
        found[f"y{i}"] = rounded(layer.fprop(first if i < 3 else other).get())
        error.set(rng.randn(*error.shape).astype(np.float32))
        found[f"deltas{i}"] = rounded(layer.bprop(error).get())
        found[f"dW{i}"] = rounded(layer.dW.get())
    if kind == "BiBNRNN":
        for name in ("gmean", "gvar", "grad_beta", "grad_gamma"):
            found[name] = rounded(getattr(layer, name).get())
        found["inferred"] = rounded(layer.fprop(first, inference=True).get())
    return found


def collected(kind, be):
    from neon.layers import recurrent

    rng = np.random.RandomState(3)
    layer = prepared(getattr(recurrent, kind)(), (2 * N, STEPS))
    y = layer.fprop(be.array(rng.randn(2 * N, STEPS * BATCH)))
    deltas = layer.bprop(be.array(rng.randn(*y.shape)))
    return {"y": rounded(y.get()), "deltas": rounded(deltas.get())}


def encoded(kind, be):
    """An encoder and a decoder of one layer each, in training and in inference."""
    from neon.layers.container import Seq2Seq

    rng, found = np.random.RandomState(3), {}
    model = Seq2Seq([[layer_of(kind, reset_cells=True)], [layer_of(kind, reset_cells=True)]])
    model.configure((INPUTS, STEPS, N, STEPS))
    model.allocate()
    model.allocate_deltas()
    x, z = (be.array(rng.randn(rows, STEPS * BATCH)) for rows in (INPUTS, N))
    y = model.fprop((x, z))
    found["y"] = rounded(y.get())
    model.bprop(be.array(rng.randn(*y.shape)))
    found["gradients"] = [rounded(layer.dW.get()) for layer in model.layers]
    found["said"] = rounded(model.fprop(x, inference=True).get())
    return found


def all_values(be):
    found = {}
    for kind in LAYERS:
        for reset in (True, False):
            found[f"{kind} {'reset' if reset else 'carried'}"] = minibatches(kind, reset, be)
    for kind in OUTPUTS:
        found[kind] = collected(kind, be)
    for kind in ("Recurrent", "GRU"):
        found[f"Seq2Seq {kind}"] = encoded(kind, be)
    return found


if __name__ == "__main__":
    print(json.dumps(all_values(backend())))
