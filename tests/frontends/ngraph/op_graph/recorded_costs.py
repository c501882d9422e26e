"""Writes recorded_costs.json; to be run with ngraph-python ac032c83 itself, Python 3.6."""

import json
import os

import ngraph as ng
import ngraph.transformers as ngt
import numpy as np

Y, R, N = [ng.make_axis(n, name=s) for n, s in ((6, "Y"), (2, "REC"), (5, "N"))]
rng = np.random.RandomState(7)
u, v = rng.randn(6, 2, 5).astype("f"), np.abs(rng.randn(6, 2, 5)).astype("f")
v /= v.sum(0)
COSTS = {
    "softmax": lambda z, t: ng.softmax(z) + 0 * t,
    "multi": lambda z, t: ng.cross_entropy_multi(ng.softmax(z), t),
    "multi in bits": lambda z, t: ng.cross_entropy_multi(ng.softmax(z), t, usebits=True),
    "multi of sigmoid": lambda z, t: ng.cross_entropy_multi(ng.sigmoid(z), t),
    "binary": lambda z, t: ng.cross_entropy_binary(ng.sigmoid(z), t),
    "binary of tanh": lambda z, t: ng.cross_entropy_binary_inner(ng.tanh(z) * 0.4 + 0.5, t),
}
np.float = float
found = {}
for name, make in COSTS.items():
    z, t = ng.placeholder([Y, R, N]), ng.placeholder([Y, R, N])
    cost = make(z, t)
    by_z = ng.deriv(ng.sum(cost, out_axes=()), z)
    computation = ngt.make_transformer().computation([cost, by_z], z, t)
    found[name] = [np.round(value, 7).tolist() for value in computation(u, v)]
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recorded_costs.json")
with open(path, "w") as file:
    json.dump(found, file)
