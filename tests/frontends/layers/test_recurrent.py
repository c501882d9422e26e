import numpy as np
import pytest

from anode import layers as nn
from anode import ops
from anode.errors import ShapeError
from anode.ir.graph import close, fresh_inputs
from anode.ir.node import read
from anode.ir.types import tensor
from anode.passes.fission import split_scans
from anode.passes.pipeline import count, optimize
from anode.rewrite.trace import Trace
from anode.runtime.executable import compile
from anode.transform.grad import gradients

RNG = np.random.default_rng(3)
BATCH, STEPS, INPUTS, N = 3, 5, 4, 2
X = RNG.standard_normal((BATCH, STEPS, INPUTS))
KINDS = ["rnn", "lstm", "gru", "gru_after"]
GATES = {"rnn": 1, "lstm": 4, "gru": 3, "gru_after": 3}


def layer(kind, **options):
    weights = {"init": nn.Gaussian(scale=0.7), "bias": nn.Gaussian(scale=0.5)}
    made = {
        "rnn": lambda: nn.Recurrent(N, **weights, **options),
        "lstm": lambda: nn.LSTM(N, **weights, **options),
        "gru": lambda: nn.GRU(N, **weights, **options),
        "gru_after": lambda: nn.GRU(N, **weights, reset_after=True, **options),
    }
    return made[kind]()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference_step(kind, x, h, c, w, u, b, ub):
    """One step of one row, in NumPy."""
    a, n = x @ w + b, len(h)
    if kind == "rnn":
        return np.tanh(a + h @ u), c
    if kind == "lstm":
        i, f, o, g = np.split(a + h @ u, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    r, z = sigmoid(a[:n] + h @ u[:, :n]), sigmoid(a[n : 2 * n] + h @ u[:, n : 2 * n])
    v = u[:, 2 * n :]
    inner = (r * h) @ v if kind == "gru" else r * (h @ v + ub)
    return (1 - z) * h + z * np.tanh(a[2 * n :] + inner), c


def reference(kind, x, variables, prefix, reverse=False):
    """The outputs (steps, n) of one row (steps, inputs), in NumPy."""
    w, u, b = (variables[f"{prefix}.{name}"] for name in ("weight", "inner", "bias"))
    ub = variables.get(f"{prefix}.inner_bias", 0.0)
    h = c = np.zeros(len(u))
    found = np.zeros((len(x), len(u)))
    for t in reversed(range(len(x))) if reverse else range(len(x)):
        h, c = reference_step(kind, x[t], h, c, w, u, b, ub)
        found[t] = h
    return found


def values(model):
    return {variable.name: array for variable, array in model.state.items()}


def predicted(layers, x=X, backend="cpu"):
    model = nn.Model(layers, dtype="f64", backend=backend, seed=5)
    return model.predict(x), values(model)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_layers_equal_a_numpy_loop(kind, reverse, backend):
    found, variables = predicted([layer(kind, reverse=reverse, name="r")], backend=backend)
    assert variables["r.weight"].shape == (INPUTS, GATES[kind] * N)
    wanted = [reference(kind, row, variables, "r", reverse) for row in X]
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_both_directions_equal_a_numpy_loop(kind):
    made = {"rnn": nn.BiRNN, "lstm": nn.BiLSTM, "gru": nn.BiGRU}[kind](N, name="b")
    found, variables = predicted([made])
    for row, given in zip(found, X, strict=True):
        ahead = reference(kind, given, variables, "b.forward")
        back = reference(kind, given, variables, "b.backward", reverse=True)
        np.testing.assert_allclose(row, np.hstack([ahead, back]), rtol=1e-6, atol=1e-9)


def test_split_inputs_gives_each_direction_its_half():
    found, variables = predicted([nn.BiRNN(N, split_inputs=True, name="b")])
    ahead = reference("rnn", X[0, :, :2], variables, "b.forward")
    back = reference("rnn", X[0, :, 2:], variables, "b.backward", reverse=True)
    np.testing.assert_allclose(found[0], np.hstack([ahead, back]), rtol=1e-6, atol=1e-9)
    with pytest.raises(ShapeError, match="3 features have no halves"):
        predicted([nn.BiRNN(N, split_inputs=True)], X[:, :, :3])


def test_deep_layers_stack():
    found, variables = predicted(nn.DeepBiRNN(N, depth=2))
    first = [
        reference("rnn", X[0], variables, "BiRNN_0.forward"),
        reference("rnn", X[0], variables, "BiRNN_0.backward", reverse=True),
    ]
    second = [
        reference("rnn", first[0], variables, "BiRNN_1.forward"),
        reference("rnn", first[1], variables, "BiRNN_1.backward", reverse=True),
    ]
    np.testing.assert_allclose(found[0], np.hstack(second), rtol=1e-6, atol=1e-9)
    kinds = [type(one).__name__ for one in nn.DeepBiRNN(N, depth=2, batch_norm=True, bi_sum=True)]
    assert kinds == ["BiBNRNN", "BiSum", "BiBNRNN", "BiSum"]
    assert [one.split_inputs for one in nn.DeepBiLSTM(N, depth=3)] == [False, True, True]
    with pytest.raises(ShapeError, match="depth=0"):
        nn.DeepBiLSTM(N, depth=0)


class Projected(nn.Cell):
    """h = tanh(x · w + h · u), written without thought of what leaves the loop."""

    sizes = (N,)

    def step(self, x, state):
        w = self.variable("w", (x.shape[1], N), nn.Gaussian(scale=0.7), dtype=x.dtype)
        u = self.variable("u", (N, N), nn.Gaussian(scale=0.7), dtype=x.dtype)
        h = ops.tanh(x @ w + state[0] @ u)
        return h, (h,)


def test_a_cell_of_ones_own_is_a_layer_in_all_forms():
    found, variables = predicted([nn.Recurrent(Projected(), name="r")])
    variables |= {"r.weight": variables["r.w"], "r.inner": variables["r.u"], "r.bias": np.zeros(N)}
    wanted = [reference("rnn", row, variables, "r") for row in X]
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)
    both, _ = predicted([nn.Bidirectional(Projected()), nn.Recurrent(Projected(), reverse=True)])
    assert both.shape == (BATCH, STEPS, N)
    with pytest.raises(ShapeError, match="is no cell"):
        nn.Recurrent(Projected)


