"""Recurrent layers give the numbers of neon 2.6; beams are what NumPy finds."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from anode.frontends import serve
from tests.frontends.neon.layers import recurrent_values

EXPECTED = json.loads(Path(__file__).with_name("recurrent_values.json").read_text())


@pytest.fixture(scope="module")
def be():
    serve.install("neon")
    yield recurrent_values.backend()
    serve.uninstall("neon")


@pytest.fixture(scope="module")
def found(be):
    return recurrent_values.all_values(be)


@pytest.mark.parametrize("name", EXPECTED)
def test_values_are_neons(found, name):
    for part, expected in EXPECTED[name].items():
        for a, b in zip(_flat(found[name][part]), _flat(expected), strict=True):
            scale = 1e-4 * max(1.0, np.abs(b).max())
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=scale, err_msg=f"{name} {part}")


def _flat(value):
    return value if isinstance(value[0], list) else [value]


def test_layers_say_what_is_missing(be):
    from neon.initializers import Gaussian
    from neon.layers import LSTM, DeepBiLSTM, DeepBiRNN, Recurrent, Seq2Seq
    from neon.transforms import Tanh

    with pytest.raises(AssertionError, match="missing activation function"):
        Recurrent(2, Gaussian())
    with pytest.raises(AssertionError, match="requires gate_activation"):
        LSTM(2, Gaussian(), activation=Tanh())
    with pytest.raises(ValueError, match="Depth is <= 0"):
        DeepBiRNN(2, Gaussian(), depth=0)
    deep = DeepBiLSTM(2, Gaussian(), activation=Tanh(), gate_activation=Tanh(), depth=3)
    assert [layer.split_inputs for layer in deep] == [False, True, True]
    kinds = [type(x).__name__ for x in DeepBiRNN(2, Gaussian(), depth=2, bi_sum=True)]
    assert kinds == ["BiRNN", "BiSum", "BiRNN", "BiSum"]
    one = Recurrent(2, Gaussian(), activation=Tanh())
    with pytest.raises(AssertionError, match="1 recurrent layers in the encoder, 0 in the decoder"):
        Seq2Seq([[one], [DeepBiRNN(2, Gaussian(), activation=Tanh())[0]]])


def test_weights_of_a_file_are_taken_up(be):
    layer = recurrent_values.prepared(recurrent_values.layer_of("LSTM"), (3, 5))
    other = recurrent_values.layer_of("LSTM")
    other.load_weights(layer.get_description(get_weights=True))
    recurrent_values.prepared(other, (3, 5))
    np.testing.assert_array_equal(other.W_recur.get(), layer.W_recur.get())
    with pytest.raises(ValueError, match="expected"):
        wrong = recurrent_values.layer_of("GRU")
        wrong.load_weights(layer.get_description(get_weights=True))
        recurrent_values.prepared(wrong, (3, 5))


def test_wide_beam_search_finds_the_best_of_all(be):
    from neon.initializers import Gaussian
    from neon.layers import GRU, Affine, Seq2Seq
    from neon.transforms import Logistic, Softmax, Tanh
    from neon.util.beamsearch import BeamSearch

    wide, steps, tokens = Gaussian(scale=1.0), 3, 3
    cells = {"activation": Tanh(), "gate_activation": Logistic(), "reset_cells": True}
    out = Affine(tokens, wide, bias=wide, activation=Softmax())
    model = Seq2Seq([[GRU(4, wide, **cells)], [GRU(4, wide, **cells), out]])
    model.configure((3, steps, tokens, steps))
    model.allocate()
    x = be.array(np.random.RandomState(0).randn(3, steps * recurrent_values.BATCH))
    found = BeamSearch(model).beamsearch(x, num_beams=tokens**steps).get()
    scores = {
        row: _log_probability(be, model, x, row)
        for row in itertools.product(range(tokens), repeat=steps)
    }
    for i, column in enumerate(found.T):
        best = max(scores, key=lambda row: scores[row][i])
        assert tuple(column.astype(int)) == best


def _log_probability(be, model, x, row):
    """Of one row of tokens for each of the batch."""
    steps, batch, tokens = len(row), recurrent_values.BATCH, model.out_shape[0]
    before = np.zeros((tokens, steps, batch))
    for step, token in enumerate(row[:-1]):
        before[token, step + 1] = 1
    y = model.fprop((x, be.array(before.reshape(tokens, -1)))).get()
    y = y.reshape(tokens, steps, batch)
    return sum(np.log(y[token, step]) for step, token in enumerate(row))


def test_compiled_steps_carry_states_and_begin_anew_with_other_inputs(be):
    from neon.layers import GeneralizedCost
    from neon.models import Model
    from neon.transforms import SumSquared

    alone = recurrent_values.prepared(recurrent_values.layer_of("LSTM"), (3, 5))
    model = Model([recurrent_values.layer_of("LSTM")])
    model.initialize((3, 5), GeneralizedCost(SumSquared()))
    model.layers.layers[0].W[:] = alone.W
    rng = np.random.RandomState(0)
    one, other = (be.array(rng.randn(3, 5 * recurrent_values.BATCH)) for _ in range(2))
    for x in (one, one, one, one, other, other, one):
        found = model.fprop(x, inference=True).get()
        np.testing.assert_allclose(found, alone.fprop(x).get(), rtol=1e-4, atol=1e-6)
