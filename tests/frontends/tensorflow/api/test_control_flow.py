"""Branches and loops: what they refuse, and derivatives through them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


def test_a_variable_that_a_branch_reads_often_has_one_derivative(tf: Any) -> None:
    p, w = tf.placeholder(tf.bool, []), tf.Variable([1.0, 2.0])
    a, *_ = tf.cond(p, lambda: (w * 2, w + 1, w - 1), lambda: (w * 3, w * w, w))
    (slope,) = tf.gradients(tf.reduce_sum(a), w)
    with tf.Session() as session:
        session.run(w.initializer)
        assert session.run(slope, {p: True}).tolist() == [2, 2]
        assert session.run(slope, {p: False}).tolist() == [3, 3]


def test_only_the_chosen_branch_assigns(tf: Any) -> None:
    n, v = tf.placeholder(tf.int32, []), tf.Variable(1.0)
    changed = tf.cond(n > 2, lambda: tf.assign_add(v, 2.0), lambda: tf.assign_sub(v, 1.0))
    with tf.Session() as session:
        session.run(v.initializer)
        assert [session.run(changed, {n: 3}), session.run(changed, {n: 1})] == [3, 2]
        assert session.run(v) == 2


def test_what_cond_refuses(tf: Any) -> None:
    p = tf.placeholder(tf.bool, [])
    with pytest.raises(TypeError, match="must not be a Python bool"):
        tf.cond(True, lambda: 1, lambda: 2)
    with pytest.raises(TypeError, match="true_fn must be callable"):
        tf.cond(p, 1, lambda: 2)
    with pytest.raises(TypeError, match="may not be set simultaneously"):
        tf.cond(p, lambda: 1, lambda: 2, fn1=lambda: 3)
    with pytest.raises(ValueError, match="must have the same type"):
        tf.cond(p, lambda: 1, lambda: 2.0)
    with pytest.raises(ValueError, match="true_fn must have a return value"):
        tf.cond(p, lambda: None, lambda: 2)
    with pytest.raises(ValueError, match="Incompatible return types"):
        tf.cond(p, lambda: (1, 2), lambda: (1, 2, 3))


def test_what_while_loop_refuses(tf: Any) -> None:
    with pytest.raises(ValueError, match="No loop variables"):
        tf.while_loop(lambda: True, lambda: (), [])
    with pytest.raises(ValueError, match="is not an invariant for the loop"):
        tf.while_loop(
            lambda i, v: i < 3,
            lambda i, v: (i + 1, tf.concat([v, v], 0)),
            [tf.constant(0), tf.zeros([1])],
        )


def test_case_fails_where_several_hold(tf: Any) -> None:
    x = tf.placeholder(tf.int32, [])
    pairs = [(x > 0, lambda: 1), (x > 1, lambda: 2)]
    chosen = tf.case(pairs, default=lambda: 3, exclusive=True)
    with tf.Session() as session:
        assert [session.run(chosen, {x: n}) for n in (0, 1)] == [3, 1]
        with pytest.raises(tf.errors.InvalidArgumentError, match="more than 1"):
            session.run(chosen, {x: 2})


def test_merge_takes_the_side_that_is_alive(tf: Any) -> None:
    from tensorflow.python.ops import control_flow_ops

    x, n = tf.placeholder(tf.float32, [2]), tf.placeholder(tf.int32, [])
    sides = [control_flow_ops.switch(x, tf.equal(n, i))[1] * (i + 1) for i in range(3)]
    merged = control_flow_ops.merge(sides)[0]
    with tf.Session() as session:
        for i in range(3):
            assert session.run(merged, {x: [1, 2], n: i}).tolist() == [i + 1, 2 * i + 2]


def test_the_derivative_of_a_loop_whose_variable_grows(tf: Any) -> None:
    x, n = tf.placeholder(tf.float32, [1]), tf.placeholder(tf.int32, [])
    _, grown = tf.while_loop(
        lambda i, v: i < n,
        lambda i, v: (i + 1, tf.concat([v, x], 0)),
        [tf.constant(0), x],
        shape_invariants=[tf.TensorShape([]), tf.TensorShape([None])],
    )
    (slope,) = tf.gradients(grown, x)
    with tf.Session() as session:
        assert session.run(grown, {x: [2], n: 2}).tolist() == [2, 2, 2]
        for trips in (2, 3, 0, 2):
            assert session.run(slope, {x: [2], n: trips}) == [1 + trips]


def test_a_tensor_array_checks_shapes_and_types(tf: Any) -> None:
    array = tf.TensorArray(tf.float32, 3).write(0, tf.zeros([2]))
    with pytest.raises(ValueError, match="Inconsistent shapes"):
        array.write(1, tf.zeros([3]))
    with pytest.raises(TypeError, match="is trying to write dtype int32"):
        array.write(1, tf.zeros([2], tf.int32))
    with tf.Session() as session:
        array = array.write(2, [1.0, 2.0])
        assert session.run(array.stack()).tolist() == [[0, 0], [0, 0], [1, 2]]
        assert session.run(array.concat()).tolist() == [0, 0, 0, 0, 1, 2]
        assert session.run(array.size()) == 3


def test_nest_flattens_dicts_by_key_and_packs_again(tf: Any) -> None:
    from collections import namedtuple

    nest, pair = tf.contrib.framework.nest, namedtuple("pair", "a b")
    structure = {"z": [1, (2, 3)], "a": pair(4, {"k": 5})}
    assert nest.flatten(structure) == [4, 5, 1, 2, 3]
    packed = nest.pack_sequence_as(structure, list("vwxyz"))
    assert packed == {"z": ["x", ("y", "z")], "a": pair("v", {"k": "w"})}
    assert nest.map_structure(lambda x, y: x + y, [1, (2,)], [3, (4,)]) == [4, (6,)]
    assert not nest.is_sequence("text")
    with pytest.raises(ValueError, match="same nested structure"):
        nest.assert_same_structure([1, 2], [1, [2]])
    with pytest.raises(TypeError, match="same sequence type"):
        nest.assert_same_structure([1], (1,))
    with pytest.raises(ValueError, match="Could not pack sequence"):
        nest.pack_sequence_as([1, 2], [1])
    assert nest.flatten_up_to([1, 1], [[1, 2], {"a": 3}]) == [[1, 2], {"a": 3}]
    assert np.ndim(nest.flatten(np.zeros(3))[0]) == 1
