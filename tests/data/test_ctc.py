"""Decoders against the sum over all paths, and by hand."""

from collections import defaultdict
from itertools import product

import numpy as np
import pytest

from anode.data.ctc import beam_search, collapse, greedy, log_softmax
from anode.errors import DataError


def all_labellings(logits, blank):
    """The probability of every labelling, summed over its paths."""
    p = np.exp(log_softmax(logits))
    found = defaultdict(float)
    for path in product(range(p.shape[1]), repeat=len(p)):
        found[collapse(path, blank)] += np.prod(p[range(len(p)), path])
    return found


@pytest.mark.parametrize("blank", [0, 1, 2])
def test_a_search_that_keeps_all_prefixes_is_exact(blank):
    logits = np.random.default_rng(blank).normal(size=(6, 3))
    expected = all_labellings(logits, blank)
    found = beam_search(logits, 1000, blank)
    assert {h.labels for h in found} == set(expected)
    for hypothesis in found:
        assert np.exp(hypothesis.score) == pytest.approx(expected[hypothesis.labels])
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


def test_a_narrow_search_sums_paths_and_greed_does_not():
    p = np.array([[0.4, 0.6], [0.4, 0.6]])  # of 1 and of the blank: 0.64 for (1,), 0.36 for ()
    scores = np.log(p)
    assert greedy(scores, blank=1) == ()
    assert beam_search(scores, 2, blank=1)[0].labels == (0,)
    assert np.exp(beam_search(scores, 2, blank=1)[0].score) == pytest.approx(0.64)


def test_collapse():
    path = [1, 1, 0, 1, 2, 2, 0]
    assert collapse(path) == (1, 1, 2)
    assert collapse(path, merge_repeated=False) == (1, 1, 1, 2, 2)
    assert collapse(path, blank=1) == (0, 2, 0)
    assert greedy(np.eye(3)[path]) == (1, 1, 2)


def test_a_scorer_decides_between_what_sounds_alike():
    logits = np.log(np.array([[0.02, 0.5, 0.48], [0.96, 0.02, 0.02], [0.02, 0.5, 0.48]]))
    asked = []

    def scorer(labels):
        asked.append(labels)
        return 1.0 if labels == (2, 1) else 0.0

    assert beam_search(logits, 8)[0].labels == (1, 2)
    best = beam_search(logits, 8, scorer=scorer)[0]
    assert best.labels == (2, 1)
    plain = {h.labels: h.score for h in beam_search(logits, 8)}
    assert best.score == pytest.approx(plain[2, 1] + 1.0)
    assert len(asked) == len(set(asked))
    keeping = {h.labels for h in beam_search(logits, 8, scorer=lambda labels: -np.inf)}
    assert keeping == {()}


def test_nothing_said():
    assert greedy(np.zeros((0, 3))) == ()
    assert beam_search(np.zeros((0, 3)), 4) == [((), 0.0)]
    assert beam_search(np.zeros((2, 1)), 4) == [((), 0.0)]  # nothing but the blank


@pytest.mark.parametrize(
    ("scores", "width", "blank"), [((2, 3, 4), 1, 0), ((2, 3), 1, 3), ((2, 3), 0, 0)]
)
def test_arguments_must_fit(scores, width, blank):
    with pytest.raises(DataError):
        beam_search(np.zeros(scores), width, blank)