def test_the_input_product_of_ones_own_cell_leaves_the_loop():
    model = nn.Model([nn.Recurrent(Projected())])
    trace = Trace("split_scans")
    split_scans(model.graph(tensor("f32", *X.shape)), trace)
    assert trace.rules["split_scans"] == 1


def test_a_function_is_a_cell():
    def total(x, s):
        return x + s, x + s

    found, _ = predicted([nn.Recurrent(nn.FunctionCell(total, [INPUTS]))])
    np.testing.assert_allclose(found, np.cumsum(X, axis=1))


LAYERS = {
    **{kind: lambda kind=kind: [layer(kind)] for kind in KINDS},
    "reverse": lambda: [layer("lstm", reverse=True)],
    "birnn": lambda: [nn.BiRNN(N), nn.BiSum()],
    "bilstm": lambda: nn.DeepBiLSTM(N, depth=2),
    "bigru": lambda: [nn.BiGRU(N)],
    "bibnrnn": lambda: nn.DeepBiRNN(N, depth=2, batch_norm=True),
    "own": lambda: [nn.Recurrent(Projected())],
    "sum": lambda: [layer("gru"), nn.RecurrentSum()],
    "mean": lambda: [layer("gru"), nn.RecurrentMean()],
    "last": lambda: [layer("lstm"), nn.RecurrentLast()],
    "stack": lambda: [layer("lstm"), layer("gru"), nn.Affine(3, bias=0.0)],
}


