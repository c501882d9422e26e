"""The MNIST reader: recorded batches of TensorFlow 1.15, for the same seeds."""

import hashlib

import numpy as np
import pytest

from anode.data.image_sets import SHIPPED

IMAGES = np.arange(10, dtype=np.uint8).repeat(4).reshape(10, 2, 2, 1)
LABELS = np.arange(10, dtype=np.uint8)


@pytest.fixture
def mnist(tf):
    from tensorflow.contrib.learn.python.learn.datasets import mnist

    return mnist


def test_epochs_follow_each_other_within_a_batch(mnist):
    data = mnist.DataSet(IMAGES, LABELS, seed=3)
    batches = [data.next_batch(4)[1].tolist() for _ in range(6)]
    assert batches[:3] == [[5, 4, 1, 2], [9, 6, 7, 0], [3, 8, 2, 3]]
    assert batches[3:] == [[1, 4, 8, 9], [5, 7, 0, 6], [2, 9, 0, 4]]
    assert data.epochs_completed == 2
    assert data.labels.tolist() == [2, 9, 0, 4, 6, 8, 7, 1, 5, 3]
    assert data.images[0].tolist() == [np.float32(2) * np.float32(1 / 255)] * 4


def test_without_shuffling_the_rows_keep_their_order(mnist, tf):
    data = mnist.DataSet(IMAGES, LABELS, seed=3, dtype=tf.uint8, reshape=False)
    batches = [data.next_batch(4, shuffle=False)[1].tolist() for _ in range(4)]
    assert batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1], [2, 3, 4, 5]]
    assert data.images.shape == (10, 2, 2, 1)
    assert data.images.dtype == np.uint8


@pytest.mark.parametrize(
    ("graph_seed", "seed", "order"),
    [(11, None, [7, 8, 2, 6, 4, 5, 1, 3, 0, 9]), (0, 0, [4, 5, 2, 6, 3, 1, 7, 0, 8, 9])],
)
def test_the_seed_of_the_graph_counts(mnist, tf, graph_seed, seed, order):
    tf.set_random_seed(graph_seed)
    assert mnist.DataSet(IMAGES, LABELS, seed=seed).next_batch(10)[1].tolist() == order


def test_assigned_images_are_used(mnist):
    data = mnist.DataSet(IMAGES, LABELS, seed=3)
    data.next_batch(4)
    data._images = data.images * 0
    assert not data.next_batch(4)[0].any()


def test_read_data_sets_is_what_tensorflow_reads(tf, tmp_path, capsys):
    from tensorflow.examples.tutorials.mnist import input_data

    folder = tmp_path / "new" / "MNIST_data"
    data = input_data.read_data_sets(str(folder), seed=1)
    assert capsys.readouterr().out.count(f"Extracting {folder}/") == 4
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in SHIPPED.iterdir())
    sizes = [part.num_examples for part in data]
    assert sizes == [55000, 5000, 10000]
    digests = [
        hashlib.md5(b"".join(a.tobytes() for a in data.train.next_batch(100))).hexdigest()
        for _ in range(3)
    ]
    assert digests == [
        "9a2976d7f396c20d1ee464cbcb81d12b",
        "b09e7894eb9e64415119fec09d4a3e9c",
        "98c4e259ce602c9fd70ce3ff48f31fe3",
    ]


def test_errors_of_the_reader(mnist, tf, tmp_path):
    with pytest.raises(TypeError, match="expected uint8 or float32"):
        mnist.DataSet(IMAGES, LABELS, dtype=tf.int32)
    wrong = pytest.raises(ValueError, match="Invalid magic number 2049 in MNIST image file")
    with open(SHIPPED / "t10k-labels-idx1-ubyte.gz", "rb") as file, wrong:
        mnist.extract_images(file)


def test_one_hot_and_fake_data(mnist):
    assert mnist.dense_to_one_hot(np.array([1, 0]), 3).tolist() == [[0, 1, 0], [1, 0, 0]]
    fake = mnist.read_data_sets("", fake_data=True, one_hot=True)
    images, labels = fake.train.next_batch(2, fake_data=True)
    assert np.shape(images) == (2, 784)
    assert labels == [[1] + [0] * 9] * 2


def test_csv_files(tf, tmp_path):
    from tensorflow.contrib.learn.python.learn.datasets import base

    path = tmp_path / "rows.csv"
    path.write_text("2,2,a,b\n1.5,2,0\n3,4,1\n")
    with_header = base.load_csv_with_header(str(path), np.int64, np.float32)
    assert with_header.data.tolist() == [[1.5, 2], [3, 4]]
    assert with_header.target.tolist() == [0, 1]
    path.write_text("0,1.5,2\n")
    without = base.load_csv_without_header(str(path), np.int64, np.float32, target_column=0)
    assert without.target.tolist() == [0]
    with pytest.raises(ValueError, match="not found"):
        tf.contrib.learn.datasets.load_dataset("nothing")


def test_keras_data_sets_say_where_they_belong(tf, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (images, labels), _ = tf.keras.datasets.mnist.load_data()
    assert images.shape == (60000, 28, 28)
    assert labels[:3].tolist() == [5, 0, 4]
    with pytest.raises(FileNotFoundError, match=r"imdb\.npz"):
        tf.keras.datasets.imdb.load_data()
    words = np.empty(2, object)
    words[:] = [[5, 9], [7]]
    (tmp_path / "datasets").mkdir()
    np.savez(
        tmp_path / "datasets" / "imdb.npz",
        x_train=words,
        y_train=np.array([1, 0]),
        x_test=words,
        y_test=np.array([1, 0]),
    )
    (texts, marks), _ = tf.keras.datasets.imdb.load_data(num_words=12)
    assert {int(m): t for m, t in zip(marks, texts, strict=True)} == {1: [1, 8, 2], 0: [1, 10]}


def test_the_tutorials_network_learns(tf):
    from tensorflow.examples.tutorials.mnist import mnist

    tf.set_random_seed(1)
    images = np.random.default_rng(0).random((8, mnist.IMAGE_PIXELS), np.float32)
    labels = np.arange(8) % mnist.NUM_CLASSES
    logits = mnist.inference(tf.constant(images), 16, 8)
    loss = mnist.loss(logits, tf.constant(labels))
    step, right = mnist.training(loss, 0.2), mnist.evaluation(logits, tf.constant(labels))
    assert logits.op.name == "softmax_linear/add"
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        before = session.run(loss)
        for _ in range(60):
            session.run(step)
        assert session.run(loss) < before
        found, values = session.run([right, logits])
        assert found == (values.argmax(1) == labels).sum()
