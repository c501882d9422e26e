"""Optimisers: values, names and slots after five steps, as TensorFlow 2.21's compat.v1 has them."""

import json
from pathlib import Path

import numpy as np
import pytest

RECORDED = json.loads(Path(__file__).with_name("recorded_optimizers.json").read_text())
CASES = {
    "gd": lambda t: t.GradientDescentOptimizer(0.1),
    "momentum": lambda t: t.MomentumOptimizer(0.1, 0.9),
    "nesterov": lambda t: t.MomentumOptimizer(0.1, 0.8, use_nesterov=True),
    "adam": lambda t: t.AdamOptimizer(0.05, 0.8, 0.95, 1e-6),
    "rmsprop": lambda t: t.RMSPropOptimizer(0.05, 0.8, 0.3, 1e-5),
    "rmsprop_centered": lambda t: t.RMSPropOptimizer(0.05, 0.8, 0.3, 1e-5, centered=True),
    "adagrad": lambda t: t.AdagradOptimizer(0.1, 0.2),
    "adadelta": lambda t: t.AdadeltaOptimizer(0.5, 0.9, 1e-4),
    "adagrad_da": lambda t: t.AdagradDAOptimizer(
        0.1, t.get_or_create_global_step(), 0.2, 0.01, 0.02
    ),
    "ftrl": lambda t: t.FtrlOptimizer(0.1, -0.6, 0.2, 0.01, 0.02),
    "ftrl_half": lambda t: t.FtrlOptimizer(0.1),
    "ftrl_shrink": lambda t: t.FtrlOptimizer(
        0.1, -0.5, 0.2, 0.01, 0.02, l2_shrinkage_regularization_strength=0.03
    ),
    "proximal_gd": lambda t: t.ProximalGradientDescentOptimizer(0.1, 0.05, 0.02),
    "proximal_adagrad": lambda t: t.ProximalAdagradOptimizer(0.1, 0.2, 0.05, 0.02),
}
START = [[0.5, -0.3, 0.8], [0.1, 0.9, -0.7], [0.2, 0.3, 0.4]]
TARGET = [[0.1, 0.2, -0.1], [0.3, -0.4, 0.05], [-0.2, 0.6, 0.15]]


def loss_of(tf, w, sparse):
    target = tf.constant(TARGET)
    if sparse:  # row 0 twice, row 1 not at all
        return tf.reduce_sum(tf.square(tf.gather(w, [0, 2, 0]) - tf.gather(target, [0, 2, 1])))
    return tf.reduce_sum(tf.square(w - target) * [[1.0, 2.0, 0.5]])


@pytest.mark.parametrize("key", RECORDED)
def test_five_steps(tf, key):
    name, _, sparse = key.partition("/")
    w = tf.Variable(START, name="W")
    step = tf.train.get_or_create_global_step()
    optimizer = CASES[name](tf.train)
    train = optimizer.minimize(loss_of(tf, w, sparse), global_step=step)
    expected = RECORDED[key]
    assert train.name == expected["train_op"]
    assert optimizer.get_slot_names() == expected["slots"]
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for _ in range(5):
            sess.run(train)
        found = {v.op.name: sess.run(v) for v in tf.global_variables()}
    assert found.keys() == expected["variables"].keys()
    for variable, value in expected["variables"].items():
        np.testing.assert_allclose(found[variable], value, rtol=2e-6, atol=2e-6)


def test_names_in_a_name_scope(tf):
    w = tf.Variable([1.0], name="W")
    with tf.name_scope("train"):
        train = tf.train.AdamOptimizer().minimize(tf.reduce_sum(w))
    names = [v.name for v in tf.global_variables()]
    slots = ["train/beta1_power:0", "train/beta2_power:0", "W/Adam:0", "W/Adam_1:0"]
    assert train.name == "train/Adam"
    assert names == ["W:0", *slots]