def loss_and_gradients(layers, x, masked):
    """A compiled function of the state: a loss and its gradients by every parameter."""
    start = [nn.Masking()] if masked else []
    model = nn.Model([*start, *layers], dtype="f64", seed=1, backend="cpu")
    model.build(x)
    (given,) = fresh_inputs(tensor("f64", *x.shape))
    prediction, scope = model.forward(given, training=True)
    y = prediction.value
    weights = np.random.default_rng(1).standard_normal(y.tensor.static)
    loss = ops.sum(y * weights)
    parameters = [v for v in scope.variables.values() if v.trainable]
    graph = close((given,), [loss, *gradients([loss], [read(v) for v in parameters])])
    return model, compile(graph, "cpu"), parameters


@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_agree_with_finite_differences(name, masked):
    x = X.copy()
    if masked:
        x[0, 3:], x[1, 1:] = 0, 0
    model, executable, parameters = loss_and_gradients(LAYERS[name](), x, masked)
    found = executable(x, state=model.state)[1:]
    random, h = np.random.default_rng(2), 1e-6
    for variable, gradient in zip(parameters, found, strict=True):
        value = model.state[variable].copy()
        direction = random.standard_normal(value.shape)
        ends = []
        for sign in (1, -1):
            model.state[variable] = value + sign * h * direction
            ends.append(float(executable(x, state=model.state)[0]))
        model.state[variable] = value
        slope = (ends[0] - ends[1]) / (2 * h)
        np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=2e-5, atol=1e-7)


TOKENS = np.array([[3, 1, 4, 0, 0], [1, 5, 2, 6, 5], [2, 0, 0, 0, 0]], np.int32)
LENGTHS = [3, 5, 1]


@pytest.mark.parametrize("end", ["steps", "sum", "mean", "last"])
@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "bilstm", "bigru", "stack"])
def test_padded_rows_give_what_each_gives_alone(name, end, backend):
    ends = {"sum": nn.RecurrentSum, "mean": nn.RecurrentMean, "last": nn.RecurrentLast}
    layers = [nn.LookupTable(7, INPUTS, pad_idx=0), *LAYERS[name]()]
    if end in ends:
        layers.append(ends[end]())
    whole = nn.Model(layers, seed=2, backend=backend).predict(TOKENS)
    single = nn.Model(layers, seed=2, backend="reference")  # a length each: nothing to compile
    for row, tokens, length in zip(whole, TOKENS, LENGTHS, strict=True):
        alone = single.predict(tokens[None, :length])[0]
        np.testing.assert_allclose(row if end in ends else row[:length], alone, atol=2e-6)
    if end == "steps" and name != "stack":  # whose bias is added everywhere
        assert not whole[0, 3:].any()
        assert not whole[2, 1:].any()


def test_padding_before_the_row_is_as_good():
    layers = [nn.LookupTable(7, INPUTS, pad_idx=0), nn.BiLSTM(N), nn.RecurrentMean()]
    model = nn.Model(layers, backend="cpu")
    before = np.array([[0, 0, 3, 1, 4]], np.int32)
    np.testing.assert_allclose(model.predict(before), model.predict(TOKENS[:1]), atol=1e-6)


def test_affine_after_a_sequence_works_at_each_step():
    found, variables = predicted([nn.Recurrent(N, name="r"), nn.Affine(3, bias=1.0, name="a")])
    wanted = reference("rnn", X[1], variables, "r") @ variables["a.weight"] + 1
    np.testing.assert_allclose(found[1], wanted, rtol=1e-6)
    steps, variables = predicted([nn.Masking(None), nn.Linear(3, name="a")])
    np.testing.assert_allclose(steps, X @ variables["a.weight"])
    flat, _ = predicted([nn.Linear(3)])
    assert flat.shape == (BATCH, 3)


