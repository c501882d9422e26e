"""BLEU of sentences of words, and as a metric of tokens."""

import math

import numpy as np
import pytest

from anode import layers as nn
from anode.errors import DataError, ShapeError


def words(*sentences):
    return [sentence.split() for sentence in sentences]


def test_the_example_of_the_paper():
    # Papineni et al. 2002, section 2.1.1: the precision of "the" is clipped to 2 of 7.
    references = [words("the cat is on the mat", "there is a cat on the mat")]
    found = nn.bleu(words("the the the the the the the"), references, 1)
    assert found.precisions == (2 / 7,)


def test_several_references_and_the_penalty():
    sentences = words("a b c d e", "f g h i")
    exact = [[s] for s in sentences]
    assert nn.bleu(sentences, exact).score == pytest.approx(100)
    longer = [[*s, "x", "y"] for s in sentences]
    found = nn.bleu(sentences, [[s] for s in longer])
    assert found.length == 9 and found.reference_length == 13
    assert found.score == pytest.approx(100 * math.exp(1 - 13 / 9))
    both = nn.bleu(sentences, [[s, long] for s, long in zip(sentences, longer, strict=True)])
    assert both.score == pytest.approx(100)
    assert str(both) == (
        "BLEU = 100.00, 100.0/100.0/100.0/100.0 (BP=1.000, ratio=1.000, hyp_len=9, ref_len=9)"
    )


def test_nothing_in_common_and_nothing_at_all():
    assert nn.bleu(words("a b"), [words("c d")]).score == 0
    assert nn.bleu([[]], [words("c d")]).score == 0
    with pytest.raises(DataError, match="'a b' has no reference"):
        nn.bleu(words("a b"), [[]])


def test_of_tokens(backend):
    y = np.array([[1, 2, 3, 4, 0, 9], [5, 6, 7, 8, 0, 9]], np.int32)
    t = np.array([[1, 2, 3, 4, 0, 7], [5, 6, 7, 1, 2, 0]], np.int32)
    model = nn.Model([nn.Identity()], backend=backend)
    data = [(y[:1], t[:1]), (y[1:], t[1:])]
    found = model.eval(data, nn.BLEU(end=0))
    wanted = nn.bleu([[1, 2, 3, 4], [5, 6, 7, 8]], [[[1, 2, 3, 4]], [[5, 6, 7, 1, 2]]])
    assert found == {"BLEU": pytest.approx(wanted.score)}
    scores = np.eye(10, dtype=np.float32)[y]
    assert nn.Model([nn.Identity()], backend=backend).eval([(scores, t)], nn.BLEU(end=0)) == found
    with pytest.raises(ShapeError, match="BLEU takes tokens"):
        model.eval([(y, t[:, :5])], nn.BLEU())