def test_two_optimizers_of_one_variable_have_their_own_slots(tf):
    w = tf.Variable([1.0], name="W")
    first, second = tf.train.AdamOptimizer(), tf.train.AdamOptimizer()
    names = [o.minimize(tf.reduce_sum(w * w)).name for o in (first, second)]
    assert names == ["Adam", "Adam_1"]
    assert second.get_slot(w, "m").op.name == "W/Adam_2"


def test_a_subclass_with_its_own_rule(tf):
    class Decaying(tf.train.Optimizer):
        def _create_slots(self, var_list):
            for v in var_list:
                self._zeros_slot(v, "sum", self._name)

        def _apply_dense(self, grad, var):
            slot = self.get_slot(var, "sum")
            new = slot.assign(slot * 0.9 + grad)
            return tf.group(var.assign_sub(0.1 * new), new)

    z = tf.Variable(3.0)
    optimizer = Decaying(False, "My")
    train = optimizer.minimize(tf.square(z))
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for _ in range(3):
            sess.run(train)
        assert train.name == "My"
        np.testing.assert_allclose(sess.run(z), 0.186, rtol=1e-6)


def test_a_constraint_holds_after_each_step(tf):
    c = tf.get_variable(
        "c",
        [2],
        initializer=tf.ones_initializer(),
        constraint=lambda v: tf.clip_by_value(v, 0.0, 1.0),
    )
    train = tf.train.GradientDescentOptimizer(10.0).minimize(tf.reduce_sum(c))
    with tf.Session() as sess:
        sess.run(c.initializer)
        sess.run(train)
        np.testing.assert_array_equal(sess.run(c), [0, 0])


def test_what_optimizers_refuse(tf):
    v = tf.Variable([1.0])
    with pytest.raises(ValueError, match="No gradients provided for any variable"):
        tf.train.AdamOptimizer().minimize(tf.constant(1.0))
    with pytest.raises(ValueError, match="No variables to optimize"):
        tf.train.AdamOptimizer().minimize(tf.reduce_sum(v), var_list=[])
    with pytest.raises(ValueError, match="must be positive"):
        tf.train.AdagradOptimizer(0.1, 0.0)
    with pytest.raises(NotImplementedError, match="SyncReplicasOptimizer"):
        tf.train.SyncReplicasOptimizer(None, 2)


def test_moving_average_optimizer_swaps_in_the_saver(tf, tmp_path):
    w = tf.Variable([4.0], name="W")
    optimizer = tf.contrib.opt.MovingAverageOptimizer(
        tf.train.GradientDescentOptimizer(0.25), average_decay=0.5
    )
    train = optimizer.minimize(tf.reduce_sum(w * w))
    saver = optimizer.swapping_saver()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run(train)
        path = saver.save(sess, str(tmp_path / "model"))
    assert tf.train.load_variable(path, "W").tolist() == [3.0]  # the average of 4 and 2
    assert tf.train.load_variable(path, "W/ExponentialMovingAverage").tolist() == [2.0]


def test_weights_decay_apart_from_the_gradient(tf):
    w = tf.Variable([1.0])
    train = tf.contrib.opt.AdamWOptimizer(0.1, learning_rate=0.0).minimize(tf.reduce_sum(w))
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run(train)
        np.testing.assert_allclose(sess.run(w), [0.9], rtol=1e-6)


def test_lazy_adam_leaves_rows_alone(tf):
    w = tf.Variable([[1.0], [1.0]])
    optimizer = tf.contrib.opt.LazyAdamOptimizer(0.1)
    rows = tf.placeholder(tf.int32, [None])
    train = optimizer.minimize(tf.reduce_sum(tf.gather(w, rows)))
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run(train, {rows: [0, 0]})
        before = sess.run(w)
        sess.run(train, {rows: [1]})
        after = sess.run(w)
    assert before[1] == 1 and before[0] < 1
    assert after[0] == before[0] and after[1] < 1
