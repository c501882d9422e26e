"""Minibatches: their order is a function of seed and epoch, and any position can be resumed."""

import json

import numpy as np
import pytest

from anode.data import Batches
from anode.data.batches import permutation
from anode.errors import DataError

ROWS = np.arange(10)
RECORDED = [[0, 2, 9, 1, 8, 5, 4, 3, 6, 7], [0, 9, 2, 1, 5, 7, 6, 4, 8, 3]]
IMAGES = np.arange(10 * 6, dtype=np.uint8).reshape(10, 2, 3)


def rows(batches: Batches) -> list[list[int]]:
    return [batch[0].tolist() for batch in batches]


def test_unshuffled_minibatches_are_views_in_order():
    batches = Batches((ROWS, IMAGES), 4)
    pairs = list(batches)
    assert [first.tolist() for first, _ in pairs] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert all(np.shares_memory(second, IMAGES) for _, second in pairs)


@pytest.mark.parametrize(
    ("last", "tail"), [("drop", []), ("keep", [[8, 9]]), ("wrap", [[8, 9, 0, 1]])]
)
@pytest.mark.parametrize("seed", [None, 3])
def test_rows_left_over(last, tail, seed):
    batches = Batches((ROWS,), 4, seed=seed, last=last)
    order = ROWS if seed is None else permutation(10, seed, 0)
    expected = [order[rows].tolist() for rows in [[0, 1, 2, 3], [4, 5, 6, 7], *tail]]
    assert len(batches) == len(expected)
    assert rows(batches) == expected


def test_wrapping_round_more_than_once():
    assert rows(Batches((np.arange(3),), 7, last="wrap")) == [[0, 1, 2, 0, 1, 2, 0]]
    [batch] = rows(Batches((np.arange(3),), 7, seed=1, last="wrap"))
    assert batch == (permutation(3, 1, 0).tolist() * 3)[:7]


def test_arrays_stay_together_when_shuffled():
    for first, second in Batches((ROWS, IMAGES), 5, seed=1):
        np.testing.assert_array_equal(second, IMAGES[first])


def test_each_epoch_is_a_permutation_of_its_own():
    batches = Batches((ROWS,), 5, seed=7)
    epochs = [np.concatenate(rows(batches)).tolist() for _ in range(3)]
    assert all(sorted(epoch) == ROWS.tolist() for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs == [permutation(10, 7, epoch).tolist() for epoch in range(3)]
    assert batches.position == (3, 0)


def test_the_order_is_fixed_for_good():
    assert permutation(10, 0, 0).tolist() == RECORDED[0]
    assert permutation(10, 2**64 - 1, 5).tolist() == RECORDED[1]


@pytest.mark.parametrize("last", ["drop", "keep", "wrap"])
@pytest.mark.parametrize("steps", range(8))
def test_resuming_at_any_minibatch(last, steps):
    batches = Batches((ROWS,), 4, seed=5, last=last)
    for _ in range(steps):
        batches.next_batch()
    resumed = Batches((ROWS,), 4, seed=5, last=last)
    resumed.position = json.loads(json.dumps(batches.position))
    for _ in range(5):
        assert resumed.next_batch()[0].tolist() == batches.next_batch()[0].tolist()


def test_position_is_that_of_the_minibatch_to_come():
    batches = Batches((ROWS,), 4)
    seen = [batches.position for _ in batches]
    assert seen == [(0, 1), (1, 0)]
    batches.position = (4, 1)
    assert rows(batches) == [[4, 5, 6, 7]] and batches.position == (5, 0)


def test_transform():
    batches = Batches(
        (IMAGES, ROWS), 4, transform=lambda x, y: (x.reshape(-1, 6).astype(np.float32) / 255, y)
    )
    images, labels = batches.next_batch()
    assert images.dtype == np.float32 and images.shape == (4, 6)
    assert images[1, 0] == np.float32(6) / 255 and labels.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), 1), "at least one"),
        (((np.zeros(()),), 1), "at least one"),
        (((np.zeros(0),), 1), "no rows"),
        (((ROWS, np.zeros(9)), 1), r"\[9, 10\] rows"),
        (((ROWS,), 0), "batch_size=0"),
        (((ROWS,), 11), "batch_size=11"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(DataError, match=message):
        Batches(*arguments)


@pytest.mark.parametrize("option", [{"last": "pad"}, {"seed": -1}, {"seed": 2**64}])
def test_bad_options(option):
    with pytest.raises(DataError, match=str(next(iter(option)))):
        Batches((ROWS,), 2, **option)


@pytest.mark.parametrize("position", [(-1, 0), (0, -1), (0, 2)])
def test_bad_positions(position):
    with pytest.raises(DataError, match="from 0 to 1 for 10 rows"):
        Batches((ROWS,), 4).position = position
