"""tf.data: what pipelines give, as TensorFlow 1.15 gives it, and the four kinds of iterators."""

import collections

import numpy as np
import pytest


def plain(value):
    """Arrays as lists, to be compared."""
    if hasattr(value, "dense_shape"):
        return [part.tolist() for part in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value


def elements(tf, dataset, feed=None, most=40):
    """The elements of a data set."""
    iterator = dataset.make_initializable_iterator()
    found, element = [], iterator.get_next()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(iterator.initializer, feed)
        try:
            while len(found) < most:
                found.append(plain(session.run(element)))
        except tf.errors.OutOfRangeError as error:
            assert error.message == "End of sequence"
    return found


def lengths(tf, *sizes):
    """A data set of vectors of these lengths, filled with their length."""
    return tf.data.Dataset.from_tensor_slices(list(sizes)).map(lambda n: tf.fill([n], n))


CASES = {
    "batch": (lambda tf, d: d.range(5).batch(2), [[0, 1], [2, 3], [4]]),
    "drop": (lambda tf, d: d.range(5).batch(2, drop_remainder=True), [[0, 1], [2, 3]]),
    "repeat": (lambda tf, d: d.range(2).repeat(2).batch(3), [[0, 1, 0], [1]]),
    "repeat nothing": (lambda tf, d: d.range(0).repeat(), []),
    "range": (lambda tf, d: d.range(2, 10, 3), [2, 5, 8]),
    "skip and take": (lambda tf, d: d.range(10).skip(3).take(2), [3, 4]),
    "take all": (lambda tf, d: d.range(3).take(-1), [0, 1, 2]),
    "skip all": (lambda tf, d: d.range(3).skip(-1), []),
    "shard": (lambda tf, d: d.range(7).shard(3, 1), [1, 4]),
    "concatenate": (lambda tf, d: d.range(2).concatenate(d.range(1)), [0, 1, 0]),
    "zip": (lambda tf, d: d.zip((d.range(2), d.range(5, 9))), [[0, 5], [1, 6]]),
    "enumerate": (lambda tf, d: d.range(5, 7).enumerate(start=1), [[1, 5], [2, 6]]),
    "map": (lambda tf, d: d.range(3).map(lambda x: (x, x * x)), [[0, 0], [1, 1], [2, 4]]),
    "map of a list": (lambda tf, d: d.range(2).map(lambda x: [x, x + 1]), [[0, 1], [1, 2]]),
    "map of a dict": (lambda tf, d: d.range(1).map(lambda x: {"b": x}), [{"b": 0}]),
    "filter": (lambda tf, d: d.range(6).filter(lambda x: tf.equal(x % 2, 0)), [0, 2, 4]),
    "flat_map": (lambda tf, d: d.range(4).flat_map(lambda x: d.range(x)), [0, 0, 1, 0, 1, 2]),
    "interleave": (
        lambda tf, d: d.range(5).interleave(
            lambda x: d.from_tensors(x).repeat(x), cycle_length=3, block_length=2
        ),
        [1, 2, 2, 3, 3, 4, 4, 3, 4, 4],
    ),
    "window": (
        lambda tf, d: d.range(7).window(3, 1, 2, True).flat_map(lambda w: w.batch(3)),
        [[0, 2, 4], [1, 3, 5], [2, 4, 6]],
    ),
    "reduce inside": (
        lambda tf, d: d.range(5).window(2).map(lambda w: w.reduce(np.int64(0), tf.add)),
        [1, 5, 4],
    ),
    "padded": (lambda tf, d: lengths(tf, 0, 2).padded_batch(2, [None]), [[[0, 0], [2, 2]]]),
    "padded to a size": (
        lambda tf, d: lengths(tf, 1).map(lambda x: (x, "a")).padded_batch(2, ([3], []), (7, "")),
        [[[[1, 7, 7]], [b"a"]]],
    ),
    "unbatch": (lambda tf, d: d.range(3).batch(2).apply(tf.data.experimental.unbatch()), [0, 1, 2]),
    "scan": (
        lambda tf, d: d.range(3).apply(
            tf.data.experimental.scan(np.int64(10), lambda s, x: (s + x, s * x))
        ),
        [0, 10, 22],
    ),
    "group_by_window": (
        lambda tf, d: d.range(8).apply(
            tf.contrib.data.group_by_window(lambda x: x % 2, lambda k, w: w.batch(3), 3)
        ),
        [[0, 2, 4], [1, 3, 5], [6], [7]],
    ),
    "buckets": (
        lambda tf, d: lengths(tf, 1, 5, 2, 4).apply(
            tf.data.experimental.bucket_by_sequence_length(tf.size, [3], [2, 2])
        ),
        [[[1, 0], [2, 2]], [[5, 5, 5, 5, 5], [4, 4, 4, 4, 0]]],
    ),
    "buckets to the boundary": (
        lambda tf, d: lengths(tf, 1, 2).apply(
            tf.data.experimental.bucket_by_sequence_length(
                tf.size, [4], [2, 2], pad_to_bucket_boundary=True
            )
        ),
        [[[1, 0, 0], [2, 2, 0]]],
    ),
    "map_and_batch": (
        lambda tf, d: d.range(5).apply(
            tf.contrib.data.map_and_batch(lambda x: x * 2, 2, drop_remainder=True)
        ),
        [[0, 2], [4, 6]],
    ),
    "counter": (lambda tf, d: tf.data.experimental.Counter(3, 2).take(3), [3, 5, 7]),
    "unique": (
        lambda tf, d: d.from_tensor_slices([1, 1, 2]).apply(tf.data.experimental.unique()),
        [1, 2],
    ),
    "ignore_errors": (
        lambda tf, d: (
            d.from_tensor_slices([1.0, 0.0, 2.0])
            .map(lambda x: tf.check_numerics(1 / x, "bad"))
            .apply(tf.data.experimental.ignore_errors())
        ),
        [1.0, 0.5],
    ),
    "choose": (
        lambda tf, d: tf.data.experimental.choose_from_datasets(
            [d.range(3), d.range(10, 13)], d.from_tensor_slices([0, 1, 1]).map(tf.to_int64)
        ),
        [0, 10, 11],
    ),
    "sparse": (
        lambda tf, d: d.from_tensors(tf.SparseTensor([[1]], [2.0], [3])).repeat(2).batch(2),
        [[[[0, 1], [1, 1]], [2.0, 2.0], [2, 3]]],
    ),
    "rows of sparse": (
        lambda tf, d: d.from_tensor_slices(tf.SparseTensor([[0, 1], [1, 0]], [1, 2], [2, 2])).map(
            tf.sparse_tensor_to_dense
        ),
        [[0, 1], [2, 0]],
    ),
    "py_func": (
        lambda tf, d: d.range(2).map(lambda x: tf.py_func(lambda y: y + 5, [x], tf.int64)),
        [5, 6],
    ),
    "nested": (
        lambda tf, d: (
            d.from_tensor_slices(([[1, 2], [3, 4]], {"b": ["x", "y"]})).repeat(2).batch(3)
        ),
        [
            [[[1, 2], [3, 4], [1, 2]], {"b": [b"x", b"y", b"x"]}],
            [[[3, 4]], {"b": [b"y"]}],
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_elements(tf, name):
    make, expected = CASES[name]
    assert elements(tf, make(tf, tf.data.Dataset)) == expected


def test_types_and_shapes(tf):
    pair = collections.namedtuple("pair", "x y")
    dataset = tf.data.Dataset.from_tensor_slices(pair([1, 2], [[1.0], [2.0]]))
    assert dataset.output_types == pair(tf.int32, tf.float32)
    assert str(dataset.batch(2).output_shapes) == str(
        pair(tf.TensorShape([None]), tf.TensorShape([None, 1]))
    )
    assert dataset.batch(2, True).output_shapes.y.as_list() == [2, 1]
    assert repr(tf.data.Dataset.range(3)) == "<DatasetV1Adapter shapes: (), types: tf.int64>"
    element = tf.data.Dataset.range(3).make_one_shot_iterator().get_next()
    assert (element.name, element.shape.as_list()) == ("IteratorGetNext:0", [])


def test_shuffling(tf):
    dataset = tf.data.Dataset.range(100).shuffle(10, seed=3).repeat(2).batch(200)
    [first], [second] = elements(tf, dataset), elements(tf, dataset)
    assert first == second
    assert sorted(first[:100]) == sorted(first[100:]) == list(range(100))
    assert first[:100] != first[100:]
    assert max(n - place for place, n in enumerate(first[:100])) < 10
    fixed = tf.data.Dataset.range(20).shuffle(20, reshuffle_each_iteration=False)
    [both] = elements(tf, fixed.repeat(2).batch(40))
    assert both[:20] == both[20:] != list(range(20))
    mapped = tf.data.Dataset.range(30).map(lambda x: x + 0).shuffle(8, seed=1).batch(30)
    [order] = elements(tf, mapped)
    assert sorted(order) == list(range(30)) != order


def test_a_cache_keeps_the_first_order(tf, tmp_path):
    numbers = tf.data.Dataset.range(20)
    [both] = elements(tf, numbers.shuffle(20).cache().repeat(2).batch(40))
    assert both[:20] == both[20:]
    path = str(tmp_path / "cache")
    calls = []

    def seen(x):
        calls.append(int(x))
        return x

    counted = numbers.take(3).map(lambda x: tf.py_func(seen, [x], tf.int64)).cache(path)
    assert elements(tf, counted) == elements(tf, counted) == [0, 1, 2]
    assert calls == [0, 1, 2]


def test_placeholders_and_variables_are_read_by_the_initializer(tf):
    fed, factor = tf.placeholder(tf.float32, [None]), tf.Variable(3.0)
    dataset = tf.data.Dataset.from_tensor_slices(fed).map(lambda x: x * factor)
    assert elements(tf, dataset, {fed: [1.0, 2.0]}) == [3.0, 6.0]
    with pytest.raises(ValueError, match="make_initializable_iterator"):
        dataset.make_one_shot_iterator()
    with pytest.raises(ValueError, match="does not have an initializer"):
        assert tf.data.Dataset.range(3).make_one_shot_iterator().initializer


def test_generators(tf):
    def count(limit):
        for number in range(limit):
            yield number, [float(number)] * number

    types, shapes = (tf.int32, tf.float32), ([], [None])
    dataset = tf.data.Dataset.from_generator(count, types, shapes, args=[3])
    assert elements(tf, dataset) == [[0, []], [1, [1.0]], [2, [2.0, 2.0]]]
    wrong = tf.data.Dataset.from_generator(lambda: iter([[1]]), tf.int64, [2])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"of shape \(1,\) where"):
        elements(tf, wrong)
    wrong = tf.data.Dataset.from_generator(lambda: iter(["a"]), tf.int64)
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected type was int64"):
        elements(tf, wrong)


def test_files(tf, tmp_path):
    path = str(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text('a,b,c\n1,,x\n2,2.5,"y,z"\n')
    lines = tf.data.TextLineDataset([path, path]).skip(1).take(3)
    assert elements(tf, lines) == [b"1,,x", b'2,2.5,"y,z"', b"a,b,c"]
    rows = tf.data.experimental.CsvDataset(path, [tf.int32, [1.5], tf.string], header=True)
    assert elements(tf, rows) == [[1, 1.5, b"x"], [2, 2.5, b"y,z"]]
    table = tf.data.experimental.make_csv_dataset(
        path, 2, label_name="a", shuffle=False, num_epochs=1
    )
    assert elements(tf, table) == [[{"b": [0.0, 2.5], "c": [b"x", b"y,z"]}, [1, 2]]]
    records = str(tmp_path / "records")
    with tf.python_io.TFRecordWriter(records) as writer:
        writer.write(b"one")
    assert elements(tf, tf.data.TFRecordDataset(records)) == [b"one"]
    pieces = tf.data.FixedLengthRecordDataset(records, 3, header_bytes=12, footer_bytes=4)
    assert elements(tf, pieces) == [b"one"]
    names = tf.data.Dataset.list_files(str(tmp_path / "*"), shuffle=False)
    assert elements(tf, names) == [path.encode(), records.encode()]
    with pytest.raises(tf.errors.NotFoundError, match="No such file"):
        elements(tf, tf.data.TFRecordDataset(path + "x"))
    with pytest.raises(tf.errors.InvalidArgumentError, match="No files matched"):
        elements(tf, tf.data.Dataset.list_files(path + "x"))


def test_an_iterator_for_two_data_sets(tf):
    train, test = tf.data.Dataset.range(3), tf.data.Dataset.range(100, 102)
    iterator = tf.data.Iterator.from_structure(train.output_types, train.output_shapes)
    element = iterator.get_next()
    to_train, to_test = iterator.make_initializer(train), iterator.make_initializer(test)
    with pytest.raises(TypeError, match="Expected output types"):
        iterator.make_initializer(tf.data.Dataset.from_tensors(1.0))
    with tf.Session() as session:
        with pytest.raises(tf.errors.FailedPreconditionError, match="has not been initialized"):
            session.run(element)
        session.run(to_train)
        assert [session.run(element) for _ in range(2)] == [0, 1]
        session.run(to_test)
        assert session.run(element) == 100
        session.run(to_train)
        assert session.run(element) == 0


def test_an_iterator_chosen_by_a_string(tf):
    train, test = tf.data.Dataset.range(3), tf.data.Dataset.range(100, 102)
    handle = tf.placeholder(tf.string, [])
    chosen = tf.data.Iterator.from_string_handle(handle, train.output_types, train.output_shapes)
    element = chosen.get_next()
    one_shot, initializable = train.make_one_shot_iterator(), test.make_initializable_iterator()
    with tf.Session() as session:
        first, second = session.run([one_shot.string_handle(), initializable.string_handle()])
        session.run(initializable.initializer)
        order = (first, second, first)
        assert [session.run(element, {handle: h}) for h in order] == [0, 100, 1]
        with pytest.raises(tf.errors.InvalidArgumentError, match="no iterator"):
            session.run(element, {handle: b"nothing"})


def test_sessions_have_iterators_of_their_own(tf):
    element = tf.data.Dataset.range(3).make_one_shot_iterator().get_next()
    for _ in range(2):
        with tf.Session() as session:
            assert [session.run(element) for _ in range(3)] == [0, 1, 2]
            with pytest.raises(tf.errors.OutOfRangeError):
                session.run(element)


def test_values_of_whole_data_sets(tf):
    numbers = tf.data.Dataset.range(5)
    total = numbers.reduce((np.int64(0), np.int64(1)), lambda s, x: (s[0] + x, s[1] * (x + 1)))
    with tf.Session() as session:
        assert session.run(total) == (10, 120)
        single = tf.data.experimental.get_single_element
        assert session.run(single(numbers.batch(9))).tolist() == [0, 1, 2, 3, 4]
        with pytest.raises(tf.errors.InvalidArgumentError, match="more than one element"):
            session.run(single(numbers))


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda tf, d: d.from_tensor_slices(3), ValueError, "rank >= 1"),
        (
            lambda tf, d: d.from_tensor_slices(([1], [1, 2])),
            ValueError,
            "1 and 2 are not compatible",
        ),
        (lambda tf, d: d.range(), ValueError, "1 to 3 arguments"),
        (lambda tf, d: d.zip([1]), TypeError, "nested structure of `Dataset`"),
        (lambda tf, d: d.range(3).filter(lambda x: x), ValueError, "scalar boolean"),
        (lambda tf, d: d.range(3).flat_map(lambda x: x), TypeError, "`Dataset` object"),
        (lambda tf, d: d.range(3).shard(2, 2), ValueError, "index must be < num_shards"),
        (lambda tf, d: d.range(3).apply(lambda x: 1), TypeError, "must return a Dataset"),
        (lambda tf, d: iter(d.range(3)), RuntimeError, "eager execution"),
        (lambda tf, d: d.from_generator(3, tf.int32), TypeError, "must be callable"),
    ],
)
def test_errors_when_it_is_built(tf, make, kind, message):
    with pytest.raises(kind, match=message):
        make(tf, tf.data.Dataset)


def test_errors_when_it_runs(tf):
    with pytest.raises(tf.errors.InvalidArgumentError, match="different shapes in component 0"):
        elements(tf, lengths(tf, 1, 2).batch(2))
    with pytest.raises(tf.errors.DataLossError, match="smaller size"):
        elements(tf, lengths(tf, 5).padded_batch(2, [3]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="greater than zero"):
        elements(tf, tf.data.Dataset.range(3).batch(tf.constant(0, tf.int64)))


def test_a_graph_with_data_sets_can_be_written(tf):
    numbers = tf.data.Dataset.range(3).map(lambda x: x + 1).batch(2)
    numbers.make_one_shot_iterator().get_next()
    text = tf.get_default_graph().as_graph_def().SerializeToString()
    assert b"MapDataset" in text


def test_an_imported_data_set_fails_by_name(tf, tmp_path):
    tf.data.Dataset.range(3).map(lambda x: x + 1).make_one_shot_iterator().get_next()
    path = str(tmp_path / "graph.meta")
    tf.train.export_meta_graph(path)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph(path)
        with pytest.raises(tf.errors.UnimplementedError, match=r"OneShotIterator\) was imported"):
            session.run("IteratorGetNext:0")
        assert session.run("IteratorGetNext:0", {"IteratorGetNext:0": 7}) == 7
