import itertools

import numpy as np
import pytest

from anode import layers as nn
from anode.errors import ShapeError

RNG = np.random.default_rng(0)
START, END, STEPS, VOCABULARY = 1, 2, 4, 6
SOURCE = np.int32([[3, 4, 5, 0], [5, 3, 0, 0], [4, 4, 3, 5]])
TARGET = np.int32([[5, 4, 3, 2], [3, 5, 2, 0], [4, 3, 3, 4]])


def model(attend=True, beams=1, seed=0, **options):
    wide = nn.Gaussian(scale=0.8)
    encoder = [nn.LookupTable(VOCABULARY, 4, wide, pad_idx=0), nn.BiLSTM(3, wide)]
    decoder = [nn.LookupTable(VOCABULARY, 4, wide), nn.LSTM(6, wide)]
    if attend:
        decoder.append(nn.Attention(5, wide))
    decoder.append(nn.Affine(VOCABULARY, wide, bias=wide, activation=nn.Softmax()))
    layer = nn.Seq2Seq(
        encoder, decoder, start=START, end=END, steps=STEPS, beams=beams, name="s", **options
    )
    return nn.Model([layer], seed=seed, backend="cpu")


def taught(model, source, target):
    """Log probabilities of the target's tokens, one at a time, by the training graph."""
    model.build(source)
    from anode.ir.graph import close, fresh_inputs
    from anode.ir.types import tensor

    types = [tensor("i32", *array.shape) for array in (source, target)]
    inputs = fresh_inputs(*types)
    y = model.forward(inputs[0], training=True, target=inputs[1])[0].value
    found = model.compile(close(inputs, [y]))(source, target, state=model.state)[0]
    return np.log(found)


def said_by_steps(model, source):
    """Greedy decoding, a teacher's pass for each step."""
    target = np.zeros((len(source), STEPS), np.int32)
    for step in range(STEPS):
        token = taught(model, source, target)[:, step].argmax(1)
        if step:
            token = np.where(target[:, step - 1] == END, END, token)
        target[:, step] = token
    return target


@pytest.mark.parametrize("attend", [False, True])
def test_greedy_decoding_equals_a_pass_for_each_step(attend):
    for seed in range(3):
        one = model(attend, seed=seed)
        np.testing.assert_array_equal(one.predict(SOURCE), said_by_steps(one, SOURCE))


def mean_log_probability(logarithms, row):
    """Of a row of tokens up to `end`, given (steps, tokens) for this very row."""
    length = row.index(END) + 1 if END in row else len(row)
    return sum(logarithms[i, row[i]] for i in range(length)) / length


def test_wide_beam_search_finds_the_best_row_of_all():
    one = model(seed=1)
    rows = [
        row
        for row in itertools.product(range(VOCABULARY), repeat=STEPS)
        if END not in row or all(token == END for token in row[row.index(END) :])
    ]
    for source in SOURCE:
        many = np.repeat(source[None], len(rows), 0)
        logarithms = taught(one, many, np.int32(rows))
        scores = [mean_log_probability(a, row) for a, row in zip(logarithms, rows, strict=True)]
        best = rows[int(np.argmax(scores))]
        assert tuple(nn.beamed(one, 1000).predict(source[None])[0]) == best


def test_beams_are_kept_apart_by_row():
    one = nn.beamed(model(seed=2), 3)
    whole = one.predict(SOURCE)
    for row, source in zip(whole, SOURCE, strict=True):
        np.testing.assert_array_equal(one.predict(source[None])[0], row)
    with pytest.raises(ShapeError, match="not in a Seq2Seq"):
        nn.beamed(nn.Model([nn.LSTM(2)]), 2)


def test_padding_of_the_source_changes_nothing():
    one = model(seed=3)
    np.testing.assert_array_equal(one.predict(SOURCE[1:2, :2]), one.predict(SOURCE[1:2]))


def test_training_lets_it_say_the_target():
    one = model(seed=0)
    cost = nn.PerStep(nn.CrossEntropyMulti(), pad_idx=0, mean=True)
    data = [(SOURCE, TARGET)]
    one.fit(data, cost, nn.Adam(0.05), 60)
    assert one.eval(data, nn.ExactMatch(pad_idx=0)) == {"ExactMatch": 1.0}
    assert nn.beamed(one, 2).eval(data, nn.StepAccuracy(pad_idx=0)) == {"StepAccuracy": 1.0}


def seq2seq(encoder, decoder):
    end = [nn.Affine(VOCABULARY)]
    table = [nn.LookupTable(VOCABULARY, 4)]
    layer = nn.Seq2Seq([table, encoder], [table, decoder, end], start=1, end=2, steps=3)
    return nn.Model([layer], backend="cpu").predict(SOURCE)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match="more recurrent layers than the encoder"):
        seq2seq([nn.GRU(3)], [nn.GRU(3), nn.GRU(3)])
    with pytest.raises(ShapeError, match="fewer recurrent layers than the encoder"):
        seq2seq([nn.GRU(3), nn.GRU(3)], [nn.GRU(3)])
    with pytest.raises(ShapeError, match="do not fit the decoder's"):
        seq2seq([nn.GRU(3)], [nn.GRU(4)])
    with pytest.raises(ShapeError, match="a decoder reads forward only"):
        seq2seq([nn.GRU(3)], [nn.BiGRU(3)])
    with pytest.raises(ShapeError, match="not scores"):
        seq2seq([nn.GRU(3)], [nn.GRU(3), nn.RecurrentLast()])
    with pytest.raises(ShapeError, match="0 beams"):
        model(beams=0)
    with pytest.raises(ShapeError, match="stands in the decoder"):
        nn.Model([nn.Attention(3)], backend="cpu").predict(np.zeros((2, 3, 4), "f4"))
    with pytest.raises(ShapeError, match="learns from tokens"):
        step = model().training_step(nn.CrossEntropyMulti(), nn.Adam())
        step(SOURCE, TARGET.astype("f4"))


def language_model(seed=0):
    wide = nn.Gaussian(scale=1.0)
    return nn.Model(
        [nn.LookupTable(5, 4, wide), nn.GRU(6, wide), nn.LSTM(3, wide), nn.Affine(5, wide)],
        seed=seed,
        backend="cpu",
    )


def test_generating_the_likeliest_equals_a_pass_for_each_step():
    one = language_model()
    prompt = np.uint8([[1, 2], [3, 3]])
    row = prompt
    for _ in range(6):
        row = np.hstack([row, one.predict(row)[:, -1:].argmax(2).astype("u1")])
    found = nn.generate(one, prompt, 6, temperature=0)
    np.testing.assert_array_equal(found, row[:, 2:])


def test_generated_tokens_have_the_model_s_probabilities():
    one = language_model(1)
    rows = np.full((4000, 1), 2, np.int32)
    scores = one.predict(rows[:1])[0, -1] / 0.7
    wanted = np.exp(scores) / np.exp(scores).sum()
    found = nn.generate(one, rows, 1, temperature=0.7, seed=5)
    np.testing.assert_allclose(np.bincount(found[:, 0], minlength=5) / 4000, wanted, atol=0.03)
    again = nn.generate(one, rows, 1, temperature=0.7, seed=6)
    assert (again != found).any()
    with pytest.raises(ShapeError, match="a prompt is integers"):
        nn.generate(one, rows[0], 1)
    with pytest.raises(ShapeError, match="not scores"):
        nn.generate(nn.Model([nn.LookupTable(5, 4), nn.RecurrentLast()]), rows, 1)