def test_initialisers_fill_each_gate():
    bias = (0.0, 1.0, 0.5, nn.Constant(2))
    cell = [nn.LSTM(3, nn.Orthonormal(1.0), bias=bias, name="r")]
    _, variables = predicted(cell)
    np.testing.assert_array_equal(variables["r.bias"], np.repeat([0, 1, 0.5, 2], 3))
    for gate in np.split(variables["r.inner"], 4, axis=1):
        np.testing.assert_allclose(gate.T @ gate, np.eye(3), atol=1e-6)
    _, variables = predicted([nn.GRU(3, (nn.Gaussian(), 0.0, nn.Gaussian()), name="r")])
    first, second, third = np.split(variables["r.weight"], 3, axis=1)
    assert not second.any()
    assert not np.allclose(first, third)
    given = RNG.standard_normal((INPUTS, 4 * N))
    _, variables = predicted([nn.LSTM(N, given, nn.Gaussian(), name="r")])
    np.testing.assert_array_equal(variables["r.weight"], given)
    with pytest.raises(ShapeError, match="2 initialisers for 4 gates"):
        predicted([nn.LSTM(N, (0.0, 1.0))])
    with pytest.raises(ShapeError, match="other gates on the host"):
        predicted([nn.GRU(N, (nn.Orthonormal(), nn.Gaussian(), 0.0))])


def test_state_goes_on_over_minibatches_where_cells_are_not_reset():
    x = RNG.standard_normal((2, 6, INPUTS)).astype("f4")
    t = np.zeros((2, 3, N), "f4")
    model = nn.Model([nn.LSTM(N, reset_cells=False, name="r")], seed=4, backend="cpu")
    step = model.training_step(nn.SumSquared(), nn.GradientDescentMomentum(0.0))
    costs = [float(step(x[:, i : i + 3], t)) for i in (0, 3)]
    whole = model.predict(x)
    wanted = [(whole[:, i : i + 3] ** 2).sum() / 4 for i in (0, 3)]
    np.testing.assert_allclose(costs, wanted, rtol=1e-5)
    again = nn.Model([nn.LSTM(N, name="r")], seed=4, backend="cpu")
    step = again.training_step(nn.SumSquared(), nn.GradientDescentMomentum(0.0))
    alone = (again.predict(x[:, 3:]) ** 2).sum() / 4
    np.testing.assert_allclose([float(step(x[:, 3:], t)) for _ in range(2)], alone, rtol=1e-5)


def test_a_carried_state_is_in_the_checkpoint(tmp_path):
    x = RNG.standard_normal((2, 3, INPUTS)).astype("f4")
    t = np.zeros((2, 3, N), "f4")

    def made():
        model = nn.Model([nn.GRU(N, reset_cells=False)], seed=4, backend="cpu")
        return model, model.training_step(nn.SumSquared(), nn.GradientDescentMomentum(0.1))

    model, step = made()
    step(x, t)
    model.save(tmp_path / "m")
    wanted = float(step(x, t))
    again, step = made()
    again.load(tmp_path / "m")
    assert float(step(x, t)) == wanted


def test_the_graph_does_not_grow_with_the_steps():
    def nodes(steps):
        model = nn.Model([nn.LSTM(8), nn.BiGRU(8), nn.Affine(4, activation=nn.Softmax())])
        x, y = tensor("f32", 4, steps, 3), tensor("i32", 4, steps)
        model.build(x)
        graph = model.training_step(nn.CrossEntropyMulti(), nn.RMSProp()).graph(x, y)
        return count(graph), count(optimize(graph))

    assert nodes(10) == nodes(100)


def test_inputs_that_are_no_sequences_are_refused():
    with pytest.raises(ShapeError, match=r"LSTM_0: a recurrent layer takes \(batch, steps"):
        predicted([nn.LSTM(2)], X[:, 0])
    with pytest.raises(ShapeError, match="not floating point"):
        predicted([nn.LSTM(2)], X.astype("i4"))
    with pytest.raises(ShapeError, match="Masking takes"):
        predicted([nn.Masking()], X[:, 0])


def test_lengths_of_the_data_are_masks():
    x = X.astype("f4")
    model = nn.Model([nn.BiLSTM(N), nn.RecurrentLast()], backend="cpu")
    whole = model.predict((x, np.int32(LENGTHS)))
    for row, given, length in zip(whole, x, LENGTHS, strict=True):
        np.testing.assert_allclose(row, model.predict(given[None, :length])[0], atol=1e-6)
