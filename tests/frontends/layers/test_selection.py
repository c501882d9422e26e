"""Selecting in models: what is found, what settings do to training, taps in compiled steps."""

import numpy as np
import pytest

from anode import layers as nn
from anode import ops
from anode.errors import BackendError, CheckpointError, GraphError
from anode.ir.variable import Variable

X = np.random.default_rng(0).random((4, 12, 12, 1), np.float32)
Y = np.array([0, 1, 2, 3])
COST = nn.CrossEntropyMulti()


def network(**options):
    model = nn.Model(
        [
            nn.Conv((3, 3, 4), bias=0.0, activation=nn.Rectlin(), name="conv1"),
            nn.Pooling(2),
            nn.Conv((3, 3, 8), batch_norm=True, activation=nn.Rectlin()),
            nn.MergeSum([nn.SkipNode(), nn.Conv((3, 3, 8), padding="SAME")]),
            nn.Pooling("all", op="avg"),
            nn.Affine(10, bias=0.0, activation=nn.Softmax()),
        ],
        **options,
    )
    model.build(X)
    return model


def perceptron(*layers):
    model = nn.Model(layers or [nn.Affine(5, bias=0.0, activation=nn.Tanh()), nn.Affine(3)])
    model.build(np.zeros((4, 6), np.float32))
    return model


def data():
    random = np.random.default_rng(1)
    return random.random((4, 6), np.float32), random.random((4, 3), np.float32)


@pytest.fixture(scope="module")
def model():
    return network()


PARAMETERS = {
    # The announcement's: all trainable tensors in convolution layers followed by pooling.
    "convolution:followed-by(pooling) parameter:trainable": [
        "conv1.weight",
        "conv1_bias.bias",
        "MergeSum_0.Convolution_0.weight",
    ],
    "#conv1 parameter": ["conv1.weight", "conv1_bias.bias"],
    "#conv1 > parameter": ["conv1.weight"],
    "#weight:in(mergesum)": ["MergeSum_0.Convolution_0.weight"],
    "batchnorm .statistics": ["BatchNorm_0.mean", "BatchNorm_0.variance"],
    "parameter:frozen": ["BatchNorm_0.mean", "BatchNorm_0.variance"],
    "parameter[rank=1].Bias": ["conv1_bias.bias", "Bias_0.bias"],
    "#'MergeSum_0.*'.weights": ["MergeSum_0.Convolution_0.weight"],
}
LAYERS = {
    "convolution": ["conv1", "Convolution_0", "MergeSum_0.Convolution_0"],
    "convolution:has(batchnorm)": ["Convolution_0"],
    "mergesum > convolution": ["MergeSum_0.Convolution_0"],
    "mergesum *:first": ["MergeSum_0.SkipNode_0"],
    "layer.Convolution": [],
    "rectlin": ["conv1_Rectlin", "Activation_0"],
    "activation[transform=Softmax]": ["Activation_1"],
    "pooling[op=avg], pooling[fshape=2]": ["Pooling_0", "Pooling_1"],
    "convolution[filters>4]:first": ["Convolution_0"],
    "convolution + pooling": ["Pooling_1"],
    "pooling:preceded-by(convolution)": ["Pooling_0", "Pooling_1"],
    "linear:preceded-by(pooling)": ["Linear_0"],
    "layer:in(convolution)": [
        "conv1_bias",
        "conv1_Rectlin",
        "BatchNorm_0",
        "Activation_0",
    ],
}
OPS = {
    # The announcement's: all element-wise operators not in convolutional layers.
    "elementwise:not(:in(convolution))": ["add", "divide", "add"],
    "elementwise:not(convolution *)": ["add", "divide", "add"],
    "op:in(#conv1)": ["convolution", "broadcast_in_dim", "add", "relu"],
    "op|pooling": ["max_pool"],
    "op|convolution:in(mergesum)": ["convolution"],
    "op:in(linear):last": ["softmax"],
    "op|softmax:output": ["softmax"],
}


@pytest.mark.parametrize(("selector", "names"), (PARAMETERS | LAYERS).items())
def test_layers_and_parameters(model, selector, names):
    assert model.select(selector).names == names


@pytest.mark.parametrize(("selector", "found"), OPS.items())
def test_ops(model, selector, found):
    assert [node.op.name for node in model.select(selector)] == found


