"""A network with one hidden layer that reads digits, and pictures of what it reads right and wrong.

anode run examples/tensorflow1/digits.py        (or python, where TensorFlow 1.15 is installed)
"""

import os

import matplotlib
import numpy as np
import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

matplotlib.use("Agg")
from matplotlib import pyplot as plt

SIDE, CLASSES = 28, 10
flags = tf.app.flags
flags.DEFINE_string("data_dir", "/tmp/mnist_data", "where MNIST's files are")
flags.DEFINE_string("folder", "runs/digits", "where the pictures go")
flags.DEFINE_integer("hidden", 200, "hidden units")
flags.DEFINE_integer("epochs", 10, "passes over the training images")
flags.DEFINE_integer("batch", 100, "images in a minibatch")
flags.DEFINE_float("rate", 0.001, "learning rate of Adam")
flags.DEFINE_integer("seed", 3, "of weights and of the order of the images")
FLAGS = flags.FLAGS


def dense(x, units, name, activation=None):
    """A fully connected layer."""
    normal = tf.truncated_normal_initializer(stddev=0.01)
    weights = tf.get_variable("W_" + name, [int(x.get_shape()[1]), units], initializer=normal)
    bias = tf.get_variable("b_" + name, initializer=tf.constant(0.0, shape=[units]))
    x = tf.matmul(x, weights) + bias
    return x if activation is None else activation(x)


def sheet(images, labels, read, path):
    """Nine images with what they show and what was read."""
    figure, axes = plt.subplots(3, 3, figsize=(5, 5.5))
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, label, guess in zip(axes.flat, images, labels, read):  # noqa: B905
        axis.imshow(image.reshape(SIDE, SIDE), cmap="binary")
        right = label == guess
        axis.set_title(
            str(label) if right else f"{label}, read as {guess}", color="black" if right else "red"
        )
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def draw(images, labels, read):
    """Pictures of the first digits that were read right, and of those that were read wrong."""
    os.makedirs(FLAGS.folder, exist_ok=True)
    for name, rows in (("right", labels == read), ("wrong", labels != read)):
        rows = np.flatnonzero(rows)[:9]
        path = os.path.join(FLAGS.folder, name + ".png")
        sheet(images[rows], labels[rows], read[rows], path)
        print(path)


def main(_):
    mnist = input_data.read_data_sets(FLAGS.data_dir, one_hot=True, seed=FLAGS.seed)
    tf.set_random_seed(FLAGS.seed)
    x = tf.placeholder(tf.float32, [None, SIDE * SIDE], name="X")
    y = tf.placeholder(tf.float32, [None, CLASSES], name="Y")
    logits = dense(dense(x, FLAGS.hidden, "hidden", tf.nn.relu), CLASSES, "output")
    prediction = tf.argmax(logits, 1, name="prediction")

    losses = tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=logits)
    loss = tf.reduce_mean(losses, name="loss")
    train = tf.train.AdamOptimizer(FLAGS.rate, name="Adam-op").minimize(loss)
    right = tf.equal(prediction, tf.argmax(y, 1), name="right")
    accuracy = tf.reduce_mean(tf.cast(right, tf.float32), name="accuracy")

    valid = {x: mnist.validation.images, y: mnist.validation.labels}
    test = {x: mnist.test.images, y: mnist.test.labels}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for epoch in range(FLAGS.epochs):
            for _ in range(mnist.train.num_examples // FLAGS.batch):
                images, labels = mnist.train.next_batch(FLAGS.batch)
                session.run(train, feed_dict={x: images, y: labels})
            values = session.run([loss, accuracy], feed_dict=valid)
            print("epoch {}: validation loss {:.4f}, accuracy {:.2%}".format(epoch + 1, *values))
        share, read = session.run([accuracy, prediction], feed_dict=test)
    print(f"test accuracy {100 * share:.2f} %")
    draw(mnist.test.images, mnist.test.labels.argmax(axis=1), read)


if __name__ == "__main__":
    tf.app.run()
