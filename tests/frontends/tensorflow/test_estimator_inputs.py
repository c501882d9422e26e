"""Input functions of estimators: the rows in TensorFlow's order, epoch after epoch."""

import numpy as np
import pytest

ROWS, LABELS = np.arange(10.0).reshape(5, 2), np.arange(5)


def drained(tf, input_fn, most=10):
    """What the function's tensors give in a graph of its own."""
    with tf.Graph().as_default():
        fetches, found = input_fn(), []
        with tf.Session() as session:
            try:
                while len(found) < most:
                    found.append(session.run(fetches))
            except tf.errors.OutOfRangeError:
                pass
    return found


def test_epochs_share_batches(tf):
    make = tf.estimator.inputs.numpy_input_fn
    both = {"a": ROWS, "b": LABELS}
    found = drained(tf, make(both, LABELS, batch_size=2, shuffle=False, num_epochs=2))
    assert [labels.tolist() for _, labels in found] == [[0, 1], [2, 3], [4, 0], [1, 2], [3, 4]]
    assert found[2][0]["a"].tolist() == [[8, 9], [0, 1]]
    assert found[2][0]["b"].tolist() == [4, 0]


def test_forms_of_the_result(tf):
    make = tf.estimator.inputs.numpy_input_fn
    endless = drained(tf, make(ROWS, batch_size=3, shuffle=False, num_epochs=None), most=2)
    assert endless[1].tolist() == [[6, 7], [8, 9], [0, 1]]
    [(_, targets), rest] = drained(
        tf, make({"a": ROWS}, {"t": LABELS}, batch_size=3, shuffle=False)
    )
    assert targets["t"].tolist() == [0, 1, 2]
    assert len(rest[1]["t"]) == 2
    shuffled = drained(tf, make({"a": ROWS}, LABELS, batch_size=2, shuffle=True, num_epochs=3))
    assert sorted(n for _, part in shuffled for n in part) == sorted([*range(5)] * 3)


def test_tables(tf):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"n": [1, 2, 3], "s": ["a", "b", "c"]})
    make = tf.estimator.inputs.pandas_input_fn
    [(features, targets), _] = drained(
        tf, make(table, pandas.Series([7, 8, 9]), batch_size=2, shuffle=False)
    )
    assert features["s"].tolist() == [b"a", b"b"]
    assert targets.tolist() == [7, 8]
    with pytest.raises(ValueError, match="already has a column"):
        make(table, pandas.Series([7, 8, 9]), target_column="n", shuffle=False)


def test_errors(tf):
    make = tf.estimator.inputs.numpy_input_fn
    with pytest.raises(ValueError, match="explicitly set as boolean"):
        make(ROWS, LABELS)
    with pytest.raises(TypeError, match="x must be a dict or array"):
        make([1], shuffle=False)()
    with pytest.raises(ValueError, match="mismatched"):
        make({"a": ROWS}, LABELS[:3], shuffle=False)()
    with pytest.raises(ValueError, match="empty dict"):
        make({}, shuffle=False)()
    assert tf.contrib.learn.io.numpy_input_fn(ROWS)
