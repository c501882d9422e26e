"""Numbers that the original Caffe recorded, reproduced by the same nets in layers.

Weights and data come from a recipe, described beside the numbers in the shared acceptance files;
where these are not there, everything here is skipped.
"""

import json
import os
import subprocess
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from anode import layers as nn
from anode import ops
from anode.ir.graph import fresh_inputs
from anode.ir.types import tensor
from tests.frontends.layers.caffe_nets import NETS

FOLDER = Path(__file__).parents[4] / "shared" / "acceptance" / "caffe"
GOLDEN = FOLDER / "golden.json"
pytestmark = pytest.mark.skipif(not GOLDEN.exists(), reason=f"{FOLDER} is not here")
RECORDED = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {"train": [], "forward": []}
KEPT = 0.999  # of BatchNorm's sums in each step; ours are means, smaller by 1 - KEPT
LARGE, RESIDUAL = ("alexnet", "googlenet"), "resnet20_cifar"


def net_of(record):
    return record.get("net", record.get("file")).split("/")[0]


def cases(kind):
    nets = NETS.keys() - {RESIDUAL}
    found = [record for record in RECORDED[kind] if net_of(record) in nets]
    return [
        pytest.param(
            record,
            id=f"{net_of(record)}-{record.get('type', '')}-{record.get('lr_policy', '')}-{i}",
            marks=pytest.mark.slow if net_of(record) in LARGE else (),
        )
        for i, record in enumerate(found)
    ]


def rs(key):
    return np.random.RandomState(zlib.crc32(key.encode()) & 0xFFFFFFFF)


def place(name):
    """Caffe's layer and number of a parameter: ("conv1", 0) of conv1.weight."""
    path, _, kind = name.removeprefix("tree.").rpartition(".")
    joint = "_" if path.startswith("group") else "/"
    layer = path.replace(".", joint).removesuffix("_bias").removesuffix("_bnorm")
    if kind in ("mean", "variance"):
        return f"{layer}_bn", ("mean", "variance").index(kind)
    if kind in ("scale", "offset"):
        return f"{layer}_scale", ("scale", "offset").index(kind)
    return layer, int(kind == "bias")


def in_caffe(array):
    """A weight in Caffe's order of dims: outputs first, then inputs, then the kernel."""
    array = np.moveaxis(array, -1, 0)
    return np.moveaxis(array, -1, 1) if array.ndim > 2 else array


def from_caffe(array):
    return np.moveaxis(np.moveaxis(array, 1, -1) if array.ndim > 2 else array, 0, -1)


def recipe(layer, index, shape):
    r = rs(f"{layer}/{index}")
    if layer.endswith("_bn"):
        return (0.1 * r.standard_normal(shape), 1 + 0.5 * r.random_sample(shape))[index]
    if layer.endswith("_scale") and index == 0:
        return 1 + 0.1 * r.standard_normal(shape)
    if len(shape) > 1:
        return r.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    return 0.1 * r.standard_normal(shape)


def built(name, **options):
    """The model with the recipe's weights."""
    layers, image = NETS[name]
    model = nn.Model(layers(), name, **options)
    (x,) = fresh_inputs(tensor("f32", 2, *image))
    variables = model.forward(x, training=True)[1].variables.values()
    model.state.add(
        variables, 0, {variable: filled(variable.name, variable.type) for variable in variables}
    )
    return model


def filled(name, type):
    layer, index = place(name)
    shape = in_caffe(np.broadcast_to(0, type.static)).shape
    value = recipe(layer, index, shape).astype(np.float32)
    if layer.endswith("_bn"):
        value = value * np.float32(1 - KEPT)
    return np.ascontiguousarray(from_caffe(value).astype(type.dtype.numpy))


def last(images):
    """Caffe's images, channels first, with the channels last."""
    return np.ascontiguousarray(np.moveaxis(images, 1, -1).astype(np.float32))