def test_the_things_themselves(model):
    (layer,) = model.select("#conv1")
    (bias,) = model.select("#conv1_bias parameter")
    assert layer is model.layers[0]
    assert isinstance(bias, Variable)
    assert model.state[bias].shape == (4,)
    assert layer in model.select("convolution")


def test_recurrent_layers():
    model = nn.Model([nn.LSTM(4), nn.RecurrentLast(), nn.Affine(2)])
    model.build(np.zeros((2, 5, 3), np.float32))
    names = model.select("lstm parameter").names
    assert names
    assert all(name.startswith("LSTM_0.") for name in names)
    assert model.select("recurrent").names == ["LSTM_0"]
    assert model.select("recurrentlast:preceded-by(lstm)")


def test_names_that_are_not_there(model):
    with pytest.raises(GraphError, match=r"no element .convlution.; did you mean .*Convolution"):
        model.select("convlution")
    with pytest.raises(GraphError, match="no attribute 'filtres'; did you mean filters"):
        model.select("[filtres=4]")
    with pytest.raises(GraphError, match="has no variables yet"):
        nn.Model([nn.Affine(2)]).select("linear")


def test_frozen_parameters_stay():
    model, (x, y) = perceptron(), data()
    model.select("#Linear_0, #Bias_0").set(frozen=True)
    assert model.select("parameter:trainable").names == ["Linear_1.weight"]
    before = {variable.name: array.copy() for variable, array in model.state.items()}
    step = model.training_step(nn.MeanSquared(), nn.Adam(0.1))
    step(x, y)
    for name in ("Linear_0.weight", "Bias_0.bias"):
        np.testing.assert_array_equal(model.state.named(name), before[name])
    assert (model.state.named("Linear_1.weight") != before["Linear_1.weight"]).all()
    slots = [v.name for v in model.state if "optimizer" in v.collections]
    assert not any("Linear_0" in name for name in slots)


def test_an_optimiser_whose_layer_is_frozen():
    model, (x, y) = perceptron(), data()
    optimizers = {"Linear_1": nn.Adam(), "default": nn.GradientDescentMomentum(0.1)}
    model.select("#Linear_1").set(frozen=True)
    before = model.state.named("Linear_1.weight").copy()
    model.training_step(nn.MeanSquared(), nn.MultiOptimizer(optimizers))(x, y)
    np.testing.assert_array_equal(model.state.named("Linear_1.weight"), before)


def test_settings_are_listed():
    model = perceptron()
    assert "note" not in str(model.select("parameter"))
    model.select("linear").set(rate=0.5, wdecay=0.01)
    text = str(model.select("#Linear_1 parameter").set(frozen=True))
    assert text.splitlines()[1].split() == ["name", "what", "type", "line", "note"]
    assert text.endswith("frozen, rate × 0.5, decay 0.01")
    assert model.select("[rate<1]:frozen").names == ["Linear_1.weight"]
    assert model.select("[wdecay]").names == ["Linear_0.weight", "Bias_0.bias", "Linear_1.weight"]


def test_what_is_frozen_can_be_thawed_while_training():
    model, (x, y) = perceptron(), data()
    step = model.training_step(nn.MeanSquared(), nn.Adam(0.1))
    step(x, y)
    weight = model.state.named("Linear_0.weight")
    model.select("#Linear_0").set(frozen=True)
    before = weight.copy()
    step(x, y)
    np.testing.assert_array_equal(weight, before)
    model.select("#Linear_0").set(frozen=False)
    step(x, y)
    assert (weight != before).any()


@pytest.mark.parametrize("precision", [None, "bf16"])
def test_a_rate_factor_scales_the_step(precision):
    moves = []
    for factor in (1.0, 0.25):
        model, (x, y) = perceptron(), data()
        before = model.state.named("Linear_1.weight").copy()
        model.select("#Linear_1 parameter").set(rate=factor)
        optimizer = nn.GradientDescentMomentum(0.5)
        model.training_step(nn.MeanSquared(), optimizer, precision)(x, y)
        moves.append(model.state.named("Linear_1.weight") - before)
    np.testing.assert_allclose(moves[1], moves[0] * 0.25, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "optimizer",
    [
        nn.GradientDescentMomentum(0.1, 0.9),
        nn.MultiOptimizer({"default": nn.GradientDescentMomentum(0.1, wdecay=7.0)}),
    ],
    ids=["momentum", "multi"],
)
def test_a_weight_decay_of_one_parameter(optimizer):
    """p − rate · (g + wdecay · p), against the step without decay."""
    results = []
    for wdecay in (0.0, 0.5):
        model, (x, y) = perceptron(), data()
        start = model.state.named("Linear_0.weight").copy()
        model.select("#'Linear_0.weight'").set(wdecay=wdecay)
        model.training_step(nn.MeanSquared(), optimizer)(x, y)
        results.append(model.state.named("Linear_0.weight").copy())
    np.testing.assert_allclose(results[1], results[0] - 0.1 * 0.5 * start, rtol=1e-5, atol=1e-6)


