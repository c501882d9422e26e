"""A perceptron with one hidden layer on MNIST, trained with momentum.

anode run examples/tensorflow1/mnist_mlp.py        (or python, where TensorFlow 1.15 is installed)
"""

import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

flags = tf.app.flags
flags.DEFINE_string("data_dir", "/tmp/mnist_data", "where MNIST's files are")
flags.DEFINE_integer("hidden", 100, "hidden units")
flags.DEFINE_integer("epochs", 10, "passes over the training images")
flags.DEFINE_integer("batch", 128, "images in a minibatch")
flags.DEFINE_float("rate", 0.1, "learning rate")
flags.DEFINE_float("momentum", 0.9, "share of the last step that is kept")
flags.DEFINE_float("stddev", 0.01, "standard deviation of the initial weights")
flags.DEFINE_integer("seed", 1, "of weights and of the order of the images")
FLAGS = flags.FLAGS


def affine(x, outputs, name):
    """x·W + b, with normal initial values."""
    normal = tf.random_normal_initializer(stddev=FLAGS.stddev)
    weights = tf.Variable(normal([int(x.shape[1]), outputs]), name=name + "_weights")
    bias = tf.Variable(normal([outputs]), name=name + "_bias")
    return tf.matmul(x, weights) + bias


def main(_):
    mnist = input_data.read_data_sets(FLAGS.data_dir, one_hot=True, seed=FLAGS.seed)
    tf.set_random_seed(FLAGS.seed)
    x = tf.placeholder(tf.float32, [None, 784])
    y = tf.placeholder(tf.float32, [None, 10])
    logits = affine(tf.nn.relu(affine(x, FLAGS.hidden, "hidden")), 10, "output")

    losses = tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=logits)
    optimizer = tf.train.MomentumOptimizer(FLAGS.rate, FLAGS.momentum)
    train = optimizer.minimize(tf.reduce_mean(losses))
    right = tf.equal(tf.argmax(logits, 1), tf.argmax(y, 1))
    accuracy = tf.reduce_mean(tf.cast(right, tf.float32))

    session = tf.InteractiveSession()
    tf.global_variables_initializer().run()
    test = {x: mnist.test.images, y: mnist.test.labels}
    for epoch in range(FLAGS.epochs):
        for _ in range(mnist.train.num_examples // FLAGS.batch):
            images, labels = mnist.train.next_batch(FLAGS.batch)
            session.run(train, feed_dict={x: images, y: labels})
        print(f"epoch {epoch + 1}: test accuracy {100 * accuracy.eval(test):.2f} %")
    print(f"test accuracy {100 * accuracy.eval(test):.2f} %")


if __name__ == "__main__":
    tf.app.run()