def summary(array):
    flat = array.astype(np.float64).ravel()
    return {
        "sum": flat.sum(),
        "abssum": abs(flat).sum(),
        "l2": np.sqrt((flat**2).sum()),
        "first": flat[:8],
        "last": flat[-4:],
    }


def check(array, recorded, tolerance):
    assert list(array.shape) == recorded["shape"]
    found, size = summary(array), recorded["abssum"] / array.size
    assert found["l2"] == pytest.approx(recorded["l2"], rel=tolerance)
    assert found["abssum"] == pytest.approx(recorded["abssum"], rel=tolerance)
    assert found["sum"] == pytest.approx(recorded["sum"], abs=tolerance * recorded["abssum"])
    for end in ("first", "last"):
        np.testing.assert_allclose(
            found[end], recorded[end], rtol=10 * tolerance, atol=10 * tolerance * size
        )


@dataclass(frozen=True)
class Policy:
    """Caffe's learning rate of an iteration, which training takes for an epoch."""

    policy: str
    values: dict

    def rate(self, base, i):
        get = self.values.get
        gamma, power, step = get("gamma", 0), get("power", 0), get("stepsize", 1)
        return (
            base
            * {
                "fixed": lambda: 1.0,
                "step": lambda: gamma ** (i // step),
                "exp": lambda: gamma**i,
                "inv": lambda: (1 + gamma * i) ** -power,
                "multistep": lambda: 1.0,  # its first step is beyond the recorded iterations
                "poly": lambda: (1 - i / get("max_iter", 1)) ** power,
                "sigmoid": lambda: 1 / (1 + np.exp(-gamma * (i - step))),
            }[self.policy]()
        )


def solver_of(record):
    """The fields of a recorded run's solver."""
    text = (FOLDER / record["solver"]).read_text()
    lines = [line.partition("#")[0].partition(":") for line in text.splitlines()]
    fields = {k.strip(): v.strip().strip('"') for k, _, v in lines if v.strip()}
    numbers = {
        k: float(v)
        for k, v in fields.items()
        if v.replace(".", "").replace("-", "").replace("e", "").isdigit()
    }
    return numbers | record["override"]


def optimizer_of(record):
    solver = solver_of(record)
    schedule = Policy(record["lr_policy"], solver)

    def one(rate, decay):
        momentum, options = solver.get("momentum", 0.0), {"schedule": schedule}
        rate, decay = record["base_lr"] * rate, solver.get("weight_decay", 0.0) * decay
        delta = solver.get("delta", 1e-8)
        if record["type"] in ("SGD", "Nesterov"):
            first = solver.get("regularization_type") == "L1"
            return nn.GradientDescentMomentum(
                rate,
                momentum,
                wdecay=0.0 if first else decay,
                l1decay=decay if first else 0.0,
                nesterov=record["type"] == "Nesterov",
                **options,
            )
        options["wdecay"] = decay
        if record["type"] == "Adam":
            return nn.Adam(rate, momentum, solver.get("momentum2", 0.999), delta, **options)
        if record["type"] == "AdaDelta":
            return nn.Adadelta(momentum, delta, rate, **options)
        options["epsilon_in_root"] = False
        if record["type"] == "AdaGrad":
            return nn.Adagrad(rate, delta, **options)
        return nn.RMSProp(solver["rms_decay"], rate, delta, **options)

    biases = {
        "lenet": {"Bias": (2, 1)},
        "cifar10_quick": {"Bias": (2, 1)},
        "resnet20_cifar": {"fc_bias": (2, 0)},
    }.get(net_of(record), {"Bias": (2, 0)})
    rules = {name: one(*factors) for name, factors in biases.items()}
    clip = solver.get("clip_gradients")
    return nn.MultiOptimizer({**rules, "default": one(1, 1)}, gradient_clip_norm=clip)


class SoftmaxWithLoss(nn.CrossEntropyMulti):
    """Caffe's: a probability counts as at least the smallest float, but not for its gradient."""

    def rows(self, prediction, t):
        found = super().rows(prediction, t)
        most = -np.log(np.finfo(np.float32).tiny)
        return found - ops.stop_gradient(ops.maximum(found - float(most), 0.0))


def fed(record, blob, t):
    """What Caffe was fed as `blob` at iteration `t`."""
    shape, kind = record["feeds"][blob]
    r = rs(f"{blob}/{t}")
    if kind == "u":
        return r.random_sample(shape).astype(np.float32)
    return r.standard_normal(shape).astype(np.float32) if kind == "n" else r.randint(0, kind, shape)


@pytest.mark.parametrize("record", cases("train"))
def test_training(record):
    # The first steps of these two are the rate times the sign of the gradient, however small it is:
    # rounding decides some signs, so they are computed with 64 bits.
    chaotic = record["type"] in ("AdaGrad", "RMSProp")
    options = {"dtype": "f64", "backend": "reference"} if chaotic else {}
    model = built(net_of(record), **options)
    losses = trained(model, record)
    np.testing.assert_allclose(losses, expected(record), rtol=2e-4 if chaotic else 1e-4)
    check_parameters(model, record)


def trained(model, record, steps=None):
    """The loss of each recorded iteration, or of the first ones."""
    cost = SoftmaxWithLoss()
    if model.name == "googlenet":
        cost = nn.Multicost([cost] * 3, [1, 0.3, 0.3])
    step = model.training_step(cost, optimizer_of(record))
    losses = []
    for t in range(steps or len(record["losses"])):
        step.set_epoch(t)
        images, labels = last(fed(record, "data", t)), fed(record, "label", t).astype(np.int32)
        losses.append(float(step(images.astype(model.dtype.numpy), labels)))
    return losses


def expected(record):
    weights = {"loss1/loss1": 0.3, "loss2/loss2": 0.3}
    return [sum(weights.get(k, 1) * v for k, v in one.items()) for one in record["losses"]]


def test_a_residual_net():
    """Freely running: the exact losses, of 64 bits, are Caffe's until rounding turns a rectifier.

    Its batch of 8 sits on kinks of its rectifiers, at a rate of 0.1: weights that differ by 10⁻⁹ of
    themselves at the start give losses that differ by 10⁻³ to 10⁻² from the eighth iteration on. So
    it is with Caffe: its own arithmetic (`caffe_arithmetic`), with OpenBLAS's kernels for AVX-512
    in place of AVX2, gives the third loss 2·10⁻⁴, the fifth 4·10⁻³ and the tenth 0.13 away.
    """
    record = residual_record()
    exact = trained(built(RESIDUAL, dtype="f64", backend="reference"), record, 5)
    np.testing.assert_allclose(exact, expected(record)[:5], rtol=1e-5)
    found = trained(built(RESIDUAL), record, 2)
    assert found[0] == pytest.approx(exact[0], rel=1e-6)
    assert found[1] == pytest.approx(exact[1], rel=1e-3)


@pytest.fixture(scope="module")
def caffe(tmp_path_factory):
    """What Caffe held before each iteration of the residual net, and after the last."""
    if not list((Path(np.__file__).parents[1] / "numpy.libs").glob("libscipy_openblas64_*")):
        pytest.skip("this NumPy does not bring OpenBLAS, which Caffe computed with")
    path = tmp_path_factory.mktemp("caffe") / "steps.npz"
    command = [sys.executable, "-m", "tests.frontends.layers.caffe_arithmetic", str(path)]
    environment = os.environ | {"OPENBLAS_CORETYPE": "Haswell"}
    subprocess.run(command, check=True, cwd=Path(__file__).parents[3], env=environment)
    return dict(np.load(path))


def test_caffes_arithmetic(caffe):
    record = residual_record()
    np.testing.assert_allclose(caffe["losses"][:2], expected(record)[:2], rtol=1e-6)
    if list(caffe["losses"]) != expected(record):
        pytest.skip("this OpenBLAS has no longer the kernels that Caffe ran with")
    for layer, blobs in record["params_after"].items():
        for index, found in enumerate(blobs[:2]):
            check(caffe[f"10/{layer}/{index}"], found, 1e-12)


def test_a_residual_net_from_caffes_weights(caffe):
    """All ten losses, and what each step does to each weight, from what Caffe held before the step.

    Where rounding turns a rectifier, a step's moves differ by up to a hundredth in their norm; the
    moves of other steps agree to 10⁻⁴.
    """
    record = residual_record()
    losses, apart = zip(*steps_from(caffe, built(RESIDUAL, dtype="f64"), record), strict=True)
    np.testing.assert_allclose(losses, caffe["losses"], rtol=1e-6)
    assert max(apart) < 0.03 and np.median(apart) < 1e-4
    losses, apart = zip(*steps_from(caffe, built(RESIDUAL), record), strict=True)
    np.testing.assert_allclose(losses, caffe["losses"], rtol=1e-6)
    assert max(apart) < 0.03


def residual_record():
    (record,) = [r for r in RECORDED["train"] if net_of(r) == RESIDUAL]
    return record


def steps_from(caffe, model, record):
    """Per iteration the loss, and how far the largest move of a layer's weights is from Caffe's."""
    step = model.training_step(SoftmaxWithLoss(), optimizer_of(record))
    weights = [v for v in model.state if v.trainable]
    for t in range(len(record["losses"])):
        before = {v.name: recorded(caffe, t, v.name) for v in weights}
        for variable, array in model.state.items():
            name = variable.name.removeprefix("optimizer.").removesuffix(".velocity")
            if name in before:
                sign, history = (-1, "/history") if name != variable.name else (1, "")
                array[...] = sign * recorded(caffe, t, name, history)
        images, labels = last(fed(record, "data", t)), fed(record, "label", t).astype(np.int32)
        loss = float(step(images.astype(model.dtype.numpy), labels))
        yield (
            loss,
            max(
                np.linalg.norm(model.state[v] - after) / np.linalg.norm(after - before[v.name])
                for v in weights
                if "Bias" not in v.collections  # which the means of batches take away again
                for after in [recorded(caffe, t + 1, v.name)]
            ),
        )


def recorded(caffe, t, name, kind=""):
    layer, index = place(name)
    return from_caffe(caffe[f"{t}/{layer}/{index}{kind}"])


def check_parameters(model, record):
    mine = [(v.name, a) for v, a in model.state.items() if "optimizer" not in v.collections]
    found = {place(name): in_caffe(array) for name, array in mine}
    for layer, blobs in record["params_after"].items():
        for index, recorded in enumerate(blobs):
            check(found[layer, index], recorded, 1e-3)


@pytest.mark.parametrize("record", cases("forward"))
def test_forward(record):
    name = net_of(record)
    model = built(name)
    images = last(rs("input/data").standard_normal(record["inputs"]["data"]))
    check(model.predict(images), record["outputs"]["prob"], 1e-4)
    parameters = sum(array.size for variable, array in model.state.items() if variable.trainable)
    if name != "googlenet":  # whose heads the deployed net does not have
        assert parameters == record["params"]
        for blob, recorded in record["some_blobs"].items():
            check(in_caffe_images(value_of(model, blob, images)), recorded, 1e-4)


def value_of(model, blob, images):
    """What the layers called `blob`, with their bias and activation, give."""
    names = [model.names[layer].partition("_")[0] for layer in model.layers]
    end = len(names) if blob == "prob" else len(names) - names[::-1].index(blob)
    logits = blob in ("ip2", "fc8")  # before the softmax, which is another layer in Caffe
    part = nn.Model(model.layers[: end - logits])
    part.state = model.state
    return part.predict(images)


def in_caffe_images(array):
    return np.moveaxis(array, -1, 1) if array.ndim > 2 else array
