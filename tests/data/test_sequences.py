"""Minibatches of sequences: every row once, little padding, and exact resumption."""

import numpy as np
import pytest

from anode.data.sequences import SequenceBatches
from anode.errors import DataError

RANDOM = np.random.default_rng(0)
LENGTHS = RANDOM.integers(1, 60, 45)
SEQUENCES = [np.full((n, 2), i + 1, np.float32) for i, n in enumerate(LENGTHS)]
LABELS = [tuple(range(i % 5)) for i in range(45)]


def made(batch=4, **options):
    return SequenceBatches(SEQUENCES, LABELS, batch, **options)


def rows(minibatch):
    (x, _), _ = minibatch
    return (x[:, 0, 0].astype(int) - 1).tolist()


@pytest.mark.parametrize("seed", [None, 5])
def test_every_row_comes_once_with_what_belongs_to_it(seed):
    data = made(seed=seed, last="keep")
    seen = []
    for minibatch in data:
        (x, lengths), (labels, counts) = minibatch
        assert labels.shape[1] == 4 and lengths.dtype == counts.dtype == labels.dtype == np.int32
        for i, row in enumerate(rows(minibatch)):
            seen.append(row)
            assert lengths[i] == LENGTHS[row]
            assert (x[i, : lengths[i]] == row + 1).all() and not x[i, lengths[i] :].any()
            assert tuple(labels[i, : counts[i]]) == LABELS[row]
    assert sorted(seen) == list(range(45))
    assert len(data) == sum(1 for _ in data)


def test_minibatches_have_as_many_shapes_as_buckets():
    data = made(seed=1, buckets=3)
    shapes = {x.shape for (x, _), _ in data}
    assert len(shapes) == 3 and {shape[0] for shape in shapes} == {4}
    assert sum(x.shape[1] * 4 for (x, _), _ in data) < 0.7 * 44 * max(LENGTHS)


def test_the_order_is_of_the_seed_and_the_epoch():
    first, second = [[rows(b) for b in epoch] for data in [made(seed=1)] for epoch in (data, data)]
    assert first != second
    assert [rows(b) for b in made(seed=1)] == first != [rows(b) for b in made(seed=2)]


def test_resuming():
    data, again = made(seed=7), made(seed=7)
    for _ in range(len(data) + 3):
        data.next_batch()
    again.position = data.position
    assert again.position == (1, 3)
    for _ in range(len(data)):
        assert rows(again.next_batch()) == rows(data.next_batch())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 40, "buckets": 4}, "no bucket has 40 rows"),
        ({"last": "wrap"}, "'wrap' is not there"),
        ({"batch": 0}, "batch_size=0"),
    ],
)
def test_messages(options, message):
    with pytest.raises(DataError, match=message):
        made(**options)
    with pytest.raises(DataError, match="45 sequences and labels of 1"):
        SequenceBatches(SEQUENCES, LABELS[:1], 2)