def test_an_optimiser_without_weight_decay_says_so():
    class Plain(nn.Optimizer):
        def rule(self, p, g, step, slots):
            return p - g

    model, (x, y) = perceptron(), data()
    model.select("parameter").set(wdecay=0.1)
    with pytest.raises(NotImplementedError, match="Plain has no weight decay"):
        model.training_step(nn.MeanSquared(), Plain())(x, y)


def test_new_initial_values_are_those_the_layer_would_have_had():
    model = perceptron()
    model.select("#Linear_0 > parameter").set(init=nn.Gaussian(scale=0.1))
    like = perceptron(
        nn.Affine(5, nn.Gaussian(scale=0.1), bias=0.0, activation=nn.Tanh()), nn.Affine(3)
    )
    for variable, array in model.state.items():
        np.testing.assert_array_equal(array, like.state.named(variable.name))
    model.select("linear parameter[rank=2]").set(init=nn.Orthonormal(1.0))
    weight = model.state.named("Linear_1.weight")
    np.testing.assert_allclose(weight.T @ weight, np.eye(3), atol=1e-6)
    model.select("bias parameter").set(init=np.arange(5, dtype=np.float32))
    assert model.state.named("Bias_0.bias").tolist() == [0, 1, 2, 3, 4]


def test_what_cannot_be_set(model):
    with pytest.raises(GraphError, match="finds no parameter, so"):
        model.select("op").set(rate=2.0)
    with pytest.raises(GraphError, match="finds no parameter that trains"):
        model.select(".statistics").set(frozen=True)
    with pytest.raises(GraphError, match="rate=-1: a number that is at least 0"):
        model.select("parameter").set(rate=-1)


def test_settings_are_in_checkpoints(tmp_path):
    model, (x, y) = perceptron(), data()
    optimizer = nn.GradientDescentMomentum(0.1, 0.9)
    model.select("#Linear_0").set(frozen=True)
    model.select("#Linear_1").set(rate=0.5, wdecay=0.01)
    model.training_step(nn.MeanSquared(), optimizer)(x, y)
    model.save(tmp_path / "m")
    again = perceptron()
    again.load(tmp_path / "m")
    assert again.settings == model.settings
    assert again.select("parameter:frozen").names == ["Linear_0.weight", "Bias_0.bias"]
    for each in (model, again):
        step = each.training_step(nn.MeanSquared(), optimizer)
        step(x, y)
        each.select("#Linear_0").set(frozen=False)  # has no slots in the checkpoint
        step(x, y)
    for variable, array in model.state.items():
        np.testing.assert_array_equal(array, again.state.named(variable.name))
    other = perceptron()
    other.load(tmp_path / "m")
    with pytest.raises(CheckpointError, match=r"has no .*first_moment"):
        other.training_step(nn.MeanSquared(), nn.Adam())(x, y)


def test_a_print_tap_in_training_and_inference():
    model, (x, y) = perceptron(), data()
    lines = []
    tap = model.select("op|tanh").print(write=lines.append)
    step = model.training_step(nn.MeanSquared(), nn.Adam())
    step(x, y)
    model.predict(x)
    assert [line.split(" (")[0] for line in lines] == ["Activation_0: tanh: f32[4,5]"] * 2
    tap.remove()
    step(x, y)
    assert len(lines) == 2


def test_taps_in_evaluation():
    model, (x, y) = perceptron(), data()
    batches, measures = [(x, y), (x[:1], y[:1])], [nn.MeanSquared(), nn.SumSquared()]
    wanted = model.eval(batches, measures)
    lines = []
    model.select("op|tanh").print(write=lines.append)
    gradients = model.select("layer").histogram(gradient=True)
    assert model.eval(batches, measures) == pytest.approx(wanted)
    names = [line.split(" (")[0] for line in lines]
    assert names == ["Activation_0: tanh: f32[4,5]", "Activation_0: tanh: f32[1,5]"]
    assert not gradients.latest
    model.select("op|tanh").check_finite()
    x[2, 3] = np.nan
    with pytest.raises(BackendError, match=r"Activation_0: tanh: f32\[4,5\] .* is not finite"):
        model.eval(batches, measures)


def test_taps_do_not_change_training():
    results = []
    for tapped in (False, True):
        model, (x, y) = perceptron(), data()
        if tapped:
            model.select("op, layer, parameter").check_finite()
        step = model.training_step(nn.MeanSquared(), nn.Adam())
        costs = [float(step(x, y)) for _ in range(3)]
        results.append(costs)
    np.testing.assert_allclose(results[0], results[1], rtol=1e-6)


@pytest.mark.parametrize("precision", [None, "bf16"])
def test_a_finite_check_names_layer_op_and_line(precision):
    model = perceptron(nn.Affine(5), ops.log, nn.Affine(3))
    x, y = data()
    model.select("op").check_finite()
    with pytest.raises(
        BackendError, match=r"Activation_0: log: f32\[4,5\] \(.*py:\d+\) is not fin"
    ):
        model.training_step(nn.MeanSquared(), nn.Adam(), precision)(x, y)


@pytest.mark.parametrize("precision", [None, "bf16"])
def test_taps_on_gradients(precision):
    model, (x, y) = perceptron(), data()
    before = model.state.named("Linear_1.weight").copy()
    lines = []
    model.select("#Linear_1").print(write=lines.append, gradient=True)
    counted = model.select("layer").histogram(gradient=True)
    model.select("#'Linear_0.weight'").set(frozen=True)
    step = model.training_step(nn.MeanSquared(), nn.GradientDescentMomentum(0.5), precision)
    step(x, y)
    assert lines[0].startswith("Linear_1.weight (gradient): f32[5,3]")
    assert list(counted.latest) == ["Bias_0.bias (gradient)", "Linear_1.weight (gradient)"]
    gradient = (before - model.state.named("Linear_1.weight")) / 0.5
    edges = counted.latest["Linear_1.weight (gradient)"].edges
    np.testing.assert_allclose(edges[[0, -1]], [gradient.min(), gradient.max()], rtol=1e-4)
    model.predict(x)
    assert len(lines) == 1


def test_a_gradient_that_is_not_finite():
    model = perceptron(nn.Affine(5), lambda x: ops.sqrt(x * 0.0), nn.Affine(3))
    _, y = data()
    model.select("parameter").check_finite(gradient=True)
    with pytest.raises(BackendError, match=r"Linear_0\.weight \(gradient\): .* is not finite"):
        model.training_step(nn.MeanSquared(), nn.Adam())(np.zeros((4, 6), np.float32), y)


def test_what_cannot_be_tapped(model):
    with pytest.raises(GraphError, match="finds no parameter that has a gradient"):
        model.select("op").print(gradient=True)
    with pytest.raises(GraphError, match=r"cannot look into the loop that .*AddOne"):
        looped().select("add-one").print()


class Twice(nn.Layer):
    """Another layer, within a loop."""

    def build(self, x):
        return ops.fori_loop(0, 2, lambda i, y: self.apply(AddOne(), y, "inner"), x)


class AddOne(nn.Layer):
    def build(self, x):
        return x + 1.0


def looped():
    return perceptron(Twice(), nn.Affine(3))


def test_histograms_of_parameters_and_layers():
    model, (x, y) = perceptron(), data()
    tap = model.select("linear, #weight").histogram(bins=4)
    model.training_step(nn.MeanSquared(), nn.Adam())(x, y)
    counts = {name: counts.counts.sum() for name, counts in tap.latest.items()}
    assert counts == {
        "Linear_0 (Linear)": 20,
        "Linear_0.weight (parameter)": 30,
        "Linear_1 (Linear)": 12,
        "Linear_1.weight (parameter)": 15,
    }


def test_fit_runs_with_settings_and_taps():
    model, (x, y) = perceptron(), data()
    lines = []
    model.select("parameter").set(rate=0.5)
    model.select("linear").print(every=2, write=lines.append)
    model.fit([(x, y)] * 3, nn.MeanSquared(), nn.Adam(), 1)
    assert len(lines) == 4
